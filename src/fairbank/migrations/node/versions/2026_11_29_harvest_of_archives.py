"""Harvest of archives.

Revision: 38f75cbf3e29
Follows: 4e9a71c35d08
Written: 2026-11-29 17:44:37.312284+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "38f75cbf3e29"
down_revision = "4e9a71c35d08"
branch_labels = None
depends_on = None

_FILLED = {
    "harvest_items": ("digest", "misses"),
    "harvest_series": ("source",),
    "harvest_sources": ("options",),
}


def upgrade() -> None:
    op.create_table(
        "harvest_progress",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("container", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("cursor", sa.String(), nullable=False),
        sa.Column("high_water", sa.DateTime(timezone=True), nullable=True),
        sa.Column("clock_offset_s", sa.Float(), nullable=True),
        sa.Column("last_full", sa.DateTime(timezone=True), nullable=True),
        sa.Column("vanished", sa.Integer(), nullable=False),
        sa.Column("approved", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("source", "container", "project", name=op.f("pk_harvest_progress")),
    )
    with op.batch_alter_table("harvest_items", schema=None) as batch_op:
        batch_op.add_column(sa.Column("digest", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("series_uid", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("misses", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("reason", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("gone", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(batch_op.f("ix_harvest_items_series_uid"), ["series_uid"], unique=False)

    with op.batch_alter_table("harvest_series", schema=None) as batch_op:
        batch_op.add_column(sa.Column("source", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("held", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("gone", sa.String(), nullable=True))

    with op.batch_alter_table("harvest_sources", schema=None) as batch_op:
        batch_op.add_column(sa.Column("options", sa.JSON(), nullable=False, server_default="{}"))

    # The defaults are for the rows that are there; new ones say all of it themselves.
    for table, columns in _FILLED.items():
        with op.batch_alter_table(table, schema=None) as batch_op:
            for column in columns:
                batch_op.alter_column(column, server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("harvest_sources", schema=None) as batch_op:
        batch_op.drop_column("options")

    with op.batch_alter_table("harvest_series", schema=None) as batch_op:
        batch_op.drop_column("gone")
        batch_op.drop_column("held")
        batch_op.drop_column("source")

    with op.batch_alter_table("harvest_items", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_harvest_items_series_uid"))
        batch_op.drop_column("gone")
        batch_op.drop_column("reason")
        batch_op.drop_column("misses")
        batch_op.drop_column("series_uid")
        batch_op.drop_column("digest")

    op.drop_table("harvest_progress")
