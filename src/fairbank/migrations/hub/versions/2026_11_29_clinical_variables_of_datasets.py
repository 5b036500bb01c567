"""Clinical variables of datasets.

Revision: 5f170c0f2881
Follows: 7c1f40b8e2d6
Written: 2026-11-29 18:07:19.177419+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5f170c0f2881"
down_revision = "7c1f40b8e2d6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("catalogue_datasets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("variables", sa.JSON(), nullable=False, server_default=sa.text("'[]'")))
    # The default is for the rows that are there; new ones say all of it themselves.
    with op.batch_alter_table("catalogue_datasets", schema=None) as batch_op:
        batch_op.alter_column("variables", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("catalogue_datasets", schema=None) as batch_op:
        batch_op.drop_column("variables")
