"""The answer key: what was planted where in which file, and what has to become of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

BASIC, RESEARCH = "basic", "research"
PROFILES = (BASIC, RESEARCH)


class Expect(StrEnum):
    """What has to become of a planted value."""

    REMOVE = "remove"
    MASK = "mask"
    SHIFT = "shift"
    PSEUDONYM = "pseudonym"
    KEEP = "keep"
    # An option of the profile permits that it stays; whether it does depends on the kind of image.
    MAY_STAY = "may-stay"
    # The whole file has to be held; its value must be in no output.
    QUARANTINE = "quarantine"

    @property
    def must_go(self) -> bool:
        """Tell whether the value may be in no output."""
        return self not in (Expect.KEEP, Expect.MAY_STAY)


@dataclass(frozen=True, slots=True)
class Planted:
    """One value of the answer key.

    Attributes:
        place: tags and item numbers from the top, as "00082218.0/00080104"; or "#preamble", "#meta/00020016", "#name",
            "#tail", "#pixels" and the like for what is no element.
        value: the value as text.
        basic: what has to become of it under the profile `basic`.
        research: the same under `research`.
        encoded: bytes that betray it anywhere in an output; without any it is looked for at its place only, since
            chance would find it elsewhere.
        rule: the row of Table E.1-1 that it stands for, if it does.
    """

    place: str
    value: str
    basic: Expect
    research: Expect
    encoded: tuple[bytes, ...] = ()
    rule: str = ""

    def expected(self, profile: str) -> Expect:
        """Return what has to become of it under a profile."""
        return self.basic if profile == BASIC else self.research

    @property
    def depth(self) -> int:
        """Return how many sequences lie around it."""
        return self.place.count("/")


@dataclass(frozen=True, slots=True)
class Box:
    """Where text is drawn into the pixels: `frame` from 0; rows and columns from `top`, `left`."""

    frame: int
    top: int
    left: int
    height: int
    width: int
    text: str


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One file of the corpus.

    Attributes:
        name: path under the corpus' folder; may name a person, as such paths do.
        kind: which part of the corpus it belongs to.
        content: the bytes.
        subject: the patient's id, as the file has it.
        planted: its part of the answer key.
        boxes: text in its pixels.
        clean: whether nothing is wrong with it, so that it must not be held.
    """

    name: str
    kind: str
    content: bytes = field(repr=False)
    subject: str
    planted: tuple[Planted, ...] = ()
    boxes: tuple[Box, ...] = ()
    clean: bool = False


def write_corpus(files: Iterable[CorpusFile], folder: Path, key: Path) -> None:
    """Write the files under a folder, and the answer key beside it."""
    rows = []
    for file in files:
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        rows.append(
            {"file": file.name, "kind": file.kind, "clean": file.clean, "subject": file.subject}
            | {"planted": [_row(one) for one in file.planted], "boxes": [asdict(box) for box in file.boxes]}
        )
    key.write_text(json.dumps(rows, ensure_ascii=False, indent=1))


def read_key(key: Path) -> Sequence[dict[str, object]]:
    """Return the rows of an answer key."""
    return json.loads(key.read_text())


def _row(planted: Planted) -> dict[str, object]:
    return asdict(planted) | {"encoded": [one.hex() for one in planted.encoded]}
