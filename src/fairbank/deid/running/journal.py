"""The journal of an output folder: what became of each file, under keyed digests and pseudonyms. No path, no name.

What is written here decides: a series is done when its rows are in, and what then remains to be renamed is done on the
next start if the run ends before.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairbank.deid.actions import Action, ElementActions, added_up
from fairbank.deid.errors import AnotherMethod, NoSuchRun
from fairbank.deid.running.place import not_writable

_EDITION = 1
_TABLES = f"""
create table making (only integer primary key check (only = 1), project text, method text, key_id text, told text);
create table runs (id text primary key, started text, ended text, agent text, tool text, state text, told text);
create table files (item text primary key, series text, state text, reason text, grp text, verdict text, output text,
    quarantine text, subject text, sop text, made text, size integer, tool text, work text, run text);
create index files_series on files (series);
create index files_sop on files (sop);
create index files_made on files (made);
create index files_grp on files (grp);
create table series (series text primary key, actions blob, faces text);
create table standard (series text primary key, errors text);
create table commits (id text primary key, moves text);
create table decisions (number integer primary key, grp text, verdict text, reason text, agent text, at text);
create table samples (number integer primary key, drawn text, agent text, at text);
create table looks (number integer primary key, sample integer, output text, clean integer, agent text, at text);
pragma user_version = {_EDITION};
"""
_WENT_OUT = "series in (select series from files where state = 'ok')"
_FILE_COLUMNS = (
    "item", "series", "state", "reason", "grp", "verdict", "output", "quarantine", "subject", "sop", "made", "size",
    "tool", "work", "run",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Making:
    """What one output folder is made by: never two ways in one folder. `told` is for people to read."""

    project: str
    method: str
    key_id: str
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FileRow:
    """What became of one input.

    Attributes:
        item: keyed digest of the input's digest.
        state: the status's word; `reason` the reason's.
        grp: under which name a curator decides of such files; `verdict` what had been decided when it was looked at.
        output: where the cleaned file lies, relative to the output folder.
        quarantine: where the copy lies, relative to the output folder.
        made: keyed digest of the cleaned file.
        size: of the input in bytes.
        work: JSON of what was done with the pixels.
    """

    item: str
    series: str | None
    state: str
    reason: str | None
    grp: str | None
    verdict: str | None
    output: str | None
    quarantine: str | None
    subject: str | None
    sop: str | None
    made: str | None
    size: int
    tool: str
    work: str | None
    run: str


class Journal:
    """The journal in an opened file."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if not create and not path.is_file():
            raise NoSuchRun(
                "No run has written to this folder.",
                why="It has no journal.",
                todo="Name the output folder of `fairbank deid run IN OUT`.",
            )
        with _full_disk():
            self._database = sqlite3.connect(path, isolation_level=None, timeout=30)
            path.chmod(0o600)
            self._database.row_factory = sqlite3.Row
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = full")
            with self.writing():
                if self._database.execute("pragma user_version").fetchone()[0] == 0:
                    for statement in _TABLES.strip().split(";\n"):
                        self._database.execute(statement)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write all that happens inside, or nothing.

        Raises:
            StoreNotWritable: if the disk is full.
        """
        with _full_disk():
            self._database.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._database.execute("rollback")
                raise
            self._database.execute("commit")

    def check_making(self, making: Making) -> None:
        """Note how the folder is made, or check that it always was made so.

        Raises:
            AnotherMethod: if it was made otherwise.
        """
        known = self.making()
        if known is None:
            row = (making.project, making.method, making.key_id, json.dumps(making.told, sort_keys=True))
            with self.writing():
                self._database.execute("insert into making values (1,?,?,?,?)", row)
            return
        differing = [
            word
            for word, now, then in (
                ("project", making.project, known.project),
                ("method", making.method, known.method),
                ("key", making.key_id, known.key_id),
            )
            if now != then
        ]
        if differing:
            raise AnotherMethod(
                f"The output folder was made with another {' and another '.join(differing)}.",
                why="Files of two makings in one folder could not be told apart, and the same person would be two.",
                todo="Give the same options and key as before, or name another output folder.",
            )

    def making(self) -> Making | None:
        """Return how the folder is made; None if nothing was made yet."""
        row = self._database.execute("select project, method, key_id, told from making").fetchone()
        return None if row is None else Making(row[0], row[1], row[2], json.loads(row[3]))

    def begin_run(self, run: str, *, started: str, agent: str, tool: str) -> None:
        """Note that a run has begun; one that never ended was interrupted."""
        with self.writing():
            self._database.execute("update runs set state = 'interrupted' where state = 'running'")
            row = (run, started, None, agent, tool, "running", None)
            self._database.execute("insert into runs values (?,?,?,?,?,?,?)", row)

    def end_run(self, run: str, *, ended: str, state: str, told: dict[str, Any]) -> None:
        """Note that a run has ended."""
        row = (ended, state, json.dumps(told, sort_keys=True), run)
        with self.writing():
            self._database.execute("update runs set ended = ?, state = ?, told = ? where id = ?", row)

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs in the order in which they began."""
        found = self._database.execute("select * from runs order by started, id")
        return [{**dict(row), "told": json.loads(row["told"] or "{}")} for row in found]

    def of_series(self, series: str) -> list[FileRow]:
        """Return what became of the files of a series."""
        return self._files("where series = ? order by item", series)

    def of_item(self, item: str) -> FileRow | None:
        """Return what became of an input."""
        found = self._files("where item = ?", item)
        return found[0] if found else None

    def is_own_output(self, made: str) -> bool:
        """Tell whether a file's keyed digest is that of one that was written here."""
        found = self._database.execute("select 1 from files where made = ? limit 1", (made,))
        return found.fetchone() is not None

    def maker_of(self, sop: str) -> FileRow | None:
        """Return the input of which an instance was made."""
        found = self._files("where sop = ? and state = 'ok' limit 1", sop)
        return found[0] if found else None

    def held(self) -> Iterator[FileRow]:
        """Yield the inputs that are held or could not be read, by group."""
        return self._each("where quarantine is not null order by grp, item")

    def of_group(self, group: str) -> list[FileRow]:
        """Return the held inputs of a group."""
        return self._files("where grp = ? and quarantine is not null order by item", group)

    def cleaned(self) -> Iterator[FileRow]:
        """Yield the inputs of which there is a cleaned file, by its name."""
        return self._each("where state = 'ok' order by output")

    def counted(self) -> list[dict[str, Any]]:
        """Return how many inputs ended how: state, reason, group, files, bytes."""
        query = (
            "select state, reason, grp, count(*) as files, sum(size) as size from files"
            " group by state, reason, grp order by state, reason, grp"
        )
        return [dict(row) for row in self._database.execute(query)]

    def things(self) -> dict[str, int]:
        """Return how many subjects, series and files there are in the output."""
        query = (
            "select count(distinct subject), count(distinct series), count(*) from files where state = 'ok'"
        )
        subjects, series, files = self._database.execute(query).fetchone()
        return {"subjects": subjects, "series": series, "files": files}

    def next_quarantine_number(self) -> int:
        """Return the number of the next file that is held."""
        query = "select coalesce(max(cast(substr(quarantine, -6) as integer)), 0) + 1 from files"
        return int(self._database.execute(query).fetchone()[0])

    def put(self, rows: Iterable[FileRow]) -> None:
        """Note what became of inputs; call inside `writing`."""
        values = [tuple(getattr(row, name) for name in _FILE_COLUMNS) for row in rows]
        self._database.executemany(
            "insert or replace into files values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", values
        )

    def put_series(self, series: str, actions: ElementActions, faces: dict[str, Any]) -> None:
        """Note what became of a series' elements and face; call inside `writing`."""
        packed = zlib.compress(json.dumps([[*key, count] for key, count in sorted(actions.items())]).encode())
        row = (series, packed, json.dumps(faces, sort_keys=True))
        self._database.execute("insert or replace into series values (?,?,?)", row)

    def actions(self) -> ElementActions:
        """Return what became of the elements of all cleaned files."""
        found = self._database.execute(f"select actions from series where {_WENT_OUT}")  # noqa: S608 - words of ours
        return added_up(_unpacked(packed) for (packed,) in found)

    def faces(self) -> Iterator[dict[str, Any]]:
        """Yield what became of the face of each series."""
        for (told,) in self._database.execute(f"select faces from series where {_WENT_OUT}"):  # noqa: S608
            yield json.loads(told)

    def put_standard(self, series: str, errors: Mapping[str, int] | None) -> None:
        """Note what dciodvfy says of a series; None if it was not asked. Call inside `writing`."""
        if errors is None:
            self._database.execute("delete from standard where series = ?", (series,))
            return
        told = json.dumps(errors, sort_keys=True)
        self._database.execute("insert or replace into standard values (?,?)", (series, told))

    def standard(self) -> Iterator[dict[str, int]]:
        """Yield what `put_standard` noted, series by series."""
        for (told,) in self._database.execute(f"select errors from standard where {_WENT_OUT}"):  # noqa: S608
            yield json.loads(told)

    def put_commit(self, name: str, moves: Sequence[tuple[str | None, str]]) -> None:
        """Note renames that are still to be done; call inside `writing`."""
        self._database.execute("insert into commits values (?,?)", (name, json.dumps(moves)))

    def open_commits(self) -> list[tuple[str, list[tuple[str | None, str]]]]:
        """Return the renames that are still to be done."""
        found = self._database.execute("select id, moves from commits order by id").fetchall()
        return [(row[0], [(old, new) for old, new in json.loads(row[1])]) for row in found]

    def end_commit(self, name: str) -> None:
        """Note that renames are done."""
        with self.writing():
            self._database.execute("delete from commits where id = ?", (name,))

    def select(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of a query, for what has tables of its own here."""
        return [dict(row) for row in self._database.execute(query, values)]

    def execute(self, statement: str, *values: Any) -> None:
        """Run a statement inside `writing`."""
        self._database.execute(statement, values)

    def _files(self, where: str, *values: str) -> list[FileRow]:
        return list(self._each(where, *values))

    def _each(self, where: str, *values: str) -> Iterator[FileRow]:
        for row in self._database.execute(f"select * from files {where}", values):  # noqa: S608 - words of ours
            yield FileRow(**dict(row))


def _unpacked(packed: bytes) -> ElementActions:
    return {(tag, Action(action)): count for tag, action, count in json.loads(zlib.decompress(packed))}


@contextmanager
def _full_disk() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as err:
        if "full" not in str(err) and "disk I/O" not in str(err):
            raise
        raise not_writable(28) from err
