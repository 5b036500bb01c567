"""Registry of tools.

Revision: b991f836535a
Follows: 01bce188688a
Written: 2026-11-30 14:51:50.119438+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "b991f836535a"
down_revision = "01bce188688a"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_tool_versions",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("publisher_key", sa.String(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reviewer", sa.String(), nullable=True),
        sa.Column("accepted", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_by", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_jobs_tool_versions")),
    )
    with op.batch_alter_table("jobs_tool_versions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_tool_versions_account"), ["account"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_tool_versions_code"), ["code"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_jobs_tool_versions_name_version"), ["name", "version"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_jobs_tool_versions_state"), ["state"], unique=False)

    op.create_table(
        "jobs_tool_answers",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("criterion", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("met", sa.Boolean(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["jobs_tool_versions.digest"], name=op.f("fk_jobs_tool_answers_digest")
        ),
        sa.PrimaryKeyConstraint("digest", "criterion", name=op.f("pk_jobs_tool_answers")),
    )


def downgrade() -> None:
    op.drop_table("jobs_tool_answers")
    with op.batch_alter_table("jobs_tool_versions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_tool_versions_state"))
        batch_op.drop_index(batch_op.f("ix_jobs_tool_versions_name_version"))
        batch_op.drop_index(batch_op.f("ix_jobs_tool_versions_code"))
        batch_op.drop_index(batch_op.f("ix_jobs_tool_versions_account"))

    op.drop_table("jobs_tool_versions")
