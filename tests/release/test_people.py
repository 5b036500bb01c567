"""People of a node: who is brought in by whom, who may sign, and what a changed row is worth."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from fairbank import audit
from fairbank.clock import FixedClock
from fairbank.database import reading, writing
from fairbank.ontology.person_objects import PersonEntry, PersonRole
from fairbank.release.errors import (
    DecisionUntrusted,
    NoSuchPerson,
    PeopleDamaged,
    PersonLocked,
    PersonNeeded,
    PersonRefused,
    PersonRetired,
    RoleMissing,
)
from fairbank.release.node import Node, init_node
from fairbank.release.people import (
    Signer,
    add_person,
    change_passphrase,
    find,
    key_path,
    people,
    retire,
    unlock,
)
from fairbank.release.person_decisions import Act, decide, second_person, verify
from fairbank.release.store import DecisionRow, PersonRow
from fairbank.settings import Settings
from fairbank.signing import KeyFileError, SigningKey

PHRASE, OTHER_PHRASE = "correct horse", "battery staple"
DETAIL = {"manifest": "sha256:" + "0" * 64}


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return init_node(Settings(home=tmp_path / "node"), FixedClock(), name="east")


@pytest.fixture
def ada(node: Node) -> Signer:
    add_person(node, "ada", PHRASE)
    return unlock(node, "ada", PHRASE)


@pytest.fixture
def ben(node: Node, ada: Signer) -> Signer:
    add_person(node, "ben", OTHER_PHRASE, by=ada)
    return unlock(node, "ben", OTHER_PHRASE)


def signed(
    node: Node, signer: Signer | None, act: Act = Act.JOB_APPROVE, target: str = "job-1"
) -> str | None:
    with writing(node.engine) as session:
        return decide(session, node, act, target, DETAIL, signer=signer)


def listed(node: Node) -> dict[str, str]:
    with reading(node.engine) as session:
        return {one.name: one.brought_in_by for one in people(session, node)}


def test_before_anybody_is_named_a_decision_needs_no_signature(node: Node) -> None:
    assert signed(node, None) is None


def test_from_the_first_person_on_a_decision_needs_a_signature(node: Node, ada: Signer) -> None:
    with pytest.raises(PersonNeeded):
        signed(node, None)
    assert signed(node, ada)


def test_the_first_person_is_brought_in_by_the_node_and_the_next_by_a_person(
    node: Node, ada: Signer, ben: Signer
) -> None:
    assert listed(node) == {"ada": "the node", "ben": "ada"}


def test_nobody_comes_in_by_the_node_s_key_once_there_is_a_person(node: Node, ada: Signer) -> None:
    with pytest.raises(PersonNeeded):
        add_person(node, "mallory", PHRASE)
    assert "mallory" not in listed(node)


def test_a_recovery_is_possible_and_stands_in_the_log(node: Node, ada: Signer) -> None:
    add_person(node, "carla", PHRASE, recover=True)
    assert listed(node)["carla"] == "the node"
    with reading(node.engine) as session:
        details = session.scalars(
            select(audit.NodeAudit.detail).where(audit.NodeAudit.act == "person.add")
        ).all()
    assert [detail["recovered"] for detail in details] == [False, True]


def test_a_person_s_key_lies_under_the_passphrase_in_a_private_file(node: Node, ada: Signer) -> None:
    path = key_path(node, "ada")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(KeyFileError):
        SigningKey.load(path)


@pytest.mark.parametrize("phrase", ["", "wrong", PHRASE.upper()])
def test_a_wrong_passphrase_opens_nothing(node: Node, ada: Signer, phrase: str) -> None:
    with pytest.raises(PersonLocked):
        unlock(node, "ada", phrase)


def test_a_passphrase_can_be_changed_and_the_key_stays(node: Node, ada: Signer) -> None:
    change_passphrase(node, "ada", old=PHRASE, new=OTHER_PHRASE)
    assert unlock(node, "ada", OTHER_PHRASE).key.key_id == ada.key.key_id
    with pytest.raises(PersonLocked):
        unlock(node, "ada", PHRASE)


def test_a_passphrase_is_changed_only_by_who_knows_the_old_one(node: Node, ada: Signer) -> None:
    with pytest.raises(PersonLocked):
        change_passphrase(node, "ada", old="not this one", new=OTHER_PHRASE)
    assert unlock(node, "ada", PHRASE)


def test_another_key_file_under_the_same_name_is_not_the_person(node: Node, ada: Signer) -> None:
    path = key_path(node, "ada")
    path.unlink()
    SigningKey.generate().save(path, passphrase=PHRASE)
    with pytest.raises(PersonLocked):
        unlock(node, "ada", PHRASE)


@pytest.mark.parametrize("name", ["", "a", "1ada", "../ada", "ada b", "a/b", "x" * 65])
def test_a_name_that_could_be_a_path_is_refused(node: Node, name: str) -> None:
    with pytest.raises(PersonRefused):
        add_person(node, name, PHRASE)


def test_a_short_passphrase_is_refused(node: Node) -> None:
    with pytest.raises(PersonRefused):
        add_person(node, "ada", "1234567")


@pytest.mark.parametrize("name", ["ada", "ADA"])
def test_a_name_stands_for_one_person_for_good(node: Node, ada: Signer, ben: Signer, name: str) -> None:
    retire(node, "ada", by=ben)
    with pytest.raises(PersonRefused):
        add_person(node, name, PHRASE, by=ben)


def test_who_retired_signs_nothing_more_and_what_was_signed_stays_good(
    node: Node, ada: Signer, ben: Signer
) -> None:
    before = signed(node, ada)
    node.clock.advance(1)
    retire(node, "ada", by=ben)
    with pytest.raises(PersonRetired):
        unlock(node, "ada", PHRASE)
    with pytest.raises(PersonRetired):
        signed(node, ada)
    with reading(node.engine) as session:
        verified = verify(session, node, before, Act.JOB_APPROVE, "job-1", DETAIL)
    assert (verified.person.name, verified.person.is_active) == ("ada", False)
    assert not key_path(node, "ada").exists()


def test_what_is_dated_after_the_retirement_does_not_count(node: Node, ada: Signer, ben: Signer) -> None:
    kept = Signer("ada", ada.key)
    retire(node, "ada", by=ben)
    node.clock.advance(60)
    with writing(node.engine) as session:
        # As somebody would who kept the open key, and wrote to the database by hand.
        row = _forged(node, kept, session)
        session.add(row)
        session.flush()
        with pytest.raises(DecisionUntrusted):
            verify(session, node, row.digest, Act.JOB_APPROVE, "job-1", DETAIL)


def test_the_last_person_does_not_retire(node: Node, ada: Signer) -> None:
    with pytest.raises(PersonRefused):
        retire(node, "ada", by=ada)


def test_a_person_without_the_role_does_not_decide(node: Node, ada: Signer) -> None:
    add_person(node, "dora", PHRASE, roles=[PersonRole.PRIVACY], by=ada)
    dora = unlock(node, "dora", PHRASE)
    with pytest.raises(RoleMissing):
        signed(node, dora)
    assert signed(node, dora, Act.NODE_SUSPEND, node.name)


def test_nobody_unknown_decides(node: Node, ada: Signer) -> None:
    with pytest.raises(NoSuchPerson):
        signed(node, Signer("mallory", SigningKey.generate()))
    with pytest.raises(PersonLocked):
        signed(node, Signer("ada", SigningKey.generate()))


@pytest.mark.parametrize(
    "change",
    [
        {"act": Act.JOB_REJECT},
        {"target": "job-2"},
        {"detail": {"manifest": "sha256:" + "1" * 64}},
    ],
)
def test_a_decision_is_good_for_exactly_what_was_signed(
    node: Node, ada: Signer, change: dict[str, object]
) -> None:
    digest = signed(node, ada)
    asked = {"act": Act.JOB_APPROVE, "target": "job-1", "detail": DETAIL, **change}
    with reading(node.engine) as session, pytest.raises(DecisionUntrusted):
        verify(session, node, digest, asked["act"], asked["target"], asked["detail"])  # type: ignore[arg-type]


def test_a_decision_under_a_stranger_s_key_is_refused(node: Node, ada: Signer) -> None:
    with writing(node.engine) as session:
        row = _forged(node, Signer("ada", SigningKey.generate()), session)
        session.add(row)
        session.flush()
        with pytest.raises(DecisionUntrusted):
            verify(session, node, row.digest, Act.JOB_APPROVE, "job-1", DETAIL)


def test_four_eyes_are_two_persons_and_not_one_twice(node: Node, ada: Signer, ben: Signer) -> None:
    signed(node, ada)
    with reading(node.engine) as session:
        assert second_person(session, node, Act.JOB_APPROVE, "job-1", DETAIL, signer=ben)
        assert not second_person(session, node, Act.JOB_APPROVE, "job-1", DETAIL, signer=ada)


CHANGES: dict[str, Callable[[Node], object]] = {
    "somebody is put in": lambda node: PersonRow(
        name="mallory",
        key_id=SigningKey.generate().key_id,
        entry=_entry(node, SigningKey.generate()),
        added=node.clock.now(),
    ),
    "the key is swapped": lambda node: (
        update(PersonRow).where(PersonRow.name == "ada").values(key_id=SigningKey.generate().key_id)
    ),
    "somebody is taken away": lambda node: delete(PersonRow).where(PersonRow.name == "ben"),
    "a retirement is taken back": lambda node: (
        update(PersonRow).where(PersonRow.name == "carl").values(retirement=None, retired=None)
    ),
    "everybody is taken away": lambda node: delete(PersonRow),
}


@pytest.mark.parametrize("change", CHANGES)
def test_rows_that_nobody_signed_are_noticed(node: Node, ada: Signer, ben: Signer, change: str) -> None:
    add_person(node, "carl", PHRASE, by=ada)
    retire(node, "carl", by=ben)
    with writing(node.engine) as session:
        made = CHANGES[change](node)
        if isinstance(made, PersonRow):
            session.add(made)
        else:
            session.execute(made)  # type: ignore[call-overload]
    with reading(node.engine) as session, pytest.raises(PeopleDamaged):
        people(session, node)
    with pytest.raises(PeopleDamaged):
        signed(node, None)


@given(st.lists(st.sampled_from(["ada", "ben", "carl", "dora"]), unique=True, min_size=1))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_people_are_brought_in_each_is_traced_back_to_the_node(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    made = init_node(Settings(home=tmp_path_factory.mktemp("n")), FixedClock(), name="east")
    by = None
    for name in names:
        add_person(made, name, PHRASE, by=by)
        by = unlock(made, name, PHRASE)
    assert listed(made) == dict(zip(names, ["the node", *names], strict=False))
    with reading(made.engine) as session:
        assert find(session, made, names[-1]).is_active


def _entry(node: Node, signer: SigningKey) -> bytes:
    words = PersonEntry(
        id=node.clock.new_id(),
        node=node.name,
        name="mallory",
        key=signer.key_id,
        roles=tuple(PersonRole),
        created="2026-01-01T00:00:00.000Z",
    )
    return words.seal(signer)


def _forged(node: Node, signer: Signer, session: object) -> DecisionRow:
    from fairbank.clock import iso
    from fairbank.ontology.person_objects import PersonDecision
    from fairbank.release.person_decisions import digest_of

    words = PersonDecision(
        id=node.clock.new_id(),
        person=signer.name,
        act=Act.JOB_APPROVE.value,
        target="job-1",
        detail=digest_of(DETAIL),
        node=node.name,
        created=iso(node.clock.now()),
    )
    envelope = words.seal(signer.key)
    _, sealed = PersonDecision.open(envelope, trusted=None)
    return DecisionRow(
        digest=sealed.digest,
        person=signer.name,
        act=Act.JOB_APPROVE.value,
        target="job-1",
        detail=DETAIL,
        envelope=envelope,
        at=node.clock.now(),
    )
