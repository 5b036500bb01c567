"""Rules under which a site approves by itself: a pinned requester's key, pinned code, one dataset. None by default.

The pins are made here, by the site's people; nothing that the hub sends can add one. Where persons are named at the
node, a rule counts only as one of them signed it, and only while that person is one of the node's.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.federated_jobs.errors import RuleRefused
from fairbank.federated_jobs.node.store import RuleRow
from fairbank.ontology.signed_objects import Code
from fairbank.release.errors import DecisionUntrusted
from fairbank.release.node import Node
from fairbank.release.people import Signer, has_people
from fairbank.release.person_decisions import Act, decide, made, verify
from fairbank.signing import Digest, Json, PublicKey


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may run what on which dataset without being asked again, until when.

    Attributes:
        requester_key: the requester's key id.
        code_digest: the one version of a tool; or
        code_family: any installed version of any tool of a family.
    """

    requester_key: str
    dataset: str
    expires: datetime
    code_digest: str | None = None
    code_family: str | None = None


@dataclass(frozen=True, slots=True)
class PinnedRule:
    """A rule as it stands: `counts` is None where it does, otherwise why it does not."""

    row: RuleRow
    counts: str | None


def add_rule(node: Node, rule: Rule, *, by: str, signer: Signer | None = None) -> str:
    """Pin a rule and return its id.

    Raises:
        PersonNeeded: if persons are named here and none signs.
        RuleRefused: if it names no code, both a version and a family, or an end in the past.
        SigningError: if the key id is none.
    """
    PublicKey.parse(rule.requester_key)
    if (rule.code_digest is None) == (rule.code_family is None):
        raise RuleRefused(
            "A rule names either the digest of one tool or a family of tools.",
            why="Code that is not named is never approved by itself.",
            todo="Give one of the two.",
        )
    if rule.expires <= node.clock.now():
        raise RuleRefused("The rule would end in the past.", todo="Give a later end.")
    row = RuleRow(
        id=node.clock.new_id(),
        requester_key=rule.requester_key,
        code_digest=rule.code_digest,
        code_family=rule.code_family,
        dataset=rule.dataset,
        made_by=signer.name if signer else by,
        created=node.clock.now(),
        expires=rule.expires,
    )
    with writing(node.engine) as session:
        row.decision = decide(session, node, Act.RULE_ADD, row.id, _words(row), signer=signer)
        session.add(row)
        _log(node, session, "rule.add", row.id, by=row.made_by, decision=row.decision)
    return row.id


def remove_rule(node: Node, rule_id: str, *, by: str, signer: Signer | None = None) -> None:
    """Remove a rule; what it approved before stays approved until it is withdrawn.

    Raises:
        PersonNeeded: if persons are named here and none signs.
        RuleRefused: if there is none of this id.
    """
    with writing(node.engine) as session:
        row = session.get(RuleRow, rule_id)
        if row is None:
            raise RuleRefused("There is no such rule.", todo="List the rules of this site.")
        decision = decide(session, node, Act.RULE_REMOVE, rule_id, _words(row), signer=signer)
        session.delete(row)
        _log(node, session, "rule.remove", rule_id, by=signer.name if signer else by, decision=decision)


def rules(node: Node) -> list[RuleRow]:
    """Return all rules, oldest first."""
    return [one.row for one in pinned_rules(node)]


def pinned_rules(node: Node) -> list[PinnedRule]:
    """Return all rules, oldest first, each with whether it counts."""
    with reading(node.engine) as session:
        rows = session.scalars(select(RuleRow).order_by(RuleRow.created, RuleRow.id)).all()
        return [PinnedRule(row, _why_not(session, node, row)) for row in rows]


def rule_for(
    session: Session,
    *,
    node: Node,
    requester_key: str,
    code: Code,
    datasets: Collection[str],
    now: datetime,
) -> str | None:
    """Return the id of a rule that covers a job; None unless every dataset that it names here is covered.

    A rule that does not count (changed since it was signed, or its person retired) covers nothing.
    """
    found = session.scalars(
        select(RuleRow)
        .where(RuleRow.requester_key == requester_key, RuleRow.expires > now)
        .order_by(RuleRow.created, RuleRow.id)
    ).all()
    rows = [row for row in found if _why_not(session, node, row) is None]
    covering = [
        next((row.id for row in rows if row.dataset == dataset and _names(row, code)), None)
        for dataset in sorted(datasets)
    ]
    return None if not covering or None in covering else covering[0]


def signed_for(
    session: Session, node: Node, *, requester_key: str, code: Code, datasets: Collection[str]
) -> bool:
    """Tell whether each dataset is covered by a rule that a person signed, be it over or removed by now."""
    said = [one.detail for one in made(session, node, Act.RULE_ADD)]
    fitting = {
        str(detail["dataset"])
        for detail in said
        if detail["requester_key"] == requester_key
        and (detail["code_digest"] or code.digest, detail["code_family"] or code.family)
        == (code.digest, code.family)
    }
    return bool(datasets) and set(datasets) <= fitting


def _why_not(session: Session, node: Node, row: RuleRow) -> str | None:
    """Return why a rule does not count, None if it does."""
    if row.decision is None:
        return "no person signed it" if has_people(session, node) else None
    try:
        signed = verify(session, node, row.decision, Act.RULE_ADD, row.id, _words(row))
    except DecisionUntrusted:
        return "it is not what was signed"
    return None if signed.person.is_active else "its person has retired"


def _words(row: RuleRow) -> dict[str, Json]:
    return {
        "requester_key": row.requester_key,
        "dataset": row.dataset,
        "code_digest": row.code_digest,
        "code_family": row.code_family,
        "expires": iso(row.expires),
    }


def _names(row: RuleRow, code: Code) -> bool:
    if row.code_digest is not None:
        return row.code_digest == code.digest
    return row.code_family == code.family


def _log(node: Node, session: Session, act: str, target: str, *, by: str, decision: Digest | None) -> None:
    detail = {"decision": decision} if decision else {}
    audit.record(session, audit.NodeAudit, clock=node.clock, actor=by, act=act, target=target, detail=detail)
