"""What records of datasets told.

Revision: 8ce8c242869b
Follows: 8d86b4cd2021
Written: 2026-11-29 18:43:25.986871+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "8ce8c242869b"
down_revision = "8d86b4cd2021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "harvest_published",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("contributions", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "version", name=op.f("pk_harvest_published")),
    )
    with op.batch_alter_table("harvest_runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("archive_deid", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("harvest_runs", schema=None) as batch_op:
        batch_op.drop_column("archive_deid")

    op.drop_table("harvest_published")
