"""Rounds of masked updates.

Revision: b81d3f60a9e4
Follows: 5b7e1f0c4a92
Written: 2026-12-01 04:20:11.307155+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "b81d3f60a9e4"
down_revision = "5b7e1f0c4a92"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_masking",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("roster", sa.JSON(), nullable=False),
        sa.Column("sites", sa.JSON(), nullable=False),
        sa.Column("base", sa.String(), nullable=True),
        sa.Column("length", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_masking_job")),
        sa.PrimaryKeyConstraint("job", "round", name=op.f("pk_jobs_masking")),
    )
    op.create_table(
        "jobs_masking_messages",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_masking_messages_job")),
        sa.PrimaryKeyConstraint(
            "job", "round", "attempt", "step", "node", name=op.f("pk_jobs_masking_messages")
        ),
    )


def downgrade() -> None:
    op.drop_table("jobs_masking_messages")
    op.drop_table("jobs_masking")
