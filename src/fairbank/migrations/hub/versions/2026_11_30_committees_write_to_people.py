"""Committees write to people.

Revision: e19832e012f0
Follows: 7e6e9cc58f80
Written: 2026-11-30 00:15:23.190675+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "e19832e012f0"
down_revision = "7e6e9cc58f80"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("catalogue_accounts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("email", sa.String(), nullable=True))

    with op.batch_alter_table("catalogue_committees", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("names_voters", sa.Boolean(), server_default=sa.text("false"), nullable=False)
        )

    with op.batch_alter_table("catalogue_notices", schema=None) as batch_op:
        batch_op.add_column(sa.Column("attempts", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("next_try", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("problem", sa.String(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("catalogue_notices", schema=None) as batch_op:
        batch_op.drop_column("problem")
        batch_op.drop_column("next_try")
        batch_op.drop_column("attempts")

    with op.batch_alter_table("catalogue_committees", schema=None) as batch_op:
        batch_op.drop_column("names_voters")

    with op.batch_alter_table("catalogue_accounts", schema=None) as batch_op:
        batch_op.drop_column("email")
