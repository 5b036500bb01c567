"""The rows that say until when a project may be used, and what the law of a project adds to its datasets' records."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from fairbank.harvest.consent import EVERY_PROJECT, LegalBasis
from fairbank.harvest.consent_store import BasisRow, ConsentRow, RetentionRow
from fairbank.ontology.stewardship import Stewardship
from fairbank.release.node import Node

SITE: Final = ""
_GDPR: Final = "https://w3id.org/dpv/legal/eu/gdpr#"
# Articles of the GDPR as the Data Privacy Vocabulary names them. Art. 6 is named where a basis leaves no choice.
_ARTICLES: Final = {
    LegalBasis.SCIENTIFIC_RESEARCH: ("A9-2-j",),
    LegalBasis.PUBLIC_HEALTH: ("A6-1-e", "A9-2-i"),
    LegalBasis.LEGAL_OBLIGATION: ("A6-1-c",),
    LegalBasis.SECONDARY_USE_PERMIT: (),
    LegalBasis.CONSENT_WAIVED: ("A9-2-j",),
    LegalBasis.ANONYMOUS_DATA: (),
}
_OF_CONSENT: Final = ("A6-1-a", "A9-2-a")


def note_described(
    node: Node, session: Session, dataset: str, project: str, said: Stewardship | None
) -> None:
    """Keep, in the caller's transaction, the last year that a dataset's description says its images may be used."""
    session.execute(delete(RetentionRow).where(RetentionRow.said_by == dataset))
    if said is not None and said.retained_until is not None:
        last_day = date(said.retained_until, 12, 31)
        session.add(retention_row(node, project, dataset, last_day, note="", by=node.key.key_id))


def retention_row(
    node: Node, project: str, said_by: str, last_day: date, *, note: str, by: str
) -> RetentionRow:
    """Return the row that says a last day."""
    return RetentionRow(
        project=project,
        said_by=said_by,
        ends=last_day + timedelta(days=1),
        note=note,
        recorded_by=by,
        recorded=node.clock.now(),
    )


def with_law(session: Session, project: str, said: Stewardship | None) -> Stewardship | None:
    """Return what a record says, with the legal basis and the end of retention that the node has on record.

    What the curator says of them in a description stays as it is.
    """
    articles = _articles(session, project)
    ends = session.scalar(select(func.min(RetentionRow.ends)).where(RetentionRow.project == project))
    added: dict[str, object] = {}
    if articles and not (said and said.legal_bases):
        added["legal_bases"] = tuple(_GDPR + article for article in articles)
    if ends is not None and not (said and said.retained_until):
        added["retained_until"] = (ends - timedelta(days=1)).year
    return (said or Stewardship()).model_copy(update=added) if added else said


def _articles(session: Session, project: str) -> tuple[str, ...]:
    basis = session.get(BasisRow, project)
    if basis is not None:
        return _ARTICLES[LegalBasis(basis.basis)]
    covered = select(ConsentRow.id).where(ConsentRow.project.in_((project, EVERY_PROJECT))).limit(1)
    return _OF_CONSENT if session.scalar(covered) is not None else ()
