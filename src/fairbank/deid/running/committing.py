"""How the work on a series becomes visible: noted in the journal at once, then renamed into its place.

The note is the commit. Renames that a crash prevents are done by the next run, from the note; files that were never
noted are discarded. So a series is whole or absent.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from fairbank.deid.cleaning import TOOL
from fairbank.deid.outcomes import Reason, Status
from fairbank.deid.running.journal import FileRow, Journal
from fairbank.deid.running.place import QUARANTINE, WRITTEN_NS, Place, writing_errors
from fairbank.deid.running.series_work import FileResult, UnitResult, status_of

Moves = list[tuple[str | None, str]]
_HELD = "held"
_DIGITS = 6


class Committer:
    """Takes the results of units, in their order, into the output folder and the journal."""

    def __init__(self, place: Place, journal: Journal, run: str) -> None:
        self._place = place
        self._journal = journal
        self._run = run
        self._number = journal.next_quarantine_number()

    def recover(self) -> None:
        """Finish the renames that an earlier run had noted, then discard what it had not."""
        for name, moves in self._journal.open_commits():
            self._move(moves)
            self._journal.end_commit(name)
        self._place.clear_staging()

    def commit(self, result: UnitResult) -> list[FileRow]:
        """Take one unit's result; return the rows of its inputs.

        Raises:
            StoreNotWritable: if the disk is full; nothing of the unit is visible then.
        """
        if result.unchanged:
            noted = [self._journal.of_item(file.item) for file in result.files]
            return [row for row in noted if row is not None]
        known = self._known(result)
        moves: Moves = []
        with writing_errors():
            # In the order of keyed digests: numbers in quarantine tell nothing of the order of names.
            files = sorted(result.files, key=lambda file: file.item)
            rows = [self._row(file, result, known.get(file.item), moves) for file in files]
            rows += self._of_absent(result, known, moves)
        name = f"{self._run}-{result.unit.number:09d}"
        moves = self._whole_folders(moves)
        with self._journal.writing():
            self._journal.put(rows)
            if result.unit.series is not None:
                self._journal.put_series(result.unit.series, result.actions, asdict(result.face))
                self._journal.put_standard(result.unit.series, result.standard)
            if moves:
                self._journal.put_commit(name, moves)
        self._move(moves)
        if moves:
            self._journal.end_commit(name)
        shutil.rmtree(result.folder, ignore_errors=True)
        present = {file.item for file in result.files}
        return [row for row in rows if row.item in present]

    def take_back(self, rows: Sequence[FileRow]) -> None:
        """Move outputs into quarantine and forget what they were.

        Args:
            rows: what is to be known of them from now on, but with the outputs that they have still.

        Raises:
            StoreNotWritable: if the disk is full.
        """
        moves: Moves = []
        held = []
        for row in rows:
            target = f"{QUARANTINE}/{row.reason}/q-{self._number:0{_DIGITS}d}"
            self._number += 1
            moves += [(row.output, target), (None, str(row.output))]
            with writing_errors():
                (self._place.root / str(row.output)).chmod(0o600)
            held.append(
                replace(row, output=None, quarantine=target, subject=None, sop=None, made=None, work=None)
            )
        with self._journal.writing():
            self._journal.put(held)
            self._journal.put_commit(self._run, moves)
        self._move(moves)
        self._journal.end_commit(self._run)

    def _known(self, result: UnitResult) -> dict[str, FileRow]:
        found = [self._journal.of_item(file.item) for file in result.files]
        if result.unit.series is not None:
            found += self._journal.of_series(result.unit.series)
        return {row.item: row for row in found if row is not None}

    def _row(self, file: FileResult, result: UnitResult, known: FileRow | None, moves: Moves) -> FileRow:
        if self._journal.is_own_output(file.item):
            file = _withheld(file, result, Reason.ALREADY_DEIDENTIFIED)
        elif file.reason is None and self._is_taken(file, result):
            file = _withheld(file, result, Reason.DUPLICATE_INSTANCE)
        quarantine = self._quarantined(file, result, known, moves)
        if known is not None and known.quarantine not in (None, quarantine):
            moves.append((None, str(known.quarantine)))
        if known is not None and known.output not in (None, file.output):
            moves.append((None, str(known.output)))
        if file.output is not None:
            staged = (result.folder / file.output).relative_to(self._place.root)
            moves.append((staged.as_posix(), file.output))
        is_clean = file.output is not None
        return FileRow(
            item=file.item,
            series=result.unit.series,
            state=status_of(file.reason).value,
            reason=None if file.reason is None else file.reason.value,
            grp=file.group,
            verdict=file.verdict,
            output=file.output,
            quarantine=quarantine,
            subject=file.subject if is_clean else None,
            sop=file.sop if is_clean else None,
            made=file.made if is_clean else None,
            size=file.size,
            tool=TOOL,
            work=file.work if is_clean else None,
            run=self._run,
        )

    def _is_taken(self, file: FileResult, result: UnitResult) -> bool:
        """Tell whether the instance was made already of a file of another series."""
        maker = None if file.sop is None else self._journal.maker_of(file.sop)
        return maker is not None and maker.item != file.item and maker.series != result.unit.series

    def _quarantined(
        self, file: FileResult, result: UnitResult, known: FileRow | None, moves: Moves
    ) -> str | None:
        if file.reason is None or file.reason.status is Status.NOT_NEEDED:
            return None
        kept = known.quarantine if known is not None and known.reason == file.reason.value else None
        if kept is not None and (self._place.root / kept).is_file():
            return kept
        name = f"q-{self._number:0{_DIGITS}d}"
        staged = result.folder / _HELD / name
        staged.parent.mkdir(parents=True, exist_ok=True)
        try:
            _copy(result.unit.paths[file.place], staged)
        except FileNotFoundError:
            return None  # it vanished after it was read; what is known of it stays true
        self._number += 1
        target = f"{QUARANTINE}/{file.reason.value}/{name}"
        moves.append((staged.relative_to(self._place.root).as_posix(), target))
        return target

    def _of_absent(self, result: UnitResult, known: Mapping[str, FileRow], moves: Moves) -> list[FileRow]:
        """Return what changes of inputs that earlier runs saw: a series that is held now is held whole."""
        present = {file.item for file in result.files}
        rows = []
        for row in known.values():
            if row.item in present or row.output is None:
                continue
            if row.item in result.remade:
                staged = (result.folder / row.output).relative_to(self._place.root)
                moves.append((staged.as_posix(), row.output))
                rows.append(replace(row, made=result.remade[row.item]))
            elif (reason := result.refused) is not None:
                moves.append((None, row.output))
                rows.append(
                    replace(
                        row,
                        state=reason.status.value,
                        reason=reason.value,
                        output=None,
                        subject=None,
                        sop=None,
                        made=None,
                        work=None,
                    )
                )
        return rows

    def _whole_folders(self, moves: Moves) -> Moves:
        """Put one rename of a folder in the place of those of its files, where the folder is not there yet."""
        by_folder: dict[tuple[str, str], int] = {}
        for old, new in moves:
            if old is not None and not new.startswith(f"{QUARANTINE}/"):
                pair = (old.rpartition("/")[0], new.rpartition("/")[0])
                by_folder[pair] = by_folder.get(pair, 0) + 1
        whole = {pair for pair in by_folder if not (self._place.root / pair[1]).exists()}
        kept: Moves = [
            (old, new)
            for old, new in moves
            if old is None or (old.rpartition("/")[0], new.rpartition("/")[0]) not in whole
        ]
        return [*kept, *sorted(whole)]

    def _move(self, moves: Moves) -> None:
        root = self._place.root
        with writing_errors():
            folders = set()
            for old, new in moves:
                target = root / new
                folders.add(target.parent)
                if old is None:
                    target.unlink(missing_ok=True)
                    continue
                _make_folders(target.parent, root)
                if (root / old).exists():
                    (root / old).replace(target)
            for folder in sorted(folders):
                _flush_or_drop(folder, root)


def _withheld(file: FileResult, result: UnitResult, reason: Reason) -> FileResult:
    """Take back what was cleaned, before anybody could see it."""
    if file.output is not None:
        (result.folder / file.output).unlink()
    return replace(file, reason=reason, output=None)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("wb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)
        writing.flush()
        os.utime(writing.fileno(), ns=(WRITTEN_NS, WRITTEN_NS))
        os.fsync(writing.fileno())
    target.chmod(0o600)


def _make_folders(folder: Path, root: Path) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent, root)
    private = folder.is_relative_to(root / QUARANTINE)
    folder.mkdir(mode=0o700 if private else 0o777, exist_ok=True)


def _flush_or_drop(folder: Path, root: Path) -> None:
    """Wait until a folder's entries are on the disk; remove it if nothing is left in it."""
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
    if folder.is_dir():
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
