"""Groups of images that wait for a look: why, how risky, which files of them are left, and what may be said of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from fairbank.deid.groups import reason_of
from fairbank.deid.item_review import Word, decided_names, words_for
from fairbank.deid.outcomes import Reason
from fairbank.deid.project_review import held_on_this_machine, held_projects, project_groups
from fairbank.deid.project_samples import sampled_projects, unseen_of_project
from fairbank.deid.running.verdicts import HeldGroup
from fairbank.web.languages import mark
from fairbank.web.node.desk import Desk

_REMEMBERED: Final = timedelta(seconds=30)
SAMPLE: Final = "sample"


class Cause(StrEnum):
    """Why somebody has to look, the riskiest first."""

    TEXT = "text"
    FACE = "face"
    HEADER = "header"
    CAPTURE = "capture"
    DEVICE = "device"
    SAMPLE = "sample"
    OTHER = "other"


CAUSES: Final[dict[Cause, str]] = {
    Cause.TEXT: mark("Text found"),
    Cause.FACE: mark("Face"),
    Cause.HEADER: mark("Residue in the header"),
    Cause.CAPTURE: mark("Capture or ultrasound"),
    Cause.DEVICE: mark("Unknown device"),
    Cause.SAMPLE: mark("Audit sample"),
    Cause.OTHER: mark("Cannot be cleaned"),
}
# The riskiest first: what identifies for certain, then what may, then what nobody could judge.
REASONS: Final[dict[Reason, tuple[Cause, str]]] = {
    Reason.SEEN_IDENTIFYING: (Cause.TEXT, mark("Somebody saw something identifying")),
    Reason.IDENTIFIER_IN_PIXELS: (
        Cause.TEXT,
        mark("An identifier of a subject was read in the picture"),
    ),
    Reason.TEXT_REMAINS: (Cause.TEXT, mark("Text was found that could not be removed")),
    Reason.BURNED_IN: (Cause.TEXT, mark("The device says that text is burned in")),
    Reason.FACE: (Cause.FACE, mark("A face can be made out")),
    Reason.FACE_REMAINS: (Cause.FACE, mark("A face is left after it was removed")),
    Reason.IDENTIFIER_FOUND: (Cause.HEADER, mark("An identifier is left in the header")),
    Reason.PIXELS_REVIEW: (Cause.TEXT, mark("Text may be in the picture")),
    Reason.PIXELS_UNVERIFIED: (Cause.DEVICE, mark("This kind of device is not known")),
}
OTHERWISE: Final = mark("Cannot be cleaned as it is")
OF_SAMPLES: Final = mark("Drawn by chance from what went out")
# What shows a screen or a room and not a slice: ultrasound, captures, photographs, endoscopy, documents.
_CAPTURES: Final = frozenset({"US", "IVUS", "SC", "XC", "ES", "GM", "OT", "DOC", "OP"})


@dataclass(frozen=True, slots=True)
class Group:
    """Files that are looked at together, with a name for addresses.

    Attributes:
        title: why somebody has to look.
        about: reason and kind of device, as commands name the group; empty for a sample.
        left: how many files nobody has decided on.
        held: what is known of it; None for a sample.
        may: what may be said of one file.
    """

    id: str
    project: str
    cause: Cause
    title: str
    about: str
    files: int
    left: int
    held: HeldGroup | None
    may: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Shot:
    """A file of a group that can be shown here; `name` says nothing about whose it is."""

    name: str
    path: Path
    key: str


def words_of_reason(reason: str) -> str:
    """Return why a file is held, in English words; what a look cannot settle has one text for all."""
    known = {one.value: text for one, (_, text) in REASONS.items()}
    return known.get(reason, OTHERWISE)


def groups(desk: Desk) -> list[Group]:
    """Return all groups, the riskiest first."""
    node = desk.node
    found = [
        _group(desk, project, one)
        for project in held_projects(node.engine)
        for one in project_groups(node.engine, project)
    ]
    for project in sampled_projects(node.engine):
        left = len(unseen_of_project(node.engine, project))
        if left:
            name = desk.opaque(project, SAMPLE)
            may = (Word.ACCEPT, Word.REFUSE)
            found.append(Group(name, project, Cause.SAMPLE, OF_SAMPLES, "", left, left, None, may))
    return sorted(found, key=lambda one: (_risk(one), -one.files, one.id))


def left_of(desk: Desk, group: Group) -> list[Shot]:
    """Return the files of a group that are on this machine and that nobody has decided on one by one."""
    if group.held is None:
        return all_of(desk, group)
    decided = decided_names(desk.node.engine, group.project, group.held.group)
    return [one for one in all_of(desk, group) if one.name not in decided]


def all_of(desk: Desk, group: Group) -> list[Shot]:
    """Return the files of a group that are on this machine."""
    node = desk.node
    if group.held is None:
        root = node.settings.store_path
        paths = unseen_of_project(node.engine, group.project)
        return [Shot(desk.opaque(group.project, path)[:12], root / path, path) for path in paths]
    there = held_on_this_machine(node, group.project, group.held.group)
    return [Shot(name, path, name) for name, path in there]


def remember(desk: Desk, group: Group, shots: list[Shot]) -> None:
    """Note that somebody was just shown these files, for half a minute."""
    desk.shown[group.id] = (desk.clock.now() + _REMEMBERED, tuple(shots))


def remembered(desk: Desk, group: str, name: str) -> Shot | None:
    """Return a file that somebody was just shown; None if it has to be looked up."""
    ends, shots = desk.shown.get(group, (desk.clock.now(), ()))
    return next((one for one in shots if one.name == name), None) if desk.clock.now() < ends else None


def _group(desk: Desk, project: str, held: HeldGroup) -> Group:
    reason = reason_of(held.group)
    cause = REASONS[reason][0] if reason in REASONS else Cause.OTHER
    if cause is Cause.DEVICE and held.group.split("|")[1:2] and held.group.split("|")[1] in _CAPTURES:
        cause = Cause.CAPTURE
    return Group(
        desk.opaque(project, held.group),
        project,
        cause,
        words_of_reason(held.reason),
        held.group,
        held.files,
        max(0, held.files - held.one_by_one),
        held,
        words_for(held.group),
    )


def _risk(group: Group) -> tuple[int, int]:
    reason = reason_of(group.about) if group.held is not None else None
    place = list(REASONS).index(reason) if reason in REASONS else len(REASONS)
    return list(Cause).index(group.cause), place
