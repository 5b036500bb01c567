"""Sealed releases, and what a round takes from peers.

Revision: c41b9e7730fa
Follows: 41b9cd1eccd4
Written: 2026-11-30 17:13:05.640218+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "c41b9e7730fa"
down_revision = "41b9cd1eccd4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("release_release", schema=None) as batch_op:
        batch_op.add_column(sa.Column("plain_digest", sa.String(), nullable=True))
    with op.batch_alter_table("jobs_work", schema=None) as batch_op:
        batch_op.add_column(sa.Column("mail", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("jobs_work", schema=None) as batch_op:
        batch_op.drop_column("mail")
    with op.batch_alter_table("release_release", schema=None) as batch_op:
        batch_op.drop_column("plain_digest")
