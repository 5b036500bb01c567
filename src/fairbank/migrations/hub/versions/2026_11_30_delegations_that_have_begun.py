"""Delegations that have begun.

Revision: 4be07d91c5f2
Follows: 88235043f5af
Written: 2026-11-30 09:55:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4be07d91c5f2"
down_revision = "88235043f5af"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nobody reads anything by it until the hub, when it is started, has looked at the clock.
    with op.batch_alter_table("catalogue_committee_substitutes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("begun", sa.Boolean(), server_default=sa.text("false"), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("catalogue_committee_substitutes", schema=None) as batch_op:
        batch_op.drop_column("begun")
