"""Consent names purposes, projects have an end of retention, and jobs that used a withdrawn subject are told of.

Which purposes a standing names is worked out from statements with the identity store, which is not open here: where
statements name any, it is marked as not worked out, which no purpose is within, until the project is indexed again.

Revision: 10280f4b698e
Follows: caf34a78a1c8
Written: 2026-11-30 00:31:27.305361+00:00
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "10280f4b698e"
down_revision = "caf34a78a1c8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "harvest_retentions",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("said_by", sa.String(), nullable=False),
        sa.Column("ends", sa.Date(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("recorded", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project", "said_by", name=op.f("pk_harvest_retentions")),
    )
    op.create_table(
        "jobs_withdrawal_notices",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs_reviews.job"], name=op.f("fk_jobs_withdrawal_notices_job")),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_jobs_withdrawal_notices")),
    )
    with op.batch_alter_table("jobs_withdrawal_notices", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_withdrawal_notices_due"), ["due"], unique=False)

    with op.batch_alter_table("harvest_standings", schema=None) as batch_op:
        batch_op.add_column(sa.Column("scope", sa.String(), server_default="", nullable=False))

    _mark_scopes()
    _take_retention_of_descriptions()


def _mark_scopes() -> None:
    bind = op.get_bind()
    said = bind.execute(
        sa.text("SELECT DISTINCT project, CAST(data_use AS TEXT) FROM harvest_consents")
    ).all()
    named = {project for project, codes in said if _read(codes)}
    everywhere = "*" in named
    standings = sa.table("harvest_standings", sa.column("project"), sa.column("status"), sa.column("scope"))
    marked = sa.update(standings).where(standings.c.status == "given").values(scope="?")
    if named:
        bind.execute(marked if everywhere else marked.where(standings.c.project.in_(sorted(named))))


def _take_retention_of_descriptions() -> None:
    bind = op.get_bind()
    rows = bind.execute(sa.text("SELECT slug, project, stewardship, updated FROM harvest_datasets")).all()
    for slug, project, kept, updated in rows:
        last_year = (_read(kept) or {}).get("retained_until")
        if last_year is not None:
            bind.execute(
                sa.text(
                    "INSERT INTO harvest_retentions (project, said_by, ends, note, recorded_by, recorded) "
                    "VALUES (:project, :slug, :ends, '', '', :recorded)"
                ),
                {
                    "project": project,
                    "slug": slug,
                    "ends": f"{int(last_year) + 1:04d}-01-01",
                    "recorded": updated,
                },
            )


def _read(kept: object) -> Any:
    return json.loads(kept) if isinstance(kept, str) else kept


def downgrade() -> None:
    with op.batch_alter_table("harvest_standings", schema=None) as batch_op:
        batch_op.drop_column("scope")

    with op.batch_alter_table("jobs_withdrawal_notices", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_withdrawal_notices_due"))

    op.drop_table("jobs_withdrawal_notices")
    op.drop_table("harvest_retentions")
