"""The parameters of `monai-bundle`; importing them needs neither torch nor monai."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from fairbank.federated_jobs.algorithms.parameters import AlgorithmParameters
from fairbank.federated_jobs.algorithms.training_parameters import (
    LabelColumn,
    Millimetres,
    OptimizerState,
    Schedule,
    Standard,
    Window,
    Word,
    listed,
    standard_from,
    window_from,
)


class BundleParameters(AlgorithmParameters):
    """Parameters of `monai-bundle`; what is not given is as the bundle says, or else as the template has it.

    Args:
        bundle: digest of the file, as `fairbank model import` prints it.
        task: what is learnt of the site's images: the class of each, or structures that are drawn on it.
        label, classes: of a classification, as there.
        structures: of a segmentation, as there; the network has one more output, for the rest.
        dimensions: 2 takes slices, 3 volumes; by default as many as the network's `spatial_dims`.
        image_size, images_per_series: as in `classification`.
        patch_size, patches_per_image, slices_per_series, window_overlap: as in `segmentation`.
        spacing_mm, window, standardise: as in both.
        optimizer, learning_rate, momentum, weight_decay: in place of those of the bundle.
    """

    bundle: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    task: Literal["classification", "segmentation"] = "segmentation"
    label: LabelColumn | None = None
    classes: Annotated[tuple[Word, ...], BeforeValidator(listed), Field(max_length=1000, strict=False)] = ()
    structures: Annotated[tuple[Word, ...], BeforeValidator(listed), Field(max_length=32, strict=False)] = ()
    dimensions: Literal[2, 3] | None = None
    image_size: Annotated[int, Field(ge=8, le=512)] | None = None
    images_per_series: Annotated[int, Field(ge=1, le=512)] | None = None
    patch_size: Annotated[int, Field(ge=8, le=256)] | None = None
    patches_per_image: Annotated[int, Field(ge=1, le=64)] | None = None
    slices_per_series: Annotated[int, Field(ge=1, le=512)] | None = None
    window_overlap: Annotated[Decimal, Field(ge=0, lt=1)] | None = None
    spacing_mm: Millimetres | None = None
    window: Annotated[Window | None, BeforeValidator(window_from)] = None
    standardise: Annotated[Standard | None, BeforeValidator(standard_from)] = None
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 2
    local_epochs: Annotated[int, Field(ge=1, le=100)] = 1
    local_steps: Annotated[int, Field(ge=1, le=100_000)] | None = None
    optimizer: Literal["sgd", "adam", "adamw"] | None = None
    learning_rate: Annotated[Decimal, Field(gt=0, le=10)] | None = None
    momentum: Annotated[Decimal, Field(ge=0, lt=1)] | None = None
    weight_decay: Annotated[Decimal, Field(ge=0, le=1)] | None = None
    schedule: Schedule = Schedule.CONSTANT
    schedule_factor: Annotated[Decimal, Field(gt=0, le=1)] = Decimal("0.5")
    schedule_rounds: Annotated[int, Field(ge=1, le=10_000)] = 10
    optimizer_state: OptimizerState = OptimizerState.RESET
    clip_norm: Annotated[Decimal, Field(gt=0, le=1_000_000)] | None = None
    mixed_precision: bool = False
    held_out_percent: Annotated[int, Field(ge=5, le=50)] = 20
    max_cached_images: Annotated[int, Field(ge=0, le=10_000_000)] = 100_000

    @model_validator(mode="after")
    def _task_is_said_whole(self) -> Self:
        for task, names in _OF_TASK.items():
            given = [name for name in names if getattr(self, name) not in (None, ())]
            if task != self.task and given:
                raise ValueError(f"a {self.task} has no {given[0]}")
        if self.task == "classification" and (self.label is None or len(set(self.classes)) < _FEWEST_CLASSES):
            raise ValueError("a classification names its label and at least two different classes")
        if self.task == "segmentation" and not self.structures:
            raise ValueError("a segmentation names its structures")
        if self.optimizer is None and self.momentum is not None:
            raise ValueError("momentum is given with the optimizer 'sgd'")
        return self


_FEWEST_CLASSES = 2
_OF_TASK = {
    "classification": ("label", "classes", "image_size", "images_per_series"),
    "segmentation": (
        "structures",
        "patch_size",
        "patches_per_image",
        "slices_per_series",
        "window_overlap",
    ),
}
