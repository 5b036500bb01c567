"""Requests leave their old tables.

An old request had one state and one visa for all of its datasets. It becomes one leg per dataset in that state; what
was granted is before the committees again, because the old visa has one set of terms for all. Going back, nothing is
carried over: an older hub finds its tables empty.

Revision: 7e6e9cc58f80
Follows: fab4f482af69
Written: 2026-11-30 00:23:42.983815+00:00
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from fairbank.clock import SystemClock

revision = "7e6e9cc58f80"
down_revision = "fab4f482af69"
branch_labels = None
depends_on = None

# Old state of a request: the state of its legs, and of the request now.
_STATES = {
    "submitted": ("submitted", "open"),
    "in_review": ("submitted", "open"),
    "granted": ("submitted", "open"),
    "returned": ("returned", "open"),
    "expired": ("expired", "open"),
    "declined": ("declined", "closed"),
    "revoked": ("revoked", "closed"),
    "withdrawn": ("withdrawn", "withdrawn"),
}
_AFTER = {
    "submit": ("requester", "submitted"),
    "withdraw": ("requester", "withdrawn"),
    "take-up": ("member", "in_review"),
    "approve": ("member", "active"),
    "decline": ("member", "declined"),
    "return": ("member", "returned"),
    "expire": ("hub", "expired"),
    "revoke": ("chair", "revoked"),
}
_NOTE = "The visa had one set of terms for all datasets and has ended; each committee decides again about its own."


def upgrade() -> None:
    with op.batch_alter_table("catalogue_legs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("pending_state", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("pending_terms", sa.JSON(), nullable=True))
    with op.batch_alter_table("catalogue_committee_substitutes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("over", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    _carry_over()
    for name in (
        "catalogue_visas",
        "catalogue_decisions",
        "catalogue_request_datasets",
        "catalogue_requests",
    ):
        op.drop_table(name)


def downgrade() -> None:
    with op.batch_alter_table("catalogue_committee_substitutes", schema=None) as batch_op:
        batch_op.drop_column("over")
    with op.batch_alter_table("catalogue_legs", schema=None) as batch_op:
        batch_op.drop_column("pending_terms")
        batch_op.drop_column("pending_state")
    op.create_table(
        "catalogue_requests",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_requests_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_requests")),
        sa.UniqueConstraint("digest", name=op.f("uq_catalogue_requests_digest")),
    )
    op.create_table(
        "catalogue_request_datasets",
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset"], ["catalogue_datasets.iri"], name=op.f("fk_catalogue_request_datasets_dataset")
        ),
        sa.ForeignKeyConstraint(
            ["request"], ["catalogue_requests.id"], name=op.f("fk_catalogue_request_datasets_request")
        ),
        sa.PrimaryKeyConstraint("request", "dataset", name=op.f("pk_catalogue_request_datasets")),
    )
    op.create_table(
        "catalogue_decisions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["request"], ["catalogue_requests.id"], name=op.f("fk_catalogue_decisions_request")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_decisions")),
    )
    op.create_table(
        "catalogue_visas",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("granted", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_because", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["catalogue_accounts.name"], name=op.f("fk_catalogue_visas_account")
        ),
        sa.ForeignKeyConstraint(
            ["request"], ["catalogue_requests.id"], name=op.f("fk_catalogue_visas_request")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_visas")),
        sa.UniqueConstraint("digest", name=op.f("uq_catalogue_visas_digest")),
        sa.UniqueConstraint("request", name=op.f("uq_catalogue_visas_request")),
    )
    for table, column in (
        ("catalogue_requests", "account"),
        ("catalogue_requests", "state"),
        ("catalogue_request_datasets", "dataset"),
        ("catalogue_decisions", "request"),
        ("catalogue_visas", "account"),
        ("catalogue_visas", "expires"),
    ):
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)


def _carry_over() -> None:
    bind, clock = op.get_bind(), SystemClock()
    now = clock.now()
    tables = sa.MetaData()
    tables.reflect(
        bind,
        only=[
            "catalogue_requests",
            "catalogue_request_datasets",
            "catalogue_decisions",
            "catalogue_visas",
            "catalogue_datasets",
            "catalogue_access_requests",
            "catalogue_request_versions",
            "catalogue_legs",
            "catalogue_request_history",
            "catalogue_grants",
        ],
    )
    of = tables.tables

    def all_of(name: str) -> list[dict[str, Any]]:
        return [dict(row._mapping) for row in bind.execute(sa.select(of[name]))]

    requests, visas = all_of("catalogue_requests"), all_of("catalogue_visas")
    datasets, decisions = all_of("catalogue_request_datasets"), all_of("catalogue_decisions")
    nodes = {each["iri"]: each["node"] for each in all_of("catalogue_datasets")}
    states = {each["id"]: _STATES[each["state"]] for each in requests}
    since = {each["id"]: each["changed"] for each in requests}

    def put(name: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            bind.execute(sa.insert(of[name]), rows)

    put("catalogue_access_requests", [_request(each, states) for each in requests])
    put(
        "catalogue_request_versions",
        [
            {"request": each["id"], "version": 1, "received": each["submitted"]}
            | {key: each[key] for key in ("digest", "envelope", "until")}
            for each in requests
        ],
    )
    put(
        "catalogue_legs",
        [
            {
                "id": clock.new_id(),
                "request": each["request"],
                "dataset": each["dataset"],
                "node": nodes[each["dataset"]],
                "state": states[each["request"]][0],
                "version": 1,
                "since": since[each["request"]],
                "awaited_since": since[each["request"]],
                "verdict": "needs-review",
                "match": [],
            }
            for each in datasets
        ],
    )
    put("catalogue_request_history", [_history(each) for each in decisions])
    put(
        "catalogue_request_history",
        [
            {
                "id": clock.new_id(),
                "request": each["id"],
                "command": "submit",
                "actor": "hub",
                "role": "hub",
                "state": "submitted",
                "note": _NOTE,
                "at": now,
            }
            for each in requests
            if each["state"] == "granted"
        ],
    )
    put(
        "catalogue_grants",
        [
            each
            | {
                "version": 1,
                "supersedes": None,
                "ended": each["ended"] or now,
                "ended_because": each["ended_because"] or "migrated",
            }
            for each in visas
        ],
    )


def _request(old: dict[str, Any], states: dict[str, tuple[str, str]]) -> dict[str, Any]:
    return {
        "id": old["id"],
        "account": old["account"],
        "title": old["title"],
        "state": states[old["id"]][1],
        "version": 1,
        "draft": {},
        "minimum_datasets": 1,
        "created": old["submitted"],
        "submitted": old["submitted"],
        "changed": old["changed"],
    }


def _history(old: dict[str, Any]) -> dict[str, Any]:
    role, state = _AFTER[old["act"]]
    return {
        "id": old["id"],
        "request": old["request"],
        "command": old["act"],
        "actor": old["actor"],
        "role": role,
        "state": state,
        "note": old["comment"],
        "at": old["at"],
    }
