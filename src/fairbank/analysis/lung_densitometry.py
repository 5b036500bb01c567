"""The tool `lung-densitometry`: how dense the lungs are in a CT of the chest, and why a series was left out.

One row per series. Measured over the voxels of the lungs (`fairbank.analysis.lungs`), vessels inside them included:

- LAA-950: the part of lung voxels below -950 HU, in percent (Gevenois et al. 1996, American Journal of Respiratory and
  Critical Care Medicine 154, 187-192);
- Perc15: the density that 15 % of lung voxels do not exceed, by the inverse of the cumulative histogram (Dirksen et al.
  1999, same journal 160, 1468-1472);
- mean density, its standard deviation, and volume.

These depend on how the image was made, so series that were made otherwise than asked for are left out, with the reason
as a word: too thick slices, a sharp kernel, a contrast agent, breathing out, lungs that are not whole in the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fairbank.analysis.acquisition import Acquisition, acquisition_of
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
from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.lung_overlay import write_overlay
from fairbank.analysis.lungs import Lungs, Mask, find_lungs
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.tool import Desk, ToolParameters
from fairbank.analysis.volumes import VOLUME_REASONS, Grid, Stack, Voxels, stack_of, to_lps, volume_of

EMPHYSEMA_HU = -950.0
AIR_HU = -1024.0
# Beyond this the first or last slice cuts through a lung.
CUT_OFF_SHARE = 0.1
REASONS = (
    "not_ct",
    "localizer",
    "thickness_missing",
    "too_thick",
    "sharp_kernel",
    "unknown_kernel",
    "contrast_agent",
    "expiration",
    "free_breathing",
    "no_lungs",
    "lungs_cut_off",
    *VOLUME_REASONS,
    *(word for word in FRAME_REASONS if word not in VOLUME_REASONS),
)
SIDES = ("right", "left")

Kernel = Literal["soft", "unknown", "sharp"]
Phase = Literal["inspiration", "unknown", "free-breathing", "expiration"]
Agent = Literal["no", "unknown", "yes"]


class LungDensitometryParameters(ToolParameters):
    """Parameters of `lung-densitometry`: which series are measured, and how exactly numbers are told.

    Args:
        maximum_thickness_mm: slices that are thicker, or further apart, leave a series out.
        kernels: classes of reconstruction kernels that are measured; a sharp one raises LAA-950 by its noise.
        contrast: which words about a contrast agent are measured; an agent makes lungs denser.
        phases: phases of breathing that are measured; lungs that have breathed out are denser.
        whole_lungs: whether lungs that the first or last slice cuts through are left out.
        significant_digits: digits that results are rounded to.
    """

    maximum_thickness_mm: Annotated[Decimal, Field(gt=0, le=10)] = Decimal("2.5")
    kernels: Annotated[tuple[Kernel, ...], Field(min_length=1, max_length=3)] = ("soft", "unknown")
    contrast: Annotated[tuple[Agent, ...], Field(min_length=1, max_length=3)] = ("no", "unknown")
    phases: Annotated[tuple[Phase, ...], Field(min_length=1, max_length=4)] = ("inspiration", "unknown")
    whole_lungs: Literal["required", "not-required"] = "required"
    significant_digits: Annotated[int, Field(ge=2, le=5)] = 4


@dataclass(frozen=True, slots=True)
class LungDensitometry:
    """Measures the density of the lungs."""

    name: str = "lung-densitometry"
    version: str = "1.0.0"
    modules: tuple[str, ...] = (
        "fairbank.analysis.lung_densitometry",
        "fairbank.analysis.lungs",
        "fairbank.analysis.lung_overlay",
        "fairbank.analysis.acquisition",
        "fairbank.analysis.volumes",
        "fairbank.analysis.dicom_frames",
        "fairbank.deid.facts",
        "fairbank.harvest.geometry",
    )
    parameters: type[ToolParameters] = LungDensitometryParameters
    reasons: tuple[str, ...] = REASONS

    def contract(self, parameters: LungDensitometryParameters) -> Contract:
        """Return the columns; they are the same for all parameters."""
        return Contract(_COLUMNS)

    def measure(
        self, item: StagedSeries, parameters: LungDensitometryParameters, desk: Desk
    ) -> Sequence[Row]:
        """Return the row of a series, and leave a picture for the curator."""
        headers = read_headers(item.files)
        stack = stack_of(headers)
        made = acquisition_of(item, headers[0])
        row: dict[str, Value] = {
            "row": item.unit,
            "status": RowStatus.OK.value,
            "modality": "CT" if stack.modality == "CT" else "other",
            "kernel": made.kernel.value,
            "contrast": made.contrast.value,
            "phase": made.phase.value,
            "slice_thickness_mm": rounded(stack.thickness_mm, parameters.significant_digits),
        }
        try:
            _check(stack, made, parameters)
            row |= self._measured(item, stack, parameters, desk)
        except ItemImpossible as fault:
            # How the series was made stays in the row, so that one sees what the exclusion rests on.
            row |= {"status": RowStatus.IMPOSSIBLE.value, "reason": fault.reason}
        return [row]

    def _measured(
        self, item: StagedSeries, stack: Stack, parameters: LungDensitometryParameters, desk: Desk
    ) -> Mapping[str, Value]:
        volume = volume_of(stack)
        if volume.grid.spacing_mm[0] > float(parameters.maximum_thickness_mm):
            raise ItemImpossible("too_thick")
        voxels, grid = to_lps(volume.voxels(padding=AIR_HU), volume.grid)
        desk.say(0.3)
        lungs = find_lungs(voxels, grid)
        desk.say(0.8)
        write_overlay(
            desk.overlays / f"{item.unit}.png", voxels, grid=grid, lungs=lungs, below_hu=EMPHYSEMA_HU
        )
        if parameters.whole_lungs == "required" and lungs.cut_off > CUT_OFF_SHARE:
            raise ItemImpossible("lungs_cut_off")
        return {
            "airways": "removed" if lungs.airways_removed else "not-found",
            **_densities(voxels, lungs, grid, parameters.significant_digits),
        }


def _check(stack: Stack, made: Acquisition, parameters: LungDensitometryParameters) -> None:
    """Refuse a series that was made otherwise than asked for.

    Raises:
        ItemImpossible: with the first reason.
    """
    if stack.modality != "CT":
        raise ItemImpossible("not_ct")
    if made.localizer:
        raise ItemImpossible("localizer")
    if stack.thickness_mm is None:
        raise ItemImpossible("thickness_missing")
    if stack.thickness_mm > float(parameters.maximum_thickness_mm):
        raise ItemImpossible("too_thick")
    if made.kernel.value not in parameters.kernels:
        raise ItemImpossible("sharp_kernel" if made.kernel.value == "sharp" else "unknown_kernel")
    if made.contrast.value not in parameters.contrast:
        raise ItemImpossible("contrast_agent")
    if made.phase.value not in parameters.phases:
        raise ItemImpossible("free_breathing" if made.phase.value == "free-breathing" else "expiration")


def _densities(voxels: Voxels, lungs: Lungs, grid: Grid, digits: int) -> dict[str, Value]:
    found = _of_mask(voxels, lungs.mask, grid, digits)
    for side, mask in zip(SIDES, (lungs.right, lungs.left), strict=True):
        if mask is not None and mask.any():
            found |= {f"{side}_{name}": value for name, value in _of_mask(voxels, mask, grid, digits).items()}
    return found


def _of_mask(voxels: Voxels, mask: Mask, grid: Grid, digits: int) -> dict[str, Value]:
    values = voxels[mask]
    return {
        "volume_l": rounded(len(values) * grid.voxel_ml / 1000.0, digits),
        "mean_hu": rounded(float(values.mean(dtype=np.float64)), digits),
        "sd_hu": rounded(float(values.std(dtype=np.float64)), digits),
        "laa950_percent": rounded(100.0 * float((values < EMPHYSEMA_HU).mean()), digits),
        "perc15_hu": rounded(float(np.percentile(values, 15, method="inverted_cdf")), digits),
    }


def _measures(prefix: str, of: str) -> tuple[Column, ...]:
    # Codes: DICOM PS3.16, annex D for DCM, SNOMED CT as it is used there for SCT. LAA-950 and Perc15 have none.
    return (
        number_column(f"{prefix}volume_l", "L", f"Volume of {of}.", biomarker="SCT:118565006"),
        number_column(f"{prefix}mean_hu", "[hnsf'U]", f"Mean density of {of}.", biomarker="DCM:112181"),
        number_column(
            f"{prefix}sd_hu", "[hnsf'U]", f"Standard deviation of density in {of}.", biomarker="DCM:112183"
        ),
        number_column(f"{prefix}laa950_percent", "%", f"Part of {of} below -950 HU (LAA-950)."),
        number_column(f"{prefix}perc15_hu", "[hnsf'U]", f"Density that 15 % of {of} do not exceed (Perc15)."),
    )


def _words(name: str, meaning: str, *words: str) -> Column:
    return Column(name, ColumnType.WORD, None, meaning, words)


_COLUMNS = (
    *identity_columns(REASONS),
    _words("modality", "Whether it is CT (0008,0060).", "CT", "other"),
    _words("kernel", "Class of the reconstruction kernel.", "soft", "sharp", "unknown"),
    _words("contrast", "Whether a contrast agent was given.", "yes", "no", "unknown"),
    _words("phase", "Phase of breathing.", "inspiration", "expiration", "free-breathing", "unknown"),
    number_column("slice_thickness_mm", "mm", "Greatest slice thickness that the headers name."),
    _words("airways", "Whether windpipe and main bronchi were taken off.", "removed", "not-found"),
    *_measures("", "both lungs"),
    *_measures("right_", "the right lung"),
    *_measures("left_", "the left lung"),
)

TOOL = LungDensitometry()
