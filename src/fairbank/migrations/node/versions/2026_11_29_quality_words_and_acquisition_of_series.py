"""Quality words and acquisition of series.

Revision: 8d86b4cd2021
Follows: d76e7db21e54
Written: 2026-11-29 18:09:51.142703+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "8d86b4cd2021"
down_revision = "d76e7db21e54"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "harvest_quality_words",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("aspect", sa.String(), nullable=False),
        sa.Column("rater", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("rated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("imported", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "series_uid", "aspect", "rater", name=op.f("pk_harvest_quality_words")
        ),
    )
    with op.batch_alter_table("harvest_series", schema=None) as batch_op:
        batch_op.add_column(sa.Column("acquisition", sa.JSON(), nullable=False, server_default="{}"))
    # The default is for the rows that are there; new ones say all of it themselves.
    with op.batch_alter_table("harvest_series", schema=None) as batch_op:
        batch_op.alter_column("acquisition", server_default=None)
    # Without its token a series counts as changed, so the next run of the indexing assesses the new aspects.
    op.execute("UPDATE harvest_series SET stat_token = ''")


def downgrade() -> None:
    with op.batch_alter_table("harvest_series", schema=None) as batch_op:
        batch_op.drop_column("acquisition")

    op.drop_table("harvest_quality_words")
