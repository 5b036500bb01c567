"""Signed requests: what is covered cannot be changed, what is old is refused."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha512

import pytest
from http_message_signatures import HTTPMessageSigner, algorithms
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbank.clock import FixedClock
from fairbank.http_signatures import (
    TAG,
    WINDOW_S,
    ClockOff,
    UnsignedRequest,
    _Message,
    signature_headers,
    verify_request,
)
from fairbank.signing import SigningKey, sha256_digest

URL = "https://hub.example.org/v1/nodes/north/claim?wait_s=25&seen=3"
BODY = b'{"schema":"claim/1"}'
Headers = dict[str, str]


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
def headers(key: SigningKey, clock: FixedClock) -> Headers:
    return signature_headers("POST", URL, body=BODY, key=key, clock=clock, content_type="application/json")


def test_a_signed_request_names_its_signer(headers: Headers, key: SigningKey, clock: FixedClock) -> None:
    signed = verify_request("POST", URL, headers, body=BODY, clock=clock)
    assert signed.key_id == key.key_id
    assert signed.created == clock.now()
    assert len(signed.nonce) == 32
    assert (signed.forget_after - signed.created).total_seconds() == 2 * WINDOW_S


def test_a_request_without_body_is_signed_too(key: SigningKey, clock: FixedClock) -> None:
    headers = signature_headers("GET", URL, body=b"", key=key, clock=clock)
    assert verify_request("GET", URL, headers, body=b"", clock=clock).key_id == key.key_id


def test_the_names_of_headers_may_change_case_on_the_way(headers: Headers, clock: FixedClock) -> None:
    lowered = {name.lower(): value for name, value in headers.items()}
    verify_request("POST", URL, lowered, body=BODY, clock=clock)


def test_each_request_has_a_nonce_of_its_own(key: SigningKey, clock: FixedClock) -> None:
    nonces = set()
    for _ in range(20):
        headers = signature_headers("GET", URL, body=b"", key=key, clock=clock)
        nonces.add(verify_request("GET", URL, headers, body=b"", clock=clock).nonce)
    assert len(nonces) == 20


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("PUT", URL, BODY),
        ("POST", URL.replace("north", "south"), BODY),
        ("POST", URL.replace("seen=3", "seen=4"), BODY),
        ("POST", URL.partition("?")[0], BODY),
        ("POST", URL.replace("hub.example.org", "evil.example.org"), BODY),
        ("POST", URL, BODY + b" "),
        ("POST", URL, b""),
    ],
    ids=["method", "path", "query", "no-query", "host", "body", "no-body"],
)
def test_a_request_with_a_changed_part_is_refused(
    method: str, url: str, body: bytes, headers: Headers, clock: FixedClock
) -> None:
    with pytest.raises(UnsignedRequest):
        verify_request(method, url, headers, body=body, clock=clock)


@settings(max_examples=50, deadline=None)
@given(place=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_body_is_noticed(place: int, bit: int) -> None:
    clock, key = FixedClock(), SigningKey.generate()
    headers = signature_headers("POST", URL, body=BODY, key=key, clock=clock, content_type="application/json")
    changed = BODY[:place] + bytes([BODY[place] ^ (1 << bit)]) + BODY[place + 1 :]
    with pytest.raises(UnsignedRequest):
        verify_request("POST", URL, headers, body=changed, clock=clock)


def test_a_body_cannot_be_put_into_a_request_signed_without_one(key: SigningKey, clock: FixedClock) -> None:
    headers = signature_headers("POST", URL, body=b"", key=key, clock=clock)
    with pytest.raises(UnsignedRequest):
        verify_request("POST", URL, headers, body=BODY, clock=clock)


def test_a_digest_made_to_fit_another_body_is_refused(
    headers: Headers, key: SigningKey, clock: FixedClock
) -> None:
    other = signature_headers("POST", URL, body=b"{}", key=key, clock=clock, content_type="application/json")
    with pytest.raises(UnsignedRequest):
        verify_request(
            "POST", URL, {**headers, "Content-Digest": other["Content-Digest"]}, body=b"{}", clock=clock
        )


def test_another_key_s_name_cannot_be_put_on_a_signature(
    headers: Headers, key: SigningKey, clock: FixedClock
) -> None:
    forged = headers["Signature-Input"].replace(key.key_id, SigningKey.generate().key_id)
    with pytest.raises(UnsignedRequest):
        verify_request("POST", URL, {**headers, "Signature-Input": forged}, body=BODY, clock=clock)


@pytest.mark.parametrize(
    "damage",
    [
        lambda headers: {},
        lambda headers: {name: value for name, value in headers.items() if name != "Signature"},
        lambda headers: {name: value for name, value in headers.items() if name != "Signature-Input"},
        lambda headers: {name: value for name, value in headers.items() if name != "Content-Digest"},
        lambda headers: {**headers, "Signature": "fairbank=:AAAA:"},
        lambda headers: {**headers, "Signature": "nonsense("},
        lambda headers: {**headers, "Signature-Input": "nonsense("},
        lambda headers: {**headers, "Signature-Input": "fairbank=()"},
        lambda headers: {**headers, "Signature-Input": headers["Signature-Input"].replace('"@path" ', "")},
        lambda headers: {**headers, "Signature-Input": headers["Signature-Input"].replace("created=", "made=")},
        lambda headers: {**headers, "Signature-Input": headers["Signature-Input"].replace("ed25519:", "ed25518:")},
        lambda headers: {**headers, "Signature-Input": headers["Signature-Input"].replace("fairbank-v1", "other-v1")},
        lambda headers: {**headers, "Content-Digest": "nonsense("},
        lambda headers: {**headers, "Content-Digest": "md5=:AAAA:"},
    ],
)  # fmt: skip
def test_a_request_with_damaged_signature_headers_is_refused(
    damage: Callable[[Headers], Headers], headers: Headers, clock: FixedClock
) -> None:
    with pytest.raises(UnsignedRequest):
        verify_request("POST", URL, damage(headers), body=BODY, clock=clock)


@pytest.mark.parametrize("offset_s", [WINDOW_S + 1, -WINDOW_S - 1, 3600, -3600])
def test_a_request_from_another_time_is_refused_and_the_clocks_are_named(
    offset_s: int, headers: Headers, clock: FixedClock
) -> None:
    clock.advance(offset_s)
    with pytest.raises(ClockOff) as refusal:
        verify_request("POST", URL, headers, body=BODY, clock=clock)
    assert f"{abs(offset_s)} s" in str(refusal.value)
    assert "clock" in refusal.value.todo


@pytest.mark.parametrize("offset_s", [WINDOW_S - 1, 1 - WINDOW_S])
def test_a_request_within_the_window_is_taken(offset_s: int, headers: Headers, clock: FixedClock) -> None:
    clock.advance(offset_s)
    verify_request("POST", URL, headers, body=BODY, clock=clock)


def test_a_header_that_says_what_the_body_is_cannot_be_changed_or_added() -> None:
    key, clock = SigningKey.generate(), FixedClock()
    url = "https://hub.example/v1/releases/1"
    named = {"Fairbank-Round": "1"}
    signed = signature_headers("PUT", url, body=b"x", key=key, clock=clock, headers=named)
    assert verify_request("PUT", url, signed, body=b"x", clock=clock).key_id == key.key_id
    for changed in ({"Fairbank-Round": "2"}, {"Fairbank-Class": "update"}, {"Content-Range": "bytes 0-0/1"}):
        with pytest.raises(UnsignedRequest):
            verify_request("PUT", url, {**signed, **changed}, body=b"x", clock=clock)


def test_the_digest_of_the_body_is_told_once_it_has_been_checked(headers: Headers, clock: FixedClock) -> None:
    assert verify_request("POST", URL, headers, body=BODY, clock=clock).body_digest == sha256_digest(BODY)


def test_a_digest_that_is_not_of_the_body_is_refused(key: SigningKey, clock: FixedClock) -> None:
    wrong = signature_headers(
        "POST", URL, body=BODY, key=key, clock=clock, body_digest=sha256_digest(b"other")
    )
    with pytest.raises(UnsignedRequest):
        verify_request("POST", URL, wrong, body=BODY, clock=clock)


def test_a_digest_of_another_kind_is_checked_but_not_told(key: SigningKey, clock: FixedClock) -> None:
    message = _Message(
        "POST", URL, {"Content-Digest": f"sha-512=:{b64encode(sha512(BODY).digest()).decode()}:"}
    )
    signer = HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=None)
    covered = ["@method", "@authority", "@path", "@query", "content-digest"]
    prepared = signer.prepare(
        message, key_id=key.key_id, created=clock.now(), nonce="n", label="x", tag=TAG,
        covered_component_ids=covered, use_existing_digest=True,
    )  # fmt: skip
    signer.apply(message, prepared, key.private.sign(prepared.signature_base))
    assert verify_request("POST", URL, message.headers, body=BODY, clock=clock).body_digest is None
    with pytest.raises(UnsignedRequest):
        verify_request("POST", URL, message.headers, body=BODY + b" ", clock=clock)
