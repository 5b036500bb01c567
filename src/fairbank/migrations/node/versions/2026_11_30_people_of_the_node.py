"""People of the node.

Revision: 4cbbbaa24b66
Follows: 10280f4b698e
Written: 2026-11-30 00:25:28.463683+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4cbbbaa24b66"
down_revision = "10280f4b698e"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "release_countersignatures",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("visa", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release_countersignatures")),
    )
    with op.batch_alter_table("release_countersignatures", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_release_countersignatures_dataset"), ["dataset"], unique=False)
        batch_op.create_index(batch_op.f("ix_release_countersignatures_visa"), ["visa"], unique=False)

    op.create_table(
        "release_decisions",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_release_decisions")),
    )
    with op.batch_alter_table("release_decisions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_release_decisions_target"), ["target"], unique=False)

    op.create_table(
        "release_grants",
        sa.Column("visa", sa.String(), nullable=False),
        sa.Column("supersedes", sa.String(), nullable=True),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("visa", name=op.f("pk_release_grants")),
    )
    op.create_table(
        "release_hub_keys",
        sa.Column("old", sa.String(), nullable=False),
        sa.Column("new", sa.String(), nullable=False),
        sa.Column("succession", sa.LargeBinary(), nullable=False),
        sa.Column("learnt", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("old", name=op.f("pk_release_hub_keys")),
        sa.UniqueConstraint("new", name=op.f("uq_release_hub_keys_new")),
    )
    op.create_table(
        "release_node_keys",
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("succession", sa.LargeBinary(), nullable=False),
        sa.Column("succeeded", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_release_node_keys")),
    )
    op.create_table(
        "release_people",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("added", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retirement", sa.LargeBinary(), nullable=True),
        sa.Column("retired", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_release_people")),
        sa.UniqueConstraint("key_id", name=op.f("uq_release_people_key_id")),
    )
    with op.batch_alter_table("jobs_rules", schema=None) as batch_op:
        batch_op.add_column(sa.Column("decision", sa.String(), nullable=True))

    with op.batch_alter_table("release_node", schema=None) as batch_op:
        batch_op.add_column(sa.Column("suspended", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("release_node", schema=None) as batch_op:
        batch_op.drop_column("suspended")

    with op.batch_alter_table("jobs_rules", schema=None) as batch_op:
        batch_op.drop_column("decision")

    op.drop_table("release_people")
    op.drop_table("release_node_keys")
    op.drop_table("release_hub_keys")
    op.drop_table("release_grants")
    with op.batch_alter_table("release_decisions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_release_decisions_target"))

    op.drop_table("release_decisions")
    with op.batch_alter_table("release_countersignatures", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_release_countersignatures_visa"))
        batch_op.drop_index(batch_op.f("ix_release_countersignatures_dataset"))

    op.drop_table("release_countersignatures")
