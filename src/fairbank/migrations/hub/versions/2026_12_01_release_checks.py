"""Release checks of models, and what committees say of those that failed.

Revision: 5b7e1f0c4a92
Follows: 5f2b8c6d10e7
Written: 2026-12-01 04:10:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5b7e1f0c4a92"
down_revision = "5f2b8c6d10e7"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_release_checks",
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("measured", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decision", sa.String(), nullable=True),
        sa.Column("decided", sa.DateTime(timezone=True), nullable=True),
        sa.Column("statement", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs_jobs.id"], name=op.f("fk_jobs_release_checks_job")),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_jobs_release_checks")),
    )
    op.create_index(op.f("ix_jobs_release_checks_verdict"), "jobs_release_checks", ["verdict"])
    op.create_table(
        "jobs_release_votes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("committee", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("because", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["model"], ["jobs_release_checks.model"], name=op.f("fk_jobs_release_votes_model")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs_release_votes")),
    )
    op.create_index(op.f("ix_jobs_release_votes_model"), "jobs_release_votes", ["model"])


def downgrade() -> None:
    op.drop_table("jobs_release_votes")
    op.drop_table("jobs_release_checks")
