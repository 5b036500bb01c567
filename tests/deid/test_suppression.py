"""Who withdrew stays out: after rotation, after the loss of the store, from an old file, and with a key file."""

from __future__ import annotations

import pickle
import sqlite3
import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from fairbank.clock import FixedClock, iso
from fairbank.deid.errors import BadSuppressionFile, SubjectForgotten, UnsafeIdentityStore
from fairbank.deid.identity import IdentityStore
from fairbank.deid.key_file import KeyFile
from fairbank.deid.pseudonyms import subject_value
from fairbank.deid.suppression import SUPPRESSIONS_FILE, SuppressionList

ADA, BEN = subject_value("PAT-4711"), subject_value("PAT-4712")
OLD = Path(__file__).parent / "data" / "identity_before_suppressions.sql"


def refused(identity: IdentityStore, value: str, project: str = "lung") -> bool:
    try:
        identity.subject(project, value)
    except SubjectForgotten:
        bulk = identity.subjects(project, [value])
        assert bulk == {}
        return True
    return False


def old_store(folder: Path) -> Path:
    """Return a store as the schema before the suppression list wrote it (see the commit that added the file)."""
    path = folder / "identity.db"
    connection = sqlite3.connect(path)
    connection.executescript(OLD.read_text(encoding="ascii"))
    connection.close()
    path.chmod(0o600)
    return path


def test_the_list_is_private_and_holds_no_identifier(identity: IdentityStore, clock: FixedClock) -> None:
    identity.forget(ADA, clock=clock)
    path = identity.path.with_name(SUPPRESSIONS_FILE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"4711" not in path.read_bytes()
    path.chmod(0o640)
    with pytest.raises(UnsafeIdentityStore):
        IdentityStore(identity.path)


def test_rotation_does_not_bring_back_who_withdrew(identity: IdentityStore, clock: FixedClock) -> None:
    identity.subject("lung", ADA)
    identity.forget(ADA, clock=clock)
    for _ in range(3):
        identity.rotate(clock=clock)
    assert refused(identity, ADA) and refused(identity, ADA, "brain")


def test_the_loss_of_the_store_does_not_bring_back_who_withdrew(
    identity: IdentityStore, clock: FixedClock
) -> None:
    identity.subject("lung", ADA)
    identity.forget(ADA, clock=clock)
    identity.close()
    identity.path.unlink()
    anew = IdentityStore.create(identity.path, clock=clock)
    assert refused(anew, ADA)
    assert anew.is_forgotten(ADA)
    assert not refused(anew, BEN)


def test_the_loss_of_the_list_does_not_bring_back_who_withdrew(
    identity: IdentityStore, clock: FixedClock
) -> None:
    identity.forget(ADA, clock=clock)
    identity.close()
    identity.path.with_name(SUPPRESSIONS_FILE).unlink()
    again = IdentityStore(identity.path)
    assert refused(again, ADA) and not refused(again, BEN)
    assert again.suppressions.count() == 1


def test_an_older_list_that_was_restored_is_made_whole(identity: IdentityStore, clock: FixedClock) -> None:
    path = identity.path.with_name(SUPPRESSIONS_FILE)
    older = path.read_bytes()
    identity.forget(ADA, clock=clock)
    identity.close()
    path.write_bytes(older)
    assert IdentityStore(identity.path).suppressions.has(ADA)


def test_an_exported_list_keeps_them_out_of_a_node_built_anew(
    identity: IdentityStore, clock: FixedClock, tmp_path: Path
) -> None:
    identity.forget(ADA, clock=clock)
    exported = identity.suppressions.exported("correct horse")
    assert b"4711" not in exported
    for ring in identity.suppressions.rings():
        assert ring.key.hex().encode() not in exported and ring.lookup_key.hex().encode() not in exported
    (tmp_path / "anew").mkdir()
    anew = IdentityStore.create(tmp_path / "anew" / "identity.db", clock=clock)
    with pytest.raises(BadSuppressionFile):
        anew.suppressions.take_in(exported, "wrong horse")
    with pytest.raises(BadSuppressionFile):
        anew.suppressions.take_in(exported[:-40], "correct horse")
    assert not anew.is_forgotten(ADA)
    assert [anew.suppressions.take_in(exported, "correct horse") for _ in range(2)] == [1, 0]
    assert refused(anew, ADA) and not refused(anew, BEN)


def test_an_import_stops_somebody_whom_the_node_knows(
    identity: IdentityStore, clock: FixedClock, tmp_path: Path
) -> None:
    identity.forget(ADA, clock=clock)
    (tmp_path / "other").mkdir()
    other = IdentityStore.create(tmp_path / "other" / "identity.db", clock=clock)
    known = other.subject("lung", ADA)
    other.suppressions.take_in(identity.suppressions.exported("p"), "p")
    assert refused(other, ADA)
    assert other.is_known("lung", known.subject)


def test_a_restored_backup_tells_who_is_known_although_withdrawn(
    identity: IdentityStore, clock: FixedClock
) -> None:
    known = identity.subject("lung", ADA)
    identity.subject("lung", BEN)
    backup = identity.path.read_bytes()
    identity.forget(ADA, clock=clock)
    identity.close()
    identity.path.write_bytes(backup)
    restored = IdentityStore(identity.path)
    assert refused(restored, ADA)
    assert [one.pseudonym for one in restored.returned()] == [known.subject]


def test_an_old_file_is_brought_up_to_date_in_place(tmp_path: Path) -> None:
    path = old_store(tmp_path)
    store = IdentityStore(path)
    known = store.subject("lung", subject_value("OLD-1"))
    assert (known.subject, known.shift_days) == ("3TMJWSEFFCDBEHKF", 640)
    assert known.uid("1.2.3") == "2.25.309182943096121315997156374701915074566"
    assert store.find("lung", subject_value("OLD-4")) == "5D2QC2BNPDXX7JOZ"
    assert store.consent_key(subject_value("OLD-1")).hex().startswith("5d0d624a1fe8b944")
    assert refused(store, subject_value("OLD-2")) and refused(store, subject_value("OLD-3"))
    assert [one.subjects for one in store.master_keys()] == [1, 1]
    store.close()
    path.unlink()
    anew = IdentityStore.create(path, clock=FixedClock())
    assert refused(anew, subject_value("OLD-2")) and refused(anew, subject_value("OLD-3"))
    assert not refused(anew, subject_value("OLD-1"))


def _opened(path: Path) -> int:
    return IdentityStore(path).suppressions.count()


def test_processes_that_open_an_old_file_at_once_bring_it_up_to_date_once(tmp_path: Path) -> None:
    path = old_store(tmp_path)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(_opened, [path] * 4)) == [2] * 4
    assert len(IdentityStore(path).suppressions.rings()) == 1


def test_a_file_of_a_newer_fairbank_is_refused(identity: IdentityStore) -> None:
    identity.close()
    connection = sqlite3.connect(identity.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UnsafeIdentityStore, match="newer"):
        IdentityStore(identity.path)


def test_a_key_file_has_its_own_list_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "thorax.key"
    key = KeyFile.create(path)
    before = key.subject("lung", BEN)
    now = iso(FixedClock().now())
    assert key.suppress(ADA, path, at=now).is_forgotten(ADA)
    again = KeyFile.read(path)
    # As the pool of a run hands it to its workers.
    for one in (again, pickle.loads(pickle.dumps(again))):
        assert one.is_forgotten(ADA) and not one.is_forgotten(BEN)
        with pytest.raises(SubjectForgotten):
            one.subject("lung", ADA)
        assert one.subject("lung", BEN) == before
    beside = tmp_path / "thorax.key.suppressions"
    assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    beside.chmod(0o644)
    with pytest.raises(UnsafeIdentityStore):
        KeyFile.read(path)


def test_something_else_is_no_list(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 20)
    path.chmod(0o600)
    with pytest.raises(UnsafeIdentityStore):
        SuppressionList.opened(path)
