"""The tool `intensity-geometry`: grey values and geometry of each series.

One row per series. Grey values are measured after the Modality LUT (rescale slope and intercept, DICOM
PS3.3 C.11.1), so CT comes in Hounsfield units; padding (PS3.3 C.7.5.1.1.2) is left out. Percentiles are
inverse-CDF percentiles of all voxels. Extremes are rounded to two significant digits, because an exact
extreme is a value of one person's image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fairbank.analysis.contract import Column, ColumnType, Contract, Row, RowStatus, Value
from fairbank.analysis.dicom_frames import (
    Header,
    measure_geometry,
    measure_intensities,
    read_headers,
)
from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.tool import Desk, ToolParameters

EXTREME_DIGITS = 2
MODALITIES = ("CT", "MR", "PT", "NM", "US", "CR", "DX", "DR", "MG", "XA", "RF", "IO", "PX", "OT")
REASONS = (
    "not_an_image",
    "color",
    "undecodable",
    "mixed_sizes",
    "geometry_missing",
    "only_padding",
    "unreadable",
    "empty",
)
PERCENTILES = (5, 25, 50, 75, 95)
UNITS = ("[hnsf'U]", "Bq/ml", "1")
ORIENTATIONS = ("axial", "coronal", "sagittal", "oblique")


class IntensityGeometryParameters(ToolParameters):
    """Parameters of `intensity-geometry`.

    Args:
        measure: what to measure.
        significant_digits: digits that means, deviations, percentiles and lengths are rounded to.
    """

    measure: Annotated[tuple[Literal["intensity", "geometry"], ...], Field(min_length=1, max_length=2)] = (
        "intensity",
        "geometry",
    )
    significant_digits: Annotated[int, Field(ge=2, le=6)] = 4


@dataclass(frozen=True, slots=True)
class IntensityGeometry:
    """Measures grey values and geometry."""

    name: str = "intensity-geometry"
    version: str = "1.0.0"
    modules: tuple[str, ...] = ("fairbank.analysis.intensity_geometry", "fairbank.analysis.dicom_frames")
    parameters: type[ToolParameters] = IntensityGeometryParameters
    reasons: tuple[str, ...] = REASONS

    def contract(self, parameters: IntensityGeometryParameters) -> Contract:
        """Return the columns that these parameters lead to."""
        columns = list(_IDENTITY)
        if "intensity" in parameters.measure:
            columns += _INTENSITY
        if "geometry" in parameters.measure:
            columns += _GEOMETRY
        return Contract(tuple(columns))

    def measure(
        self, item: StagedSeries, parameters: IntensityGeometryParameters, desk: Desk
    ) -> Sequence[Row]:
        """Return the row of a series."""
        headers = read_headers(item.files)
        modality = headers[0].modality if headers[0].modality in MODALITIES else "OT"
        row: dict[str, Value] = {"row": item.unit, "status": RowStatus.OK.value, "modality": modality}
        try:
            for part in sorted(parameters.measure):
                _PARTS[part](headers, parameters.significant_digits, row)
        except ItemImpossible as fault:
            # What was measured before stays in the row.
            row |= {"status": RowStatus.IMPOSSIBLE.value, "reason": fault.reason}
        return [row]


def _add_geometry(headers: Sequence[Header], digits: int, row: dict[str, Value]) -> None:
    geometry = measure_geometry(headers)
    row |= {
        "rows": geometry.rows,
        "columns": geometry.columns,
        "slices": geometry.slices,
        "row_spacing_mm": _rounded(geometry.row_spacing_mm, digits),
        "column_spacing_mm": _rounded(geometry.column_spacing_mm, digits),
        "slice_spacing_mm": _rounded(geometry.slice_spacing_mm, digits),
        "slice_thickness_mm": _rounded(geometry.slice_thickness_mm, digits),
        "volume_mm3": _rounded(geometry.volume_mm3, digits),
        "evenly_spaced": None if geometry.even is None else ("yes" if geometry.even else "no"),
        "orientation": geometry.orientation,
    }
    if not geometry.complete:
        # What the headers do say stays in the row, and grey values are still measured.
        row |= {"status": RowStatus.IMPOSSIBLE.value, "reason": "geometry_missing"}


def _add_intensity(headers: Sequence[Header], digits: int, row: dict[str, Value]) -> None:
    intensities = measure_intensities(headers)
    mean, sd = intensities.mean_and_sd()
    row |= {"intensity_unit": intensities.unit, "mean": _rounded(mean, digits), "sd": _rounded(sd, digits)}
    row |= {
        f"p{wanted:02d}": _rounded(value, digits)
        for wanted, value in zip(PERCENTILES, intensities.percentiles(PERCENTILES), strict=True)
    }
    row["minimum"] = _rounded(float(intensities.values[0]), EXTREME_DIGITS)
    row["maximum"] = _rounded(float(intensities.values[-1]), EXTREME_DIGITS)


_PARTS: dict[str, Callable[[Sequence[Header], int, dict[str, Value]], None]] = {
    "geometry": _add_geometry,
    "intensity": _add_intensity,
}


def _rounded(value: float | None, digits: int) -> float | None:
    """Return a value with so many significant digits.

    >>> _rounded(1234.5, 2)
    1200.0
    """
    return None if value is None else float(f"{value:.{digits - 1}e}")


def _number(name: str, unit: str | None, meaning: str) -> Column:
    return Column(name, ColumnType.NUMBER, unit, meaning)


_IDENTITY = (
    Column("row", ColumnType.ROW_ID, None, "Pseudonym of the series, of this job only."),
    Column("status", ColumnType.WORD, None, "How the measuring ended.", tuple(s.value for s in RowStatus)),
    Column("reason", ColumnType.WORD, None, "Why a series could not be measured in full.", REASONS),
    Column("modality", ColumnType.WORD, None, "DICOM modality (0008,0060).", MODALITIES),
)
_INTENSITY = (
    Column("intensity_unit", ColumnType.WORD, None, "Unit of the grey values.", UNITS),
    _number("mean", None, "Mean grey value of all voxels."),
    _number("sd", None, "Standard deviation of all voxels."),
    *(_number(f"p{q:02d}", None, f"Grey value that {q} % of voxels do not exceed.") for q in PERCENTILES),
    _number("minimum", None, "Least grey value, two significant digits."),
    _number("maximum", None, "Greatest grey value, two significant digits."),
)
_GEOMETRY = (
    Column("rows", ColumnType.INTEGER, "1", "Pixel rows."),
    Column("columns", ColumnType.INTEGER, "1", "Pixel columns."),
    Column("slices", ColumnType.INTEGER, "1", "Frames of the series."),
    _number("row_spacing_mm", "mm", "Distance of pixel rows."),
    _number("column_spacing_mm", "mm", "Distance of pixel columns."),
    _number("slice_spacing_mm", "mm", "Median distance of neighbouring planes, from their positions."),
    _number("slice_thickness_mm", "mm", "Slice thickness that the headers name."),
    _number("volume_mm3", "mm3", "Volume of all voxels."),
    Column("evenly_spaced", ColumnType.WORD, None, "Whether no plane is missing or doubled.", ("yes", "no")),
    Column("orientation", ColumnType.WORD, None, "Body plane within 20 degrees.", ORIENTATIONS),
)

TOOL = IntensityGeometry()
