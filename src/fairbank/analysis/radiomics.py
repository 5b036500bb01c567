"""The tool `radiomics`: features of the regions of a series by the definitions of the IBSI.

One row per series and region. Regions are those of the segmentations and structure sets that the site keeps of the
series, or its lungs as `lung-densitometry` finds them. What a region shows is told by a word of a list; names that
somebody typed stay at the site. Which features there are, how they are computed and where PyRadiomics differs from the
IBSI is on the page docs/reference/radiomics.md.

The order of steps is that of the IBSI's manual (section 2): the region and its grey values are brought on cubes if that
is asked for, grey values of CT are rounded to whole HU after that, voxels outside a range of grey values are left out
of everything but the shape, and grey levels are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

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
from fairbank.analysis.dicom_frames import read_headers
from fairbank.analysis.drawn_regions import Mask, Region
from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.intensity_geometry import MODALITIES, UNITS
from fairbank.analysis.radiomic_features import (
    AVERAGED,
    BINNED,
    FAMILIES,
    MERGED,
    MOST_SURFACE_VOXELS,
    Binning,
    Family,
    Feature,
    box_of,
    compute,
    features_of,
    levels_of,
    surface_voxels,
)
from fairbank.analysis.regions import REASONS as OF_REGIONS
from fairbank.analysis.regions import SOURCES, drawn_regions, lung_region
from fairbank.analysis.resampling import Interpolator, resampled
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.tool import Desk, ToolParameters
from fairbank.analysis.volumes import VOLUME_REASONS, Triple, Volume, Voxels, stack_of, volume_of
from fairbank.ontology.annotation_labels import LABELS, OTHER
from fairbank.ontology.record import UNKNOWN

STRUCTURES = (*sorted(LABELS), OTHER, UNKNOWN)
# What stands for padding where lungs are looked for.
AIR_HU = -1024.0
# A row that has this is measured but for its shape.
SURFACE_TOO_LARGE = "surface_too_large"
_OWN = ("too_few_voxels", "too_many_grey_levels", "too_many_voxels", SURFACE_TOO_LARGE)
REASONS = tuple(dict.fromkeys((*OF_REGIONS, *_OWN, *VOLUME_REASONS, *FRAME_REASONS)))

_AGGREGATION = {"average": AVERAGED, "merged": MERGED}
Positive = Annotated[Decimal, Field(gt=0, le=10_000)]
Intensity = Annotated[Decimal, Field(ge=-1_000_000, le=1_000_000)]


class RadiomicsParameters(ToolParameters):
    """Parameters of `radiomics`: which regions, which features, and how grey values are prepared.

    Args:
        regions: where regions come from: drawn ones, or the lungs that are found here.
        structures: what drawn regions have to show, as words; none of them means all.
        feature_families: which features.
        discretisation: whether a bin has a fixed width, or each region a fixed number of bins.
        bin_width: in the unit of the images; used for a fixed width.
        bin_count: used for a fixed number.
        bins_from: whether bins begin at the least value (of the range, or of the region), as the IBSI has it, or at a
            multiple of their width, as PyRadiomics has it.
        lowest, highest: the range of grey values that counts; both bounds are in it.
        spacing_mm: edge of the cubes that images are resampled to; they are measured as they are if it is missing.
        interpolator: of grey values, where they are resampled.
        directions: whether features of direction are averaged over 13 directions, or computed once over all.
        minimum_voxels: a region with fewer voxels that count is left out.
        significant_digits: digits that results are rounded to.
    """

    regions: Literal["drawn", "lung"] = "drawn"
    structures: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    feature_families: Annotated[tuple[Family, ...], Field(min_length=1, max_length=len(FAMILIES))] = FAMILIES
    discretisation: Literal["bin-width", "bin-count"] = "bin-width"
    bin_width: Positive = Decimal(25)
    bin_count: Annotated[int, Field(ge=2, le=1024)] = 32
    bins_from: Literal["least", "zero"] = "least"
    lowest: Intensity | None = None
    highest: Intensity | None = None
    spacing_mm: Annotated[Decimal, Field(ge=Decimal("0.1"), le=20)] | None = None
    interpolator: Interpolator = "linear"
    directions: Literal["average", "merged"] = "average"
    minimum_voxels: Annotated[int, Field(ge=2, le=1_000_000)] = 27
    significant_digits: Annotated[int, Field(ge=2, le=6)] = 5

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.lowest is not None and self.highest is not None and self.lowest >= self.highest:
            raise ValueError("'lowest' has to be less than 'highest'")
        unlisted = [word for word in self.structures if word not in STRUCTURES]
        if unlisted:
            raise ValueError(f"{unlisted[0][:60]!r} is no structure of the list of segmented properties")
        if len(set(self.feature_families)) != len(self.feature_families):
            raise ValueError("a family of features is named twice")
        return self

    @property
    def aggregation(self) -> str:
        """Return the IBSI's word for how directions are taken together."""
        return _AGGREGATION[self.directions]

    def binning(self) -> Binning:
        """Return how grey levels are made."""
        if self.discretisation == "bin-count":
            return Binning(None, self.bin_count)
        start = None if self.lowest is None else float(self.lowest)
        return Binning(float(self.bin_width), start=start, from_zero=self.bins_from == "zero")


@dataclass(frozen=True, slots=True)
class Radiomics:
    """Measures radiomic features of regions."""

    name: str = "radiomics"
    version: str = "1.0.0"
    modules: tuple[str, ...] = (
        "fairbank.analysis.radiomics",
        "fairbank.analysis.radiomic_features",
        "fairbank.analysis.regions",
        "fairbank.analysis.drawn_regions",
        "fairbank.analysis.segmentations",
        "fairbank.analysis.structure_sets",
        "fairbank.analysis.resampling",
        "fairbank.analysis.lungs",
        "fairbank.analysis.intensity_geometry",
        "fairbank.analysis.volumes",
        "fairbank.analysis.dicom_frames",
        "fairbank.deid.annotations",
        "fairbank.harvest.geometry",
        "fairbank.ontology.annotation_labels",
    )
    parameters: type[ToolParameters] = RadiomicsParameters
    reasons: tuple[str, ...] = REASONS

    def contract(self, parameters: RadiomicsParameters) -> Contract:
        """Return the columns; there is one for each feature that is asked for."""
        chosen = features_of(parameters.feature_families)
        return Contract(
            (*_COLUMNS, *(_column(feature, parameters.aggregation) for feature in chosen)),
            key=("row", "roi"),
        )

    def measure(self, item: StagedSeries, parameters: RadiomicsParameters, desk: Desk) -> Sequence[Row]:
        """Return a row for each region of a series; one without a region if there is none."""
        headers = read_headers(item.files)
        stack = stack_of(headers)
        row: dict[str, Value] = {
            "row": item.unit,
            "status": RowStatus.OK.value,
            "modality": stack.modality if stack.modality in MODALITIES else "OT",
            "intensity_unit": stack.unit,
        }
        try:
            volume = volume_of(stack)
            if parameters.regions == "drawn":
                regions = drawn_regions(item, headers, volume.grid, wanted=parameters.structures)
            voxels = volume.voxels()
            if parameters.regions == "lung":
                known = np.nan_to_num(voxels, nan=AIR_HU)
                regions = [lung_region(known, volume.grid, stack.modality)]
        except ItemImpossible as fault:
            return [row | {"status": RowStatus.IMPOSSIBLE.value, "reason": fault.reason}]
        found: list[Row] = []
        for number, region in enumerate(regions, start=1):
            found.append(
                {**row, **_identity(number, region), **_measured(volume, voxels, region, parameters)}
            )
            desk.say(number / len(regions))
        return found


def _identity(number: int, region: Region) -> Mapping[str, Value]:
    return {"roi": number, "roi_source": region.source, "structure": region.structure}


def _measured(
    volume: Volume, voxels: Voxels, region: Region, parameters: RadiomicsParameters
) -> Mapping[str, Value]:
    """Return what is measured of one region, or the word why nothing is."""
    try:
        if region.fault is not None:
            raise ItemImpossible(region.fault)
        prepared = _prepared(volume, voxels, region, parameters)
        families, reason = _families(prepared.shape, parameters)
        levels = None
        if BINNED & set(families):
            levels = levels_of(prepared.values, prepared.counted, parameters.binning())
        found = compute(
            prepared.values,
            shape=prepared.shape,
            intensity=prepared.counted,
            levels=levels,
            spacing_mm=prepared.spacing_mm,
            families=families,
            aggregation=parameters.aggregation,
        )
    except ItemImpossible as fault:
        return {"status": RowStatus.IMPOSSIBLE.value, "reason": fault.reason}
    digits = parameters.significant_digits
    return {
        "reason": reason,
        "voxels": int(prepared.counted.sum()),
        "grey_levels": None if levels is None else int(levels.max()),
        **{name: rounded(value, digits) for name, value in found.items()},
    }


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A region before its features: its shape, and the part whose grey values count."""

    values: NDArray[np.float64]
    shape: Mask
    counted: Mask
    spacing_mm: Triple


def _prepared(volume: Volume, voxels: Voxels, region: Region, parameters: RadiomicsParameters) -> _Prepared:
    shape, spacing_mm = region.mask(volume.grid.shape), volume.grid.spacing_mm
    if parameters.spacing_mm is None:
        box = box_of(shape)
        values, shape = voxels[box].astype(np.float64), shape[box]
    else:
        edge = float(parameters.spacing_mm)
        values, shape = resampled(voxels, shape, spacing_mm, to_mm=edge, interpolator=parameters.interpolator)
        spacing_mm = (edge, edge, edge)
        if volume.stack.modality == "CT":
            values = np.round(values)
    # What the scanner has written as padding has no grey value.
    known = np.isfinite(values)
    counted = shape & known
    if parameters.lowest is not None:
        counted &= values >= float(parameters.lowest)
    if parameters.highest is not None:
        counted &= values <= float(parameters.highest)
    if int(counted.sum()) < parameters.minimum_voxels:
        raise ItemImpossible("too_few_voxels")
    return _Prepared(values, shape, counted, spacing_mm)


def _families(shape: Mask, parameters: RadiomicsParameters) -> tuple[tuple[Family, ...], str | None]:
    """Return which families are computed, and the word for one that is not."""
    wanted = parameters.feature_families
    if "morphology" in wanted and surface_voxels(shape) > MOST_SURFACE_VOXELS:
        return tuple(family for family in wanted if family != "morphology"), SURFACE_TOO_LARGE
    return wanted, None


def _column(feature: Feature, aggregation: str) -> Column:
    """Return the column of a feature; intensities have the unit that `intensity_unit` names."""
    unit = None if feature.unit.startswith("intensity") else feature.unit
    words = _MEANINGS[feature.family]
    meaning = f"{words}: {feature.meaning}." if words else f"{feature.meaning.capitalize()}."
    return number_column(feature.name(aggregation), unit, meaning, biomarker=f"IBSI:{feature.code}")


_MEANINGS: Mapping[Family, str] = {
    "morphology": "",
    "statistics": "",
    "histogram": "",
    "glcm": "Co-occurrence of grey levels",
    "glrlm": "Runs of grey levels",
    "glszm": "Zones of grey levels",
    "ngtdm": "Differences of neighbouring grey tones",
    "ngldm": "Dependences of neighbouring grey levels",
}

_COLUMNS = (
    *identity_columns(REASONS),
    Column("modality", ColumnType.WORD, None, "DICOM modality (0008,0060).", MODALITIES),
    Column("intensity_unit", ColumnType.WORD, None, "Unit of grey values.", UNITS),
    Column("roi", ColumnType.INTEGER, None, "Running number of the region in the series."),
    Column("roi_source", ColumnType.WORD, None, "Where the region comes from.", SOURCES),
    Column("structure", ColumnType.WORD, None, "What the region shows.", STRUCTURES),
    Column("voxels", ColumnType.INTEGER, "1", "Voxels whose grey values count."),
    Column("grey_levels", ColumnType.INTEGER, "1", "The greatest grey level of the region."),
)

TOOL = Radiomics()
