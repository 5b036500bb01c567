"""Keys for the pages.

Revision: 7d24e9b0f163
Follows: 61b0d7c2e9a4
Written: 2026-12-01 00:05:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "7d24e9b0f163"
down_revision = "61b0d7c2e9a4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "catalogue_page_keys",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_page_keys_account")
        ),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_catalogue_page_keys")),
    )


def downgrade() -> None:
    op.drop_table("catalogue_page_keys")
