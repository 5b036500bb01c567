"""The columns of a series in the index, from what headers say and what its fact sheet knows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from fairbank import __version__
from fairbank.clock import iso
from fairbank.deid.annotations import Annotations
from fairbank.deid.facts import FactSheet, KernelClass
from fairbank.harvest.aspects import Aspect, Assessment
from fairbank.harvest.series import SeriesFacts
from fairbank.harvest.store import SeriesRow
from fairbank.ontology.record import UNKNOWN, HowKnown
from fairbank.ontology.vocabulary import body_part_of_code

SOFTWARE = f"fairbank {__version__}"
# What a tombstone keeps: which series it was, and where the row belongs.
_KEPT = frozenset(
    {"id", "project", "series_uid", "state", "source", "held", "gone", "directory", "run", "seen"}
)
# What speaks against slices that follow each other without a gap.
AGAINST_CONTIGUITY: Final = (
    Aspect.MISSING_SLICES,
    Aspect.INCOMPLETE_VOLUMES,
    Aspect.DUPLICATE_SLICES,
    Aspect.UNEVEN_SPACING,
    Aspect.SEVERAL_STACKS,
    Aspect.SLICE_GAPS,
)
_EMPTY_TEXTS = frozenset({"study_uid", "subject", "stat_token", "content_digest", "manufacturer_raw"})


def header_values(facts: SeriesFacts, *, at: datetime) -> dict[str, Any]:
    """Return the columns that headers fill, ids left out; `at` is when they were read."""
    return {
        "modality": facts.modality,
        "body_part": facts.body_part,
        "body_part_known": HowKnown.HEADER.value if facts.body_part != UNKNOWN else None,
        "manufacturer": facts.manufacturer,
        "manufacturer_raw": facts.manufacturer_raw,
        "slice_thickness_mm": facts.slice_thickness_mm,
        "slice_thickness": facts.slice_thickness,
        "spacing_mm": facts.spacing_mm,
        "slice_spacing": facts.slice_spacing,
        "model": facts.model,
        "field_strength": facts.field_strength,
        "kernel": facts.kernel,
        "laterality": facts.laterality,
        "study_day": facts.study_day,
        "annotations": facts.annotations.as_json(),
        "rows": facts.rows,
        "columns": facts.columns,
        "instances": facts.instances,
        "frames": facts.frames,
        "quality": quality_as_json(facts.quality, at=at),
        "contiguous": contiguous(facts.quality),
        "derived": derived(facts.acquisition.get("ImageType", [])),
        "acquisition": _marks(iso(at)) | {"how_known": HowKnown.HEADER.value, "values": facts.acquisition},
    }


def contiguous(quality: Mapping[Aspect, Assessment]) -> bool | None:
    """Return whether slices are all there, at even steps in one stack and without space between them; None: not known.

    Source: the rules of `geometry.py`; a gap is a step larger than the thickness that headers state.
    """
    found = [quality[aspect] for aspect in AGAINST_CONTIGUITY if aspect in quality]
    if any(one.affected for one in found):
        return False
    return True if len(found) == len(AGAINST_CONTIGUITY) and all(one.assessed for one in found) else None


def derived(image_types: Sequence[str]) -> bool | None:
    r"""Return whether images were made of others, None if headers do not say or images of a series differ.

    Source: Image Type (0008,0008), value 1, DICOM PS3.3, C.7.6.1.1.2.

    >>> derived([r"ORIGINAL\PRIMARY\AXIAL"]), derived([r"DERIVED\SECONDARY\REFORMATTED"]), derived([])
    (False, True, None)
    """
    words = {said.split("\\")[0].strip().upper() for said in image_types}
    return words == {"DERIVED"} if len(words) == 1 and words <= {"ORIGINAL", "DERIVED"} else None


def sheet_values(
    sheet: FactSheet | None, *, modality: str, body_part: str, annotations: Annotations
) -> dict[str, Any]:
    """Return the columns that a fact sheet fills, or knows better than the headers of a cleaned file.

    Args:
        sheet: the fact sheet; without one these facts are unknown.
        modality: what the headers say.
        body_part: what the headers say; the sheet is asked only where they say nothing.
        annotations: what the headers say; it completes what the sheet knows.
    """
    values: dict[str, Any] = {
        "sex": sheet.sex.value if sheet else UNKNOWN,
        "age_band": sheet.age_band if sheet else UNKNOWN,
        "contrast": sheet.contrast.value if sheet else UNKNOWN,
        # Dates in the store may be shifted; only the sheet knows the true year.
        "acquisition_year": sheet.acquisition_year if sheet else None,
    }
    if sheet is None:
        return values
    # An older sheet knows less.
    if sheet.study_day is not None:
        values["study_day"] = sheet.study_day
    if modality == "CT" and sheet.kernel_class is not KernelClass.UNKNOWN:
        values["kernel"] = sheet.kernel_class.value
    values["annotations"] = sheet.annotations.before(annotations).as_json()
    stated = body_part_of_code(sheet.body_region_code)
    if body_part == UNKNOWN and stated != UNKNOWN:
        values |= {"body_part": stated, "body_part_known": sheet.body_region_known.value}
    return values


def quality_as_json(quality: Mapping[Aspect, Assessment], *, at: datetime) -> dict[str, Any]:
    """Return what is known of a series' quality as the index keeps it: each aspect with when and by what."""
    return _as_json(tuple(quality.items()), iso(at))


# A collection has few different verdicts: each is put into words once. Nobody changes what comes back.
@lru_cache(maxsize=10_000)
def _as_json(quality: tuple[tuple[Aspect, Assessment], ...], at: str) -> dict[str, Any]:
    return {aspect.value: json.loads(json.dumps(asdict(known))) | _marks(at) for aspect, known in quality}


def _marks(at: str) -> dict[str, Any]:
    return {"at": at, "tool": SOFTWARE}


def without_marks(value: Any) -> Any:
    """Return a column's value without the marks of when and by what it was found out, wherever they stand."""
    if isinstance(value, dict):
        marks = {"at", "tool"} if {"at", "tool"} <= value.keys() else set()
        return {word: without_marks(said) for word, said in value.items() if word not in marks}
    return [without_marks(one) for one in value] if isinstance(value, list) else value


def blank_values() -> dict[str, Any]:
    """Return the columns that a tombstone empties: all that tells anything of the series."""
    found: dict[str, Any] = {}
    for column in SeriesRow.__table__.columns:
        if column.name in _KEPT:
            continue
        kind = column.type.python_type
        if column.nullable:
            found[column.name] = None
        elif kind is str:
            found[column.name] = "" if column.name in _EMPTY_TEXTS else UNKNOWN
        else:
            found[column.name] = kind() if kind in (int, float, bool) else {}
    return found
