"""Tables of jobs.

Revision: 5d1c7e0b94a2
Follows: 21c3c1d9067a
Written: 2026-11-21 12:44:03.361582+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5d1c7e0b94a2"
down_revision = "21c3c1d9067a"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_anchors",
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("node", "seq", name=op.f("pk_jobs_anchors")),
    )
    op.create_table(
        "jobs_jobs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("requester_key", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("manifest_digest", sa.String(), nullable=False),
        sa.Column("visa_id", sa.String(), nullable=False),
        sa.Column("visa_digest", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("visa", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("quorum", sa.Integer(), nullable=False),
        sa.Column("approval_deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs_jobs")),
        sa.UniqueConstraint("manifest_digest", name=op.f("uq_jobs_jobs_manifest_digest")),
    )
    with op.batch_alter_table("jobs_jobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_jobs_account"), ["account"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_jobs_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_jobs_visa_digest"), ["visa_digest"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_jobs_visa_id"), ["visa_id"], unique=False)

    op.create_table(
        "jobs_leases",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("granted", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_leases_job")),
        sa.PrimaryKeyConstraint("job", "node", "round", name=op.f("pk_jobs_leases")),
        sa.UniqueConstraint("id", name=op.f("uq_jobs_leases_id")),
    )
    with op.batch_alter_table("jobs_leases", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_leases_expires"), ["expires"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_leases_open"), ["open"], unique=False)

    op.create_table(
        "jobs_models",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("provenance", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_models_job")),
        sa.PrimaryKeyConstraint("digest", "job", name=op.f("pk_jobs_models")),
    )
    op.create_table(
        "jobs_outputs",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_outputs_job")),
        sa.PrimaryKeyConstraint("job", "round", "name", name=op.f("pk_jobs_outputs")),
    )
    with op.batch_alter_table("jobs_outputs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_outputs_digest"), ["digest"], unique=False)

    op.create_table(
        "jobs_rounds",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("global_digest", sa.String(), nullable=True),
        sa.Column("result_digest", sa.String(), nullable=True),
        sa.Column("opened", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_rounds_job")),
        sa.PrimaryKeyConstraint("job", "round", name=op.f("pk_jobs_rounds")),
    )
    with op.batch_alter_table("jobs_rounds", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_rounds_state"), ["state"], unique=False)

    op.create_table(
        "jobs_sites",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("delivered", sa.Boolean(), nullable=False),
        sa.Column("approval_digest", sa.String(), nullable=True),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_sites_job")),
        sa.PrimaryKeyConstraint("job", "node", name=op.f("pk_jobs_sites")),
    )
    with op.batch_alter_table("jobs_sites", schema=None) as batch_op:
        batch_op.create_index("ix_jobs_sites_work", ["node", "state"], unique=False)

    op.create_table(
        "jobs_updates",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("output", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("door_class", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_updates_job")),
        sa.PrimaryKeyConstraint("job", "round", "node", "output", name=op.f("pk_jobs_updates")),
    )
    with op.batch_alter_table("jobs_updates", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_updates_digest"), ["digest"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("jobs_updates", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_updates_digest"))

    op.drop_table("jobs_updates")
    with op.batch_alter_table("jobs_sites", schema=None) as batch_op:
        batch_op.drop_index("ix_jobs_sites_work")

    op.drop_table("jobs_sites")
    with op.batch_alter_table("jobs_rounds", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_rounds_state"))

    op.drop_table("jobs_rounds")
    with op.batch_alter_table("jobs_outputs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_outputs_digest"))

    op.drop_table("jobs_outputs")
    op.drop_table("jobs_models")
    with op.batch_alter_table("jobs_leases", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_leases_open"))
        batch_op.drop_index(batch_op.f("ix_jobs_leases_expires"))

    op.drop_table("jobs_leases")
    with op.batch_alter_table("jobs_jobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_jobs_visa_id"))
        batch_op.drop_index(batch_op.f("ix_jobs_jobs_visa_digest"))
        batch_op.drop_index(batch_op.f("ix_jobs_jobs_state"))
        batch_op.drop_index(batch_op.f("ix_jobs_jobs_account"))

    op.drop_table("jobs_jobs")
    op.drop_table("jobs_anchors")
