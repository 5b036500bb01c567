"""The node's connection to the hub: signed requests, retries, resumable downloads.

The node only dials out. `deliver` is for this room alone: a body leaves through the outbox or not at all.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from fairbank.clock import Clock
from fairbank.errors import FairbankError
from fairbank.http_signatures import signature_headers
from fairbank.release.errors import (
    BadAnswer,
    DownloadDamaged,
    HubUnreachable,
    KeyNotEnrolled,
    NodeClockOff,
    NotEnrolled,
)
from fairbank.settings import Settings, SettingsError
from fairbank.signing import Digest, SigningKey, file_digest

if TYPE_CHECKING:
    import httpx

    from fairbank.release.node import Node

_RETRIED: Final = frozenset({429, 500, 502, 503, 504})
_CLOCK_OFF: Final = "FB-CORE-015"
# The hub does not know the key (catalogue), or the signature does not verify (http_signatures).
_KEY_REFUSED: Final = frozenset({"FB-CAT-012", "FB-CORE-014"})
# No answer but a file is longer; whoever answers must not be able to fill this machine's memory.
_LONGEST_ANSWER: Final = 128 << 20
# Headers that say how an answer was packed on its way.
_OF_THE_WAY: Final = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how fast a request is tried again: exponential waits with full jitter.

    Args:
        attempts: most tries of one request, the first included.
        first_s: upper bound of the first wait; each next bound is double.
        longest_s: upper bound of any wait that the hub did not ask for.
        longest_told_s: the longest that it may ask for; up to half as much is added by chance.
    """

    attempts: int = 6
    first_s: float = 0.2
    longest_s: float = 10.0
    longest_told_s: float = 30.0

    def wait_s(self, tried: int, draw: float) -> float:
        """Return the wait after `tried` failures for a draw from [0, 1)."""
        return draw * min(self.longest_s, self.first_s * 2.0 ** (tried - 1))


def on_this_machine(url: str) -> bool:
    """Tell whether an address is of the loopback: no proxy of the environment stands between then.

    >>> on_this_machine("http://127.0.0.1:8470"), on_this_machine("https://hub.example.org")
    (True, False)
    """
    return urlsplit(url).hostname in _LOOPBACK


def check_way(url: str, settings: Settings) -> None:
    """Refuse plain HTTP to a hub on another machine: tokens, updates and visas would lie open on the way.

    Raises:
        SettingsError: unless the setting `hub_allow_plain_http` says yes.
    """
    if (
        not url.lower().startswith("http://")
        or on_this_machine(url)
        or settings.hub_allow_plain_http == "yes"
    ):
        return
    raise SettingsError(
        f"The hub's address {url} has no TLS.",
        why="What travels to another machine in plain HTTP can be read and changed on the way.",
        todo="Name an https:// address; where something else protects the way, set hub_allow_plain_http to 'yes'.",
    )


class HubClient:
    """Signs every request with the node's key and tries again when the hub or the way to it fails.

    One client may be shared by threads.

    Args:
        base_url: the hub's address.
        key: the node's key.
        clock: the node's clock; signatures carry its time.
        authority: PEM file of the authority to trust for TLS; None uses the system's.
        retries: how often to try again.
        transport: another transport, for tests.
        sleep: how to wait, for tests.
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: SigningKey,
        clock: Clock,
        authority: Path | None = None,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import ssl

        import httpx

        verify: ssl.SSLContext | bool = True
        if authority is not None:
            verify = ssl.create_default_context(cafile=str(authority))
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._clock = clock
        self._retries = retries or Retries()
        self._sleep = sleep
        self._boot: str | None = None
        # Jitter spreads retries; it protects nothing, so an ordinary generator will do.
        self._jitter = random.Random(os.urandom(8))  # noqa: S311
        self._client = httpx.Client(
            verify=verify,
            transport=transport,
            timeout=httpx.Timeout(60.0, connect=10.0),
            trust_env=not on_this_machine(self.base_url),
            headers={"Accept": "application/json", "User-Agent": "fairbank-node"},
        )

    @classmethod
    def of(cls, node: Node) -> HubClient:
        """Return the client of an enrolled node.

        Raises:
            NotEnrolled: if the node has not enrolled.
        """
        if node.enrolment is None:
            raise NotEnrolled(
                "This node has not enrolled with a hub, so nothing can be sent.",
                why="Until then it works for rehearsal: what is staged waits in the outbox.",
                todo="Run 'fairbank node enrol' with the token of the hub's administrator.",
            )
        check_way(node.enrolment.hub_url, node.settings)
        authority = Path(node.settings.hub_authority) if node.settings.hub_authority else None
        return cls(node.enrolment.hub_url, key=node.key, clock=node.clock, authority=authority)

    def sign_with(self, key: SigningKey) -> None:
        """Sign with another key from now on: the node's own was replaced."""
        self._key = key

    def speak_as(self, boot: str) -> None:
        """Name an agent's start with every request from now on, so that the hub notices two that speak as one node."""
        self._boot = boot

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, *, timeout_s: float = 60.0, **parameters: str | int) -> dict[str, Any]:
        """GET a JSON object.

        Raises:
            HubUnreachable: if the hub does not answer.
            RemoteError: if it refuses.
        """
        return self.json_of(self.deliver("GET", path, parameters=parameters, timeout_s=timeout_s))

    def download(
        self, digest: str, to: Path, *, durable: bool = True, maximum_bytes: int | None = None
    ) -> Path:
        """Fetch `GET /v1/blobs/{digest}` into a file, resuming after a drop, and return the file.

        What was fetched before lies beside it as `….part`; the file itself appears only whole and checked.

        Args:
            digest: names the content.
            to: the file.
            durable: flush it to the disk; who passes False checks its digest before using a file that is there already.
            maximum_bytes: give up on a longer file, so that nobody can fill this machine's disk.

        Raises:
            DownloadDamaged: if the bytes do not have the digest.
            HubUnreachable: if the hub stops answering.
        """
        part = to.with_name(to.name + ".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        failed = 0
        while True:
            have = part.stat().st_size if part.exists() else 0
            seen = hashlib.sha256()
            problem = self._fetch_part(f"/v1/blobs/{digest}", part, have, seen, maximum_bytes)
            if problem is None:
                break
            # Progress starts the count anew: a slow, shaky line still gets there.
            failed = 1 if part.exists() and part.stat().st_size > have else failed + 1
            if failed >= self._retries.attempts:
                raise self._unreachable() from problem
            self._pause(failed)
        if (file_digest(part) if have else f"sha256:{seen.hexdigest()}") != digest:
            part.unlink()
            raise DownloadDamaged(
                f"The file {digest} came with other bytes.",
                why="The bytes do not have the digest that names them.",
                todo="Try again; if it stays so, tell the hub's administrator.",
            )
        if durable:
            with part.open("rb") as opened:
                os.fsync(opened.fileno())
        return part.replace(to)

    def deliver(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, str | int] | None = None,
        timeout_s: float = 60.0,
        once: bool = False,
        body_digest: Digest | None = None,
    ) -> httpx.Response:
        """Send one signed request and return the answer of a hub that accepted it; only this room calls it with a body.

        Args:
            once: do not try again after the request may have arrived.
            body_digest: of the body, where it is known already.

        Raises:
            HubUnreachable: if the hub does not answer, or answers only that it is overloaded or broken.
            RemoteError: if it refuses; NodeClockOff and KeyNotEnrolled where the node itself is at fault.
        """
        import httpx

        failed = 0
        while True:
            try:
                response = self._answer(
                    self._request(
                        method,
                        path,
                        body=body,
                        content_type=content_type,
                        headers=headers,
                        parameters=parameters,
                        timeout_s=timeout_s,
                        body_digest=body_digest,
                    )
                )
            except httpx.TransportError as err:
                failed += 1
                unsent = isinstance(err, httpx.ConnectError | httpx.ConnectTimeout)
                if failed >= self._retries.attempts or (once and not unsent):
                    raise self._unreachable() from err
                self._pause(failed)
                continue
            if response.status_code not in _RETRIED:
                return self._accepted(response)
            failed += 1
            if failed >= self._retries.attempts:
                return self._accepted(response)
            self._pause(failed, response.headers.get("Retry-After", ""))

    def json_of(self, response: httpx.Response) -> dict[str, Any]:
        """Return the JSON object of an answer, empty for an answer without a body.

        Raises:
            BadAnswer: if it is not a JSON object.
        """
        if not response.content:
            return {}
        try:
            answer = response.json()
        except ValueError as err:
            raise self._bad_answer() from err
        if not isinstance(answer, dict):
            raise self._bad_answer()
        return answer

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, str | int] | None = None,
        timeout_s: float = 60.0,
        body_digest: Digest | None = None,
    ) -> httpx.Request:
        import httpx

        headers = {**(headers or {}), **({"Fairbank-Boot": self._boot} if self._boot else {})}
        request = self._client.build_request(
            method,
            self.base_url + path,
            content=body or None,
            headers=headers,
            params=dict(parameters) if parameters else None,
            timeout=httpx.Timeout(timeout_s, connect=10.0),
        )
        # Each try is signed anew: a signature is good once and for a minute.
        request.headers.update(
            signature_headers(
                method,
                str(request.url),
                body=body,
                key=self._key,
                clock=self._clock,
                content_type=content_type,
                headers=headers,
                body_digest=body_digest,
            )
        )
        return request

    def _answer(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read its answer to the end, unpacked, unless that is too long.

        Raises:
            BadAnswer: if it is.
        """
        import httpx

        response = self._client.send(request, stream=True)
        blocks: list[bytes] = []
        length = 0
        try:
            for block in response.iter_bytes():
                length += len(block)
                if length > _LONGEST_ANSWER:
                    raise self._bad_answer("The answer is longer than any that it gives.")
                blocks.append(block)
        finally:
            response.close()
        headers = [(key, value) for key, value in response.headers.raw if key.lower() not in _OF_THE_WAY]
        return httpx.Response(
            response.status_code, headers=headers, content=b"".join(blocks), request=request
        )

    def _accepted(self, response: httpx.Response) -> httpx.Response:
        if response.status_code < 400:
            return response
        raise self._refusal(response)

    def _refusal(self, response: httpx.Response) -> FairbankError:
        problem = self._problem(response)
        words = f"{problem.get('title', '')} {problem.get('detail', '')}".strip()
        if problem.get("code") == _CLOCK_OFF:
            return NodeClockOff(
                "The hub refuses this node's requests because the clocks differ.",
                why=words,
                todo="Set this machine's clock by NTP (and the hub's), then try again; nothing is lost.",
            )
        if response.status_code == 401 or problem.get("code") in _KEY_REFUSED:
            return KeyNotEnrolled(
                f"The hub does not accept this node's key {self._key.public.fingerprint}.",
                why=words or "It is not the key that a node of this name enrolled with.",
                todo="Check that keys/node.pem is the one this node enrolled with, or enrol again.",
            )
        if response.status_code in _RETRIED:
            # Overloaded or broken is no decision about the request, whatever the body says: it can be sent later.
            return self._troubled(response.status_code, str(problem.get("code", ""))[:40])
        if not problem:
            return BadAnswer(
                f"The hub answered {response.status_code} without saying why.",
                why="A proxy may have answered in its place.",
                todo="Check the address of the hub, and what stands between.",
            )
        return FairbankError.from_problem(problem)

    def _problem(self, response: httpx.Response) -> dict[str, object]:
        if "json" not in response.headers.get("Content-Type", ""):
            return {}
        try:
            parsed = response.json()
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}

    def _fetch_part(
        self, path: str, part: Path, have: int, seen: hashlib._Hash, maximum_bytes: int | None
    ) -> Exception | None:
        """Fetch what is missing, showing each block to `seen`; return what went wrong on the way, None for nothing."""
        import httpx

        # A range counts the bytes as they lie there, so no encoding on the way.
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        request = self._request("GET", path, headers=headers)
        try:
            response = self._client.send(request, stream=True)
            try:
                if response.status_code == 416:
                    return None
                if response.status_code in _RETRIED:
                    return self._unreachable()
                if response.status_code >= 400:
                    response.read()
                    raise self._refusal(response)
                appends = response.status_code == 206
                length = have if appends else 0
                with part.open("ab" if appends else "wb") as opened:
                    for block in response.iter_bytes():
                        length += len(block)
                        if maximum_bytes is not None and length > maximum_bytes:
                            break
                        seen.update(block)
                        opened.write(block)
                if maximum_bytes is not None and length > maximum_bytes:
                    part.unlink()
                    raise _too_long(path, maximum_bytes)
            finally:
                response.close()
        except httpx.TransportError as err:
            return err
        return None

    def _pause(self, failed: int, retry_after: str = "") -> None:
        wait_s = self._retries.wait_s(failed, self._jitter.random())
        if retry_after.isdecimal():
            # Not before, and not all at the same moment: a hub that sends a hundred away says the same to many.
            told_s = min(float(retry_after), self._retries.longest_told_s)
            wait_s = max(wait_s, told_s * (1.0 + self._jitter.random() / 2))
        self._sleep(wait_s)

    def _troubled(self, status: int, code: str) -> HubUnreachable:
        err = HubUnreachable(
            f"The hub at {self.base_url} does not answer but with {' '.join(filter(None, (str(status), code)))}.",
            why="It is overloaded, being restarted, or broken.",
            todo="Try again later, or tell the hub's administrator; what is staged stays in the outbox.",
        )
        err.answered = True
        return err

    def _unreachable(self) -> HubUnreachable:
        return HubUnreachable(
            f"The hub at {self.base_url} does not answer.",
            why="It is down, its address is wrong, or something between blocks the way.",
            todo="Check the address and the network; what is staged stays in the outbox and is sent later.",
        )

    def _bad_answer(self, why: str = "The answer is not a JSON object.") -> BadAnswer:
        return BadAnswer(
            f"What answers at {self.base_url} does not speak fairbank's protocol.",
            why=why,
            todo="Check the address of the hub, and what stands between.",
        )


def _too_long(path: str, maximum_bytes: int) -> DownloadDamaged:
    return DownloadDamaged(
        f"The file {path.rpartition('/')[2]} is longer than {maximum_bytes} bytes.",
        why="No file of this kind is, and a longer one could fill this machine's disk.",
        todo="Nothing was kept. Tell the hub's administrator.",
    )
