"""Methods and decisions of de-identification.

Revision: 4d1f7a90c3be
Follows: 8ce8c242869b
Written: 2026-11-29 21:30:00.000000+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4d1f7a90c3be"
down_revision = "8ce8c242869b"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deid_decisions",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("grp", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_deid_decisions")),
    )
    op.create_index(op.f("ix_deid_decisions_project"), "deid_decisions", ["project"], unique=False)
    with op.batch_alter_table("deid_items", schema=None) as batch_op:
        batch_op.add_column(sa.Column("method", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("grp", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("verdict", sa.String(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("deid_items", schema=None) as batch_op:
        batch_op.drop_column("verdict")
        batch_op.drop_column("grp")
        batch_op.drop_column("method")

    op.drop_index(op.f("ix_deid_decisions_project"), table_name="deid_decisions")
    op.drop_table("deid_decisions")
