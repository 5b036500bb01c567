"""Whether a tool fits a dataset, from what its record publishes: yes, no, or not told by what is published, and why.

A record tells counts of series by modality, body part and slice thickness together, and every other attribute apart;
how two published numbers overlap is not published. So where only some series of a dataset have what a tool needs, it is
said that this is not told, never that it fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from fairbank.ontology.body_part_tree import with_narrower
from fairbank.ontology.tools import ToolInputs
from fairbank.ontology.vocabulary import FORMER_THICKNESS_BANDS, THICKNESS_BANDS

_UNKNOWN = "unknown"
_MOST_NAMED = 5


class Verdict(StrEnum):
    """Whether a tool fits."""

    YES = "yes"
    UNKNOWN = "not-told"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the imaging cube that openly has series, be it fewer than k."""

    modality: str
    body_part: str
    slice_thickness: str


@dataclass(frozen=True, slots=True)
class Images:
    """What a record tells of a dataset's images.

    Attributes:
        cells: those that openly have series.
        contrast: the words about a contrast agent that openly have subjects; None if its record tells none.
    """

    cells: tuple[Cell, ...]
    contrast: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """A verdict and its sentence."""

    verdict: Verdict
    why: str


def fit(inputs: ToolInputs, images: Images) -> Fit:
    """Return whether series of a dataset are what a tool measures.

    >>> fit(ToolInputs(modality=("CT",)), Images((Cell("MR", "HEAD", "<1"),)))
    Fit(verdict=<Verdict.NO: 'no'>, why='It has no series of CT; its record lists MR.')
    """
    if not images.cells:
        return Fit(Verdict.UNKNOWN, "Its record tells of no series.")
    found = [each for each in images.cells if not inputs.modality or each.modality in inputs.modality]
    if not found:
        listed = _words(each.modality for each in images.cells)
        return Fit(Verdict.NO, f"It has no series of {_words(inputs.modality)}; its record lists {listed}.")
    for narrowed in (_body_part(inputs, found), _thickness(inputs, found)):
        if isinstance(narrowed, Fit):
            return narrowed
    # One cell has to have both at once.
    sure = _sure(inputs, found)
    doubts = [
        *_doubt_of_cells(inputs, found, sure=sure),
        *_of_annotations(inputs, images),
        *_of_contrast(inputs, images),
    ]
    if inputs.minimum_instances > 1:
        few = f"how many have at least {inputs.minimum_instances} images is not published"
        doubts.append(Fit(Verdict.UNKNOWN, few))
    refused = [each.why for each in doubts if each.verdict is Verdict.NO]
    if refused:
        return Fit(Verdict.NO, _sentence(refused))
    if doubts:
        return Fit(Verdict.UNKNOWN, _sentence(each.why for each in doubts))
    shown = f"{_words(each.modality for each in sure)} of {_words(each.body_part for each in sure)}"
    return Fit(Verdict.YES, f"It has series of {shown} that it measures.")


def _body_part(inputs: ToolInputs, cells: list[Cell]) -> Fit | None:
    """Keep the cells whose body part may fit; a verdict if none is left."""
    if not inputs.body_part:
        return None
    wanted = {*with_narrower(inputs.body_part), _UNKNOWN}
    left = [each for each in cells if each.body_part in wanted]
    if not left:
        listed = _words(each.body_part for each in cells)
        return Fit(Verdict.NO, f"It measures {_words(inputs.body_part)}, and the series are of {listed}.")
    cells[:] = left
    return None


def _thickness(inputs: ToolInputs, cells: list[Cell]) -> Fit | None:
    """Keep the cells whose slices may fit; a verdict if none is left."""
    left = [each for each in cells if _overlaps(inputs, each.slice_thickness)]
    if not left:
        listed = _words(each.slice_thickness for each in cells)
        return Fit(
            Verdict.NO, f"It measures slices {_range(inputs)}, and the series have slices of {listed} mm."
        )
    cells[:] = left
    return None


def _sure(inputs: ToolInputs, cells: Sequence[Cell]) -> list[Cell]:
    return [
        each
        for each in cells
        if (not inputs.body_part or each.body_part != _UNKNOWN) and _within(inputs, each.slice_thickness)
    ]


def _doubt_of_cells(inputs: ToolInputs, cells: Sequence[Cell], *, sure: Sequence[Cell]) -> list[Fit]:
    if sure:
        return []
    parts = {each.body_part for each in cells}
    bands = [each.slice_thickness for each in cells if not _within(inputs, each.slice_thickness)]
    doubts = []
    if inputs.body_part and parts == {_UNKNOWN}:
        doubts.append("the body part of its series is unknown")
    if bands:
        named = "unknown thickness" if set(bands) == {_UNKNOWN} else f"{_words(bands)} mm"
        doubts.append(f"its slices are of {named}, and it measures those {_range(inputs)}")
    text = "; ".join(doubts) or "no group of its series has both a known body part and fitting slices"
    return [Fit(Verdict.UNKNOWN, text)]


def _of_annotations(inputs: ToolInputs, images: Images) -> list[Fit]:
    kinds = [each.value for each in inputs.annotations]
    if not kinds or any(each.modality in kinds for each in images.cells):
        return []
    return [Fit(Verdict.NO, f"it has no annotations of the kinds {_words(kinds)}")]


def _of_contrast(inputs: ToolInputs, images: Images) -> list[Fit]:
    if not inputs.contrast:
        return []
    if images.contrast is None:
        return [Fit(Verdict.UNKNOWN, "its record does not tell about contrast agents")]
    others = sorted(set(images.contrast) - set(inputs.contrast))
    if not others:
        return []
    if set(images.contrast) & set(inputs.contrast):
        return [
            Fit(
                Verdict.UNKNOWN,
                "some of its series have a contrast agent that it does not take, and which is not published",
            )
        ]
    return [
        Fit(
            Verdict.NO,
            f"it takes contrast agent {_words(inputs.contrast)}, and the series have {_words(others)}",
        )
    ]


def _bounds(band: str) -> tuple[Fraction, Fraction | None] | None:
    """Return the half-open range of a band in millimetres, None where it is unknown; an open end is None."""
    if band not in (*THICKNESS_BANDS, *FORMER_THICKNESS_BANDS) or band == _UNKNOWN:
        return None
    if band.startswith("<"):
        return Fraction(0), Fraction(band[1:])
    if band.startswith(">="):
        return Fraction(band[2:]), None
    low, _, high = band.partition("-")
    return Fraction(low), Fraction(high)


def _overlaps(inputs: ToolInputs, band: str) -> bool:
    least, most = _range_of(inputs)
    bounds = _bounds(band)
    if bounds is None:
        return True
    low, high = bounds
    return (most is None or low <= most) and (least is None or high is None or high > least)


def _within(inputs: ToolInputs, band: str) -> bool:
    least, most = _range_of(inputs)
    if least is None and most is None:
        return True
    bounds = _bounds(band)
    if bounds is None:
        return False
    low, high = bounds
    return (least is None or low >= least) and (most is None or (high is not None and high <= most))


def _range_of(inputs: ToolInputs) -> tuple[Fraction | None, Fraction | None]:
    least, most = inputs.minimum_thickness_mm, inputs.maximum_thickness_mm
    return (
        None if least is None else Fraction(least),
        None if most is None else Fraction(most),
    )


def _range(inputs: ToolInputs) -> str:
    least, most = inputs.minimum_thickness_mm, inputs.maximum_thickness_mm
    if least is not None and most is not None:
        return f"of {least} to {most} mm"
    return f"of at least {least} mm" if least is not None else f"of at most {most} mm"


def _words(values: Iterable[str]) -> str:
    listed = list(dict.fromkeys(sorted(values)))
    more = len(listed) - _MOST_NAMED
    return ", ".join(listed[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _sentence(parts: Iterable[str]) -> str:
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."
