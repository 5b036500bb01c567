"""Whether this site approves a job by itself: by a pinned rule, or by one of its policy file. Else people decide."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy.orm import Session

from fairbank.federated_jobs.manifest import Chain
from fairbank.federated_jobs.node.judging import datasets_here
from fairbank.federated_jobs.node.policy_file import policy_rule, standing
from fairbank.federated_jobs.node.rules import rule_for
from fairbank.release.node import Node
from fairbank.signing import Digest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Automatic:
    """What approves a job without a person being asked.

    Attributes:
        rule: the id of a pinned rule, or `policy:` and the name of a rule of the policy.
        by: who it is, as approvals and the audit log say it.
        hold: whether outputs wait for a person.
        decision: what a person signed for the policy; a pinned rule has its own.
    """

    rule: str
    by: str
    hold: bool = False
    decision: Digest | None = None


def automatic(node: Node, session: Session, chain: Chain) -> Automatic | None:
    """Return what approves a job here, None if a person has to; with a policy that cannot be used, nothing does."""
    policy = standing(session, node)
    if policy.problem is not None:
        log.warning("%s %s", policy.problem.code, policy.problem)
        return None
    datasets = list(datasets_here(node, chain))
    pinned = rule_for(
        session,
        node=node,
        requester_key=chain.visa.requester_key,
        code=chain.manifest.code,
        datasets=datasets,
        now=node.clock.now(),
    )
    if pinned is not None:
        return Automatic(pinned, f"rule {pinned}")
    found = policy_rule(node, chain, policy, datasets=datasets)
    if found is None:
        return None
    return Automatic(found.name, found.by, found.rule.hold, found.decision)
