"""Logging in through a browser: the hub sends it back to a port of this machine, with a code that works once.

The code is worth nothing to others: the hub gives a token for it only to who knows the verifier that began the log-in
(PKCE, RFC 7636), and it travels to the loopback of this machine only (RFC 8252, section 7.3).
"""

from __future__ import annotations

import secrets
import webbrowser
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from fairbank.cli.errors import CliError
from fairbank.cli.output import say
from fairbank.errors import RemoteError

if TYPE_CHECKING:
    from fairbank.web.api_client import HubApi

WAIT_S = 300.0
_NEEDS_CODE = "FB-CAT-165"
_DONE = b"<!doctype html><html lang=en><title>fairbank</title><p>You are logged in. Go back to the terminal.</p></html>"


def log_in(
    client: HubApi,
    *,
    code: str | None,
    ask: Callable[[], str],
    show: Callable[[str], object] = webbrowser.open,
    wait_s: float = WAIT_S,
) -> dict[str, Any]:
    """Log in at the hub's provider of identities and return the hub's answer with the token.

    Args:
        code: of the account's second factor, if it has one and it is known already.
        ask: asks for it where the hub wants it.
        show: opens an address in a browser.

    Raises:
        CliError: if nobody came back in time.
    """
    verifier = secrets.token_urlsafe(48)
    with HTTPServer(("127.0.0.1", 0), _Waiting) as server:
        address = _address(client.base_url, server.server_port, verifier)
        say(f"Log in here: {address}")
        show(address)
        result = _wait_for_result(server, wait_s)
    body = {"schema": "login-exchange/1", "code": result, "verifier": verifier}
    if code is not None:
        body["second_factor"] = code
    try:
        return client.post("/v1/login/exchange", body)
    except RemoteError as err:
        if err.remote_code != _NEEDS_CODE:
            raise
        return client.post("/v1/login/exchange", {**body, "second_factor": ask()})


def _address(base_url: str, port: int, verifier: str) -> str:
    import hashlib
    from base64 import urlsafe_b64encode

    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return f"{base_url}/login/oidc?port={port}&challenge={challenge}"


def _wait_for_result(server: HTTPServer, wait_s: float) -> str:
    import time

    ends = time.monotonic() + wait_s
    while (left_s := ends - time.monotonic()) > 0:
        server.timeout = left_s
        server.handle_request()
        if (result := getattr(server, "result", None)) is not None:
            return str(result)
    raise CliError(
        "Nobody came back from the browser in time.",
        why=f"The log-in was not finished within {int(wait_s)} s, or the browser runs on another machine.",
        todo="Run the command again where your browser runs, or log in with 'fairbank login NAME'.",
    )


class _Waiting(BaseHTTPRequestHandler):
    """Takes the one request that brings the code."""

    def do_GET(self) -> None:
        """Keep the code and thank the person."""
        parts = urlsplit(self.path)
        found = parse_qs(parts.query).get("code")
        if parts.path != "/" or not found:
            self.send_error(404)
            return
        self.server.result = found[0]  # type: ignore[attr-defined]  # kept for the loop that waits
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(_DONE)))
        self.end_headers()
        self.wfile.write(_DONE)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the address holds the code."""
