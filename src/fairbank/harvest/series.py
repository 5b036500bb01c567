"""What the index says of one series: facts of its headers, each quality aspect with how it is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydicom.datadict import dictionary_VR

from fairbank.deid.annotations import Annotations
from fairbank.deid.facts import KernelClass, kernel_class
from fairbank.harvest.aspects import Aspect, Assessment
from fairbank.harvest.geometry import Geometry, geometry
from fairbank.harvest.headers import ACQUISITION, InstanceHeader
from fairbank.harvest.quality import NOTHING_KNOWN, Known, assessments
from fairbank.ontology.equipment import field_strength, normalise_model
from fairbank.ontology.record import UNKNOWN
from fairbank.ontology.sex_and_side import Side, side
from fairbank.ontology.vocabulary import (
    DERIVED_MODALITIES,
    body_part,
    modality,
    normalise_manufacturer,
    thickness_band,
)

_MOST_VALUES = 8
_LONGEST_VALUE = 64

# Value representations of numbers, DICOM PS3.5, table 6.2-1.
_NUMBERS = frozenset(
    keyword for keyword in ACQUISITION if dictionary_VR(keyword) in ("DS", "FD", "FL", "IS", "SS", "UL", "US")
)


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """The facts of one series that its headers tell; lengths in millimetres.

    Attributes:
        spacing_mm: median step between slices; where it could not be worked out, what the first header says.
        slice_spacing: band of the step between slices, where it was worked out from their positions.
        acquisition: how it was acquired and made, as headers say: for each keyword the values that occur.
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
    acquisition: dict[str, list[str]] = field(default_factory=dict)


def group_series(headers: Sequence[InstanceHeader]) -> dict[str, list[InstanceHeader]]:
    """Return headers by series UID, each list in the order of instance numbers."""
    series: dict[str, list[InstanceHeader]] = {}
    for header in sorted(
        headers, key=lambda each: (each.series_uid, each.instance_number or 0, each.sop_uid)
    ):
        series.setdefault(header.series_uid, []).append(header)
    return series


def describe(headers: Sequence[InstanceHeader], known: Known = NOTHING_KNOWN) -> SeriesFacts:
    """Return the facts of one series.

    Args:
        headers: all headers of the series, at least one.
        known: what is known of it beside them.
    """
    first = headers[0]
    once = {header.sop_uid: header for header in headers}
    thickness = _first(header.slice_thickness for header in headers)
    kind, maker = modality(first.modality), normalise_manufacturer(first.manufacturer)
    # What is drawn on images need not be on each of them.
    shape = Geometry(assessed=False) if kind in DERIVED_MODALITIES else geometry(headers)
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
        quality=assessments(headers, shape, known),
        acquisition=_acquisition(headers),
    )


def _acquisition(headers: Sequence[InstanceHeader]) -> dict[str, list[str]]:
    found = {}
    for keyword in (*ACQUISITION, "TransferSyntaxUID"):
        said = {header.said.get(keyword, "") for header in headers} - {""}
        written_once = _numbers_as_text if keyword in _NUMBERS else _words_as_text
        values = sorted({written_once(each) for each in said})
        if values:
            found[keyword] = [value[:_LONGEST_VALUE] for value in values[:_MOST_VALUES]]
    return found


def _words_as_text(said: str) -> str:
    """Return words without the blanks that pad them."""
    return "\\".join(part.strip() for part in said.split("\\"))


def _numbers_as_text(said: str) -> str:
    r"""Return numbers as they are written once, since files and archives write them in different ways.

    >>> _numbers_as_text(r"1.250\120.0"), _numbers_as_text("n/a")
    ('1.25\\120', 'n/a')
    """
    try:
        return "\\".join(f"{float(part):.10g}" for part in said.split("\\"))
    except ValueError:
        return said


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


def _first(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)


def _first_text(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")
