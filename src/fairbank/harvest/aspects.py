"""The quality aspects of a series, and what can be known of one.

An aspect says what may be wrong. Not assessed is not the same as not affected: where headers cannot tell, nothing is
said until a person or the archive does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fairbank.ontology.record import HowKnown


class Aspect(StrEnum):
    """The quality aspects that a record lists, assessed or not."""

    MISSING_SLICES = "missing-slices"
    INCOMPLETE_VOLUMES = "incomplete-volumes"
    POSSIBLY_INCOMPLETE = "possibly-incomplete"
    DUPLICATE_FILES = "duplicate-files"
    DUPLICATE_SLICES = "duplicate-slices"
    UNEVEN_SPACING = "uneven-spacing"
    TILTED_SLICES = "tilted-slices"
    SLICE_GAPS = "slice-gaps"
    SLICE_OVERLAP = "slice-overlap"
    WRONG_SPACING = "wrong-spacing"
    SEVERAL_STACKS = "several-stacks"
    MIXED_PARAMETERS = "mixed-parameters"
    IMPLAUSIBLE_VALUES = "implausible-values"
    BURNED_IN_TEXT = "burned-in-text"
    RECOGNISABLE_FEATURES = "recognisable-features"
    LOSSY_COMPRESSION = "lossy-compression"
    IDENTITY_NOT_REMOVED = "identity-not-removed"
    MODIFIED_DATES = "modified-dates"
    ORPHAN_REFERENCES = "orphan-references"
    MOTION = "motion"
    ARTEFACTS = "artefacts"
    LOW_QUALITY = "low-quality"
    CLIPPED_VALUES = "clipped-values"
    BLANK_SLICES = "blank-slices"
    UNREADABLE_PIXELS = "unreadable-pixels"


# What each aspect says of a series that it affects.
MEANINGS: Final[dict[Aspect, str]] = {
    Aspect.MISSING_SLICES: "slices are missing between the first and the last",
    Aspect.INCOMPLETE_VOLUMES: "some of its volumes lack images at some places",
    Aspect.POSSIBLY_INCOMPLETE: "counts or image numbers hint at images that are not there, such as at its ends",
    Aspect.DUPLICATE_FILES: "the same image is there in more than one file",
    Aspect.DUPLICATE_SLICES: "different images lie at one place, and nothing tells them apart",
    Aspect.UNEVEN_SPACING: "steps between slices differ",
    Aspect.TILTED_SLICES: "the stack does not stand upright on its slices",
    Aspect.SLICE_GAPS: "there is space between slices",
    Aspect.SLICE_OVERLAP: "slices overlap",
    Aspect.WRONG_SPACING: "the spacing that headers state is not that of the positions",
    Aspect.SEVERAL_STACKS: "its slices have more than one orientation, or lie side by side",
    Aspect.MIXED_PARAMETERS: "its images were made with different settings",
    Aspect.IMPLAUSIBLE_VALUES: "headers say what cannot be",
    Aspect.BURNED_IN_TEXT: "headers say that text is burned in",
    Aspect.RECOGNISABLE_FEATURES: "headers say that a person could be recognised",
    Aspect.LOSSY_COMPRESSION: "headers say that it was compressed with losses",
    Aspect.IDENTITY_NOT_REMOVED: "headers do not say that the identity was removed",
    Aspect.MODIFIED_DATES: "its dates are not the true ones",
    Aspect.ORPHAN_REFERENCES: "it refers to a series that is not here",
    Aspect.MOTION: "the subject moved",
    Aspect.ARTEFACTS: "artefacts disturb the image",
    Aspect.LOW_QUALITY: "it was found questionable or unusable",
    Aspect.CLIPPED_VALUES: "bright values were cut off",
    Aspect.BLANK_SLICES: "slices hold one value only",
    Aspect.UNREADABLE_PIXELS: "its pixels cannot be decoded",
}


# What only measuring the pixels tells; see `measured_quality`.
OF_PIXELS: Final = (Aspect.CLIPPED_VALUES, Aspect.BLANK_SLICES, Aspect.UNREADABLE_PIXELS)


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known of one aspect of one series.

    Attributes:
        details: which, how many: words of ours and numbers, never text of a header.
    """

    assessed: bool
    affected: bool = False
    how_known: HowKnown | None = None
    details: tuple[str, ...] = ()


NOT_ASSESSED: Final = Assessment(assessed=False)


def computed(affected: bool, *details: str) -> Assessment:
    """Return what was worked out of headers."""
    return Assessment(True, affected, HowKnown.COMPUTED, details if affected else ())


def stated(words: set[str], *, yes: str, no: str) -> Assessment:
    """Return what headers state: affected if one says so, unaffected only if all say so."""
    if yes in words:
        return Assessment(True, True, HowKnown.HEADER)
    if words == {no}:
        return Assessment(True, False, HowKnown.HEADER)
    return NOT_ASSESSED
