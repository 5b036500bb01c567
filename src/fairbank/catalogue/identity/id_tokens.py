"""Checking what a provider of identities says: the signature and claims of an ID token (OpenID Connect Core, 3.1.3.7).

Which algorithms are taken is ours to say, not the token's: no `none`, and no HMAC, with which a public key would become
a secret that everybody knows. Addresses of keys in the token (`jku`, `x5u`) are not read.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeGuard

from fairbank.catalogue.identity.errors import OidcRefused

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
SKEW_S: Final = 60
OLDEST_S: Final = 600
_LONGEST_TOKEN: Final = 64 * 1024
_LONGEST_SUBJECT: Final = 255
# RFC 8176: ways of logging in that are more than a password.
_STRONG: Final = frozenset({"mfa", "otp", "hwk", "fpt", "face", "sc", "swk"})


@dataclass(frozen=True, slots=True)
class Expected:
    """What an ID token has to say to be ours."""

    issuer: str
    client_id: str
    nonce: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a provider means."""

    issuer: str
    subject: str
    claims: Mapping[str, Any]

    @property
    def is_strong(self) -> bool:
        """Tell whether the provider asked for more than a password."""
        methods = self.claims.get("amr")
        return isinstance(methods, list) and any(each in _STRONG for each in methods if isinstance(each, str))


class Keys(Protocol):
    """Gives a provider's public keys."""

    def __call__(self, *, anew: bool) -> KeySet:
        """Return them; with `anew` read again, because a token names one that is not among them."""
        ...


def check(token: str, keys: Keys, expected: Expected) -> Identity:
    """Return whom an ID token means.

    Args:
        keys: gives the provider's keys.

    Raises:
        OidcRefused: naming the check that failed.
    """
    if len(token) > _LONGEST_TOKEN:
        raise refused("it is longer than any that providers make")
    claims = _verified(token, keys)
    _check_claims(claims, expected)
    return Identity(expected.issuer, str(claims["sub"]), claims)


def refused(reason: str) -> OidcRefused:
    """Return the error that says why a provider's word is not taken."""
    return OidcRefused(
        f"The log-in at the provider of identities was not accepted: {reason}.",
        why="What a provider says is taken only if every check of it holds.",
        todo="Log in again; if it stays, tell the hub's administrator.",
    )


def _verified(token: str, keys: Keys) -> dict[str, Any]:
    from joserfc import jwt
    from joserfc.errors import InvalidKeyIdError, JoseError

    for anew in (False, True):
        try:
            decoded = jwt.decode(token, keys(anew=anew), algorithms=list(ALGORITHMS))
        except InvalidKeyIdError as err:
            if anew:
                raise refused("it is signed with a key that the provider does not name") from err
        except (JoseError, ValueError, TypeError, KeyError) as err:
            raise refused("its signature does not verify, or not by an algorithm that is taken") from err
        else:
            return dict(decoded.claims)
    raise AssertionError("the second try ends it")


def _check_claims(claims: Mapping[str, Any], expected: Expected) -> None:
    now = expected.now.timestamp()
    audience = claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != expected.issuer:
        raise refused("another issuer made it")
    if expected.client_id not in listed:
        raise refused("it is for somebody else")
    if (len(listed) > 1 or "azp" in claims) and claims.get("azp") != expected.client_id:
        raise refused("it was given to somebody else")
    expires, issued = claims.get("exp"), claims.get("iat")
    if not _is_time(expires) or expires + SKEW_S <= now:
        raise refused("it has expired")
    if not _is_time(issued) or issued - SKEW_S > now:
        raise refused("it was made in the future, or one of the two clocks is wrong")
    if issued + OLDEST_S + SKEW_S < now:
        raise refused("it was made too long ago")
    if "nbf" in claims and (not _is_time(claims["nbf"]) or claims["nbf"] - SKEW_S > now):
        raise refused("it does not count yet")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise refused("it does not answer this log-in")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise refused("it names nobody")


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
