"""A job that was brought to this site: everything that a decision about it rests on, and the decision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.responses import Response

from fairbank.clock import parse_iso
from fairbank.errors import FairbankError
from fairbank.federated_jobs.errors import NotApproved
from fairbank.federated_jobs.node.approval import Consent, approve, reject
from fairbank.federated_jobs.node.reviewing import JobReview, review
from fairbank.federated_jobs.node.weighing import CodeCompared, Weighed, compare_code, weigh
from fairbank.federated_jobs.node.what_leaves import Leaving, privacy_cost, warnings
from fairbank.federated_jobs.states import SiteState
from fairbank.ontology import duo
from fairbank.ontology.signed_objects import KeyKeeper, Purpose
from fairbank.release.node import Node
from fairbank.web import once
from fairbank.web.languages import mark
from fairbank.web.node import deciding
from fairbank.web.node.desk import Desk
from fairbank.web.node.page import NodePage, Visit
from fairbank.web.once import Bound
from fairbank.web.pages.page import Once
from fairbank.web.pages.serving import nothing_here

STATEMENTS: Final = (
    mark("I have read who asks, for what purpose, and that the proofs hold."),
    mark("These are the data that the grant covers, and no more than the question needs."),
    mark("What may leave is acceptable to those whose images these are."),
)
REASONS: Final = (
    mark("The purpose does not fit"),
    mark("Too much data for the question"),
    mark("Too much would leave"),
    mark("The code cannot be judged"),
    mark("Another reason"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what, as the signed objects say; each was verified here, against keys that this node pinned."""

    requester: str
    organisation: str
    key: str
    is_key_known: bool
    is_key_at_hub: bool
    uses: tuple[str, ...]
    commercial: bool
    statement: str
    conditions: tuple[str, ...]
    until: datetime
    countries: tuple[str, str]
    tool: str
    tool_version: str
    code: str
    publisher: str
    review: str
    tests: tuple[str, ...]
    container: dict[str, str]
    bundle: dict[str, str]
    rounds: int
    leaves: tuple[Leaving, ...]
    privacy: str
    warnings: tuple[str, ...]
    request: str


@dataclass(frozen=True, slots=True)
class Job:
    """`node_job.html`.

    Attributes:
        asked: None where the signed objects do not hold.
        code: its code against the last approved one of its tool; None if none was approved.
        problem: why it cannot be approved as it is now; None if it can.
    """

    id: str
    title: str
    weighed: Weighed
    asked: Asked | None
    code: CodeCompared | None
    problem: tuple[str, str, str] | None
    is_waiting: bool
    needs_person: bool
    person: str
    statements: tuple[str, ...]
    reasons: tuple[str, ...]
    once: Once


def show(desk: Desk, visit: Visit) -> Job:
    """Put the page together; the data are drawn now, as they would be frozen."""
    job = visit.given["job"]
    weighed = _weighed(desk, job)
    found, failure = _reviewed(desk, job)
    refusal = weighed.refusal or failure
    return Job(
        id=job,
        title=found.chain.manifest.title if found else job,
        weighed=weighed,
        asked=_asked(desk.node, found) if found else None,
        code=compare_code(desk.node, job) if found else None,
        problem=(refusal.what, refusal.why, refusal.code) if refusal else None,
        is_waiting=weighed.state is SiteState.PENDING_REVIEW,
        needs_person=desk.has_people(),
        person=visit.account.name,
        statements=STATEMENTS,
        reasons=REASONS,
        once=once.token(desk.forms, visit, Bound(f"job {job}", weighed.version)),
    )


def decide(desk: Desk, visit: Visit) -> Response:
    """Approve or refuse the job that was shown, and no other."""
    job = visit.given["job"]
    weighed = _weighed(desk, job)

    def do() -> str:
        word = visit.form.get(deciding.DECISION, "")
        if word not in ("approve", "refuse"):
            raise deciding.incomplete(mark("Say yes or no."), mark("Nothing was chosen."))
        if word == "approve" and set(visit.form.every("statement")) != {"1", "2", "3"}:
            raise deciding.incomplete(
                mark("A statement is not ticked."), mark("An approval rests on all three.")
            )
        why = deciding.why(visit, needed=word == "refuse")
        by, signer = deciding.signer(desk, visit)
        if word == "refuse":
            reject(desk.node, job, by=by, why=why, signer=signer)
        else:
            hold = visit.form.get("hold", "") == "yes"
            consent = Consent(by=by, hold_outputs=hold, signer=signer)
            phrase = visit.form.get("site-passphrase", "") or None
            approve(desk.node, job, consent, passphrase=phrase, source=desk.source)
        return f"/jobs/{job}"

    return once.act(desk.forms, visit, Bound(f"job {job}", weighed.version), do)


def _weighed(desk: Desk, job: str) -> Weighed:
    try:
        return weigh(desk.node, job, source=desk.source)
    except NotApproved as error:
        raise nothing_here() from error


def _reviewed(desk: Desk, job: str) -> tuple[JobReview | None, FairbankError | None]:
    try:
        return review(desk.node, job, source=desk.source), None
    except FairbankError as error:
        # Its signed objects do not hold: what they say is shown to nobody as if they did.
        return None, error


def _uses(purpose: Purpose) -> tuple[str, ...]:
    """Return kinds of use by their labels, diseases by their numbers."""
    labels = (f"{duo.TERMS[code].label} ({code})" if code in duo.TERMS else code for code in purpose.data_use)
    return (*labels, *purpose.diseases)


def _asked(node: Node, found: JobReview) -> Asked:
    request, visa, manifest = found.chain.request, found.chain.visa, found.chain.manifest
    return Asked(
        requester=request.requester_account,
        organisation=request.organisation,
        key=manifest.requester_key,
        is_key_known=found.known_requester,
        is_key_at_hub=request.key_kept_by is KeyKeeper.HUB,
        uses=_uses(visa.purpose),
        commercial=visa.purpose.commercial,
        statement=visa.purpose.statement,
        conditions=tuple(sorted({words for one in found.terms for words in one.terms.conditions})),
        until=min(parse_iso(one.terms.expires) for one in found.terms),
        countries=(request.country or "", found.hub_country or ""),
        tool=manifest.code.name,
        tool_version=manifest.code.version,
        code=manifest.code.digest,
        publisher=found.publisher,
        review=found.told.review if found.told else "",
        tests=found.told.tests if found.told else (),
        container=found.container,
        bundle={
            name: value if isinstance(value, str) else ", ".join(value)
            for name, value in found.bundle.items()
        },
        rounds=manifest.plan.rounds,
        leaves=found.leaves,
        privacy=privacy_cost(manifest, found.noise),
        warnings=warnings(manifest),
        request=found.chain.sealed_request.digest,
    )


PAGE = NodePage(name="node_job", path="/jobs/{job}", context=Job, show=show, acts={"decide": decide})
