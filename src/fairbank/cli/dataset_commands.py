"""`fairbank dataset`: define a node's datasets; list and show the datasets of the hub."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import api, node
from fairbank.ontology.withdrawal import WithdrawalReason

app = typer.Typer(
    no_args_is_help=True, help="Define a node's datasets; list and show the datasets of the hub."
)
_OF_HUB = typer.Argument(help="IRI of the dataset, or NODE/NAME.")


@app.command()
def define(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the dataset: a to z, 0 to 9 and hyphens.")],
    project: Annotated[str, typer.Option(help="Project of the research store.")],
    title: Annotated[str, typer.Option(help="Title for readers.")],
    description: Annotated[str, typer.Option(help="What the collection is.")],
    kind: Annotated[str, typer.Option(help="trial, clinical, screening, population or test.")] = "clinical",
    data_use: Annotated[
        list[str] | None, typer.Option(help="DUO code, such as DUO:0000042; may be repeated.")
    ] = None,
    keyword: Annotated[list[str] | None, typer.Option(help="Keyword; may be repeated.")] = None,
    publisher: Annotated[
        str | None, typer.Option(help="Who publishes it; the node's name by default.")
    ] = None,
    contact: Annotated[str | None, typer.Option(help="Address for questions.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence, as an IRI or a name.")] = None,
    access_rights: Annotated[str, typer.Option(help="NON_PUBLIC, RESTRICTED or PUBLIC.")] = "NON_PUBLIC",
) -> None:
    """Define a dataset of this node, or change how it is described.

    Example: fairbank dataset define ct --project thorax --title CT --description "Chest CT" --data-use DUO:0000042
    """
    from fairbank.harvest.datasets import Description, define_dataset
    from fairbank.ontology.record import AccessRights, CollectionKind

    kinds = [one.value for one in CollectionKind]
    if kind not in kinds:
        raise typer.BadParameter(f"{kind!r} is not one of {', '.join(kinds)}")
    rights = [one.value for one in AccessRights]
    if access_rights not in rights:
        raise typer.BadParameter(f"{access_rights!r} is not one of {', '.join(rights)}")
    said = Description(
        title=title,
        description=description,
        collection_kind=CollectionKind(kind),
        data_use=tuple(data_use or ()),
        keywords=tuple(keyword or ()),
        publisher=publisher,
        contact=contact,
        licence=licence,
        access_rights=AccessRights(access_rights),
    )
    define_dataset(node(ctx), name, project=project, description=said)
    say(f"The dataset {name} is defined. Next: fairbank harvest index {name}")


@app.command()
def describe(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the dataset.")] = "",
    file: Annotated[
        str, typer.Option("--from", metavar="FILE", help="File to read; - is standard input.")
    ] = "",
    template: Annotated[bool, typer.Option("--template", help="Print a file to fill in instead.")] = False,
    profile: Annotated[str, typer.Option(help="Ask for what this export profile wants only.")] = "",
    optional: Annotated[bool, typer.Option("--optional", help="Ask for every field that there is.")] = False,
) -> None:
    """Say what no machine can find out: who answers for a dataset, under which law, for which purpose.

    Asks for one field after the other, or reads them from a file. The export profiles want them ('fairbank catalogue
    validate' says what is missing). They leave the site with the next 'fairbank harvest publish', through the release
    gate.

    Example: fairbank dataset describe ct --profile healthdcat-ap-r8-non-public
    """
    from fairbank.ontology.profiles import curator_file

    if template:
        typer.echo(curator_file.template())
        return
    if not name:
        raise typer.BadParameter("name a dataset, or ask for a --template")
    if file and (profile or optional):
        raise typer.BadParameter("with --from nothing is asked, so --profile and --optional have no place")
    from fairbank.cli.prompts import read_text
    from fairbank.harvest.datasets import describe_dataset

    if file:
        describe_dataset(node(ctx), name, curator_file.read(read_text(file)))
    else:
        from fairbank.cli.describing import ask

        ask(node(ctx), name, profile=profile, optional=optional)
    say(f"The description of {name} is kept. Next: fairbank harvest preview {name}")


@app.command()
def local(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the datasets that this node has defined.

    Example: fairbank dataset local
    """
    from fairbank.harvest.datasets import datasets

    rows = [
        {"name": row.slug, "project": row.project, "version": row.version, "title": row.title}
        for row in datasets(node(ctx))
    ]
    show_rows(rows, columns=("name", "project", "version", "title"), format=format, empty="No dataset yet.")


@app.command()
def withdraw(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the dataset at this node.")],
    reason: Annotated[
        WithdrawalReason,
        typer.Option(help="Class of the reason; it is public."),
    ],
    format: FormatOption = Format.TABLE,
) -> None:
    """Withdraw a dataset of this node from the hub for good, with all its versions. This cannot be undone.

    Example: fairbank dataset withdraw northfield-ct --reason consent_withdrawn
    """
    from fairbank.harvest.withdrawal import withdraw_dataset

    answer = withdraw_dataset(node(ctx), name, reason)
    say("Jobs that run on it go on unless this site withdraws its approval: fairbank node jobs withdraw JOB")
    show_fields({key: answer[key] for key in ("iri", "withdrawn", "reason")}, format=format)


@app.command("list")
def list_datasets(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the datasets of the hub.

    Example: fairbank dataset list --format json
    """
    rows = [{**one, **one["totals"]} for one in api(ctx).get("/datasets")["datasets"]]
    columns = ("iri", "title", "subjects", "studies", "series", "version")
    show_rows(rows, columns=columns, format=format, empty="The catalogue is empty.")


@app.command()
def show(
    ctx: typer.Context,
    dataset: Annotated[str, _OF_HUB],
    version: Annotated[
        int | None, typer.Option(help="An older version; the newest by default.", min=1)
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show a dataset of the hub: what it holds, from where, and how it may be used.

    Example: fairbank dataset show northfield/northfield-ct --version 2
    """
    answer: dict[str, Any] = api(ctx).get(_address(dataset), version=version)
    if format is Format.TABLE:
        answer = {
            key: _named(value)
            for key, value in answer.items()
            if not isinstance(value, (list, dict)) or key in _SHORT
        }
    show_fields(answer, format=format)


@app.command()
def versions(
    ctx: typer.Context,
    dataset: Annotated[str, _OF_HUB],
    format: FormatOption = Format.TABLE,
) -> None:
    """List the published versions of a dataset of the hub, newest first: digest, when it came, who signed it.

    Example: fairbank dataset versions northfield/northfield-ct
    """
    rows = api(ctx).get(f"{_address(dataset)}/versions")["versions"]
    show_rows(rows, columns=("version", "received", "digest", "signed_by"), format=format)


def _address(dataset: str) -> str:
    return f"/datasets/{dataset.partition('/datasets/')[2] or dataset}"


def _named(value: Any) -> Any:
    """Return the names of what has a name, for a table."""
    if isinstance(value, list):
        return [_name_of(each) if isinstance(each, dict) else each for each in value]
    return value


def _name_of(each: dict[str, Any]) -> str:
    return f"{each['label']}: {each['value']}" if "value" in each else str(each["label"])


_SHORT = (
    "keywords",
    "data_use",
    "data_use_limits",
    "totals",
    "conditions",
    "annotation_guideline",
    "biorepositories",
    "biomarkers",
    "measured",
    "variables",
)
