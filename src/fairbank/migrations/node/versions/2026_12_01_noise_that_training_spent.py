"""Noise that training spent.

Revision: 3a3dd6d42897
Follows: 7d1e5a90c2b4
Written: 2026-12-01 00:37:03.949622+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3a3dd6d42897"
down_revision = "7d1e5a90c2b4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_noise",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("cohort", sa.String(), nullable=False),
        sa.Column("sigma", sa.String(), nullable=False),
        sa.Column("rate", sa.String(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("clip", sa.String(), nullable=False),
        sa.Column("accountant", sa.String(), nullable=False),
        sa.Column("before", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_jobs_noise")),
        sa.UniqueConstraint("before", name=op.f("uq_jobs_noise_before")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("jobs_noise", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_noise_cohort"), ["cohort"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_noise_job"), ["job"], unique=False)

    op.create_table(
        "jobs_noise_cohorts",
        sa.Column("cohort", sa.String(), nullable=False),
        sa.Column("patient", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("cohort", "patient", name=op.f("pk_jobs_noise_cohorts")),
    )
    with op.batch_alter_table("jobs_noise_cohorts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_noise_cohorts_patient"), ["patient"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("jobs_noise_cohorts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_noise_cohorts_patient"))

    op.drop_table("jobs_noise_cohorts")
    with op.batch_alter_table("jobs_noise", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_noise_job"))
        batch_op.drop_index(batch_op.f("ix_jobs_noise_cohort"))

    op.drop_table("jobs_noise")
