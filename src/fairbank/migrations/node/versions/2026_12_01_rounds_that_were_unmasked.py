"""Rounds that were unmasked.

Revision: c40e7b92d518
Follows: 8c41d7e95a02
Written: 2026-12-01 04:20:40.118402+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "c40e7b92d518"
down_revision = "8c41d7e95a02"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_unmasked",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job", "round", name=op.f("pk_jobs_unmasked")),
    )


def downgrade() -> None:
    op.drop_table("jobs_unmasked")
