"""Files of models for jobs.

Revision: 3d5a91c7e042
Follows: 3f0c54d1a7e2
Written: 2026-11-30 17:00:00.000000+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3d5a91c7e042"
down_revision = "3f0c54d1a7e2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_model_files",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", "account", name=op.f("pk_jobs_model_files")),
    )
    op.create_table(
        "jobs_job_model_files",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_job_model_files_job")),
        sa.PrimaryKeyConstraint("job", "digest", name=op.f("pk_jobs_job_model_files")),
    )
    with op.batch_alter_table("jobs_job_model_files", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_job_model_files_digest"), ["digest"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("jobs_job_model_files", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_job_model_files_digest"))

    op.drop_table("jobs_job_model_files")
    op.drop_table("jobs_model_files")
