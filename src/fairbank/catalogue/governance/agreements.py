"""Data-use agreements that a committee's terms require: attached by the requester, checked by a person they name.

The terms of a leg say who countersigns. She reads the attached agreement and countersigns its digest, so that what she
has seen is what counts. Only then does the leg become active.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy.orm import Session

from fairbank.catalogue.governance.request_errors import AgreementRefused
from fairbank.catalogue.governance.store import AgreementRow, LegRow
from fairbank.catalogue.governance.terms import Agreement, Terms
from fairbank.clock import iso
from fairbank.ontology.wire import DigestText, ShortText, Wire


class Countersignature(Wire):
    """That the named person has checked an agreement: the document by its digest."""

    schema_name = "countersignature/1"

    leg: ShortText
    digest: DigestText


def required(leg: LegRow) -> Agreement | None:
    """Return the agreement that what was decided last about a leg requires, None if it requires none."""
    terms = leg.pending_terms if leg.pending_version is not None else leg.terms
    if terms is None or terms.get("agreement") is None:
        return None
    return Terms.model_validate_json(json.dumps(terms)).agreement


def version(leg: LegRow) -> int:
    """Return the version of the request that an agreement about a leg belongs to: the one under review, if any."""
    return leg.pending_version or leg.version


def open_for(session: Session, leg: LegRow) -> None:
    """Note who has to countersign what was decided about a leg, so that it stands in her list."""
    agreement = required(leg)
    if agreement is None:
        return
    kept = session.get(AgreementRow, (leg.id, version(leg)))
    if kept is None:
        session.add(AgreementRow(leg=leg.id, version=version(leg), countersigner=agreement.countersigner))
    elif kept.countersigned is None:
        kept.countersigner = agreement.countersigner
    session.flush()


def due(session: Session, leg: LegRow) -> bool:
    """Tell whether an agreement is required and not countersigned yet (the guard of `countersign`)."""
    return required(leg) is not None and not _countersigned(session, leg)


def settled(session: Session, leg: LegRow) -> bool:
    """Tell whether no agreement stands in the way of a leg (the guard of `activate`)."""
    return not due(session, leg)


def view(session: Session, leg: LegRow) -> dict[str, Any] | None:
    """Return what is to be agreed about a leg, and whether it was; None if its terms require nothing."""
    agreement = required(leg)
    if agreement is None:
        return None
    kept = session.get(AgreementRow, (leg.id, version(leg)))
    return {
        "title": agreement.title,
        "countersigner": agreement.countersigner,
        "digest": kept.digest if kept else None,
        "countersigned": iso(kept.countersigned) if kept and kept.countersigned else None,
    }


def _countersigned(session: Session, leg: LegRow) -> bool:
    kept = session.get(AgreementRow, (leg.id, version(leg)))
    return kept is not None and kept.countersigned is not None


def refused(reason: str) -> AgreementRefused:
    """Return the error that says why nothing can be countersigned."""
    return AgreementRefused(
        reason,
        why="An agreement is countersigned once, by the digest of the document that was checked.",
        todo="See the documents and what is awaited with 'fairbank request show'.",
    )
