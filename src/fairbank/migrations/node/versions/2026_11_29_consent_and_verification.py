"""Consent and verification.

Revision: d76e7db21e54
Follows: f24b251118fd
Written: 2026-11-29 18:03:30.977730+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "d76e7db21e54"
down_revision = "f24b251118fd"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "harvest_consents",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("consent_key", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("recorded", sa.Date(), nullable=False),
        sa.Column("form", sa.String(), nullable=False),
        sa.Column("data_use", sa.JSON(), nullable=False),
        sa.Column("imported", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_harvest_consents")),
    )
    with op.batch_alter_table("harvest_consents", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_harvest_consents_consent_key"), ["consent_key"], unique=False)
        batch_op.create_index(batch_op.f("ix_harvest_consents_project"), ["project"], unique=False)

    op.create_table(
        "harvest_legal_bases",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("basis", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("recorded", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project", name=op.f("pk_harvest_legal_bases")),
    )
    op.create_table(
        "harvest_standings",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("project", "subject", name=op.f("pk_harvest_standings")),
    )
    op.create_table(
        "harvest_trusts",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("container", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("accepted_by", sa.String(), nullable=False),
        sa.Column("accepted", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "container", name=op.f("pk_harvest_trusts")),
    )
    with op.batch_alter_table("deid_items", schema=None) as batch_op:
        batch_op.create_index("ix_deid_items_series", ["project", "series_uid"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("deid_items", schema=None) as batch_op:
        batch_op.drop_index("ix_deid_items_series")

    op.drop_table("harvest_trusts")
    op.drop_table("harvest_standings")
    op.drop_table("harvest_legal_bases")
    with op.batch_alter_table("harvest_consents", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_harvest_consents_consent_key"))
        batch_op.drop_index(batch_op.f("ix_harvest_consents_project"))

    op.drop_table("harvest_consents")
