"""Priorities and turns of jobs.

Revision: bd19e21ab5fd
Follows: 4be07d91c5f2
Written: 2026-11-30 09:38:13.047645+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "bd19e21ab5fd"
down_revision = "4be07d91c5f2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_turns",
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("node", "account", name=op.f("pk_jobs_turns")),
    )
    with op.batch_alter_table("jobs_jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("priority", sa.String(), server_default="normal", nullable=False))
        batch_op.add_column(sa.Column("memory_bytes", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("gpus", sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("jobs_jobs", schema=None) as batch_op:
        batch_op.drop_column("gpus")
        batch_op.drop_column("memory_bytes")
        batch_op.drop_column("priority")

    op.drop_table("jobs_turns")
