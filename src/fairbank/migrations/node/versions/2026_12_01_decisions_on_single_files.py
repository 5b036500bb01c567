"""Decisions on single held files.

Revision: 7d1e5a90c2b4
Follows: c41b9e7730fa
Written: 2026-12-01 00:15:00.000000+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "7d1e5a90c2b4"
down_revision = "c41b9e7730fa"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deid_item_decisions",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("item_key", sa.String(), nullable=False),
        sa.Column("grp", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("areas", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_deid_item_decisions")),
    )
    op.create_index(op.f("ix_deid_item_decisions_project"), "deid_item_decisions", ["project"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_deid_item_decisions_project"), table_name="deid_item_decisions")
    op.drop_table("deid_item_decisions")
