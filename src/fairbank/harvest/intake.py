"""Taking in what an archive describes, one page at a time: described, judged, pseudonymised, written together.

The archive is asked and the judge heard before the page's transaction begins. The same content again changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from fairbank.database import reading, writing
from fairbank.deid.annotators import KnownAs
from fairbank.deid.identity import IdentityStore
from fairbank.deid.outcomes import Status
from fairbank.deid.pseudonyms import SubjectPseudonyms
from fairbank.harvest.bookkeeping import ITEMS, SERIES, Route, noted, parts, put_items, put_series
from fairbank.harvest.described import SeriesDescription
from fairbank.harvest.errors import (
    HarvestError,
    SourceFailed,
    SourceLoginRefused,
    SourceUnreachable,
)
from fairbank.harvest.reports import ItemResult, Tally
from fairbank.harvest.rows import header_values, sheet_values, without_marks
from fairbank.harvest.sources.protocol import ArchiveDeid, Described, DescribesSeries, Item
from fairbank.harvest.states import GoneReason, State
from fairbank.harvest.sync import Stamp
from fairbank.harvest.tombstones import bury_series, note_moved
from fairbank.harvest.verdicts import Judge, Verdict
from fairbank.release.node import Node

# After so many items in a row that stop the archive's own telling, it is not the items that are at fault.
_STOPS_IN_A_ROW = 5
_OWNERS = ("source", "container", "local_id")


@dataclass(frozen=True, slots=True)
class _Taken:
    """A described item under its pseudonyms, or why it is left out."""

    item: Item
    series_uid: str | None
    values: Mapping[str, Any]
    digest: str
    left_out: str | None = None


class Intake:
    """Takes pages of items of one route into the index, within one run."""

    def __init__(
        self,
        node: Node,
        route: Route,
        *,
        run: str,
        stamp: Stamp,
        describer: DescribesSeries,
        identity: IdentityStore,
        judge: Judge,
        archive: ArchiveDeid | None,
        tally: Tally,
    ) -> None:
        self._node = node
        self._route = route
        self._run = run
        self._stamp = stamp
        self._describer = describer
        self._identity = identity
        self._judge = judge
        self._archive = archive
        self._tally = tally
        self._now = node.clock.now()
        with reading(node.engine) as session:
            self._graves = _has_graves(session, route)

    def take(self, items: Sequence[Item], *, first_number: int) -> list[ItemResult]:
        """Take one page of items in, and return what became of each, in their order.

        Raises:
            SourceUnreachable, SourceLoginRefused, HarvestError: if the archive goes away; what it had said of this page
                is written before.
        """
        described, stopped = self._described(items)
        taken = self._taken([one for one in described.values() if one.description is not None])
        with writing(self._node.engine, lasting=False) as session:
            errors = [one for one in described.values() if one.error is not None]
            self._tally.errors += len(errors)
            self._write(session, taken, errors)
        if stopped is not None:
            raise stopped
        left_out = {one.item.local_id for one in taken if one.left_out}
        return [
            self._result(number, item, described[item.local_id].error, left_out)
            for number, item in enumerate(items, start=first_number)
        ]

    def _described(self, items: Sequence[Item]) -> tuple[dict[str, Described], HarvestError | None]:
        """Return what the archive says of each item, and what stopped it, if anything did before the end."""
        found: dict[str, Described] = {}
        asked = {item.local_id for item in items}
        left, stops = list(items), 0
        while left:
            try:
                for one in self._describer.describe(self._route.container, left):
                    if one.item.local_id in asked:
                        found[one.item.local_id] = _storable(one)
                        stops = 0
            except (SourceUnreachable, SourceLoginRefused) as err:
                return found, err
            except HarvestError as err:
                stops += 1
                if stops >= _STOPS_IN_A_ROW:
                    return found, err
                left = [item for item in left if item.local_id not in found]
                # It is the first of which nothing was said that stopped it; the others are asked for again.
                found |= {item.local_id: Described(item, None, err) for item in left[:1]}
                left = left[1:]
            else:
                unsaid = (item for item in left if item.local_id not in found)
                found |= {item.local_id: Described(item, None, _unsaid()) for item in unsaid}
                break
        return found, None

    def _taken(self, described: Sequence[Described]) -> list[_Taken]:
        """Return what is to be written of described items."""
        descriptions = [one.description for one in described if one.description is not None]
        if not descriptions:
            return []
        verdicts = self._judge(descriptions, project=self._route.project, archive=self._archive)
        allowed = [
            description.subject.reveal()
            for description, verdict in zip(descriptions, verdicts, strict=True)
            if verdict.left_out is None
        ]
        # Nobody who is left out gets a salt.
        subjects = self._identity.subjects(self._route.project, allowed)
        found = []
        for one, description, verdict in zip(described, descriptions, verdicts, strict=True):
            subject = subjects.get(description.subject.reveal())
            if verdict.left_out is not None or subject is None:
                reason = verdict.left_out or GoneReason.CONSENT_WITHDRAWN.value
                found.append(_Taken(one.item, None, {}, "", left_out=reason))
                continue
            values = self._values(description, subject, verdict)
            found.append(_Taken(one.item, values["series_uid"], values, values["content_digest"]))
        return found

    def _values(
        self, description: SeriesDescription, subject: SubjectPseudonyms, verdict: Verdict
    ) -> dict[str, Any]:
        """Return all columns of the series' row."""
        facts, sheet = description.facts, description.sheet
        if description.annotated is not None:
            annotated = description.annotated(KnownAs(subject.uid, subject.person))
            sheet = replace(sheet, annotations=annotated)
        values = header_values(facts, at=self._now)
        values |= sheet_values(
            sheet, modality=facts.modality, body_part=facts.body_part, annotations=facts.annotations
        )
        if values["study_day"] is not None:
            # As in the research store: distances between the days of a subject are true, the days are not.
            values["study_day"] = max(1, values["study_day"] - subject.shift_days)
        values |= {
            "series_uid": subject.uid(description.series_uid.reveal()),
            "study_uid": subject.uid(description.study_uid.reveal()),
            "subject": subject.subject,
            "held": verdict.held,
        }
        values = {column: _text(value) for column, value in values.items()}
        return values | {
            "project": self._route.project,
            "source": self._route.source,
            "state": State.LIVE.value,
            "gone": None,
            "directory": "",
            "stat_token": "",
            "content_digest": _digest(values),
            "run": self._run,
            "seen": self._now,
        }

    def _write(self, session: Session, taken: Sequence[_Taken], errors: Sequence[Described]) -> None:
        route = self._route
        errors = [one for one in errors if _can_be_kept(one.item)]
        ids = [one.item.local_id for one in taken] + [one.item.local_id for one in errors]
        before = noted(session, route, ids)
        uids = [one.series_uid for one in taken if one.series_uid]
        owners, present = self._owners(session, uids), _present(session, route, uids)
        items: list[dict[str, Any]] = []
        series: dict[str, Mapping[str, Any]] = {}
        orphaned: dict[GoneReason, set[str]] = {reason: set() for reason in GoneReason}
        new_ids: list[str] = []
        for one in taken:
            known = before.get(one.item.local_id)
            former = known["series_uid"] if known else None
            items.append(self._item_row(one, known))
            if one.series_uid is None:
                self._tally.left_out += 1
                if former:
                    orphaned[GoneReason.CONSENT_WITHDRAWN].add(former)
                continue
            if former and former != one.series_uid:
                orphaned[GoneReason.DELETED].add(former)
            mine = (route.source, route.container, one.item.local_id)
            owner = min(owners.get(one.series_uid, mine), mine)
            owners[one.series_uid] = owner
            if owner != mine or one.series_uid in present.here:
                self._tally.shared += 1
                continue
            if present.live.get(one.series_uid) != (route.source, one.digest):
                series[one.series_uid] = one.values
            if self._count(known, one.digest):
                new_ids.append(one.item.local_id)
        put_series(session, list(series.values()))
        put_items(session, items + self._failed_rows(errors, before))
        for reason, gone in orphaned.items():
            bury_series(session, route, gone, reason)
        if self._graves and new_ids:
            note_moved(session, route, new_ids, uids)

    def _owners(self, session: Session, uids: Sequence[str]) -> dict[str, tuple[str, str, str]]:
        """Return which item each series of the project belongs to: where several stand for it, the first by key."""
        found: dict[str, tuple[str, str, str]] = {}
        for part in parts(uids):
            query = select(ITEMS.c.series_uid, *(ITEMS.c[name] for name in _OWNERS)).where(
                ITEMS.c.project == self._route.project,
                ITEMS.c.series_uid.in_(part),
                ITEMS.c.digest != "",
                ITEMS.c.state.in_([State.LIVE.value, State.MISSING.value]),
            )
            for uid, *key in session.execute(query):
                own = (key[0], key[1], key[2])
                found[uid] = min(found.get(uid, own), own)
        return found

    def _count(self, known: Mapping[str, Any] | None, digest: str) -> bool:
        """Count a series that was taken in, and tell whether it is new here."""
        if known is not None and known["state"] == State.TOMBSTONED:
            self._tally.returned += 1
        elif known is None or known["digest"] == "":
            self._tally.added += 1
        elif known["digest"] != digest:
            self._tally.updated += 1
            return False
        else:
            self._tally.unchanged += 1
            return False
        return True

    def _item_row(self, one: _Taken, known: Mapping[str, Any] | None) -> dict[str, Any]:
        left_out = one.left_out is not None
        return self._route.key(one.item.local_id) | {
            # What is left out is looked at again by each run: consent may have come.
            "version": "" if left_out else self._stamp(one.item),
            "digest": one.digest,
            "series_uid": one.series_uid,
            "state": (State.LEFT_OUT if left_out else State.LIVE).value,
            "misses": 0,
            "reason": one.left_out,
            "gone": None,
            "results": {},
            "run": self._run,
        }

    def _failed_rows(
        self, errors: Sequence[Described], before: Mapping[str, Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return the rows of items in error: as they were, but without a version, so that the next run tries again."""
        empty: dict[str, Any] = {
            "digest": "",
            "series_uid": None,
            "state": State.LIVE.value,
            "reason": None,
            "gone": None,
            "results": {},
        }
        rows = []
        for one in errors:
            as_it_was = dict(before.get(one.item.local_id, empty))
            if as_it_was["state"] == State.MISSING:
                as_it_was["state"] = State.LIVE.value
            key = self._route.key(one.item.local_id)
            rows.append(as_it_was | key | {"version": "", "misses": 0, "run": self._run})
        return rows

    def _result(self, number: int, item: Item, error: HarvestError | None, left_out: set[str]) -> ItemResult:
        reference = f"series #{number}"
        if error is not None:
            return ItemResult(reference, Status.ERROR, {}, error.code)
        return ItemResult(reference, Status.IMPOSSIBLE if item.local_id in left_out else Status.OK, {})


@dataclass(frozen=True, slots=True)
class _Present:
    """Which series the index has: of the research store, and of an archive with source and digest."""

    here: frozenset[str]
    live: Mapping[str, tuple[str, str]]


def _present(session: Session, route: Route, uids: Sequence[str]) -> _Present:
    here: set[str] = set()
    live: dict[str, tuple[str, str]] = {}
    for part in parts(uids):
        columns = (SERIES.c.series_uid, SERIES.c.state, SERIES.c.source, SERIES.c.directory)
        # Asked for the state too, a database would rather walk through all live series of the project.
        query = select(*columns, SERIES.c.content_digest).where(
            SERIES.c.project == route.project, SERIES.c.series_uid.in_(part)
        )
        for uid, state, source, directory, digest in session.execute(query):
            if state == State.LIVE and directory:
                here.add(uid)
            elif state == State.LIVE:
                live[uid] = (source, digest)
    return _Present(frozenset(here), live)


def _has_graves(session: Session, route: Route) -> bool:
    """Tell whether another container of the source has tombstones that may turn out to be moves."""
    query = exists().where(
        ITEMS.c.source == route.source,
        ITEMS.c.container != route.container,
        ITEMS.c.state == State.TOMBSTONED.value,
        ITEMS.c.reason == GoneReason.DELETED.value,
    )
    return bool(session.scalar(select(query)))


def _digest(values: dict[str, Any]) -> str:
    """Return the digest of what a row says, but not of when and by what it was found out."""
    text = json.dumps(without_marks(values), sort_keys=True, ensure_ascii=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _text(value: Any) -> Any:
    """Return a text without what no database keeps: NUL, and halves of characters from bytes that were no text."""
    if not isinstance(value, str) or (value.isascii() and "\0" not in value):
        return value
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _can_be_kept(item: Item) -> bool:
    return bool(_text(item.local_id) == item.local_id and _text(item.version) == item.version)


def _storable(one: Described) -> Described:
    """Return what was said of an item, or an error where its id cannot be noted."""
    return one if _can_be_kept(one.item) else Described(one.item, None, _unsaid())


def _unsaid() -> SourceFailed:
    return SourceFailed(
        "The archive said nothing usable of a series.",
        why="It left it out of its answer, or its id has characters that cannot be kept.",
        todo="Look at it in the archive by its reference; the other series are not affected.",
    )
