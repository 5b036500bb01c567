"""Reports that the hub refuses.

Revision: 91c27de5b083
Follows: 6d1f0a94c27b
Written: 2026-11-30 09:45:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "91c27de5b083"
down_revision = "6d1f0a94c27b"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_untold",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("refused_with", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_reviews.job"], name=op.f("fk_jobs_untold_job")),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_jobs_untold")),
    )


def downgrade() -> None:
    op.drop_table("jobs_untold")
