"""Starts of agents.

Revision: 5d8bf8fccc12
Follows: bd19e21ab5fd
Written: 2026-11-30 09:46:41.378957+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5d8bf8fccc12"
down_revision = "bd19e21ab5fd"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_boots",
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("boot", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("over", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("node", "boot", name=op.f("pk_jobs_boots")),
    )


def downgrade() -> None:
    op.drop_table("jobs_boots")
