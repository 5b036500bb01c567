"""What a site's own codes mean in the words of jobs that learn a label.

Revision: 3b7e5f20c9d1
Follows: d7978f3c4374
Written: 2026-11-30 17:05:00.000000+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import fairbank.database

revision = "3b7e5f20c9d1"
down_revision = "d7978f3c4374"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_label_words",
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("word", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("since", fairbank.database.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("label", "code", name=op.f("pk_jobs_label_words")),
    )


def downgrade() -> None:
    op.drop_table("jobs_label_words")
