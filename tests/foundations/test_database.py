"""Databases: two ways to open a session, writers that wait for each other, moments with a zone."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select, text, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session

from fairbank.database import DatabaseError, UtcDateTime, connect, reading, writing
from fairbank.errors import MissingExtra

TABLES = MetaData()
COUNTER = Table("counter", TABLES, Column("id", Integer, primary_key=True), Column("value", Integer))
MOMENTS = Table("moments", TABLES, Column("id", Integer, primary_key=True), Column("at", UtcDateTime))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    TABLES.create_all(engine)
    with writing(engine) as session:
        session.execute(insert(COUNTER).values(id=1, value=0))
    yield engine
    engine.dispose()


def value(engine: Engine) -> int:
    with reading(engine) as session:
        return session.execute(select(COUNTER.c.value)).scalar_one()


def test_a_writing_session_commits_at_its_end(engine: Engine) -> None:
    with writing(engine) as session:
        session.execute(update(COUNTER).values(value=5))
    assert value(engine) == 5


def test_a_writing_session_undoes_everything_on_an_error(engine: Engine) -> None:
    with pytest.raises(RuntimeError), writing(engine) as session:
        session.execute(update(COUNTER).values(value=5))
        raise RuntimeError("power cut")
    assert value(engine) == 0


def flushing(session: Session) -> str:
    """Return how the database flushes the commits of this connection."""
    sqlite = session.get_bind().dialect.name == "sqlite"
    return str(
        session.execute(text("PRAGMA synchronous" if sqlite else "SHOW synchronous_commit")).scalar_one()
    )


def test_only_a_commit_that_need_not_last_is_not_flushed(engine: Engine) -> None:
    with writing(engine, lasting=False) as session:
        session.execute(update(COUNTER).values(value=5))
        assert flushing(session) in ("1", "off")
    assert value(engine) == 5
    with writing(engine) as session:
        assert flushing(session) in ("2", "on")


def test_a_commit_that_need_not_last_outlives_the_process(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'killed.db'}"
    code = (
        "import os, signal; from sqlalchemy import text; from fairbank.database import connect, writing\n"
        f"engine = connect({address!r})\n"
        "with writing(engine) as session: session.execute(text('CREATE TABLE counter (id INT, value INT)'))\n"
        "with writing(engine, lasting=False) as session: session.execute(text('INSERT INTO counter VALUES (1, 7)'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert value(connect(address)) == 7


def test_a_reading_session_changes_nothing(engine: Engine) -> None:
    with reading(engine) as session:
        session.execute(update(COUNTER).values(value=5))
    assert value(engine) == 0


def test_writers_that_read_first_lose_no_update(tmp_path: Path) -> None:
    """SQLite: a deferred transaction would fail half-way here; BEGIN IMMEDIATE makes the second writer wait."""
    engine = connect(f"sqlite:///{tmp_path / 'many.db'}")
    TABLES.create_all(engine)
    with writing(engine) as session:
        session.execute(insert(COUNTER).values(id=1, value=0))
    failures: list[BaseException] = []

    def count() -> None:
        try:
            for _ in range(20):
                with writing(engine) as session:
                    seen = session.execute(select(COUNTER.c.value)).scalar_one()
                    session.execute(update(COUNTER).values(value=seen + 1))
        except BaseException as err:
            failures.append(err)

    threads = [threading.Thread(target=count) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert value(engine) == 120
    engine.dispose()


def test_a_reader_sees_one_snapshot_while_another_writes(engine: Engine) -> None:
    with reading(engine) as reader:
        assert reader.execute(select(COUNTER.c.value)).scalar_one() == 0
        with writing(engine) as session:
            session.execute(update(COUNTER).values(value=9))
        assert reader.execute(select(COUNTER.c.value)).scalar_one() == 0
    assert value(engine) == 9


def test_sqlite_keeps_what_it_has_committed(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'safe.db'}")
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    engine.dispose()


def test_a_moment_comes_back_in_utc(engine: Engine) -> None:
    there = datetime(2026, 5, 6, 7, 8, 9, 123_000, tzinfo=timezone(timedelta(hours=-7)))
    with writing(engine) as session:
        session.execute(insert(MOMENTS).values(id=1, at=there))
        session.execute(insert(MOMENTS).values(id=2, at=None))
    with reading(engine) as session:
        rows = {row.id: row.at for row in session.execute(select(MOMENTS.c.id, MOMENTS.c.at))}
    assert rows[1] == there
    assert rows[1].tzinfo is UTC
    assert rows[2] is None


def test_a_moment_without_a_zone_is_refused(engine: Engine) -> None:
    with pytest.raises(StatementError, match="time zone"), writing(engine) as session:
        session.execute(insert(MOMENTS).values(id=1, at=datetime(2026, 1, 1)))


def test_a_row_is_unique_where_it_says_so(engine: Engine) -> None:
    with pytest.raises(IntegrityError), writing(engine) as session:
        session.execute(insert(COUNTER).values(id=1, value=0))


@pytest.mark.parametrize(
    "address", ["not an address", "mysql://localhost/x", "sqlite://", "sqlite:///:memory:"]
)
def test_an_address_that_fairbank_cannot_use_is_refused(address: str) -> None:
    with pytest.raises(DatabaseError) as refusal:
        connect(address)
    assert refusal.value.todo


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(DatabaseError) as refusal:
        connect("mysql://someone:hunter2@localhost/x")
    assert "hunter2" not in str(refusal.value)


def test_postgresql_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match="postgres"):
        connect("postgresql://localhost/x")
