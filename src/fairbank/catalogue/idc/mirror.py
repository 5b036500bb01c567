"""The node of the mirror, and bringing what it publishes up to an index.

The hub holds the mirror's key itself, so the mirror's records are sealed, kept and shown like those of any node. A seal
of it says that this hub read an index of that digest, no more. Each collection is one transaction: what was published
before an interruption is found unchanged the next time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue import nodes
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import MirrorRefused, UnknownCollection
from fairbank.catalogue.idc.counts import count
from fairbank.catalogue.idc.record import AGENT, NODE, NODE_TITLE, TOOL, dataset_name, record_of
from fairbank.catalogue.idc.rows import Reading, read
from fairbank.catalogue.idc.source import Index
from fairbank.catalogue.records import dataset_iri, publish
from fairbank.catalogue.store import ActivityRow, DatasetRow, NodeRow
from fairbank.catalogue.withdrawal import withdraw
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.ontology.record import Activity, DatasetRecord
from fairbank.ontology.withdrawal import WithdrawalReason
from fairbank.signing import SigningKey, canonical, sha256_digest

KEY_FILE: Final = "mirror-idc.pem"


class Outcome(StrEnum):
    """What became of a collection."""

    NEW = "new"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    WITHDRAWN = "withdrawn"
    GONE = "gone from the index"
    STAYS_WITHDRAWN = "withdrawn before"
    NO_NAME = "its id cannot be a name"


CHANGES: Final = frozenset({Outcome.NEW, Outcome.UPDATED, Outcome.WITHDRAWN})


@dataclass(frozen=True, slots=True)
class Step:
    """One collection was dealt with.

    Attributes:
        collection: its id in the index; the name of its dataset if it is gone from there.
        series: how many of its series count.
    """

    collection: str
    outcome: Outcome
    series: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """What to import.

    Attributes:
        collections: ids; empty means all.
        limit: at most so many collections, by the order of their ids. A collection is never imported in part.
        withdraw_missing: withdraw, for good, the datasets whose collections the index no longer has.
    """

    collections: Sequence[str] = ()
    limit: int | None = None
    withdraw_missing: bool = False

    @property
    def is_whole(self) -> bool:
        """Tell whether it asks for everything, so that what is missing is missing in the index."""
        return not self.collections and self.limit is None


@dataclass(frozen=True, slots=True)
class Report:
    """What an import did.

    Attributes:
        rows: how many rows the index has.
        left_out: rows that do not count, by reason.
        unknown: values that were not understood, by column.
    """

    steps: tuple[Step, ...]
    rows: int
    left_out: Counter[str]
    unknown: Counter[str]

    @property
    def outcomes(self) -> Counter[Outcome]:
        """Return how many collections ended how."""
        return Counter(step.outcome for step in self.steps)

    @property
    def series(self) -> int:
        """Return how many series are described."""
        described = (Outcome.NEW, Outcome.UPDATED, Outcome.UNCHANGED)
        return sum(step.series for step in self.steps if step.outcome in described)


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told how an import goes; by default nobody.

    Attributes:
        read: takes how many rows of how many were read.
        published: takes how many collections of how many were dealt with.
    """

    read: Callable[[int, int], None] = lambda done, total: None
    published: Callable[[int, int], None] = lambda done, total: None


def import_index(hub: Hub, index: Index, wish: Wish | None = None, *, watch: Watch | None = None) -> Report:
    """Publish the collections of an index, as far as they say something new.

    Raises:
        IndexRefused: if the index cannot be read.
        MirrorRefused: if the mirror's node is not the hub's own.
        UnknownCollection: if one that was named is not in the index.
    """
    wish, watch = wish or Wish(), watch or Watch()
    key = mirror_key(hub)
    named = [name.lower() for name in wish.collections]
    found = read(index, only=named or None, progress=watch.read)
    _check_named(named, found)
    chosen = list(found.collections)[: wish.limit]
    steps = []
    taken: set[str] = set()
    for done, collection in enumerate(chosen, start=1):
        # Taken out, so that what was counted can be forgotten.
        counts = count(found.collections.pop(collection))
        name = dataset_name(collection)
        if name is None or name in taken:
            steps.append(Step(collection, Outcome.NO_NAME, counts.series))
        else:
            taken.add(name)
            record = record_of(index, collection, counts, dataset=name, at=hub.clock.now())
            steps.append(Step(collection, _bring(hub, record, key), counts.series))
        watch.published(done, len(chosen))
    if wish.is_whole:
        steps += _missing(hub, taken, withdraw_them=wish.withdraw_missing)
    hub.notifier.notify()
    return Report(tuple(steps), found.rows, found.left_out, found.unknown)


def mirror_key(hub: Hub) -> SigningKey:
    """Return the key of the mirror's node, which is made and entered the first time.

    Raises:
        MirrorRefused: if another node has the name, or the key is gone.
    """
    path = hub.settings.keys_path / KEY_FILE
    with writing(hub.engine) as session:
        row = session.get(NodeRow, NODE)
        if row is None:
            if not path.exists():
                SigningKey.generate().save(path)
            key = SigningKey.load(path)
            nodes.enter(session, hub, name=NODE, key=key.key_id, title=NODE_TITLE, actor=AGENT, detail={})
            return key
    if not path.exists() or SigningKey.load(path).key_id != row.key_id:
        raise MirrorRefused(
            f"The node {NODE!r} does not have the mirror's key.",
            why="A biobank enrolled under this name, or the key file of the mirror is lost or another.",
            todo=f"Restore {KEY_FILE} in the hub's folder of keys, from the same backup as the database.",
        )
    if row.revoked is not None:
        raise MirrorRefused(
            f"The node {NODE!r} was shut out.",
            why="Nothing is published any more under a node that was shut out.",
            todo="What it published before stays; a shut-out cannot be taken back.",
        )
    return SigningKey.load(path)


def is_mirrored(hub: Hub, iri: str) -> bool:
    """Tell whether a dataset is the mirror's, and not one of a biobank that has its name."""
    under = dataset_iri(hub, NODE, "")
    # The key is made only where nobody has the name.
    return iri.startswith(under) and (hub.settings.keys_path / KEY_FILE).exists()


def is_unchanged(session: Session, row: DatasetRow, record: DatasetRecord) -> bool:
    """Tell whether a record says what the newest version says, but for when and by which version of us it was made."""
    activities = session.scalars(
        select(ActivityRow).where(ActivityRow.iri == row.iri).order_by(ActivityRow.place)
    ).all()
    if len(activities) != len(record.provenance):
        return False
    steps = zip(record.provenance, activities, strict=True)
    as_before = record.model_copy(
        update={
            "version": row.version,
            "created": iso(row.created),
            "provenance": tuple(_as_before(step, before) for step, before in steps),
        }
    )
    return sha256_digest(canonical(as_before.payload())) == row.digest


def _as_before(step: Activity, before: ActivityRow) -> Activity:
    if step.tool != TOOL:
        return step
    ours = {
        "started": iso(before.started),
        "ended": iso(before.ended),
        "tool_version": before.tool_version,
    }
    return step.model_copy(update=ours)


def _bring(hub: Hub, record: DatasetRecord, key: SigningKey) -> Outcome:
    """Publish a record if it says something new, in a transaction of its own."""
    iri = dataset_iri(hub, NODE, record.dataset)
    with writing(hub.engine) as session:
        row = session.get(DatasetRow, iri)
        if row is not None:
            if row.withdrawn is not None:
                return Outcome.STAYS_WITHDRAWN
            if is_unchanged(session, row, record):
                return Outcome.UNCHANGED
            record = record.model_copy(update={"version": row.version + 1})
        published, sealed = DatasetRecord.open(record.seal(key), trusted=[key.key_id])
        publish(session, hub, published, sealed)
    return Outcome.NEW if row is None else Outcome.UPDATED


def _missing(hub: Hub, taken: Collection[str], *, withdraw_them: bool) -> list[Step]:
    """Deal with the datasets that the index no longer has."""
    there = select(DatasetRow.dataset).where(DatasetRow.node == NODE, DatasetRow.withdrawn.is_(None))
    with reading(hub.engine) as session:
        gone = sorted(name for name in session.scalars(there) if name not in taken)
    for name in gone if withdraw_them else ():
        with writing(hub.engine) as session:
            withdraw(
                session,
                hub,
                iri=dataset_iri(hub, NODE, name),
                reason=WithdrawalReason.ACCESS_LOST,
                actor=AGENT,
            )
    return [Step(name, Outcome.WITHDRAWN if withdraw_them else Outcome.GONE) for name in gone]


def _check_named(named: Sequence[str], found: Reading) -> None:
    if strange := [name for name in named if name not in found.collections]:
        raise UnknownCollection(
            f"The index has no collection {', '.join(map(repr, strange))}.",
            why="Nothing was imported.",
            todo="Name it as the index does, such as nlst or tcga_brca.",
        )
