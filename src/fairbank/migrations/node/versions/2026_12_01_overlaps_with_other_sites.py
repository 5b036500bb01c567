"""Overlaps with other sites.

Revision: 8c41d7e95a02
Follows: 3a3dd6d42897
Written: 2026-12-01 04:05:00.000000+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "8c41d7e95a02"
down_revision = "3a3dd6d42897"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_overlaps",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("asked_here", sa.Boolean(), nullable=False),
        sa.Column("peer", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=True),
        sa.Column("own", sa.String(), nullable=False),
        sa.Column("other", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("run", sa.Boolean(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=True),
        sa.Column("incoming", sa.Text(), nullable=True),
        sa.Column("outgoing", sa.Text(), nullable=True),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=True),
        sa.Column("value", sa.Integer(), nullable=True),
        sa.Column("k", sa.Integer(), nullable=True),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs_overlaps")),
    )
    op.create_index(op.f("ix_jobs_overlaps_state"), "jobs_overlaps", ["state"])


def downgrade() -> None:
    op.drop_table("jobs_overlaps")
