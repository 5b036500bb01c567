"""First tables.

Revision: 21c3c1d9067a
Follows: nothing
Written: 2026-11-21 12:44:03.361582+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "21c3c1d9067a"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_hash")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_act"), ["act"], unique=False)

    op.create_table(
        "catalogue_accounts",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_catalogue_accounts")),
        sa.UniqueConstraint("key_id", name=op.f("uq_catalogue_accounts_key_id")),
    )
    op.create_table(
        "catalogue_artefacts",
        sa.Column("iri", sa.String(), nullable=False),
        sa.Column("graph", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("registered", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("iri", name=op.f("pk_catalogue_artefacts")),
        sa.UniqueConstraint("graph", name=op.f("uq_catalogue_artefacts_graph")),
    )
    op.create_table(
        "catalogue_blobs",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_catalogue_blobs")),
    )
    op.create_table(
        "catalogue_hub",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("base_iri", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_hub")),
    )
    op.create_table(
        "catalogue_invitations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_catalogue_invitations_token_hash")),
    )
    op.create_table(
        "catalogue_login_failures",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_login_failures")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("catalogue_login_failures", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_catalogue_login_failures_account_at"), ["account", "at"], unique=False
        )

    op.create_table(
        "catalogue_nodes",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("enrolled", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_catalogue_nodes")),
        sa.UniqueConstraint("key_id", name=op.f("uq_catalogue_nodes_key_id")),
    )
    op.create_table(
        "catalogue_nonces",
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("forget_after", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "nonce", name=op.f("pk_catalogue_nonces")),
    )
    with op.batch_alter_table("catalogue_nonces", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_nonces_forget_after"), ["forget_after"], unique=False)

    op.create_table(
        "event_offsets",
        sa.Column("consumer", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("consumer", name=op.f("pk_event_offsets")),
    )
    op.create_table(
        "events",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_events_kind"), ["kind"], unique=False)

    op.create_table(
        "catalogue_artefact_datasets",
        sa.Column("iri", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["iri"], ["catalogue_artefacts.iri"], name=op.f("fk_catalogue_artefact_datasets_iri")
        ),
        sa.PrimaryKeyConstraint("iri", "dataset", name=op.f("pk_catalogue_artefact_datasets")),
    )
    with op.batch_alter_table("catalogue_artefact_datasets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_artefact_datasets_dataset"), ["dataset"], unique=False)

    op.create_table(
        "catalogue_datasets",
        sa.Column("iri", sa.String(), nullable=False),
        sa.Column("graph", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("visibility", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("keywords", sa.JSON(), nullable=False),
        sa.Column("publisher", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=True),
        sa.Column("licence", sa.String(), nullable=True),
        sa.Column("access_rights", sa.String(), nullable=False),
        sa.Column("collection_kind", sa.String(), nullable=False),
        sa.Column("data_use", sa.JSON(), nullable=False),
        sa.Column("minimum_count", sa.Integer(), nullable=False),
        sa.Column("totals", sa.JSON(), nullable=False),
        sa.Column("quality", sa.JSON(), nullable=False),
        sa.Column("acquired_from", sa.Integer(), nullable=True),
        sa.Column("acquired_to", sa.Integer(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_published", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published", sa.DateTime(timezone=True), nullable=False),
        sa.Column("search_text", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["node"], ["catalogue_nodes.name"], name=op.f("fk_catalogue_datasets_node")),
        sa.PrimaryKeyConstraint("iri", name=op.f("pk_catalogue_datasets")),
        sa.UniqueConstraint("graph", name=op.f("uq_catalogue_datasets_graph")),
        sa.UniqueConstraint("node", "dataset", name=op.f("uq_catalogue_datasets_node_dataset")),
    )
    with op.batch_alter_table("catalogue_datasets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_datasets_visibility"), ["visibility"], unique=False)

    op.create_table(
        "catalogue_requests",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_requests_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_requests")),
        sa.UniqueConstraint("digest", name=op.f("uq_catalogue_requests_digest")),
    )
    with op.batch_alter_table("catalogue_requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_requests_account"), ["account"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_requests_state"), ["state"], unique=False)

    op.create_table(
        "catalogue_tokens",
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_tokens_account")
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_catalogue_tokens")),
    )
    with op.batch_alter_table("catalogue_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_tokens_account"), ["account"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_tokens_expires"), ["expires"], unique=False)

    op.create_table(
        "catalogue_uploads",
        sa.Column("release_id", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("door_class", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("output", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=True),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("total_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.Column("begun", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["node"], ["catalogue_nodes.name"], name=op.f("fk_catalogue_uploads_node")),
        sa.PrimaryKeyConstraint("release_id", name=op.f("pk_catalogue_uploads")),
        sa.UniqueConstraint(
            "job", "round", "node", "output", name=op.f("uq_catalogue_uploads_job_round_node_output")
        ),
    )
    with op.batch_alter_table("catalogue_uploads", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_uploads_digest"), ["digest"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_uploads_node"), ["node"], unique=False)

    op.create_table(
        "catalogue_activities",
        sa.Column("iri", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("tool_version", sa.String(), nullable=False),
        sa.Column("profile", sa.String(), nullable=True),
        sa.Column("profile_digest", sa.String(), nullable=True),
        sa.Column("source_system", sa.String(), nullable=True),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["iri"], ["catalogue_datasets.iri"], name=op.f("fk_catalogue_activities_iri")
        ),
        sa.PrimaryKeyConstraint("iri", "place", name=op.f("pk_catalogue_activities")),
    )
    op.create_table(
        "catalogue_decisions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["request"], ["catalogue_requests.id"], name=op.f("fk_catalogue_decisions_request")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_decisions")),
    )
    with op.batch_alter_table("catalogue_decisions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_decisions_request"), ["request"], unique=False)

    op.create_table(
        "catalogue_distributions",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("iri", sa.String(), nullable=False),
        sa.Column("attribute", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("how_known", sa.String(), nullable=False),
        sa.Column("subjects", sa.Integer(), nullable=True),
        sa.Column("subjects_status", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["iri"], ["catalogue_datasets.iri"], name=op.f("fk_catalogue_distributions_iri")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_distributions")),
        sa.UniqueConstraint(
            "iri", "attribute", "value", name=op.f("uq_catalogue_distributions_iri_attribute_value")
        ),
    )
    op.create_table(
        "catalogue_request_datasets",
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset"], ["catalogue_datasets.iri"], name=op.f("fk_catalogue_request_datasets_dataset")
        ),
        sa.ForeignKeyConstraint(
            ["request"], ["catalogue_requests.id"], name=op.f("fk_catalogue_request_datasets_request")
        ),
        sa.PrimaryKeyConstraint("request", "dataset", name=op.f("pk_catalogue_request_datasets")),
    )
    with op.batch_alter_table("catalogue_request_datasets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_request_datasets_dataset"), ["dataset"], unique=False)

    op.create_table(
        "catalogue_strata",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("iri", sa.String(), nullable=False),
        sa.Column("modality", sa.String(), nullable=False),
        sa.Column("body_part", sa.String(), nullable=False),
        sa.Column("manufacturer", sa.String(), nullable=False),
        sa.Column("slice_thickness", sa.String(), nullable=False),
        sa.Column("series", sa.Integer(), nullable=True),
        sa.Column("series_status", sa.String(), nullable=False),
        sa.Column("studies", sa.Integer(), nullable=True),
        sa.Column("studies_status", sa.String(), nullable=False),
        sa.Column("subjects", sa.Integer(), nullable=True),
        sa.Column("subjects_status", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["iri"], ["catalogue_datasets.iri"], name=op.f("fk_catalogue_strata_iri")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_strata")),
        sa.UniqueConstraint(
            "iri",
            "modality",
            "body_part",
            "manufacturer",
            "slice_thickness",
            name=op.f("uq_catalogue_strata_iri_modality_body_part_manufacturer_slice_thickness"),
        ),
    )
    with op.batch_alter_table("catalogue_strata", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_catalogue_strata_modality_body_part"), ["modality", "body_part"], unique=False
        )

    op.create_table(
        "catalogue_versions",
        sa.Column("iri", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("signer", sa.String(), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["iri"], ["catalogue_datasets.iri"], name=op.f("fk_catalogue_versions_iri")),
        sa.PrimaryKeyConstraint("iri", "version", name=op.f("pk_catalogue_versions")),
    )
    op.create_table(
        "catalogue_visas",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("granted", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_because", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_visas_account")
        ),
        sa.ForeignKeyConstraint(
            ["request"], ["catalogue_requests.id"], name=op.f("fk_catalogue_visas_request")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_visas")),
        sa.UniqueConstraint("digest", name=op.f("uq_catalogue_visas_digest")),
        sa.UniqueConstraint("request", name=op.f("uq_catalogue_visas_request")),
    )
    with op.batch_alter_table("catalogue_visas", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_visas_account"), ["account"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_visas_expires"), ["expires"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("catalogue_visas", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_visas_expires"))
        batch_op.drop_index(batch_op.f("ix_catalogue_visas_account"))

    op.drop_table("catalogue_visas")
    op.drop_table("catalogue_versions")
    with op.batch_alter_table("catalogue_strata", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_strata_modality_body_part"))

    op.drop_table("catalogue_strata")
    with op.batch_alter_table("catalogue_request_datasets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_request_datasets_dataset"))

    op.drop_table("catalogue_request_datasets")
    op.drop_table("catalogue_distributions")
    with op.batch_alter_table("catalogue_decisions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_decisions_request"))

    op.drop_table("catalogue_decisions")
    op.drop_table("catalogue_activities")
    with op.batch_alter_table("catalogue_uploads", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_uploads_node"))
        batch_op.drop_index(batch_op.f("ix_catalogue_uploads_digest"))

    op.drop_table("catalogue_uploads")
    with op.batch_alter_table("catalogue_tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_tokens_expires"))
        batch_op.drop_index(batch_op.f("ix_catalogue_tokens_account"))

    op.drop_table("catalogue_tokens")
    with op.batch_alter_table("catalogue_requests", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_requests_state"))
        batch_op.drop_index(batch_op.f("ix_catalogue_requests_account"))

    op.drop_table("catalogue_requests")
    with op.batch_alter_table("catalogue_datasets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_datasets_visibility"))

    op.drop_table("catalogue_datasets")
    with op.batch_alter_table("catalogue_artefact_datasets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_artefact_datasets_dataset"))

    op.drop_table("catalogue_artefact_datasets")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_events_kind"))

    op.drop_table("events")
    op.drop_table("event_offsets")
    with op.batch_alter_table("catalogue_nonces", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_nonces_forget_after"))

    op.drop_table("catalogue_nonces")
    op.drop_table("catalogue_nodes")
    with op.batch_alter_table("catalogue_login_failures", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_login_failures_account_at"))

    op.drop_table("catalogue_login_failures")
    op.drop_table("catalogue_invitations")
    op.drop_table("catalogue_hub")
    op.drop_table("catalogue_blobs")
    op.drop_table("catalogue_artefacts")
    op.drop_table("catalogue_accounts")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_act"))

    op.drop_table("audit")
