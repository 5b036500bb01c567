"""The judge of the header harvest: consent decides who comes in, verification what of it may be published."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.database import compact, reading, writing
from fairbank.deid.admitted import Admitted
from fairbank.deid.identity import IdentityStore
from fairbank.deid.outcomes import Reason
from fairbank.harvest.bookkeeping import Route
from fairbank.harvest.consents import admitted, gate, refresh
from fairbank.harvest.described import SeriesDescription
from fairbank.harvest.index import close_to, forget_in_index
from fairbank.harvest.sources.protocol import ArchiveDeid
from fairbank.harvest.store import SeriesRow
from fairbank.harvest.trusts import is_trusted
from fairbank.harvest.verdicts import Verdict
from fairbank.harvest.verification import judge_described
from fairbank.release.node import Node


class Gatekeeper:
    """Judges the series of one route by what was on record when it was made.

    Raises:
        NoLegalBasis: if neither consent nor another basis covers anybody of the project.
    """

    def __init__(self, node: Node, route: Route, identity: IdentityStore) -> None:
        self._identity = identity
        with reading(node.engine) as session:
            self._admitted: Admitted = admitted(session, gate(session, route.project, at=node.clock.now()))
            self._trusted = is_trusted(session, route.source, route.container)

    def __call__(
        self, descriptions: Sequence[SeriesDescription], *, project: str, archive: ArchiveDeid | None
    ) -> Sequence[Verdict]:
        """Return one verdict per description; what the archive says of itself is provenance and changes none."""
        return [self._verdict(one) for one in descriptions]

    def _verdict(self, one: SeriesDescription) -> Verdict:
        if not self._admitted.admits(self._identity.consent_key(one.subject.reveal())):
            return Verdict(left_out=Reason.NO_CONSENT.value)
        hold = judge_described(one.mark, trusted=self._trusted)
        return Verdict(held=hold.value if hold else None)


def settle(node: Node, project: str, identity: IdentityStore) -> None:
    """Work out how the subjects of a project stand now, and take out of its index who may not be counted."""
    with writing(node.engine) as session:
        refresh(session, identity, project)
        close_to(session, gate(session, project, at=node.clock.now()))
        left = _left_meanwhile(session, identity, project)
        for subject in left:
            forget_in_index(session, project, subject)
    if left:
        compact(node.engine)


def _left_meanwhile(session: Session, identity: IdentityStore, project: str) -> set[str]:
    """Return the subjects of described series whom the identity store no longer knows.

    They were withdrawn after this run had asked for their pseudonyms and before it wrote them down.
    """
    described = SeriesRow.project == project, SeriesRow.directory == "", SeriesRow.subject != ""
    listed = set(session.scalars(select(SeriesRow.subject).where(*described).distinct()))
    return listed - {one.pseudonym for one in identity.known_subjects(project)}
