"""Which series are contiguous, and which were made of other images.

Both follow from what the index already keeps of headers, so no file is read again.

Revision: 5e0d37c9a4b6
Follows: 91c27de5b083
Written: 2026-11-30 09:40:03.171204+00:00
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "5e0d37c9a4b6"
down_revision = "91c27de5b083"
branch_labels = None
depends_on = None

_AGAINST = (
    "missing-slices",
    "incomplete-volumes",
    "duplicate-slices",
    "uneven-spacing",
    "several-stacks",
    "slice-gaps",
)
_PAGE = 1000


def upgrade() -> None:
    with op.batch_alter_table("harvest_series", schema=None) as batch_op:
        batch_op.add_column(sa.Column("contiguous", sa.Boolean(), nullable=True))
        batch_op.add_column(sa.Column("derived", sa.Boolean(), nullable=True))
    fill(op.get_bind())


def fill(connection: sa.Connection) -> None:
    """Work out both columns of every row."""
    series = sa.table(
        "harvest_series",
        sa.column("id", sa.Integer()),
        sa.column("quality", sa.JSON()),
        sa.column("acquisition", sa.JSON()),
        sa.column("contiguous", sa.Boolean()),
        sa.column("derived", sa.Boolean()),
    )
    change = (
        sa.update(series)
        .where(series.c.id == sa.bindparam("of"))
        .values(contiguous=sa.bindparam("is_contiguous"), derived=sa.bindparam("is_derived"))
    )
    last = -1
    while True:
        page = sa.select(series.c.id, series.c.quality, series.c.acquisition).where(series.c.id > last)
        rows = connection.execute(page.order_by(series.c.id).limit(_PAGE)).all()
        if not rows:
            return
        last = rows[-1].id
        connection.execute(
            change,
            [
                {
                    "of": row.id,
                    "is_contiguous": _contiguous(row.quality or {}),
                    "is_derived": _derived((row.acquisition or {}).get("values", {})),
                }
                for row in rows
            ],
        )


def _contiguous(quality: dict[str, Any]) -> bool | None:
    found = [quality.get(aspect, {}) for aspect in _AGAINST]
    if any(one.get("affected") for one in found):
        return False
    return True if all(one.get("assessed") for one in found) else None


def _derived(acquisition: dict[str, Any]) -> bool | None:
    words = {str(said).split("\\")[0].strip().upper() for said in acquisition.get("ImageType", [])}
    return words == {"DERIVED"} if len(words) == 1 and words <= {"ORIGINAL", "DERIVED"} else None


def downgrade() -> None:
    with op.batch_alter_table("harvest_series", schema=None) as batch_op:
        batch_op.drop_column("derived")
        batch_op.drop_column("contiguous")
