"""Measurements of jobs.

Revision: 01bce188688a
Follows: 3a7fd1906be2
Written: 2026-11-30 14:45:34.034676+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "01bce188688a"
down_revision = "3a7fd1906be2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_measured",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("visa", sa.String(), nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("tool_version", sa.String(), nullable=False),
        sa.Column("tool_digest", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("kept", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_measured_job")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs_measured")),
        sa.UniqueConstraint("job", "node", name="uq_jobs_measured_job_node"),
    )
    with op.batch_alter_table("jobs_measured", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_measured_tool"), ["tool"], unique=False)

    op.create_table(
        "jobs_measured_columns",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=True),
        sa.Column("biomarker", sa.String(), nullable=True),
        sa.Column("meaning", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_measured_columns_job")),
        sa.PrimaryKeyConstraint("job", "name", name=op.f("pk_jobs_measured_columns")),
    )
    with op.batch_alter_table("jobs_measured_columns", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_measured_columns_biomarker"), ["biomarker"], unique=False)

    op.create_table(
        "jobs_measurements",
        sa.Column("measured", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["measured"], ["jobs_measured.id"], name=op.f("fk_jobs_measurements_measured")
        ),
        sa.PrimaryKeyConstraint("measured", "place", name=op.f("pk_jobs_measurements")),
    )


def downgrade() -> None:
    op.drop_table("jobs_measurements")
    with op.batch_alter_table("jobs_measured_columns", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_measured_columns_biomarker"))

    op.drop_table("jobs_measured_columns")
    with op.batch_alter_table("jobs_measured", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_measured_tool"))

    op.drop_table("jobs_measured")
