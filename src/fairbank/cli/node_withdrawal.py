"""`fairbank node withdraw`: withdraw a subject from everything that this node keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.persons import As, PhraseFile, signer
from fairbank.cli.prompts import read_patient_id
from fairbank.cli.session import node

if TYPE_CHECKING:
    from fairbank.federated_jobs.node.withdrawn_subjects import Named, SubjectWithdrawn


def add_to(app: typer.Typer) -> None:
    """Add the verb to the noun `node`."""
    app.command()(withdraw)


def withdraw(
    ctx: typer.Context,
    project: Annotated[
        str,
        typer.Argument(
            help="Project that must know the subject; it is withdrawn from all. Needed by --pseudonym."
        ),
    ] = "",
    patient_id_file: Annotated[
        str, typer.Option(help="File with the patient's id as the archive has it, or - for standard input.")
    ] = "-",
    issuer: Annotated[str, typer.Option(help="Issuer of the id, where the files name one.")] = "",
    pseudonym: Annotated[
        str, typer.Option(help="The subject's pseudonym in the project, instead of an id.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")
    ] = False,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Finish withdrawals that were cut off, and name nobody.")
    ] = False,
    as_: As = "",
    passphrase_file: PhraseFile = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Withdraw a subject from all that this node keeps, now and for files to come. This cannot be undone.

    Example: fairbank node withdraw --patient-id-file -
    """
    from fairbank.federated_jobs.node import withdrawn_subjects as subjects

    opened = node(ctx)
    if unfinished:
        done = subjects.finish(opened)
        for each in done:
            _show(each, format=format)
        say(f"Finished: {len(done)}.")
        return
    named = _named(project, patient_id_file, issuer, pseudonym)
    if dry_run:
        _show(subjects.foresee(opened, named), format=format)
        say("Nothing was changed.")
        return
    gone = subjects.withdraw(opened, named, signer=signer(opened, as_, passphrase_file))
    _show(gone, format=format)
    say(_cannot_be_undone(gone))


def _named(project: str, patient_id_file: str, issuer: str, pseudonym: str) -> Named:
    from fairbank.errors import Sensitive
    from fairbank.federated_jobs.node.withdrawn_subjects import Named

    if pseudonym:
        if not project:
            raise typer.BadParameter("a pseudonym is one of a project: name the project as well")
        return Named(project=project, pseudonym=pseudonym)
    patient_id = read_patient_id(patient_id_file)
    return Named.by_id(Sensitive(patient_id, reference="the patient"), issuer=issuer, project=project)


def _show(gone: SubjectWithdrawn, *, format: Format) -> None:
    rows: list[dict[str, object]] = [{"what": "projects", "count": len(gone.projects), "detail": ""}]
    rows += [{"what": what, "count": count, "detail": ""} for what, count in gone.gone.items()]
    rows += [
        {"what": f"job {one.job}", "count": one.left, "detail": f"{one.title} · {one.tool} · {one.state}"}
        for one in gone.jobs
    ]
    show_rows(rows, columns=("what", "count", "detail"), format=format)


def _cannot_be_undone(gone: SubjectWithdrawn) -> str:
    lines = [
        "Withdrawn. The subject is on the suppression list, and refused from now on.",
        "What cannot be called back: results and models that have left, printouts, and copies outside this node; "
        "backups of it hold the subject until they are overwritten.",
    ]
    if gone.jobs:
        lines.append(
            "Jobs above: the count is of results that have left. Who asked for a job can be told; "
            "a model that was trained with the subject stays as it is."
        )
    lines.append("Published counts change with the next publication.")
    if not gone.compacted:
        lines.append(
            "The node's database was in use and could not be rewritten: deleted rows may be left in its file. "
            "Do it when nothing runs: fairbank node withdraw --unfinished"
        )
    return "\n".join(lines)
