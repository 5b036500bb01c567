"""What datasets say beyond images.

Revision: 8c41f2a9d6e3
Follows: 05b31a79037e
Written: 2026-11-25 18:10:00.000000+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "8c41f2a9d6e3"
down_revision = "05b31a79037e"
branch_labels = None
depends_on = None

# No record that was published before says anything of the kind, so there is nothing to read from the envelopes.
_NEW = (("conditions", "[]"), ("holdings", "{}"))


def upgrade() -> None:
    with op.batch_alter_table("catalogue_datasets", schema=None) as batch_op:
        for name, empty in _NEW:
            batch_op.add_column(
                sa.Column(name, sa.JSON(), nullable=False, server_default=sa.text(f"'{empty}'"))
            )
    with op.batch_alter_table("catalogue_datasets", schema=None) as batch_op:
        for name, _ in _NEW:
            batch_op.alter_column(name, server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("catalogue_datasets", schema=None) as batch_op:
        for name, _ in reversed(_NEW):
            batch_op.drop_column(name)
