"""Keys that the sites of encrypted jobs share, sealed to them.

Revision: 5f2b8c6d10e7
Follows: 7d24e9b0f163
Written: 2026-12-01 03:50:00.000000+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5f2b8c6d10e7"
down_revision = "7d24e9b0f163"
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


def downgrade() -> None:
    op.drop_table("jobs_shared_keys")
