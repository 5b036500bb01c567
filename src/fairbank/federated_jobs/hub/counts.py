"""Live counts at the hub: take a question in, hand it to the nodes it concerns, keep what they say.

The hub only carries: who asks has sealed the question, and each node judges it by what it trusts itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Select, delete, or_, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.store import DatasetRow
from fairbank.catalogue.uploads import ReleaseMeta
from fairbank.catalogue.visibility import visible
from fairbank.clock import iso
from fairbank.federated_jobs.count_protocol import (
    CountAnswer,
    CountCall,
    CountReport,
    Counts,
    count_in,
    place_of,
)
from fairbank.federated_jobs.errors import CountAnswerRefused, CountNotFound, CountRefused
from fairbank.federated_jobs.hub.grants import GrantLookup
from fairbank.federated_jobs.hub.store import AnswerRow, QuestionRow
from fairbank.federated_jobs.manifest import node_of
from fairbank.ontology.count_questions import CountQuestion
from fairbank.ontology.counts import Count, CountKind, CountReason
from fairbank.ontology.selection import in_words
from fairbank.ontology.signed_objects import Visa, narrows
from fairbank.signing import Sealed

KEPT: Final = timedelta(days=30)
# A node that fetched a question and died has not answered it; it is handed out again after so long.
_HAND_AGAIN: Final = timedelta(minutes=1)
_OPEN: Final = (CountKind.WAITING.value,)


def ask(hub: Hub, session: Session, envelope: bytes, *, who: Account, grants: GrantLookup) -> str:
    """Take a sealed question in and return its id; the same question again is the same.

    Raises:
        CountRefused: if it is not sealed with the account's key, names a dataset that the account does not see, or
            asks for more than its grant covers.
    """
    if who.key_id is None:
        raise _refused("This account has no key.", "Log in anew: fairbank login NAME registers one.")
    question, sealed = CountQuestion.open(envelope, trusted=[who.key_id])
    known = session.get(QuestionRow, question.id)
    if known is not None and (known.account, known.digest) == (who.name, sealed.digest):
        return known.id
    if known is not None or question.requester_key != who.key_id or question.requester_account != who.name:
        raise _refused("The question names another account, or is an old one.", "Ask anew.")
    visa, request = _grant(session, question, grants)
    now = hub.clock.now()
    session.execute(delete(AnswerRow).where(AnswerRow.question.in_(_over(now))))
    session.execute(delete(QuestionRow).where(QuestionRow.created <= now - KEPT))
    session.add(
        QuestionRow(
            id=question.id,
            account=who.name,
            digest=sealed.digest,
            question=envelope,
            visa=visa,
            request=request,
            created=now,
        )
    )
    session.flush()
    for place, dataset in enumerate(question.datasets):
        session.add(
            AnswerRow(
                question=question.id,
                place=place,
                dataset=dataset.iri,
                node=_node_of(hub, session, dataset.iri, who),
                kind=CountKind.WAITING.value,
                why=CountReason.SITE_NOT_REACHED.value,
                value=None,
                k=None,
                since=now,
            )
        )
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=who.name,
        act="count.ask",
        target=question.id,
        detail={},
    )
    return question.id


def has_call(hub: Hub, session: Session, node: str) -> bool:
    """Tell whether there is a question that a node has not fetched."""
    return _next(hub, session, node) is not None


def call_for(hub: Hub, session: Session, node: str) -> CountCall | None:
    """Return the oldest question that a node has not fetched, and note that it has, in the caller's transaction."""
    row = _next(hub, session, node)
    if row is None:
        return None
    for answer in _answers(session, row.id, node):
        answer.handed = hub.clock.now()
    return CountCall(
        question=row.question.decode(),
        visa=row.visa.decode() if row.visa is not None else None,
        request=row.request.decode() if row.request is not None else None,
    )


def report(hub: Hub, session: Session, question: str, *, node: str, message: CountReport) -> None:
    """Keep that a node has no number for a dataset, and why.

    Raises:
        CountNotFound: if it was not asked.
    """
    row = _open(session, question, node, message.place)
    row.kind, row.k = message.word.value, message.k
    row.why = message.why.value if message.why is not None else None
    row.since, row.changes = hub.clock.now(), row.changes + 1


class CountReceiver:
    """Takes the live counts that nodes release."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def check(self, session: Session, meta: ReleaseMeta) -> None:
        """Refuse a count before its bytes are taken.

        Raises:
            CountNotFound: if this node was not asked for it.
        """
        _open(session, meta.job or "", meta.node, place_of(meta.output))

    def complete(self, session: Session, meta: ReleaseMeta, path: Path) -> None:
        """Keep the number.

        Raises:
            CountNotFound: if this node was not asked for it.
            CountAnswerRefused: if the bytes are no count.
        """
        row = _open(session, meta.job or "", meta.node, place_of(meta.output))
        try:
            row.value = count_in(path.read_bytes())
        except ValueError as err:
            raise CountAnswerRefused(
                "What the node sent as a live count is none.",
                why="It is one exact count, without a group.",
                todo="Update the older side.",
            ) from err
        row.kind, row.why, row.since = CountKind.EXACT.value, None, self._hub.clock.now()
        row.changes += 1


def is_question(session: Session, job: str | None) -> bool:
    """Tell whether an id that a release names is that of a question."""
    return job is not None and session.get(QuestionRow, job) is not None


def counts(session: Session, question: str, account: str) -> Counts:
    """Return the answers to a question of an account so far.

    Raises:
        CountNotFound: if the account has no such question.
    """
    row = session.get(QuestionRow, question)
    if row is None or row.account != account:
        raise _unknown()
    rows = session.scalars(
        select(AnswerRow).where(AnswerRow.question == question).order_by(AnswerRow.place)
    ).all()
    return Counts(
        id=question,
        created=iso(row.created),
        complete=all(each.kind not in _OPEN for each in rows),
        seen=sum(each.changes for each in rows),
        answers=tuple(
            CountAnswer(dataset=each.dataset, node=each.node, subjects=_count(each)) for each in rows
        ),
    )


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question of an account: when it was asked, and what of each dataset, in words."""

    id: str
    created: datetime
    words: str
    datasets: tuple[str, ...]


def asked(session: Session, account: str, *, limit: int) -> list[AskedQuestion]:
    """Return the questions of an account, the newest first."""
    rows = select(QuestionRow).where(QuestionRow.account == account)
    found = []
    for row in session.scalars(rows.order_by(QuestionRow.created.desc(), QuestionRow.id.desc()).limit(limit)):
        question, _ = CountQuestion.open(row.question, trusted=None)
        words = " / ".join(dict.fromkeys(in_words(each.selector) for each in question.datasets))
        found.append(AskedQuestion(row.id, row.created, words, tuple(each.iri for each in question.datasets)))
    return found


def _next(hub: Hub, session: Session, node: str) -> QuestionRow | None:
    now = hub.clock.now()
    unfetched = (
        select(QuestionRow)
        .join(AnswerRow, AnswerRow.question == QuestionRow.id)
        .where(
            AnswerRow.node == node,
            AnswerRow.kind == CountKind.WAITING.value,
            AnswerRow.why == CountReason.SITE_NOT_REACHED.value,
            or_(AnswerRow.handed.is_(None), AnswerRow.handed <= now - _HAND_AGAIN),
            QuestionRow.created > now - KEPT,
        )
        .order_by(QuestionRow.created, QuestionRow.id)
        .limit(1)
    )
    return session.scalars(unfetched).first()


def _count(row: AnswerRow) -> Count:
    kind = CountKind(row.kind)
    if kind is CountKind.EXACT:
        return Count(kind=kind, value=row.value)
    if kind is CountKind.BELOW_K:
        return Count(kind=kind, k=row.k)
    return Count(kind=kind, why=CountReason(row.why) if row.why else None, since=iso(row.since))


def _over(now: datetime) -> Select[str]:
    return select(QuestionRow.id).where(QuestionRow.created <= now - KEPT)


def _grant(
    session: Session, question: CountQuestion, grants: GrantLookup
) -> tuple[bytes | None, bytes | None]:
    if question.visa is None:
        return None, None
    found = grants(session, question.visa)
    if found is None or found.ended:
        raise _refused("The grant of the question does not hold.", "See 'fairbank grant list'.")
    visa, _ = _opened(found.visa)
    if visa.requester_key != question.requester_key:
        raise _refused("The grant of the question is another account's.", "See 'fairbank grant list'.")
    for dataset in question.datasets:
        terms = visa.terms_of(dataset.iri)
        if terms is None or not narrows(dataset.selector, terms.selector):
            raise _refused(
                f"The grant does not cover what is asked of {dataset.iri}.", "Ask for no more than it covers."
            )
    return found.visa, found.request


def _opened(visa: bytes) -> tuple[Visa, Sealed]:
    return Visa.open(visa, trusted=None)


def _node_of(hub: Hub, session: Session, iri: str, who: Account) -> str:
    place = node_of(iri, hub.base_iri)
    seen = select(DatasetRow.node).where(DatasetRow.iri == iri, visible(who))
    if place is None or session.scalar(seen) != place[0]:
        raise _refused(f"There is no dataset {iri} here to count in.", "Take addresses that a search shows.")
    return place[0]


def _answers(session: Session, question: str, node: str) -> list[AnswerRow]:
    return list(
        session.scalars(select(AnswerRow).where(AnswerRow.question == question, AnswerRow.node == node))
    )


def _open(session: Session, question: str, node: str, place: int | None) -> AnswerRow:
    row = session.get(AnswerRow, (question, place)) if place is not None else None
    if row is None or row.node != node:
        raise _unknown()
    return row


def _unknown() -> CountNotFound:
    return CountNotFound(
        "There is no such question for live counts.",
        why="It was never asked, not of this node or by this account, or longer than 30 days ago.",
        todo="Ask anew.",
    )


def _refused(what: str, todo: str) -> CountRefused:
    return CountRefused(
        what, why="A question for live counts is sealed by who asks, and asked of known datasets.", todo=todo
    )
