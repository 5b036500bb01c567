"""Access requests with a leg per dataset.

Revision: fab4f482af69
Follows: 5f170c0f2881
Written: 2026-11-30 00:05:50.417490+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "fab4f482af69"
down_revision = "5f170c0f2881"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "catalogue_committees",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("quorum", sa.Integer(), nullable=False),
        sa.Column("four_eyes", sa.Boolean(), nullable=False),
        sa.Column("due_days", sa.Integer(), nullable=False),
        sa.Column("remind_days", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dissolved", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_committees")),
    )
    op.create_table(
        "catalogue_access_requests",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("draft", sa.JSON(), nullable=False),
        sa.Column("minimum_datasets", sa.Integer(), nullable=False),
        sa.Column("paused_by", sa.String(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_access_requests_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_access_requests")),
    )
    with op.batch_alter_table("catalogue_access_requests", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_catalogue_access_requests_account_changed"), ["account", "changed"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_catalogue_access_requests_state"), ["state"], unique=False)

    op.create_table(
        "catalogue_committee_members",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("committee", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("chair", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_committee_members_account")
        ),
        sa.ForeignKeyConstraint(
            ["committee"], ["catalogue_committees.id"], name=op.f("fk_catalogue_committee_members_committee")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_committee_members")),
    )
    with op.batch_alter_table("catalogue_committee_members", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_committee_members_account"), ["account"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_catalogue_committee_members_committee"), ["committee"], unique=False
        )

    op.create_table(
        "catalogue_committee_scopes",
        sa.Column("committee", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["committee"], ["catalogue_committees.id"], name=op.f("fk_catalogue_committee_scopes_committee")
        ),
        sa.ForeignKeyConstraint(
            ["node"], ["catalogue_nodes.name"], name=op.f("fk_catalogue_committee_scopes_node")
        ),
        sa.PrimaryKeyConstraint("committee", "node", "dataset", name=op.f("pk_catalogue_committee_scopes")),
    )
    with op.batch_alter_table("catalogue_committee_scopes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_committee_scopes_node"), ["node"], unique=False)

    op.create_table(
        "catalogue_committee_substitutes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("committee", sa.String(), nullable=False),
        sa.Column("stands_for", sa.String(), nullable=True),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("leg", sa.String(), nullable=True),
        sa.Column("appointed_by", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_committee_substitutes_account")
        ),
        sa.ForeignKeyConstraint(
            ["committee"],
            ["catalogue_committees.id"],
            name=op.f("fk_catalogue_committee_substitutes_committee"),
        ),
        sa.ForeignKeyConstraint(
            ["stands_for"],
            ["catalogue_accounts.name"],
            name=op.f("fk_catalogue_committee_substitutes_stands_for"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_committee_substitutes")),
    )
    with op.batch_alter_table("catalogue_committee_substitutes", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_catalogue_committee_substitutes_account"), ["account"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_catalogue_committee_substitutes_committee"), ["committee"], unique=False
        )

    op.create_table(
        "catalogue_notices",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_notices_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_notices")),
        sa.UniqueConstraint("key", name=op.f("uq_catalogue_notices_key")),
    )
    with op.batch_alter_table("catalogue_notices", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_notices_account"), ["account"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_notices_sent"), ["sent"], unique=False)

    op.create_table(
        "catalogue_closing_reports",
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("publications", sa.JSON(), nullable=False),
        sa.Column("outputs", sa.JSON(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["request"], ["catalogue_access_requests.id"], name=op.f("fk_catalogue_closing_reports_request")
        ),
        sa.PrimaryKeyConstraint("request", name=op.f("pk_catalogue_closing_reports")),
    )
    op.create_table(
        "catalogue_conflicts",
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_conflicts_account")
        ),
        sa.ForeignKeyConstraint(
            ["request"], ["catalogue_access_requests.id"], name=op.f("fk_catalogue_conflicts_request")
        ),
        sa.PrimaryKeyConstraint("request", "account", name=op.f("pk_catalogue_conflicts")),
    )
    op.create_table(
        "catalogue_grants",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("supersedes", sa.String(), nullable=True),
        sa.Column("granted", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_because", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_grants_account")
        ),
        sa.ForeignKeyConstraint(
            ["request"], ["catalogue_access_requests.id"], name=op.f("fk_catalogue_grants_request")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_grants")),
        sa.UniqueConstraint("digest", name=op.f("uq_catalogue_grants_digest")),
    )
    with op.batch_alter_table("catalogue_grants", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_grants_account"), ["account"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_grants_expires"), ["expires"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_grants_request"), ["request"], unique=False)

    op.create_table(
        "catalogue_legs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("pending_version", sa.Integer(), nullable=True),
        sa.Column("stage", sa.String(), nullable=True),
        sa.Column("committee", sa.String(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("awaited_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due", sa.DateTime(timezone=True), nullable=True),
        sa.Column("proposal", sa.String(), nullable=True),
        sa.Column("terms", sa.JSON(), nullable=True),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("match", sa.JSON(), nullable=False),
        sa.Column("visa", sa.String(), nullable=True),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["committee"], ["catalogue_committees.id"], name=op.f("fk_catalogue_legs_committee")
        ),
        sa.ForeignKeyConstraint(
            ["dataset"], ["catalogue_datasets.iri"], name=op.f("fk_catalogue_legs_dataset")
        ),
        sa.ForeignKeyConstraint(["node"], ["catalogue_nodes.name"], name=op.f("fk_catalogue_legs_node")),
        sa.ForeignKeyConstraint(
            ["request"], ["catalogue_access_requests.id"], name=op.f("fk_catalogue_legs_request")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_legs")),
        sa.UniqueConstraint("request", "dataset", name=op.f("uq_catalogue_legs_request_dataset")),
    )
    with op.batch_alter_table("catalogue_legs", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_catalogue_legs_committee_state_due"), ["committee", "state", "due"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_catalogue_legs_dataset"), ["dataset"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_legs_expires"), ["expires"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_legs_node"), ["node"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_legs_request"), ["request"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_legs_state_due"), ["state", "due"], unique=False)

    op.create_table(
        "catalogue_request_attachments",
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["request"],
            ["catalogue_access_requests.id"],
            name=op.f("fk_catalogue_request_attachments_request"),
        ),
        sa.PrimaryKeyConstraint("request", "digest", name=op.f("pk_catalogue_request_attachments")),
    )
    op.create_table(
        "catalogue_request_comments",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("leg", sa.String(), nullable=True),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["request"], ["catalogue_access_requests.id"], name=op.f("fk_catalogue_request_comments_request")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_request_comments")),
    )
    with op.batch_alter_table("catalogue_request_comments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_request_comments_request"), ["request"], unique=False)

    op.create_table(
        "catalogue_request_history",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("leg", sa.String(), nullable=True),
        sa.Column("command", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["request"], ["catalogue_access_requests.id"], name=op.f("fk_catalogue_request_history_request")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_request_history")),
    )
    with op.batch_alter_table("catalogue_request_history", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_catalogue_request_history_request_at"), ["request", "at"], unique=False
        )

    op.create_table(
        "catalogue_request_versions",
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["request"], ["catalogue_access_requests.id"], name=op.f("fk_catalogue_request_versions_request")
        ),
        sa.PrimaryKeyConstraint("request", "version", name=op.f("pk_catalogue_request_versions")),
        sa.UniqueConstraint("digest", name=op.f("uq_catalogue_request_versions_digest")),
    )
    op.create_table(
        "catalogue_agreements",
        sa.Column("leg", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("countersigner", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=True),
        sa.Column("countersigned", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["countersigner"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_agreements_countersigner")
        ),
        sa.ForeignKeyConstraint(["leg"], ["catalogue_legs.id"], name=op.f("fk_catalogue_agreements_leg")),
        sa.PrimaryKeyConstraint("leg", "version", name=op.f("pk_catalogue_agreements")),
    )
    op.create_table(
        "catalogue_proposals",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("leg", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["leg"], ["catalogue_legs.id"], name=op.f("fk_catalogue_proposals_leg")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_proposals")),
    )
    with op.batch_alter_table("catalogue_proposals", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_proposals_leg"), ["leg"], unique=False)

    op.create_table(
        "catalogue_votes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("leg", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("proposal", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("stands_for", sa.String(), nullable=True),
        sa.Column("word", sa.String(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_votes_account")
        ),
        sa.ForeignKeyConstraint(["leg"], ["catalogue_legs.id"], name=op.f("fk_catalogue_votes_leg")),
        sa.ForeignKeyConstraint(
            ["proposal"], ["catalogue_proposals.id"], name=op.f("fk_catalogue_votes_proposal")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_votes")),
    )
    with op.batch_alter_table("catalogue_votes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_votes_leg"), ["leg"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_votes_proposal"), ["proposal"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("catalogue_votes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_votes_proposal"))
        batch_op.drop_index(batch_op.f("ix_catalogue_votes_leg"))

    op.drop_table("catalogue_votes")
    with op.batch_alter_table("catalogue_proposals", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_proposals_leg"))

    op.drop_table("catalogue_proposals")
    op.drop_table("catalogue_agreements")
    op.drop_table("catalogue_request_versions")
    with op.batch_alter_table("catalogue_request_history", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_request_history_request_at"))

    op.drop_table("catalogue_request_history")
    with op.batch_alter_table("catalogue_request_comments", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_request_comments_request"))

    op.drop_table("catalogue_request_comments")
    op.drop_table("catalogue_request_attachments")
    with op.batch_alter_table("catalogue_legs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_legs_state_due"))
        batch_op.drop_index(batch_op.f("ix_catalogue_legs_request"))
        batch_op.drop_index(batch_op.f("ix_catalogue_legs_node"))
        batch_op.drop_index(batch_op.f("ix_catalogue_legs_expires"))
        batch_op.drop_index(batch_op.f("ix_catalogue_legs_dataset"))
        batch_op.drop_index(batch_op.f("ix_catalogue_legs_committee_state_due"))

    op.drop_table("catalogue_legs")
    with op.batch_alter_table("catalogue_grants", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_grants_request"))
        batch_op.drop_index(batch_op.f("ix_catalogue_grants_expires"))
        batch_op.drop_index(batch_op.f("ix_catalogue_grants_account"))

    op.drop_table("catalogue_grants")
    op.drop_table("catalogue_conflicts")
    op.drop_table("catalogue_closing_reports")
    with op.batch_alter_table("catalogue_notices", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_notices_sent"))
        batch_op.drop_index(batch_op.f("ix_catalogue_notices_account"))

    op.drop_table("catalogue_notices")
    with op.batch_alter_table("catalogue_committee_substitutes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_committee_substitutes_committee"))
        batch_op.drop_index(batch_op.f("ix_catalogue_committee_substitutes_account"))

    op.drop_table("catalogue_committee_substitutes")
    with op.batch_alter_table("catalogue_committee_scopes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_committee_scopes_node"))

    op.drop_table("catalogue_committee_scopes")
    with op.batch_alter_table("catalogue_committee_members", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_committee_members_committee"))
        batch_op.drop_index(batch_op.f("ix_catalogue_committee_members_account"))

    op.drop_table("catalogue_committee_members")
    with op.batch_alter_table("catalogue_access_requests", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_access_requests_state"))
        batch_op.drop_index(batch_op.f("ix_catalogue_access_requests_account_changed"))

    op.drop_table("catalogue_access_requests")
    op.drop_table("catalogue_committees")
