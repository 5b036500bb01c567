"""What the descriptions of collections lack by the export profiles, for those who can mend it: field by field.

A stored record never changes, so what it lacks is worked out once and kept in the process by the record's digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.store import DatasetRow, VersionRow
from fairbank.catalogue.visibility import visible
from fairbank.clock import iso
from fairbank.errors import FairbankError
from fairbank.ontology.profiles.facts import Facts
from fairbank.ontology.profiles.judging import Score, State
from fairbank.ontology.profiles.listing import PROFILES
from fairbank.ontology.profiles.rows import NodeKind, Origin, Profile, Severity
from fairbank.ontology.profiles.scorecard import scorecard
from fairbank.ontology.profiles.values import withheld
from fairbank.ontology.record import DatasetRecord

WEEK: Final = timedelta(days=7)
# Records that are opened for one answer; who asks again gets the next. Most take 20 ms, the largest a second.
AT_ONCE: Final = 50
MOST: Final = 2000
_KEPT_AT_MOST: Final = 20_000
_ORDER: Final = tuple(Severity)
_kept: dict[tuple[str, str, str], frozenset[Lack]] = {}


class Mend(StrEnum):
    """Who can do something about what is missing."""

    CURATOR = "curator"
    SOURCE = "source"
    COMPUTED = "computed"
    CONSTANT = "constant"
    # The number is there and is too small to be told.
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Lack:
    """One property that a profile asks for and a record does not meet.

    Attributes:
        profile: title of the profile.
        resource: what the property is of, as the profile names it.
        field: what the curator fills in; empty where she cannot.
        kind: what a value has to be.
        unfit: there is a value, and it does not fit.
        note: what is wrong with it, or what the profile remarks.
    """

    profile: str
    resource: str
    path: str
    field: str
    severity: Severity
    kind: NodeKind
    most: int | None
    mend: Mend
    unfit: bool
    note: str

    @property
    def key(self) -> tuple[str, str]:
        """Return by what lacks of several profiles are one: the curator's field, else the property of the resource."""
        return (self.field, "") if self.field else (self.resource, self.path)


@dataclass(frozen=True, slots=True)
class Judged:
    """A collection and what its newest record lacks.

    Attributes:
        mended: what a record of a week ago lacked and the newest does not, by `Lack.key`.
        fault: why its record cannot be judged; empty where it can.
    """

    node: str
    dataset: str
    title: str
    version: int
    published: datetime
    lacks: frozenset[Lack]
    mended: tuple[tuple[str, str], ...] = ()
    fault: str = ""

    @property
    def id(self) -> str:
        """Return its name as addresses have it."""
        return f"{self.node}/{self.dataset}"

    def left(self, severity: Severity) -> int:
        """Return how many fields of a severity it lacks, each counted once and where it is wanted most."""
        worst: dict[tuple[str, str], Severity] = {}
        for lack in self.lacks:
            worst[lack.key] = min(worst.get(lack.key, lack.severity), lack.severity, key=_ORDER.index)
        return sum(each is severity for each in worst.values())


@dataclass(frozen=True, slots=True)
class Review:
    """What was judged; `waiting` are collections that the next question judges, `more` are beyond the bound."""

    judged: tuple[Judged, ...]
    waiting: int
    more: int


def of_nodes(who: Account) -> frozenset[str] | None:
    """Return the nodes whose collections somebody looks after; None: of all."""
    return None if who.has(Role.ADMIN) else who.scopes if who.has(Role.CURATOR) else frozenset()


def review(session: Session, hub: Hub, who: Account, *, now: datetime) -> Review:
    """Return what the collections lack that somebody looks after, by node and name.

    At most `AT_ONCE` records are opened that were not opened before; a record that cannot be opened is named and
    keeps none of the others from being judged.
    """
    nodes = of_nodes(who)
    chosen = select(DatasetRow).where(visible(who))
    if nodes is not None:
        chosen = chosen.where(DatasetRow.node.in_(sorted(nodes)))
    every = session.scalar(select(func.count()).select_from(chosen.subquery())) or 0
    rows = session.scalars(chosen.order_by(DatasetRow.node, DatasetRow.dataset).limit(MOST)).all()
    before = _before(session, [row.iri for row in rows if row.published > now - WEEK], now - WEEK)
    judged, opened, waiting = [], 0, 0
    for row in rows:
        wanted = [(row.iri, row.version), *([(row.iri, before[row.iri])] if row.iri in before else [])]
        missing = [each for each in wanted if _key(hub, session, row, each[1]) not in _kept]
        if missing and opened >= AT_ONCE:
            waiting += 1
            continue
        opened += len(missing)
        judged.append(_judged(hub, session, row, before.get(row.iri)))
    return Review(tuple(judged), waiting, max(0, every - len(rows)))


def _judged(hub: Hub, session: Session, row: DatasetRow, before: int | None) -> Judged:
    lacks: frozenset[Lack] = frozenset()
    mended: tuple[tuple[str, str], ...] = ()
    fault = ""
    try:
        lacks = _lacks(hub, session, row, row.version)
        if before is not None:
            still = {lack.key for lack in lacks}
            once = {lack.key for lack in _lacks(hub, session, row, before)}
            mended = tuple(sorted(once - still))
    except FairbankError as error:
        fault = f"{error.what} {error.why} ({error.code})"
    return Judged(row.node, row.dataset, row.title, row.version, row.published, lacks, mended, fault)


def _before(session: Session, iris: Sequence[str], until: datetime) -> Mapping[str, int]:
    """Return the version of each dataset that was the newest at a moment, where there was one."""
    found = session.execute(
        select(VersionRow.iri, func.max(VersionRow.version))
        .where(VersionRow.iri.in_(list(iris)), VersionRow.received <= until)
        .group_by(VersionRow.iri)
    )
    return {iri: version for iri, version in found if version is not None}


def _key(hub: Hub, session: Session, row: DatasetRow, version: int) -> tuple[str, str, str]:
    digest = row.digest
    if version != row.version:
        digest = session.scalars(
            select(VersionRow.digest).where(VersionRow.iri == row.iri, VersionRow.version == version)
        ).one()
    return digest, hub.base_iri, iso(row.first_published)


def _lacks(hub: Hub, session: Session, row: DatasetRow, version: int) -> frozenset[Lack]:
    key = _key(hub, session, row, version)
    if key not in _kept:
        stored = session.get_one(VersionRow, (row.iri, version))
        record = DatasetRecord.open(stored.envelope, trusted=[stored.signer])[0]
        if len(_kept) >= _KEPT_AT_MOST:
            _kept.clear()
        _kept[key] = frozenset(
            lack
            for profile in PROFILES.values()
            for lack in of_profile(
                profile, Facts(record, hub.base_iri, iso(row.first_published), profile.name)
            )
        )
    return _kept[key]


def of_profile(profile: Profile, facts: Facts) -> Iterable[Lack]:
    """Yield what a record lacks by one profile; nothing where the profile is for another level of access."""
    scores = scorecard(profile, facts)
    if any(score.state is State.UNFIT and score.row.value == "access_rights" for score in scores):
        return
    for score in scores:
        # What a profile only allows is not missed.
        if score.state is not State.MET and score.severity is not Severity.INFO:
            yield _lack(profile, score, facts)


def _lack(profile: Profile, score: Score, facts: Facts) -> Lack:
    nobody = score.state is State.MISSING and withheld(score.row.value, facts) is not None
    return Lack(
        profile=profile.title,
        resource=score.table.name,
        path=score.name,
        field=score.field,
        severity=score.severity,
        kind=score.row.range.kind,
        most=score.row.most,
        mend=Mend.NOBODY if nobody else _MENDS[score.filler],
        unfit=score.state is State.UNFIT,
        note=score.note,
    )


_MENDS: Final[Mapping[Origin, Mend]] = {
    Origin.CURATOR: Mend.CURATOR,
    Origin.SOURCE: Mend.SOURCE,
    Origin.COMPUTED: Mend.COMPUTED,
    Origin.CONSTANT: Mend.CONSTANT,
}
