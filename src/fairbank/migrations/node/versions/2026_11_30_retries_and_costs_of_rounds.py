"""Retries and costs of rounds.

Revision: 6819d343ba41
Follows: 5e0d37c9a4b6
Written: 2026-11-30 10:01:47.588047+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "6819d343ba41"
down_revision = "5e0d37c9a4b6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs_reviews", schema=None) as batch_op:
        batch_op.add_column(sa.Column("retries", sa.Integer(), server_default="0", nullable=False))

    with op.batch_alter_table("jobs_work", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cpu_s", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("gpu_s", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("spent_told", sa.Boolean(), nullable=True))
        batch_op.create_index(batch_op.f("ix_jobs_work_spent_told"), ["spent_told"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("jobs_work", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_work_spent_told"))
        batch_op.drop_column("spent_told")
        batch_op.drop_column("gpu_s")
        batch_op.drop_column("cpu_s")

    with op.batch_alter_table("jobs_reviews", schema=None) as batch_op:
        batch_op.drop_column("retries")
