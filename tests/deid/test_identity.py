"""Keys, salts, pseudonyms and forgetting."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.clock import FixedClock
from fairbank.deid.errors import (
    BadProjectName,
    NoIdentityStore,
    SubjectForgotten,
    UnknownSubject,
    UnsafeIdentityStore,
)
from fairbank.deid.identity import IdentityStore
from fairbank.deid.pseudonyms import ProjectKeys, SubjectPseudonyms, subject_value
from fairbank.errors import Sensitive


def pseudonyms(
    project: str = "lung", master: bytes = b"m" * 32, salt: bytes = b"s" * 32
) -> SubjectPseudonyms:
    keys = ProjectKeys.derive(master, project=project, epoch=1, salt=b"p" * 32)
    return SubjectPseudonyms(keys, salt, subject_value("4711"))


def test_pseudonyms_depend_on_key_project_salt_and_value() -> None:
    variants = [
        pseudonyms(),
        pseudonyms(project="brain"),
        pseudonyms(master=b"n" * 32),
        pseudonyms(salt=b"t" * 32),
        SubjectPseudonyms(pseudonyms().keys, b"s" * 32, subject_value("4712")),
    ]
    assert len({one.subject for one in variants}) == len(variants)
    assert len({one.job("j1") for one in variants} | {pseudonyms().job("j2")}) == len(variants) + 1
    assert pseudonyms().subject == pseudonyms().subject
    assert len(pseudonyms().subject) * 5 >= 80


@pytest.mark.parametrize("step", ["fsync", "link"])
def test_a_node_that_is_killed_while_it_makes_its_store_makes_it_again(
    step: str, clock: FixedClock, tmp_path: Path
) -> None:
    path = tmp_path / "identity.db"
    code = (
        "import os, sys, pathlib; from fairbank.clock import SystemClock;"
        "from fairbank.deid.identity import IdentityStore;"
        f"os.{step} = lambda *_: os.kill(os.getpid(), 9);"
        "IdentityStore.create(pathlib.Path(sys.argv[1]), clock=SystemClock())"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -signal.SIGKILL
    assert not path.exists()
    made = IdentityStore.open_or_create(path, clock=clock)
    key = made.master_keys()[0].key_id
    made.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert IdentityStore(path).master_keys()[0].key_id == key


@given(st.text(alphabet="0123456789.", min_size=1, max_size=64))
def test_uids_are_legal_and_keyed(original: str) -> None:
    mapped = pseudonyms().uid(original)
    assert mapped.startswith("2.25.") and len(mapped) <= 44
    assert mapped.removeprefix("2.25.").isdigit()
    assert mapped == pseudonyms().uid(original)
    assert mapped not in (pseudonyms(project="brain").uid(original), pseudonyms().project_uid(original))


def test_uids_no_subject_owns_are_the_same_for_all_subjects() -> None:
    other = SubjectPseudonyms(pseudonyms().keys, b"t" * 32, subject_value("4712"))
    assert other.project_uid("1.2.3") == pseudonyms().project_uid("1.2.3")
    assert other.uid("1.2.3") != pseudonyms().uid("1.2.3")


def test_store_is_private_and_holds_no_identifier(tmp_path: Path, clock: FixedClock) -> None:
    store = IdentityStore.create(tmp_path / "identity.db", clock=clock)
    store.subject("lung", subject_value("PAT-4711", "CLINIC"))
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert b"PAT-4711" not in store.path.read_bytes()


def test_store_that_others_can_read_is_refused(tmp_path: Path, clock: FixedClock) -> None:
    store = IdentityStore.create(tmp_path / "identity.db", clock=clock)
    store.close()
    store.path.chmod(0o640)
    with pytest.raises(UnsafeIdentityStore):
        IdentityStore(store.path)


def test_missing_damaged_and_second_stores_are_refused(tmp_path: Path, clock: FixedClock) -> None:
    with pytest.raises(NoIdentityStore):
        IdentityStore(tmp_path / "none.db")
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"not a database at all, but long enough to be looked at" * 20)
    damaged.chmod(0o600)
    with pytest.raises(UnsafeIdentityStore):
        IdentityStore(damaged)
    IdentityStore.create(tmp_path / "identity.db", clock=clock)
    with pytest.raises(UnsafeIdentityStore):
        IdentityStore.create(tmp_path / "identity.db", clock=clock)


@pytest.mark.parametrize("name", ["", "../up", "a b", "a/b", "x" * 65, "-a"])
def test_project_names_that_are_no_folder_names_are_refused(name: str, identity: IdentityStore) -> None:
    with pytest.raises(BadProjectName):
        identity.subject(name, subject_value("1"))


def test_a_subject_is_the_same_in_every_process(identity: IdentityStore) -> None:
    first = identity.subject("lung", subject_value("4711"))
    second = IdentityStore(identity.path).subject("lung", subject_value("4711"))
    assert first == second


def test_a_new_key_leaves_known_subjects_alone(identity: IdentityStore, clock: FixedClock) -> None:
    before = identity.subject("lung", subject_value("4711"))
    assert identity.rotate(clock=clock) == 2
    assert identity.subject("lung", subject_value("4711")) == before
    assert identity.subject("lung", subject_value("4712")).keys.epoch == 2
    assert IdentityStore(identity.path).epoch == 2


def test_forgetting_erases_the_salt_from_the_file(identity: IdentityStore, clock: FixedClock) -> None:
    known = identity.subject("lung", subject_value("4711"))
    identity.keep_reference("lung", "q-000001", Sensitive("/doe.dcm", reference="#1"), subject=known.value)
    assert known.salt in identity.path.read_bytes()
    gone = identity.forget(known.value, clock=clock)
    assert [(one.project, one.pseudonym) for one in gone] == [("lung", known.subject)]
    identity.close()
    for file in identity.path.parent.glob("identity.db*"):
        content = file.read_bytes()
        assert known.salt not in content
        assert known.subject.encode() not in content
        assert b"/doe.dcm" not in content


def test_a_forgotten_subject_is_not_taken_in_again(identity: IdentityStore, clock: FixedClock) -> None:
    known = identity.subject("lung", subject_value("4711"))
    other = identity.subject("lung", subject_value("4712"))
    identity.gone(identity.leave_pseudonym("lung", known.subject, clock=clock))
    assert identity.is_forgotten(known.value)
    for project in ("lung", "brain"):
        with pytest.raises(SubjectForgotten):
            identity.subject(project, known.value)
    assert identity.subject("lung", other.value) == other
    with pytest.raises(UnknownSubject):
        identity.leave_pseudonym("lung", known.subject, clock=clock)


def test_a_subject_never_seen_can_be_barred(identity: IdentityStore, clock: FixedClock) -> None:
    assert identity.forget(subject_value("4711"), clock=clock) == []
    with pytest.raises(SubjectForgotten):
        identity.subject("lung", subject_value("4711"))


def test_references_print_as_neutral_names(identity: IdentityStore) -> None:
    identity.keep_reference("lung", "q-000001", Sensitive("/clinic/doe.dcm", reference="file #3"))
    found = identity.reference("lung", "q-000001")
    assert found is not None
    assert found.reveal() == "/clinic/doe.dcm"
    assert str(found) == "q-000001"
    assert identity.reference("lung", "q-000002") is None


def test_many_subjects_get_the_pseudonyms_that_each_alone_gets(identity: IdentityStore) -> None:
    alone = {value: identity.subject("lung", value).subject for value in ("a", "b")}
    together = identity.subjects("lung", ["b", "c", "a", "c"])
    assert {value: one.subject for value, one in together.items() if value in alone} == alone
    assert identity.subject("lung", "c").subject == together["c"].subject
    assert identity.is_known("lung", together["c"].subject)


def test_withdrawn_subjects_are_left_out_of_many(identity: IdentityStore, clock: FixedClock) -> None:
    identity.subject("lung", "a")
    identity.forget("a", clock=clock)
    assert set(identity.subjects("lung", ["a", "b"])) == {"b"}


def test_new_subjects_of_a_page_are_one_transaction(identity: IdentityStore) -> None:
    statements: list[str] = []
    identity.subjects("lung", ["known"])
    identity._connection.set_trace_callback(statements.append)
    identity.subjects("lung", [f"subject {number}" for number in range(1200)])
    assert statements.count("COMMIT") == 2
    identity.subjects("lung", ["known", "subject 7"])
    assert statements.count("COMMIT") == 2
