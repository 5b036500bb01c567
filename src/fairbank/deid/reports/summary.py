"""What a report says, as values: the same whether the work was done in a folder or at a node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydicom.datadict import dictionary_description, dictionary_has_tag

from fairbank.deid.actions import NESTED, PRIVATE, Action, ElementActions
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason
from fairbank.deid.plans import plans_of
from fairbank.deid.policies import FacePolicy, PixelTrust
from fairbank.deid.profiles import Profile
from fairbank.deid.rules import Option, rule_for
from fairbank.deid.verification.safe_harbor import Coverage


@dataclass(frozen=True, slots=True)
class HeldLine:
    """Files that are held for the same reason, of the same kind."""

    group: str
    reason: str
    files: int
    size: int
    verdict: str | None = None
    why: str | None = None
    agent: str | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """One decision of a person on a group of held files, or on so many of its files one by one."""

    group: str
    verdict: str
    why: str
    agent: str
    at: str
    files: int | None = None


def decision_lines(rows: Iterable[Mapping[str, str]]) -> list[DecisionLine]:
    """Return decisions on groups as lines."""
    return [DecisionLine(row["group"], row["verdict"], row["why"], row["agent"], row["at"]) for row in rows]


@dataclass(frozen=True, slots=True)
class TagLine:
    """What became of one element in all files: how many had it before, and how many have it after.

    Attributes:
        tag: of an element in items of sequences with `>` before it; of these each one counts, not each file.
        rule: the basic action of PS3.15, Table E.1-1; empty if the table does not list it.
        step: what the engine was to do, by tag.
    """

    tag: str
    name: str
    rule: str
    step: str
    before: int
    removed: int
    replaced: int
    kept: int
    added: int

    @property
    def after(self) -> int:
        """Return how many files have the element now."""
        return self.replaced + self.kept + self.added


@dataclass(frozen=True, slots=True)
class Sampling:
    """What people found in a sample of the outputs.

    Attributes:
        population: files that the sample was drawn from.
        drawn: files that were drawn; `looked_at` of them were looked at; `failed` of these showed something.
        upper_bound: of the share of outputs that show something, one-sided, at `confidence`; None before any look.
    """

    population: int
    drawn: int
    looked_at: int
    failed: int
    confidence: float
    upper_bound: float | None
    agents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """What the second look at each output found.

    Attributes:
        passed: outputs that passed, which are all there are.
        refused: files that are held because they did not, by reason.
        standard_files: outputs that `dciodvfy` compared with their inputs, one of each series.
        standard: errors that only the outputs have, by kind.
        graph: how references between files came out; empty if they were not followed.
    """

    passed: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    standard_files: int = 0
    standard: dict[str, int] = field(default_factory=dict)
    graph: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """Small pictures of one file, in which nothing can be read: PNG bytes, in base64, and how the text was found.

    Attributes:
        after_png: as it went out; None for a file that waits for a person's word.
        group: under which name a curator decides of such files; empty where nothing has to be decided.
    """

    name: str
    found_by: tuple[str, ...]
    boxes: int
    before_png: str
    after_png: str | None = None
    group: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """All that a report says. Nothing in it identifies anybody.

    Attributes:
        key_id: a name for the key that tells nothing of it.
        method: how files were de-identified, in words.
        came_in: files, bytes and what was not read.
        went_out: subjects, series and files.
        by_state: files by state and reason.
        decisions: all that people decided, in the order in which they did.
        digests: of accounts that belong to this report, by file name.
    """

    project: str
    tool: str
    key_id: str
    method: dict[str, Any]
    runs: list[dict[str, Any]]
    came_in: dict[str, Any]
    went_out: dict[str, int]
    by_state: dict[str, int]
    held: list[HeldLine]
    tags: list[TagLine]
    pixels: dict[str, int]
    faces: dict[str, int]
    decisions: list[DecisionLine] = field(default_factory=list)
    thumbnails: list[Thumbnail] = field(default_factory=list)
    verification: Verification = field(default_factory=Verification)
    sampling: Sampling | None = None
    safe_harbor: tuple[Coverage, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)


def told_method(told: Mapping[str, Any]) -> Method:
    """Return the method that was told, as far as what is told of elements depends on it."""
    return Method(
        profile=Profile(told["profile"]),
        more=frozenset(Option(option) for option in told["options"]),
        trust=PixelTrust(told["pixel_trust"]),
        faces=FacePolicy(told["faces"]),
    )


def tag_lines(actions: ElementActions, method: Method) -> list[TagLine]:
    """Return what became of elements by tag, those that carried most away first."""
    by_tag: dict[str, dict[Action, int]] = {}
    for (tag, action), count in actions.items():
        by_tag.setdefault(tag, {})[action] = count
    lines = [_tag_line(tag, counts, method) for tag, counts in by_tag.items()]
    return sorted(lines, key=lambda line: (-(line.removed + line.replaced), line.tag))


# What refuses a file that was cleaned already: it is looked at again, as it was written.
_SECOND_LOOK = (Reason.IDENTIFIER_FOUND, Reason.NOT_VERIFIED)


def verification_of(
    passed: int,
    by_state: Mapping[str, int],
    *,
    standard: Iterable[Mapping[str, int]] = (),
    graph: Mapping[str, int] | None = None,
) -> Verification:
    """Return what the second look found.

    Args:
        passed: outputs that there are.
        by_state: files by state and reason.
        standard: of each series that `dciodvfy` was asked about, the errors that only the output has.
        graph: counts of references between files.
    """
    asked = list(standard)
    errors: Counter[str] = Counter()
    for found in asked:
        errors.update(found)
    words = {f"{one.status.value}: {one.value}": one.value for one in _SECOND_LOOK}
    return Verification(
        passed=passed,
        refused={words[state]: files for state, files in by_state.items() if state in words},
        standard_files=len(asked),
        standard=dict(errors.most_common()),
        graph=dict(graph or {}),
    )


def pixel_counts(works: Iterable[Mapping[str, Any]], released: int) -> dict[str, int]:
    """Return how many files' pixels were treated, and by which means text was found."""
    counted = {"files with blanked boxes": 0, "boxes": 0, "files marked as cleaned (113101)": 0}
    for work in works:
        counted["files with blanked boxes"] += bool(work.get("boxes"))
        counted["boxes"] += len(work.get("boxes", ()))
        counted["files marked as cleaned (113101)"] += bool(work.get("cleaned"))
        for means in work.get("found_by", ()):
            counted[f"found by {means}"] = counted.get(f"found by {means}", 0) + 1
    counted["files released by a person"] = released
    return counted


def face_counts(told: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many series showed a head, were defaced, or must stay where they are."""
    counted = {"series with a head": 0, "series defaced (113102)": 0, "series never to be downloaded": 0}
    for one in told:
        counted["series with a head"] += bool(one.get("head"))
        counted["series defaced (113102)"] += bool(one.get("defaced"))
        counted["series never to be downloaded"] += bool(one.get("in_situ"))
    return counted


def _tag_line(word: str, counts: Mapping[Action, int], method: Method) -> TagLine:
    removed, replaced, kept = (counts.get(one, 0) for one in (Action.REMOVED, Action.REPLACED, Action.KEPT))
    tag = word.removeprefix(NESTED)
    name, rule, step = _words(tag, method)
    return TagLine(
        tag=word if tag == PRIVATE else f"{word[: -len(tag)]}({tag[:4]},{tag[4:]})",
        name=name,
        rule=rule,
        step=step,
        before=removed + replaced + kept,
        removed=removed,
        replaced=replaced,
        kept=kept,
        added=counts.get(Action.ADDED, 0),
    )


def _words(tag: str, method: Method) -> tuple[str, str, str]:
    if tag == PRIVATE:
        return "private elements", "X", ""
    number = int(tag, 16)
    rule = rule_for(number)
    name = (
        dictionary_description(number) if dictionary_has_tag(number) else (rule.name if rule else "unknown")
    )
    return name, "" if rule is None else rule.basic, plans_of(method)[number, None].step.value
