"""Images that somebody has to look at: what waits, a sheet of forty, and the decisions about it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.responses import Response

from fairbank.deid.decisions import Verdict
from fairbank.deid.errors import NoPreview, NotHeldAnyMore
from fairbank.deid.item_review import Earlier, ItemWord, Word, decide_items, earlier
from fairbank.deid.pixels import sheets
from fairbank.deid.pixels.found_places import places
from fairbank.deid.pixels.work import Box
from fairbank.deid.project_review import decide_at_node, held_names, held_projects
from fairbank.deid.project_samples import look_at_node, sampled_projects, sampling_of_project
from fairbank.deid.reports.summary import Sampling
from fairbank.deid.running.verdicts import Decision
from fairbank.release import showing
from fairbank.web import once
from fairbank.web.languages import mark
from fairbank.web.node import deciding
from fairbank.web.node.desk import Desk
from fairbank.web.node.errors import PictureUnseen
from fairbank.web.node.marks import Mark
from fairbank.web.node.page import NodePage, Visit
from fairbank.web.node.review_groups import CAUSES, Cause, Group, Shot, groups, left_of, remember
from fairbank.web.once import Bound
from fairbank.web.pages.page import Menu, Once
from fairbank.web.pages.serving import nothing_here

SHEET: Final = 40
AHEAD: Final = 3
FIELD: Final = "word-"
WORDS: Final[dict[Word, str]] = {
    Word.ACCEPT: mark("Accept"),
    Word.REFUSE: mark("Refuse"),
    Word.BLANK: mark("Blank"),
}
VERDICTS: Final[dict[Verdict, str]] = {
    Verdict.RELEASE: mark("Release: they show nothing identifying"),
    Verdict.KEEP_HELD: mark("Keep them held"),
    Verdict.DISCARD: mark("Discard: they are not wanted at all"),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """Groups for one cause."""

    cause: Cause
    title: str
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Sampled:
    """What people found in a sample of what went out of a project."""

    project: str
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Queue:
    """`node_review.html`; `unsampled` are the projects with held files of which no sample was drawn."""

    waiting: tuple[Kind, ...]
    decided: tuple[Group, ...]
    samples: tuple[Sampled, ...]
    unsampled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Thumb:
    """One file of a sheet; `word` is what was said of it and is not signed yet."""

    number: int
    name: str
    word: Word | None
    may: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """`node_sheet.html`: up to forty files of a group.

    Attributes:
        first: number of the first one, from 0; `shown` files can be looked at.
        missing: how many files are not on this machine.
        said: of how many files of this sheet something was said.
        verdicts: what may be decided of all of them, with the words for it.
        earlier: what was decided before on the same kind of device.
    """

    group: Group
    thumbs: tuple[Thumb, ...]
    first: int
    shown: int
    missing: int
    said: int
    words: tuple[tuple[Word, str], ...]
    verdicts: tuple[tuple[str, str], ...]
    earlier: tuple[Earlier, ...]
    needs_person: bool
    person: str
    once: Once


def list_(desk: Desk, visit: Visit) -> Queue:
    """Put the list together: the riskiest groups first."""
    node, found = desk.node, groups(desk)
    open_ = [one for one in found if one.held is None or not one.held.is_decided]
    sampled = sampled_projects(node.engine)
    known = [(project, sampling_of_project(node.engine, project)) for project in sampled]
    return Queue(
        waiting=tuple(
            Kind(cause, title, tuple(one for one in open_ if one.cause is cause))
            for cause, title in CAUSES.items()
            if any(one.cause is cause for one in open_)
        ),
        decided=tuple(one for one in found if one.held is not None and one.held.is_decided),
        samples=tuple(Sampled(project, one) for project, one in known if one is not None),
        unsampled=tuple(one for one in held_projects(node.engine) if one not in sampled),
    )


def sheet(desk: Desk, visit: Visit) -> Sheet:
    """Put a sheet together; that it was looked at is written down once for all forty."""
    group = group_of(desk, visit)
    there = left_of(desk, group)
    first = min(whole(visit.asked.get("from", "0")), max(0, len(there) - 1)) // SHEET * SHEET
    shots = there[first : first + SHEET]
    remember(desk, group, shots)
    coming = there[first + SHEET : first + 2 * SHEET]
    desk.ahead.make(
        {f"small {one.path}": partial(sheets.small, one.path) for one in shots}
        | {f"look {one.path}": partial(places, one.path) for one in shots[:AHEAD]}
        | {f"small {one.path}": partial(sheets.small, one.path) for one in coming}
    )
    said = desk.marks.of(visit.account.name, group.id)
    thumbs = tuple(_thumb(group, one, number, said) for number, one in enumerate(shots, first))
    note(desk, visit, group, {"files": len(thumbs), "from": first})
    held = group.held
    return Sheet(
        group=group,
        thumbs=thumbs,
        first=first,
        shown=len(there),
        missing=group.left - len(there),
        said=sum(one.word is not None for one in thumbs),
        words=tuple((one, WORDS[one]) for one in group.may),
        verdicts=tuple((one.value, VERDICTS[one]) for one in held.may) if held else (),
        earlier=tuple(earlier(desk.node.engine, group.about)),
        needs_person=desk.has_people(),
        person=visit.account.name,
        once=once.token(desk.forms, visit, _bound(desk, group)),
    )


def decide(desk: Desk, visit: Visit) -> Response:
    """Decide about the group as it was shown, by a rule."""
    group = group_of(desk, visit)

    def do() -> str:
        word = visit.form.get(deciding.DECISION, "")
        if group.held is None or word not in {one.value for one in group.held.may}:
            raise deciding.incomplete(mark("Say what becomes of them."), mark("Nothing was chosen."))
        why = deciding.why(visit, needed=True)
        by, signer = deciding.signer(desk, visit)
        decision = Decision(group.held.group, Verdict(word), why, by)
        decide_at_node(desk.node, group.project, decision, signer=signer)
        return "/review"

    return once.act(desk.forms, visit, _bound(desk, group), do)


def sign(desk: Desk, visit: Visit) -> Response:
    """Sign what was said of the files of a sheet, once for all."""
    group = group_of(desk, visit)
    there = {one.name: one for one in left_of(desk, group)}
    said = desk.marks.of(visit.account.name, group.id)
    words = {
        name.removeprefix(FIELD): value
        for name, value in visit.form.items()
        if name.startswith(FIELD) and value in set(Word)
    }

    def do() -> str:
        if not words:
            raise deciding.incomplete(
                mark("Say what becomes of them."), mark("Nothing was said of any file.")
            )
        if not words.keys() <= there.keys():
            raise NotHeldAnyMore(
                "Not all of these files wait any more.",
                why="Somebody has decided, or a run has changed what waits, since they were shown.",
                todo="Look at the group again.",
            )
        for name, word in words.items():
            check_seen(there[name], word)
        why = deciding.why(visit, needed=False)
        by, signer = deciding.signer(desk, visit)
        if group.held is None:
            seen = {there[name].key: word == Word.ACCEPT.value for name, word in words.items()}
            look_at_node(desk.node, group.project, seen, by=by, signer=signer)
        else:
            told = [ItemWord(name, Word(word), _areas(said, name)) for name, word in words.items()]
            decide_items(desk.node, group.project, group.held.group, told, why=why, by=by, signer=signer)
        desk.marks.forget(visit.account.name, group.id, words)
        return f"/review/{group.id}" if len(there) > len(words) else "/review"

    return once.act(desk.forms, visit, _bound(desk, group), do)


def group_of(desk: Desk, visit: Visit) -> Group:
    """Return the group that a visit asks for.

    Raises:
        NothingHere: if there is none.
    """
    for one in groups(desk):
        if one.id == visit.given["group"]:
            return one
    raise nothing_here()


def check_seen(shot: Shot, word: str) -> None:
    """Refuse to let a file go whose picture cannot be shown.

    Raises:
        PictureUnseen: if it was accepted or is to be blanked.
    """
    if word == Word.REFUSE:
        return
    try:
        sheets.small(shot.path)
    except NoPreview as error:
        raise PictureUnseen(
            "A picture that cannot be shown cannot be let go.",
            why=f"Nobody has seen what is in it: {error.why}.",
            todo="Refuse the file; it stays held.",
        ) from error


def note(desk: Desk, visit: Visit, group: Group, detail: dict[str, object]) -> None:
    """Write down that somebody looked at files of a group."""
    told = {"group": group.about or group.cause.value, **detail}
    showing.note_image_view(desk.node, group.project, by=visit.account.name, detail=told)


def whole(text: str) -> int:
    """Return a number of an address.

    Raises:
        NothingHere: if it is none.
    """
    if not text.isdecimal() or len(text) > 7:
        raise nothing_here()
    return int(text)


def _thumb(group: Group, shot: Shot, number: int, said: Mapping[str, Mark]) -> Thumb:
    mark_ = said.get(shot.name)
    # What is to be blanked is said where the file is seen as it is.
    may = tuple(
        one for one in group.may if one is not Word.BLANK or (mark_ is not None and mark_.word is one)
    )
    return Thumb(number, shot.name, mark_.word if mark_ else None, may)


def _areas(said: Mapping[str, Mark], name: str) -> tuple[Box, ...]:
    mark_ = said.get(name)
    return mark_.areas if mark_ is not None else ()


def _bound(desk: Desk, group: Group) -> Bound:
    if group.held is None:
        names, at = [one.key for one in left_of(desk, group)], ""
    else:
        names = held_names(desk.node.engine, group.project, group.held.group)
        at = f"{group.held.at} {group.held.one_by_one}"
    files = hashlib.sha256("\n".join(names).encode()).hexdigest()
    return Bound(f"group {group.project} {group.about or group.cause}", f"{at} {files}")


PAGES = (
    NodePage("node_review", "/review", Queue, list_, menu=Menu(mark("Images"), 20)),
    NodePage("node_sheet", "/review/{group}", Sheet, sheet, acts={"decide": decide, "sign": sign}),
)
