"""Retries and usage of jobs.

Revision: 998f23a56df6
Follows: 5d8bf8fccc12
Written: 2026-11-30 10:01:11.825841+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "998f23a56df6"
down_revision = "5d8bf8fccc12"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_usage",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("cpu_s", sa.BigInteger(), nullable=False),
        sa.Column("gpu_s", sa.BigInteger(), nullable=False),
        sa.Column("bytes_up", sa.BigInteger(), nullable=False),
        sa.Column("bytes_down", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_usage_job")),
        sa.PrimaryKeyConstraint("job", "node", "round", name=op.f("pk_jobs_usage")),
    )
    with op.batch_alter_table("jobs_sites", schema=None) as batch_op:
        batch_op.add_column(sa.Column("retries", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(batch_op.f("ix_jobs_sites_not_before"), ["not_before"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("jobs_sites", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_sites_not_before"))
        batch_op.drop_column("not_before")
        batch_op.drop_column("retries")

    op.drop_table("jobs_usage")
