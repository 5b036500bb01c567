"""Withdrawn subjects of jobs.

Revision: 1b28297d7464
Follows: 86132d0afdc7
Written: 2026-11-30 00:31:23.123006+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1b28297d7464"
down_revision = "86132d0afdc7"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_withdrawals",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_withdrawals_job")),
        sa.PrimaryKeyConstraint("job", "node", name=op.f("pk_jobs_withdrawals")),
    )


def downgrade() -> None:
    op.drop_table("jobs_withdrawals")
