from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from fairbank.clock import FixedClock
from fairbank.errors import RemoteError
from fairbank.release.errors import BadAnswer, DownloadDamaged, HubUnreachable, KeyNotEnrolled, NodeClockOff
from fairbank.release.hub_client import HubClient, Retries, check_way
from fairbank.release.node import Node, enrol
from fairbank.settings import SettingsError
from fairbank.signing import SigningKey

CONTENT = bytes(range(256)) * 1000
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def client(node: Node, connect: Callable[[Node], HubClient]) -> HubClient:
    return connect(node)


def test_a_request_is_signed_anew_each_time_it_is_tried(client: HubClient, hub) -> None:
    hub.faults = [hub.status(503), hub.status(502)]
    assert client.get("/v1/thing", page=2) == {"ok": True}
    signatures = {request.headers["Signature"] for request in hub.requests}
    assert len(signatures) == 3


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_overloaded_hub_is_tried_again(client: HubClient, hub, status: int) -> None:
    hub.faults = [hub.status(status)]
    assert client.get("/v1/thing") == {"ok": True}


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_a_refusal_is_final(client: HubClient, hub, status: int) -> None:
    hub.faults = [lambda _: hub.problem(status, "FB-CAT-001", "No.")]
    with pytest.raises(RemoteError, match="No") as refused:
        client.get("/v1/thing")
    assert (refused.value.status, refused.value.remote_code) == (status, "FB-CAT-001")
    assert len(hub.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_hub_in_trouble_has_refused_nothing_even_if_it_says_why(
    client: HubClient, hub, status: int
) -> None:
    hub.faults = [lambda _: hub.problem(status, "FB-WEB-003", "The hub failed unexpectedly.")] * 4
    with pytest.raises(HubUnreachable, match=f"{status} FB-WEB-003"):
        client.get("/v1/thing")
    assert len(hub.requests) == 4


def test_an_unreachable_hub_is_named_after_all_tries(client: HubClient, hub, pauses: list[float]) -> None:
    hub.faults = [hub.refuse_connection] * 9
    with pytest.raises(HubUnreachable, match=r"http://hub\.test does not answer") as failed:
        client.get("/v1/thing")
    assert failed.value.code == "FB-REL-010"
    assert (len(hub.requests), len(pauses)) == (4, 3)


def test_a_request_that_may_have_arrived_is_not_repeated_when_asked_for_once(client: HubClient, hub) -> None:
    hub.faults = [hub.lose_answer]
    with pytest.raises(HubUnreachable):
        client.deliver("PUT", "/v1/thing", body=b"{}", content_type="application/json", once=True)
    assert len(hub.bodies) == 1


def test_a_request_that_never_left_is_repeated_even_then(client: HubClient, hub) -> None:
    hub.faults = [hub.refuse_connection]
    client.deliver("PUT", "/v1/thing", body=b"{}", content_type="application/json", once=True)
    assert len(hub.bodies) == 1


def test_plain_http_to_another_machine_is_refused_unless_it_is_allowed(node: Node) -> None:
    strict = replace(node.settings, hub_allow_plain_http="no")
    with pytest.raises(SettingsError, match="no TLS"):
        HubClient.of(replace(node, settings=strict))
    with pytest.raises(SettingsError, match="no TLS"):
        enrol(replace(node, settings=strict), hub_url="HTTP://hub.test", token="t")
    HubClient.of(node).close()
    for url in (
        "http://127.0.0.1:8470",
        "http://localhost:8470",
        "http://[::1]:8470",
        "https://hub.example.org",
    ):
        check_way(url, strict)


def test_waits_double_up_to_a_bound() -> None:
    retries = Retries(first_s=0.5, longest_s=3.0)
    assert [retries.wait_s(tried, 1.0) for tried in (1, 2, 3, 4, 9)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert retries.wait_s(3, 0.25) == 0.5


def test_a_hub_that_says_how_long_to_wait_is_heard(client: HubClient, hub, pauses: list[float]) -> None:
    hub.faults = [hub.status(429, Retry_After="7"), hub.status(503, Retry_After="9999")]
    client.get("/v1/thing")
    first, second = pauses
    # Never before, at most half as much again, and not for as long as a hub that is out of its mind may ask.
    assert 7.0 <= first <= 10.5
    assert 30.0 <= second <= 45.0


def test_a_clock_that_is_off_is_named(node: Node, hub, clock: FixedClock, connect) -> None:
    behind = FixedClock(clock.now())
    behind.advance(-3600)
    late = Node(node.settings, node.engine, behind, node.key, node.name, node.enrolment)
    with pytest.raises(NodeClockOff, match="clocks differ") as refused:
        connect(late).get("/v1/thing")
    assert refused.value.code == "FB-REL-011"
    assert "NTP" in refused.value.todo


def test_a_key_that_did_not_enrol_is_named(node: Node, connect) -> None:
    stranger = SigningKey.generate()
    other = Node(node.settings, node.engine, node.clock, stranger, node.name, node.enrolment)
    with pytest.raises(KeyNotEnrolled) as refused:
        connect(other).get("/v1/thing")
    assert stranger.public.fingerprint in refused.value.what


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>proxy</html>"),
        httpx.Response(200, json=[1]),
        httpx.Response(418, text="tea"),
    ],
)
def test_something_that_is_no_hub_is_said_to_be_none(client: HubClient, hub, answer: httpx.Response) -> None:
    hub.faults = [lambda _: answer]
    with pytest.raises(BadAnswer):
        client.get("/v1/thing")


def test_a_download_appears_whole_and_checked(client: HubClient, hub, tmp_path: Path) -> None:
    hub.blobs[DIGEST] = CONTENT
    to = client.download(DIGEST, tmp_path / "model")
    assert to.read_bytes() == CONTENT
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["model"]


class Breaking(httpx.SyncByteStream):
    def __iter__(self):
        yield CONTENT[:1000]
        raise httpx.ReadError("reset")


def test_a_download_goes_on_where_it_broke(client: HubClient, hub, tmp_path: Path) -> None:
    hub.blobs[DIGEST] = CONTENT
    hub.faults = [lambda _: httpx.Response(200, stream=Breaking())]
    assert client.download(DIGEST, tmp_path / "model").read_bytes() == CONTENT
    assert hub.requests[1].headers["Range"] == "bytes=1000-"


def test_a_download_that_was_killed_goes_on_with_what_is_there(
    client: HubClient, hub, tmp_path: Path
) -> None:
    hub.blobs[DIGEST] = CONTENT
    (tmp_path / "model.part").write_bytes(CONTENT[:5000])
    assert client.download(DIGEST, tmp_path / "model").read_bytes() == CONTENT
    assert hub.requests[0].headers["Range"] == "bytes=5000-"


def test_a_damaged_download_is_thrown_away(client: HubClient, hub, tmp_path: Path) -> None:
    hub.blobs[DIGEST] = CONTENT[:-1] + b"x"
    with pytest.raises(DownloadDamaged):
        client.download(DIGEST, tmp_path / "model")
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


def test_a_download_gives_up_when_nothing_more_comes(client: HubClient, hub, tmp_path: Path) -> None:
    hub.faults = [hub.refuse_connection] * 9
    with pytest.raises(HubUnreachable):
        client.download(DIGEST, tmp_path / "model")
    assert len(hub.requests) == 4


# -- answers without an end ---------------------------------------------------------------------------------------


def test_an_answer_that_never_ends_is_given_up(
    client: HubClient, hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairbank.release.hub_client._LONGEST_ANSWER", 1 << 20)
    given = [0]

    def endless() -> Iterator[bytes]:
        while True:
            given[0] += 1
            yield b" " * 65_536

    hub.faults = [lambda _: httpx.Response(200, content=endless())]
    with pytest.raises(BadAnswer):
        client.get("/v1/thing")
    assert given[0] < 20


def test_a_small_answer_that_unpacks_to_a_large_one_is_given_up(
    client: HubClient, hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairbank.release.hub_client._LONGEST_ANSWER", 1 << 20)
    packed = gzip.compress(b'{"a": "' + b"a" * (4 << 20) + b'"}')
    hub.faults = [lambda _: httpx.Response(200, content=packed, headers={"Content-Encoding": "gzip"})]
    with pytest.raises(BadAnswer):
        client.get("/v1/thing")


def test_a_packed_answer_is_read(client: HubClient, hub) -> None:
    packed = gzip.compress(b'{"a": 1}')
    hub.faults = [lambda _: httpx.Response(200, content=packed, headers={"Content-Encoding": "gzip"})]
    assert client.get("/v1/thing") == {"a": 1}


def test_a_file_longer_than_any_of_its_kind_is_given_up_and_not_kept(
    client: HubClient, hub, tmp_path: Path
) -> None:
    hub.blobs[DIGEST] = CONTENT
    with pytest.raises(DownloadDamaged, match="longer than"):
        client.download(DIGEST, tmp_path / "file", maximum_bytes=len(CONTENT) - 1)
    assert list(tmp_path.glob("file*")) == []
    assert client.download(DIGEST, tmp_path / "file", maximum_bytes=len(CONTENT)).read_bytes() == CONTENT
