"""Questions for live counts.

Revision: 3a7fd1906be2
Follows: 998f23a56df6
Written: 2026-11-30 09:52:44.350912+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3a7fd1906be2"
down_revision = "998f23a56df6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_questions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("question", sa.LargeBinary(), nullable=False),
        sa.Column("visa", sa.LargeBinary(), nullable=True),
        sa.Column("request", sa.LargeBinary(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs_questions")),
    )
    with op.batch_alter_table("jobs_questions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_questions_account"), ["account"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_questions_created"), ["created"], unique=False)
    op.create_table(
        "jobs_answers",
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=True),
        sa.Column("value", sa.Integer(), nullable=True),
        sa.Column("k", sa.Integer(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handed", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["question"], ["jobs_questions.id"], name=op.f("fk_jobs_answers_question")),
        sa.PrimaryKeyConstraint("question", "place", name=op.f("pk_jobs_answers")),
    )
    with op.batch_alter_table("jobs_answers", schema=None) as batch_op:
        batch_op.create_index("ix_jobs_answers_open", ["node", "kind"], unique=False)


def downgrade() -> None:
    op.drop_table("jobs_answers")
    op.drop_table("jobs_questions")
