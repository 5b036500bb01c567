"""`fairbank deid`: de-identify files, look at what was cleaned and what is held, withdraw a subject."""

from __future__ import annotations

import getpass
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.prompts import read_text
from fairbank.cli.session import CLOCK, node

if TYPE_CHECKING:
    from fairbank.deid.pipeline import Site
    from fairbank.federated_jobs.node.withdrawn_subjects import SubjectWithdrawn
    from fairbank.release.node import Node

app = typer.Typer(
    no_args_is_help=True, help="De-identify collections; see what was cleaned and what is held."
)
_PROJECT = typer.Argument(help="Project of the research store.")


@app.command()
def run(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder of DICOM files.", exists=True)],
    project: Annotated[str, typer.Option(help="Project of the research store that they go to.")],
    profile: Annotated[str, typer.Option(help="basic or research.")] = "research",
    format: FormatOption = Format.TABLE,
) -> None:
    """De-identify a folder of DICOM files into the research store.

    Example: fairbank deid run /data/incoming --project thorax
    """
    from fairbank.database import reading
    from fairbank.deid.cleaning import Order
    from fairbank.deid.pipeline import deidentify, summarise
    from fairbank.deid.profiles import Profile
    from fairbank.deid.source_files import files_under
    from fairbank.harvest.consents import admitted, gate

    opened = node(ctx)
    words = [one.value for one in Profile]
    if profile not in words:
        raise typer.BadParameter(f"{profile!r} is not one of {', '.join(words)}")
    order = Order(project=project, profile=Profile(profile))
    with reading(opened.engine) as session:
        may = admitted(session, gate(session, project, at=CLOCK.now()))
    outcomes = deidentify(
        files_under(folder),
        order,
        site=_site(opened),
        agent=getpass.getuser(),
        admitted=may,
        workers=opened.settings.deid_workers,
    )
    summary = summarise(outcomes)
    fields: dict[str, object] = {
        f"files {status.value}": count for status, count in summary.by_status.items()
    }
    fields |= {f"reason: {reason.value}": count for reason, count in summary.by_reason.items()}
    show_fields(fields or {"files": 0}, format=format)
    if summary.failed:
        raise typer.Exit(1)


@app.command()
def status(
    ctx: typer.Context, project: Annotated[str, _PROJECT], format: FormatOption = Format.TABLE
) -> None:
    """Count a project's files by what became of them.

    Example: fairbank deid status thorax
    """
    from sqlalchemy import select

    from fairbank.database import reading
    from fairbank.deid.store import ItemRow

    with reading(node(ctx).engine) as session:
        items = session.execute(
            select(ItemRow.status, ItemRow.reason, ItemRow.profile).where(ItemRow.project == project)
        )
        counted = Counter((row.status, row.reason, row.profile) for row in items)
    rows = [
        {"status": status, "reason": reason, "profile": profile, "files": count}
        for (status, reason, profile), count in sorted(counted.items(), key=lambda item: -item[1])
    ]
    show_rows(
        rows,
        columns=("status", "reason", "profile", "files"),
        format=format,
        empty="Nothing was cleaned yet.",
    )


@app.command()
def quarantine(
    ctx: typer.Context, project: Annotated[str, _PROJECT], format: FormatOption = Format.TABLE
) -> None:
    """List what is held, and why; names are neutral.

    Example: fairbank deid quarantine thorax
    """
    from fairbank.database import reading
    from fairbank.deid.store import quarantined

    with reading(node(ctx).engine) as session:
        rows = [
            {"name": row.quarantine, "status": row.status, "reason": row.reason, "at": row.finished_at}
            for row in quarantined(session, project)
        ]
    show_rows(rows, columns=("name", "status", "reason", "at"), format=format, empty="Nothing is held.")


@app.command()
def facts(ctx: typer.Context, project: Annotated[str, _PROJECT], format: FormatOption = Format.TABLE) -> None:
    """Show the coded facts taken before cleaning; they stay at this node.

    Example: fairbank deid facts thorax --format csv
    """
    from dataclasses import asdict

    from fairbank.database import reading
    from fairbank.deid.store import facts_of

    with reading(node(ctx).engine) as session:
        rows = [asdict(sheet) for sheet in facts_of(session, project).values()]
    columns = ("series_uid", "modality", "sex", "age_band", "contrast", "kernel_class", "acquisition_year")
    show_rows(rows, columns=columns, format=format, empty="No facts yet.")


@app.command()
def withdraw(
    ctx: typer.Context,
    project: Annotated[str, _PROJECT],
    pseudonym: Annotated[str, typer.Argument(help="The subject's pseudonym in this project.")],
) -> None:
    """Withdraw a subject: erase the salt, the files and the facts in every project. This cannot be undone.

    Example: fairbank deid withdraw thorax K7Q2M4X6B3N5P8R1
    """
    from fairbank.federated_jobs.node.withdrawn_subjects import withdraw_subject

    _say_withdrawn(withdraw_subject(node(ctx), project, pseudonym))


@app.command("withdraw-patient")
def withdraw_patient(
    ctx: typer.Context,
    patient_id_file: Annotated[
        str, typer.Option(help="File with the patient's id as the archive has it, or - for standard input.")
    ],
    issuer: Annotated[str, typer.Option(help="Issuer of the id, where the files name one.")] = "",
) -> None:
    """Withdraw a patient by the archive's id, which is not kept. Cannot be undone; holds for files to come too.

    Example: fairbank deid withdraw-patient --patient-id-file -
    """
    from fairbank.errors import Sensitive
    from fairbank.federated_jobs.node.withdrawn_subjects import withdraw_patient as forget

    patient_id = read_text(patient_id_file).strip()
    if not patient_id:
        raise typer.BadParameter("the file with the patient's id is empty")
    _say_withdrawn(forget(node(ctx), Sensitive(patient_id, reference="the patient"), issuer=issuer))


def _say_withdrawn(gone: SubjectWithdrawn) -> None:
    say(
        f"Withdrawn from {gone.projects} projects: {gone.series} series, {gone.files} files, {gone.items} entries."
    )
    if gone.jobs:
        say(
            f"Removed from {gone.jobs} jobs; what they computed before cannot be called back once it has left."
        )
    say("The withdrawal is on record. Published counts change with the next publication.")


def _site(opened: Node) -> Site:
    from fairbank.deid.identity import IDENTITY_FILE, IdentityStore
    from fairbank.deid.pipeline import Site
    from fairbank.deid.research_store import ResearchStore

    identity = IdentityStore.open_or_create(opened.settings.home / IDENTITY_FILE, clock=CLOCK)
    return Site(identity, ResearchStore(opened.settings.store_path), opened.engine, CLOCK)
