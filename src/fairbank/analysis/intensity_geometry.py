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

from fairbank.analysis.contract import (
    FRAME_REASONS,
    Column,
    ColumnType,
    Contract,
    Row,
    RowStatus,
    Value,
    identity_columns,
    number_column,
    rounded,
)
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
    "empty",
    *FRAME_REASONS,
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
        "row_spacing_mm": rounded(geometry.row_spacing_mm, digits),
        "column_spacing_mm": rounded(geometry.column_spacing_mm, digits),
        "slice_spacing_mm": rounded(geometry.slice_spacing_mm, digits),
        "slice_thickness_mm": rounded(geometry.slice_thickness_mm, digits),
        "volume_mm3": rounded(geometry.volume_mm3, digits),
        "evenly_spaced": None if geometry.even is None else ("yes" if geometry.even else "no"),
        "orientation": geometry.orientation,
    }
    if not geometry.complete:
        # What the headers do say stays in the row, and grey values are still measured.
        row |= {"status": RowStatus.IMPOSSIBLE.value, "reason": "geometry_missing"}


def _add_intensity(headers: Sequence[Header], digits: int, row: dict[str, Value]) -> None:
    intensities = measure_intensities(headers)
    mean, sd = intensities.mean_and_sd()
    row |= {"intensity_unit": intensities.unit, "mean": rounded(mean, digits), "sd": rounded(sd, digits)}
    row |= {
        f"p{wanted:02d}": rounded(value, digits)
        for wanted, value in zip(PERCENTILES, intensities.percentiles(PERCENTILES), strict=True)
    }
    row["minimum"] = rounded(float(intensities.values[0]), EXTREME_DIGITS)
    row["maximum"] = rounded(float(intensities.values[-1]), EXTREME_DIGITS)


_PARTS: dict[str, Callable[[Sequence[Header], int, dict[str, Value]], None]] = {
    "geometry": _add_geometry,
    "intensity": _add_intensity,
}


_IDENTITY = (
    *identity_columns(REASONS),
    Column("modality", ColumnType.WORD, None, "DICOM modality (0008,0060).", MODALITIES),
)
_INTENSITY = (
    Column("intensity_unit", ColumnType.WORD, None, "Unit of the grey values.", UNITS),
    number_column("mean", None, "Mean grey value of all voxels."),
    number_column("sd", None, "Standard deviation of all voxels."),
    *(
        number_column(f"p{q:02d}", None, f"Grey value that {q} % of voxels do not exceed.")
        for q in PERCENTILES
    ),
    number_column("minimum", None, "Least grey value, two significant digits."),
    number_column("maximum", None, "Greatest grey value, two significant digits."),
)
_GEOMETRY = (
    Column("rows", ColumnType.INTEGER, "1", "Pixel rows."),
    Column("columns", ColumnType.INTEGER, "1", "Pixel columns."),
    Column("slices", ColumnType.INTEGER, "1", "Frames of the series."),
    number_column("row_spacing_mm", "mm", "Distance of pixel rows."),
    number_column("column_spacing_mm", "mm", "Distance of pixel columns."),
    number_column("slice_spacing_mm", "mm", "Median distance of neighbouring planes, from their positions."),
    number_column("slice_thickness_mm", "mm", "Slice thickness that the headers name."),
    number_column("volume_mm3", "mm3", "Volume of all voxels."),
    Column("evenly_spaced", ColumnType.WORD, None, "Whether no plane is missing or doubled.", ("yes", "no")),
    Column("orientation", ColumnType.WORD, None, "Body plane within 20 degrees.", ORIENTATIONS),
)

TOOL = IntensityGeometry()
