"""Progress of jobs at their sites.

Revision: 5c1f0a7be2d4
Follows: 5c0e4f1a9d27
Written: 2026-11-30 16:50:00.000000+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5c1f0a7be2d4"
down_revision = "5c0e4f1a9d27"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs_sites", schema=None) as batch_op:
        batch_op.add_column(sa.Column("percent", sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("jobs_sites", schema=None) as batch_op:
        batch_op.drop_column("percent")
