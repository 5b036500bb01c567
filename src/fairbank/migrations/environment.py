"""What both histories' `env.py` do: give Alembic the connection it was handed, and how to write and compare types."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Text
from sqlalchemy.types import TypeDecorator

from fairbank.database import UtcDateTime
from fairbank.migrations import metadata


def run() -> None:
    """Apply or write steps on the connection in the configuration's attributes."""
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"],
        # Needed to write and to compare steps only; applying them must not import the rooms.
        target_metadata=metadata(attributes["history"]) if attributes.get("compare") else None,
        **options(),
    )
    with context.begin_transaction():
        context.run_migrations()


def options() -> dict[str, Any]:
    """Return how steps are written and bases compared, for `context.configure`."""
    return {
        "render_as_batch": True,
        "compare_type": True,
        "render_item": render_item,
        "include_name": is_ours,
    }


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write our own types as the plain ones they are stored as, so that a step needs nothing of fairbank."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, TypeDecorator) and isinstance(item.impl, Text):
        return "sa.Text()"
    return False


def is_ours(name: str | None, kind: str, parents: Any) -> bool:
    """Leave out what is made for full-text search: SQLite's tables (`x_fts`, `x_fts_data`, …), PostgreSQL's indexes."""
    return not (kind in {"table", "index"} and name is not None and "_fts" in name)
