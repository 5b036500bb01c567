"""Key files and master keys: made private, never overwritten, never shown."""

from __future__ import annotations

import base64
import dataclasses
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.conftest import Ran

from fairbank.audit import NodeAudit
from fairbank.clock import FixedClock
from fairbank.database import reading
from fairbank.deid.errors import KeyFileThere, NoIdentityStore, UnsafeIdentityStore
from fairbank.deid.identity import IdentityStore
from fairbank.deid.key_file import KeyFile
from fairbank.deid.pseudonyms import subject_value
from fairbank.harvest.consents import identity_of
from fairbank.release.node import Node, init_node
from fairbank.settings import Settings

ADA = subject_value("PAT-4711")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return init_node(dataclasses.replace(Settings(), home=tmp_path / "home"), FixedClock(), name="east")


def test_a_new_key_is_private_and_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "thorax.key"
    key = KeyFile.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    with pytest.raises(KeyFileThere):
        KeyFile.create(path)
    assert path.read_bytes() == content
    assert KeyFile.read(path).subject("lung", ADA) == key.subject("lung", ADA)
    assert KeyFile.create(tmp_path / "other.key").key_id != key.key_id


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
def test_a_key_that_others_can_read_or_write_is_refused(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "thorax.key"
    KeyFile.create(path)
    path.chmod(mode)
    with pytest.raises(UnsafeIdentityStore):
        KeyFile.read(path)


def test_a_missing_or_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoIdentityStore):
        KeyFile.read(tmp_path / "none.key")
    short = tmp_path / "short.key"
    short.write_bytes(b"0123456789")
    short.chmod(0o600)
    with pytest.raises(NoIdentityStore):
        KeyFile.read(short)


def test_no_key_shows_in_a_repr_or_an_error(tmp_path: Path, identity: IdentityStore) -> None:
    path = tmp_path / "thorax.key"
    key = KeyFile.create(path)
    subject, of_node = key.subject("lung", ADA), identity.subject("lung", ADA)
    secrets = [key.master, subject.salt, of_node.salt]
    secrets += [
        value for keys in (subject.keys, of_node.keys) for value in (keys.subject, keys.uid, keys.date)
    ]
    shown = "".join(map(repr, (key, subject, of_node, subject.keys, identity, identity.master_keys())))
    shown += "".join(map(repr, (identity.suppressions.rings(), key.suppressed, identity.foresee(ADA))))
    for secret in secrets:
        for form in (secret.hex(), repr(secret), base64.b64encode(secret).decode()):
            assert form not in shown
    assert "4711" not in shown
    path.chmod(0o644)
    with pytest.raises(UnsafeIdentityStore) as refused:
        KeyFile.read(path)
    assert path.read_text().strip() not in str(refused.value)


def test_the_id_of_a_key_names_it_and_tells_nothing(tmp_path: Path) -> None:
    key = KeyFile.create(tmp_path / "thorax.key")
    assert key.key_id == key.subject("lung", ADA).keys.key_id == KeyFile.read(tmp_path / "thorax.key").key_id
    assert key.key_id.startswith("key:") and len(key.key_id) == 20
    assert key.key_id.removeprefix("key:") not in key.master.hex()


def test_keys_are_rotated_and_listed_at_a_node(node: Node, fairbank: Callable[..., Ran]) -> None:
    with identity_of(node) as identity:
        before = identity.subject("lung", ADA)
    said = fairbank("deid", "key", "rotate").ok().err
    with identity_of(node) as identity:
        assert identity.subject("lung", ADA) == before
        assert identity.subject("lung", subject_value("PAT-4712")).keys.epoch == 2
        masters = [bytes(row[0]) for row in identity._connection.execute("SELECT key FROM master")]
        ids = [one.key_id for one in identity.master_keys()]
    listed = fairbank("deid", "key", "list", "--format", "csv").ok().out
    assert [line.split(",")[:2] for line in listed.splitlines()[1:]] == [["1", ids[0]], ["2", ids[1]]]
    assert [line.rsplit(",", 1)[1] for line in listed.splitlines()[1:]] == ["1", "1"]
    for master in masters:
        assert master.hex() not in (said + listed).lower()
    with reading(node.engine) as session:
        (entry,) = session.scalars(select(NodeAudit).where(NodeAudit.act == "key.rotate"))
    assert (entry.target, entry.detail) == (ids[1], {"epoch": 2})


def test_the_commands_make_a_key_and_keep_a_patient_out(tmp_path: Path, fairbank: Callable[..., Ran]) -> None:
    path, named = tmp_path / "thorax.key", tmp_path / "patient"
    said = fairbank("deid", "key", "new", path).ok().err
    key = KeyFile.read(path)
    assert key.key_id in said and path.read_text().strip() not in said
    fairbank("deid", "key", "new", path).refused("There is a file of that name already")
    named.write_text("PAT-4711\n")
    said = fairbank("deid", "suppressions", "add", "--key-file", path, "--patient-id-file", named).ok().err
    assert "4711" not in said
    assert KeyFile.read(path).is_forgotten(ADA)


def test_the_list_is_exported_and_imported_by_commands(
    node: Node, tmp_path: Path, fairbank: Callable[..., Ran]
) -> None:
    with identity_of(node) as identity:
        identity.forget(ADA, clock=node.clock)
    phrase, file = tmp_path / "phrase", tmp_path / "withdrawn.json"
    phrase.write_text("correct horse\n")
    fairbank("deid", "suppressions", "export", file, "--passphrase-file", phrase).ok()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    other = init_node(dataclasses.replace(Settings(), home=tmp_path / "west"), FixedClock(), name="west")
    said = fairbank(
        "deid", "suppressions", "import", file, "--passphrase-file", phrase, home=tmp_path / "west"
    )
    assert "New entries: 1" in said.ok().err
    with identity_of(other) as identity:
        assert identity.is_forgotten(ADA)
    counted = fairbank("deid", "suppressions", "show", "--format", "json", home=tmp_path / "west").ok().out
    assert '"entries": 1' in counted
    for one, act in ((node, "suppressions.export"), (other, "suppressions.import")):
        with reading(one.engine) as session:
            assert len(session.scalars(select(NodeAudit).where(NodeAudit.act == act)).all()) == 1
