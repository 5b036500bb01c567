"""One image that somebody has to look at: its pictures, what was found in it, its header before and after, a word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.responses import Response

from fairbank.deid.errors import NoPreview, NothingToBlank, TextToolsMissing
from fairbank.deid.header_preview import Change, HeaderPreview, HeaderRow, header_preview
from fairbank.deid.item_review import Earlier, Word, earlier
from fairbank.deid.pixels import sheets
from fairbank.deid.pixels.boxes import within
from fairbank.deid.pixels.found_places import Places, places
from fairbank.deid.pixels.work import Box
from fairbank.errors import told
from fairbank.web.languages import mark
from fairbank.web.node.desk import Desk
from fairbank.web.node.marks import Mark
from fairbank.web.node.page import NodePage, Visit
from fairbank.web.node.pages.review import AHEAD, SHEET, WORDS, check_seen, group_of, note, whole
from fairbank.web.node.review_groups import Group, Shot, all_of, left_of, remembered
from fairbank.web.pages.serving import nothing_here
from fairbank.web.pages.visits import to

# Key, name and text, for buttons and links and for the help alike.
KEYS: Final[tuple[tuple[str, str, str], ...]] = (
    ("j", "next", mark("Next file")),
    ("k", "before", mark("File before")),
    ("a", "accept", mark("Accept, and go to the next")),
    ("r", "refuse", mark("Refuse, and go to the next")),
    ("b", "blank", mark("Blank what is drawn, and go to the next")),
    ("u", "unsay", mark("Take your word back")),
    ("h", "frame-before", mark("Frame before")),
    ("l", "frame-next", mark("Next frame")),
    ("f", "whole", mark("Look in every frame, and read")),
    ("s", "sheet", mark("The sheet, to sign")),
)
EDGES: Final[dict[str, str]] = {
    "top": mark("A strip at the top"),
    "bottom": mark("A strip at the bottom"),
    "left": mark("A strip at the left"),
    "right": mark("A strip at the right"),
}
CHANGES: Final[dict[Change, str]] = {
    Change.KEPT: mark("stays"),
    Change.CHANGED: mark("changed"),
    Change.EMPTIED: mark("emptied"),
    Change.REMOVED: mark("removed"),
    Change.ADDED: mark("added"),
}
_STRIP: Final = 8
_MOST_AREAS: Final = 50


@dataclass(frozen=True, slots=True)
class Outline:
    """A box to draw and to list; `frame` is None where it is in every frame.

    Attributes:
        look: `known` for what rules say, `found` for what a look found, `named` for what a person named.
    """

    look: str
    left: int
    top: int
    width: int
    height: int
    frame: int | None


@dataclass(frozen=True, slots=True)
class Item:
    """`node_item.html`: one file.

    Attributes:
        number: from 0; `count` files of the group are left, and `following` is the name of the next.
        frames: how many there are; 0 where there is no picture, or it cannot be read.
        said: what the reader has said of it and not signed yet.
        rows: of the picture; `columns` too.
        is_whole: whether every frame was looked at and text was read.
        no_tools: whether text cannot be read here.
        header: before and after; None where it was cleaned already, or cannot be: then `plain` is all there is.
        keys: whether the reader has switched single keys on.
    """

    group: Group
    number: int
    count: int
    name: str
    following: str
    frames: int
    frame: int
    problem: str
    said: Word | None
    words: tuple[tuple[Word, str], ...]
    rows: int
    columns: int
    boxes: tuple[Outline, ...]
    found_by: tuple[str, ...]
    is_whole: bool
    no_tools: bool
    header: HeaderPreview | None
    plain: tuple[tuple[str, str, str], ...]
    earlier: tuple[Earlier, ...]
    keys: bool
    shortcuts: tuple[tuple[str, str, str], ...]
    edges: tuple[tuple[str, str], ...]
    changes: dict[Change, str]

    @property
    def key(self) -> dict[str, str]:
        """Return the single keys, by the names of what they do."""
        return {name: key for key, name, _ in self.shortcuts}

    @property
    def changed(self) -> tuple[HeaderRow, ...]:
        """Return the elements that do not stay as they are."""
        return tuple(one for one in self.header.rows if one.change is not Change.KEPT) if self.header else ()


def item(desk: Desk, visit: Visit) -> Item:
    """Put the page of one file together."""
    group = group_of(desk, visit)
    there, number = left_of(desk, group), whole(visit.given["number"])
    shot = _of(there, number)
    note(desk, visit, group, {"item": shot.name})
    desk.ahead.make(
        {f"look {one.path}": partial(places, one.path) for one in there[number + 1 : number + 1 + AHEAD]}
        | {
            f"max {one.path}": partial(sheets.over_all, one.path, brightest=True)
            for one in there[number + 1 : number + 1 + AHEAD]
        }
    )
    problem, frames, plain = _opened(shot)
    found, no_tools = _found(shot, frames, whole_look=visit.asked.get("look") == "whole")
    said = desk.marks.of(visit.account.name, group.id).get(shot.name)
    return Item(
        group=group,
        number=number,
        count=len(there),
        name=shot.name,
        following=there[number + 1].name if number + 1 < len(there) else "",
        frames=frames,
        frame=min(whole(visit.asked.get("frame", "0")), max(0, frames - 1)),
        problem=problem,
        said=said.word if said else None,
        words=tuple((one, WORDS[one]) for one in group.may if frames or one is Word.REFUSE),
        rows=found.rows if found else 0,
        columns=found.columns if found else 0,
        boxes=tuple(_outlines(found, said)),
        found_by=(*found.known_by, *found.found_by) if found else (),
        is_whole=found is not None and found.is_whole,
        no_tools=no_tools,
        header=_header(desk, group, shot),
        plain=plain,
        earlier=tuple(earlier(desk.node.engine, group.about)),
        keys=visit.asked.get("keys") == "on",
        shortcuts=KEYS,
        edges=tuple(EDGES.items()),
        changes=CHANGES,
    )


def say(desk: Desk, visit: Visit) -> Response:
    """Note what is said of a file, and go to the next; nothing is decided until the sheet is signed."""
    group = group_of(desk, visit)
    there, number = left_of(desk, group), whole(visit.given["number"])
    shot, word = _of(there, number), visit.form.get("word", "")
    keys = "?keys=on" if visit.form.get("keys") == "on" else ""
    if word == "":
        desk.marks.put(visit.account.name, group.id, shot.name, None)
        return to(f"/review/{group.id}/{number}{keys}")
    if word not in group.may:
        raise nothing_here()
    check_seen(shot, word)
    areas = _areas(visit, shot) if word == Word.BLANK else ()
    desk.marks.put(visit.account.name, group.id, shot.name, Mark(Word(word), areas))
    after = number + 1
    if after >= len(there) or after % SHEET == 0:
        return to(f"/review/{group.id}?from={number // SHEET * SHEET}#sign")
    return to(f"/review/{group.id}/{after}{keys}")


def picture(desk: Desk, visit: Visit) -> Response:
    """Return one picture: the small one, the brightest or darkest of all frames, or one frame."""
    view, known = visit.given["view"], remembered(desk, visit.given["group"], visit.given["name"])
    if view == "small" and known is not None:
        return Response(_drawn(known, view), media_type="image/jpeg")
    group = group_of(desk, visit)
    # By name: numbers are those of what is left, and others may decide meanwhile.
    shot = next((one for one in all_of(desk, group) if one.name == visit.given["name"]), None)
    if shot is None:
        raise nothing_here()
    made = _drawn(shot, view)
    if view != "small":
        note(desk, visit, group, {"item": shot.name, "view": view})
    return Response(made, media_type="image/jpeg")


def _drawn(shot: Shot, view: str) -> bytes:
    try:
        if view == "small":
            return sheets.small(shot.path)
        if view in ("max", "min"):
            return sheets.over_all(shot.path, brightest=view == "max")
        return sheets.frame(shot.path, whole(view))
    except NoPreview as error:
        raise nothing_here() from error


def _opened(shot: Shot) -> tuple[str, int, tuple[tuple[str, str, str], ...]]:
    try:
        frames, plain = sheets.header(shot.path)
    except NoPreview as error:
        return error.why, 0, ()
    return "", frames, plain


def _found(shot: Shot, frames: int, *, whole_look: bool) -> tuple[Places | None, bool]:
    if not frames:
        return None, False
    try:
        return places(shot.path, whole=whole_look), False
    except NoPreview:
        return None, False
    except (TextToolsMissing, ImportError):
        return places(shot.path), True


def _header(desk: Desk, group: Group, shot: Shot) -> HeaderPreview | None:
    if group.held is None:
        return None
    try:
        return header_preview(desk.node, group.project, shot.name, shot.path)
    except NoPreview:
        return None


def _outlines(found: Places | None, said: Mark | None) -> Iterable[Outline]:
    if found is None:
        return
    drawn = set(found.blanked)
    for look, boxes in (("known", found.known), ("found", found.found)):
        for box in boxes:
            yield Outline(look, box.left, box.top, box.width, box.height, box.frame)
    for box in said.areas if said else ():
        if box not in drawn:
            yield Outline("named", box.left, box.top, box.width, box.height, box.frame)


def _areas(visit: Visit, shot: Shot) -> tuple[Box, ...]:
    """Return what is to be blanked: what is drawn on the page, and what the form names beside.

    Raises:
        NothingToBlank: if it is nothing, or lies outside the picture.
    """
    try:
        found = places(shot.path)
    except NoPreview as error:
        raise _no_area(mark("The picture cannot be read.")) from error
    named = [_edge(name, found) for name in visit.form.every("edge") if name in EDGES]
    lines = visit.form.get("areas", "").replace(",", " ").splitlines()
    named += [_named(line, found) for line in lines if line.strip()]
    areas = tuple(dict.fromkeys((*found.blanked, *named)))
    if not areas:
        raise _no_area(mark("Nothing was found in the file, and no area was named."))
    if len(areas) > _MOST_AREAS:
        raise _no_area(told("More than %(most)s areas are too many.", most=_MOST_AREAS))
    return areas


def _edge(name: str, found: Places) -> Box:
    high, wide = max(1, found.rows // _STRIP), max(1, found.columns // _STRIP)
    return {
        "top": Box(0, 0, found.columns, high),
        "bottom": Box(0, found.rows - high, found.columns, high),
        "left": Box(0, 0, wide, found.rows),
        "right": Box(found.columns - wide, 0, wide, found.rows),
    }[name]


def _named(line: str, found: Places) -> Box:
    numbers = line.split()
    if len(numbers) != 4 or not all(one.isdecimal() and len(one) <= 6 for one in numbers):
        raise _no_area(mark("An area is four whole numbers: left, top, width and height."))
    inside = within(Box(*map(int, numbers)), found.rows, found.columns)
    if inside is None:
        raise _no_area(mark("An area lies outside the picture."))
    return inside


def _no_area(why: str) -> NothingToBlank:
    return NothingToBlank(
        "It is not said what is to be blanked.",
        why=why,
        todo="Name an area inside the picture, or accept or refuse the file.",
    )


def _of(there: list[Shot], number: int) -> Shot:
    if number >= len(there):
        raise nothing_here()
    return there[number]


PAGES = (
    NodePage("node_item", "/review/{group}/{number}", Item, item, acts={"say": say}),
    NodePage("node_picture", "/review/{group}/{name}/{view}", Response, picture),
)
