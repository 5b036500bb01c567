"""Who decided about faces.

Revision: ffa772712eac
Follows: 4d1f7a90c3be
Written: 2026-11-29 21:36:34.170859+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "ffa772712eac"
down_revision = "4d1f7a90c3be"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deid_face_policies",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project", "number", name=op.f("pk_deid_face_policies")),
    )
    op.create_table(
        "deid_face_series",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("head", sa.Boolean(), nullable=False),
        sa.Column("defaced", sa.Boolean(), nullable=False),
        sa.Column("in_situ", sa.Boolean(), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project", "series_uid", name=op.f("pk_deid_face_series")),
    )
    with op.batch_alter_table("deid_face_series", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deid_face_series_subject"), ["subject"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("deid_face_series", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_deid_face_series_subject"))

    op.drop_table("deid_face_series")
    op.drop_table("deid_face_policies")
