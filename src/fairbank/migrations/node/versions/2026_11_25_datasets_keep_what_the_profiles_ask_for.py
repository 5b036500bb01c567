"""Datasets keep what the profiles ask for.

Revision: f629a4f93899
Follows: 3220402f0dac
Written: 2026-11-25 16:36:08.976590+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "f629a4f93899"
down_revision = "3220402f0dac"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("harvest_datasets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("stewardship", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("harvest_datasets", schema=None) as batch_op:
        batch_op.drop_column("stewardship")
