"""What of a request is granted at this moment: asked by those who act on it, answered from its legs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from fairbank.catalogue.governance.store import GrantRow, LegRow, RequestRow
from fairbank.catalogue.governance.workflow import LegState, RequestState
from fairbank.catalogue.withdrawal import withdrawn_among
from fairbank.clock import parse_iso
from fairbank.ontology.errors import MalformedObject
from fairbank.ontology.signed_objects import GrantedDataset, Visa


@dataclass(frozen=True, slots=True)
class Standing:
    """How one dataset of a request stands.

    Attributes:
        granted: it is granted, and its time is not over.
        paused: the request is paused, so that nothing may be done with what is granted.
        visa: id of the visa under which it is granted now.
    """

    granted: bool
    paused: bool
    visa: str | None


def standing(session: Session, request_id: str, *, now: datetime) -> dict[str, Standing]:
    """Return how the datasets of a request stand, by IRI; empty where there is no such request."""
    rows = session.connection().execute(_STANDING, {"request": request_id})
    return {
        row.dataset: Standing(
            granted=row.state == LegState.ACTIVE.value
            and row.of_request in (RequestState.OPEN.value, RequestState.PAUSED.value)
            and (row.expires is None or now < row.expires),
            paused=row.of_request == RequestState.PAUSED.value,
            visa=row.visa,
        )
        for row in rows
    }


@dataclass(frozen=True, slots=True)
class HeldVisa:
    """A visa that somebody holds: its exact envelope, and which datasets are granted under it now."""

    envelope: bytes
    datasets: frozenset[str]


def held_visa(session: Session, visa_id: str, *, account: str, now: datetime) -> HeldVisa | None:
    """Return a visa of an account while it holds; None if there is none, it is another's, has ended or is paused."""
    row = session.get(GrantRow, visa_id)
    if row is None or row.account != account or row.ended is not None or row.expires <= now:
        return None
    stands = standing(session, row.request, now=now)
    held = frozenset(
        iri for iri, one in stands.items() if one.granted and not one.paused and one.visa == visa_id
    )
    return HeldVisa(row.envelope, held) if held else None


def held_terms(
    session: Session, account: str, *, now: datetime, hub: str
) -> dict[str, tuple[GrantedDataset, ...]]:
    """Return the terms on which an account holds datasets now, by IRI; a dataset that it does not hold is left out.

    What has ended, is paused, has not begun, was withdrawn by its node, or is of an older form, is not held.

    Args:
        hub: the base IRI of this hub; visas of another are not held.
    """
    found: dict[str, list[GrantedDataset]] = {}
    visas = select(GrantRow.id).where(
        GrantRow.account == account, GrantRow.ended.is_(None), GrantRow.expires > now
    )
    for visa_id in session.scalars(visas.order_by(GrantRow.id)).all():
        held = held_visa(session, visa_id, account=account, now=now)
        visa = _opened(held.envelope) if held is not None else None
        if held is None or visa is None or visa.hub != hub or parse_iso(visa.not_before) > now:
            continue
        for terms in visa.datasets:
            if terms.iri in held.datasets and now < parse_iso(terms.expires):
                found.setdefault(terms.iri, []).append(terms)
    gone = set(withdrawn_among(session, found.keys()))
    return {iri: tuple(terms) for iri, terms in found.items() if iri not in gone}


def _opened(envelope: bytes) -> Visa | None:
    try:
        return Visa.open(envelope, trusted=None)[0]
    except MalformedObject:
        # From before datasets had terms of their own: kept as evidence, and opens nothing.
        return None


_LEGS, _REQUESTS = (
    LegRow.metadata.tables[LegRow.__tablename__],
    RequestRow.metadata.tables[RequestRow.__tablename__],
)
# Asked for every output that arrives, so it takes the plain tables and is put together once.
_STANDING = (
    select(
        _LEGS.c.dataset, _LEGS.c.state, _LEGS.c.expires, _LEGS.c.visa, _REQUESTS.c.state.label("of_request")
    )
    .join(_REQUESTS, _REQUESTS.c.id == _LEGS.c.request)
    .where(_LEGS.c.request == bindparam("request"))
)
