"""Indexes for lists of requests.

Revision: 88235043f5af
Follows: 1b28297d7464
Written: 2026-11-30 00:47:48.713179+00:00
"""

from __future__ import annotations

from alembic import op

revision = "88235043f5af"
down_revision = "1b28297d7464"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("catalogue_access_requests", schema=None) as batch_op:
        batch_op.create_index(
            "ix_catalogue_access_requests_page",
            ["changed", "id", "version", "account", "title"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_catalogue_access_requests_state_account_version"),
            ["state", "account", "version"],
            unique=False,
        )

    with op.batch_alter_table("catalogue_agreements", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_catalogue_agreements_countersigner"), ["countersigner"], unique=False
        )

    with op.batch_alter_table("catalogue_grants", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_grants_granted_id"), ["granted", "id"], unique=False)

    with op.batch_alter_table("catalogue_legs", schema=None) as batch_op:
        batch_op.create_index(
            "ix_catalogue_legs_page", ["committee", "state", "pending_state", "due", "id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_catalogue_legs_visa"), ["visa"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("catalogue_legs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_legs_visa"))
        batch_op.drop_index("ix_catalogue_legs_page")

    with op.batch_alter_table("catalogue_grants", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_grants_granted_id"))

    with op.batch_alter_table("catalogue_agreements", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_agreements_countersigner"))

    with op.batch_alter_table("catalogue_access_requests", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_access_requests_state_account_version"))
        batch_op.drop_index("ix_catalogue_access_requests_page")
