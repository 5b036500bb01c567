"""Live counts.

Revision: 9c41e7b20f5d
Follows: 6819d343ba41
Written: 2026-11-30 09:52:41.004187+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "9c41e7b20f5d"
down_revision = "6819d343ba41"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_counts",
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("requester_key", sa.String(), nullable=False),
        sa.Column("selector", sa.JSON(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("visa", sa.LargeBinary(), nullable=True),
        sa.Column("request", sa.LargeBinary(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=True),
        sa.Column("k", sa.Integer(), nullable=True),
        sa.Column("reported", sa.Boolean(), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("question", "place", name=op.f("pk_jobs_counts")),
    )
    with op.batch_alter_table("jobs_counts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_counts_kind"), ["kind"], unique=False)
    op.create_table(
        "release_told_counts",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("selector", sa.String(), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("members", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release_told_counts")),
    )
    with op.batch_alter_table("release_told_counts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_release_told_counts_dataset"), ["dataset"], unique=False)


def downgrade() -> None:
    op.drop_table("release_told_counts")
    op.drop_table("jobs_counts")
