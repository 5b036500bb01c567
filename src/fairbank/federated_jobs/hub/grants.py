"""What jobs need to know of an access grant; the catalogue keeps them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Grant:
    """A visa as the hub holds it: the exact envelopes of visa and request, and whether it still holds."""

    visa_id: str
    visa: bytes
    request_id: str
    request: bytes
    ended: bool


GrantLookup = Callable[[Session, str], Grant | None]


def granted(session: Session, visa_digest: str) -> Grant | None:
    """Return the grant of a visa, by the digest of its payload; None if this hub issued no such visa."""
    from sqlalchemy import select

    from fairbank.catalogue.store import RequestRow, VisaRow

    row = session.execute(
        select(VisaRow, RequestRow)
        .join(RequestRow, RequestRow.id == VisaRow.request)
        .where(VisaRow.digest == visa_digest)
    ).first()
    if row is None:
        return None
    visa, request = row
    return Grant(visa.id, visa.envelope, request.id, request.envelope, visa.ended is not None)
