"""Annotations of frozen cohorts.

Revision: d7978f3c4374
Follows: 7d2c5e90b4a1
Written: 2026-11-30 13:52:19.024559+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "d7978f3c4374"
down_revision = "7d2c5e90b4a1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_cohort_annotations",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("annotation_uid", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("content_digest", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_reviews.job"], name=op.f("fk_jobs_cohort_annotations_job")),
        sa.PrimaryKeyConstraint(
            "job", "dataset", "series_uid", "annotation_uid", name=op.f("pk_jobs_cohort_annotations")
        ),
    )


def downgrade() -> None:
    op.drop_table("jobs_cohort_annotations")
