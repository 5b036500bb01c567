"""The tool `segmentation-inference`: what a given model marks in each series, and how well drawn masks agree.

One row per series and label: how much was marked, and, where the site keeps a segmentation or structure set of the
series that shows the same structure, Dice, Jaccard and distances of the surfaces against it. The model comes with the
job, by digest. What is done around it is told by parameters, in this order:

1. axes are swapped and turned round to `orientation`; no value is interpolated;
2. the volume is brought to `spacing_mm`, linearly, on a grid with the same centre;
3. grey values are brought to a window (0 to 1), to mean 0 and standard deviation 1, or left as they are;
4. the model scores patch after patch (`fairbank.analysis.sliding_window`);
5. a voxel gets the label with the highest score, or every label whose score reaches a threshold;
6. each label is brought back to the grid of the images, linearly, a voxel belonging to it from half on;
7. of each label, everything or the largest connected part is kept (26 neighbours).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

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
from fairbank.analysis.errors import ItemImpossible, ModelUnusable
from fairbank.analysis.mask_overlay import write_masks
from fairbank.analysis.networks import ModelFormat, network_in
from fairbank.analysis.overlap_measures import agreement
from fairbank.analysis.regions import REASONS as OF_REGIONS
from fairbank.analysis.regions import drawn_regions
from fairbank.analysis.sliding_window import Weighting, infer
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.tool import Desk, ToolParameters
from fairbank.analysis.volumes import VOLUME_REASONS, Grid, Triple, Volume, stack_of, turned_to, volume_of
from fairbank.ontology.annotation_labels import LABELS, OTHER
from fairbank.ontology.record import UNKNOWN

Voxels = NDArray[np.float32]
STRUCTURES: Final = (*sorted(LABELS), OTHER, UNKNOWN)
MODALITIES: Final = ("CT", "MR", "PT", "other")
MOST_VOXELS: Final = 200_000_000
AIR_HU: Final = -1024.0
_HALF: Final = 0.5
NOTHING_FOUND: Final = "nothing_found"
_OWN: Final = ("too_many_voxels", "not_the_modality", NOTHING_FOUND)
REASONS: Final = tuple(dict.fromkeys((*OF_REGIONS, *_OWN, *VOLUME_REASONS, *FRAME_REASONS)))

_Edge = Annotated[int, Field(ge=4, le=1024)]
_Spacing = Annotated[Decimal, Field(ge=Decimal("0.1"), le=20)]
_Grey = Annotated[Decimal, Field(ge=-1_000_000, le=1_000_000)]


class Label(ToolParameters):
    """One thing that the model marks.

    Args:
        channel: of the model's scores, from 0.
        structure: what it shows, a word of the list of segmented properties; masks of the same word are compared.
    """

    channel: Annotated[int, Field(ge=0, le=255)]
    structure: str


class SegmentationInferenceParameters(ToolParameters):
    """Parameters of `segmentation-inference`: which model, and what is done before and after it.

    Args:
        model: digest of its file.
        format: of that file.
        labels: what it marks.
        modality: series of another one are left out; all are taken if it is missing.
        orientation: where the three axes of the model's input grow to.
        spacing_mm: distance of voxels along these axes; that of the images if it is missing.
        intensity: how grey values are brought to what the model was trained on.
        lowest, highest: of a window: what becomes 0 and 1; what lies beyond is cut off.
        patch: what the model takes at once, along the same axes.
        overlap: part of a patch that the next one shares.
        weighting: how scores count where patches overlap.
        decision: the highest score (background being channel 0), or each score that reaches the threshold, after a
            sigmoid or as it is.
        threshold: of such a score.
        keep: all of a label, or its largest connected part.
        reference: whether labels are compared with the masks that the site keeps.
        significant_digits: digits that results are rounded to.
    """

    model: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    format: ModelFormat = "onnx"
    labels: Annotated[tuple[Label, ...], Field(min_length=1, max_length=200)]
    modality: Literal["CT", "MR", "PT"] | None = None
    orientation: Annotated[str, Field(pattern=r"^[RLAPIS]{3}$")] = "RAS"
    spacing_mm: Annotated[tuple[_Spacing, ...], Field(min_length=3, max_length=3)] | None = None
    intensity: Literal["window", "z-score", "as-is"] = "as-is"
    lowest: _Grey | None = None
    highest: _Grey | None = None
    patch: Annotated[tuple[_Edge, ...], Field(min_length=3, max_length=3)] = (96, 96, 96)
    overlap: Annotated[Decimal, Field(ge=0, le=Decimal("0.9"))] = Decimal("0.25")
    weighting: Weighting = "gaussian"
    decision: Literal["highest", "sigmoid", "score"] = "highest"
    threshold: Annotated[Decimal, Field(ge=-1_000_000, le=1_000_000)] = Decimal("0.5")
    keep: Literal["all", "largest"] = "all"
    reference: Literal["drawn", "none"] = "drawn"
    significant_digits: Annotated[int, Field(ge=2, le=6)] = 4

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if any(len(set(self.orientation) & set(pair)) != 1 for pair in ("RL", "AP", "IS")):
            raise ValueError("'orientation' names one of R and L, one of A and P, one of I and S")
        if (self.intensity == "window") != (self.lowest is not None and self.highest is not None):
            raise ValueError("'lowest' and 'highest' go with the intensity 'window'")
        if self.lowest is not None and self.highest is not None and self.lowest >= self.highest:
            raise ValueError("'lowest' has to be less than 'highest'")
        unlisted = [one.structure for one in self.labels if one.structure not in STRUCTURES]
        if unlisted:
            raise ValueError(f"{unlisted[0][:60]!r} is no structure of the list of segmented properties")
        if len({one.channel for one in self.labels}) != len(self.labels):
            raise ValueError("two labels have the same channel")
        if self.decision == "highest" and any(one.channel == 0 for one in self.labels):
            raise ValueError("channel 0 is the background where the highest score decides")
        return self

    @property
    def edges(self) -> tuple[int, int, int]:
        """Return the size of a patch."""
        x, y, z = self.patch
        return x, y, z


@dataclass(frozen=True, slots=True)
class SegmentationInference:
    """Marks structures with a model that comes with the job."""

    name: str = "segmentation-inference"
    version: str = "1.0.0"
    modules: tuple[str, ...] = (
        "fairbank.analysis.segmentation_inference",
        "fairbank.analysis.networks",
        "fairbank.analysis.bundle_scan",
        "fairbank.analysis.sliding_window",
        "fairbank.analysis.overlap_measures",
        "fairbank.analysis.mask_overlay",
        "fairbank.analysis.regions",
        "fairbank.analysis.drawn_regions",
        "fairbank.analysis.segmentations",
        "fairbank.analysis.structure_sets",
        "fairbank.analysis.volumes",
        "fairbank.analysis.dicom_frames",
        "fairbank.deid.annotations",
        "fairbank.harvest.geometry",
        "fairbank.ontology.annotation_labels",
    )
    parameters: type[ToolParameters] = SegmentationInferenceParameters
    reasons: tuple[str, ...] = REASONS

    def contract(self, parameters: SegmentationInferenceParameters) -> Contract:
        """Return the columns; they are the same for all parameters."""
        return Contract(_COLUMNS, key=("row", "label"))

    def check_model(self, parameters: SegmentationInferenceParameters, models: Path) -> None:
        """Refuse a model that cannot be used with these parameters, before any series is measured.

        Raises:
            ModelMissing, ModelUnusable, BundleRefused, MissingExtra: saying why.
        """
        network = network_in(models, parameters.model, parameters.format)
        channels = len(network(np.zeros(parameters.edges, dtype=np.float32)))
        highest = max(label.channel for label in parameters.labels)
        if highest >= channels:
            raise ModelUnusable(
                f"The parameters name channel {highest} of a model with {channels} channels.",
                why="A label stands for a channel of the model's scores, counted from 0.",
                todo="Correct 'labels'.",
            )

    def measure(
        self, item: StagedSeries, parameters: SegmentationInferenceParameters, desk: Desk
    ) -> Sequence[Row]:
        """Return a row for each label of a series, and leave a picture for the curator."""
        headers = read_headers(item.files)
        stack = stack_of(headers)
        row: dict[str, Value] = {
            "row": item.unit,
            "status": RowStatus.OK.value,
            "modality": stack.modality if stack.modality in MODALITIES else "other",
        }
        try:
            if parameters.modality not in (None, stack.modality):
                raise ItemImpossible("not_the_modality")
            volume = volume_of(stack)
            if math.prod(volume.grid.shape) > MOST_VOXELS:
                raise ItemImpossible("too_many_voxels")
            voxels = _known(volume)
            drawn, fault = _drawn(item, headers, volume.grid, parameters)
            desk.say(0.1)
            network = network_in(desk.models, parameters.model, parameters.format)
            masks = list(_marked(network, voxels, volume.grid, parameters, desk))
        except ItemImpossible as fault_of_all:
            return [row | {"status": RowStatus.IMPOSSIBLE.value, "reason": fault_of_all.reason}]
        write_masks(desk.overlays / f"{item.unit}.png", voxels, volume.grid, masks)
        return [
            {
                **row,
                "label": label.channel,
                "structure": label.structure,
                **_measured(mask, volume.grid, parameters.significant_digits),
                **_compared(mask, label, drawn, fault, volume.grid, parameters),
            }
            for label, mask in zip(parameters.labels, masks, strict=True)
        ]


def _known(volume: Volume) -> Voxels:
    """Return the grey values of a volume; what the scanner has written as padding is air, or the least value."""
    voxels = volume.voxels()
    if volume.stack.modality == "CT":
        return np.nan_to_num(voxels, nan=AIR_HU)
    known = voxels[np.isfinite(voxels)]
    return np.nan_to_num(voxels, nan=float(known.min()) if known.size else 0.0)


def _marked(
    network: Any,
    voxels: Voxels,
    grid: Grid,
    parameters: SegmentationInferenceParameters,
    desk: Desk,
) -> Iterator[Mask]:
    """Yield the mask of each label on the grid of the images."""
    turned, turned_grid = turned_to(parameters.orientation, voxels, grid)
    spacing = turned_grid.spacing_mm
    wanted: Triple = spacing
    if parameters.spacing_mm is not None:
        x, y, z = (float(each) for each in parameters.spacing_mm)
        wanted = (x, y, z)
    shape = tuple(max(1, round(n * s / w)) for n, s, w in zip(turned.shape, spacing, wanted, strict=True))
    if math.prod(shape) > MOST_VOXELS:
        raise ItemImpossible("too_many_voxels")
    brought = _prepared(_regridded(turned, spacing, wanted, shape), parameters)
    scores = infer(
        network,
        brought,
        patch=parameters.edges,
        overlap=float(parameters.overlap),
        weighting=parameters.weighting,
        say=lambda part: desk.say(0.1 + 0.7 * part),
    )
    highest = scores.argmax(axis=0) if parameters.decision == "highest" else None
    # The same turns, done to the places of the voxels, lead back.
    places, _ = turned_to(parameters.orientation, np.arange(voxels.size).reshape(voxels.shape), grid)
    for number, label in enumerate(parameters.labels, start=1):
        of_label = scores[label.channel]
        marked: Mask = highest == label.channel if highest is not None else _reaches(of_label, parameters)
        back = _regridded(marked.astype(np.float32), wanted, spacing, turned.shape) >= _HALF
        mask = np.zeros(voxels.size, dtype=bool)
        mask[places[back]] = True
        yield _kept(mask.reshape(voxels.shape), parameters.keep)
        desk.say(0.8 + 0.2 * number / len(parameters.labels))


def _reaches(scores: Voxels, parameters: SegmentationInferenceParameters) -> Mask:
    threshold = float(parameters.threshold)
    if parameters.decision == "sigmoid":
        if not 0 < threshold < 1:
            found: Mask = np.full(scores.shape, threshold <= 0)
            return found
        threshold = math.log(threshold / (1 - threshold))
    reached: Mask = scores >= threshold
    return reached


def _prepared(voxels: Voxels, parameters: SegmentationInferenceParameters) -> Voxels:
    if parameters.intensity == "window":
        assert parameters.lowest is not None and parameters.highest is not None
        low, high = float(parameters.lowest), float(parameters.highest)
        return ((np.clip(voxels, low, high) - low) / (high - low)).astype(np.float32)
    if parameters.intensity == "z-score":
        spread = float(voxels.std())
        scaled: Voxels = ((voxels - voxels.mean()) / (spread or 1.0)).astype(np.float32)
        return scaled
    return voxels.astype(np.float32)


def _regridded(values: NDArray[Any], spacing: Triple, to: Triple, shape: tuple[int, ...]) -> Voxels:
    """Return values at the places of another grid with the same axes and the same centre, interpolated linearly."""
    if spacing == to and tuple(values.shape) == tuple(shape):
        return np.ascontiguousarray(values, dtype=np.float32)
    from scipy.ndimage import affine_transform

    steps = [new / old for new, old in zip(to, spacing, strict=True)]
    first = [
        ((have - 1) - (want - 1) * step) / 2
        for have, want, step in zip(values.shape, shape, steps, strict=True)
    ]
    found: Voxels = affine_transform(
        np.ascontiguousarray(values, dtype=np.float32), steps, first, shape, order=1, mode="nearest"
    )
    return found


def _kept(mask: Mask, keep: str) -> Mask:
    if keep == "all" or not mask.any():
        return mask
    from scipy.ndimage import label

    parts, _ = label(mask, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(parts.reshape(-1))
    sizes[0] = 0
    largest: Mask = parts == sizes.argmax()
    return largest


def _drawn(
    item: StagedSeries,
    headers: Sequence[Any],
    grid: Grid,
    parameters: SegmentationInferenceParameters,
) -> tuple[list[Region], str | None]:
    """Return the regions to compare with, or the word why there are none; a model is applied all the same."""
    if parameters.reference == "none":
        return [], None
    try:
        return drawn_regions(item, headers, grid, wanted={one.structure for one in parameters.labels}), None
    except ItemImpossible as fault:
        return [], fault.reason


def _measured(mask: Mask, grid: Grid, digits: int) -> Mapping[str, Value]:
    voxels = int(mask.sum())
    return {"voxels": voxels, "volume_ml": rounded(voxels * grid.voxel_ml, digits)}


def _compared(
    mask: Mask,
    label: Label,
    drawn: Sequence[Region],
    fault: str | None,
    grid: Grid,
    parameters: SegmentationInferenceParameters,
) -> Mapping[str, Value]:
    """Return how a label agrees with all regions of its structure together, or the word why that is not known."""
    if parameters.reference == "none":
        return {}
    same = [region for region in drawn if region.structure == label.structure]
    reason = fault or next((one.fault for one in same if one.fault), None)
    if reason is not None or not same:
        return {"reason": reason or "no_such_structure"}
    reference = np.zeros(grid.shape, dtype=bool)
    for region in same:
        reference |= region.mask(grid.shape)
    if not reference.any():
        return {"reason": "empty_region"}
    digits = parameters.significant_digits
    found = agreement(mask, reference, grid.spacing_mm)
    return {
        "reason": NOTHING_FOUND if not mask.any() else None,
        "reference_ml": rounded(int(reference.sum()) * grid.voxel_ml, digits),
        "dice": rounded(found.dice, digits),
        "jaccard": rounded(found.jaccard, digits),
        "surface_distance_mm": rounded(found.surface_mm, digits),
        "hausdorff95_mm": rounded(found.hd95_mm, digits),
    }


_COLUMNS = (
    *identity_columns(REASONS),
    Column("modality", ColumnType.WORD, None, "DICOM modality (0008,0060).", MODALITIES),
    Column("label", ColumnType.INTEGER, None, "Channel of the model's scores."),
    Column("structure", ColumnType.WORD, None, "What the label shows.", STRUCTURES),
    Column("voxels", ColumnType.INTEGER, "1", "Voxels of the images that the model marks."),
    number_column("volume_ml", "mL", "Volume of what the model marks.", biomarker="SCT:118565006"),
    number_column("reference_ml", "mL", "Volume of the drawn mask.", biomarker="SCT:118565006"),
    number_column("dice", "1", "Dice coefficient of the model's mask and the drawn one."),
    number_column("jaccard", "1", "Jaccard index of the two masks."),
    number_column("surface_distance_mm", "mm", "Average distance of the two surfaces, both ways."),
    number_column(
        "hausdorff95_mm", "mm", "95th percentile of the distances of the surfaces, the larger way."
    ),
)

TOOL = SegmentationInference()
