"""Each quality aspect of a series, from its headers: what could be assessed, what was found, and how it is known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from fairbank.harvest.aspects import NOT_ASSESSED, OF_PIXELS, Aspect, Assessment, computed, stated
from fairbank.harvest.consistency import mixed_parameters, one_thickness
from fairbank.harvest.geometry import Geometry, tolerance_mm
from fairbank.harvest.header_texts import parts
from fairbank.harvest.headers import InstanceHeader
from fairbank.harvest.plausibility import implausible_values
from fairbank.ontology.record import HowKnown

# Transfer syntaxes that always lose something: JPEG baseline and extended, JPEG-LS near-lossless, MPEG, H.264, H.265
# (DICOM PS3.5, sections 8.2.1 to 8.2.13).
_LOSSY_SYNTAX: Final = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.(50|51|81|10[0-8])(\.1)?")
# Defined terms of Lossy Image Compression Method (0028,2114) look like this: ISO_10918_1.
_METHOD: Final = re.compile(r"ISO_[0-9]{4,5}_[0-9]{1,2}")
_NOT_TRUE: Final = frozenset({"MODIFIED", "REMOVED"})


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a series beside its headers.

    Attributes:
        expected_instances: how many instances its source says that it has.
        archive_quality: the archive's own word: usable, questionable or unusable.
        today: the day of the harvest.
    """

    expected_instances: int | None = None
    archive_quality: str | None = None
    today: date | None = None


NOTHING_KNOWN: Final = Known()


def assessments(
    headers: Sequence[InstanceHeader], shape: Geometry, known: Known = NOTHING_KNOWN
) -> dict[Aspect, Assessment]:
    """Return what is known of each aspect of a series.

    Args:
        headers: all headers of the series, at least one.
        shape: its geometry; not assessed where its slices need not be whole, as in a segmentation.
        known: what is known beside the headers.
    """
    return {
        **_of_places(shape),
        **_of_spacing(headers, shape),
        Aspect.POSSIBLY_INCOMPLETE: _counted(headers, shape, known.expected_instances),
        Aspect.DUPLICATE_FILES: _files(headers),
        Aspect.MIXED_PARAMETERS: _mixed(headers),
        Aspect.IMPLAUSIBLE_VALUES: _implausible(headers, known.today),
        **_of_marks(headers),
        # It depends on what else is there, so it is worked out when somebody asks (judging.py).
        Aspect.ORPHAN_REFERENCES: NOT_ASSESSED,
        # Headers say nothing about these; only a person, the archive or the pixels can.
        Aspect.MOTION: NOT_ASSESSED,
        Aspect.ARTEFACTS: NOT_ASSESSED,
        Aspect.LOW_QUALITY: archive_word(known.archive_quality),
        **dict.fromkeys(OF_PIXELS, NOT_ASSESSED),
    }


def archive_word(word: str | None, validation: str | None = None) -> Assessment:
    """Return what an archive's own words say of a series.

    Args:
        word: usable, questionable, unusable or another, which says nothing.
        validation: what came of its validation there: passed, passed-with-warnings, failed or another.

    Source: the quality words of XNAT's scans, and its protocol checks.

    >>> archive_word("unusable").affected, archive_word("usable").affected, archive_word(None).assessed
    (True, False, False)
    >>> archive_word(None, "failed").details, archive_word("usable", "failed").affected
    (('validation failed',), True)
    """
    found = [each for each in (word,) if each in ("questionable", "unusable")]
    found += ["validation failed"] if validation == "failed" else []
    good = word == "usable" or validation in ("passed", "passed-with-warnings")
    if not found and not good:
        return NOT_ASSESSED
    return Assessment(True, bool(found), HowKnown.ARCHIVE, tuple(found))


def _of_places(shape: Geometry) -> dict[Aspect, Assessment]:
    several = computed(shape.stacks > 1, f"{shape.stacks} stacks") if shape.stacks else NOT_ASSESSED
    if not shape.assessed:
        none = dict.fromkeys(
            (
                Aspect.MISSING_SLICES,
                Aspect.INCOMPLETE_VOLUMES,
                Aspect.DUPLICATE_SLICES,
                Aspect.UNEVEN_SPACING,
                Aspect.TILTED_SLICES,
            ),
            NOT_ASSESSED,
        )
        return {**none, Aspect.SEVERAL_STACKS: several}
    tilt = f"{shape.tilt_degrees:.1f} degrees"
    return {
        Aspect.MISSING_SLICES: computed(shape.missing > 0, f"{shape.missing} slices"),
        Aspect.INCOMPLETE_VOLUMES: computed(
            shape.incomplete > 0, f"{shape.incomplete} images", f"{shape.volumes} volumes"
        ),
        Aspect.DUPLICATE_SLICES: computed(shape.duplicates > 0, f"{shape.duplicates} images"),
        Aspect.UNEVEN_SPACING: computed(shape.uneven),
        Aspect.TILTED_SLICES: computed(shape.tilt_degrees > 0, tilt),
        Aspect.SEVERAL_STACKS: several,
    }


def _of_spacing(headers: Sequence[InstanceHeader], shape: Geometry) -> dict[Aspect, Assessment]:
    """Compare the step between slices with what headers state of it."""
    gaps = overlap = wrong = NOT_ASSESSED
    step = shape.spacing_mm
    if shape.assessed and step is not None:
        thickness = one_thickness(headers)
        if thickness is not None:
            between = step - thickness
            tolerance = tolerance_mm(step)
            gaps = computed(between > tolerance, f"{between:.2f} mm")
            overlap = computed(-between > tolerance, f"{-between:.2f} mm")
        said = {abs(header.spacing_between) for header in headers if header.spacing_between}
        if said:
            wrong = computed(any(abs(each - step) > tolerance_mm(step) for each in said))
    return {Aspect.SLICE_GAPS: gaps, Aspect.SLICE_OVERLAP: overlap, Aspect.WRONG_SPACING: wrong}


def _counted(headers: Sequence[InstanceHeader], shape: Geometry, expected: int | None) -> Assessment:
    """Compare counts that somebody states with what is there, and look at image numbers for holes.

    Numbers alone never show that nothing is missing, because the last image leaves no hole. One header alone may stand
    for a series of which the source gives no more, so it is compared with nothing.
    """
    once = {header.sop_uid: header for header in headers}.values()
    if len(once) < 2:
        return NOT_ASSESSED
    totals = [expected] if expected else []
    for keyword in ("NumberOfSeriesRelatedInstances", "ImagesInAcquisition"):
        said = {header.said.get(keyword, "") for header in once}
        totals += [int(text) for text in said if text.isascii() and text.isdigit() and int(text) > 0]
    hints = []
    if totals and max(totals) > len(once):
        hints.append(f"{max(totals) - len(once)} fewer than stated")
    hints += _holes(list(once), shape)
    return computed(bool(hints), *hints) if hints or totals else NOT_ASSESSED


def _holes(headers: Sequence[InstanceHeader], shape: Geometry) -> list[str]:
    numbers = {header.instance_number for header in headers if header.instance_number is not None}
    if len(numbers) < len(headers):
        return []
    explained = shape.missing * shape.volumes + shape.incomplete if shape.assessed else 0
    left_out = max(numbers) - min(numbers) + 1 - len(numbers) - explained
    hints = []
    # Larger numbers follow a scheme of their own and say nothing.
    if 1 < min(numbers) <= len(numbers) + 1:
        hints.append(f"{min(numbers) - 1} numbers before the first")
    if 0 < left_out <= len(numbers):
        hints.append(f"{left_out} numbers left out")
    return hints


def _files(headers: Sequence[InstanceHeader]) -> Assessment:
    if len(headers) < 2:
        return NOT_ASSESSED
    twice = len(headers) - len({header.sop_uid for header in headers})
    return computed(twice > 0, f"{twice} files")


def _mixed(headers: Sequence[InstanceHeader]) -> Assessment:
    if len(headers) < 2:
        return NOT_ASSESSED
    mixed = mixed_parameters(headers)
    return computed(bool(mixed), *mixed)


def _implausible(headers: Sequence[InstanceHeader], today: date | None) -> Assessment:
    found = implausible_values(headers, today=today)
    return computed(bool(found), *found)


def _of_marks(headers: Sequence[InstanceHeader]) -> dict[Aspect, Assessment]:
    removed = {header.said.get("PatientIdentityRemoved", "").upper() for header in headers}
    dates = {header.said.get("LongitudinalTemporalInformationModified", "").upper() for header in headers}
    features = {header.said.get("RecognizableVisualFeatures", "").upper() for header in headers}
    return {
        Aspect.BURNED_IN_TEXT: stated({header.burned_in for header in headers}, yes="YES", no="NO"),
        Aspect.RECOGNISABLE_FEATURES: stated(features, yes="YES", no="NO"),
        Aspect.LOSSY_COMPRESSION: _lossy(headers),
        Aspect.IDENTITY_NOT_REMOVED: Assessment(True, removed != {"YES"}, HowKnown.HEADER),
        Aspect.MODIFIED_DATES: stated(
            {"MODIFIED" if word in _NOT_TRUE else word for word in dates}, yes="MODIFIED", no="UNMODIFIED"
        ),
    }


def _lossy(headers: Sequence[InstanceHeader]) -> Assessment:
    """Return whether images lost something, at any time of their life, with ratio and method where they are said."""
    if not any(_LOSSY_SYNTAX.fullmatch(header.said.get("TransferSyntaxUID", "")) for header in headers):
        known = stated({header.lossy for header in headers}, yes="01", no="00")
        if not known.affected:
            return known
    details: dict[str, None] = {}
    for header in headers:
        for ratio in parts(header.said.get("LossyImageCompressionRatio", "")):
            if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?", ratio):
                details[f"ratio {float(ratio):g}"] = None
        for method in parts(header.said.get("LossyImageCompressionMethod", "")):
            if _METHOD.fullmatch(method):
                details[method] = None
    return Assessment(True, True, HowKnown.HEADER, tuple(details)[:8])
