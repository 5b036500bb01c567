"""Cards of models and settings of sites.

Revision: 5c0e4f1a9d27
Follows: 3d5a91c7e042
Written: 2026-11-30 17:02:11.402118+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5c0e4f1a9d27"
down_revision = "3d5a91c7e042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs_models") as table:
        table.add_column(sa.Column("state", sa.String(), server_default="registered", nullable=False))
        table.add_column(sa.Column("line", sa.String(), nullable=True))
        table.add_column(sa.Column("version", sa.Integer(), server_default="1", nullable=False))
        table.add_column(sa.Column("card", sa.LargeBinary(), nullable=True))
        table.add_column(sa.Column("card_digest", sa.String(), nullable=True))
        table.create_index(op.f("ix_jobs_models_line"), ["line"])
    op.create_table(
        "jobs_settings",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("statement", sa.LargeBinary(), nullable=False),
        sa.Column("deviates", sa.JSON(), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_settings_job")),
        sa.PrimaryKeyConstraint("job", "node", name=op.f("pk_jobs_settings")),
    )


def downgrade() -> None:
    op.drop_table("jobs_settings")
    with op.batch_alter_table("jobs_models") as table:
        table.drop_index(op.f("ix_jobs_models_line"))
        for column in ("card_digest", "card", "version", "line", "state"):
            table.drop_column(column)
