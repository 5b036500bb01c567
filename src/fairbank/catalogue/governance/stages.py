"""The stages of a review: ethics, technical, data, each with its own committee and its own time.

A stage without a committee is passed over. What each stage carried binds: the terms that are granted are the
narrowest of all (`granted_terms.combined`), whatever a later stage proposes.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue.governance import committees
from fairbank.catalogue.governance.store import LegRow, ProposalRow

STAGES = committees.STAGES


def after(session: Session, leg: LegRow) -> str | None:
    """Return the next stage that has a committee for this leg, None after the last; the first if it is in none."""
    done = STAGES.index(leg.stage) + 1 if leg.stage in STAGES else 0
    return next(
        (
            stage
            for stage in STAGES[done:]
            if committees.committee_for(session, leg.node, leg.dataset, stage) is not None
        ),
        None,
    )


def under_review(leg: LegRow) -> int:
    """Return the version of the request that is being decided about."""
    return leg.pending_version if leg.pending_version is not None else leg.version


def proposals(session: Session, leg: LegRow, *, version: int) -> dict[str, ProposalRow]:
    """Return the newest proposal of each stage about a version, in the order of the stages: what passed, or may."""
    statement = select(ProposalRow).where(ProposalRow.leg == leg.id, ProposalRow.version == version)
    newest = {row.stage: row for row in session.scalars(statement.order_by(ProposalRow.at, ProposalRow.id))}
    return {stage: newest[stage] for stage in STAGES if stage in newest}
