"""Sealing keys of sites, and parcels that they left out.

Revision: 5a8e1c04b7d9
Follows: 5c1f0a7be2d4
Written: 2026-11-30 17:12:40.118402+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5a8e1c04b7d9"
down_revision = "5c1f0a7be2d4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_sealing_keys",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("signer", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("told", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_sealing_keys_job")),
        sa.PrimaryKeyConstraint("job", "node", name=op.f("pk_jobs_sealing_keys")),
    )
    op.create_table(
        "jobs_left_out",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("parcel", sa.String(), nullable=False),
        sa.Column("fault", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_left_out_job")),
        sa.PrimaryKeyConstraint("job", "round", "node", "parcel", name=op.f("pk_jobs_left_out")),
    )


def downgrade() -> None:
    op.drop_table("jobs_left_out")
    op.drop_table("jobs_sealing_keys")
