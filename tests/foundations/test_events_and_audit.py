"""Events take effect once and in order; the audit log shows every later change."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from fairbank import audit, events, migrations
from fairbank.audit import GENESIS, AuditError, HubAudit, NodeAudit
from fairbank.clock import FixedClock
from fairbank.database import connect, reading, writing
from fairbank.events import HubEvent, NodeEvent
from fairbank.signing import NotCanonical


@pytest.fixture
def hub(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    migrations.upgrade(engine, "hub")
    yield engine
    engine.dispose()


def publish(engine: Engine, clock: FixedClock, *subjects: str) -> None:
    with writing(engine) as session:
        for subject in subjects:
            events.append(session, HubEvent, clock=clock, kind="dataset.published", subject=subject)


def waiting(engine: Engine, consumer: str, **options: int) -> list[str]:
    with reading(engine) as session:
        return [event.subject for event in events.pending(session, HubEvent, consumer, **options)]


# Events


def test_events_are_read_in_the_order_of_their_making(hub: Engine, clock: FixedClock) -> None:
    publish(hub, clock, "a", "b")
    publish(hub, clock, "c")
    assert waiting(hub, "rdf") == ["a", "b", "c"]
    assert waiting(hub, "rdf", limit=2) == ["a", "b"]


def test_each_consumer_remembers_its_own_place(hub: Engine, clock: FixedClock) -> None:
    publish(hub, clock, "a", "b")
    with writing(hub) as session:
        first = events.pending(session, HubEvent, "rdf")[0]
        events.taken(session, HubEvent, "rdf", first.seq)
    assert waiting(hub, "rdf") == ["b"]
    assert waiting(hub, "mail") == ["a", "b"]


def test_an_effect_that_failed_is_tried_again(hub: Engine, clock: FixedClock) -> None:
    publish(hub, clock, "a")
    with pytest.raises(RuntimeError), writing(hub) as session:
        event = events.pending(session, HubEvent, "rdf")[0]
        events.taken(session, HubEvent, "rdf", event.seq)
        raise RuntimeError("the effect failed")
    assert waiting(hub, "rdf") == ["a"]


def test_an_event_whose_cause_failed_was_never_there(hub: Engine, clock: FixedClock) -> None:
    with pytest.raises(RuntimeError), writing(hub) as session:
        events.append(session, HubEvent, clock=clock, kind="grant.revoked", subject="g")
        raise RuntimeError("the cause failed")
    assert waiting(hub, "jobs") == []


def test_a_place_never_moves_back(hub: Engine, clock: FixedClock) -> None:
    publish(hub, clock, "a", "b", "c")
    with writing(hub) as session:
        last = events.pending(session, HubEvent, "rdf")[-1].seq
        events.taken(session, HubEvent, "rdf", last)
        events.taken(session, HubEvent, "rdf", 1)
    assert waiting(hub, "rdf") == []


def test_the_number_of_a_deleted_event_is_not_used_again(hub: Engine, clock: FixedClock) -> None:
    publish(hub, clock, "a")
    with writing(hub) as session:
        used = session.scalars(select(HubEvent.seq)).one()
        session.execute(delete(HubEvent))
    publish(hub, clock, "b")
    with reading(hub) as session:
        assert session.scalars(select(HubEvent.seq)).one() > used


def test_a_node_has_events_of_its_own(database_url: str, clock: FixedClock) -> None:
    engine = connect(database_url)
    migrations.upgrade(engine, "node")
    with writing(engine) as session:
        events.append(session, NodeEvent, clock=clock, kind="subject.withdrawn", subject="x", detail={"n": 1})
    with writing(engine) as session:
        event = events.pending(session, NodeEvent, "jobs")[0]
        assert (event.kind, event.detail, event.at) == ("subject.withdrawn", {"n": 1}, clock.now())
        events.taken(session, NodeEvent, "jobs", event.seq)
    with reading(engine) as session:
        assert events.pending(session, NodeEvent, "jobs") == []
    engine.dispose()


# Audit


def write_log(engine: Engine, clock: FixedClock, entries: int = 5) -> audit.Head:
    newest = audit.Head(0, GENESIS)
    for number in range(entries):
        clock.advance(0.123456)
        with writing(engine) as session:
            newest = audit.record(
                session, HubAudit, clock=clock, actor="ann", act="request.approve", target=f"r{number}",
                detail={"number": number},
            )  # fmt: skip
    return newest


def head_of(engine: Engine) -> audit.Head:
    with reading(engine) as session:
        return audit.verify(session, HubAudit)


def test_an_empty_log_is_whole(hub: Engine) -> None:
    assert head_of(hub) == audit.Head(0, GENESIS)


def test_an_untouched_log_verifies_to_its_newest_entry(hub: Engine, clock: FixedClock) -> None:
    newest = write_log(hub, clock)
    assert newest.seq == 5
    assert head_of(hub) == newest
    with reading(hub) as session:
        assert audit.head(session, HubAudit) == newest


def unguard(engine: Engine) -> None:
    """Take away what keeps the log from being changed, as somebody with the database's password could."""
    with writing(engine) as session:
        if engine.dialect.name == "postgresql":
            session.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
            return
        for act in ("update", "delete", "insert"):
            session.execute(text(f"DROP TRIGGER audit_refuses_{act}"))


@pytest.mark.parametrize(
    "act",
    [
        update(HubAudit).where(HubAudit.seq == 3).values(actor="eve"),
        delete(HubAudit).where(HubAudit.seq == 5),
        text(
            "INSERT INTO audit SELECT seq + 9, at, actor, act, target, detail, previous, '' FROM audit WHERE seq = 1"
        ),
    ],
    ids=["change", "remove", "put-in"],
)
def test_the_database_itself_refuses_to_rewrite_the_log(hub: Engine, clock: FixedClock, act: Any) -> None:
    newest = write_log(hub, clock)
    if hub.dialect.name == "postgresql" and "INSERT" in str(act):
        # It guards changes and deletions only; what was put in is found by the chain.
        with writing(hub) as session:
            session.execute(act)
        with reading(hub) as session, pytest.raises(AuditError):
            audit.verify(session, HubAudit)
        return
    with pytest.raises(DBAPIError, match="append-only"), writing(hub) as session:
        session.execute(act)
    assert head_of(hub) == newest


@pytest.mark.parametrize(
    "change",
    [{"actor": "eve"}, {"act": "request.decline"}, {"target": "r9"}, {"detail": {"number": 9}}, {"hash": GENESIS},
     {"previous": GENESIS}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_changed_entry_is_found_and_named(
    hub: Engine, clock: FixedClock, change: dict[str, object]
) -> None:
    write_log(hub, clock)
    unguard(hub)
    with writing(hub) as session:
        session.execute(update(HubAudit).where(HubAudit.seq == 3).values(**change))
    with pytest.raises(AuditError, match="entry 3"):
        head_of(hub)


def test_a_removed_entry_is_found(hub: Engine, clock: FixedClock) -> None:
    write_log(hub, clock)
    unguard(hub)
    with writing(hub) as session:
        session.execute(delete(HubAudit).where(HubAudit.seq == 2))
    with pytest.raises(AuditError, match="entry 2"):
        head_of(hub)


def test_a_log_cut_short_has_another_head_than_the_other_side_remembers(
    hub: Engine, clock: FixedClock
) -> None:
    remembered = write_log(hub, clock)
    unguard(hub)
    with writing(hub) as session:
        session.execute(delete(HubAudit).where(HubAudit.seq == 5))
    assert head_of(hub) != remembered


def test_an_entry_is_undone_with_its_act(hub: Engine, clock: FixedClock) -> None:
    write_log(hub, clock, 1)

    def approve(session: Session) -> None:
        audit.record(session, HubAudit, clock=clock, actor="ann", act="request.approve", target="r")
        raise RuntimeError("the act failed")

    with pytest.raises(RuntimeError), writing(hub) as session:
        approve(session)
    assert head_of(hub).seq == 1


def test_several_entries_of_one_transaction_are_chained(hub: Engine, clock: FixedClock) -> None:
    with writing(hub) as session:
        for number in range(3):
            audit.record(session, HubAudit, clock=clock, actor="ann", act="a.b", target=str(number))
    assert head_of(hub).seq == 3


def test_a_float_is_not_logged_because_it_cannot_be_hashed_alike_everywhere(
    hub: Engine, clock: FixedClock
) -> None:
    with pytest.raises(NotCanonical), writing(hub) as session:
        audit.record(session, HubAudit, clock=clock, actor="a", act="a.b", target="t", detail={"x": 0.5})
    assert head_of(hub).seq == 0


def test_hub_and_node_keep_separate_logs_of_one_form(database_url: str, clock: FixedClock) -> None:
    engine = connect(database_url)
    migrations.upgrade(engine, "node")
    with writing(engine) as session:
        newest = audit.record(session, NodeAudit, clock=clock, actor="cur", act="job.approve", target="j")
    with reading(engine) as session:
        assert audit.verify(session, NodeAudit) == newest
    engine.dispose()


def test_writers_at_the_same_time_give_one_chain_and_events_in_order(hub: Engine, clock: FixedClock) -> None:
    def write(name: str) -> None:
        for _ in range(10):
            with writing(hub) as session:
                audit.record(session, HubAudit, clock=clock, actor=name, act="test.write", target="x")
                events.append(session, HubEvent, clock=clock, kind="test.written", subject=name)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write, name) for name in "abcd"]:
            done.result()
    with reading(hub) as session:
        assert audit.verify(session, HubAudit).seq == 40
    assert sorted(waiting(hub, "rdf")) == sorted("abcd" * 10)
