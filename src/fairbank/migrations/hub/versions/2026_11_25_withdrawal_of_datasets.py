"""Withdrawal of datasets.

Revision: 05b31a79037e
Follows: 5d1c7e0b94a2
Written: 2026-11-25 16:26:51.798933+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "05b31a79037e"
down_revision = "5d1c7e0b94a2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("catalogue_datasets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("withdrawn", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("withdrawn_because", sa.String(), nullable=True))


def downgrade() -> None:
    # An older hub knows no withdrawal: what was withdrawn would be seen again if it were not hidden.
    op.execute("UPDATE catalogue_datasets SET visibility = 'hidden' WHERE withdrawn IS NOT NULL")
    with op.batch_alter_table("catalogue_datasets", schema=None) as batch_op:
        batch_op.drop_column("withdrawn_because")
        batch_op.drop_column("withdrawn")
