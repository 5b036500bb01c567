"""Any byte changed in an audit database is found: by row, by column, by file; at the hub and at a node."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.engine import Engine

from fairbank import audit, audit_guards, migrations
from fairbank.audit import AuditError, HubAudit, NodeAudit
from fairbank.audit_guards import GuardsMissing
from fairbank.audit_tree import Tree
from fairbank.clock import FixedClock
from fairbank.database import check_reachable, connect, reading, writing
from fairbank.errors import FairbankError
from fairbank.signing import canonical

ENTRIES = 40
COLUMNS = ("seq", "at", "actor", "act", "target", "detail", "previous", "hash")
TABLES: dict[migrations.History, audit.AuditTable] = {"hub": HubAudit, "node": NodeAudit}
TRIGGERS = [f"{log}_refuses_{act}" for log in audit_guards.LOGS for act in ("update", "delete", "insert")]
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module", params=["hub", "node"])
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A database of one SQLite file with some entries, everything written back from its side files."""
    history: migrations.History = request.param
    file = tmp_path_factory.mktemp("log") / f"{history}.db"
    engine, clock = connect(f"sqlite:///{file}"), FixedClock()
    migrations.upgrade(engine, history)
    for number in range(ENTRIES):
        clock.advance(1.5)
        with writing(engine) as session:
            audit.record(
                session, TABLES[history], clock=clock, actor=f"account-{number % 3}", act="request.approve",
                target=f'"{number}" \\ é\n', detail={"number": number, "nested": {"previous": "x", "seq": 1}},
            )  # fmt: skip
    engine.dispose()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    yield file


@pytest.fixture
def copy(log: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(log, tmp_path / log.name))


def change(file: Path, *statements: str, values: tuple[Any, ...] = ()) -> None:
    """Write to the file as somebody who has it could: the triggers go first, and come back afterwards."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        kept = list(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
        for name, _ in kept:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement, values)
        for _, sql in kept:
            connection.execute(sql)
        connection.commit()


def check(file: Path) -> audit.Head:
    """Look at the log in every way there is without the other side."""
    history: migrations.History = "hub" if file.name == "hub.db" else "node"
    engine = connect(f"sqlite:///{file}")
    try:
        check_reachable(engine)
        with reading(engine) as session:
            audit_guards.check_guards(session)
            audit_guards.check_pages(session)
            return audit.verify(session, TABLES[history])
    finally:
        engine.dispose()


def test_the_untouched_log_is_whole(copy: Path) -> None:
    assert check(copy).seq == ENTRIES


@pytest.mark.parametrize("column", COLUMNS)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(data=st.data())
def test_every_change_of_every_column_is_found(copy: Path, column: str, data: st.DataObject) -> None:
    seq = data.draw(st.integers(1, ENTRIES))
    with closing(sqlite3.connect(copy)) as connection:
        before = connection.execute(f"SELECT {column} FROM audit WHERE seq = ?", (seq,)).fetchone()[0]
    other = data.draw(
        st.integers(-5, 9_000).map(lambda n: n if n > ENTRIES or n < 1 else n + 9_000)
        if column == "seq"
        else st.one_of(_texts, st.binary(max_size=30), st.integers(-9, 9), _slightly(before))
    )
    if other == before:
        return
    change(copy, f"UPDATE audit SET {column} = ? WHERE seq = {seq}", values=(other,))
    try:
        with pytest.raises(AuditError):
            check(copy)
    finally:
        where = other if column == "seq" else seq
        change(copy, f"UPDATE audit SET {column} = ? WHERE seq = {where}", values=(before,))
    assert check(copy).seq == ENTRIES


def _slightly(stored: str) -> st.SearchStrategy[str]:
    """One character of a text changed, added or taken away."""
    at = st.integers(0, max(0, len(stored) - 1))
    return st.one_of(
        st.tuples(at, st.sampled_from('0aZ "{,')).map(lambda c: stored[: c[0]] + c[1] + stored[c[0] + 1 :]),
        st.tuples(at, st.sampled_from('0aZ "{,')).map(lambda c: stored[: c[0]] + c[1] + stored[c[0] :]),
        at.map(lambda c: stored[:c] + stored[c + 1 :]),
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(st.integers(1, ENTRIES), st.integers(1, ENTRIES))
def test_two_entries_that_change_places_are_found(copy: Path, first: int, second: int) -> None:
    if first == second:
        return

    def swap() -> None:
        change(copy, f"UPDATE audit SET seq = -1 WHERE seq = {first}",
               f"UPDATE audit SET seq = {first} WHERE seq = {second}",
               f"UPDATE audit SET seq = {second} WHERE seq = -1")  # fmt: skip

    swap()
    with pytest.raises(AuditError, match=f"entry {min(first, second)}"):
        check(copy)
    swap()
    assert check(copy).seq == ENTRIES


@pytest.mark.parametrize("seq", [1, 2, ENTRIES // 2, ENTRIES - 1])
def test_a_removed_entry_is_found_wherever_it_stood(copy: Path, seq: int) -> None:
    change(copy, f"DELETE FROM audit WHERE seq = {seq}")
    with pytest.raises(AuditError, match=f"entry {seq}"):
        check(copy)


@pytest.mark.parametrize("seq", [0, -7, ENTRIES + 1, ENTRIES + 2])
def test_an_entry_that_was_put_in_is_found(copy: Path, seq: int) -> None:
    change(
        copy,
        f"INSERT INTO audit SELECT {seq}, at, actor, act, target, detail, hash, 'x' FROM audit WHERE seq = {ENTRIES}",
    )
    with pytest.raises(AuditError):
        check(copy)


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("instead", [None, "weaker", "elsewhere"])
def test_a_guard_that_is_gone_or_weakened_is_found(copy: Path, trigger: str, instead: str | None) -> None:
    table, _, act = trigger.partition("_refuses_")
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute(f"DROP TRIGGER {trigger}")
        if instead == "weaker":
            connection.execute(
                f"CREATE TRIGGER {trigger} BEFORE {act} ON {table} WHEN 0 BEGIN SELECT RAISE(ABORT, 'x'); END"
            )
        if instead == "elsewhere":
            connection.execute(
                f"CREATE TRIGGER {trigger} BEFORE {act} ON events BEGIN SELECT RAISE(ABORT, 'x'); END"
            )
        connection.commit()
    with pytest.raises(GuardsMissing, match=trigger):
        check(copy)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'eve' WHERE seq = 3",
        "DELETE FROM audit WHERE seq = 3",
        "INSERT OR REPLACE INTO audit SELECT seq, at, 'eve', act, target, detail, previous, hash FROM audit"
        " WHERE seq = 3",
        "INSERT INTO audit SELECT seq + 7, at, actor, act, target, detail, previous, 'x' FROM audit WHERE seq = 3",
        "REPLACE INTO audit SELECT seq, at, 'eve', act, target, detail, previous, 'x' FROM audit WHERE seq = 40",
    ],
)
def test_the_file_itself_refuses_to_change_an_entry(copy: Path, statement: str) -> None:
    with (
        closing(sqlite3.connect(copy)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute(statement)
    assert check(copy).seq == ENTRIES


def stored(file: Path) -> tuple[Any, ...]:
    """All that can be read of the log, by its table and by its indexes."""
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM audit ORDER BY seq").fetchall()
        by_act = connection.execute(
            "SELECT seq FROM audit INDEXED BY ix_audit_act WHERE act >= '' ORDER BY seq"
        )
        return rows, by_act.fetchall()


def pages_of(file: Path) -> list[tuple[int, int]]:
    """Where the log and its indexes lie in the file: first byte and size of each page."""
    with closing(sqlite3.connect(file)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        roots = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'audit' AND rootpage > 0"
        ).fetchall()
    found = {0: (0, size)}
    whole = file.read_bytes()
    waiting = [number for (number,) in roots]
    while waiting:
        number = waiting.pop()
        start = (number - 1) * size
        found[number] = (start, size)
        kind = whole[start]
        if kind in (
            2,
            5,
        ):  # an inner page of an index or a table: https://www.sqlite.org/fileformat2.html#b_tree_pages
            cells = int.from_bytes(whole[start + 3 : start + 5], "big")
            pointers = [
                int.from_bytes(whole[start + 12 + 2 * n : start + 14 + 2 * n], "big") for n in range(cells)
            ]
            waiting += [int.from_bytes(whole[start + p : start + p + 4], "big") for p in pointers]
            waiting.append(int.from_bytes(whole[start + 8 : start + 12], "big"))
    return sorted(found.values())


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.data())
def test_a_bit_flipped_in_the_file_is_found_or_changes_nothing_that_can_be_read(
    copy: Path, data: st.DataObject
) -> None:
    pages = pages_of(copy)
    start, size = data.draw(st.sampled_from(pages))
    position = start + data.draw(st.integers(0, size - 1))
    whole = copy.read_bytes()
    before = stored(copy)
    flipped = bytearray(whole)
    flipped[position] ^= 1 << data.draw(st.integers(0, 7))
    copy.write_bytes(flipped)
    try:
        head = check(copy)
    except FairbankError:
        return
    else:
        # Free space and counters of the file: nobody reads anything else than was logged.
        assert head.seq == ENTRIES
        assert stored(copy) == before
    finally:
        for side in ("-wal", "-shm", "-journal"):
            copy.with_name(copy.name + side).unlink(missing_ok=True)
        copy.write_bytes(whole)


@settings(deadline=None)
@given(
    actor=_texts, act=_texts, target=_texts, detail=st.dictionaries(_texts, _json, max_size=4),
    seq=st.integers(1, 2**53 - 1),
)  # fmt: skip
def test_what_is_hashed_is_the_canonical_json_of_the_entry(
    actor: str, act: str, target: str, detail: dict[str, Any], seq: int
) -> None:
    at = "2026-01-31T12:00:00.000Z"
    written = audit.entry_bytes(
        seq=seq, at=at, actor=actor, act=act, target=target, detail=canonical(detail).decode(),
        previous=audit.GENESIS,
    )  # fmt: skip
    whole = {"seq": seq, "at": at, "actor": actor, "act": act, "target": target, "detail": detail,
             "previous": audit.GENESIS}  # fmt: skip
    assert written == canonical(whole)


@given(actor=_texts, target=_texts, detail=st.dictionaries(_texts, _json, max_size=4))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_whatever_is_logged_verifies(
    engine_of_hub: Callable[[], Engine], actor: str, target: str, detail: dict[str, Any]
) -> None:
    engine = engine_of_hub()
    with writing(engine) as session:
        audit.record(
            session, HubAudit, clock=FixedClock(), actor=actor, act="a.b", target=target, detail=detail
        )
    with reading(engine) as session:
        newest = audit.verify(session, HubAudit)
        last = session.get_one(HubAudit, newest.seq)
    assert (last.actor, last.target, last.detail) == (actor, target, detail)
    assert last.at == FixedClock().now()


@pytest.fixture
def engine_of_hub(database_url: str) -> Iterator[Callable[[], Engine]]:
    engine = connect(database_url)
    migrations.upgrade(engine, "hub")
    yield lambda: engine
    engine.dispose()


def test_the_batches_are_followed_without_gaps(
    engine_of_hub: Callable[[], Engine], clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SQLite reads by the one, PostgreSQL by the other.
    monkeypatch.setattr(audit, "_BATCH", 3)
    monkeypatch.setattr(audit, "_SMALL_BATCH", 3)
    with writing(engine_of_hub()) as session:
        wanted = [
            audit.record(session, HubAudit, clock=clock, actor="a", act="a.b", target=str(n)).hash
            for n in range(8)
        ]
    seen: list[tuple[int, list[str]]] = []
    tree, expected = Tree(), Tree()
    expected.append(wanted)
    with reading(engine_of_hub()) as session:
        audit.verify(
            session, HubAudit, followed=lambda first, hashes: seen.append((first, hashes)), tree=tree
        )
    assert tree.size == len(wanted)
    assert tree.root() == expected.root()
    assert [first for first, _ in seen] == [1, 4, 7]
    assert [each for _, hashes in seen for each in hashes] == wanted


@pytest.mark.parametrize("history", ["hub", "node"])
def test_a_log_of_an_older_version_keeps_its_hashes(
    database_url: str, history: migrations.History, clock: FixedClock, upgrade_in_earnest: Callable[..., None]
) -> None:
    engine = connect(database_url)
    upgrade_in_earnest(engine, history)
    with writing(engine) as session:
        newest = [
            audit.record(session, TABLES[history], clock=clock, actor="a", act="a.b", target=str(number),
                         detail={"z": number, "a": "é"})
            for number in range(3)
        ][-1]  # fmt: skip
    migrations.downgrade(engine, history, steps=_steps_back(history))
    with engine.begin() as connection:
        kept = connection.execute(text("SELECT detail FROM audit WHERE seq = 1")).scalar_one()
        if engine.dialect.name == "sqlite":
            # As earlier versions wrote it.
            connection.execute(
                text("UPDATE audit SET detail = :detail"), {"detail": '{"z": 0, "a": "\\u00e9"}'}
            )
    assert kept
    upgrade_in_earnest(engine, history)
    with reading(engine) as session:
        audit_guards.check_guards(session)
        if engine.dialect.name == "sqlite":
            assert (
                session.execute(text("SELECT detail FROM audit")).scalars().all() == ['{"a":"é","z":0}'] * 3
            )
        else:
            assert audit.verify(session, TABLES[history]) == newest
    engine.dispose()


def _steps_back(history: migrations.History) -> int:
    """How many steps the history has from the one that guards the log on."""
    from alembic.script import ScriptDirectory

    steps = list(ScriptDirectory.from_config(migrations.configuration(history)).walk_revisions())
    return next(n for n, step in enumerate(steps, 1) if "guard themselves" in (step.doc or ""))


def test_times_are_stored_to_the_millisecond_that_is_hashed(log: Path) -> None:
    with closing(sqlite3.connect(log)) as connection:
        stamps = [row[0] for row in connection.execute("SELECT at FROM audit")]
    assert all(datetime.fromisoformat(stamp).microsecond % 1000 == 0 for stamp in stamps)
