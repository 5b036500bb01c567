"""Parcels: sealed in pieces to some peers; whatever is done to one on its way, it is refused and not half opened."""

from __future__ import annotations

import json
import os

import pytest

from fairbank.federated_jobs import parcels
from fairbank.federated_jobs.parcels import Address, head_of, new_key, open_parcel, public_key, seal_parcel
from fairbank.federated_jobs.training_errors import ParcelRefused
from fairbank.ontology.parcels import LONGEST_HEAD_BYTES, ParcelHead, SealingKey, seal_bytes
from fairbank.signing import SigningKey, sha256_digest

JOB, OTHER_JOB = (f"01900000-0000-7000-8000-{number:012d}" for number in (1, 2))
ADDRESS = Address(JOB, 2, "east")
EAST, OTHER = SigningKey.generate(), SigningKey.generate()
NORTH, WEST = new_key(), new_key()
PIECE = 64


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch):
    monkeypatch.setattr(parcels, "PIECE_BYTES", PIECE)


@pytest.fixture
def plain(tmp_path):
    path = tmp_path / "plain"
    path.write_bytes(os.urandom(3 * PIECE + 5))
    return path


def sealed(plain, **changes):
    into = plain.with_name("parcel")
    given = {
        "address": ADDRESS,
        "recipients": {"north": public_key(NORTH), "west": public_key(WEST)},
        "notes": {"n_train": "12", "after_loss": "0.5"},
        "key": EAST,
        **changes,
    }
    seal_parcel(plain, into=into, **given)
    return into


def opened(parcel, **changes):
    into = parcel.with_name("opened")
    given = {
        "address": ADDRESS, "node": "north", "private": NORTH, "trusted": [EAST.key_id], **changes,
    }  # fmt: skip
    open_parcel(parcel, into=into, **given)
    return into


def fault(call) -> str:
    with pytest.raises(ParcelRefused) as caught:
        call()
    return caught.value.fault.value


def body_at(parcel) -> int:
    return 8 + int.from_bytes(parcel.read_bytes()[:8], "little")


@pytest.mark.parametrize("length", [0, 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 5])
def test_what_is_sealed_is_opened_by_each_recipient(tmp_path, length):
    plain = tmp_path / "plain"
    plain.write_bytes(os.urandom(length))
    parcel = sealed(plain)
    assert opened(parcel).read_bytes() == plain.read_bytes()
    assert opened(parcel, node="west", private=WEST).read_bytes() == plain.read_bytes()
    assert parcel.stat().st_size <= length + seal_bytes(length) + 16 * (length // PIECE + 1)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["opened", "parcel", "plain"]


def test_the_head_tells_notes_and_nothing_of_the_content(plain):
    parcel = sealed(plain)
    head = head_of(parcel, trusted=None)
    assert (head.notes, head.sender, head.round) == ({"n_train": "12", "after_loss": "0.5"}, "east", 2)
    raw, content = parcel.read_bytes(), plain.read_bytes()
    assert sha256_digest(content).encode() not in raw
    assert all(content[at : at + 8] not in raw for at in range(len(content) - 8))


def test_two_parcels_of_the_same_content_have_nothing_in_common(plain):
    first = sealed(plain).read_bytes()
    again = sealed(plain)
    at = body_at(again)
    assert first[at : at + PIECE] != again.read_bytes()[at : at + PIECE]


@pytest.mark.parametrize("place", ["first piece", "last byte", "in the middle"])
def test_a_changed_bit_is_noticed_and_nothing_is_left(plain, place):
    parcel = sealed(plain)
    raw = bytearray(parcel.read_bytes())
    at = {"first piece": body_at(parcel), "last byte": len(raw) - 1, "in the middle": len(raw) - 100}[place]
    raw[at] ^= 1
    parcel.write_bytes(raw)
    assert fault(lambda: opened(parcel)) == "damaged"
    assert not parcel.with_name("opened").exists()


def test_a_parcel_that_is_cut_off_at_a_piece_longer_or_in_another_order_is_noticed(plain):
    raw, at, step = sealed(plain).read_bytes(), None, PIECE + 16
    parcel = plain.with_name("parcel")
    at = body_at(parcel)
    pieces = [raw[at + n * step : at + (n + 1) * step] for n in range(4)]
    for changed in (pieces[:3], [*pieces, pieces[3]], [pieces[1], pieces[0], *pieces[2:]], []):
        parcel.write_bytes(raw[:at] + b"".join(changed))
        assert fault(lambda: opened(parcel)) == "damaged"
    for raw_head in (b"", b"\x00" * 8, (LONGEST_HEAD_BYTES + 1).to_bytes(8, "little"), b"PK\x03\x04" * 9):
        parcel.write_bytes(raw_head)
        assert fault(lambda: opened(parcel)) == "damaged"


@pytest.mark.parametrize(
    "asked",
    [Address(OTHER_JOB, 2, "east"), Address(JOB, 3, "east"), Address(JOB, 2, "west")],
    ids=["job", "round", "sender"],
)
def test_a_parcel_of_another_job_round_or_sender_is_refused(plain, asked):
    assert fault(lambda: opened(sealed(plain), address=asked)) == "another"


def test_a_head_that_is_signed_anew_for_another_round_does_not_open(plain):
    parcel = sealed(plain)
    raw, at = parcel.read_bytes(), body_at(parcel)
    # Whoever stole the sender's identity key has not stolen the keys of the recipients.
    head = ParcelHead.open(raw[8:at], trusted=None)[0].model_copy(update={"round": 3}).seal(EAST)
    parcel.write_bytes(len(head).to_bytes(8, "little") + head + raw[at:])
    assert fault(lambda: opened(parcel, address=Address(JOB, 3, "east"))) == "damaged"


def test_only_a_key_that_counts_as_the_senders_counts(plain):
    assert fault(lambda: opened(sealed(plain, key=OTHER))) == "untrusted"
    parcel = sealed(plain)
    at = body_at(parcel)
    envelope = json.loads(parcel.read_bytes()[8:at])
    envelope["payload"] = envelope["payload"][:-8] + "AAAAAAAA"
    head = json.dumps(envelope).encode()
    parcel.write_bytes(len(head).to_bytes(8, "little") + head + parcel.read_bytes()[at:])
    assert fault(lambda: opened(parcel)) == "untrusted"


def test_who_is_no_recipient_or_has_another_key_cannot_open_it(plain):
    parcel = sealed(plain)
    assert fault(lambda: opened(parcel, node="south", private=new_key())) == "not-for-us"
    assert fault(lambda: opened(parcel, node="north", private=WEST)) == "not-for-us"


def test_a_recipient_cannot_put_other_content_under_the_senders_head(plain, monkeypatch):
    secret = os.urandom(32)
    monkeypatch.setattr(os, "urandom", lambda count: secret[:count])
    parcel = sealed(plain)
    raw, at = parcel.read_bytes(), body_at(parcel)
    plain.write_bytes(bytes(len(plain.read_bytes())))
    # The recipient knows the content's key, and so seals what it likes as the sender would have.
    forged = sealed(plain).read_bytes()
    parcel.write_bytes(raw[:at] + forged[-(len(raw) - at) :])
    assert fault(lambda: opened(parcel)) == "damaged"


def test_the_words_that_are_told_of_a_sealing_key_give_its_envelope_again():
    said = SealingKey(
        job=JOB,
        node="east",
        key=public_key(NORTH),
        created="2026-01-01T00:00:00.000Z",
        expires="2026-02-01T00:00:00.000Z",
    )
    envelope = said.seal(EAST)
    signature = json.loads(envelope)["signatures"][0]["sig"]
    assert said.envelope_of(EAST.key_id, signature) == envelope
