"""How files were de-identified, for reports, and samples that people look at.

Revision: 5b0e6c1f8a27
Follows: ffa772712eac
Written: 2026-11-29 22:36:00.000000+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5b0e6c1f8a27"
down_revision = "ffa772712eac"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deid_methods",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("project", "digest", name=op.f("pk_deid_methods")),
    )
    op.create_table(
        "deid_series_work",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("actions", sa.LargeBinary(), nullable=False),
        sa.Column("standard", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("project", "series_uid", name=op.f("pk_deid_series_work")),
    )
    op.create_index(op.f("ix_deid_series_work_subject"), "deid_series_work", ["subject"], unique=False)
    op.create_table(
        "deid_samples",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("population", sa.Integer(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project", "number", name=op.f("pk_deid_samples")),
    )
    op.create_table(
        "deid_sampled",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("sample", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("item_key", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("project", "sample", "item_key", name=op.f("pk_deid_sampled")),
    )
    op.create_table(
        "deid_looks",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("sample", sa.Integer(), nullable=False),
        sa.Column("item_key", sa.String(), nullable=False),
        sa.Column("clean", sa.Boolean(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_deid_looks")),
    )
    op.create_index(op.f("ix_deid_looks_project"), "deid_looks", ["project"], unique=False)
    with op.batch_alter_table("deid_items", schema=None) as batch_op:
        batch_op.add_column(sa.Column("size", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("work", sa.String(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("deid_items", schema=None) as batch_op:
        batch_op.drop_column("work")
        batch_op.drop_column("size")

    op.drop_index(op.f("ix_deid_looks_project"), table_name="deid_looks")
    op.drop_table("deid_looks")
    op.drop_table("deid_sampled")
    op.drop_table("deid_samples")
    op.drop_index(op.f("ix_deid_series_work_subject"), table_name="deid_series_work")
    op.drop_table("deid_series_work")
    op.drop_table("deid_methods")
