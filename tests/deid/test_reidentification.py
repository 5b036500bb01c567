"""Re-identification takes two named persons, shows one id once, and leaves a trace without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.conftest import Ran

from fairbank.audit import NodeAudit, verify
from fairbank.clock import FixedClock
from fairbank.database import NodeBase, connect, reading
from fairbank.deid.errors import (
    BadPerson,
    NoLink,
    OnePersonOnly,
    RequestOver,
    UnknownPerson,
    UnknownRequest,
    UnknownSubject,
)
from fairbank.deid.identity import IdentityStore
from fairbank.deid.pseudonyms import subject_value
from fairbank.deid.reidentification import (
    REQUEST_LASTS,
    Cause,
    Office,
    approve,
    ask,
    name_person,
    remove_person,
    requests,
    show,
)
from fairbank.harvest.consents import identity_of
from fairbank.release.node import init_node
from fairbank.settings import Settings
from fairbank.signing import BadEnvelope, SigningKey, open_sealed, seal

PATIENT = "PAT-4711"
VALUE = subject_value(PATIENT, "CLINIC")
ADA, BEN, CLEO = SigningKey.generate(), SigningKey.generate(), SigningKey.generate()


@pytest.fixture
def office(tmp_path: Path, identity: IdentityStore, clock: FixedClock) -> Office:
    engine = connect(f"sqlite:///{tmp_path / 'node.db'}")
    NodeBase.metadata.create_all(engine)
    found = Office(identity, engine, clock, "ed25519:node")
    name_person(found, "ada", ADA.key_id)
    name_person(found, "ben", BEN.key_id)
    return found


@pytest.fixture
def pseudonym(office: Office) -> str:
    office.identity.keep_links("lung", clock=office.clock)
    return office.identity.subject("lung", VALUE).subject


def asked(office: Office, pseudonym: str) -> str:
    return ask(office, "lung", pseudonym, Cause.RECONTACT, key=ADA).id


def test_two_persons_see_the_id_once(office: Office, pseudonym: str) -> None:
    request = asked(office, pseudonym)
    approve(office, request, key=BEN)
    found = show(office, request, key=ADA)
    assert found.reveal() == VALUE
    assert PATIENT not in str(found)
    with pytest.raises(RequestOver):
        show(office, request, key=ADA)
    assert [one.state for one in requests(office)] == ["shown"]


def test_one_person_alone_sees_nothing(office: Office, pseudonym: str) -> None:
    request = asked(office, pseudonym)
    for key in (ADA, BEN, CLEO):
        with pytest.raises(OnePersonOnly):
            show(office, request, key=key)
    with pytest.raises(OnePersonOnly):
        approve(office, request, key=ADA)
    with pytest.raises(OnePersonOnly):
        show(office, request, key=ADA)


def test_only_the_person_who_asked_sees_the_answer(office: Office, pseudonym: str) -> None:
    request = asked(office, pseudonym)
    approve(office, request, key=BEN)
    for key in (BEN, CLEO):
        with pytest.raises(OnePersonOnly):
            show(office, request, key=key)
    assert show(office, request, key=ADA).reveal() == VALUE


def test_nobody_unnamed_and_nobody_removed_may_speak(office: Office, pseudonym: str) -> None:
    with pytest.raises(UnknownPerson):
        ask(office, "lung", pseudonym, Cause.RECONTACT, key=CLEO)
    request = asked(office, pseudonym)
    with pytest.raises(UnknownPerson):
        approve(office, request, key=CLEO)
    approve(office, request, key=BEN)
    remove_person(office, "ben")
    with pytest.raises(BadEnvelope):
        show(office, request, key=ADA)
    with pytest.raises(UnknownPerson):
        remove_person(office, "ben")


def test_a_key_and_a_name_are_one_person_s_for_good(office: Office) -> None:
    for name, key in (("ada", CLEO), ("cleo", ADA), ("x", CLEO), ("a b", CLEO)):
        with pytest.raises(BadPerson):
            name_person(office, name, key.key_id)
    remove_person(office, "ben")
    with pytest.raises(BadPerson):
        name_person(office, "benjamin", BEN.key_id)


def test_a_request_expires(office: Office, pseudonym: str, clock: FixedClock) -> None:
    early, late = asked(office, pseudonym), asked(office, pseudonym)
    approve(office, early, key=BEN)
    clock.advance(REQUEST_LASTS.total_seconds())
    with pytest.raises(RequestOver):
        show(office, early, key=ADA)
    with pytest.raises(RequestOver):
        approve(office, late, key=BEN)
    # Whoever writes into the file cannot make it last longer: the signed moment counts.
    office.identity._connection.execute("UPDATE reidentification SET expires = '2099-01-01T00:00:00.000Z'")
    with pytest.raises(RequestOver):
        show(office, early, key=ADA)


def test_rows_that_somebody_wrote_by_hand_show_nothing(office: Office, pseudonym: str) -> None:
    other = office.identity.subject("lung", subject_value("PAT-9999")).subject
    request, second = asked(office, pseudonym), asked(office, pseudonym)
    approve(office, second, key=BEN)
    write = office.identity._connection.execute
    taken = write("SELECT approval FROM reidentification WHERE id = ?", (second,)).fetchone()[0]
    # The countersignature of another request.
    write("UPDATE reidentification SET approval = ? WHERE id = ?", (taken, request))
    with pytest.raises(OnePersonOnly):
        show(office, request, key=ADA)
    # Another subject under the same signatures.
    write("UPDATE reidentification SET pseudonym = ? WHERE id = ?", (other, second))
    with pytest.raises(OnePersonOnly):
        show(office, second, key=ADA)
    # A person who stands in the file and not in the log.
    write("INSERT INTO person VALUES ('cleo', ?, '', NULL)", (CLEO.key_id,))
    third = asked(office, pseudonym)
    row = office.identity.desk.asked(third)
    assert row is not None
    digest = open_sealed(row.request, "reidentification-request", trusted=None).digest
    forged = seal("reidentification-approval", {"request": digest, "by": "cleo", "created": ""}, CLEO)
    write("UPDATE reidentification SET approval = ? WHERE id = ?", (forged, third))
    with pytest.raises(OnePersonOnly):
        show(office, third, key=ADA)


def test_without_a_link_candidates_are_tried(office: Office) -> None:
    pseudonym = office.identity.subject("lung", VALUE).subject
    office.identity.subject("lung", subject_value("PAT-0001", "CLINIC"))
    others = [subject_value(f"PAT-{number:04}", "CLINIC") for number in range(5)]
    request = asked(office, pseudonym)
    with pytest.raises(OnePersonOnly):
        show(office, request, key=ADA, candidates=[*others, VALUE])
    approve(office, request, key=BEN)
    with pytest.raises(NoLink):
        show(office, request, key=ADA)
    with pytest.raises(NoLink):
        show(office, request, key=ADA, candidates=others)
    assert show(office, request, key=ADA, candidates=[*others, VALUE]).reveal() == VALUE
    # Trying takes nobody in.
    assert office.identity.find("lung", subject_value("PAT-0004", "CLINIC")) is None


def test_links_are_kept_of_known_subjects_too_and_erased_when_disabled(office: Office) -> None:
    before = office.identity.subject("lung", VALUE).subject
    office.identity.keep_links("lung", clock=office.clock)
    assert office.identity.original("lung", before) is None
    office.identity.subjects("lung", [VALUE])
    found = office.identity.original("lung", before)
    assert found is not None and found.reveal() == VALUE
    assert office.identity.drop_links("lung") == 1
    assert office.identity.original("lung", before) is None
    office.identity.subject("lung", VALUE)
    assert office.identity.original("lung", before) is None


def test_a_link_is_encrypted_and_goes_with_the_subject(office: Office, pseudonym: str) -> None:
    assert PATIENT.encode() not in office.identity.path.read_bytes()
    sealed = office.identity.links.sealed("lung", pseudonym)
    assert sealed is not None
    request = asked(office, pseudonym)
    approve(office, request, key=BEN)
    office.identity.forget(VALUE, clock=office.clock)
    with pytest.raises(RequestOver):
        show(office, request, key=ADA)
    with pytest.raises(UnknownSubject):
        office.identity.original("lung", pseudonym)
    content = office.identity.path.read_bytes()
    assert sealed not in content and pseudonym.encode() not in content
    assert [one.state for one in requests(office)] == ["subject withdrawn"]


def test_the_log_tells_each_step_and_nobody_s_id(office: Office, pseudonym: str) -> None:
    commitment = office.identity.commitment_of("lung", pseudonym)
    request = asked(office, pseudonym)
    approve(office, request, key=BEN)
    show(office, request, key=ADA)
    with reading(office.database) as session:
        verify(session, NodeAudit)
        entries = session.scalars(select(NodeAudit).order_by(NodeAudit.seq)).all()
    told = [(entry.act, entry.actor, entry.target) for entry in entries[2:]]
    assert told == [
        ("reidentification.ask", ADA.key_id, commitment),
        ("reidentification.approve", BEN.key_id, commitment),
        ("reidentification.show", ADA.key_id, commitment),
    ]
    said = json.dumps([entry.detail for entry in entries])
    assert PATIENT not in said and pseudonym not in said
    with pytest.raises(UnknownRequest):
        show(office, "none", key=ADA)


def test_the_commands_from_naming_to_showing(
    tmp_path: Path, fairbank: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = init_node(replace(Settings(), home=tmp_path / "home"), FixedClock(), name="east")
    fairbank("deid", "links", "enable", "lung").ok()
    with identity_of(node) as identity:
        pseudonym = identity.subject("lung", VALUE).subject
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse\n")
    with_phrase = ("--passphrase-file", phrase)
    for name in ("ada", "ben"):
        key_id = fairbank("deid", "person", "key", tmp_path / f"{name}.pem", *with_phrase).ok().out.strip()
        fairbank("deid", "person", "add", name, key_id).ok()
    ada, ben = (("--key", tmp_path / f"{name}.pem", *with_phrase) for name in ("ada", "ben"))
    fairbank("deid", "reidentify", "ask", "lung", pseudonym, "--reason", "because", *ada).refused(code=2)
    request = (
        fairbank("deid", "reidentify", "lung", pseudonym, "--reason", "recontact", *ada).ok().out.strip()
    )
    fairbank("deid", "reidentify", "approve", request, *ada).refused("cannot countersign")
    fairbank("deid", "reidentify", "approve", request, *ben).ok()
    # Its output is a pipe here.
    fairbank("deid", "reidentify", "show", request, *ada).refused("at a terminal only")
    monkeypatch.setattr("fairbank.cli.deid_reidentify._at_a_terminal", lambda: True)
    ran = fairbank("deid", "reidentify", "show", request, *ada).ok()
    assert ran.out == f"{PATIENT} (issuer CLINIC)\n" and PATIENT not in ran.err
    fairbank("deid", "reidentify", "show", request, *ada).refused("It was used")
    listed = fairbank("deid", "reidentify", "list", "--format", "json").ok().out
    assert json.loads(listed)[0]["state"] == "shown" and PATIENT not in listed
    people = json.loads(fairbank("deid", "person", "list", "--format", "json").ok().out)
    assert [one["name"] for one in people] == ["ada", "ben"]
