"""Routes of the hub's audit log: its head and sealed checkpoints and proofs for everybody, its entries for auditors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from fairbank import audit, audit_alarms, audit_checkpoints
from fairbank.audit import HubAudit
from fairbank.audit_checkpoints import ProofNotPossible
from fairbank.audit_tree import named
from fairbank.catalogue import accounts
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.clock import iso, parse_iso
from fairbank.database import reading

LARGEST_PAGE = 1000
MOST_PATHS = 64
# No database of ours but SQLite takes the character in a text.
NO_NUL = r"^[^\x00]*$"


def router(hub: Hub) -> APIRouter:
    """Return the routes under `/v1/audit`."""
    routes = APIRouter(tags=["audit"])
    _public(routes, hub)
    _entries(routes, hub)
    return routes


def readers() -> tuple[Role, ...]:
    """Return the roles that read the log: administrators and auditors."""
    return Role.ADMIN, Role.AUDITOR


def _public(routes: APIRouter, hub: Hub) -> None:
    @routes.get("/v1/audit/head")
    def head() -> dict[str, Any]:
        with reading(hub.engine) as session:
            newest = audit.head(session, HubAudit)
        return {"schema": "audit-head/1", "seq": newest.seq, "hash": newest.hash}

    @routes.get("/v1/audit/checkpoint")
    def checkpoint() -> dict[str, Any]:
        with reading(hub.engine) as session:
            newest = audit_checkpoints.newest(session, HubAudit)
        if newest is None:
            raise _not_possible("no checkpoint has been sealed yet")
        return {
            "schema": "audit-checkpoint-answer/1",
            "size": newest.size,
            "checkpoint": newest.envelope.decode(),
        }

    @routes.get("/v1/audit/checkpoints")
    def checkpoints(
        after: Annotated[int, Query(ge=0, le=2**53)] = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> dict[str, Any]:
        with reading(hub.engine) as session:
            found = audit_checkpoints.kept(session, HubAudit, after=after, limit=limit)
        return {"schema": "audit-checkpoints/1", "checkpoints": [each.decode() for each in found]}

    @routes.get("/v1/audit/consistency")
    def consistency(
        first: Annotated[int, Query(ge=1, le=2**53)], second: Annotated[int, Query(ge=1, le=2**53)]
    ) -> dict[str, Any]:
        with reading(hub.engine) as session:
            tree = audit_checkpoints.tree_of(hub.engine, session, HubAudit)
        try:
            proof = tree.consistency(first, second)
        except ValueError as err:
            raise _not_possible("the log has not so many entries, or the first is the longer one") from err
        return {"schema": "audit-consistency/1", "proof": [named(each) for each in proof]}

    @routes.get("/v1/audit/inclusion")
    def inclusion(
        size: Annotated[int, Query(ge=1, le=2**53)],
        entries: Annotated[str, Query(pattern=r"^[0-9]{1,15}(,[0-9]{1,15}){0,63}$", max_length=1100)],
    ) -> dict[str, Any]:
        with reading(hub.engine) as session:
            tree = audit_checkpoints.tree_of(hub.engine, session, HubAudit)
        try:
            paths = [tree.inclusion(int(entry) - 1, size) for entry in entries.split(",")]
        except ValueError as err:
            raise _not_possible("the log has not so many entries") from err
        return {
            "schema": "audit-inclusion/1",
            "paths": [[named(each) for each in path] for path in paths],
        }


def _entries(routes: APIRouter, hub: Hub) -> None:
    reader: Account = Depends(accounts.account(hub, *readers()))

    @routes.get("/v1/audit")
    def entries(
        after: Annotated[int, Query(ge=0, le=2**53)] = 0,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 200,
        act: Annotated[str, Query(max_length=100, pattern=NO_NUL)] = "",
        actor: Annotated[str, Query(max_length=200, pattern=NO_NUL)] = "",
        target: Annotated[str, Query(max_length=600, pattern=NO_NUL)] = "",
        since: Annotated[
            str, Query(pattern=r"^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z)?$", max_length=24)
        ] = "",
        who: Account = reader,
    ) -> dict[str, Any]:
        wanted = audit.Wanted(act=act, actor=actor, target=target, since=_moment(since))
        with reading(hub.engine) as session:
            found = audit.entries(session, HubAudit, wanted, after=after, limit=limit)
        return {"schema": "audit/1", "entries": [_entry(row) for row in found]}

    @routes.get("/v1/audit/alarms")
    def alarms(who: Account = reader) -> dict[str, Any]:
        with reading(hub.engine) as session:
            found = audit_alarms.alarms(session, HubAudit)
        return {"schema": "audit-alarms/1", "alarms": [alarm_view(each) for each in found]}


def alarm_view(alarm: audit_alarms.Alarm) -> dict[str, Any]:
    """Return an alarm as JSON."""
    return {
        "id": alarm.id,
        "log": alarm.log,
        "kind": alarm.kind.value,
        "detail": alarm.detail,
        "raised": iso(alarm.raised),
        "cleared": iso(alarm.cleared) if alarm.cleared else None,
        "cleared_by": alarm.cleared_by,
        "why": alarm.why,
    }


def _moment(text: str) -> datetime | None:
    try:
        return parse_iso(text) if text else None
    except ValueError as err:
        raise _not_possible("there is no such day") from err


def _entry(entry: Any) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "at": iso(entry.at),
        "actor": entry.actor,
        "act": entry.act,
        "target": entry.target,
        "detail": entry.detail,
        "hash": entry.hash,
    }


def _not_possible(why: str) -> ProofNotPossible:
    return ProofNotPossible(
        "The audit log cannot answer this.",
        why=f"{why[0].upper()}{why[1:]}.",
        todo="Ask for the newest checkpoint, and for proofs within its size.",
    )
