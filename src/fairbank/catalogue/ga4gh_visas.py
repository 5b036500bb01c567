"""What was granted, in the form that other infrastructures read: GA4GH visas of the type ControlledAccessGrants.

This is an export and nothing else: nothing in fairbank runs by such a token, neither at the hub nor at a node. It is
signed with a key of its own, never with the root key, so that no mistake with tokens touches what nodes trust.

Sources: GA4GH Authentication and Authorization Infrastructure 1.2 (visa document tokens: RS256 or ES256, type
`vnd.ga4gh.visa+jwt`), GA4GH Passport 1.2 (ControlledAccessGrants), RFC 7515, RFC 7519, RFC 8725.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from fairbank.catalogue.context import Hub
from fairbank.catalogue.ga4gh_errors import Ga4ghKeyUnusable, Ga4ghVisaRefused
from fairbank.clock import parse_iso
from fairbank.ontology.signed_objects import GrantedDataset, Visa

if TYPE_CHECKING:
    from joserfc.jwk import KeySet, RSAKey

KEY_FILE: Final = "ga4gh.pem"
ALGORITHMS: Final = ("RS256", "ES256")
TYPE: Final = "vnd.ga4gh.visa+jwt"
CLAIM: Final = "ga4gh_visa_v1"
# Who reads a token elsewhere does not hear of a revocation, so it is good for a short time and fetched again.
LONGEST: Final = timedelta(days=7)
_KEY_BITS: Final = 3072
_LONGEST_TOKEN: Final = 16_384
_FIRST_USE = threading.Lock()


@dataclass(frozen=True, slots=True)
class Exported:
    """One dataset of a grant as a token, and until when the token is good."""

    dataset: str
    expires: datetime
    token: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token says that was verified."""

    subject: str
    dataset: str
    source: str
    asserted: int
    expires: int


def export(
    hub: Hub, visa: Visa, *, account: str, datasets: frozenset[str], audience: str | None = None
) -> list[Exported]:
    """Return a token for each of some datasets of a visa that has not ended there, in the order of the visa.

    Args:
        account: whose grant it is; the subject of the tokens.
        datasets: IRIs of those that are granted now.
        audience: who alone shall take the tokens, as an address; anybody by default.
    """
    key, now = _key(hub), hub.clock.now()
    return [
        _token(hub, key, visa, terms, account=account, audience=audience)
        for terms in visa.datasets
        if terms.iri in datasets and now < parse_iso(terms.expires)
    ]


def public_keys(hub: Hub) -> dict[str, Any]:
    """Return the JSON Web Key Set with which others verify the tokens."""
    public: dict[str, Any] = dict(_key(hub).as_dict(private=False))
    return {"keys": [{**public, "use": "sig", "alg": ALGORITHMS[0]}]}


def verify(
    token: str, *, keys: Mapping[str, Any], issuer: str, now: datetime, audience: str | None = None
) -> Verified:
    """Verify a token as a reader elsewhere should, and return what it says.

    The key is looked up in `keys` by its id, and nowhere else: an address (`jku`), key or certificate in the token's
    own header is not read. Only the two algorithms of the specification are accepted, each with its own kind of key.

    Args:
        keys: the issuer's JSON Web Key Set, fetched from where the reader knows it to be.
        audience: the reader's own address; a token that names others is refused.

    Raises:
        Ga4ghVisaRefused: naming what is wrong.
    """
    from joserfc import jwt
    from joserfc.errors import JoseError

    if len(token) > _LONGEST_TOKEN:
        raise _refused("it is too long")
    try:
        read = jwt.decode(token, _keys_of(keys), algorithms=list(ALGORITHMS))
    except (JoseError, ValueError, TypeError, KeyError) as err:
        raise _refused("its signature does not verify by a key and an algorithm that are allowed") from err
    if str(read.header.get("typ", "")).lower() not in (TYPE, f"application/{TYPE}", "jwt"):
        raise _refused("it is another kind of token")
    return _checked(read.claims, issuer=issuer, now=now, audience=audience)


def _checked(claims: Mapping[str, Any], *, issuer: str, now: datetime, audience: str | None) -> Verified:
    if claims.get("iss") != issuer:
        raise _refused("another issuer made it")
    at, issued, ends = int(now.timestamp()), _moment(claims, "iat"), _moment(claims, "exp")
    begins = _moment(claims, "nbf") if "nbf" in claims else issued
    if max(issued, begins) > at:
        raise _refused("it begins in the future")
    if ends <= at:
        raise _refused("it has expired")
    named = claims.get("aud")
    readers = [named] if isinstance(named, str) else named or []
    if (named is not None or audience is not None) and audience not in readers:
        raise _refused("it is for another reader")
    said = claims.get(CLAIM)
    if not isinstance(said, dict) or said.get("type") != "ControlledAccessGrants":
        raise _refused("it grants nothing")
    texts = [claims.get("sub"), said.get("value"), said.get("source")]
    if not all(isinstance(text, str) and text for text in texts):
        raise _refused("it does not say who may use what by whose word")
    subject, dataset, source = map(str, texts)
    return Verified(subject, dataset, source, _moment(said, "asserted"), ends)


def _token(
    hub: Hub, key: RSAKey, visa: Visa, terms: GrantedDataset, *, account: str, audience: str | None
) -> Exported:
    from joserfc import jwt

    now = hub.clock.now()
    ends = min(parse_iso(terms.expires), now + LONGEST)
    header = {"typ": TYPE, "alg": ALGORITHMS[0], "kid": key.kid, "jku": f"{hub.base_iri}/v1/ga4gh/jwks"}
    claims = {
        "iss": hub.base_iri,
        "sub": account,
        "jti": hub.clock.new_id(),
        "iat": int(now.timestamp()),
        "exp": int(ends.timestamp()),
        **({"aud": audience} if audience is not None else {}),
        CLAIM: {
            "type": "ControlledAccessGrants",
            "asserted": int(parse_iso(visa.created).timestamp()),
            "value": terms.iri,
            "source": hub.base_iri,
            "by": "dac",
        },
    }
    return Exported(terms.iri, ends, jwt.encode(header, claims, key, algorithms=[ALGORITHMS[0]]))


def _keys_of(keys: Mapping[str, Any]) -> KeySet:
    from joserfc.jwk import KeySet

    # A secret in a key set would let a public key serve as the secret of HS256.
    listed = [dict(each) for each in keys.get("keys", ()) if each.get("kty") in ("RSA", "EC")]
    return KeySet.import_key_set({"keys": listed})


def _key(hub: Hub) -> RSAKey:
    """Return the key that signs exports, made at the first use."""
    from joserfc.errors import JoseError
    from joserfc.jwk import RSAKey

    path = hub.settings.keys_path / KEY_FILE
    with _FIRST_USE:
        if not path.exists():
            _make_key(hub)
    try:
        if path.stat().st_mode & 0o077:
            raise _unusable("others can read it")
        key = RSAKey.import_key(path.read_bytes())
    except (JoseError, ValueError, OSError) as err:
        raise _unusable("it is damaged") from err
    key.ensure_kid()
    return key


def _make_key(hub: Hub) -> None:
    from joserfc.jwk import RSAKey

    path = hub.settings.keys_path / KEY_FILE
    pem = RSAKey.generate_key(_KEY_BITS).as_pem(private=True)
    written = path.with_name(f"{KEY_FILE}.{hub.clock.new_id()}")
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(pem)
        opened.flush()
        os.fsync(opened.fileno())
    try:
        # Of two processes that begin at once, the first one's key stays.
        os.link(written, path)
    except FileExistsError:
        pass
    finally:
        written.unlink()


def _moment(claims: Mapping[str, Any], name: str) -> int:
    found = claims.get(name)
    if isinstance(found, bool) or not isinstance(found, int):
        raise _refused(f"its {name!r} is no time")
    return found


def _refused(because: str) -> Ga4ghVisaRefused:
    return Ga4ghVisaRefused(
        f"This GA4GH visa is not good: {because}.",
        why="It counts only if its issuer's key signed it, for this reader, for now.",
        todo="Ask its issuer for a new one.",
    )


def _unusable(because: str) -> Ga4ghKeyUnusable:
    return Ga4ghKeyUnusable(
        f"The key file {KEY_FILE} cannot be used: {because}.",
        why="Exports are signed with it, and with nothing else.",
        todo="Restore it with mode 0600, or move it away: a new one is made, and readers fetch the new key set.",
    )
