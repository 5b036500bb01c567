"""Secure aggregation gives the sum, whoever falls silent when; with too few, nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.federated_jobs.secagg.parties import Party, drawn_from, run

from fairbank.federated_jobs.secagg.errors import NumbersUnfit, TooFewSites
from fairbank.federated_jobs.secagg.fixed_point import Ring
from fairbank.federated_jobs.secagg.limits import fewest_survivors, threshold
from fairbank.federated_jobs.secagg.messages import Context
from fairbank.federated_jobs.secagg.shamir import PRIME, joined, split

VECTORS = Path(__file__).with_name("vectors.json")
STEPS = ["keys", "shares", "masked", "survivors", "unmasking"]


@pytest.mark.parametrize("count", [3, 4, 5, 8])
def test_the_sum_is_that_of_the_updates_to_the_last_bit_that_counts(count: int) -> None:
    party = Party(count, length=70_001)
    found = run(party)
    assert np.abs(found - party.summed(party.names)).max() <= count / 2**21


def test_counts_travel_with_the_numbers_in_64_bits() -> None:
    party = Party(3, length=3, bits=64, bound=10_000_000.0)
    party.updates = {name: np.array([1e6 + place, -5e6, 0.25]) for place, name in enumerate(party.names)}
    assert run(party).tolist() == [3_000_003.0, -15_000_000.0, 0.75]


@settings(max_examples=25, deadline=None)
@given(data=st.data(), count=st.integers(3, 7))
def test_whoever_falls_silent_when_the_sum_is_right_or_there_is_none(data: st.DataObject, count: int) -> None:
    party = Party(count)
    silent = data.draw(st.dictionaries(st.sampled_from(party.names), st.sampled_from(STEPS), max_size=3))
    in_sum = [name for name in party.names if silent.get(name) not in ("keys", "shares", "masked")]
    signing = [name for name in in_sum if silent.get(name) != "survivors"]
    answering = [name for name in signing if silent.get(name) != "unmasking"]
    if len(in_sum) < fewest_survivors(count) or len(answering) < threshold(count):
        with pytest.raises(TooFewSites):
            run(party, silent)
        return
    assert np.abs(run(party, silent) - party.summed(in_sum)).max() <= count / 2**21


def test_two_sets_of_a_threshold_have_more_than_a_third_in_common() -> None:
    assert [threshold(n) for n in (3, 4, 5, 6, 7, 8, 10)] == [3, 3, 4, 5, 5, 6, 7]
    for n in range(3, 200):
        colluding = (n - 1) // 3
        assert 2 * threshold(n) > n + colluding


@settings(max_examples=40, deadline=None)
@given(secret=st.binary(min_size=32, max_size=32), data=st.data(), count=st.integers(1, 9))
def test_so_many_shares_open_a_secret_and_one_fewer_do_not(
    secret: bytes, data: st.DataObject, count: int
) -> None:
    least = data.draw(st.integers(1, count))
    shares = dict(enumerate(split(secret, threshold=least, count=count, draw=drawn_from("x")), 1))
    chosen = data.draw(st.permutations(sorted(shares)))
    assert joined({place: shares[place] for place in chosen[:least]}, threshold=least) == secret
    assert joined(shares, threshold=least) == secret
    assert joined({place: shares[place] for place in chosen[: least - 1]}, threshold=least) is None
    if count > least:
        broken = {**shares, chosen[0]: bytes(33)}
        assert joined(broken, threshold=least) in (None, secret if shares[chosen[0]] == bytes(33) else None)


def test_one_share_fewer_fits_every_secret() -> None:
    shares = split(bytes(32), threshold=3, count=3, draw=drawn_from("y"))
    other = (5).to_bytes(32, "big")
    # The third share that would make the secret another one exists, and is a share like any other.
    (x1, y1), (x2, y2) = ((place, int.from_bytes(shares[place - 1], "big")) for place in (1, 2))
    third = (5 * 1 - 3 * y1 + 3 * y2) % PRIME
    forged = {x1: shares[0], x2: shares[1], 3: third.to_bytes(33, "big")}
    assert joined(forged, threshold=3) == other


def test_a_masked_update_tells_nothing_and_is_new_in_each_attempt() -> None:
    party = Party(3, length=4_000, seeded=False)
    party.updates = {name: np.zeros(4_000) for name in party.names}
    seen = []
    for attempt in (1, 2):
        context = party.context(attempt=attempt)
        sites = {name: party.site(name, context) for name in party.names}
        keys = [site.advertise() for site in sites.values()]
        shares = [site.share(keys) for site in sites.values()]
        numbers = party.ring.encoded(party.updates["site-01"])
        sites["site-01"].mask(shares, numbers)
        seen.append(numbers)
    high = [(numbers >> 31).mean() for numbers in seen]
    assert all(0.45 < share < 0.55 for share in high)
    assert (seen[0] == seen[1]).mean() < 0.01


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(NumbersUnfit):
        Ring(32, 8.0, 3).encoded(np.array([0.0, bad]))


def test_a_ring_too_small_for_its_sums_is_refused() -> None:
    assert Ring(32, 682.0, 3) and Ring(32, 63.9, 32)
    for bound, sites in ((683.0, 3), (64.0, 32), (0.0, 3), (float("nan"), 3)):
        with pytest.raises(NumbersUnfit):
            Ring(32, bound, sites)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_what_is_beyond_the_bound_is_cut_off(numbers: list[float]) -> None:
    ring = Ring(32, 4.0, 3)
    given_numbers = np.array(numbers)
    found = ring.decoded(ring.encoded(given_numbers))
    assert np.abs(found - np.clip(given_numbers, -4, 4)).max() <= 2**-21


def masked_by_hand(salt: bytes, party: Party, name: str, encoded: list[int]) -> list[int]:
    """Return a masked update, worked out from the bytes that were drawn, with no code of the product but the ring's."""

    def secret(of: str, place: int) -> bytes:
        draw = drawn_from(of)
        return [draw(32) for _ in range(3)][place]

    def stream(shared: bytes, info: bytes) -> np.ndarray:
        key = HKDF(SHA256(), 32, salt=salt, info=info).derive(shared)
        drawn = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(32))
        return np.frombuffer(drawn, "<u4").astype(object)

    numbers = np.array(encoded, dtype=object) + stream(secret(name, 2), b"secagg self")
    private = X25519PrivateKey.from_private_bytes(secret(name, 1))
    for other in party.names:
        if other != name:
            public = X25519PrivateKey.from_private_bytes(secret(other, 1)).public_key().public_bytes_raw()
            shared = private.exchange(X25519PublicKey.from_public_bytes(public))
            numbers = numbers + (1 if other > name else -1) * stream(shared, b"secagg pair")
    return [int(number) % 2**32 for number in numbers]


def salt_of(context: dict[str, object]) -> bytes:
    written = json.dumps(context, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(b"fairbank secagg v1" + written).digest()


def test_what_sites_send_is_what_the_oracle_works_out() -> None:
    party = Party(4, seeded=True)
    context = party.context()
    sites = {name: party.site(name, context) for name in party.names}
    keys = [site.advertise() for site in sites.values()]
    shares = [site.share(keys) for site in sites.values()]
    for name, site in sites.items():
        numbers = party.ring.encoded(party.updates[name])
        before = numbers.tolist()
        site.mask(shares, numbers)
        assert numbers.tolist() == masked_by_hand(
            salt_of(context.model_dump(mode="json")), party, name, before
        )


def test_fixed_vectors() -> None:
    """Four sites, of which the second is lost after it shared."""
    told = json.loads(VECTORS.read_text())
    party = Party(4, seeded=True)
    assert salt_of(told["context"]).hex() == told["salt"]
    assert Context.model_validate_json(json.dumps(told["context"])).digest().hex() == told["salt"]
    for name in party.names:
        draw = drawn_from(name)
        assert [draw(32).hex() for _ in range(3)] == told["secrets"][name]
        assert party.ring.encoded(party.updates[name]).tolist() == told["encoded"][name]
        by_hand = masked_by_hand(bytes.fromhex(told["salt"]), party, name, told["encoded"][name])
        assert by_hand == told["masked"][name]
    survivors = sorted(set(party.names) - {"site-02"})
    assert np.abs(run(party, {"site-02": "masked"}) - party.summed(survivors)).max() <= 4 / 2**21
    summed = np.sum([np.array(told["encoded"][name], dtype=np.uint32) for name in survivors], axis=0)
    assert told["sum"] == summed.astype(np.uint32).tolist()
