"""What keeps the audit tables from being changed: triggers that refuse it, and the database's own look at its pages.

The chain shows what was changed; these make changing it a deliberate act, and find what the chain cannot: an index
that no longer leads to what is stored.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from fairbank.audit import AuditError
from fairbank.errors import Kind

LOGS: Final = ("audit", "audit_checkpoints")
_SQLITE: Final = frozenset(f"{log}_refuses_{act}" for log in LOGS for act in ("update", "delete", "insert"))
_POSTGRESQL: Final = frozenset(f"{log}_refuses" for log in LOGS)
_WHAT_A_TRIGGER_SAYS: Final = re.compile(
    r"CREATE TRIGGER (?P<log>\w+)_refuses_(?P<act>\w+) BEFORE (?i:(?P=act)) ON (?P=log) "
    r"(?:WHEN (?P<when>.*?) )?BEGIN SELECT RAISE\(ABORT, '[^']*'\); END"
)
_WHEN: Final = {
    "audit_refuses_insert": "NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit)",
    "audit_checkpoints_refuses_insert": "EXISTS (SELECT 1 FROM audit_checkpoints WHERE size = NEW.size)",
}


class GuardsMissing(AuditError):
    """The database would no longer refuse to change the audit log."""

    code = "FB-CORE-050"
    kind = Kind.FAILED


class PagesDamaged(AuditError):
    """The database's own check finds the audit tables or their indexes damaged."""

    code = "FB-CORE-051"
    kind = Kind.FAILED


def check_guards(session: Session) -> None:
    """Check that every trigger which refuses changes is there, switched on, and says what it should.

    Raises:
        GuardsMissing: naming those that are not.
    """
    sqlite = session.connection().dialect.name == "sqlite"
    try:
        there = _sqlite_triggers(session) if sqlite else _postgresql_triggers(session)
    except DBAPIError as err:
        raise _damaged("the database cannot say what its triggers are") from err
    if missing := sorted((_SQLITE if sqlite else _POSTGRESQL) - there):
        raise GuardsMissing(
            f"The database no longer guards the audit log: {', '.join(missing)}.",
            why="A trigger was dropped, switched off or replaced; nothing in fairbank does that.",
            todo="Stop, copy the database, verify the log with the other side's heads, then restore a backup.",
        )


def check_pages(session: Session) -> None:
    """Let SQLite compare the audit tables with their indexes, page by page; PostgreSQL has no such check in itself.

    Raises:
        PagesDamaged: if they do not agree.
    """
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        return
    try:
        found = [
            str(line)
            for log in (*LOGS, "audit_alarms")
            for (line,) in connection.exec_driver_sql(f"PRAGMA integrity_check('{log}')")
            if line != "ok"
        ]
    except (sqlite3.DatabaseError, DBAPIError) as err:
        raise _damaged("the check itself cannot read it") from err
    if found:
        raise _damaged(f"{len(found)} problems")


def _sqlite_triggers(session: Session) -> set[str]:
    rows: Any = session.connection().exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    )
    return {name for name, sql in rows if _says_what_it_should(str(name), str(sql))}


def _says_what_it_should(name: str, sql: str) -> bool:
    found = _WHAT_A_TRIGGER_SAYS.fullmatch(sql)
    return (
        found is not None
        and name == f"{found['log']}_refuses_{found['act']}"
        and found["when"] == _WHEN.get(name)
    )


def _postgresql_triggers(session: Session) -> set[str]:
    # tgtype 2 | 8 | 16 | 32: before, delete, update, truncate (src/include/catalog/pg_trigger.h).
    rows = session.execute(
        text(
            "SELECT t.tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
            "WHERE t.tgenabled IN ('O', 'A') AND p.proname = 'audit_refuses' AND t.tgtype & 58 = 58 "
            "AND p.prosrc LIKE '%RAISE EXCEPTION%'"
        )
    )
    return {str(name) for (name,) in rows}


def _damaged(what: str) -> PagesDamaged:
    return PagesDamaged(
        f"The audit tables are damaged: {what}.",
        why="The file was changed other than through the database, or the disk has failed.",
        todo="Stop, copy the file, check the disk, and restore a backup.",
    )
