"""Keys that the sites of encrypted jobs share, and overlaps between two sites; both sealed to nodes.

Revision: 5f2b8c6d10e7
Follows: 9c41e7ad5b20
Written: 2026-12-01 03:50:00.000000+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5f2b8c6d10e7"
down_revision = "9c41e7ad5b20"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_shared_keys",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("parcel", sa.LargeBinary(), nullable=False),
        sa.Column("told", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_shared_keys_job")),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_jobs_shared_keys")),
    )
    op.create_table(
        "jobs_overlaps",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("asker", sa.String(), nullable=False),
        sa.Column("answerer", sa.String(), nullable=False),
        sa.Column("own", sa.String(), nullable=False),
        sa.Column("other", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("parcel", sa.Text(), nullable=True),
        sa.Column("declined", sa.Boolean(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs_overlaps")),
    )
    for column in ("asker", "answerer", "created"):
        op.create_index(op.f(f"ix_jobs_overlaps_{column}"), "jobs_overlaps", [column])


def downgrade() -> None:
    op.drop_table("jobs_overlaps")
    op.drop_table("jobs_shared_keys")
