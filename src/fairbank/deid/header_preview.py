"""What cleaning would make of a held file's header, element by element: for the curator's own eyes.

The picture is left out; nothing is written, and no subject is taken in. Of a subject whom the project does not know yet
the pseudonyms are made with a key that is thrown away, so they show the form only.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from fairbank.database import reading
from fairbank.deid import part10
from fairbank.deid.cleaning import TOOL, subject_of
from fairbank.deid.engine import Engine
from fairbank.deid.errors import SubjectForgotten
from fairbank.deid.identifiers import identifiers_of
from fairbank.deid.identity import IDENTITY_FILE, IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Refused
from fairbank.deid.pixels.sheets import none_to_show
from fairbank.deid.policies import FacePolicy, PixelTrust
from fairbank.deid.profiles import Profile
from fairbank.deid.pseudonyms import KEY_BYTES, ProjectKeys, SubjectPseudonyms
from fairbank.deid.rules import Option
from fairbank.deid.store import ItemRow
from fairbank.deid.work_rows import MethodRow
from fairbank.release.node import Node

_LONGEST_VALUE: Final = 200


class Change(StrEnum):
    """What becomes of an element."""

    KEPT = "kept"
    CHANGED = "changed"
    EMPTIED = "emptied"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class HeaderRow:
    """One element at the top of a header, before and after; None where it is not there."""

    tag: str
    name: str
    before: str | None
    after: str | None
    change: Change


@dataclass(frozen=True, slots=True)
class HeaderPreview:
    """A header before and after.

    Attributes:
        rows: in the order of their tags.
        profile: by which it would be cleaned.
        recipe: name of the site's recipe of that run, which is not applied here; empty if there was none.
        is_example: whether the pseudonyms are not those that the subject will have.
    """

    rows: tuple[HeaderRow, ...]
    profile: Profile
    recipe: str
    is_example: bool


def header_preview(node: Node, project: str, name: str, path: Path) -> HeaderPreview:
    """Return the header of a held file as it came in, and as the last run's method would clean it.

    Args:
        node: whose file it is.
        project: of which it is held.
        name: its neutral name.
        path: where it is.

    Raises:
        NoPreview: if it cannot be read, or its header cannot be cleaned.
    """
    method, recipe = _method_of(node, project, name)
    try:
        with part10.quiet_pydicom():
            before = dcmread(path, stop_before_pixels=True)
            told = _texts(before)
            dataset = dcmread(path, stop_before_pixels=True)
            pseudonyms, is_example = _pseudonyms(node, project, subject_of(dataset))
            Engine(method, pseudonyms, identifiers_of(dataset).own_words, TOOL).clean(dataset)
            cleaned = _texts(dataset)
    except Refused as err:
        raise none_to_show("its header cannot be cleaned") from err
    except (OSError, InvalidDicomError, ValueError) as err:
        raise none_to_show("it cannot be read") from err
    return HeaderPreview(tuple(_compared(told, cleaned)), method.profile, recipe, is_example)


def _method_of(node: Node, project: str, name: str) -> tuple[Method, str]:
    """Return the method by which a file was held, without a recipe, and the recipe's name."""
    with reading(node.engine) as session:
        row = session.query(ItemRow).filter_by(project=project, quarantine=name).one_or_none()
        known = None if row is None or row.method is None else session.get(MethodRow, (project, row.method))
        told: Mapping[str, Any] = {} if known is None else known.told
        profile = Profile(row.profile) if row is not None else Profile.RESEARCH
    if not told:
        return Method(profile), ""
    method = Method(
        Profile(told["profile"]),
        frozenset(Option(word) for word in told["options"]),
        trust=PixelTrust(told["pixel_trust"]),
        faces=FacePolicy(told["faces"]),
    )
    return method, told["recipe"] or ""


def _pseudonyms(node: Node, project: str, subject: str) -> tuple[SubjectPseudonyms, bool]:
    home = node.settings.home / IDENTITY_FILE
    with closing(IdentityStore.open_or_create(home, clock=node.clock)) as identity:
        try:
            if identity.find(project, subject) is not None:
                return identity.subject(project, subject), False
        except SubjectForgotten as err:
            raise none_to_show("its subject has withdrawn") from err
    thrown_away = ProjectKeys.derive(secrets.token_bytes(KEY_BYTES), project=project, epoch=0, salt=b"")
    return SubjectPseudonyms(thrown_away, secrets.token_bytes(KEY_BYTES), subject), True


def _texts(dataset: Dataset) -> dict[int, tuple[str, str]]:
    return {int(one.tag): (str(one.name), _text(one)) for one in dataset}


def _text(element: object) -> str:
    text = str(getattr(element, "repval", ""))
    text = text[1:-1] if len(text) > 1 and text[0] == text[-1] == "'" else text
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _compared(
    before: Mapping[int, tuple[str, str]], after: Mapping[int, tuple[str, str]]
) -> Iterator[HeaderRow]:
    for tag in sorted(before.keys() | after.keys()):
        was, now = before.get(tag), after.get(tag)
        name = (was or now or ("", ""))[0]
        shown = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
        yield HeaderRow(shown, name, was and was[1], now and now[1], _change(was, now))


def _change(was: tuple[str, str] | None, now: tuple[str, str] | None) -> Change:
    if was is None:
        return Change.ADDED
    if now is None:
        return Change.REMOVED
    if was[1] == now[1]:
        return Change.KEPT
    return Change.EMPTIED if now[1] in ("", "None") else Change.CHANGED
