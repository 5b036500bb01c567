"""The ten categories of checks of the MIDI-B challenge, made anew over the answer key.

Source of the categories: Medical Image De-Identification Benchmark, arXiv 2507.23608. Ours are stricter in one thing: a
shifted date must have moved by what the other dates of its patient moved by, and not only differ. A held file has no
output: what had to go is gone; what had to stay is lost if nothing was wrong with the file, and else not asked for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from io import BytesIO

import numpy as np
import pydicom
from tests.deid.corpus.planted import Box, CorpusFile, Expect, Planted
from tests.deid.corpus.runner import Result
from tests.deid.scoring.leaks import Seen, is_seen, seen, value_at

from fairbank.deid.part10 import quiet_pydicom

_NEVER_EMPTY = ("00080016", "00080018", "0020000D", "0020000E", "00100020")
_PATIENT_ID = "00100020"
_UIDS = frozenset({"0020000D", "0020000E", "00080018", "00200052"})
_FLAT = 2.0
_SAME = 0.5


class Category(StrEnum):
    """What a check is about."""

    TAG_RETAINED = "tag_retained"
    TEXT_NOTNULL = "text_notnull"
    TEXT_REMOVED = "text_removed"
    TEXT_RETAINED = "text_retained"
    DATE_SHIFTED = "date_shifted"
    UID_CHANGED = "uid_changed"
    UID_CONSISTENT = "uid_consistent"
    PATID_CONSISTENT = "patid_consistent"
    PIXELS_HIDDEN = "pixels_hidden"
    PIXELS_RETAINED = "pixels_retained"


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one place of one file."""

    category: Category
    file: str
    place: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Score:
    """How many checks there were, by category, and which failed."""

    asked: Counter[Category]
    failed: tuple[Check, ...]

    @property
    def percent(self) -> float:
        """Return the share of checks that passed."""
        return 100 * (1 - len(self.failed) / sum(self.asked.values()))

    def told(self) -> str:
        """Return the score as lines."""
        failed = Counter(check.category for check in self.failed)
        lines = [
            f"{each:18} {self.asked[each] - failed[each]:6} of {self.asked[each]:6}" for each in Category
        ]
        return "\n".join([*lines, f"{self.percent:.3f} %"])


def score(results: Iterable[Result], profile: str) -> Score:
    """Return the score of what came of the corpus under a profile."""
    asked: Counter[Category] = Counter()
    failed: list[Check] = []
    memory = _Memory()
    for result in results:
        for check in _checks(result, profile, memory):
            asked[check.category] += 1
            if not check.passed:
                failed.append(check)
    return Score(asked, tuple(failed))


@dataclass
class _Memory:
    """What earlier files of the corpus were given; a patient or UID is known by what the file said."""

    uids: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)
    shifts: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))


def _checks(result: Result, profile: str, memory: _Memory) -> Iterator[Check]:
    file = result.file
    if result.output is None:
        yield from _held(file, profile)
        return
    output = seen(result.output)
    for one in file.planted:
        yield from _one(one, output, file, profile, memory)
    if file.kind != "rule":  # whose planted rows may stand at these very places
        for place in _NEVER_EMPTY:
            yield Check(Category.TEXT_NOTNULL, file.name, place, bool(value_at(output.dataset, place)))
    if file.kind in ("clean", "rule", "series") or file.boxes:
        yield from _pixels(file, result.output)


def _held(file: CorpusFile, profile: str) -> Iterator[Check]:
    for one in file.planted:
        wanted = one.expected(profile)
        if wanted in (Expect.REMOVE, Expect.MASK):
            yield Check(Category.TEXT_REMOVED, file.name, one.place, True)
        elif wanted is Expect.KEEP and file.clean:
            yield Check(Category.TEXT_RETAINED, file.name, one.place, False)
    for box in file.boxes:
        yield Check(Category.PIXELS_HIDDEN, file.name, f"frame {box.frame}", True)


def _one(one: Planted, output: Seen, file: CorpusFile, profile: str, memory: _Memory) -> Iterator[Check]:
    wanted = one.expected(profile)
    if wanted is Expect.KEEP:
        value = value_at(output.dataset, one.place)
        yield Check(Category.TAG_RETAINED, file.name, one.place, value is not None)
        same = value is not None and (one.value in value if file.kind == "text" else value == one.value)
        yield Check(Category.TEXT_RETAINED, file.name, one.place, same)
    elif wanted is Expect.SHIFT:
        yield Check(Category.DATE_SHIFTED, file.name, one.place, _shifted(one, output, file, memory))
    elif wanted is Expect.PSEUDONYM:
        yield from _pseudonym(one, output, file, memory)
    elif wanted.must_go:
        yield Check(Category.TEXT_REMOVED, file.name, one.place, not is_seen(one, output))


def _shifted(one: Planted, output: Seen, file: CorpusFile, memory: _Memory) -> bool:
    value = value_at(output.dataset, one.place)
    if is_seen(one, output):
        return False
    before, after = _day(one.value), _day(value or "")
    if before is None or after is None:
        return True
    shifts = memory.shifts[file.subject]
    shifts.add((before - after).days)
    return len(shifts) == 1


def _pseudonym(one: Planted, output: Seen, file: CorpusFile, memory: _Memory) -> Iterator[Check]:
    value = value_at(output.dataset, one.place)
    if one.place == _PATIENT_ID and not one.rule:
        known = memory.patients.setdefault(one.value, value or "")
        yield Check(Category.PATID_CONSISTENT, file.name, one.place, bool(value) and value == known)
    if one.place in _UIDS and not one.rule:
        # Two patients in one series are two series: a UID is known by its patient.
        mine = f"{file.subject}|{one.value}"
        known = memory.uids.setdefault(mine, value or "")
        owner = memory.given.setdefault(value or "", mine)
        yield Check(Category.UID_CONSISTENT, file.name, one.place, value == known and owner == mine)
    is_uid = one.value.replace(".", "").isdigit() and "." in one.value
    category = Category.UID_CHANGED if is_uid else Category.TEXT_REMOVED
    yield Check(category, file.name, one.place, not is_seen(one, output))


def _day(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def _pixels(file: CorpusFile, output: bytes) -> Iterator[Check]:
    before, after = pixels_of(file.content), pixels_of(output)
    if before is None:
        return
    if after is None or before.shape != after.shape:
        for box in file.boxes:
            yield Check(Category.PIXELS_HIDDEN, file.name, f"frame {box.frame}", after is None)
        yield Check(Category.PIXELS_RETAINED, file.name, "7FE00010", False)
        return
    for box in file.boxes:
        yield Check(Category.PIXELS_HIDDEN, file.name, f"frame {box.frame}", is_hidden(box, before, after))
    if not file.boxes:
        yield Check(Category.PIXELS_RETAINED, file.name, "7FE00010", bool(np.array_equal(before, after)))


def pixels_of(content: bytes) -> np.ndarray | None:
    """Return decoded pixels, (frames, rows, columns); None if there are none that could be decoded."""
    with quiet_pydicom():
        dataset = pydicom.dcmread(BytesIO(content), force=True)
        if "PixelData" not in dataset:
            return None
        try:
            pixels = dataset.pixel_array
        except Exception:
            return None
    return pixels if pixels.ndim == 3 else pixels[np.newaxis]


def is_hidden(box: Box, before: np.ndarray, after: np.ndarray) -> bool:
    """Return whether drawn text cannot be made out any more: the box is flat, or no longer looks like before."""
    place = (box.frame, slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
    was, now = before[place].astype(float).ravel(), after[place].astype(float).ravel()
    if now.std() < _FLAT:
        return True
    return abs(float(np.corrcoef(was, now)[0, 1])) < _SAME


def leaked_rules(results: Sequence[Result], profile: str, *, nested: bool) -> frozenset[str]:
    """Return the rows of Table E.1-1 of which a value is in an output, at the top or in sequences."""
    leaked = set()
    for result in results:
        if result.output is None:
            continue
        output = seen(result.output)
        for one in result.file.planted:
            asked = one.rule and (one.depth > 0) is nested and one.expected(profile).must_go
            if asked and one.rule not in leaked and is_seen(one, output):
                leaked.add(one.rule)
    return frozenset(leaked)
