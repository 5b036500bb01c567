"""The account of a run: of each input, by its digest, what became of it."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from fairbank.deid.groups import may_be_released
from fairbank.deid.outcomes import Reason, Status
from fairbank.deid.running.journal import FileRow
from fairbank.deid.running.series_work import UnitResult

REVIEW = "review"
FILES = "files.json"


class Accounts:
    """What became of each input of one run, kept in a file without a name until it is written."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.execute(
            "create table inputs (digest text primary key, state text, reason text, output text, copies integer)"
        )
        self.unread: Counter[str] = Counter()

    def close(self) -> None:
        """Let the accounts go."""
        self._database.close()

    def add(self, result: UnitResult, rows: Sequence[FileRow]) -> None:
        """Take in what became of a unit's inputs."""
        by_item = {row.item: row for row in rows}
        values = []
        for file in result.files:
            row = by_item[file.item]
            copies = 1 + result.copies.get(file.digest, 0)
            values.append((file.digest, row.state, row.reason, row.output, copies))
        # The same bytes cannot be in two series; files without a series may be in several units.
        self._database.executemany(
            "insert into inputs values (?,?,?,?,?)"
            " on conflict (digest) do update set copies = copies + excluded.copies",
            values,
        )
        if result.unread:
            self.unread[Reason.UNREADABLE.value] += len(result.unread)

    def by_reason(self) -> dict[tuple[str, str | None], int]:
        """Return how many files ended how, copies counted."""
        query = "select state, reason, sum(copies) from inputs group by state, reason"
        return {(state, reason): count for state, reason, count in self._database.execute(query)}

    def carry_over(self, folder: Path) -> None:
        """Take in what an earlier account says of inputs that this run, which was stopped, did not come to."""
        path = folder / FILES
        if not path.is_file():
            return
        with path.open(encoding="utf-8") as file:
            self._database.executemany("insert or ignore into inputs values (?,?,?,?,?)", _told_in(file))

    def took_back(self, output: str, state: str, reason: str | None) -> None:
        """Correct what is told of an output that is no longer there."""
        told = (state, reason, output)
        self._database.execute(
            "update inputs set state = ?, reason = ?, output = null where output = ?", told
        )

    def write(self, folder: Path) -> None:
        """Write `files.json`: whole, or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{FILES}.part"
        try:
            with partial.open("w", encoding="utf-8") as file:
                self._write(file.write)
                file.flush()
                os.fsync(file.fileno())
            partial.chmod(0o600)
            partial.replace(folder / FILES)
        except OSError:
            partial.unlink(missing_ok=True)
            raise

    def _write(self, put: Callable[[str], object]) -> None:
        before = "{\n"
        query = "select digest, state, reason, output, copies from inputs order by digest"
        for digest, state, reason, output, copies in self._database.execute(query):
            told = {
                "output": output,
                "state": state_told(state, reason),
                "reasons": [] if reason is None else [reason],
            }
            if copies > 1:
                told["copies"] = copies
            put(f"{before}{json.dumps(digest)}: {json.dumps(told, sort_keys=True)}")
            before = ",\n"
        put("\n}\n" if before != "{\n" else "{}\n")


def _told_in(lines: Iterable[str]) -> Iterator[tuple[str, str, str | None, str | None, int]]:
    """Yield the rows of an account as it was written: one input a line."""
    for line in lines:
        if not line.startswith('"sha256:'):
            continue
        ((digest, told),) = json.loads("{" + line.rstrip().rstrip(",") + "}").items()
        state = Status.IMPOSSIBLE.value if told["state"] == REVIEW else told["state"]
        reason = told["reasons"][0] if told["reasons"] else None
        yield digest, state, reason, told["output"], told.get("copies", 1)


def state_told(state: str, reason: str | None) -> str:
    """Return the state as the account tells it: what waits for a person's word is in `review`.

    >>> state_told("impossible", "pixels-unverified"), state_told("impossible", "undecodable"), state_told("ok", None)
    ('review', 'impossible', 'ok')
    """
    if state == Status.IMPOSSIBLE.value and reason is not None and may_be_released(Reason(reason)):
        return REVIEW
    return state
