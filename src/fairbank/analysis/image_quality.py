"""The tool `image-quality`: noise, signal, sharpness and what went wrong, of each series.

One row per series, measured on at most 32 frames, evenly spread; each figure is the median over these frames. The
formulas, with their sources, are in `fairbank.analysis.picture_quality`:

- noise in tissue: in CT where values lie between -200 and 300 HU, elsewhere above the threshold of Otsu;
- noise in air: in CT below -900 HU; in MR below half that threshold, where magnitudes follow Rayleigh's distribution.
  It is left out where most of the air has one value, because the scanner has clipped or masked it;
- signal to noise: mean of the tissue over its noise; in CT the mean above air, HU + 1000;
- edge width in mm: how sharp the sharpest edges are;
- clipped: whether at least 0.01 % of pixels have the greatest value that the file can hold, or 3071 HU in CT.

Motion and rings are not judged: what would tell them apart from anatomy has not been shown to hold over scanners.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Annotated

import numpy as np
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
from fairbank.analysis.dicom_frames import Header, read_headers
from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.intensity_geometry import MODALITIES, UNITS
from fairbank.analysis.picture_quality import (
    RAYLEIGH,
    Mask,
    at_least_share,
    edge_width_mm,
    noise_sd,
    threshold_between,
)
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.tool import Desk, ToolParameters
from fairbank.analysis.volumes import READING_REASONS, STACK_FAULTS, Stack, Voxels, stack_of

REASONS = (
    "rescale_missing",
    "not_hounsfield",
    "blank",
    *READING_REASONS,
    *(word for word in FRAME_REASONS if word not in READING_REASONS),
)
SOUND = "sound"
_MOST_FRAMES = 32
_TISSUE_HU, _AIR_HU, _AIR = (-200.0, 300.0), -900.0, -1000.0
# 4095 - 1024: the greatest value of 12 bits, which most CT scanners compute with.
_TOP_HU = 3071.0
_CLIPPED_SHARE = 1e-4
# More than this part of the air has one value: it was clipped or masked.
_ONE_VALUE_SHARE = 0.5


class ImageQualityParameters(ToolParameters):
    """Parameters of `image-quality`.

    Args:
        significant_digits: digits that results are rounded to.
    """

    significant_digits: Annotated[int, Field(ge=2, le=5)] = 3


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """Measures how good the pictures of a series are."""

    name: str = "image-quality"
    version: str = "1.0.0"
    modules: tuple[str, ...] = (
        "fairbank.analysis.image_quality",
        "fairbank.analysis.picture_quality",
        "fairbank.analysis.intensity_geometry",
        "fairbank.analysis.volumes",
        "fairbank.analysis.dicom_frames",
        "fairbank.harvest.geometry",
    )
    parameters: type[ToolParameters] = ImageQualityParameters
    reasons: tuple[str, ...] = REASONS

    def contract(self, parameters: ImageQualityParameters) -> Contract:
        """Return the columns; they are the same for all parameters."""
        return Contract(_COLUMNS)

    def measure(self, item: StagedSeries, parameters: ImageQualityParameters, desk: Desk) -> Sequence[Row]:
        """Return the row of a series."""
        headers = read_headers(item.files)
        stack = stack_of(headers)
        step = -(-len(stack.planes) // _MOST_FRAMES)
        row: dict[str, Value] = {
            "row": item.unit,
            "status": RowStatus.OK.value,
            "modality": stack.modality if stack.modality in MODALITIES else "OT",
            "intensity_unit": stack.unit,
            "frames": len(stack.planes),
            "stack": stack.faults[0] if stack.faults else SOUND,
            "missing_slices": stack.missing,
        }
        try:
            for fault in ("rescale_missing", "not_hounsfield"):
                if fault in stack.faults:
                    raise ItemImpossible(fault)
            looks = []
            for number, frame in enumerate(stack.frames(step=step)):
                looks.append(_look(frame, stack, top=_top(headers[0], stack)))
                desk.say((number + 1) * step / len(stack.planes))
            row |= _summary(looks, parameters.significant_digits)
        except ItemImpossible as fault:
            # What the headers tell of the stack stays in the row.
            row |= {"status": RowStatus.IMPOSSIBLE.value, "reason": fault.reason}
        return [row]


@dataclass(frozen=True, slots=True)
class _Look:
    """What one frame tells; None where it tells nothing."""

    blank: bool
    noise_tissue: float | None = None
    noise_air: float | None = None
    snr: float | None = None
    edge_mm: float | None = None
    clipped_share: float = 0.0


def _look(frame: Voxels, stack: Stack, *, top: float) -> _Look:
    finite = frame[np.isfinite(frame)]
    if not finite.size or finite.min() == finite.max():
        return _Look(blank=True)
    tissue, air = _regions(frame, finite, stack.modality)
    noise = noise_sd(frame, tissue)
    signal = float(frame[tissue].mean(dtype=np.float64)) if tissue.any() else 0.0
    if stack.modality == "CT":
        signal -= _AIR
    whole = np.nan_to_num(frame, nan=float(finite.min()))
    return _Look(
        blank=False,
        noise_tissue=noise,
        noise_air=_noise_in_air(frame, air, stack.modality),
        snr=signal / noise if noise else None,
        edge_mm=None if stack.spacing_mm is None else edge_width_mm(whole, stack.spacing_mm),
        clipped_share=at_least_share(frame, top),
    )


def _regions(frame: Voxels, finite: Voxels, modality: str) -> tuple[Mask, Mask]:
    """Return where a frame shows tissue, and where air."""
    with np.errstate(invalid="ignore"):
        if modality == "CT":
            return (frame > _TISSUE_HU[0]) & (frame < _TISSUE_HU[1]), frame < _AIR_HU
        threshold = threshold_between(finite)
        return frame > threshold, frame < float(finite.min()) + (threshold - float(finite.min())) / 2


def _noise_in_air(frame: Voxels, air: Mask, modality: str) -> float | None:
    if modality not in ("CT", "MR") or not air.any():
        return None
    _, counts = np.unique(frame[air], return_counts=True)
    if counts.max() > _ONE_VALUE_SHARE * counts.sum():
        return None
    found = noise_sd(frame, air)
    return found / RAYLEIGH if found is not None and modality == "MR" else found


def _top(header: Header, stack: Stack) -> float:
    """Return the greatest value that a file can hold, rescaled; of CT at most 3071 HU."""
    dataset = header.dataset
    signed = int(dataset.get("PixelRepresentation", 0) or 0)
    stored = 2 ** (int(dataset.get("BitsStored", 16) or 16) - signed) - 1
    top: float = stored * stack.planes[0].slope + stack.planes[0].intercept
    return min(top, _TOP_HU) if stack.modality == "CT" else top


def _summary(looks: Sequence[_Look], digits: int) -> dict[str, Value]:
    seen = [look for look in looks if not look.blank]
    if not seen:
        raise ItemImpossible("blank")
    clipped = float(np.mean([look.clipped_share for look in seen]))
    return {
        "frames_measured": len(seen),
        "blank_frames": len(looks) - len(seen),
        "noise_tissue": _middle((look.noise_tissue for look in seen), digits),
        "noise_air": _middle((look.noise_air for look in seen), digits),
        "snr": _middle((look.snr for look in seen), digits),
        "edge_width_mm": _middle((look.edge_mm for look in seen), digits),
        "clipped_percent": rounded(100 * clipped, digits),
        "clipped": "yes" if clipped >= _CLIPPED_SHARE else "no",
    }


def _middle(values: Iterable[float | None], digits: int) -> float | None:
    known = [value for value in values if value is not None]
    return rounded(median(known), digits) if known else None


_COLUMNS = (
    *identity_columns(REASONS),
    Column("modality", ColumnType.WORD, None, "DICOM modality (0008,0060).", MODALITIES),
    Column("intensity_unit", ColumnType.WORD, None, "Unit of noise.", UNITS),
    Column("frames", ColumnType.INTEGER, "1", "Frames of the series."),
    Column("frames_measured", ColumnType.INTEGER, "1", "Frames that were measured."),
    Column("blank_frames", ColumnType.INTEGER, "1", "Of the frames looked at, those of one value."),
    Column("stack", ColumnType.WORD, None, "What keeps it from being a volume.", (SOUND, *STACK_FAULTS)),
    Column("missing_slices", ColumnType.INTEGER, "1", "Slices missing between the first and the last."),
    number_column("noise_tissue", None, "Standard deviation of noise in tissue."),
    number_column("noise_air", None, "Standard deviation of noise outside the body."),
    number_column("snr", "1", "Signal of tissue over its noise.", biomarker="DCM:111787"),
    number_column("edge_width_mm", "mm", "Width of the sharpest edges."),
    number_column("clipped_percent", "%", "Pixels that have the greatest possible value."),
    Column("clipped", ColumnType.WORD, None, "Whether bright values were cut off.", ("yes", "no")),
)

TOOL = ImageQuality()
