"""Resources that people describe by the FAIR Data Point.

Revision: 7c1f40b8e2d6
Follows: 7c40d1e6a2f9
Written: 2026-11-25 18:05:11.402117+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "7c1f40b8e2d6"
down_revision = "7c40d1e6a2f9"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "catalogue_described",
        sa.Column("iri", sa.String(), nullable=False),
        sa.Column("graph", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("shown", sa.Boolean(), nullable=False),
        sa.Column("shown_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("keywords", sa.JSON(), nullable=False),
        sa.Column("publisher", sa.String(), nullable=False),
        sa.Column("licence", sa.String(), nullable=True),
        sa.Column("access_rights", sa.String(), nullable=False),
        sa.Column("data_use", sa.JSON(), nullable=False),
        sa.Column("search_text", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_described_owner")
        ),
        sa.PrimaryKeyConstraint("iri", name=op.f("pk_catalogue_described")),
        sa.UniqueConstraint("graph", name=op.f("uq_catalogue_described_graph")),
    )
    with op.batch_alter_table("catalogue_described", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_described_owner"), ["owner"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_described_parent"), ["parent"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_described_shown"), ["shown"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("catalogue_described", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_described_shown"))
        batch_op.drop_index(batch_op.f("ix_catalogue_described_parent"))
        batch_op.drop_index(batch_op.f("ix_catalogue_described_owner"))
    op.drop_table("catalogue_described")
