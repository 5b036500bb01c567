"""Clinical variables of subjects.

Revision: f24b251118fd
Follows: 38f75cbf3e29
Written: 2026-11-29 17:59:59.266530+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "f24b251118fd"
down_revision = "38f75cbf3e29"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "harvest_variable_definitions",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("mapping", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("project", "name", name=op.f("pk_harvest_variable_definitions")),
    )
    op.create_table(
        "harvest_variables",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("variable", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("project", "subject", "variable", name=op.f("pk_harvest_variables")),
    )


def downgrade() -> None:
    op.drop_table("harvest_variables")
    op.drop_table("harvest_variable_definitions")
