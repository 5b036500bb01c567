"""Imaging facts of series.

Revision: 4e9a71c35d08
Follows: 8c2f6d10b7e4
Written: 2026-11-25 18:12:40.118306+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4e9a71c35d08"
down_revision = "8c2f6d10b7e4"
branch_labels = None
depends_on = None

_WORDS = ("slice_spacing", "model", "field_strength", "kernel", "laterality")


def upgrade() -> None:
    with op.batch_alter_table("deid_facts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("study_day", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("annotations", sa.JSON(), nullable=True))
    with op.batch_alter_table("harvest_series", schema=None) as batch_op:
        for word in _WORDS:
            batch_op.add_column(sa.Column(word, sa.String(), nullable=False, server_default="unknown"))
        batch_op.add_column(sa.Column("study_day", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("annotations", sa.JSON(), nullable=False, server_default="{}"))
    with op.batch_alter_table("harvest_series", schema=None) as batch_op:
        for column in (*_WORDS, "annotations"):
            batch_op.alter_column(column, server_default=None)
    # Without its token a series counts as changed, so the next run of the indexing reads its headers.
    op.execute("UPDATE harvest_series SET stat_token = ''")


def downgrade() -> None:
    with op.batch_alter_table("harvest_series", schema=None) as batch_op:
        for column in (*_WORDS, "study_day", "annotations"):
            batch_op.drop_column(column)
    with op.batch_alter_table("deid_facts", schema=None) as batch_op:
        batch_op.drop_column("annotations")
        batch_op.drop_column("study_day")
