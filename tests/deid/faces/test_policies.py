"""A named person decides about faces and signs it; what may not leave does not."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from fairbank.audit import NodeAudit
from fairbank.clock import FixedClock
from fairbank.database import connect, reading, writing
from fairbank.deid.errors import (
    FaceDecisionDamaged,
    FaceDecisionIncomplete,
    FacesUndecided,
    KeyNotProtected,
    SeriesMayNotLeave,
    UnknownPerson,
)
from fairbank.deid.faces.person_key import person_key
from fairbank.deid.faces.policy_store import (
    FaceDecision,
    check_may_leave,
    decide,
    decisions,
    may_leave,
    policy_for,
    policy_of,
    record_part,
    record_work,
)
from fairbank.deid.faces.stage import NO_HEAD, FaceWork
from fairbank.deid.faces.store import FacePolicyRow, FaceSeriesRow
from fairbank.deid.policies import FacePolicy
from fairbank.deid.store import delete_subject
from fairbank.migrations import upgrade
from fairbank.signing import KeyFileError, SigningKey

CLOCK = FixedClock()
KEY = SigningKey.generate()


@pytest.fixture
def engine(tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'node.db'}")
    upgrade(engine, "node")
    yield engine
    engine.dispose()


def decided(engine, policy: FacePolicy, *, project: str = "neuro", key: SigningKey = KEY) -> None:
    with writing(engine) as session:
        decide(session, FaceDecision(project, policy, "vote 17", "Ada Lovelace"), key=key, clock=CLOCK)


def policy(engine, **how) -> FacePolicy:
    with reading(engine) as session:
        return policy_of(session, "neuro", **how)


def test_heads_are_held_where_nobody_has_decided(engine):
    decided(engine, FacePolicy.IN_SITU, project="other")
    assert policy(engine) is FacePolicy.HOLD


def test_the_last_decision_counts(engine):
    decided(engine, FacePolicy.IN_SITU)
    assert policy(engine) is FacePolicy.IN_SITU
    decided(engine, FacePolicy.DEFACE)
    assert policy(engine) is FacePolicy.DEFACE
    with reading(engine) as session:
        assert [(row.number, row.policy) for row in decisions(session)] == [(1, "in-situ"), (2, "deface")]


def test_a_decision_is_in_the_audit_log(engine):
    decided(engine, FacePolicy.IN_SITU)
    with reading(engine) as session:
        entry = session.scalars(select(NodeAudit)).one()
    assert (entry.act, entry.target, entry.actor) == ("faces.decide", "neuro", KEY.key_id)
    assert entry.detail == {"policy": "in-situ", "number": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"policy": "in-situ"},
        {"reason": "none"},
        {"decided_by": "Nobody"},
        {"project": "thorax"},
        {"number": 7},
        {"key_id": SigningKey.generate().key_id},
        {"envelope": b"{}"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_row_that_was_changed_counts_for_nothing(engine, change):
    decided(engine, FacePolicy.DEFACE)
    with writing(engine) as session:
        session.execute(update(FacePolicyRow).values(**change))
    with reading(engine) as session, pytest.raises(FaceDecisionDamaged):
        policy_of(session, change.get("project", "neuro"))


def test_a_key_that_does_not_count_any_more_decides_nothing(engine):
    decided(engine, FacePolicy.DEFACE)
    assert policy(engine, trusted={KEY.key_id}) is FacePolicy.DEFACE
    with pytest.raises(FaceDecisionDamaged):
        policy(engine, trusted={SigningKey.generate().key_id})


@pytest.mark.parametrize("decision", list(FacePolicy))
@pytest.mark.parametrize("asked", [None, *FacePolicy])
def test_a_run_may_ask_for_less_than_was_decided_only(engine, decision, asked):
    decided(engine, decision)
    with reading(engine) as session:
        if asked is FacePolicy.IN_SITU and decision is not FacePolicy.IN_SITU:
            with pytest.raises(FacesUndecided):
                policy_for(session, "neuro", asked)
        else:
            assert policy_for(session, "neuro", asked) is (asked or decision)


@pytest.mark.parametrize(("reason", "by"), [(" ", "Ada"), ("vote", "")])
def test_reason_and_name_are_needed(engine, reason, by):
    with writing(engine) as session, pytest.raises(FaceDecisionIncomplete):
        decide(session, FaceDecision("neuro", FacePolicy.IN_SITU, reason, by), key=KEY, clock=CLOCK)


@pytest.mark.parametrize(
    ("work", "leaves"),
    [
        (NO_HEAD, True),
        (FaceWork(head=True, defaced=True), True),
        (FaceWork(head=True, in_situ=True), False),
        (FaceWork(head=True), False),
        (None, False),
    ],
)
def test_what_may_leave(engine, work, leaves):
    with writing(engine) as session:
        if work is not None:
            record_work(session, "neuro", "2.25.2", work, subject="A2", clock=CLOCK)
    with reading(engine) as session:
        assert may_leave(session, "neuro", "2.25.2") is leaves
        assert not may_leave(session, "other", "2.25.2")
        if not leaves:
            with pytest.raises(SeriesMayNotLeave):
                check_may_leave(session, "neuro", "2.25.2")


def test_a_withdrawn_subject_leaves_no_row(engine):
    with writing(engine) as session:
        record_work(session, "neuro", "2.25.2", NO_HEAD, subject="A2", clock=CLOCK)
        record_work(session, "neuro", "2.25.3", NO_HEAD, subject="B3", clock=CLOCK)
        delete_subject(session, "neuro", "A2")
    with reading(engine) as session:
        assert [may_leave(session, "neuro", uid) for uid in ("2.25.2", "2.25.3")] == [False, True]


def test_a_persons_key_lies_under_a_passphrase(tmp_path):
    SigningKey.generate().save(tmp_path / "open.pem")
    KEY.save(tmp_path / "ada.pem", passphrase="long enough")
    with pytest.raises(KeyNotProtected):
        person_key(tmp_path / "open.pem", lambda: "unasked")
    assert person_key(tmp_path / "ada.pem", lambda: "long enough").key_id == KEY.key_id
    with pytest.raises(KeyFileError):
        person_key(tmp_path / "ada.pem", lambda: "wrong")


def test_a_part_without_a_face_makes_the_series_one_that_nobody_has_looked_at(engine):
    shown, parts = FaceWork(head=True, in_situ=True), NO_HEAD
    with writing(engine) as session:
        record_work(session, "neuro", "2.25.2", NO_HEAD, subject="A2", clock=CLOCK)
        record_work(session, "neuro", "2.25.3", shown, subject="A2", clock=CLOCK)
        for uid in ("2.25.2", "2.25.3", "2.25.4"):
            record_part(session, "neuro", uid, parts, subject="A2", clock=CLOCK)
        record_part(session, "neuro", "2.25.5", shown, subject="A2", clock=CLOCK)
    with reading(engine) as session:
        known = {uid: session.get(FaceSeriesRow, ("neuro", f"2.25.{uid}")) for uid in (2, 3, 4, 5)}
    assert known[2] is None and known[4] is None
    assert known[3].in_situ and known[5].in_situ


def test_only_keys_of_named_persons_decide_where_persons_are_named(engine):
    nobodys = frozenset({SigningKey.generate().key_id})
    with writing(engine) as session, pytest.raises(UnknownPerson):
        decide(
            session,
            FaceDecision("neuro", FacePolicy.IN_SITU, "vote 17", "Ada"),
            key=KEY,
            clock=CLOCK,
            trusted=nobodys,
        )
    assert policy(engine) is FacePolicy.HOLD
    decided(engine, FacePolicy.IN_SITU)
    with reading(engine) as session:
        assert policy_for(session, "neuro", trusted={KEY.key_id}) is FacePolicy.IN_SITU
        with pytest.raises(FaceDecisionDamaged):
            policy_for(session, "neuro", FacePolicy.HOLD, trusted=nobodys)


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (NO_HEAD, NO_HEAD, NO_HEAD),
        (
            FaceWork(head=True, defaced=True, brain_kept=0.999),
            NO_HEAD,
            FaceWork(True, True, brain_kept=0.999),
        ),
        (FaceWork(True, True), FaceWork(True), FaceWork(True)),
        (FaceWork(True, True), FaceWork(True, in_situ=True), FaceWork(True, in_situ=True)),
        (NO_HEAD, FaceWork(group="face|CT"), FaceWork(group="face|CT")),
    ],
)
def test_of_two_parts_the_worse_is_true(one, other, together):
    assert one.merged(other) == other.merged(one) == together
    assert together.shows_face is (one.shows_face or other.shows_face)
