"""Runs by request and checks that stopped jobs.

Revision: caf34a78a1c8
Follows: 5b0e6c1f8a27
Written: 2026-11-30 00:22:12.722057+00:00
"""

from __future__ import annotations

import base64
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "caf34a78a1c8"
down_revision = "5b0e6c1f8a27"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_newest_visas",
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("visa", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("request", "dataset", name=op.f("pk_jobs_newest_visas")),
    )
    op.create_table(
        "jobs_runs",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs_reviews.job"], name=op.f("fk_jobs_runs_job")),
        sa.PrimaryKeyConstraint("job", "dataset", name=op.f("pk_jobs_runs")),
    )
    with op.batch_alter_table("jobs_runs", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_jobs_runs_request_dataset"), ["request", "dataset"], unique=False
        )

    with op.batch_alter_table("jobs_reviews", schema=None) as batch_op:
        batch_op.add_column(sa.Column("stopped_by", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("places", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("paused", sa.DateTime(timezone=True), nullable=True))
    _count_the_runs_that_were_approved()


def _count_the_runs_that_were_approved() -> None:
    """Runs are counted by request and dataset from now on, those that were approved before too."""
    connection = op.get_bind()
    reviews = sa.table(
        "jobs_reviews",
        sa.column("job", sa.String()),
        sa.column("request", sa.LargeBinary()),
        sa.column("manifest", sa.LargeBinary()),
    )
    approvals = sa.table("jobs_approvals", sa.column("job", sa.String()))
    runs = sa.table("jobs_runs", *(sa.column(name, sa.String()) for name in ("job", "dataset", "request")))
    approved = sa.select(reviews).join(approvals, approvals.c.job == reviews.c.job)
    for review in connection.execute(approved).all():
        request = _payload(review.request)["id"]
        # Also those of other sites, which nobody counts here.
        for iri in sorted({dataset["iri"] for dataset in _payload(review.manifest)["datasets"]}):
            row = {"job": review.job, "dataset": iri, "request": request}
            connection.execute(sa.insert(runs).values(**row))


def _payload(envelope: bytes) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    return payload


def downgrade() -> None:
    with op.batch_alter_table("jobs_reviews", schema=None) as batch_op:
        batch_op.drop_column("paused")
        batch_op.drop_column("places")
        batch_op.drop_column("stopped_by")

    with op.batch_alter_table("jobs_runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_runs_request_dataset"))

    op.drop_table("jobs_runs")
    op.drop_table("jobs_newest_visas")
