"""The closing report: what came of a project. Without it no leg is completed."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import permitted
from fairbank.catalogue.governance.request_errors import ClosingReportRefused
from fairbank.catalogue.governance.store import ClosingReportRow, LegRow, RequestRow
from fairbank.catalogue.governance.workflow import LegState, Part
from fairbank.clock import iso
from fairbank.database import writing
from fairbank.ontology.wire import Part as WirePart
from fairbank.ontology.wire import ShortText, Text, Wire

# DOI Handbook, 2.2: a prefix of 10 and a registrant's number, a slash, and a suffix of printable characters.
_DOI: Final = re.compile(r"10\.\d{4,9}(\.\d+)*/[^\s\x00-\x1f\x7f<>\"]{1,150}")
_RESOLVERS: Final = re.compile(r"^(https?://(dx\.)?doi\.org/|doi:\s*)", re.I)
_BEFORE_THE_END: Final = frozenset({LegState.ACTIVE.value, LegState.EXPIRED.value, LegState.COMPLETED.value})


def doi(text: str) -> str:
    """Return a DOI without the address of a resolver, in lower case; its form is checked, not whether it resolves.

    Raises:
        ValueError: if it is none.

    >>> doi("https://doi.org/10.1000/ABC.12")
    '10.1000/abc.12'
    """
    bare = _RESOLVERS.sub("", text.strip()).lower()
    if not _DOI.fullmatch(bare):
        raise ValueError("a DOI is written as 10.1000/xyz")
    return bare


class Publication(WirePart):
    """One publication: by its DOI where it has one, otherwise by where it can be read."""

    title: ShortText
    doi: Annotated[str, Field(max_length=200)] | None = None
    reference: ShortText | None = None

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        if self.doi is None and self.reference is None:
            raise ValueError("a publication has a DOI, a reference, or both")
        if self.doi is not None:
            doi(self.doi)
        return self


class Outcome(WirePart):
    """Something else that came of a project: a model, a table, software; and where it is."""

    title: ShortText
    reference: ShortText


class ClosingReport(Wire):
    """What came of a project; that nothing did is said in the summary."""

    schema_name = "closing-report/1"

    summary: Text
    publications: Annotated[tuple[Publication, ...], Field(max_length=200)] = ()
    outputs: Annotated[tuple[Outcome, ...], Field(max_length=200)] = ()


def as_publication(title: str, where: str) -> dict[str, str]:
    """Return a publication as JSON: `where` is its DOI if it has the form of one, otherwise where it can be read."""
    try:
        return {"title": title, "doi": doi(where)}
    except ValueError:
        return {"title": title, "reference": where}


def hand_in(hub: Hub, who: Account, request_id: str, report: ClosingReport) -> ClosingReportRow:
    """Keep the closing report of a request; a later one replaces it until the request is closed.

    Raises:
        RequestNotFound: if she has no part in the request.
        ClosingReportRefused: if it is not her request, or nothing of it was ever granted.
    """
    with writing(hub.engine) as session:
        row, parts = permitted.request_seen(session, who, request_id)
        if Part.REQUESTER not in parts:
            raise refused("Only who asked for access can say what came of it.")
        states = set(session.scalars(select(LegRow.state).where(LegRow.request == row.id)))
        if not states & _BEFORE_THE_END:
            raise refused("Nothing of this request was granted.")
        kept = session.get(ClosingReportRow, row.id) or ClosingReportRow(request=row.id)
        kept.summary = report.summary
        kept.publications = [_publication(each) for each in report.publications]
        kept.outputs = [each.model_dump(mode="json") for each in report.outputs]
        kept.account, kept.at = who.name, hub.clock.now()
        session.add(kept)
        audit.record(
            session,
            audit.HubAudit,
            clock=hub.clock,
            actor=who.name,
            act="request.closing-report",
            target=row.id,
            detail={"publications": len(report.publications), "outputs": len(report.outputs)},
        )
    return kept


def reported(session: Session, request: RequestRow) -> bool:
    """Tell whether the closing report of a request was handed in (the guard of `complete`)."""
    return session.get(ClosingReportRow, request.id) is not None


def view(session: Session, request_id: str) -> dict[str, Any] | None:
    """Return the closing report of a request, None if there is none."""
    row = session.get(ClosingReportRow, request_id)
    if row is None:
        return None
    return {
        "summary": row.summary,
        "publications": list(row.publications),
        "outputs": list(row.outputs),
        "account": row.account,
        "at": iso(row.at),
    }


def _publication(publication: Publication) -> dict[str, Any]:
    kept = publication.model_dump(mode="json", exclude_none=True)
    return kept | ({"doi": doi(publication.doi)} if publication.doi is not None else {})


def refused(reason: str) -> ClosingReportRefused:
    """Return the error that says why a report or the end of a project is not taken."""
    return ClosingReportRefused(
        reason,
        why="A project is completed by saying what came of it: publications and outputs.",
        todo="See 'fairbank request complete --help'.",
    )
