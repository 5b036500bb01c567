"""What a site's approval of a job, and a held output's leaving, rest on: the word of a person, signed, and checked.

Whoever has the site's key and the node's database can seal an approval; without the person's key nobody can make the
decision that it has to name.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from fairbank.federated_jobs.errors import NotApproved
from fairbank.federated_jobs.manifest import Chain
from fairbank.federated_jobs.node.policy_file import RULE, check_signed_rule
from fairbank.federated_jobs.node.rules import signed_for
from fairbank.federated_jobs.node.store import RuleRow
from fairbank.federated_jobs.reasons import Reason
from fairbank.ontology.signed_objects import SiteApproval
from fairbank.release.errors import DecisionUntrusted
from fairbank.release.node import Node
from fairbank.release.people import has_people
from fairbank.release.person_decisions import Act, before_people, decide, enough_signed, made, verify
from fairbank.release.releases import Release, ReleaseState
from fairbank.signing import Digest, Json

if TYPE_CHECKING:
    from fairbank.federated_jobs.node.approval import Consent


def sign_approval(
    session: Session, node: Node, chain: Chain, consent: Consent, *, expires: str
) -> Digest | None:
    """Return the digest of the decision that an approval rests on: the person's own, or that of the rule's person.

    Raises:
        PersonNeeded: if persons are named here and none signs.
    """
    if consent.rule is not None and consent.rule.startswith(RULE):
        return consent.decision
    if consent.rule is not None:
        rule = session.get(RuleRow, consent.rule)
        return Digest(rule.decision) if rule is not None and rule.decision is not None else None
    words = _words(chain, expires=expires, hold=consent.hold_outputs)
    return decide(session, node, Act.JOB_APPROVE, chain.manifest.id, words, signer=consent.signer)


def check_approval(
    session: Session,
    node: Node,
    chain: Chain,
    approval: SiteApproval,
    *,
    rule: str | None,
    hold: bool,
    datasets: Collection[str],
) -> None:
    """Refuse an approval that no person of this node stands behind.

    An approval from before anybody was named has no decision; the audit log says that it is so old.

    Args:
        hold: whether outputs wait to be looked at, as the database says now.
        datasets: those of this site that the job uses.

    Raises:
        DecisionUntrusted: if nobody signed it, or something else was signed.
    """
    if not has_people(session, node):
        return
    if approval.decision is None:
        if before_people(session, Act.JOB_APPROVE.value, chain.manifest.id):
            return
        raise DecisionUntrusted(
            "No person of this node signed the approval.",
            why="Since persons are named here, each approval rests on the signature of one.",
            todo="Take it back with 'fairbank node jobs withdraw', and look at the audit log.",
        )
    if rule is None:
        words = _words(chain, expires=approval.expires, hold=hold)
        verify(session, node, approval.decision, Act.JOB_APPROVE, chain.manifest.id, words)
        return
    if rule.startswith(RULE):
        check_signed_rule(
            session, node, chain, rule=rule, decision=Digest(approval.decision), datasets=datasets
        )
        return
    verify(session, node, approval.decision, Act.RULE_ADD, rule)
    if not signed_for(
        session,
        node,
        requester_key=chain.visa.requester_key,
        code=chain.manifest.code,
        datasets=datasets,
    ):
        raise DecisionUntrusted(
            "The rule that approved this job does not cover it.",
            why="No person signed a rule for this requester, code and dataset.",
            todo="Take the approval back, and look at the audit log.",
        )


def check_let_go(session: Session, node: Node, job: str, releases: Sequence[Release]) -> None:
    """Refuse to send what was to be looked at, unless a person signed that exactly this may leave, or two where asked.

    Raises:
        NotApproved: if nobody did: then something else than a person's word made it ready.
    """
    if not any(one.detail["hold"] for one in made(session, node, Act.JOB_APPROVE, target=job)):
        return
    for release in releases:
        signed = made(session, node, Act.OUTPUT_RELEASE, target=release.id)
        if release.state is ReleaseState.READY and not enough_signed(node, signed, words_of(release)):
            raise NotApproved(
                "No person of this node let this output go.",
                why="It was to be looked at before it leaves, and nobody signed that it may.",
                todo="Look at the audit log: the database says that it may leave.",
            ).because(Reason.APPROVAL_INVALID)


def words_of(release: Release) -> dict[str, Json]:
    """Return what a person signs who decides about an output: exactly which bytes of which job and round."""
    return {"job": release.job or "", "round": release.round, "digest": release.digest}


def _words(chain: Chain, *, expires: str, hold: bool) -> dict[str, Json]:
    return {
        "request": chain.sealed_request.digest,
        "visa": chain.sealed_visa.digest,
        "manifest": chain.sealed_manifest.digest,
        "expires": expires,
        "hold": hold,
    }
