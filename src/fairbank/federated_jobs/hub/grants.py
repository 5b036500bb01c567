"""What jobs need to know of an access grant; the catalogue keeps them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import grants


@dataclass(frozen=True, slots=True)
class Grant:
    """A visa as the hub holds it: the exact envelopes of visa and request, and whether it still holds."""

    visa_id: str
    visa: bytes
    request_id: str
    request: bytes
    ended: bool


GrantLookup = Callable[[Session, str], Grant | None]


def granted(hub: Hub) -> GrantLookup:
    """Return the look-up of the catalogue's grants, by the digest of a visa's payload."""

    def look_up(session: Session, visa_digest: str) -> Grant | None:
        found = grants.find_grant(session, visa_digest, now=hub.clock.now())
        if found is None:
            return None
        return Grant(found.visa_id, found.envelope, found.request_id, found.request_envelope, not found.holds)

    return look_up
