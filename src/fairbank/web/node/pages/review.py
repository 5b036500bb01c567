"""Images that are held until somebody has looked at them: groups, a sheet of each, one by one, the decision."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.responses import Response

from fairbank.deid.decisions import Verdict
from fairbank.deid.errors import NoPreview
from fairbank.deid.groups import reason_of
from fairbank.deid.outcomes import Reason
from fairbank.deid.pixels import sheets
from fairbank.deid.project_review import (
    decide_at_node,
    held_names,
    held_on_this_machine,
    held_projects,
    project_groups,
)
from fairbank.deid.project_samples import sampling_of_project
from fairbank.deid.reports.summary import Sampling
from fairbank.deid.running.verdicts import Decision, HeldGroup
from fairbank.release import showing
from fairbank.web import once
from fairbank.web.languages import mark
from fairbank.web.node import deciding
from fairbank.web.node.desk import Desk
from fairbank.web.node.page import NodePage, Visit
from fairbank.web.once import Bound
from fairbank.web.pages.page import Menu, Once
from fairbank.web.pages.serving import nothing_here

SHEET: Final = 40
# The riskiest first: what identifies for certain, then what may, then what nobody could judge.
_RISK: Final = (
    Reason.SEEN_IDENTIFYING, Reason.IDENTIFIER_IN_PIXELS, Reason.TEXT_REMAINS, Reason.BURNED_IN, Reason.FACE,
    Reason.FACE_REMAINS, Reason.IDENTIFIER_FOUND, Reason.PIXELS_REVIEW, Reason.PIXELS_UNVERIFIED,
)  # fmt: skip
REASONS: Final[dict[Reason, str]] = {
    Reason.SEEN_IDENTIFYING: mark("Somebody saw something identifying"),
    Reason.IDENTIFIER_IN_PIXELS: mark("An identifier of a subject was read in the picture"),
    Reason.TEXT_REMAINS: mark("Text was found that could not be removed"),
    Reason.BURNED_IN: mark("The device says that text is burned in"),
    Reason.FACE: mark("A face can be made out"),
    Reason.FACE_REMAINS: mark("A face is left after it was removed"),
    Reason.IDENTIFIER_FOUND: mark("An identifier is left in the header"),
    Reason.PIXELS_REVIEW: mark("Text may be in the picture"),
    Reason.PIXELS_UNVERIFIED: mark("This kind of device is not known"),
}
OTHERWISE: Final = mark("Cannot be cleaned as it is")
VERDICTS: Final[dict[Verdict, str]] = {
    Verdict.RELEASE: mark("Release: they show nothing identifying"),
    Verdict.KEEP_HELD: mark("Keep them held"),
    Verdict.DISCARD: mark("Discard: they are not wanted at all"),
}


@dataclass(frozen=True, slots=True)
class Group:
    """A group of held files, with its name for addresses."""

    id: str
    project: str
    title: str
    held: HeldGroup


@dataclass(frozen=True, slots=True)
class Sampled:
    """What people found in a sample of what went out of a project."""

    project: str
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Queue:
    """`node_review.html`."""

    waiting: tuple[Group, ...]
    decided: tuple[Group, ...]
    samples: tuple[Sampled, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """`node_sheet.html`: up to forty files of a group.

    Attributes:
        names: neutral names of the files that can be shown.
        first: number of the first one, from 0.
        missing: how many files are not on this machine.
        verdicts: what may be decided, with the words for it.
    """

    group: Group
    names: tuple[str, ...]
    first: int
    shown: int
    missing: int
    verdicts: tuple[tuple[str, str], ...]
    needs_person: bool
    person: str
    once: Once


@dataclass(frozen=True, slots=True)
class Item:
    """`node_item.html`: one file.

    Attributes:
        number: from 0; `count` files of the group can be shown.
        frames: how many there are; 0 where there is no picture, or it cannot be read.
        header: tag, name and value.
        keys: whether the reader has switched single keys on.
    """

    group: Group
    number: int
    count: int
    name: str
    frames: int
    frame: int
    problem: str
    header: tuple[tuple[str, str, str], ...]
    keys: bool


def list_(desk: Desk, visit: Visit) -> Queue:
    """Put the list together: the riskiest groups first."""
    found = sorted(_groups(desk), key=lambda one: (_risk(one.held), -one.held.files, one.id))
    samples = []
    for project in held_projects(desk.node.engine):
        sampling = sampling_of_project(desk.node.engine, project)
        samples += [Sampled(project, sampling)] if sampling is not None else []
    return Queue(
        tuple(one for one in found if one.held.verdict is None),
        tuple(one for one in found if one.held.verdict is not None),
        tuple(samples),
    )


def sheet(desk: Desk, visit: Visit) -> Sheet:
    """Put a sheet together; that it was looked at is written down once for all forty."""
    group = _group(desk, visit)
    there = _files(desk, group)
    first = min(_whole(visit.asked.get("from", "0")), max(0, len(there) - 1)) // SHEET * SHEET
    names = tuple(name for name, _ in there[first : first + SHEET])
    _note(desk, visit, group, {"files": len(names), "from": first})
    return Sheet(
        group=group,
        names=names,
        first=first,
        shown=len(there),
        missing=group.held.files - len(there),
        verdicts=tuple((one.value, VERDICTS[one]) for one in group.held.may),
        needs_person=desk.has_people(),
        person=visit.account.name,
        once=once.token(desk.forms, visit, _bound(desk, group)),
    )


def decide(desk: Desk, visit: Visit) -> Response:
    """Decide about the group as it was shown."""
    group = _group(desk, visit)

    def do() -> str:
        word = visit.form.get(deciding.DECISION, "")
        if word not in {one.value for one in group.held.may}:
            raise deciding.incomplete("Say what becomes of them.", "Nothing was chosen.")
        why = deciding.why(visit, needed=True)
        by, signer = deciding.signer(desk, visit)
        decision = Decision(group.held.group, Verdict(word), why, by)
        decide_at_node(desk.node, group.project, decision, signer=signer)
        return "/review"

    return once.act(desk.forms, visit, _bound(desk, group), do)


def item(desk: Desk, visit: Visit) -> Item:
    """Put the page of one file together."""
    group = _group(desk, visit)
    there, number = _files(desk, group), _whole(visit.given["number"])
    name, path = _of(there, number)
    _note(desk, visit, group, {"item": name})
    problem, count = "", 0
    header: tuple[tuple[str, str, str], ...] = ()
    try:
        count, header = sheets.header(path)
    except NoPreview as error:
        problem = error.why
    frame = min(_whole(visit.asked.get("frame", "0")), max(0, count - 1))
    return Item(
        group, number, len(there), name, count, frame, problem, header, visit.asked.get("keys") == "on"
    )


def picture(desk: Desk, visit: Visit) -> Response:
    """Return one picture: the small one, the brightest or darkest of all frames, or one frame."""
    group, view = _group(desk, visit), visit.given["view"]
    name, path = _of(_files(desk, group), _whole(visit.given["number"]))
    try:
        made = _drawn(path, view)
    except NoPreview as error:
        raise nothing_here() from error
    if view != "small":
        _note(desk, visit, group, {"item": name, "view": view})
    return Response(made, media_type="image/jpeg")


def words_of_reason(reason: str) -> str:
    """Return why a file is held, in English words; what a look cannot settle has one text for all."""
    known = {one.value: text for one, text in REASONS.items()}
    return known.get(reason, OTHERWISE)


def _drawn(path: Path, view: str) -> bytes:
    if view == "small":
        return sheets.small(path)
    if view in ("max", "min"):
        return sheets.over_all(path, brightest=view == "max")
    return sheets.frame(path, _whole(view))


def _groups(desk: Desk) -> list[Group]:
    return [
        Group(desk.opaque(project, one.group), project, words_of_reason(one.reason), one)
        for project in held_projects(desk.node.engine)
        for one in project_groups(desk.node.engine, project)
    ]


def _group(desk: Desk, visit: Visit) -> Group:
    for one in _groups(desk):
        if one.id == visit.given["group"]:
            return one
    raise nothing_here()


def _files(desk: Desk, group: Group) -> list[tuple[str, Path]]:
    return held_on_this_machine(desk.node, group.project, group.held.group)


def _of(there: list[tuple[str, Path]], number: int) -> tuple[str, Path]:
    if number >= len(there):
        raise nothing_here()
    return there[number]


def _bound(desk: Desk, group: Group) -> Bound:
    names = "\n".join(held_names(desk.node.engine, group.project, group.held.group))
    files = hashlib.sha256(names.encode()).hexdigest()
    return Bound(f"group {group.project} {group.held.group}", f"{group.held.at} {files}")


def _note(desk: Desk, visit: Visit, group: Group, detail: dict[str, object]) -> None:
    told = {"group": group.held.group, **detail}
    showing.note_image_view(desk.node, group.project, by=visit.account.name, detail=told)


def _risk(held: HeldGroup) -> int:
    reason = reason_of(held.group) or Reason(held.reason)
    return _RISK.index(reason) if reason in _RISK else len(_RISK)


def _whole(text: str) -> int:
    if not text.isdecimal() or len(text) > 7:
        raise nothing_here()
    return int(text)


PAGES = (
    NodePage("node_review", "/review", Queue, list_, menu=Menu(mark("Images"), 20)),
    NodePage("node_sheet", "/review/{group}", Sheet, sheet, acts={"decide": decide}),
    NodePage("node_item", "/review/{group}/{number}", Item, item),
    NodePage("node_picture", "/review/{group}/{number}/{view}", Response, picture),
)
