"""Rules under which a site approves by itself: a pinned requester's key, pinned code, one dataset. None by default.

The pins are made here, by the site's people; nothing that the hub sends can add one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.database import reading, writing
from fairbank.federated_jobs.errors import RuleRefused
from fairbank.federated_jobs.node.store import RuleRow
from fairbank.ontology.signed_objects import Code
from fairbank.release.node import Node
from fairbank.signing import PublicKey


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


def add_rule(node: Node, rule: Rule, *, by: str) -> str:
    """Pin a rule and return its id.

    Raises:
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
        made_by=by,
        created=node.clock.now(),
        expires=rule.expires,
    )
    with writing(node.engine) as session:
        session.add(row)
        _log(node, session, "rule.add", row.id, by=by)
    return row.id


def remove_rule(node: Node, rule_id: str, *, by: str) -> None:
    """Remove a rule; what it approved before stays approved until it is withdrawn.

    Raises:
        RuleRefused: if there is none of this id.
    """
    with writing(node.engine) as session:
        row = session.get(RuleRow, rule_id)
        if row is None:
            raise RuleRefused("There is no such rule.", todo="List the rules of this site.")
        session.delete(row)
        _log(node, session, "rule.remove", rule_id, by=by)


def rules(node: Node) -> list[RuleRow]:
    """Return all rules, oldest first."""
    with reading(node.engine) as session:
        return list(session.scalars(select(RuleRow).order_by(RuleRow.created, RuleRow.id)))


def rule_for(
    session: Session, *, requester_key: str, code: Code, datasets: Collection[str], now: datetime
) -> str | None:
    """Return the id of a rule that covers a job; None unless every dataset that it names here is covered."""
    rows = list(
        session.scalars(
            select(RuleRow)
            .where(RuleRow.requester_key == requester_key, RuleRow.expires > now)
            .order_by(RuleRow.created, RuleRow.id)
        )
    )
    covering = [
        next((row.id for row in rows if row.dataset == dataset and _names(row, code)), None)
        for dataset in sorted(datasets)
    ]
    return None if not covering or None in covering else covering[0]


def _names(row: RuleRow, code: Code) -> bool:
    if row.code_digest is not None:
        return row.code_digest == code.digest
    return row.code_family == code.family


def _log(node: Node, session: Session, act: str, target: str, *, by: str) -> None:
    audit.record(session, audit.NodeAudit, clock=node.clock, actor=by, act=act, target=target)
