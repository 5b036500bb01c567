"""Databases: engines for SQLite and PostgreSQL, the two table families, and the two ways to open a session.

Database code is synchronous. SQLite runs in WAL mode; a writing session starts with `BEGIN IMMEDIATE`, so two
writers wait for each other instead of failing half-way. Each room's tables carry its prefix and only that
room queries them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from threading import Lock, RLock
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import JSON, DateTime, MetaData, String, create_engine, event, text
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import Pool, QueuePool
from sqlalchemy.types import TypeDecorator

from fairbank.errors import FairbankError, Kind, MissingExtra

BUSY_TIMEOUT_S = 30
_FLUSHING = "fairbank_flushing"
# Any number that nothing else in the database uses as the name of an advisory lock.
_NUMBERED_ROWS = 0x6661697262616E6B
_TURNS: WeakKeyDictionary[Pool, AbstractContextManager[object]] = WeakKeyDictionary()
_TURNS_LOCK = Lock()
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class DatabaseError(FairbankError):
    """The database cannot be opened or used."""

    code = "FB-CORE-020"
    kind = Kind.UNAVAILABLE


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; a moment without a zone is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Turn the moment to UTC before it is stored."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Give the moment its zone back (SQLite stores none)."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class HubBase(DeclarativeBase):
    """Base of the hub's tables."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {datetime: UtcDateTime(), dict[str, Any]: JSON, list[Any]: JSON, str: String()}


class NodeBase(DeclarativeBase):
    """Base of a node's tables."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {datetime: UtcDateTime(), dict[str, Any]: JSON, list[Any]: JSON, str: String()}


def connect(url: str) -> Engine:
    """Return an engine for a `sqlite:///…` or `postgresql+psycopg://…` address.

    Raises:
        DatabaseError: if the address cannot be understood.
        MissingExtra: if PostgreSQL is asked for without the extra `postgres`.
    """
    try:
        parsed = make_url(url)
    except Exception as err:
        raise DatabaseError(
            "The database address cannot be understood.",
            why="It must be an SQLAlchemy address.",
            todo="Write sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME.",
        ) from err
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _sqlite_engine(url, in_memory=parsed.database in (None, "", ":memory:"))
    if backend == "postgresql":
        try:
            engine = create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                pool_pre_ping=True,
                pool_size=10,
                hide_parameters=True,
            )
        except ModuleNotFoundError as err:
            raise MissingExtra.named("postgres", needed_for="A PostgreSQL database") from err
        event.listen(engine, "begin", _begin_postgresql)
        return engine
    raise DatabaseError(
        f"fairbank cannot use a {backend} database.",
        why="It is built and tested on SQLite and PostgreSQL.",
        todo="Write sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME.",
    )


def check_reachable(engine: Engine) -> None:
    """Connect once, so that a database that cannot be used is told of at the start and in words.

    Raises:
        DatabaseError: if it cannot.
    """
    try:
        engine.connect().close()
    except DBAPIError as err:
        raise DatabaseError(
            f"The database {engine.url.render_as_string()} cannot be opened ({type(err.orig).__name__}).",
            why="There is no database, no permission, or something else that is not a database.",
            todo="Check that a server answers there, or that the file and its folder can be read and written.",
        ) from err


@contextmanager
def writing(engine: Engine, *, lasting: bool = True) -> Iterator[Session]:
    """Open a session that writes: one transaction, committed at the end, rolled back on any error.

    Args:
        lasting: the commit is on the disk before this returns. Without it the commit outlives the process and its
            `kill -9`, but a power cut may undo it (never a part of it, and never one before it); the next lasting
            commit takes it along. Only for what is found out again, or done again, without harm.
    """
    bound = engine.execution_options(fairbank_write=True, fairbank_lasting=lasting)
    with turn(engine), Session(bound, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Open a session that only reads, on one consistent snapshot."""
    # SQLite's transactions read a snapshot always; PostgreSQL would read a new one for each statement.
    postgres = engine.dialect.name == "postgresql"
    bound = engine.execution_options(isolation_level="REPEATABLE READ") if postgres else engine
    with Session(bound, expire_on_commit=False, autoflush=False) as session:
        yield session


def compact(engine: Engine) -> bool:
    """Rewrite the database, so that what was deleted is in none of its files; return whether that was possible now.

    SQLite keeps deleted rows in free pages and in its log until they are written over; another process that is
    reading or writing keeps the log from being emptied. PostgreSQL frees the space of deleted rows, and writes over it
    in its own time.
    """
    if engine.dialect.name != "sqlite":
        with engine.connect() as opened:
            opened.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM")
        return True
    with turn(engine):
        pooled = engine.raw_connection()
        try:
            connection: Any = pooled.driver_connection
            connection.execute("VACUUM")
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy
        except sqlite3.OperationalError:
            # Another process held the database for longer than anybody waits, or the disk is full.
            return False
        finally:
            pooled.close()


def one_writer_at_a_time(session: Session) -> None:
    """Hold back other writers of numbered rows until this transaction ends.

    On PostgreSQL two transactions could otherwise take the same number, or commit their numbers out of order; on
    SQLite a writing session is alone anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:name)"), {"name": _NUMBERED_ROWS})


def turn(engine: Engine) -> AbstractContextManager[object]:
    """Return what lets the threads of this process write to one SQLite file in turn; it may be entered again inside.

    SQLite's own way of waiting is to sleep and look again, up to a tenth of a second at a time. Short work that reads
    and then writes, and of which much comes at once, is done whole in one turn: threads that take statements in turn
    instead hand the interpreter to each other at every statement, which costs more than the statements.
    """
    if engine.dialect.name != "sqlite":
        return nullcontext()
    with _TURNS_LOCK:
        return _TURNS.setdefault(engine.pool, RLock())


def _sqlite_engine(url: str, *, in_memory: bool) -> Engine:
    pool: dict[str, Any] = {"poolclass": QueuePool, "pool_size": 8, "max_overflow": 32}
    # The connection that was used last has the pages at hand that the next one asks for.
    pool["pool_use_lifo"] = True
    if in_memory:
        raise DatabaseError(
            "fairbank does not use in-memory databases.",
            why="Each connection would see its own empty database.",
            todo="Name a file: sqlite:///PATH.",
        )
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        hide_parameters=True,
        **pool,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, record: Any) -> None:
    # The driver's own transaction control is switched off, or it would itself start a deferred transaction.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("fairbank_write", False):
        connection.exec_driver_sql("BEGIN")
        return
    # In WAL mode NORMAL leaves out the flush at the commit (https://www.sqlite.org/pragma.html#pragma_synchronous).
    level = "FULL" if options.get("fairbank_lasting", True) else "NORMAL"
    if connection.info.get(_FLUSHING, "FULL") != level:
        connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.info[_FLUSHING] = level
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_postgresql(connection: Connection) -> None:
    if not connection.get_execution_options().get("fairbank_lasting", True):
        connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
