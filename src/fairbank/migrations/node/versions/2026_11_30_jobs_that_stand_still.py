"""Jobs that stand still at a site, and when its people were told of one that waits.

Revision: 7d2c5e90b4a1
Follows: 9c41e7b20f5d
Written: 2026-11-30 09:50:00.000000+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "7d2c5e90b4a1"
down_revision = "9c41e7b20f5d"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs_reviews", schema=None) as batch_op:
        batch_op.add_column(sa.Column("halted", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("noticed", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("jobs_reviews", schema=None) as batch_op:
        batch_op.drop_column("noticed")
        batch_op.drop_column("halted")
