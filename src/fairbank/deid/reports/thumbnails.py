"""Small pictures for a report: of what was blanked, and of what waits for a person's word. Nothing can be read in them.

The picture before is made of the cleaned file, with patches over what was blanked: it is as little legible as the
original would be, and the original need not be there any more.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydicom import dcmread

from fairbank.deid import part10
from fairbank.deid.pixels.work import Box
from fairbank.deid.reports.summary import Thumbnail

MOST_OF_A_GROUP = 6
MOST = 36
LARGEST_BYTES = 64 << 20
T = TypeVar("T")


def of_blanked(files: Iterable[tuple[str, Path, str | None]]) -> Iterator[Thumbnail]:
    """Yield pictures of a few files with blanked boxes, different groups first.

    Args:
        files: of each cleaned file its group, where it is, and what was done with its pixels (JSON).
    """
    treated = ((group, (path, json.loads(work))) for group, path, work in files if work is not None)
    for path, work in few((group, one) for group, one in treated if one[1].get("boxes")):
        found = thumbnail(path, work, name=path.name)
        if found is not None:
            yield found


def of_held(files: Iterable[tuple[str, str, Path]]) -> Iterator[Thumbnail]:
    """Yield pictures of a few held files of each group, so that whoever decides sees what kind of image it is.

    Args:
        files: of each held file its group, its neutral name, and where it is.
    """
    for group, name, path in few((one[0], one) for one in files):
        found = thumbnail(path, {}, name=name, group=group)
        if found is not None:
            yield found


def few(named: Iterable[tuple[str, T]]) -> list[T]:
    """Return at most so many of each group and of all, each group's first before any group's second.

    >>> few([("a", 1), ("a", 2), ("b", 3)])
    [1, 3, 2]
    """
    chosen: dict[str, list[T]] = {}
    for group, one in named:
        if len(of_group := chosen.setdefault(group, [])) < MOST_OF_A_GROUP:
            of_group.append(one)
    turns = [
        one for turn in range(MOST_OF_A_GROUP) for ones in chosen.values() for one in ones[turn : turn + 1]
    ]
    return turns[:MOST]


def thumbnail(path: Path, work: Mapping[str, Any], *, name: str, group: str = "") -> Thumbnail | None:
    """Return the pictures of a file; None if it cannot be shown.

    Args:
        path: the file; of held ones, as it came in.
        work: what was done with its pixels, as the journal has it.
        name: what the report calls it; never the name that it came in with.
        group: of a held file, the group that waits for a decision; there is no picture after then.
    """
    from fairbank.deid.pixels.previews import COARSE, thumbnails  # Pillow, numpy

    boxes = [Box(**box) for box in work.get("boxes", ())]
    frame = next((box.frame for box in boxes if box.frame is not None), None) or 0
    try:
        if path.stat().st_size > LARGEST_BYTES:
            return None
        with part10.quiet_pydicom():
            dataset = dcmread(path)
            pair = (
                thumbnails(dataset, (), frame=frame, patches=COARSE)
                if group
                else thumbnails(dataset, boxes, frame=frame)
            )
    except Exception:  # noqa: BLE001 - a decoder may fail in any way; the report then goes without the picture
        return None
    return Thumbnail(
        name=name,
        found_by=tuple(work.get("found_by", ())),
        boxes=len(boxes),
        before_png=_text(pair.before),
        after_png=None if group else _text(pair.after),
        group=group,
    )


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
