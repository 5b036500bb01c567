"""What the index says of one series: facts of its headers, each quality aspect with how it is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fairbank.deid.annotations import Annotations
from fairbank.deid.facts import KernelClass, kernel_class
from fairbank.harvest.headers import InstanceHeader
from fairbank.harvest.quality import Geometry, geometry
from fairbank.ontology.equipment import field_strength, normalise_model
from fairbank.ontology.record import UNKNOWN, HowKnown
from fairbank.ontology.sex_and_side import Side, side
from fairbank.ontology.vocabulary import body_part, modality, normalise_manufacturer, thickness_band


class Aspect(StrEnum):
    """The quality aspects that a record lists, assessed or not."""

    MISSING_SLICES = "missing-slices"
    DUPLICATE_SLICES = "duplicate-slices"
    UNEVEN_SPACING = "uneven-spacing"
    BURNED_IN_TEXT = "burned-in-text"
    LOSSY_COMPRESSION = "lossy-compression"
    MOTION = "motion"


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known of one aspect of one series; not assessed is not the same as not affected."""

    assessed: bool
    affected: bool = False
    how_known: HowKnown | None = None


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """The facts of one series that its headers tell; lengths in millimetres.

    Attributes:
        spacing_mm: median step between slices; where it could not be worked out, what the first header says.
        slice_spacing: band of the step between slices, where it was worked out from their positions.
    """

    series_uid: str
    study_uid: str
    subject: str
    modality: str
    body_part: str
    manufacturer: str
    manufacturer_raw: str
    slice_thickness_mm: float | None
    slice_thickness: str
    spacing_mm: float | None
    slice_spacing: str
    model: str
    field_strength: str
    kernel: str
    laterality: str
    study_day: int | None
    annotations: Annotations
    rows: int | None
    columns: int | None
    instances: int
    frames: int
    quality: dict[Aspect, Assessment]


def group_series(headers: Sequence[InstanceHeader]) -> dict[str, list[InstanceHeader]]:
    """Return headers by series UID, each list in the order of instance numbers."""
    series: dict[str, list[InstanceHeader]] = {}
    for header in sorted(
        headers, key=lambda each: (each.series_uid, each.instance_number or 0, each.sop_uid)
    ):
        series.setdefault(header.series_uid, []).append(header)
    return series


def describe(headers: Sequence[InstanceHeader]) -> SeriesFacts:
    """Return the facts of one series.

    Args:
        headers: all headers of the series, at least one.
    """
    first = headers[0]
    once = {header.sop_uid: header for header in headers}
    thickness = _first(header.slice_thickness for header in headers)
    shape = geometry(headers)
    kind, maker = modality(first.modality), normalise_manufacturer(first.manufacturer)
    return SeriesFacts(
        series_uid=first.series_uid,
        study_uid=first.study_uid,
        subject=first.subject,
        modality=kind,
        body_part=body_part(_first_text(header.body_part for header in headers)),
        manufacturer=maker,
        manufacturer_raw=first.manufacturer,
        slice_thickness_mm=thickness,
        slice_thickness=thickness_band(thickness),
        spacing_mm=shape.spacing_mm if shape.assessed else first.spacing_between,
        slice_spacing=thickness_band(shape.spacing_mm) if shape.assessed else UNKNOWN,
        model=normalise_model(maker, _first_text(header.model for header in headers)),
        field_strength=_field_strength(headers) if kind == "MR" else UNKNOWN,
        kernel=_kernel(headers) if kind == "CT" else UNKNOWN,
        laterality=_laterality({header.laterality for header in headers}),
        study_day=next((header.study_day for header in headers if header.study_day is not None), None),
        annotations=_annotations(headers),
        rows=first.rows,
        columns=first.columns,
        instances=len(once),
        frames=sum(header.frames for header in once.values()),
        quality=_quality(headers, shape),
    )


def _field_strength(headers: Sequence[InstanceHeader]) -> str:
    return field_strength(_first(header.field_strength for header in headers))


def _kernel(headers: Sequence[InstanceHeader]) -> str:
    classes = (kernel_class(header.kernel) for header in headers)
    return next((each.value for each in classes if each is not KernelClass.UNKNOWN), UNKNOWN)


def _laterality(said: set[str]) -> str:
    """Return the side of a series; images of the left and of the right make both.

    Source: DICOM PS3.3, C.7.3.1 and C.8.11.7, for the words of Laterality and Image Laterality.
    """
    sides = {side(word) for word in said}
    if Side.BOTH in sides or {Side.LEFT, Side.RIGHT} <= sides:
        return Side.BOTH.value
    return next((each.value for each in Side if each in sides), UNKNOWN)


def _annotations(headers: Sequence[InstanceHeader]) -> Annotations:
    found = Annotations()
    for header in headers:
        found = found.merged(header.annotations)
    return found


def _quality(headers: Sequence[InstanceHeader], shape: Geometry) -> dict[Aspect, Assessment]:
    computed = HowKnown.COMPUTED if shape.assessed else None
    burned_in = {header.burned_in for header in headers}
    lossy = {header.lossy for header in headers}
    return {
        Aspect.MISSING_SLICES: Assessment(shape.assessed, shape.missing > 0, computed),
        Aspect.DUPLICATE_SLICES: Assessment(shape.assessed, shape.duplicates > 0, computed),
        Aspect.UNEVEN_SPACING: Assessment(shape.assessed, shape.uneven, computed),
        Aspect.BURNED_IN_TEXT: _stated(burned_in, yes="YES", no="NO"),
        Aspect.LOSSY_COMPRESSION: _stated(lossy, yes="01", no="00"),
        # Headers say nothing about motion; only a person or the pixels can.
        Aspect.MOTION: Assessment(assessed=False),
    }


def _stated(words: set[str], *, yes: str, no: str) -> Assessment:
    """Return what headers state: affected if one says so, unaffected only if all say so."""
    if yes in words:
        return Assessment(True, True, HowKnown.HEADER)
    if words == {no}:
        return Assessment(True, False, HowKnown.HEADER)
    return Assessment(assessed=False)


def _first(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)


def _first_text(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")
