"""The cohort of a job: frozen when the job is approved, checked again before every run, never told to anybody.

New series never enter. Series that have gone, or whose content has changed, leave it; while enough subjects remain, the
node seals that and goes on.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import Field
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.clock import iso
from fairbank.errors import FairbankError
from fairbank.federated_jobs.errors import CohortInsufficient, NotForThisSite
from fairbank.federated_jobs.node.site_keys import cohort_secret
from fairbank.federated_jobs.node.store import ApprovalRow, CohortRow, ShrinkageRow
from fairbank.ontology.data_use import asked_from
from fairbank.ontology.data_use_facts import Asked
from fairbank.ontology.signed_objects import Manifest, Request, Selector, SignedObject
from fairbank.ontology.wire import DigestText, Id, Moment
from fairbank.release.node import Node

# Asked twice in every round, so it takes the plain table and is put together once.
_COHORT = CohortRow.metadata.tables[CohortRow.__tablename__]
_FROZEN = select(_COHORT.c.dataset, _COHORT.c.series_uid, _COHORT.c.content_digest, _COHORT.c.gone).where(
    _COHORT.c.job == bindparam("job")
)
_HMAC = r"^hmac-sha256:[0-9a-f]{64}$"


class Series(Protocol):
    """What a cohort needs of an indexed series."""

    @property
    def series_uid(self) -> str:
        """Return the series' pseudonymous UID."""
        ...

    @property
    def subject(self) -> str:
        """Return the subject's pseudonym."""
        ...

    @property
    def content_digest(self) -> str:
        """Return the digest of the series' content."""
        ...

    @property
    def directory(self) -> Path:
        """Return the folder of the series' files."""
        ...


class CohortSource(Protocol):
    """Selects series of a dataset of this site; the index of `harvest` is one."""

    def __call__(
        self, session: Session, dataset: str, selector: Selector, /, *, at: datetime
    ) -> Sequence[Series]:
        """Return the series that a selector takes and that may be used at a moment."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """One series of a cohort."""

    dataset: str
    series_uid: str
    subject: str
    content_digest: str
    directory: Path


@dataclass(frozen=True, slots=True)
class Cohort:
    """The series that a job may use now, sorted; and their keyed digest."""

    members: tuple[Member, ...]
    digest: str

    @property
    def subjects(self) -> int:
        """Return the number of different subjects."""
        return len({member.subject for member in self.members})


class CohortShrunk(SignedObject):
    """The node's word that an approved cohort became smaller; sealed with the node's key, it stays at the site."""

    schema_name = "cohort-shrunk/1"
    kind = "cohort-shrunk"

    job: Id
    approval: DigestText
    before: Annotated[str, Field(pattern=_HMAC)]
    after: Annotated[str, Field(pattern=_HMAC)]
    size: Annotated[int, Field(ge=1)]
    created: Moment


@dataclass(frozen=True, slots=True)
class HarvestIndex:
    """Selects from the local index: nobody whose consent does not hold at the moment, or is for other purposes."""

    asked: Asked | None = None

    def __call__(
        self, session: Session, dataset: str, selector: Selector, /, *, at: datetime
    ) -> Sequence[Series]:
        """Return the series that a selector takes and that may be used at a moment, for the purpose asked for."""
        from fairbank.harvest.selection import select as from_index

        return from_index(session, dataset, selector, at=at, asked=self.asked)


harvest_index = HarvestIndex()


def serving(source: CohortSource, request: Request, *, at: datetime) -> CohortSource:
    """Return a source that leaves out whose consent does not cover the purpose of a request."""
    return HarvestIndex(asked_from(request, at)) if isinstance(source, HarvestIndex) else source


def harvest_intact(member: Member) -> bool:
    """Return whether a series' files are now what the local index said when the cohort was frozen."""
    from fairbank.harvest.index import content_digest_of

    return content_digest_of(member.directory, member.series_uid) == member.content_digest


def mark_gone(node: Node, session: Session, job: str, members: Iterable[Member]) -> None:
    """Take series out of a frozen cohort for good; the next check seals that it shrank."""
    for member in members:
        session.get_one(CohortRow, (job, member.dataset, member.series_uid)).gone = node.clock.now()


def smallest(node: Node, manifest: Manifest) -> int:
    """Return how many subjects a cohort needs: the site's k, or what the job's outputs ask for if that is more."""
    return max(node.settings.release_minimum_count, *(output.minimum_count for output in manifest.outputs))


def draw(
    node: Node,
    session: Session,
    source: CohortSource,
    datasets: Mapping[str, Selector],
    *,
    at_least: int,
) -> Cohort:
    """Select the cohort of a job that has not been approved yet.

    Raises:
        NotForThisSite: if a dataset is not one of this site.
        CohortInsufficient: if too few subjects match; how many is not told.
    """
    members: list[Member] = []
    for dataset in sorted(datasets):
        members += _members(session, source, dataset, datasets[dataset], at=node.clock.now())
    return _enough(_cohort(node, members), at_least)


def freeze(session: Session, job: str, cohort: Cohort) -> None:
    """Write down the cohort of an approved job."""
    for member in cohort.members:
        session.add(
            CohortRow(
                job=job,
                dataset=member.dataset,
                series_uid=member.series_uid,
                subject=member.subject,
                content_digest=member.content_digest,
            )
        )


def frozen_digest(node: Node, session: Session, job: str) -> str:
    """Return the keyed digest of a job's cohort as it was frozen, with the series that have left it since."""
    rows = session.connection().execute(_FROZEN, {"job": job})
    return _digest(node, sorted((row.dataset, row.series_uid, row.content_digest) for row in rows))


def still_holds(node: Node, session: Session, source: CohortSource, job: str) -> bool:
    """Return whether all series that a job may use are still there, and change nothing."""
    rows = session.connection().execute(_FROZEN, {"job": job})
    wanted: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        if row.gone is None:
            wanted[row.dataset].add((row.series_uid, row.content_digest))
    return all(
        series <= {(one.series_uid, one.content_digest) for one in _there(node, session, source, dataset)}
        for dataset, series in wanted.items()
    )


def recheck(
    node: Node, session: Session, source: CohortSource, approval: ApprovalRow, *, at_least: int
) -> Cohort:
    """Return what is left of a frozen cohort, sealing it if it shrank.

    Raises:
        CohortInsufficient: if too few subjects are left.
    """
    rows = session.connection().execute(_FROZEN, {"job": approval.job})
    frozen = [row for row in rows if row.gone is None]
    there: dict[tuple[str, str], Member] = {}
    for dataset in sorted({row.dataset for row in frozen}):
        # The widest selector: what was chosen was frozen, so only presence and content are asked for now.
        for member in _there(node, session, source, dataset):
            there[dataset, member.series_uid] = member
    left = []
    for row in frozen:
        found = there.get((row.dataset, row.series_uid))
        if found is None or found.content_digest != row.content_digest:
            session.get_one(CohortRow, (approval.job, row.dataset, row.series_uid)).gone = node.clock.now()
        else:
            left.append(found)
    cohort = _enough(_cohort(node, left), at_least)
    if cohort.digest != approval.cohort_digest:
        _seal_shrinkage(node, session, approval, cohort)
    return cohort


def _there(node: Node, session: Session, source: CohortSource, dataset: str) -> list[Member]:
    return _members(session, source, dataset, Selector(), at=node.clock.now())


def _members(
    session: Session, source: CohortSource, dataset: str, selector: Selector, *, at: datetime
) -> list[Member]:
    try:
        found = source(session, dataset, selector, at=at)
    except FairbankError as err:
        raise NotForThisSite(
            f"There is no dataset {dataset!r} to select from at this site.", why=err.what, todo=err.todo
        ) from err
    return [
        Member(dataset, series.series_uid, series.subject, series.content_digest, Path(series.directory))
        for series in found
    ]


def _cohort(node: Node, members: Iterable[Member]) -> Cohort:
    ordered = sorted(members, key=lambda member: (member.dataset, member.series_uid))
    named = ((member.dataset, member.series_uid, member.content_digest) for member in ordered)
    return Cohort(tuple(ordered), _digest(node, named))


def _digest(node: Node, ordered: Iterable[tuple[str, str, str]]) -> str:
    """Return the keyed digest of dataset, series and content digest of each series, in order."""
    lines = "".join(f"{dataset}\0{series_uid}\0{content}\n" for dataset, series_uid, content in ordered)
    keyed = hmac.digest(cohort_secret(node.settings), f"fairbank/cohort/1\n{lines}".encode(), "sha256")
    return f"hmac-sha256:{keyed.hex()}"


def _enough(cohort: Cohort, at_least: int) -> Cohort:
    if cohort.subjects >= at_least:
        return cohort
    raise CohortInsufficient(
        f"Fewer than {at_least} subjects of this site match the job.",
        why="Nothing may leave a site that was computed on fewer.",
        todo="The requester can widen the selection; the site's own limit is release_minimum_count.",
    )


def _seal_shrinkage(node: Node, session: Session, approval: ApprovalRow, cohort: Cohort) -> None:
    shrunk = CohortShrunk(
        job=approval.job,
        approval=approval.digest,
        before=approval.cohort_digest,
        after=cohort.digest,
        size=len(cohort.members),
        created=iso(node.clock.now()),
    )
    envelope = shrunk.seal(node.key)
    _, sealed = CohortShrunk.open(envelope, trusted=[node.key.key_id])
    session.add(ShrinkageRow(digest=sealed.digest, job=approval.job, envelope=envelope, at=node.clock.now()))
    approval.cohort_digest = cohort.digest
    audit.record(
        session,
        audit.NodeAudit,
        clock=node.clock,
        actor=node.key.key_id,
        act="cohort.shrink",
        target=approval.job,
        detail={"shrinkage": sealed.digest},
    )
