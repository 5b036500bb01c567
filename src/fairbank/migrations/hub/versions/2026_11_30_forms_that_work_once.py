"""Forms that work once.

Revision: 61b0d7c2e9a4
Follows: 5a8e1c04b7d9
Written: 2026-11-30 20:05:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "61b0d7c2e9a4"
down_revision = "5a8e1c04b7d9"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "web_sent_forms",
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("used", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_web_sent_forms")),
    )
    op.create_index(op.f("ix_web_sent_forms_account"), "web_sent_forms", ["account"])
    op.create_index(op.f("ix_web_sent_forms_expires"), "web_sent_forms", ["expires"])


def downgrade() -> None:
    op.drop_index(op.f("ix_web_sent_forms_expires"), table_name="web_sent_forms")
    op.drop_index(op.f("ix_web_sent_forms_account"), table_name="web_sent_forms")
    op.drop_table("web_sent_forms")
