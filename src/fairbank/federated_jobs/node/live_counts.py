"""Live counts at a node: judge a question, count where the site lets it, and tell no more than the gate lets leave.

A question is judged by what this site trusts itself: it is sealed by who asks, and under a grant the visa by the hub's
pinned key. Then the setting `node_live_counts` says whether the node answers by itself, or a person does.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, RemoteError
from fairbank.federated_jobs.count_protocol import (
    CountCall,
    CountClaim,
    CountReport,
    CountWord,
    declared,
    output_name,
    table_of,
)
from fairbank.federated_jobs.errors import CountNotFound, CountRefused
from fairbank.federated_jobs.manifest import (
    check_made_here,
    check_times,
    check_visa_within_request,
    node_of,
)
from fairbank.federated_jobs.node.cohort import CohortSource, harvest_index, serving
from fairbank.federated_jobs.node.judging import enrolment_of
from fairbank.federated_jobs.node.store import CountRow
from fairbank.ontology.count_questions import CountQuestion
from fairbank.ontology.counts import CountReason
from fairbank.ontology.outputs import DoorClass
from fairbank.ontology.person_objects import CountersignWord
from fairbank.ontology.signed_objects import GrantedDataset, Request, Selector, Visa, narrows
from fairbank.release import hub_keys, told_counts
from fairbank.release.candidates import Candidate
from fairbank.release.errors import GateRefused
from fairbank.release.grants import word_on
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.people import Signer
from fairbank.release.person_decisions import Act, decide
from fairbank.release.releases import Release
from fairbank.release.store import ReleaseRow
from fairbank.release.suspension import check_not_suspended
from fairbank.release.told_counts import Telling
from fairbank.signing import sha256_digest

log = logging.getLogger(__name__)

_ANSWER_MARGIN_S: Final = 15.0
# The hub knows the question no longer: saying it again would change nothing.
_SETTLED: Final = frozenset({404, 409, 410})


class CountState(StrEnum):
    """Where a live count stands at this site."""

    WAITING = "waiting"
    READY = "ready"
    TOLD = "told"
    BELOW_K = "below-k"
    DECLINED = "declined"


class Sets(Protocol):
    """Returns the sets of subjects that records of a dataset told counts of."""

    def __call__(self, session: Session, dataset: str, /) -> Sequence[frozenset[str]]:
        """Return them."""
        ...


def harvest_sets(session: Session, dataset: str, /) -> Sequence[frozenset[str]]:
    """Return the sets of subjects behind the counts that records of a dataset told."""
    from fairbank.harvest.told_sets import published_sets

    return published_sets(session, dataset)


@dataclass(frozen=True, slots=True)
class CountDesk:
    """Answers live counts for one node.

    Attributes:
        source: where series are selected.
        published: the sets of subjects that records told counts of.
    """

    node: Node
    outbox: Outbox
    source: CohortSource = harvest_index
    published: Sets = harvest_sets

    def step(self, *, max_wait_s: int = 0) -> bool:
        """Tell what is not told yet, then fetch one question and answer it; return whether there was one.

        Raises:
            HubUnreachable: if the hub does not answer.
            NodeSuspendedHere: if the site's people have suspended the node.
            RemoteError: with the status 404 if the hub knows no live counts.
        """
        self.tell()
        answer = self.outbox.control(
            "POST",
            f"/v1/nodes/{self.node.name}/counts",
            CountClaim(max_wait_s=max_wait_s),
            timeout_s=max_wait_s + _ANSWER_MARGIN_S,
            once=True,
        )
        if not answer:
            return False
        self.take(CountCall.parse(answer))
        self.tell()
        return True

    def take(self, call: CountCall) -> None:
        """Judge a question, and write down for each dataset of this site what is to be said.

        Raises:
            FairbankError: if the question is not sealed by who asks; nothing is written down then.
        """
        question = _opened(call)
        base = enrolment_of(self.node).public_base_iri
        with writing(self.node.engine) as session:
            for place, dataset in enumerate(question.datasets):
                named = node_of(dataset.iri, base)
                if named is None or named[0] != self.node.name:
                    continue
                row = session.get(CountRow, (question.id, place))
                if row is not None:
                    # The hub asks again because it was not told: nothing is judged anew.
                    row.reported = row.kind == CountState.READY.value
                    continue
                row = CountRow(
                    question=question.id,
                    place=place,
                    dataset=named[1],
                    account=question.requester_account,
                    requester_key=question.requester_key,
                    selector=dataset.selector.model_dump(mode="json"),
                    envelope=call.question.encode(),
                    visa=call.visa.encode() if call.visa is not None else None,
                    request=call.request.encode() if call.request is not None else None,
                    kind=CountState.WAITING.value,
                    why=None,
                    k=None,
                    received=self.node.clock.now(),
                )
                session.add(row)
                self._judge(session, row)

    def tell(self) -> int:
        """Work out what may be, and tell the hub what it does not know yet; return how many that were.

        Raises:
            HubUnreachable: if the hub does not answer; it is told later.
            NodeSuspendedHere: if the site's people have suspended the node, also while a question was waited for.
        """
        with reading(self.node.engine) as session:
            check_not_suspended(session)
        self._count_all()
        with reading(self.node.engine) as session:
            rows = list(session.scalars(select(CountRow).where(CountRow.reported.is_(False))))
        for row in rows:
            if row.kind == CountState.TOLD.value:
                self._send(row)
            else:
                self._report(row)
            with writing(self.node.engine) as session:
                fresh = session.get_one(CountRow, (row.question, row.place))
                # Somebody may have decided meanwhile; that is told next.
                fresh.reported = fresh.kind == row.kind
        return len(rows)

    def _judge(self, session: Session, row: CountRow) -> None:
        policy = self.node.settings.node_live_counts
        if policy == "never":
            _settle(row, CountState.DECLINED, CountReason.NO_LIVE_COUNTS)
        elif row.visa is not None and not self._granted(session, row):
            _settle(row, CountState.DECLINED, CountReason.NOT_GRANTED)
        elif policy == "all" or (policy == "granted" and row.visa is not None):
            _settle(row, CountState.READY, None)
        else:
            _settle(row, CountState.WAITING, CountReason.SITE_DECIDES)

    def _granted(self, session: Session, row: CountRow) -> bool:
        try:
            return self._terms(session, row) is not None
        except FairbankError as err:
            log.warning("the grant of a question is not believed: %s", err.code)
            return False

    def _terms(self, session: Session, row: CountRow) -> GrantedDataset | None:
        """Return the terms that cover what is asked, None if there are none or this site refused them."""
        question = _opened_row(row)
        assert row.visa is not None and row.request is not None
        enrolment = enrolment_of(self.node)
        visa, sealed_visa = Visa.open(row.visa, trusted=[hub_keys.key_for(session, enrolment, row.visa)])
        request, sealed_request = Request.open(row.request, trusted=[visa.requester_key])
        linked = (question.visa, visa.request, visa.requester_key)
        if linked != (sealed_visa.digest, sealed_request.digest, question.requester_key):
            return None
        asked = question.datasets[row.place]
        check_made_here(visa, enrolment.public_base_iri)
        check_visa_within_request(visa, request)
        check_times(visa, self.node.clock.now(), datasets={asked.iri})
        terms = visa.terms_of(asked.iri)
        word = word_on(session, self.node, visa, sealed_visa.digest, asked.iri)
        said = word.word if word is not None else None
        missing = self.node.settings.node_countersign == "required" and said is None
        if terms is None or missing or said is CountersignWord.REFUSED:
            return None
        return terms if narrows(asked.selector, terms.selector) else None

    def _count_all(self) -> None:
        with reading(self.node.engine) as session:
            ready = session.execute(
                select(CountRow.question, CountRow.place).where(CountRow.kind == CountState.READY.value)
            ).all()
        for question, place in ready:
            try:
                self._count(question, place)
            except FairbankError as err:
                self._fail(question, place, CountReason.NOT_HERE, err.code)
            except Exception as err:  # noqa: BLE001 - an outermost edge: one question must not stop the others
                # The type only: the text of a foreign error may quote what is in a file.
                self._fail(question, place, CountReason.NODE_FAULT, type(err).__name__)

    def _count(self, question: str, place: int) -> None:
        node, now = self.node, self.node.clock.now()
        with writing(node.engine) as session:
            row = session.get_one(CountRow, (question, place))
            if row.visa is not None and not self._granted(session, row):
                _settle(row, CountState.DECLINED, CountReason.NOT_GRANTED)
                return
            source = self.source
            if row.visa is not None and row.request is not None:
                request, _ = Request.open(row.request, trusted=[row.requester_key])
                source = serving(source, request, at=now)
            selector = Selector.model_validate_json(json.dumps(row.selector))
            subjects = frozenset(one.subject for one in source(session, row.dataset, selector, at=now))
            told = self._judged(session, row, subjects)
            row.k, row.reported = told.k, False
            if told.spent:
                _settle(row, CountState.DECLINED, CountReason.TOO_MANY_COUNTS)
            elif told.value is None or not self._staged(session, row, told, len(subjects)):
                _settle(row, CountState.BELOW_K, None)
            else:
                _settle(row, CountState.TOLD, None)

    def _judged(self, session: Session, row: CountRow, subjects: frozenset[str]) -> Telling:
        settings = self.node.settings
        rules = told_counts.Rules(
            settings.release_minimum_count,
            settings.release_rounding_base,
            settings.node_live_counts_a_month,
        )
        asked = sha256_digest(json.dumps(row.selector, sort_keys=True).encode())
        return told_counts.judge(
            session,
            row.dataset,
            asked,
            subjects,
            published=self.published(session, row.dataset),
            rules=rules,
            at=self.node.clock.now(),
        )

    def _staged(self, session: Session, row: CountRow, told: Telling, subjects: int) -> bool:
        assert told.value is not None
        limits = declared(row.place, k=told.k)
        candidate = Candidate(
            DoorClass.COUNT,
            limits.name,
            table_of(told.value),
            limits.media_type,
            job=row.question,
            limits=limits,
            subjects=subjects,
        )
        try:
            self.outbox.stage(session, candidate)
        except GateRefused as refused:
            self.outbox.note_refusal(session, candidate, refused)
            return False
        return True

    def _send(self, row: CountRow) -> None:
        with reading(self.node.engine) as session:
            release = session.scalar(
                select(ReleaseRow.id).where(
                    ReleaseRow.job == row.question, ReleaseRow.output == output_name(row.place)
                )
            )
        if release is None:
            return
        try:
            self.outbox.send(release)
        except RemoteError as err:
            if err.status not in _SETTLED:
                raise
            log.warning("the hub does not take a live count: %s", err.remote_code)

    def _report(self, row: CountRow) -> None:
        message = CountReport(
            place=row.place,
            word=CountWord(row.kind),
            why=CountReason(row.why) if row.why else None,
            k=row.k if row.kind == CountState.BELOW_K.value else None,
        )
        try:
            self.outbox.control("POST", f"/v1/counts/{row.question}/sites/{self.node.name}", message)
        except RemoteError as err:
            if err.status not in _SETTLED:
                raise
            log.warning("the hub does not take a word on a live count: %s", err.remote_code)

    def _fail(self, question: str, place: int, why: CountReason, kind: str) -> None:
        log.error("a live count could not be worked out: %s", kind)
        with writing(self.node.engine) as session:
            _settle(session.get_one(CountRow, (question, place)), CountState.DECLINED, why)


def asked_here(node: Node) -> list[CountRow]:
    """Return the live counts that were asked of this node, newest first."""
    with reading(node.engine) as session:
        return list(session.scalars(select(CountRow).order_by(CountRow.received.desc(), CountRow.place)))


def answer(
    node: Node, question: str, word: Literal["answer", "decline"], *, by: str, signer: Signer | None
) -> int:
    """Let a question be answered, or decline it, as a person of this site; return how many datasets that settles.

    Raises:
        CountNotFound: if there is no such question.
        CountRefused: if none of its counts waits for a person.
        PersonNeeded: if persons are named here and none signs.
    """
    with writing(node.engine) as session:
        rows = session.scalars(select(CountRow).where(CountRow.question == question)).all()
        waiting = [row for row in rows if row.kind == CountState.WAITING.value]
        if not rows:
            raise CountNotFound(
                "This node was not asked such a question.",
                why="It is of another node, or was not fetched yet.",
                todo="See 'fairbank node counts'.",
            )
        if not waiting:
            raise CountRefused(
                "This question waits for nobody.",
                why="The node has answered it, or somebody has decided already.",
                todo="See 'fairbank node counts'.",
            )
        act = Act.COUNT_ANSWER if word == "answer" else Act.COUNT_DECLINE
        digest = sha256_digest(waiting[0].envelope)
        decide(session, node, act, question, {"question": digest}, signer=signer)
        for row in waiting:
            if word == "answer":
                _settle(row, CountState.READY, None)
            else:
                _settle(row, CountState.DECLINED, CountReason.SITE_DECLINED)
            row.decided, row.decided_by = node.clock.now(), by
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=by,
            act=(Act.COUNT_ANSWER if word == "answer" else Act.COUNT_DECLINE).value,
            target=question,
            detail={"question": digest},
        )
        return len(waiting)


def is_live_count(session: Session, release: Release) -> bool:
    """Tell whether a release is a live count, and not an output of a job."""
    asked = select(CountRow.question).where(CountRow.question == release.job).limit(1)
    return release.job is not None and session.scalar(asked) is not None


def _settle(row: CountRow, state: CountState, why: CountReason | None) -> None:
    row.kind, row.why = state.value, why.value if why is not None else None
    # What is ready is first worked out.
    row.reported = state is CountState.READY


def _opened(call: CountCall) -> CountQuestion:
    return _opened_envelope(call.question.encode())


def _opened_row(row: CountRow) -> CountQuestion:
    return _opened_envelope(row.envelope)


def _opened_envelope(envelope: bytes) -> CountQuestion:
    said, _ = CountQuestion.open(envelope, trusted=None)
    # Anybody may have sealed it; it counts only with the key that it names.
    question, _ = CountQuestion.open(envelope, trusted=[said.requester_key])
    return question
