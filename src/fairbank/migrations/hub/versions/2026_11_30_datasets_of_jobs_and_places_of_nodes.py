"""Datasets of jobs and places of nodes.

Revision: d790d7111c33
Follows: a7d0c36e51f4
Written: 2026-11-30 00:22:09.055905+00:00
"""

from __future__ import annotations

import base64
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "d790d7111c33"
down_revision = "a7d0c36e51f4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_datasets",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paused", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_datasets_job")),
        sa.PrimaryKeyConstraint("job", "dataset", name=op.f("pk_jobs_datasets")),
    )
    with op.batch_alter_table("jobs_datasets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_datasets_expires"), ["expires"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_jobs_datasets_request_dataset"), ["request", "dataset"], unique=False
        )

    with op.batch_alter_table("catalogue_nodes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("place", sa.JSON(), nullable=True))

    with op.batch_alter_table("jobs_jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("paused", sa.DateTime(timezone=True), nullable=True))
    _write_down_what_jobs_use()


def _write_down_what_jobs_use() -> None:
    """Runs are counted by request and dataset from now on, those that were begun before too."""
    connection = op.get_bind()
    jobs = sa.table(
        "jobs_jobs",
        sa.column("id", sa.String()),
        sa.column("request_id", sa.String()),
        sa.column("manifest", sa.LargeBinary()),
        sa.column("expires", sa.DateTime(timezone=True)),
    )
    used = sa.table(
        "jobs_datasets",
        *(sa.column(name, sa.String()) for name in ("job", "dataset", "node", "request")),
        sa.column("expires", sa.DateTime(timezone=True)),
    )
    for job in connection.execute(sa.select(jobs)).all():
        for iri in sorted({dataset["iri"] for dataset in _payload(job.manifest)["datasets"]}):
            node = iri.partition("/datasets/")[2].partition("/")[0]
            row = {"job": job.id, "dataset": iri, "node": node, "request": job.request_id}
            connection.execute(sa.insert(used).values(**row, expires=job.expires))


def _payload(envelope: bytes) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    return payload


def downgrade() -> None:
    with op.batch_alter_table("jobs_jobs", schema=None) as batch_op:
        batch_op.drop_column("paused")

    with op.batch_alter_table("catalogue_nodes", schema=None) as batch_op:
        batch_op.drop_column("place")

    with op.batch_alter_table("jobs_datasets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_datasets_request_dataset"))
        batch_op.drop_index(batch_op.f("ix_jobs_datasets_expires"))

    op.drop_table("jobs_datasets")
