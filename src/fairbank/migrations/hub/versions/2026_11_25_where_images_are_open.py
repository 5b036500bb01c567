"""Where the images of a dataset are open to everyone.

Revision: 7c40d1e6a2f9
Follows: 8c41f2a9d6e3
Written: 2026-11-25 18:30:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "7c40d1e6a2f9"
down_revision = "8c41f2a9d6e3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # No record that is there says so yet: null is what they say.
    with op.batch_alter_table("catalogue_datasets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("open_at", sa.String(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("catalogue_datasets", schema=None) as batch_op:
        batch_op.drop_column("open_at")
