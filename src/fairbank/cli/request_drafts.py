"""`fairbank request`, until it is sealed and when it is changed: template, new, edit, attach, submit, amend, renew."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fairbank.cli import request_pieces as given
from fairbank.cli.output import Format, FormatOption, say, show_fields
from fairbank.cli.session import api

Id = Annotated[str, typer.Argument(metavar="REQUEST", help="Id of the request.")]


def template() -> None:
    """Print a request as a file to fill in, each piece explained.

    Example: fairbank request template > request.yaml
    """
    from importlib.resources import files

    typer.echo(
        files("fairbank.catalogue.governance").joinpath("request_template.yaml").read_text("utf-8"), nl=False
    )


def new(
    ctx: typer.Context,
    file: given.From = None,
    title: given.Title = None,
    dataset: given.Datasets = None,
    minimum: given.Minimum = None,
    purpose: given.Purposes = None,
    disease: given.Diseases = None,
    commercial: given.Commercial = None,
    statement: given.Statement = None,
    output: given.Outputs = None,
    until: given.Until = None,
    organisation: given.Organisation = None,
    organisation_kind: given.OrganisationKind = None,
    country: given.Country = None,
    project: given.Project = None,
    person: given.People = None,
    funding: given.Funding = None,
    publication_plan: given.PublicationPlan = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Begin a draft, from a file, from options, or empty; only you see it.

    Example: fairbank request new --from request.yaml
    """
    from fairbank.web.request_acts import begin

    pieces = given.pieces(
        file,
        title=title,
        datasets=dataset,
        minimum_datasets=minimum,
        data_use=purpose,
        diseases=disease,
        commercial=commercial,
        statement=statement,
        output_classes=output,
        until=until,
        organisation=organisation,
        organisation_kind=organisation_kind,
        country=country,
        project=project,
        person=person,
        funding=funding,
        publication_plan=publication_plan,
    )
    _tell(begin(api(ctx), pieces), format)


def edit(
    ctx: typer.Context,
    request: Id,
    file: given.From = None,
    title: given.Title = None,
    dataset: given.Datasets = None,
    minimum: given.Minimum = None,
    purpose: given.Purposes = None,
    disease: given.Diseases = None,
    commercial: given.Commercial = None,
    statement: given.Statement = None,
    output: given.Outputs = None,
    until: given.Until = None,
    organisation: given.Organisation = None,
    organisation_kind: given.OrganisationKind = None,
    country: given.Country = None,
    project: given.Project = None,
    person: given.People = None,
    funding: given.Funding = None,
    publication_plan: given.PublicationPlan = None,
    clear: given.Clear = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Change pieces of a draft; what is not named stays as it is.

    Example: fairbank request edit 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --until 2027-12-31 --clear project
    """
    from fairbank.web.request_acts import edit as change

    pieces = given.pieces(
        file,
        title=title,
        datasets=dataset,
        minimum_datasets=minimum,
        data_use=purpose,
        diseases=disease,
        commercial=commercial,
        statement=statement,
        output_classes=output,
        until=until,
        organisation=organisation,
        organisation_kind=organisation_kind,
        country=country,
        project=project,
        person=person,
        funding=funding,
        publication_plan=publication_plan,
        clear=clear,
    )
    _tell(change(api(ctx), request, pieces), format)


def discard(ctx: typer.Context, request: Id) -> None:
    """Throw a draft and its documents away.

    Example: fairbank request discard 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    api(ctx).delete(f"/v1/requests/{request}/draft")
    say("The draft is gone.")


def attach(
    ctx: typer.Context,
    request: Id,
    file: Annotated[
        Path, typer.Argument(help="PDF, PNG, JPEG, plain text, DOCX or ODT.", exists=True, dir_okay=False)
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            help="What it shows: ethics-approval, data-management-plan, funding, publication-plan, agreement, other."
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="How it is called; its name if not given.")] = None,
    valid_until: Annotated[
        datetime | None, typer.Option(help="Until when it is valid.", formats=["%Y-%m-%d"])
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Attach a document; a draft names it as evidence of its kind.

    Example: fairbank request attach 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 vote.pdf --kind ethics-approval
    """
    from fairbank.clock import iso
    from fairbank.web.request_acts import attach as send

    until = iso(valid_until.replace(tzinfo=UTC)) if valid_until is not None else None
    show_fields(send(api(ctx), request, file, kind=kind, title=title, valid_until=until), format=format)


def submit(
    ctx: typer.Context,
    request: Annotated[
        str | None,
        typer.Argument(metavar="[REQUEST]", help="Id of a draft; without one, the options say all."),
    ] = None,
    title: given.Title = None,
    dataset: given.Datasets = None,
    purpose: given.Purposes = None,
    statement: given.Statement = None,
    output: given.Outputs = None,
    until: given.Until = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Only seal the draft, into this new file; its page takes the text."
        ),
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Seal a draft with your key and submit it; or ask at once, with options alone.

    Example: fairbank request submit 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.web.acts import Wish, request_access
    from fairbank.web.request_acts import seal_draft, seal_to_file

    options = (title, dataset, purpose, statement, output, until)
    if request is not None:
        if any(options):
            raise typer.BadParameter(
                "a draft is submitted as it is: change it with 'fairbank request edit' first"
            )
        if to is not None:
            say(f"Sealed into {seal_to_file(api(ctx), request, to)}; nothing was sent.")
            return
        answer = seal_draft(api(ctx), request)
    elif to is not None:
        raise typer.BadParameter("--to is about a draft: name it")
    else:
        if not (title and dataset and purpose and statement and output and until):
            raise typer.BadParameter(
                "without a draft, --title, --dataset, --purpose, --statement, --output and --until are all needed"
            )
        wish = Wish(
            title=title,
            datasets=dataset,
            data_use=purpose,
            statement=statement,
            output_classes=output,
            until=until.replace(tzinfo=UTC),
        )
        answer = request_access(api(ctx), wish)
    show_fields({"id": answer["id"], "state": answer["state"]}, format=format)
    say(f"Follow it with: fairbank request show {answer['id']}")


def amend(
    ctx: typer.Context,
    request: Id,
    file: given.From = None,
    title: given.Title = None,
    dataset: given.Datasets = None,
    minimum: given.Minimum = None,
    purpose: given.Purposes = None,
    disease: given.Diseases = None,
    statement: given.Statement = None,
    output: given.Outputs = None,
    until: given.Until = None,
    person: given.People = None,
    funding: given.Funding = None,
    publication_plan: given.PublicationPlan = None,
    clear: given.Clear = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Ask for something else than before, or submit again what was returned; only what changes is decided again.

    Example: fairbank request amend 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --output measurements --output model-update
    """
    pieces = given.pieces(
        file,
        title=title,
        datasets=dataset,
        minimum_datasets=minimum,
        data_use=purpose,
        diseases=disease,
        statement=statement,
        output_classes=output,
        until=until,
        person=person,
        funding=funding,
        publication_plan=publication_plan,
        clear=clear,
    )
    _amend(ctx, request, pieces, format)


def renew(
    ctx: typer.Context,
    request: Id,
    until: Annotated[datetime, typer.Option(help="The new end.", formats=["%Y-%m-%d"])],
    format: FormatOption = Format.TABLE,
) -> None:
    """Ask for a later end; what is granted stays granted meanwhile.

    Example: fairbank request renew 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --until 2028-12-31
    """
    _amend(ctx, request, given.pieces(None, until=until), format)


def _amend(ctx: typer.Context, request: str, pieces: dict[str, Any], format: Format) -> None:
    from fairbank.web.request_acts import amend as seal

    answer, changes = seal(api(ctx), request, pieces)
    show_fields({"id": answer["id"], "state": answer["state"], "version": answer["version"]}, format=format)
    for line in changes:
        say(line)


def _tell(view: dict[str, Any], format: Format) -> None:
    if format is not Format.TABLE:
        show_fields(view, format=format)
        return
    show_fields({"id": view["id"], "state": view["state"], **view["draft"]}, format=format)
    needed = [each for each in view["missing"] if each["needed"]]
    for each in view["missing"]:
        say(f"{'missing' if each['needed'] else 'usually asked for'}: {each['field']}. {each['sentence']}")
    if not needed:
        say(f"It can be submitted: fairbank request submit {view['id']}")
