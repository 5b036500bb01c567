"""Keys and suspension of nodes.

Revision: 86132d0afdc7
Follows: d790d7111c33
Written: 2026-11-30 00:25:29.572629+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "86132d0afdc7"
down_revision = "d790d7111c33"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "catalogue_hub_keys",
        sa.Column("old", sa.String(), nullable=False),
        sa.Column("new", sa.String(), nullable=False),
        sa.Column("succession", sa.LargeBinary(), nullable=False),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("old", name=op.f("pk_catalogue_hub_keys")),
        sa.UniqueConstraint("new", name=op.f("uq_catalogue_hub_keys_new")),
    )
    op.create_table(
        "catalogue_node_keys",
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("succession", sa.LargeBinary(), nullable=False),
        sa.Column("succeeded", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["node"], ["catalogue_nodes.name"], name=op.f("fk_catalogue_node_keys_node")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_catalogue_node_keys")),
    )
    with op.batch_alter_table("catalogue_node_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_node_keys_node"), ["node"], unique=False)

    with op.batch_alter_table("catalogue_nodes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("suspended", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("catalogue_nodes", schema=None) as batch_op:
        batch_op.drop_column("suspended")

    with op.batch_alter_table("catalogue_node_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_node_keys_node"))

    op.drop_table("catalogue_node_keys")
    op.drop_table("catalogue_hub_keys")
