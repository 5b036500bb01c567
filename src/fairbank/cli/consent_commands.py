"""`fairbank node consent`: import consents, see who may be counted, record another legal basis."""

from __future__ import annotations

import getpass
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.prompts import read_text
from fairbank.cli.session import node

if TYPE_CHECKING:
    from datetime import date

    from fairbank.harvest.consent import ConsentStatus
    from fairbank.harvest.consent_table import Column, RowFault

app = typer.Typer(no_args_is_help=True, help="Import consents; see who may be counted; record a legal basis.")
_PROJECT = typer.Argument(help="Project of the research store.")
_ISSUER = typer.Option(help="Issuer of the patient ids, where the images name one.")
_SHOWN = 50


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help="CSV file in UTF-8 with headings, or - for standard input.")],
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=HEADING", help="Which heading is which column, such as patient=PID."),
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD=STATUS", help="What a word means: given, refused or withdrawn."),
    ] = None,
    scope: Annotated[str, typer.Option(help="Projects, or *, for rows that name none.")] = "",
    recorded_on: Annotated[str, typer.Option(help="Day (YYYY-MM-DD) for rows that name none.")] = "",
    issuer: Annotated[str, _ISSUER] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would come.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Put a table of consents on record; patients' numbers become keyed digests and are not kept.

    Example: fairbank node consent import consents.csv --column patient=PID --status ja=given --dry-run
    """
    from fairbank.harvest.consent_import import import_consents
    from fairbank.harvest.consent_table import Reading, read_consents
    from fairbank.harvest.consents import day_of

    opened = node(ctx)
    how = Reading(_columns(column or []), _words(status or []), issuer, scope, _day(recorded_on))
    # Read to its end first: a file that breaks off is not imported at all.
    lines = list(read_consents(read_text(file), how, today=day_of(opened.clock.now())))
    done = import_consents(opened, lines, by=getpass.getuser(), dry_run=dry_run)
    _say_faults(done.faults)
    fields: dict[str, object] = {"rows": done.rows}
    fields |= {f"rows {word}": count for word, count in done.statuses.items()}
    fields |= {
        "rows left out": len(done.faults),
        "statements new": done.new,
        "statements known": done.known,
        "subjects here": done.here,
        "subjects not here yet": done.elsewhere,
        "series taken out of the index": done.series_out,
        "dry run": done.rehearsed,
    }
    show_fields(fields, format=format)
    if done.faults:
        raise typer.Exit(1)


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the projects: on what they rest, and how many subjects may be counted.

    Example: fairbank node consent list
    """
    from fairbank.harvest.consent_counts import project_consent, projects

    opened = node(ctx)
    rows = []
    for project in projects(opened):
        found = project_consent(opened, project)
        rows.append(
            {
                "project": project,
                "basis": found.basis.value if found.basis else "consent",
                "subjects": found.subjects,
                "counted": found.counted,
                "left_out": found.subjects - found.counted,
                "expiring": found.expiring,
            }
        )
    columns = ("project", "basis", "subjects", "counted", "left_out", "expiring")
    show_rows(rows, columns=columns, format=format, empty="No project yet.")


@app.command()
def show(ctx: typer.Context, project: Annotated[str, _PROJECT], format: FormatOption = Format.TABLE) -> None:
    """Count how a project's subjects stand today: consented, expired, refused, withdrawn, nothing said.

    Example: fairbank node consent show thorax
    """
    from fairbank.harvest.consent import Standing
    from fairbank.harvest.consent_counts import SOON_DAYS, data_use_codes, project_consent
    from fairbank.harvest.legal_basis import bases

    opened = node(ctx)
    found = project_consent(opened, project)
    recorded = next((row for row in bases(opened) if row.project == project), None)
    fields: dict[str, object] = {"project": project, "basis": recorded.basis if recorded else "consent"}
    if recorded is not None:
        fields |= {"note": recorded.note, "recorded by": recorded.recorded_by, "recorded": recorded.recorded}
    fields |= {"subjects": found.subjects, "counted": found.counted}
    fields |= {stands.value: found.standings.get(stands, 0) for stands in Standing}
    fields[f"expiring within {SOON_DAYS} days"] = found.expiring
    fields |= {f"statements naming {code}": count for code, count in data_use_codes(opened, project).items()}
    show_fields(fields, format=format)


@app.command()
def check(
    ctx: typer.Context,
    patient_file: Annotated[str, typer.Argument(help="File with one patient id per line, or -.")],
    project: Annotated[str, typer.Option(help="Project of the research store.")],
    issuer: Annotated[str, _ISSUER] = "",
    format: FormatOption = Format.TABLE,
) -> None:
    """Say of single patients how they stand in a project, by the line in which they are named.

    Example: fairbank node consent check - --project thorax
    """
    from fairbank.errors import Sensitive
    from fairbank.harvest.consent_counts import patient_standings

    lines = [
        (number, Sensitive(line.strip(), reference=f"line {number}"))
        for number, line in enumerate(read_text(patient_file).splitlines(), start=1)
        if line.strip()
    ]
    found = patient_standings(node(ctx), [one for _, one in lines], project, issuer=issuer)
    rows = [
        {"line": number, "standing": stands.value, "counted": counted}
        for (number, _), (stands, counted) in zip(lines, found, strict=True)
    ]
    show_rows(rows, columns=("line", "standing", "counted"), format=format, empty="The file names nobody.")


@app.command()
def basis(
    ctx: typer.Context,
    project: Annotated[str, _PROJECT],
    word: Annotated[str, typer.Argument(help="The basis; see docs/how-to/consent.md.")] = "",
    note: Annotated[str, typer.Option(help="On which law, decision or protocol it rests.")] = "",
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove it: from now on consent is needed.")
    ] = False,
) -> None:
    """Record on which legal basis other than consent a project's images are used, or remove it.

    Example: fairbank node consent basis thorax scientific-research --note "Ethics committee 2026-114, § 27 BDSG"
    """
    from fairbank.harvest.consent import LegalBasis
    from fairbank.harvest.legal_basis import record_basis, remove_basis

    words = [one.value for one in LegalBasis]
    if remove:
        if word or note:
            raise typer.BadParameter("--remove takes neither a basis nor a note")
        remove_basis(node(ctx), project)
        say(f"{project} rests on consent now; who has not given it left the index.")
        return
    if word not in words:
        raise typer.BadParameter(f"{word!r} is not one of {', '.join(words)}")
    if not note.strip():
        raise typer.BadParameter("say with --note on which law, decision or protocol it rests")
    record_basis(node(ctx), project, LegalBasis(word), note=note, by=getpass.getuser())
    say(f"Recorded for {project}: {word}. Index its datasets again to bring it to bear.")


def _columns(pairs: list[str]) -> dict[Column, str]:
    from fairbank.harvest.consent_table import Column

    named = dict(_pair(pair) for pair in pairs)
    known = [one.value for one in Column]
    return {Column(_known(name, known)): heading for name, heading in named.items()}


def _words(pairs: list[str]) -> dict[str, ConsentStatus]:
    from fairbank.harvest.consent import ConsentStatus

    named = dict(_pair(pair) for pair in pairs)
    known = [one.value for one in ConsentStatus]
    return {word.casefold(): ConsentStatus(_known(status, known)) for word, status in named.items()}


def _pair(pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not equals or not name or not value:
        raise typer.BadParameter("write NAME=VALUE")
    return name, value


def _known(word: str, known: list[str]) -> str:
    if word not in known:
        raise typer.BadParameter(f"{word!r} is not one of {', '.join(known)}")
    return word


def _day(text: str) -> date | None:
    from datetime import date

    try:
        return date.fromisoformat(text) if text else None
    except ValueError as err:
        raise typer.BadParameter("a day is YYYY-MM-DD") from err


def _say_faults(faults: tuple[RowFault, ...]) -> None:
    for fault in faults[:_SHOWN]:
        where = f", column {fault.column.value}" if fault.column else ""
        say(f"row {fault.row}{where}: {fault.fault.value}")
    if len(faults) > _SHOWN:
        counted = Counter(fault.fault.value for fault in faults)
        say(f"… {len(faults)} in all: " + ", ".join(f"{word} {count}" for word, count in counted.items()))
