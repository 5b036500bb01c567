"""The provider of identities: what it says of itself, its keys, and trading a code for tokens.

What it says of itself and its keys are kept; keys are read again when a token names one that is not among them, once a
minute at most.
"""

from __future__ import annotations

import stat
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from fairbank.catalogue.identity.errors import OidcNotSet, OidcUnreachable
from fairbank.catalogue.identity.id_tokens import refused
from fairbank.settings import Settings, SettingsError

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

_TIMEOUT_S: Final = 10.0
_LONGEST_ANSWER: Final = 2**20
_KEPT_S: Final = 3_600.0
_AGAIN_AFTER_S: Final = 60.0
_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_ASYMMETRIC: Final = frozenset({"RSA", "EC", "OKP"})


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a provider gives for a code."""

    id_token: str
    access_token: str


class Provider:
    """A provider of identities, as its issuer describes it."""

    def __init__(self, issuer: str, client_id: str, secret: str | None, scopes: str) -> None:
        self.issuer = issuer
        self._client_id, self._secret, self._scopes = client_id, secret, scopes
        self._said: dict[str, Any] | None = None
        self._said_at = 0.0
        self._keys: KeySet | None = None
        self._keys_at = 0.0

    def address(self, redirect: str, *, state: str, nonce: str, verifier: str) -> str:
        """Return where to send a browser to log in."""
        with self._client(redirect) as client:
            address, _ = client.create_authorization_url(
                self._endpoint("authorization_endpoint"), state=state, nonce=nonce, code_verifier=verifier
            )
        return str(address)

    def redeem(self, code: str, *, redirect: str, verifier: str) -> Tokens:
        """Return the tokens for a code.

        Raises:
            OidcRefused: if the provider gives none.
            OidcUnreachable: if it does not answer.
        """
        import httpx
        from authlib.common.errors import AuthlibBaseError

        try:
            with self._client(redirect) as client:
                answer: Mapping[str, Any] = client.fetch_token(
                    self._endpoint("token_endpoint"), code=code, code_verifier=verifier
                )
        except httpx.HTTPError as err:
            raise self._unreachable() from err
        except (AuthlibBaseError, ValueError) as err:
            raise refused("the provider gave no tokens for its code") from err
        id_token, access = answer.get("id_token"), answer.get("access_token")
        if not isinstance(id_token, str):
            raise refused("the provider gave no ID token")
        return Tokens(id_token, access if isinstance(access, str) else "")

    def keys(self, *, anew: bool) -> KeySet:
        """Return the provider's public keys; with `anew` read again, unless that was a moment ago."""
        from joserfc.jwk import KeySet

        age_s = time.monotonic() - self._keys_at
        if self._keys is None or age_s > _KEPT_S or (anew and age_s > _AGAIN_AFTER_S):
            found = self._read(self._endpoint("jwks_uri")).get("keys")
            usable = [
                key
                for key in (found if isinstance(found, list) else [])
                if isinstance(key, dict) and key.get("kty") in _ASYMMETRIC and key.get("use", "sig") == "sig"
            ]
            if not usable:
                raise self._unreachable()
            self._keys, self._keys_at = KeySet.import_key_set({"keys": usable}), time.monotonic()
        return self._keys

    def more_claims(self, tokens: Tokens, subject: str) -> dict[str, Any]:
        """Return what the provider says of a person beside her ID token; nothing if it is about somebody else."""
        if not tokens.access_token or not self._metadata().get("userinfo_endpoint"):
            return {}
        said = self._read(self._endpoint("userinfo_endpoint"), bearer=tokens.access_token)
        return said if said.get("sub") == subject else {}

    def _client(self, redirect: str) -> Any:
        with warnings.catch_warnings():
            # That another library is to follow httpx says nothing to whoever reads the hub's log.
            warnings.simplefilter("ignore")
            from authlib.integrations.httpx_client import OAuth2Client

        methods = self._metadata().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        by_header = "client_secret_basic" in methods
        return OAuth2Client(
            self._client_id,
            self._secret,
            scope=self._scopes,
            redirect_uri=redirect,
            code_challenge_method="S256",
            token_endpoint_auth_method=(
                "none"
                if self._secret is None
                else "client_secret_basic"
                if by_header
                else "client_secret_post"
            ),
            timeout=_TIMEOUT_S,
            trust_env=not _is_here(self.issuer),
        )

    def _metadata(self) -> dict[str, Any]:
        if self._said is None or time.monotonic() - self._said_at > _KEPT_S:
            said = self._read(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
            # OpenID Connect Discovery, section 4.3: otherwise one provider could speak for another.
            if said.get("issuer") != self.issuer:
                raise self._unreachable()
            self._said, self._said_at = said, time.monotonic()
        return self._said

    def _endpoint(self, name: str) -> str:
        address = self._metadata().get(name)
        if not isinstance(address, str) or not _is_safe(address):
            raise self._unreachable()
        return address

    def _read(self, address: str, *, bearer: str | None = None) -> dict[str, Any]:
        import httpx

        headers = {"Accept": "application/json"}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        try:
            with httpx.Client(timeout=_TIMEOUT_S, trust_env=not _is_here(address)) as client:
                answer = client.get(address, headers=headers)
                answer.raise_for_status()
                said = answer.json() if len(answer.content) <= _LONGEST_ANSWER else None
        except (httpx.HTTPError, ValueError) as err:
            raise self._unreachable() from err
        if not isinstance(said, dict):
            raise self._unreachable()
        return said

    def _unreachable(self) -> OidcUnreachable:
        return OidcUnreachable(
            "The provider of identities does not answer as one.",
            why="It is not reachable, is not the issuer that the hub was told, or offers no keys or addresses.",
            todo="Try again in a minute; if it stays, tell the hub's administrator (setting oidc_issuer).",
        )


def provider_of(settings: Settings) -> Provider:
    """Return the provider that the settings name.

    Raises:
        OidcNotSet: if they name none.
        SettingsError: if its address is not https, or the file of the secret can be read by others.
    """
    if not settings.oidc_issuer or not settings.oidc_client_id:
        raise OidcNotSet(
            "The hub has no provider of identities.",
            why="The settings oidc_issuer and oidc_client_id are empty.",
            todo="Log in with name and password: 'fairbank login NAME'.",
        )
    if not _is_safe(settings.oidc_issuer):
        raise SettingsError(
            "The setting oidc_issuer is not an https address.",
            why="Who can change what a provider says on its way can be anybody.",
            todo="Name the issuer with https.",
        )
    secret = _secret(Path(settings.oidc_client_secret_file)) if settings.oidc_client_secret_file else None
    return _provider(settings.oidc_issuer, settings.oidc_client_id, secret, settings.oidc_scopes)


@lru_cache(maxsize=8)
def _provider(issuer: str, client_id: str, secret: str | None, scopes: str) -> Provider:
    return Provider(issuer, client_id, secret, scopes)


def _is_safe(address: str) -> bool:
    return address.startswith("https://") or (address.startswith("http://") and _is_here(address))


def _is_here(address: str) -> bool:
    return urlsplit(address).hostname in _HERE


def _secret(path: Path) -> str:
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise SettingsError(
            "The file of the setting oidc_client_secret_file cannot be read.", todo="Check its name and mode."
        ) from err
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(
            "The file of the setting oidc_client_secret_file can be read by others.",
            why="Whoever reads it can speak for the hub at the provider.",
            todo="Give it the mode 0600.",
        )
    return text
