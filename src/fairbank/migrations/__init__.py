"""The two Alembic histories, hub and node, and the functions that apply them from inside the process.

A history is a folder of numbered steps, `<history>/versions/YYYY_MM_DD_what.py`, in the package itself: an installed
fairbank brings its database up by itself, with no `alembic.ini` and no second command.

FairbankError
└── DatabaseError
    └── MigrationError       FB-CORE-021
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import MetaData, inspect, text
from sqlalchemy.engine import Connection, Engine

from fairbank.database import DatabaseError, HubBase, NodeBase, check_reachable

if TYPE_CHECKING:
    from alembic.config import Config

History = Literal["hub", "node"]

_HERE = Path(__file__).resolve().parent
# Modules that define tables. They stand above this one, so they are found by name and only where a step is written
# or compared; applying a history needs none of them.
_STORES: dict[History, tuple[str, ...]] = {
    "hub": (
        "events",
        "audit",
        "catalogue.store",
        "catalogue.governance.store",
        "catalogue.identity.store",
        "federated_jobs.hub.store",
        "federated_jobs.hub.tool_store",
        "web.store",
    ),
    "node": (
        "events",
        "audit",
        "deid.store",
        "deid.faces.store",
        "deid.work_rows",
        "harvest.store",
        "harvest.clinical.store",
        "harvest.consent_store",
        "release.store",
        "federated_jobs.node.store",
    ),
}
# Any constant does: it names the lock that keeps two processes from migrating one PostgreSQL database at once.
_POSTGRES_LOCK = 0x6661_6972
_REVISION = re.compile(r"""^revision = ["'](\w+)["']""", re.M)
_DOWN_REVISION = re.compile(r"""^down_revision = ["'](\w+)["']""", re.M)


class MigrationError(DatabaseError):
    """A database cannot be brought to the version that this fairbank needs."""

    code = "FB-CORE-021"


def upgrade(engine: Engine, history: History) -> None:
    """Bring a database to the newest version of its history; do nothing if it is there.

    Raises:
        DatabaseError: if the database cannot be opened.
        MigrationError: if a newer fairbank has written it.
    """
    check_reachable(engine)
    if not has_versions(history):
        metadata(history).create_all(engine)
        return
    # Nearly always it is there, and every command asks: neither a lock nor Alembic's import is spent on that.
    if _version_of(engine) == newest(history):
        return
    _apply(engine, history, lambda config: _command("upgrade")(config, "head"))


def downgrade(engine: Engine, history: History, *, steps: int = 1) -> None:
    """Take a database back by some versions of its history.

    Raises:
        MigrationError: if the history has fewer steps, or a newer fairbank has written the database.
    """
    _apply(engine, history, lambda config: _command("downgrade")(config, f"-{steps}"))


def current(engine: Engine) -> str | None:
    """Return the version that a database is at, or None for a database without a history."""
    return _version_of(engine)


def newest(history: History) -> str | None:
    """Return the newest version of a history: the one that no other follows."""
    steps = [path.read_text(encoding="utf-8") for path in (_HERE / history / "versions").glob("*.py")]
    made = {found[1] for step in steps if (found := _REVISION.search(step))}
    followed = {found[1] for step in steps if (found := _DOWN_REVISION.search(step))}
    return next(iter(made - followed), None)


def has_versions(history: History) -> bool:
    """Tell whether a history has any step."""
    return any((_HERE / history / "versions").glob("*.py"))


def metadata(history: History) -> MetaData:
    """Return the tables that the code of this version defines, all rooms included."""
    for module in _STORES[history]:
        name = f"fairbank.{module}"
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as err:
            if err.name != name and not name.startswith(f"{err.name}."):
                raise
    return (HubBase if history == "hub" else NodeBase).metadata


def configuration(history: History) -> Config:
    """Return Alembic's configuration of one history, without any file."""
    from alembic.config import Config

    config = Config()
    # Alembic formats these with %, which a folder's name may hold.
    config.set_main_option("script_location", str(_HERE / history).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(year)d_%%(month).2d_%%(day).2d_%%(slug)s")
    config.set_main_option("timezone", "UTC")
    config.attributes["history"] = history
    return config


def _version_of(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _command(name: str) -> Callable[[Config, str], None]:
    from alembic import command

    chosen: Callable[[Config, str], None] = getattr(command, name)
    return chosen


def _apply(engine: Engine, history: History, step: Callable[[Config], None]) -> None:
    from alembic.util import CommandError

    config = configuration(history)
    try:
        with _alone(engine) as connection:
            config.attributes["connection"] = connection
            step(config)
    except CommandError as err:
        raise MigrationError(
            f"The {history}'s database cannot be brought to the version of this fairbank.",
            why="It is at a version that this fairbank does not know; a newer one has probably written it.",
            todo="Install the newer fairbank again, or restore the copy made before it was installed.",
        ) from err


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Open the one transaction in which a history is applied; a second process waits for it."""
    with engine.execution_options(fairbank_write=True).connect() as connection:
        sqlite = connection.dialect.name == "sqlite"
        if sqlite:
            # SQLite changes a table by copying it; with foreign keys on, dropping the old one empties its children.
            _pragma(connection, "foreign_keys=OFF")
        try:
            with connection.begin():
                if not sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:name)"), {"name": _POSTGRES_LOCK})
                yield connection
                if sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise MigrationError(
                        "A step of the history left rows that point at nothing; it was undone.",
                        why="Its foreign keys do not hold.",
                        todo="Keep a copy of the database and report this.",
                    )
        finally:
            if sqlite:
                _pragma(connection, "foreign_keys=ON")


def _pragma(connection: Connection, setting: str) -> None:
    # Through the driver: SQLAlchemy would open a transaction first, and inside one this pragma does nothing.
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(f"PRAGMA {setting}")
