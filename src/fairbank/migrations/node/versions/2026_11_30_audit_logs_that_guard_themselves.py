"""Audit logs that guard themselves.

Revision: b18e4f7092ad
Follows: 4cbbbaa24b66
Written: 2026-11-30 00:20:00+00:00
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "b18e4f7092ad"
down_revision = "4cbbbaa24b66"
branch_labels = None
depends_on = None

_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LOGS = ("audit", "audit_checkpoints")
_REFUSE = "SELECT RAISE(ABORT, 'the audit log is append-only')"
_LATER = "NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit)"
_ONCE = "EXISTS (SELECT 1 FROM audit_checkpoints WHERE size = NEW.size)"


def upgrade() -> None:
    _keep_details(sa.Text())
    # That no hash occurs twice follows from the chain; an index over all of them costs every entry, and every check.
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_constraint("uq_audit_hash", type_="unique")
    _write_canonically()
    op.create_table(
        "audit_checkpoints",
        sa.Column("size", _SEQ, autoincrement=False, nullable=False),
        sa.Column("head", sa.String(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_audit_checkpoints")),
    )
    op.create_table(
        "audit_alarms",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("log", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("raised", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cleared_by", sa.String(), nullable=True),
        sa.Column("why", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_alarms")),
    )
    with op.batch_alter_table("audit_alarms", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_alarms_cleared"), ["cleared"], unique=False)
    op.create_table(
        "jobs_hub_checkpoints",
        sa.Column("size", _SEQ, autoincrement=False, nullable=False),
        sa.Column("head", sa.String(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_jobs_hub_checkpoints")),
    )
    _guard()


def downgrade() -> None:
    _unguard()
    op.drop_table("jobs_hub_checkpoints")
    op.drop_table("audit_alarms")
    op.drop_table("audit_checkpoints")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_unique_constraint("uq_audit_hash", ["hash"])
    _keep_details(sa.JSON())


def _keep_details(kind: sa.types.TypeEngine[Any]) -> None:
    using = "detail::json" if isinstance(kind, sa.JSON) else "detail::text"
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.alter_column("detail", type_=kind, existing_nullable=False, postgresql_using=using)


def _write_canonically() -> None:
    """Write each detail as the JSON that its entry's hash covers; the hashes stay what they were."""
    log = sa.table("audit", sa.column("seq"), sa.column("detail", sa.Text()))
    change = sa.update(log).where(log.c.seq == sa.bindparam("of")).values(detail=sa.bindparam("canonical"))
    connection, done = op.get_bind(), 0
    while rows := connection.execute(
        sa.select(log).where(log.c.seq > done).order_by(log.c.seq).limit(10_000)
    ).all():
        changes = [{"of": row.seq, "canonical": _canonical(json.loads(row.detail))} for row in rows]
        connection.execute(change, changes)
        done = rows[-1].seq


def _canonical(detail: object) -> str:
    return json.dumps(detail, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _guard() -> None:
    """Let the database itself refuse to change, remove or put in what was logged."""
    if op.get_bind().dialect.name == "sqlite":
        for log in _LOGS:
            for act in ("UPDATE", "DELETE"):
                _trigger(log, act)
        # Without these, INSERT OR REPLACE would change an entry: it deletes past the trigger of deletions.
        _trigger("audit", "INSERT", f"WHEN {_LATER} ")
        _trigger("audit_checkpoints", "INSERT", f"WHEN {_ONCE} ")
        return
    op.execute(
        "CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$"
    )
    for log in _LOGS:
        op.execute(
            f"CREATE TRIGGER {log}_refuses BEFORE UPDATE OR DELETE OR TRUNCATE ON {log} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses()"
        )


def _trigger(log: str, act: str, when: str = "") -> None:
    op.execute(f"CREATE TRIGGER {log}_refuses_{act.lower()} BEFORE {act} ON {log} {when}BEGIN {_REFUSE}; END")


def _unguard() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for log in _LOGS:
            for act in ("update", "delete", "insert"):
                op.execute(f"DROP TRIGGER {log}_refuses_{act}")
        return
    for log in _LOGS:
        op.execute(f"DROP TRIGGER {log}_refuses ON {log}")
    op.execute("DROP FUNCTION audit_refuses()")
