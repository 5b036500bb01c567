"""First tables.

Revision: 3220402f0dac
Follows: nothing
Written: 2026-11-21 12:44:07.540155+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3220402f0dac"
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
        "deid_facts",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("modality", sa.String(), nullable=False),
        sa.Column("sex", sa.String(), nullable=False),
        sa.Column("age_band", sa.String(), nullable=False),
        sa.Column("body_region_code", sa.String(), nullable=True),
        sa.Column("body_region", sa.String(), nullable=True),
        sa.Column("body_region_known", sa.String(), nullable=False),
        sa.Column("contrast", sa.String(), nullable=False),
        sa.Column("respiratory_phase", sa.String(), nullable=False),
        sa.Column("kernel_class", sa.String(), nullable=False),
        sa.Column("acquisition_year", sa.Integer(), nullable=True),
        sa.Column("deidentified_before", sa.Boolean(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("project", "series_uid", name=op.f("pk_deid_facts")),
    )
    with op.batch_alter_table("deid_facts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deid_facts_subject"), ["subject"], unique=False)

    op.create_table(
        "deid_items",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("item_key", sa.String(), nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("quarantine", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("study_uid", sa.String(), nullable=True),
        sa.Column("series_uid", sa.String(), nullable=True),
        sa.Column("sop_uid", sa.String(), nullable=True),
        sa.Column("path", sa.String(), nullable=True),
        sa.Column("output_key", sa.String(), nullable=True),
        sa.Column("key_epoch", sa.Integer(), nullable=True),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project", "item_key", name=op.f("pk_deid_items")),
    )
    with op.batch_alter_table("deid_items", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deid_items_output_key"), ["output_key"], unique=False)
        batch_op.create_index(batch_op.f("ix_deid_items_sop_uid"), ["sop_uid"], unique=False)
        batch_op.create_index(batch_op.f("ix_deid_items_status"), ["status"], unique=False)
        batch_op.create_index(batch_op.f("ix_deid_items_subject"), ["subject"], unique=False)

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
        "harvest_datasets",
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("keywords", sa.JSON(), nullable=False),
        sa.Column("publisher", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=True),
        sa.Column("licence", sa.String(), nullable=True),
        sa.Column("access_rights", sa.String(), nullable=False),
        sa.Column("collection_kind", sa.String(), nullable=False),
        sa.Column("data_use", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("published_digest", sa.String(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_harvest_datasets")),
    )
    with op.batch_alter_table("harvest_datasets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_harvest_datasets_project"), ["project"], unique=False)

    op.create_table(
        "harvest_items",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("container", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("local_id", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("results", sa.JSON(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("source", "container", "project", "local_id", name=op.f("pk_harvest_items")),
    )
    op.create_table(
        "harvest_runs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("source_kind", sa.String(), nullable=False),
        sa.Column("source_version", sa.String(), nullable=False),
        sa.Column("container", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("software", sa.String(), nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_harvest_runs")),
    )
    with op.batch_alter_table("harvest_runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_harvest_runs_project"), ["project"], unique=False)

    op.create_table(
        "harvest_series",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("study_uid", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("directory", sa.String(), nullable=False),
        sa.Column("stat_token", sa.String(), nullable=False),
        sa.Column("content_digest", sa.String(), nullable=False),
        sa.Column("modality", sa.String(), nullable=False),
        sa.Column("body_part", sa.String(), nullable=False),
        sa.Column("body_part_known", sa.String(), nullable=True),
        sa.Column("manufacturer", sa.String(), nullable=False),
        sa.Column("manufacturer_raw", sa.String(), nullable=False),
        sa.Column("slice_thickness_mm", sa.Float(), nullable=True),
        sa.Column("slice_thickness", sa.String(), nullable=False),
        sa.Column("spacing_mm", sa.Float(), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=True),
        sa.Column("columns", sa.Integer(), nullable=True),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("sex", sa.String(), nullable=False),
        sa.Column("age_band", sa.String(), nullable=False),
        sa.Column("contrast", sa.String(), nullable=False),
        sa.Column("acquisition_year", sa.Integer(), nullable=True),
        sa.Column("quality", sa.JSON(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_harvest_series")),
        sa.UniqueConstraint("project", "series_uid", name=op.f("uq_harvest_series_project_series_uid")),
    )
    with op.batch_alter_table("harvest_series", schema=None) as batch_op:
        batch_op.create_index("ix_harvest_series_select", ["project", "state", "modality"], unique=False)

    op.create_table(
        "harvest_sources",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("secret_file", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_harvest_sources")),
    )
    op.create_table(
        "jobs_anchors",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_jobs_anchors")),
    )
    op.create_table(
        "jobs_reviews",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("requester_key", sa.String(), nullable=False),
        sa.Column("manifest_digest", sa.String(), nullable=True),
        sa.Column("visa_digest", sa.String(), nullable=True),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("visa", sa.LargeBinary(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("reported", sa.Boolean(), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_jobs_reviews")),
        sa.UniqueConstraint("manifest_digest", name=op.f("uq_jobs_reviews_manifest_digest")),
    )
    with op.batch_alter_table("jobs_reviews", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_reviews_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_reviews_visa_digest"), ["visa_digest"], unique=False)

    op.create_table(
        "jobs_rules",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("requester_key", sa.String(), nullable=False),
        sa.Column("code_digest", sa.String(), nullable=True),
        sa.Column("code_family", sa.String(), nullable=True),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs_rules")),
    )
    with op.batch_alter_table("jobs_rules", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_rules_requester_key"), ["requester_key"], unique=False)

    op.create_table(
        "release_enrolment",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hub_url", sa.String(), nullable=False),
        sa.Column("hub_key", sa.String(), nullable=False),
        sa.Column("public_base_iri", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("enrolled", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_release_enrolment")),
    )
    op.create_table(
        "release_ledger",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("release", sa.String(), nullable=True),
        sa.Column("door_class", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("noted", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_release_ledger")),
        sa.UniqueConstraint("release", name=op.f("uq_release_ledger_release")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("release_ledger", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_release_ledger_door_class"), ["door_class"], unique=False)
        batch_op.create_index(batch_op.f("ix_release_ledger_state"), ["state"], unique=False)

    op.create_table(
        "release_node",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_release_node")),
    )
    op.create_table(
        "release_release",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("door_class", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("output", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("staged", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release_release")),
        sa.UniqueConstraint(
            "job", "round", "site", "output", name=op.f("uq_release_release_job_round_site_output")
        ),
    )
    with op.batch_alter_table("release_release", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_release_release_job"), ["job"], unique=False)
        batch_op.create_index(batch_op.f("ix_release_release_state"), ["state"], unique=False)

    op.create_table(
        "jobs_approvals",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("site_key", sa.String(), nullable=False),
        sa.Column("cohort_digest", sa.String(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("hold_outputs", sa.Boolean(), nullable=False),
        sa.Column("rule", sa.String(), nullable=True),
        sa.Column("withdrawn", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs_reviews.job"], name=op.f("fk_jobs_approvals_job")),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_jobs_approvals")),
    )
    op.create_table(
        "jobs_cohort",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("series_uid", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("content_digest", sa.String(), nullable=False),
        sa.Column("gone", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs_reviews.job"], name=op.f("fk_jobs_cohort_job")),
        sa.PrimaryKeyConstraint("job", "dataset", "series_uid", name=op.f("pk_jobs_cohort")),
    )
    op.create_table(
        "jobs_shrinkages",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_reviews.job"], name=op.f("fk_jobs_shrinkages_job")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_jobs_shrinkages")),
    )
    with op.batch_alter_table("jobs_shrinkages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_shrinkages_job"), ["job"], unique=False)

    op.create_table(
        "jobs_work",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("lease", sa.String(), nullable=False),
        sa.Column("global_digest", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("releases", sa.JSON(), nullable=False),
        sa.Column("taken", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs_reviews.job"], name=op.f("fk_jobs_work_job")),
        sa.PrimaryKeyConstraint("job", "round", name=op.f("pk_jobs_work")),
    )
    with op.batch_alter_table("jobs_work", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_work_state"), ["state"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("jobs_work", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_work_state"))

    op.drop_table("jobs_work")
    with op.batch_alter_table("jobs_shrinkages", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_shrinkages_job"))

    op.drop_table("jobs_shrinkages")
    op.drop_table("jobs_cohort")
    op.drop_table("jobs_approvals")
    with op.batch_alter_table("release_release", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_release_release_state"))
        batch_op.drop_index(batch_op.f("ix_release_release_job"))

    op.drop_table("release_release")
    op.drop_table("release_node")
    with op.batch_alter_table("release_ledger", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_release_ledger_state"))
        batch_op.drop_index(batch_op.f("ix_release_ledger_door_class"))

    op.drop_table("release_ledger")
    op.drop_table("release_enrolment")
    with op.batch_alter_table("jobs_rules", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_rules_requester_key"))

    op.drop_table("jobs_rules")
    with op.batch_alter_table("jobs_reviews", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_reviews_visa_digest"))
        batch_op.drop_index(batch_op.f("ix_jobs_reviews_state"))

    op.drop_table("jobs_reviews")
    op.drop_table("jobs_anchors")
    op.drop_table("harvest_sources")
    with op.batch_alter_table("harvest_series", schema=None) as batch_op:
        batch_op.drop_index("ix_harvest_series_select")

    op.drop_table("harvest_series")
    with op.batch_alter_table("harvest_runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_harvest_runs_project"))

    op.drop_table("harvest_runs")
    op.drop_table("harvest_items")
    with op.batch_alter_table("harvest_datasets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_harvest_datasets_project"))

    op.drop_table("harvest_datasets")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_events_kind"))

    op.drop_table("events")
    op.drop_table("event_offsets")
    with op.batch_alter_table("deid_items", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_deid_items_subject"))
        batch_op.drop_index(batch_op.f("ix_deid_items_status"))
        batch_op.drop_index(batch_op.f("ix_deid_items_sop_uid"))
        batch_op.drop_index(batch_op.f("ix_deid_items_output_key"))

    op.drop_table("deid_items")
    with op.batch_alter_table("deid_facts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_deid_facts_subject"))

    op.drop_table("deid_facts")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_act"))

    op.drop_table("audit")
