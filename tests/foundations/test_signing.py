"""Keys, canonical JSON and envelopes: what verifies, and everything that must not."""

from __future__ import annotations

import base64
import json
import pickle
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from fairbank.signing import (
    LARGEST_INTEGER,
    BadEnvelope,
    KeyFileError,
    NotCanonical,
    PublicKey,
    SigningError,
    SigningKey,
    canonical,
    file_digest,
    open_sealed,
    payload_type,
    raw_public,
    seal,
    sha256_digest,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=6)


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate()


# Keys


def test_a_key_signs_what_its_id_verifies(key: SigningKey) -> None:
    public = PublicKey.parse(key.key_id)
    signature = key.sign(b"message")
    assert public.verify(signature, b"message")
    assert not public.verify(signature, b"another message")
    assert not PublicKey.parse(SigningKey.generate().key_id).verify(signature, b"message")


def test_a_known_key_has_the_id_and_signature_of_the_rfc() -> None:
    """RFC 8032, section 7.1, TEST 2."""
    secret = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(secret))
    assert raw_public(key.key_id) == public
    assert key.sign(b"\x72") == signature


@pytest.mark.parametrize(
    "text",
    ["", "ed25519:", "ed25519:short", "rsa:" + "A" * 43, "A" * 43, "ed25519:" + "A" * 42 + "=", "ed25519:" + "A" * 44,
     "ed25519:" + "A" * 42 + "B", "ed25519:" + "!" * 43, "ed25519:" + "é" * 43],
)  # fmt: skip
def test_text_that_is_no_key_id_is_refused(text: str) -> None:
    with pytest.raises(SigningError):
        PublicKey.parse(text)


def test_a_fingerprint_can_be_read_aloud(key: SigningKey) -> None:
    groups = key.public.fingerprint.split("-")
    assert [len(group) for group in groups] == [4, 4, 4, 4]


def test_a_saved_key_comes_back_and_only_its_owner_can_read_it(key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "node.pem"
    key.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKey.load(path).key_id == key.key_id


def test_a_locked_key_opens_with_its_passphrase_only(key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / "curator.pem"
    key.save(path, passphrase="correct horse")
    assert SigningKey.load(path, passphrase="correct horse").key_id == key.key_id
    for wrong in (None, "battery staple"):
        with pytest.raises(KeyFileError):
            SigningKey.load(path, passphrase=wrong)


def test_a_key_file_is_never_overwritten(key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / "node.pem"
    key.save(path)
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="exists already"):
        SigningKey.generate().save(path)
    assert path.read_bytes() == before


def test_a_writer_that_is_killed_leaves_no_part_of_a_key(key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / "node.pem"
    code = (
        "import os, sys, pathlib; from fairbank.signing import SigningKey;"
        "os.fsync = lambda handle: os.kill(os.getpid(), 9);"
        "SigningKey.generate().save(pathlib.Path(sys.argv[1]))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -signal.SIGKILL
    assert not path.exists()
    key.save(path)
    assert SigningKey.load(path).key_id == key.key_id


def test_a_key_that_others_can_read_is_refused(key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / "node.pem"
    key.save(path)
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="0640"):
        SigningKey.load(path)


def test_a_missing_or_foreign_key_file_is_refused_by_name_only(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError) as missing:
        SigningKey.load(tmp_path / "node.pem")
    assert str(tmp_path) not in str(missing.value)
    foreign = tmp_path / "rsa.pem"
    foreign.touch(mode=0o600)
    foreign.write_bytes(
        generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with pytest.raises(KeyFileError, match="another kind"):
        SigningKey.load(foreign)


def test_a_private_key_neither_prints_nor_pickles(key: SigningKey) -> None:
    assert repr(key) == f"SigningKey({key.key_id})"
    with pytest.raises(TypeError):
        pickle.dumps(key)


# Canonical JSON


@given(OBJECT)
def test_canonical_json_reads_back_the_same(payload: dict) -> None:  # type: ignore[type-arg]
    written = canonical(payload)
    assert json.loads(written) == payload
    assert canonical(json.loads(written)) == written


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    one, other = {"b": 1, "a": [True, None]}, {"a": [True, None], "b": 1}
    assert canonical(one) == canonical(other) == b'{"a":[true,null],"b":1}'


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        LARGEST_INTEGER + 1,
        -LARGEST_INTEGER - 1,
        b"x",
        {1: "x"},
        {"deep": [{"er": 0.5}]},
        {1, 2},
        (1,),
    ],
)
def test_what_not_every_reader_understands_is_never_signed(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical({"value": value})  # type: ignore[dict-item]


def test_the_refusal_says_where_but_not_what(key: SigningKey) -> None:
    with pytest.raises(NotCanonical) as refusal:
        seal("visa", {"a": {"b": [1, 2.718281828]}}, key)
    assert "$.a.b[1]" in str(refusal.value)
    assert "2.718" not in str(refusal.value)


# Envelopes


@given(OBJECT)
def test_a_sealed_payload_opens_with_its_exact_bytes(payload: dict) -> None:  # type: ignore[type-arg]
    key = SigningKey.generate()
    envelope = seal("visa", payload, key)
    opened = open_sealed(envelope, "visa", trusted=[key.key_id])
    assert opened.payload == payload
    assert opened.payload_bytes == canonical(payload)
    assert opened.envelope_bytes == envelope
    assert opened.signer == key.key_id
    assert opened.digest == sha256_digest(canonical(payload))


def test_an_envelope_has_the_form_of_the_standard(key: SigningKey) -> None:
    envelope = json.loads(seal("visa", {"a": 1}, key))
    assert envelope["payloadType"] == payload_type("visa")
    assert base64.b64decode(envelope["payload"]) == b'{"a":1}'
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    # DSSE v1.0.2, pre-authentication encoding.
    kind = payload_type("visa").encode()
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, 7, b'{"a":1}')
    assert key.public.verify(signature, signed)


def test_one_changed_byte_anywhere_in_the_payload_is_noticed(key: SigningKey) -> None:
    envelope = json.loads(seal("manifest", {"rounds": 3, "seed": "42"}, key))
    payload = base64.b64decode(envelope["payload"])
    for place in range(len(payload)):
        changed = payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
        forged = {**envelope, "payload": base64.b64encode(changed).decode()}
        with pytest.raises(BadEnvelope):
            open_sealed(json.dumps(forged).encode(), "manifest", trusted=[key.key_id])


def test_an_envelope_of_another_kind_is_refused(key: SigningKey) -> None:
    with pytest.raises(BadEnvelope, match="payload type"):
        open_sealed(seal("request", {"a": 1}, key), "visa", trusted=[key.key_id])


def test_relabelling_the_kind_breaks_the_signature(key: SigningKey) -> None:
    envelope = json.loads(seal("request", {"a": 1}, key))
    envelope["payloadType"] = payload_type("visa")
    with pytest.raises(BadEnvelope):
        open_sealed(json.dumps(envelope).encode(), "visa", trusted=[key.key_id])


def test_a_signature_by_a_stranger_is_refused(key: SigningKey) -> None:
    with pytest.raises(BadEnvelope, match="trusted"):
        open_sealed(seal("visa", {"a": 1}, SigningKey.generate()), "visa", trusted=[key.key_id])


def test_a_stranger_cannot_sign_in_a_trusted_name(key: SigningKey) -> None:
    envelope = json.loads(seal("visa", {"a": 1}, SigningKey.generate()))
    envelope["signatures"][0]["keyid"] = key.key_id
    for trusted in ([key.key_id], None):
        with pytest.raises(BadEnvelope):
            open_sealed(json.dumps(envelope).encode(), "visa", trusted=trusted)


def test_nobody_is_trusted_by_an_empty_list(key: SigningKey) -> None:
    with pytest.raises(BadEnvelope):
        open_sealed(seal("visa", {"a": 1}, key), "visa", trusted=[])


def test_without_a_list_the_signer_is_named_for_the_caller_to_judge(key: SigningKey) -> None:
    assert open_sealed(seal("visa", {"a": 1}, key), "visa", trusted=None).signer == key.key_id


def test_the_signer_that_is_named_is_one_that_was_verified(key: SigningKey) -> None:
    """A second, broken signature by a trusted key must not lend its name."""
    stranger = SigningKey.generate()
    envelope = json.loads(seal("visa", {"a": 1}, stranger))
    broken = {"keyid": key.key_id, "sig": base64.b64encode(bytes(64)).decode()}
    for order in ([broken, envelope["signatures"][0]], [envelope["signatures"][0], broken]):
        forged = json.dumps({**envelope, "signatures": order}).encode()
        try:
            opened = open_sealed(forged, "visa", trusted=None)
        except BadEnvelope:
            continue
        assert opened.signer == stranger.key_id


def resealed(payload: bytes, key: SigningKey) -> bytes:
    """An envelope with a right signature over any bytes."""
    kind = payload_type("visa").encode()
    signature = key.sign(b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload))
    return json.dumps(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": kind.decode(),
            "signatures": [{"keyid": key.key_id, "sig": base64.b64encode(signature).decode()}],
        }
    ).encode()


@pytest.mark.parametrize(
    "payload",
    [b'{"a": 1}', b'{"b":1,"a":2}', b'{"a":1,"a":2}', b'{"a":1.0}', b'{"a":1e3}', b'{"a":NaN}', b"[1]", b'"a"', b"",
     b"{", b"\xff", b'{"a":9007199254740993}', b"[" * 100_000, b'{"a":"\\ud800"}', b'{"\\ud800":1}',
     b'{"a":-0}', b'{"a":-Infinity}', b'{"a":"\\u0041"}', b'{"a":"\\/"}', b'{"a":"\\u001F"}', b'{"a":1}\n',
     '{"é": 1}'.encode(), '{"b":"é","a":1}'.encode(), '{"a":9007199254740993,"é":1}'.encode()],
)  # fmt: skip
def test_a_rightly_signed_payload_that_is_not_canonical_is_refused(payload: bytes, key: SigningKey) -> None:
    with pytest.raises((BadEnvelope, NotCanonical)):
        open_sealed(resealed(payload, key), "visa", trusted=[key.key_id])


ASCII = st.text(st.characters(max_codepoint=127), max_size=20)
VALUES = st.none() | st.booleans() | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | ASCII


@given(
    st.dictionaries(ASCII, VALUES | st.dictionaries(ASCII, VALUES, max_size=4) | st.lists(VALUES, max_size=4))
)
def test_payloads_of_ascii_are_opened_where_they_are_what_the_rfc_writes(
    key: SigningKey, payload: dict[str, Any]
) -> None:
    written = {
        json.dumps(payload).encode(),
        json.dumps(payload, sort_keys=True, separators=(",", ":")).encode(),
    }
    for content in written | {canonical(payload)}:
        sealed = resealed(content, key)
        if content == canonical(payload):
            assert open_sealed(sealed, "visa", trusted=[key.key_id]).payload == payload
        else:
            with pytest.raises(BadEnvelope):
                open_sealed(sealed, "visa", trusted=[key.key_id])


@given(st.binary(max_size=200))
def test_bytes_that_are_no_envelope_are_refused_and_never_crash(junk: bytes) -> None:
    with pytest.raises(SigningError):
        open_sealed(junk, "visa", trusted=None)


@pytest.mark.parametrize(
    "change",
    [{"signatures": []}, {"signatures": None}, {"signatures": "x"}, {"payload": 7}, {"payload": "!"},
     {"payloadType": None}, {"signatures": [{"keyid": "x", "sig": "AA=="}]}, {"signatures": [{}]}, {"signatures": [7]},
     {"signatures": [{"keyid": 7, "sig": "AA=="}]}],
)  # fmt: skip
@pytest.mark.parametrize("anyone", [True, False])
def test_an_envelope_with_a_part_missing_is_refused(
    change: dict[str, object], anyone: bool, key: SigningKey
) -> None:
    envelope = {**json.loads(seal("visa", {"a": 1}, key)), **change}
    with pytest.raises(SigningError):
        open_sealed(json.dumps(envelope).encode(), "visa", trusted=None if anyone else [key.key_id])


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"x" * 100_000)
    assert file_digest(path) == sha256_digest(b"x" * 100_000)
