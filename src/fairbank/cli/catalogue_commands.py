"""`fairbank catalogue`: the state of the hub's catalogue, and its RDF view."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.catalogue.negotiation import ExportFormat
from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.progress import counting
from fairbank.cli.session import api, hub

if TYPE_CHECKING:
    from fairbank.catalogue.context import Hub

app = typer.Typer(
    no_args_is_help=True,
    help="See the state of the catalogue; validate, export or rebuild what it publishes.",
)


@app.command()
def status(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """Show what the catalogue holds.

    Example: fairbank catalogue status
    """
    client = api(ctx)
    found = client.get("/search", limit=0)
    about = client.get("/v1/hub")
    fields = {"hub": about["base_iri"], "version": about["version"], "key": about["fingerprint"]}
    show_fields(
        {
            **fields,
            "datasets": found["count"],
            **{name: total["text"] for name, total in found["totals"].items()},
        },
        format=format,
    )


@app.command()
def validate(
    ctx: typer.Context,
    dataset: Annotated[str, typer.Argument(help="IRI of a dataset of the hub, or NODE/NAME.")] = "",
    file: Annotated[
        str,
        typer.Option(
            "--from", metavar="FILE", help="RDF file to judge instead; its ending tells its format."
        ),
    ] = "",
    profile: Annotated[
        str | None, typer.Option(help="Profile; all that are for the dataset's access level by default.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show what is met as well.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show what a dataset's description lacks by the export profiles, and who can supply it.

    Without --from it is a dataset of the hub. Exits with 1 if something mandatory is left.

    Example: fairbank catalogue validate northfield/northfield-ct --profile healthdcat-ap-r8-non-public
    """
    if bool(dataset) == bool(file):
        raise typer.BadParameter("name a dataset of the hub, or a file (--from FILE)")
    if file:
        from fairbank.catalogue.document_files import cards as cards_of

        cards = cards_of(Path(file), profile=profile)
    else:
        path = dataset.partition("/datasets/")[2] or dataset
        cards = api(ctx).get(f"/datasets/{path}/quality", profile=profile)["profiles"]
    judged = [card for card in cards if profile is not None or card["applies"]]
    rows = [
        {"profile": card["profile"], **row}
        for card in judged
        for row in card["properties"]
        if everything or row["state"] != "met"
    ]
    columns = ["profile", "severity", "property", "resource", "state", "filler", "field", "note"]
    if file:
        # A file may hold several datasets, and resources under any name.
        columns.append("subject")
    show_rows(rows, columns=columns, format=format, empty="Nothing is missing.")
    for card in judged:
        counts = (f"{card[name]} {name}" for name in ("violations", "warnings", "infos"))
        say(f"{card['profile']}: {', '.join(counts)}")
    if any(card["violations"] for card in judged):
        raise typer.Exit(1)


@app.command()
def rebuild(ctx: typer.Context) -> None:
    """Make the RDF view of the hub in the home folder anew from its database.

    Example: fairbank --home /srv/hub catalogue rebuild
    """
    from fairbank.catalogue.projector import Projector
    from fairbank.cli.errors import CliError

    projector = Projector(hub(ctx))
    if not projector.open():
        raise CliError(
            "Another process is writing the RDF view.",
            why="Only one may, and a running hub does.",
            todo="Stop the hub, rebuild, start it again.",
        )
    try:
        projector.rebuild()
    finally:
        projector.close()
    say("The RDF view was made anew.")


@app.command("import-idc")
def import_idc(
    ctx: typer.Context,
    parquet: Annotated[
        Path | None, typer.Option(help="File idc_index.parquet; that of the installed package by default.")
    ] = None,
    collections: Annotated[
        list[str] | None,
        typer.Option(help="Id of a collection, such as nlst; may be given again. All by default."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many collections, in the order of their ids.")
    ] = None,
    withdraw_missing: Annotated[
        bool, typer.Option("--withdraw-missing", help="Withdraw, for good, what the index no longer has.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Mirror the public index of the NCI Imaging Data Commons in the hub of the home folder.

    Each collection becomes a dataset of the node 'idc', which the hub keeps: counts by modality, body part and
    manufacturer, licence, DOIs and provenance; no image and no series. Run it again at any time: what says nothing new
    stays as it is. Needs the extra 'idc'.

    Example: fairbank --home /srv/hub catalogue import-idc --collections nlst --collections lidc_idri
    """
    from fairbank.catalogue.idc import mirror
    from fairbank.catalogue.idc.source import index_at, installed_index
    from fairbank.cli.errors import CliError

    wish = mirror.Wish(tuple(collections or ()), limit, withdraw_missing)
    if withdraw_missing and not wish.is_whole:
        raise CliError(
            "--withdraw-missing needs the whole index.",
            why="With --collections or --limit everything else would count as missing, and a withdrawal is final.",
            todo="Leave --collections and --limit out.",
        )
    opened = hub(ctx)
    index = index_at(parquet) if parquet is not None else installed_index()
    with counting("series read") as read, counting("collections") as published:
        watch = mirror.Watch(read=read, published=published)
        report = mirror.import_index(opened, index, wish, watch=watch)
    changed = any(outcome in mirror.CHANGES for outcome in report.outcomes)
    if changed:
        _bring_view_up_to_date(opened)
    outcomes = {outcome.value: number for outcome, number in sorted(report.outcomes.items())}
    show_fields(
        {
            "index": f"{index.release} ({index.version})",
            "rows": report.rows,
            "series described": report.series,
            "collections": outcomes,
            "rows left out": dict(report.left_out) or "none",
            "values not understood": dict(report.unknown) or "none",
        },
        format=format,
    )
    if not changed:
        say("Nothing has changed.")
    if gone := [step.collection for step in report.steps if step.outcome is mirror.Outcome.GONE]:
        say(f"No longer in the index, still published: {', '.join(gone)}. Withdraw them: --withdraw-missing.")


def _bring_view_up_to_date(opened: Hub) -> None:
    from fairbank.catalogue.projector import Projector

    projector = Projector(opened)
    if not projector.open():
        say("The running hub brings its RDF view up to date.")
        return
    try:
        projector.project()
    finally:
        projector.close()


@app.command()
def export(
    ctx: typer.Context,
    canonical: Annotated[
        bool, typer.Option("--canonical", help="Leave out what depends on this hub and not on the records.")
    ] = False,
    form: Annotated[
        ExportFormat,
        typer.Option("--format", help="nquads: with the named graphs; turtle: all triples in one."),
    ] = ExportFormat.NQUADS,
) -> None:
    """Write all that the hub in the home folder publishes for everybody to standard output, sorted.

    With --canonical two hubs of the same base IRI that hold the same records give the same bytes, in whatever order
    the records came. Left out are then: when the hub first published a dataset (dct:issued); of models and results the
    job's id, its times, and the digests of manifest and visa. The times in the records stay: their nodes sealed them.
    Row ids and run ids are in no export. Hidden and withdrawn datasets are in none either.

    Example: fairbank --home /srv/hub catalogue export --canonical > catalogue.nq
    """
    from fairbank.catalogue import export as view
    from fairbank.database import reading

    opened = hub(ctx)
    with reading(opened.engine) as session:
        quads = view.published_quads(session, opened.base_iri)
        chosen = view.canonical(quads, opened.base_iri) if canonical else quads
        content = view.written(chosen, form)
    sys.stdout.buffer.write(content)
