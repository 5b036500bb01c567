"""Requests by their requester's key.

Revision: 6d1f0a94c27b
Follows: b18e4f7092ad
Written: 2026-11-30 09:30:00+00:00
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "6d1f0a94c27b"
down_revision = "b18e4f7092ad"
branch_labels = None
depends_on = None


def upgrade() -> None:
    visas, jobs = _requesters()
    newest = [dict(row) for row in _rows("jobs_newest_visas")]
    runs = [dict(row) for row in _rows("jobs_runs")]
    _drop()
    _create(with_key=True)
    # A visa was noted as it was judged, so the review that brought it is there; what nobody brought holds nothing up.
    _fill(
        "jobs_newest_visas",
        [row | {"requester_key": visas[row["visa"]]} for row in newest if row["visa"] in visas],
    )
    _fill("jobs_runs", [row | {"requester_key": jobs.get(row["job"], "")} for row in runs])


def downgrade() -> None:
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(_rows("jobs_newest_visas"), key=lambda each: str(each["created"])):
        newest[row["request"], row["dataset"]] = _without_key(row)
    runs = [_without_key(row) for row in _rows("jobs_runs")]
    _drop()
    _create(with_key=False)
    _fill("jobs_newest_visas", list(newest.values()))
    _fill("jobs_runs", runs)


def _requesters() -> tuple[dict[str, str], dict[str, str]]:
    """Return whose key each visa that was brought here names, by the visa's digest and by the job."""
    visas: dict[str, str] = {}
    jobs: dict[str, str] = {}
    reviews = sa.table("jobs_reviews", sa.column("job", sa.String()), sa.column("visa", sa.LargeBinary()))
    for row in op.get_bind().execute(sa.select(reviews.c.job, reviews.c.visa)):
        try:
            payload = base64.b64decode(json.loads(row.visa)["payload"])
            key = str(json.loads(payload)["requester_key"])
        except (ValueError, KeyError, TypeError):
            # Whatever a hub brought was written down; what is no visa was refused and has noted nothing.
            continue
        visas["sha256:" + hashlib.sha256(payload).hexdigest()] = key
        jobs[row.job] = key
    return visas, jobs


def _create(*, with_key: bool) -> None:
    key = ["requester_key"] if with_key else []
    op.create_table(
        "jobs_newest_visas",
        sa.Column("request", sa.String(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in key),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("visa", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("request", *key, "dataset", name=op.f("pk_jobs_newest_visas")),
    )
    op.create_table(
        "jobs_runs",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in key),
        sa.ForeignKeyConstraint(["job"], ["jobs_reviews.job"], name=op.f("fk_jobs_runs_job")),
        sa.PrimaryKeyConstraint("job", "dataset", name=op.f("pk_jobs_runs")),
    )
    name = "_".join(("ix_jobs_runs_request", *key, "dataset"))
    op.create_index(op.f(name), "jobs_runs", ["request", *key, "dataset"], unique=False)


def _drop() -> None:
    op.drop_table("jobs_runs")
    op.drop_table("jobs_newest_visas")


def _rows(name: str) -> list[Any]:
    return list(op.get_bind().execute(sa.select(_table(name))).mappings())


def _fill(name: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        op.get_bind().execute(sa.insert(_table(name)), rows)


def _table(name: str) -> sa.Table:
    return sa.Table(name, sa.MetaData(), autoload_with=op.get_bind())


def _without_key(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "requester_key"}
