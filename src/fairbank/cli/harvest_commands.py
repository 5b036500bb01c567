"""`fairbank harvest`: connect an archive, pull it through de-identification, index, publish what may leave."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from fairbank.cli import harvest_runs, node_sources
from fairbank.cli.harvest_quality import app as quality_app
from fairbank.cli.harvest_quality import series
from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.progress import bar
from fairbank.cli.session import node
from fairbank.cli.variable_commands import app as variables_app

app = typer.Typer(no_args_is_help=True, help="Connect an archive, index its series, publish what may leave.")
app.add_typer(variables_app, name="variables")
app.add_typer(quality_app, name="quality")
app.command()(series)
_DATASET = typer.Argument(help="Name of the dataset.")


@app.command("add-source")
def add_source(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What you call the archive.")],
    location: Annotated[str, typer.Argument(help="Address of an XNAT, or path of a folder of DICOM files.")],
    user: Annotated[str, typer.Option(help="User of the XNAT.")] = "",
    password_file: Annotated[
        Path | None, typer.Option(help="File of mode 0600 with that user's password.")
    ] = None,
) -> None:
    """Remember an archive; an address starting with http is an XNAT, anything else a folder.

    Example: fairbank harvest add-source archive https://xnat.example.org --user reader --password-file xnat.secret
    """
    node_sources.remember(ctx, name, location, user=user, password_file=password_file)


@app.command()
def sources(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the archives that the node reads.

    Example: fairbank harvest sources
    """
    node_sources.show_sources(ctx, format)


@app.command()
def check(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """Try an archive, and list the projects that it shows.

    Example: fairbank harvest check archive
    """
    node_sources.try_source(ctx, source, format)


@app.command()
def rehearse(
    ctx: typer.Context,
    source: Annotated[
        str, typer.Argument(help="Name of a source that describes series: a table, BIDS, FHIR.")
    ],
    container: Annotated[str, typer.Argument(help="One of the containers that 'harvest check' lists.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """Read what a source states of its series and keep nothing; what is wrong is told by row or number.

    Example: fairbank harvest rehearse registry brains
    """
    from fairbank.harvest.rehearsal import rehearse as look

    found = look(node(ctx), source, container)
    for problem in found.problems:
        say(problem)
    fields = {"series": found.series, "described": found.described, "subjects": found.subjects}
    show_fields(fields | {f"{name} known": number for name, number in found.known.items()}, format=format)
    if found.described < found.series:
        raise typer.Exit(1)


@app.command()
def pull(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    container: Annotated[str, typer.Argument(help="Project of the archive, or subfolder.")],
    project: Annotated[
        str | None, typer.Option(help="Project of the research store; the same name by default.")
    ] = None,
    profile: Annotated[str, typer.Option(help="basic or research.")] = "research",
    trust_pixels: Annotated[
        str, typer.Option(help="strict, ultrasound or reviewed: what is believed of pixels that say nothing.")
    ] = "strict",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done; fetch and write nothing.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """De-identify what is new in an archive's project into the research store.

    Example: fairbank harvest pull archive THORAX
    """
    from fairbank.deid.policies import PixelTrust
    from fairbank.deid.profiles import Profile
    from fairbank.harvest.runs import PullOrder, rehearse_pull
    from fairbank.harvest.runs import pull as run

    order = PullOrder(
        source=source,
        container=container,
        project=project or container.lower(),
        agent=getpass.getuser(),
        profile=Profile(_word(profile, [one.value for one in Profile])),
        trust=PixelTrust(_word(trust_pixels, [one.value for one in PixelTrust])),
    )
    if dry_run:
        harvest_runs.show_forecast(rehearse_pull(node(ctx), order), format)
        return
    with bar(f"Pulling {container}") as progress:
        report = run(node(ctx), order, progress=progress)
    harvest_runs.show_report(report, format)


harvest_runs.add_to(app)


@app.command()
def index(ctx: typer.Context, dataset: Annotated[str, _DATASET], format: FormatOption = Format.TABLE) -> None:
    """Bring a dataset's index up to date with the research store.

    Example: fairbank harvest index northfield-ct
    """
    from fairbank.harvest.index import index_store

    with bar(f"Indexing {dataset}") as progress:
        report = index_store(node(ctx), dataset, progress=progress)
    harvest_runs.show_report(report, format)


@app.command()
def held(
    ctx: typer.Context,
    dataset: Annotated[str, _DATASET],
    counts: Annotated[bool, typer.Option("--counts", help="Only how many for which reason.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """List the series that may not be published, and why; all names are pseudonyms.

    Example: fairbank harvest held northfield-ct --counts
    """
    from fairbank.harvest.held import held_counts, held_series

    found = held_series(node(ctx), dataset)
    by_reason = held_counts(found)
    if counts:
        rows = [{"reason": reason.value, "series": count} for reason, count in by_reason.items()]
        show_rows(rows, columns=("reason", "series"), format=format, empty="Nothing is held.")
        return
    say(", ".join(f"{reason.value}: {count}" for reason, count in by_reason.items()) or "Nothing is held.")
    columns = ("series_uid", "subject", "modality", "source", "reason")
    listed = [
        {column: getattr(one, column) for column in columns[:-1]} | {"reason": one.reason.value}
        for one in found
    ]
    show_rows(listed, columns=columns, format=format, empty="")


@app.command()
def preview(
    ctx: typer.Context,
    dataset: Annotated[str, _DATASET],
    explain: Annotated[
        bool, typer.Option("--explain", help="List which counts are withheld or wait, and why, instead.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Print exactly the record that would leave if it were due; nothing is staged.

    Example: fairbank harvest preview northfield-ct --explain
    """
    import json
    import sys

    from fairbank.harvest.explaining import explained
    from fairbank.harvest.publishing import preview as look

    seen = look(node(ctx), dataset)
    if explain:
        rows = [
            {"count": one.what, "at the node": one.here, "would tell": one.told, "why": one.why}
            for one in explained(seen)
        ]
        columns = ("count", "at the node", "would tell", "why")
        show_rows(rows, columns=columns, format=format, empty="Nothing is withheld, and nothing waits.")
    else:
        sys.stdout.write(json.dumps(seen.record.payload(), indent=2, ensure_ascii=False) + "\n")
    if seen.put_off:
        say(f"Changes of {seen.put_off} subjects wait for others, so that no difference tells of a few.")
    if seen.due is not None and seen.due > node(ctx).clock.now():
        say(f"Other counts than the last can be published from {seen.due:%Y-%m-%d %H:%M} UTC on.")


@app.command()
def publish(
    ctx: typer.Context, dataset: Annotated[str, _DATASET], format: FormatOption = Format.TABLE
) -> None:
    """Put a dataset's record into the outbox, and send it if it may leave and the node has enrolled.

    Example: fairbank harvest publish northfield-ct
    """
    from fairbank.harvest.publishing import publish as stage
    from fairbank.release.hub_client import HubClient
    from fairbank.release.outbox import Outbox
    from fairbank.release.releases import ReleaseState

    opened = node(ctx)
    made = stage(opened, dataset)
    release = made.release
    assert release is not None
    sent = release.state is ReleaseState.READY and opened.enrolment is not None
    if release.state is ReleaseState.HELD:
        say(f"It waits until a curator approves it: fairbank node outbox show {release.output}.")
    elif opened.enrolment is None:
        say("This node has not enrolled: the record waits in the outbox (fairbank node outbox list).")
    if made.counts_stay:
        say("Its counts are those of the last record.")
    if sent:
        Outbox(opened, HubClient.of(opened)).send(release.id)
    show_fields(
        {
            "dataset": dataset,
            "version": made.record.version,
            "bytes": release.size_bytes,
            "digest": release.digest,
            "state": "sent" if sent else release.state.value,
            "sent": sent,
            "subjects": made.record.totals.subjects.model_dump(mode="json", exclude_none=True),
            "series": made.record.totals.series.model_dump(mode="json", exclude_none=True),
            "cells": len(made.record.cube),
        },
        format=format,
    )


def _word(given: str, known: list[str]) -> str:
    if given not in known:
        raise typer.BadParameter(f"{given!r} is not one of {', '.join(known)}")
    return given
