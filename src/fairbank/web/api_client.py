"""The client of the hub for researchers and committees: what the command line and the demo call."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbank.clock import Clock
from fairbank.errors import FairbankError, Kind
from fairbank.release.hub_client import check_way, on_this_machine
from fairbank.settings import Settings
from fairbank.signing import SigningKey, sha256_digest

if TYPE_CHECKING:
    import httpx

TOKEN_FILE = "token"  # noqa: S105  # the name of the file, not a token
KEY_FILE = "requester.pem"
# Between tries to get a connection, so that a hub may restart; who has the wrong address need not wait long to hear it.
_PAUSES_S = (0.2, 0.6)


class HubUnreachable(FairbankError):
    """The hub does not answer at its address."""

    code = "FB-WEB-010"
    kind = Kind.UNAVAILABLE


class NotLoggedIn(FairbankError):
    """An act needs an account, and no token is kept in the home folder."""

    code = "FB-WEB-011"
    kind = Kind.UNAUTHENTICATED


class WrongBytes(FairbankError):
    """A file came with bytes other than its digest says."""

    code = "FB-WEB-012"
    kind = Kind.FAILED


class KeyAtTheHub(FairbankError):
    """The hub keeps the key that the account signs with, so that of this computer does not count."""

    code = "FB-WEB-055"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class SparqlAnswer:
    """The bytes of an answer and their media type."""

    content: bytes
    media_type: str


class HubApi:
    """Calls the hub with a bearer token; signed objects are signed with the requester's key before they get here.

    Args:
        base_url: the hub's address.
        authority: PEM file of the authority to trust for TLS; None uses the system's.
        token: the account's token, if logged in.
        home: folder that keeps token and key.
    """

    def __init__(
        self,
        base_url: str,
        *,
        clock: Clock,
        home: Path,
        authority: Path | None = None,
        token: str | None = None,
    ) -> None:
        import ssl

        import httpx

        verify: ssl.SSLContext | bool = True
        if authority is not None:
            verify = ssl.create_default_context(cafile=str(authority))
        self.base_url = base_url.rstrip("/")
        self.clock = clock
        self.home = home
        self._client = httpx.Client(
            base_url=self.base_url,
            verify=verify,
            timeout=httpx.Timeout(60.0, connect=10.0),
            trust_env=not on_this_machine(self.base_url),
        )
        self._token = token

    @classmethod
    def from_home(cls, settings: Settings, clock: Clock) -> HubApi:
        """Return the client with the token kept in the home folder, if there is one for this hub."""
        check_way(settings.hub_url, settings)
        authority = Path(settings.hub_authority) if settings.hub_authority else None
        token = _kept_token(settings.keys_path / TOKEN_FILE, settings.hub_url)
        return cls(settings.hub_url, clock=clock, home=settings.home, authority=authority, token=token)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    # -- account ---------------------------------------------------------------------------------------------------

    def login(self, name: str, password: str, *, code: str | None = None) -> dict[str, Any]:
        """Log in, keep the token in the home folder (mode 0600), and return who this is.

        Args:
            code: of the account's second factor, if it has one.
        """
        body = {"schema": "login/1", "name": name, "password": password}
        if code is not None:
            body["code"] = code
        return self.keep_login(self.post("/v1/login", body))

    def keep_login(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Keep the token that a log-in was answered with in the home folder (mode 0600), and return the answer."""
        self._token = str(answer["token"])
        # With the hub that gave it: no other hub is ever shown it.
        _write_private(self.home / "keys" / TOKEN_FILE, f"{self._token}\n{self.base_url}\n")
        return answer

    def whoami(self) -> dict[str, Any]:
        """Return the account, its roles and its registered key."""
        answer: dict[str, Any] = self.get("/v1/whoami", signed_in=True)
        return answer

    def register_key(self, *, replace: bool = False) -> str:
        """Tell the hub the requester's public key, with a proof that it is held here; return its id.

        Args:
            replace: also where the hub keeps a key for the account; that one is destroyed then.

        Raises:
            KeyAtTheHub: if the hub keeps one, and `replace` was not said.
        """
        from fairbank.catalogue.accounts import AccountKey
        from fairbank.clock import iso

        who, key = (self.whoami(), self.key()) if replace else self.signer()
        if who.get("key") != key.key_id:
            hub = str(self.get("/v1/hub")["base_iri"])
            proof = AccountKey(
                account=str(who["account"]), key=key.key_id, hub=hub, created=iso(self.clock.now())
            )
            self.post("/v1/accounts/key", proof.seal(key), signed_in=True)
        return key.key_id

    def signer(self) -> tuple[dict[str, Any], SigningKey]:
        """Return the account and the requester's key.

        Raises:
            KeyAtTheHub: if the account signs with a key that the hub keeps, and so not with this one.
        """
        who = self.whoami()
        if who.get("key_kept_by") == "hub":
            raise KeyAtTheHub(
                "The key of this computer does not count: the hub keeps a key for your account.",
                why="An account signs with one key, and grants that you hold were given for that one.",
                todo="Sign on the hub's pages, or put this computer's key in its place: fairbank login --replace-key.",
            )
        return who, self.key()

    def key(self) -> SigningKey:
        """Return the requester's key, making it on first use."""
        path = self.home / "keys" / KEY_FILE
        if not path.exists():
            SigningKey.generate().save(path)
        return SigningKey.load(path)

    # -- plain calls -----------------------------------------------------------------------------------------------

    def get(self, path: str, *, signed_in: bool = False, with_token: bool = False, **parameters: Any) -> Any:
        """GET a JSON resource.

        Args:
            with_token: show who asks if there is a token; without one it is asked all the same.
        """
        given = {key: value for key, value in parameters.items() if value is not None}
        answer = self._send(
            "GET",
            path,
            signed_in=signed_in,
            optional_token=with_token,
            params=given,
            headers={"Accept": "application/json"},
        )
        return answer.json()

    def post(self, path: str, body: Mapping[str, Any] | bytes, *, signed_in: bool = False) -> dict[str, Any]:
        """POST a JSON body (or the exact bytes of an envelope) and return the JSON answer."""
        content = body if isinstance(body, bytes) else json.dumps(dict(body)).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        answer = self._send("POST", path, signed_in=signed_in, content=content, headers=headers)
        parsed: dict[str, Any] = answer.json() if answer.content else {}
        return parsed

    def put(self, path: str, body: Mapping[str, Any], *, signed_in: bool = False) -> dict[str, Any]:
        """PUT a JSON body and return the JSON answer."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        content = json.dumps(dict(body)).encode()
        answer = self._send("PUT", path, signed_in=signed_in, content=content, headers=headers)
        parsed: dict[str, Any] = answer.json() if answer.content else {}
        return parsed

    def log_out(self) -> None:
        """End the log-in at the hub and forget its token here."""
        self.post("/v1/logout", b"", signed_in=True)
        self._forget_token()

    def log_out_everywhere(self, *, tokens: bool) -> dict[str, Any]:
        """End all log-ins of the account, forget the token here, and return how many of each kind ended.

        Args:
            tokens: also the API tokens of programs.
        """
        answer = self.delete(f"/v1/account/log-ins?tokens={str(tokens).lower()}")
        self._forget_token()
        return answer

    def _forget_token(self) -> None:
        self._token = None
        (self.home / "keys" / TOKEN_FILE).unlink(missing_ok=True)

    def text(self, path: str, *, signed_in: bool = False, **parameters: Any) -> str:
        """GET a resource that is text, such as a page."""
        given = {key: value for key, value in parameters.items() if value is not None}
        return self._send("GET", path, signed_in=signed_in, params=given).text

    def save(self, path: str, to: Path, **parameters: Any) -> Path:
        """Write what is answered at a path to a file, whole or not at all; it may hold people's measurements."""
        given = {key: value for key, value in parameters.items() if value is not None}
        content = self._send("GET", path, signed_in=True, params=given).content
        temporary = to.with_name(to.name + ".part")
        temporary.touch(mode=0o600)
        temporary.write_bytes(content)
        return temporary.replace(to)

    def delete(self, path: str) -> dict[str, Any]:
        """DELETE what is at an address and return the JSON answer, empty if there is none."""
        answer = self._send("DELETE", path, signed_in=True, headers={"Accept": "application/json"})
        parsed: dict[str, Any] = answer.json() if answer.content else {}
        return parsed

    def upload(self, path: str, file: Path, **parameters: str) -> dict[str, Any]:
        """POST the content of a file, read as it is sent, and return the JSON answer."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(file.stat().st_size),
            "Accept": "application/json",
        }
        with file.open("rb") as opened:
            pieces = iter(lambda: opened.read(1 << 20), b"")
            answer = self._send(
                "POST", path, signed_in=True, params=parameters, content=pieces, headers=headers
            )
        parsed: dict[str, Any] = answer.json()
        return parsed

    def sparql(self, query: str, *, accept: str = "application/sparql-results+json") -> bytes:
        """Send a SPARQL query and return the answer's bytes in the asked format."""
        return self.sparql_answer(query, accept=accept).content

    def sparql_answer(self, query: str, *, accept: str) -> SparqlAnswer:
        """Send a SPARQL query and return the answer in whichever accepted format it has."""
        headers = {"Content-Type": "application/sparql-query", "Accept": accept}
        answer = self._send("POST", "/sparql", content=query.encode(), headers=headers, optional_token=True)
        return SparqlAnswer(answer.content, answer.headers.get("content-type", "").partition(";")[0])

    def download(self, digest: str, to: Path, *, path: str | None = None) -> Path:
        """Fetch a blob, or what lies at a path, to a new file and check its digest.

        Raises:
            WrongBytes: if the bytes are not those that the digest names; nothing is left behind then.
        """
        content = self._send("GET", path or f"/v1/blobs/{digest}", signed_in=True).content
        if sha256_digest(content) != digest:
            raise WrongBytes(
                f"The file that came is not {digest}.",
                why="Its bytes were changed on the way.",
                todo="Try again.",
            )
        temporary = to.with_name(to.name + ".part")
        temporary.write_bytes(content)
        temporary.replace(to)
        return to

    def watch_job(self, job: str, *, wait_s: int = 20) -> Iterator[dict[str, Any]]:
        """Yield a job's state, first now, then at each change, until it has ended (long-poll)."""
        seen: int | None = None
        while True:
            state = self.get(f"/v1/jobs/{job}", signed_in=True, wait_s=wait_s, seen=seen)
            if state["seen"] != seen:
                yield state
            seen = state["seen"]
            if state["state"] not in ("running", "degraded"):
                return

    def _send(
        self,
        method: str,
        path: str,
        *,
        signed_in: bool = False,
        optional_token: bool = False,
        **arguments: Any,
    ) -> httpx.Response:
        import httpx

        headers = dict(arguments.pop("headers", {}))
        if signed_in and self._token is None:
            raise NotLoggedIn(
                f"You are not logged in to the hub at {self.base_url}.",
                why="This act needs an account of the hub.",
                todo="Run 'fairbank login NAME'.",
            )
        if self._token is not None and (signed_in or optional_token):
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            answer = self._connected(method, path, headers=headers, **arguments)
        except httpx.HTTPError as err:
            raise HubUnreachable(
                f"The hub at {self.base_url} does not answer ({type(err).__name__}).",
                why="It is not running, the address is wrong, or a firewall is between.",
                todo="Check hub_url with 'fairbank config show', and that 'fairbank hub run' is running there.",
            ) from err
        if answer.status_code >= 400:
            raise _problem(answer)
        return answer

    def _connected(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request, again where no connection came about: nothing has been sent then."""
        import httpx

        for pause_s in _PAUSES_S:
            try:
                return self._client.request(method, path, **arguments)
            except httpx.ConnectError:
                time.sleep(pause_s)
        return self._client.request(method, path, **arguments)


def all_rows(api: HubApi, path: str, what: str) -> Iterator[dict[str, Any]]:
    """Return the rows of a list of hers, page after page, as far as they are looked at.

    Args:
        what: the name of the rows in the answer, such as `grants`.
    """
    after: str | None = None
    while True:
        page = api.get(path, signed_in=True, after=after)
        yield from page[what]
        # A hub of an earlier version answers everything at once.
        after = page.get("next")
        if after is None:
            return


def _kept_token(path: Path, hub_url: str) -> str | None:
    if not path.exists():
        return None
    token, _, hub = path.read_text(encoding="utf-8").strip().partition("\n")
    return token if hub == hub_url.rstrip("/") else None


def _problem(answer: httpx.Response) -> FairbankError:
    try:
        body = answer.json()
    except ValueError:
        body = {"title": f"The hub answered {answer.status_code}.", "status": answer.status_code}
    return FairbankError.from_problem(body)


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, stat.S_IRUSR | stat.S_IWUSR)
    with os.fdopen(handle, "w") as opened:
        os.fchmod(opened.fileno(), 0o600)
        opened.write(text)
