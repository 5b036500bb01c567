"""Quality measured in pixels.

Revision: 41b9cd1eccd4
Follows: 3b7e5f20c9d1
Written: 2026-11-30 16:51:17.745104+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "41b9cd1eccd4"
down_revision = "3b7e5f20c9d1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "harvest_measured_quality",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("content_digest", sa.String(), nullable=False),
        sa.Column("tool_digest", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("measured", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project", "series_uid", name=op.f("pk_harvest_measured_quality")),
    )


def downgrade() -> None:
    op.drop_table("harvest_measured_quality")
