"""`fairbank tool`: the tools and training plans that can be sent, who answers for them, and how they were reviewed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import api
from fairbank.federated_jobs.tool_review import ToolCommand

app = typer.Typer(
    no_args_is_help=True, help="List the tools and training plans that can be sent; publish and review them."
)
_NAME = typer.Argument(help="Name of the tool.")
_VERSION = typer.Option(help="Its version.")
_PUBLISHER = typer.Option(help="Who answers for it, in words; your account's name by default.")
_WHY = typer.Option("--why", help="What is wrong with it, in a sentence.")


@app.command("list")
def list_tools(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the tools that are installed, with their review at the hub, and the others of its registry.

    Example: fairbank tool list
    """
    from fairbank.web import publishing

    found = publishing.list_tools(api(ctx))
    columns = ("name", "family", "version", "kind", "review", "publisher", "title")
    show_rows(found.rows, columns=columns, format=format)
    if not found.asked:
        say("The hub does not answer, so nothing is said of its registry.")


@app.command()
def show(
    ctx: typer.Context,
    tool: Annotated[str, typer.Argument(help="Name of the tool.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """Show a tool's digest, options with their ranges, and outputs; then publisher, validation and review.

    Example: fairbank tool show slice-autoencoder
    """
    from fairbank.federated_jobs.code import tool_named, tools
    from fairbank.federated_jobs.tool_words import installed_fields, review_fields
    from fairbank.web import publishing

    told = publishing.show_tool(api(ctx), tool)
    found = next((one for one in tools() if one.name == tool), None)
    versions: list[dict[str, Any]] = told["versions"] if told else []
    if format is Format.JSON:
        outputs = [output.model_dump(mode="json") for output in found.outputs] if found else []
        installed = (
            {**found.code().model_dump(), "parameters": found.schema(), "outputs": outputs} if found else {}
        )
        show_fields({**installed, "registry": versions}, format=format)
        return
    if found is None and told is None:
        tool_named(tool)
    fields = installed_fields(found) if found else {}
    show_fields({**fields, **review_fields(versions)}, format=format)
    if told is None:
        say("The hub does not answer, so nothing is said of its registry.")


@app.command()
def save(
    ctx: typer.Context,
    name: Annotated[str, _NAME],
    version: Annotated[str, _VERSION],
    out: Annotated[Path, typer.Option(help="New file that it is written to.")],
) -> None:
    """Save a version's manifest as its publisher sealed it, for the folder tool-manifests of a node.

    Example: fairbank tool save radiomics --version 1.0.0 --out radiomics-1.0.0.json
    """
    from fairbank.web import publishing

    if out.exists():
        raise typer.BadParameter(f"{out.name} is there already; name a new file")
    manifest, envelope = publishing.sealed_manifest(api(ctx), name, version)
    with out.open("xb") as opened:
        opened.write(envelope)
    say(f"Sealed by {manifest.publisher}, {manifest.publisher_key}. Compare this key with theirs.")


@app.command()
def criteria(format: FormatOption = Format.TABLE) -> None:
    """List the criteria that a reviewer answers.

    Example: fairbank tool criteria
    """
    from fairbank.federated_jobs.tool_review import CRITERIA

    rows = [{"criterion": key, "text": text} for key, text in CRITERIA.items()]
    show_rows(rows, columns=("criterion", "text"), format=format)


@app.command()
def draft(
    ctx: typer.Context,
    name: Annotated[str, _NAME],
    out: Annotated[Path, typer.Option(help="File that it is written to.")] = Path("tool.json"),
    publisher: Annotated[str, _PUBLISHER] = "",
    image: Annotated[
        str, typer.Option(help="Image that holds the tool, NAME@sha256:…, if it is a container.")
    ] = "",
) -> None:
    """Write the manifest of an installed tool, or of a container, to a file, to add what only its publisher knows.

    Example: fairbank tool draft lung-densitometry --publisher "Lung Imaging Group, Example University"

    Example: fairbank tool draft liver-volumes --image registry.example/liver@sha256:0123…
    """
    import json

    from fairbank.web import publishing

    who = publisher or str(api(ctx).whoami()["account"])
    made = publishing.container_draft(name, image, publisher=who) if image else None
    made = made or publishing.draft_of(name, publisher=who)
    out.write_text(json.dumps(made, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    say(f"The draft is in {out}. Send it with: fairbank tool submit {out}")


@app.command()
def submit(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="File that 'tool draft' wrote.")] = None,
    builtin: Annotated[
        str | None, typer.Option(help="Name of an installed tool, as it describes itself.")
    ] = None,
    publisher: Annotated[str, _PUBLISHER] = "",
    keep_draft: Annotated[
        bool, typer.Option("--draft", help="Keep it as a draft that only you see.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Seal a tool with your key and submit it for review.

    Example: fairbank tool submit tool.json
    """
    from fairbank.web import publishing

    if (file is None) == (builtin is None):
        raise typer.BadParameter("name a file, or --builtin NAME")
    client = api(ctx)
    if builtin is not None:
        body = publishing.draft_of(builtin, publisher=publisher or str(client.whoami()["account"]))
    else:
        assert file is not None
        body = publishing.read_draft(file)
    show_fields(publishing.submit(client, body, as_draft=keep_draft), format=format)


@app.command()
def review(
    ctx: typer.Context,
    name: Annotated[str, _NAME],
    version: Annotated[str, _VERSION],
    criterion: Annotated[
        list[str] | None, typer.Option(metavar="KEY=yes|no:WORDS", help="An answer; one for each criterion.")
    ] = None,
    accept: Annotated[bool, typer.Option("--accept", help="It meets every criterion.")] = False,
    back: Annotated[
        bool, typer.Option("--return", help="It does not; its publisher may correct it.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Take a version up for review, or say what came of it (administrator who did not publish it).

    Example: fairbank tool review lung-densitometry --version 1.0.0 --criterion "code=yes:It was read." --accept
    """
    from fairbank.web import publishing

    if accept and back:
        raise typer.BadParameter("give --accept or --return, not both")
    verdict = ToolCommand.ACCEPT if accept else ToolCommand.RETURN if back else None
    answers = publishing.answers_from(criterion or [])
    if answers and verdict is None:
        raise typer.BadParameter("--criterion goes with --accept or --return")
    show_fields(publishing.review(api(ctx), name, version, verdict, answers=answers), format=format)


@app.command()
def deprecate(
    ctx: typer.Context,
    name: Annotated[str, _NAME],
    version: Annotated[str, _VERSION],
    why: Annotated[str, _WHY],
    format: FormatOption = Format.TABLE,
) -> None:
    """Say that a version should not be used for what is new; jobs with it still begin.

    Example: fairbank tool deprecate noop --version 1.0.0 --why "Version 1.1.0 is faster."
    """
    _end(ctx, name, version, ToolCommand.DEPRECATE, why, format)


@app.command()
def revoke(
    ctx: typer.Context,
    name: Annotated[str, _NAME],
    version: Annotated[str, _VERSION],
    why: Annotated[str, _WHY],
    format: FormatOption = Format.TABLE,
) -> None:
    """Revoke a version: no new job with its code begins (its publisher, or an administrator).

    Example: fairbank tool revoke noop --version 1.0.0 --why "Weights were added twice."
    """
    _end(ctx, name, version, ToolCommand.REVOKE, why, format)


@app.command()
def matches(
    ctx: typer.Context,
    dataset: Annotated[str | None, typer.Argument(help="IRI of a dataset.")] = None,
    tool: Annotated[str | None, typer.Option(help="Name of a tool: which datasets does it fit?")] = None,
    version: Annotated[str | None, typer.Option(help="Its version; the newest by default.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Say which tools fit a dataset, or which datasets a tool fits, by what records publish, and why not.

    Example: fairbank tool matches --tool lung-densitometry
    """
    if (dataset is None) == (tool is None):
        raise typer.BadParameter("name a dataset, or --tool NAME")
    told = api(ctx).get("/v1/tools/matches", with_token=True, dataset=dataset, tool=tool, version=version)
    columns = ("tool", "version", "review", "fits", "why") if dataset else ("dataset", "title", "fits", "why")
    show_rows(told["matches"], columns=columns, format=format, empty="Nothing to match.")


def _end(ctx: typer.Context, name: str, version: str, command: ToolCommand, why: str, format: Format) -> None:
    from fairbank.web import publishing

    show_fields(publishing.act(api(ctx), name, version, command, words=why), format=format)
