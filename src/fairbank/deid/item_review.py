"""Review of single held files at a node: what may be decided of one, a batch signed once, what was decided before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.database import reading, writing
from fairbank.deid.decisions import ItemDecision, Verdict
from fairbank.deid.errors import NotForAPerson, NotHeldAnyMore, NothingToBlank
from fairbank.deid.groups import may_be_blanked, reason_of
from fairbank.deid.pixels.work import Box
from fairbank.deid.running.verdicts import verdicts_for
from fairbank.deid.store import DecisionRow, ItemRow, decisions_of
from fairbank.deid.work_rows import ItemDecisionRow
from fairbank.release.node import Node
from fairbank.release.people import Signer
from fairbank.release.person_decisions import Act, decide
from fairbank.signing import Json


class Word(StrEnum):
    """What a person says of one file."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    BLANK = "blank"


@dataclass(frozen=True, slots=True)
class ItemWord:
    """A word on one file, by its neutral name; `areas` is what is blanked beside all that is found."""

    name: str
    word: Word
    areas: tuple[Box, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Return the decision that the word stands for."""
        return Verdict.KEEP_HELD if self.word is Word.REFUSE else Verdict.RELEASE


@dataclass(frozen=True, slots=True)
class Earlier:
    """A decision that was made before on the same kind of device: of a group, or of so many files one by one."""

    at: datetime
    agent: str
    project: str
    group: str
    verdict: Verdict
    why: str
    files: int | None
    blanked: bool


def words_for(group: str) -> tuple[Word, ...]:
    """Return what may be said of a file of a group.

    >>> [word.value for word in words_for("text-remains|US|ACME|X|4x4")]
    ['refuse', 'blank']
    """
    reason = reason_of(group)
    words = [Word.ACCEPT] if Verdict.RELEASE in verdicts_for(group) else []
    words.append(Word.REFUSE)
    if reason is None or may_be_blanked(reason):
        words.append(Word.BLANK)
    return tuple(words)


def decide_items(
    node: Node,
    project: str,
    group: str,
    words: Sequence[ItemWord],
    *,
    why: str,
    by: str,
    signer: Signer | None,
) -> int:
    """Keep what was said of files of one group, signed once for all; return how many there are.

    It takes effect with the next run or pull: what was accepted goes, what was refused stays held, and of what is to be
    blanked the areas and all that is found are blanked, looked at again by the machine, and then it goes.

    Args:
        why: in words that name nobody; reports quote it.
        by: who decides, where nobody is named at the node.

    Raises:
        PersonNeeded: if persons are named at the node and none signs.
        NotHeldAnyMore: if a file is not held in the group.
        NotForAPerson: if a person may not say so of such files.
        NothingToBlank: if a file is to be blanked and no area is given.
    """
    _check(group, words)
    with writing(node.engine) as session:
        known = _items(session, project, group)
        if not {one.name for one in words} <= known.keys():
            raise NotHeldAnyMore(
                "Not all of these files are held any more.",
                why="A run or a withdrawal has changed what waits since they were shown.",
                todo="Look at the group again.",
            )
        told: dict[str, Json] = {one.name: _told(one) for one in words}
        detail: dict[str, Json] = {"project": project, "group": group, "why": why, "files": told}
        signed = decide(session, node, Act.ITEMS_DECIDE, project, detail, signer=signer)
        counted = Counter(one.word.value for one in words)
        noted = {"group": group, **counted, **({"decision": signed} if signed else {})}
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=by,
            act=Act.ITEMS_DECIDE.value,
            target=project,
            detail=noted,
        )
        session.add_all(
            ItemDecisionRow(
                project=project,
                item_key=known[one.name],
                grp=group,
                verdict=one.verdict.value,
                areas=[list(_numbers(area)) for area in one.areas] if one.word is Word.BLANK else [],
                reason=why,
                agent=by,
                at=node.clock.now(),
            )
            for one in words
        )
    return len(words)


def decided_names(database: Engine, project: str, group: str) -> dict[str, ItemDecision]:
    """Return the decisions on single files of a group that hold now, by the files' neutral names."""
    with reading(database) as session:
        held = decisions_of(session, project).items
        items = _items(session, project, group)
        found = {name: held[item] for name, item in items.items() if item in held}
    return {name: one for name, one in found.items() if one.group == group}


def decided_one_by_one(session: Session, project: str) -> Mapping[str, int]:
    """Return of how many held files of each group something was decided one by one."""
    held = decisions_of(session, project).items
    if not held:
        return {}
    some = select(ItemDecisionRow.item_key).where(ItemDecisionRow.project == project)
    query = select(ItemRow.item_key, func.coalesce(ItemRow.grp, ItemRow.reason)).where(
        ItemRow.project == project, ItemRow.quarantine.is_not(None), ItemRow.item_key.in_(some)
    )
    rows = session.execute(query)
    return Counter(group for item, group in rows if item in held and held[item].group == group)


def earlier(database: Engine, group: str, *, most: int = 10) -> list[Earlier]:
    """Return what was decided before on the same kind of device, in all projects of the node, newest first."""
    kind = group.partition("|")[1:]
    if not all(kind):
        return []
    alike = "".join(kind)
    with reading(database) as session:
        found = [
            Earlier(row.at, row.agent, row.project, row.grp, Verdict(row.verdict), row.reason, None, False)
            for row in session.scalars(
                select(DecisionRow).where(DecisionRow.grp.endswith(alike, autoescape=True))
            )
        ]
        found += _together(
            session.scalars(
                select(ItemDecisionRow).where(ItemDecisionRow.grp.endswith(alike, autoescape=True))
            )
        )
    return sorted(found, key=lambda one: one.at, reverse=True)[:most]


def single_decisions(database: Engine, project: str) -> list[Earlier]:
    """Return what was decided of single files of a project: one line for all that one word was said of at once."""
    query = select(ItemDecisionRow).where(ItemDecisionRow.project == project)
    with reading(database) as session:
        return _together(session.scalars(query.order_by(ItemDecisionRow.number)))


def _together(rows: Iterable[ItemDecisionRow]) -> list[Earlier]:
    found: dict[tuple[object, ...], list[ItemDecisionRow]] = {}
    for row in rows:
        found.setdefault((row.at, row.project, row.grp, row.verdict, bool(row.areas)), []).append(row)
    return [
        Earlier(
            one[0].at,
            one[0].agent,
            one[0].project,
            one[0].grp,
            Verdict(one[0].verdict),
            one[0].reason,
            len(one),
            bool(one[0].areas),
        )
        for one in found.values()
    ]


def _check(group: str, words: Sequence[ItemWord]) -> None:
    may = words_for(group)
    for one in words:
        if one.word not in may:
            raise NotForAPerson(
                f"'{one.word}' cannot be said of files of this group.",
                why="They are held for a reason that looking at them does not settle.",
                todo=f"Say {' or '.join(may)}.",
            )
        if one.word is Word.BLANK and not one.areas:
            raise NothingToBlank(
                "It is not said what is to be blanked.",
                why="Nothing was found in the file, and no area was named.",
                todo="Open the file and name an area, or accept or refuse it.",
            )


def _items(session: Session, project: str, group: str) -> dict[str, str]:
    query = select(ItemRow.quarantine, ItemRow.item_key).where(
        ItemRow.project == project,
        ItemRow.quarantine.is_not(None),
        func.coalesce(ItemRow.grp, ItemRow.reason) == group,
    )
    return {str(name): item for name, item in session.execute(query.order_by(ItemRow.quarantine))}


def _told(one: ItemWord) -> list[Json]:
    areas: list[Json] = [list(_numbers(area)) for area in one.areas] if one.word is Word.BLANK else []
    return [one.word.value, *areas]


def _numbers(area: Box) -> tuple[int | None, ...]:
    return astuple(area)
