"""Roles of nodes, tokens, sessions and second factors of accounts.

Revision: cff6f6b22090
Follows: e19832e012f0
Written: 2026-11-30 00:21:25.341097+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "cff6f6b22090"
down_revision = "e19832e012f0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "catalogue_login_flows",
        sa.Column("state_hash", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("state_hash", name=op.f("pk_catalogue_login_flows")),
    )
    with op.batch_alter_table("catalogue_login_flows", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_login_flows_expires"), ["expires"], unique=False)

    op.create_table(
        "catalogue_api_tokens",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_api_tokens_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_catalogue_api_tokens_token_hash")),
    )
    with op.batch_alter_table("catalogue_api_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_api_tokens_account"), ["account"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_api_tokens_expires"), ["expires"], unique=False)

    op.create_table(
        "catalogue_external_identities",
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("linked", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_external_identities_account")
        ),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_catalogue_external_identities")),
    )
    with op.batch_alter_table("catalogue_external_identities", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_catalogue_external_identities_account"), ["account"], unique=False
        )

    op.create_table(
        "catalogue_known_origins",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_known_origins_account")
        ),
        sa.PrimaryKeyConstraint("account", "origin", name=op.f("pk_catalogue_known_origins")),
    )
    op.create_table(
        "catalogue_recovery_codes",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("used", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_recovery_codes_account")
        ),
        sa.PrimaryKeyConstraint("account", "code_hash", name=op.f("pk_catalogue_recovery_codes")),
    )
    op.create_table(
        "catalogue_reset_codes",
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_reset_codes_account")
        ),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_catalogue_reset_codes")),
    )
    with op.batch_alter_table("catalogue_reset_codes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_reset_codes_account"), ["account"], unique=False)

    op.create_table(
        "catalogue_role_scopes",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("given_by", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_role_scopes_account")
        ),
        sa.ForeignKeyConstraint(
            ["node"], ["catalogue_nodes.name"], name=op.f("fk_catalogue_role_scopes_node")
        ),
        sa.PrimaryKeyConstraint("account", "role", "node", name=op.f("pk_catalogue_role_scopes")),
    )
    with op.batch_alter_table("catalogue_role_scopes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_role_scopes_node"), ["node"], unique=False)

    op.create_table(
        "catalogue_second_factors",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_second_factors_account")
        ),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_catalogue_second_factors")),
    )
    op.create_table(
        "catalogue_sessions",
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_sessions_account")
        ),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_catalogue_sessions")),
    )
    with op.batch_alter_table("catalogue_sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_sessions_account"), ["account"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_sessions_expires"), ["expires"], unique=False)

    with op.batch_alter_table("catalogue_login_failures", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_catalogue_login_failures_origin_at"), ["origin", "at"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("catalogue_login_failures", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_login_failures_origin_at"))

    with op.batch_alter_table("catalogue_sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_sessions_expires"))
        batch_op.drop_index(batch_op.f("ix_catalogue_sessions_account"))

    op.drop_table("catalogue_sessions")
    op.drop_table("catalogue_second_factors")
    with op.batch_alter_table("catalogue_role_scopes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_role_scopes_node"))

    op.drop_table("catalogue_role_scopes")
    with op.batch_alter_table("catalogue_reset_codes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_reset_codes_account"))

    op.drop_table("catalogue_reset_codes")
    op.drop_table("catalogue_recovery_codes")
    op.drop_table("catalogue_known_origins")
    with op.batch_alter_table("catalogue_external_identities", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_external_identities_account"))

    op.drop_table("catalogue_external_identities")
    with op.batch_alter_table("catalogue_api_tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_api_tokens_expires"))
        batch_op.drop_index(batch_op.f("ix_catalogue_api_tokens_account"))

    op.drop_table("catalogue_api_tokens")
    with op.batch_alter_table("catalogue_login_flows", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_login_flows_expires"))

    op.drop_table("catalogue_login_flows")
