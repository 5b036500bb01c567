"""What nodes ask of trainings.

Revision: 9c41e7ad5b20
Follows: 7d24e9b0f163
Written: 2026-12-01 04:10:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "9c41e7ad5b20"
down_revision = "7d24e9b0f163"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("catalogue_nodes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("training", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("catalogue_nodes", schema=None) as batch_op:
        batch_op.drop_column("training")
