"""Live counts: who asks, what a site lets its node answer, and what no two counts may tell together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from tests.federated_jobs.catalogue_rows import dataset_row, iri
from tests.federated_jobs.conftest import BASE, DATASET, PASSWORD, FakeSeries

from fairbank.catalogue import accounts
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.federated_jobs.count_protocol import Counts
from fairbank.federated_jobs.hub import counts
from fairbank.federated_jobs.hub.store import QuestionRow
from fairbank.federated_jobs.node.live_counts import CountDesk, answer, asked_here
from fairbank.ontology.count_questions import CountQuestion
from fairbank.ontology.counts import Count, CountKind, CountReason
from fairbank.ontology.signed_objects import Selector, VisaDataset
from fairbank.release.errors import NodeSuspendedHere
from fairbank.release.ledger import EntryState, entries
from fairbank.release.outbox import Outbox
from fairbank.release.store import ToldCountRow
from fairbank.release.suspension import resume, suspend
from fairbank.signing import Sealed, SigningKey


@pytest.fixture
def asking(start: Any) -> Any:
    """A federation with one site whose dataset is in the catalogue."""
    fed = start()
    fed.add("east", subjects=6)
    with writing(fed.hub.engine) as session:
        session.add(dataset_row("east", fed.clock.now()))
    return fed


def policy(fed: Any, word: str, **settings: Any) -> None:
    site = fed.sites["east"]
    changed = replace(site.node.settings, node_live_counts=word, **settings)
    site.node = replace(site.node, settings=changed)
    site.restart()


def ask(fed: Any, selector: Selector | None = None, *, visa: Sealed | None = None, **changes: Any) -> Any:
    key = changes.pop("key", fed.requester)
    question = CountQuestion(
        id=fed.clock.new_id(),
        requester_key=fed.requester.key_id,
        requester_account="ada",
        visa=visa.digest if visa is not None else None,
        datasets=(VisaDataset(iri=iri("east"), selector=selector or Selector()),),
        created=iso(fed.clock.now()),
    ).model_copy(update=changes)
    return fed.post("/v1/counts", question.seal(key))


def told(fed: Any, selector: Selector | None = None, **more: Any) -> Count:
    """Ask, let the node answer, and return what the requester sees."""
    asked = ask(fed, selector, **more)
    assert asked.status_code == 201, asked.text
    assert fed.sites["east"].agent.answer_counts()
    return seen(fed, asked.json()["id"]).answers[0].subjects


def seen(fed: Any, question: str) -> Counts:
    return Counts.parse(fed.get(f"/v1/counts/{question}").json())


def people(fed: Any, names: str) -> None:
    """Let exactly these subjects match from now on."""
    fed.sites["east"].index.series[DATASET] = [
        FakeSeries(f"9.{name}", f"subject-{name}", f"sha256:{ord(name):064x}", fed.folder / "none")
        for name in names
    ]


def test_a_node_answers_by_itself_where_its_site_lets_it(asking: Any) -> None:
    policy(asking, "all")
    assert told(asking) == Count.exact(6)


def test_a_number_leaves_through_the_gate_and_stands_in_the_ledger(asking: Any) -> None:
    policy(asking, "all")
    told(asking)
    node = asking.sites["east"].node
    with reading(node.engine) as session:
        (entry,) = [one for one in entries(session) if one.name == "live-count-0"]
        assert entry.state is EntryState.SENT
        assert entry.door_class.value == "count"
        assert [one.name for one in entries(session) if b"exact" in (one.body or b"")] == []


def test_below_k_is_told_without_a_number(asking: Any) -> None:
    policy(asking, "all", release_minimum_count=7)
    assert told(asking) == Count.below(7)


def test_by_default_a_question_waits_for_the_sites_people(asking: Any) -> None:
    question = ask(asking).json()["id"]
    first = seen(asking, question).answers[0].subjects
    assert (first.kind, first.why) == (CountKind.WAITING, CountReason.SITE_NOT_REACHED)
    assert asking.sites["east"].agent.answer_counts()
    waits = seen(asking, question).answers[0].subjects
    assert (waits.kind, waits.why) == (CountKind.WAITING, CountReason.SITE_DECIDES)
    assert waits.since == iso(asking.clock.now())
    site = asking.sites["east"]
    assert answer(site.node, question, "answer", by="eve", signer=None) == 1
    CountDesk(site.node, Outbox(site.node, site.client()), site.index).tell()
    assert seen(asking, question).answers[0].subjects == Count.exact(6)


def test_a_person_can_decline(asking: Any) -> None:
    question = ask(asking).json()["id"]
    site = asking.sites["east"]
    site.agent.answer_counts()
    answer(site.node, question, "decline", by="eve", signer=None)
    CountDesk(site.node, Outbox(site.node, site.client()), site.index).tell()
    declined = seen(asking, question)
    assert declined.complete
    assert declined.answers[0].subjects == Count.declined(CountReason.SITE_DECLINED, iso(asking.clock.now()))


def test_a_site_can_answer_none(asking: Any) -> None:
    policy(asking, "never")
    assert told(asking).why is CountReason.NO_LIVE_COUNTS


def test_under_a_grant_a_site_may_answer_by_itself_and_else_ask(asking: Any) -> None:
    policy(asking, "granted")
    assert told(asking, visa=asking.visa()) == Count.exact(6)
    assert told(asking).why is CountReason.SITE_DECIDES


def test_a_grant_that_the_hub_made_up_is_declined(asking: Any) -> None:
    policy(asking, "granted")
    assert told(asking, visa=asking.visa(key=SigningKey.generate())).why is CountReason.NOT_GRANTED


def test_the_hub_refuses_to_ask_for_more_than_is_granted(asking: Any) -> None:
    visa = asking.visa(selector=Selector(modality=("CT",)))
    refused = ask(asking, Selector(), visa=visa)
    assert (refused.status_code, refused.json()["code"]) == (422, "FB-JOBS-211")


def test_a_node_judges_the_selection_itself(asking: Any) -> None:
    policy(asking, "granted")
    visa = asking.visa(selector=Selector(modality=("CT",)))
    question = ask(asking, Selector(modality=("CT",)), visa=visa).json()["id"]
    wider = CountQuestion(
        id=question,
        requester_key=asking.requester.key_id,
        requester_account="ada",
        visa=visa.digest,
        datasets=(VisaDataset(iri=iri("east"), selector=Selector()),),
        created=iso(asking.clock.now()),
    )
    with writing(asking.hub.engine) as session:
        session.get_one(QuestionRow, question).question = wider.seal(asking.requester)
    asking.sites["east"].agent.answer_counts()
    assert seen(asking, question).answers[0].subjects.why is CountReason.NOT_GRANTED


@pytest.mark.parametrize(
    "change",
    [
        {"key": SigningKey.generate()},
        {"requester_account": "bob"},
        {"datasets": (VisaDataset(iri=f"{BASE}/datasets/west/other", selector=Selector()),)},
    ],
)
def test_what_is_not_the_askers_own_or_not_there_is_refused(asking: Any, change: dict[str, Any]) -> None:
    assert ask(asking, **change).status_code in (403, 422)


def test_nobody_else_reads_the_answers(asking: Any) -> None:
    question = ask(asking).json()["id"]
    with writing(asking.hub.engine) as session:
        accounts.create_account(
            session, asking.hub, name="bob", password=PASSWORD, roles=[accounts.Role.RESEARCHER]
        )
        asking.token = accounts.issue_token(session, asking.hub, name="bob", hours=1).token
    assert asking.get(f"/v1/counts/{question}").status_code == 404


def test_two_counts_never_differ_by_few(asking: Any) -> None:
    policy(asking, "all", release_minimum_count=3)
    people(asking, "abcdef")
    assert told(asking) == Count.exact(6)
    people(asking, "abcde")
    assert told(asking, Selector(modality=("CT",))) == Count.below(3)
    people(asking, "abc")
    assert told(asking, Selector(modality=("MR",))) == Count.exact(3)


def test_the_same_question_has_the_same_answer_while_few_have_changed(asking: Any) -> None:
    policy(asking, "all", release_minimum_count=3)
    people(asking, "abcdef")
    assert told(asking) == Count.exact(6)
    people(asking, "abcdefg")
    assert told(asking) == Count.exact(6)
    people(asking, "abcdefghi")
    assert told(asking) == Count.exact(9)


def test_a_month_has_an_end_of_counts(asking: Any) -> None:
    policy(asking, "all", node_live_counts_a_month=1)
    assert told(asking) == Count.exact(6)
    assert told(asking) == Count.exact(6)
    people(asking, "abcd")
    assert told(asking, Selector(modality=("CT",))).why is CountReason.TOO_MANY_COUNTS


def test_counts_are_rounded_as_the_site_rounds(asking: Any) -> None:
    policy(asking, "all", release_minimum_count=3, release_rounding_base=5)
    assert told(asking) == Count.exact(5)


def test_a_killed_node_tells_once(asking: Any) -> None:
    policy(asking, "all")
    question = ask(asking).json()["id"]
    site = asking.sites["east"]
    with writing(asking.hub.engine) as session:
        call = counts.call_for(asking.hub, session, "east")
    assert call is not None
    desk = CountDesk(site.node, Outbox(site.node, site.client()), site.index)
    desk.take(call)
    # Killed here: what was fetched is on disk, and the next process tells it.
    site.restart().answer_counts()
    assert seen(asking, question).answers[0].subjects == Count.exact(6)
    desk.take(call)
    desk.tell()
    with reading(site.node.engine) as session:
        assert len(session.scalars(select(ToldCountRow)).all()) == 1
    assert [row.kind for row in asked_here(site.node)] == ["told"]


def test_a_node_paused_while_a_question_comes_tells_nothing_until_it_goes_on(asking: Any) -> None:
    policy(asking, "all")
    question = ask(asking).json()["id"]
    site = asking.sites["east"]
    with writing(asking.hub.engine) as session:
        call = counts.call_for(asking.hub, session, "east")
    assert call is not None
    desk = CountDesk(site.node, Outbox(site.node, site.client()), site.index)
    desk.take(call)
    suspend(site.node, by="curator")
    with pytest.raises(NodeSuspendedHere):
        desk.tell()
    assert [row.kind for row in asked_here(site.node)] == ["ready"]
    resume(site.node, by="curator")
    desk.tell()
    assert seen(asking, question).answers[0].subjects == Count.exact(6)


def test_a_hub_that_is_told_twice_keeps_one_answer(asking: Any) -> None:
    question = ask(asking).json()["id"]
    site = asking.sites["east"]
    site.agent.answer_counts()
    before = seen(asking, question).seen
    assert not site.agent.answer_counts()
    assert seen(asking, question).seen == before
