"""Outputs in which a person has seen something identifying: taken back out of the output folder at once, on record.

What was seen in one file is taken to be in others of its kind: in the whole group, if a person had released it, else in
the whole series.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from pydicom import dcmread

from fairbank.clock import Clock, iso
from fairbank.deid import part10
from fairbank.deid.decisions import Verdict
from fairbank.deid.groups import group_of, reason_of
from fairbank.deid.outcomes import Reason
from fairbank.deid.running.accounts import FILES, Accounts
from fairbank.deid.running.committing import Committer
from fairbank.deid.running.journal import FileRow, Journal
from fairbank.deid.running.place import REPORT, Place, writing_errors

WHY = "seen in a sample of the outputs to identify somebody"


def take_back(place: Place, journal: Journal, outputs: Iterable[str], agent: str, clock: Clock) -> int:
    """Hold outputs and their kind; return how many files were taken back.

    They lie in quarantine as they went out, and stay held in later runs until a person decides of their group. What is
    in `report/files.json` is corrected; the report itself has to be written anew.

    Raises:
        FolderInUse: if a run is writing to the folder.
        StoreNotWritable: if the files cannot be moved.
    """
    with place.alone():
        wanted = set(outputs)
        seen = [row for row in journal.cleaned() if row.output in wanted]
        rows = {row.item: _seen(place, row) for row in seen}
        for row in _of_their_kind(journal, seen):
            rows.setdefault(row.item, _seen(place, row) if row.grp is None else _of_group(row))
        with journal.writing():
            for group in sorted({row.grp for row in seen if row.grp is not None}):
                told = (group, Verdict.KEEP_HELD.value, WHY, agent, iso(clock.now()))
                journal.execute(
                    "insert into decisions (grp, verdict, reason, agent, at) values (?,?,?,?,?)", *told
                )
        Committer(place, journal, clock.new_id()).take_back(list(rows.values()))
        _correct(place.root / REPORT, [(str(row.output), row) for row in rows.values()])
    return len(rows)


def _of_their_kind(journal: Journal, seen: Iterable[FileRow]) -> list[FileRow]:
    groups = {row.grp for row in seen if row.grp is not None}
    series = {row.series for row in seen if row.grp is None and row.series is not None}
    return [
        row for row in journal.cleaned() if row.grp in groups or (row.grp is None and row.series in series)
    ]


def _seen(place: Place, row: FileRow) -> FileRow:
    reason = Reason.SEEN_IDENTIFYING
    return replace(
        row, state=reason.status.value, reason=reason.value, grp=_kind_of(place, row), verdict=None
    )


def _of_group(row: FileRow) -> FileRow:
    """Return what is known of a file whose group's release is taken back."""
    reason = reason_of(str(row.grp)) or Reason.SEEN_IDENTIFYING
    return replace(row, state=reason.status.value, reason=reason.value, verdict=Verdict.KEEP_HELD.value)


def _kind_of(place: Place, row: FileRow) -> str:
    try:
        with part10.quiet_pydicom():
            dataset = dcmread(place.root / str(row.output), stop_before_pixels=True)
        return group_of(dataset, Reason.SEEN_IDENTIFYING)
    except Exception:  # noqa: BLE001 - whatever a reader raises: the file is held all the same
        return f"{Reason.SEEN_IDENTIFYING.value}|"


def _correct(report: Path, taken: Iterable[tuple[str, FileRow]]) -> None:
    if not (report / FILES).is_file():
        return
    with closing(Accounts()) as accounts, writing_errors():
        accounts.carry_over(report)
        for output, row in taken:
            accounts.took_back(output, row.state, row.reason)
        accounts.write(report)
