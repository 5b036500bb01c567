"""Plans of training.

Revision: 3f0c54d1a7e2
Follows: b991f836535a
Written: 2026-11-30 16:55:02.413377+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3f0c54d1a7e2"
down_revision = "b991f836535a"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs_rounds", schema=None) as batch_op:
        batch_op.add_column(sa.Column("step", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("enough", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("state_digest", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("record", sa.JSON(), nullable=True))
    with op.batch_alter_table("jobs_updates", schema=None) as batch_op:
        batch_op.add_column(sa.Column("merged_in", sa.Integer(), nullable=True))
    # Until now each was merged in the round that it was computed for.
    op.execute(sa.text("UPDATE jobs_updates SET merged_in = round"))
    with op.batch_alter_table("jobs_updates", schema=None) as batch_op:
        batch_op.alter_column("merged_in", existing_type=sa.Integer(), nullable=False)
        batch_op.create_index("ix_jobs_updates_merged_in", ["job", "merged_in"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("jobs_updates", schema=None) as batch_op:
        batch_op.drop_index("ix_jobs_updates_merged_in")
        batch_op.drop_column("merged_in")
    with op.batch_alter_table("jobs_rounds", schema=None) as batch_op:
        batch_op.drop_column("record")
        batch_op.drop_column("state_digest")
        batch_op.drop_column("enough")
        batch_op.drop_column("step")
