"""Parameter schemas of the training templates; importing them needs neither torch nor monai.

A template is code that is shipped; a job gives it parameters in JSON and nothing that is executed.
"""

from __future__ import annotations

import json
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from fairbank.federated_jobs.algorithms.parameters import AlgorithmParameters

Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$")]


def listed(given: object) -> object:
    """Take a list that is given as one text, its parts separated by commas."""
    return given.split(",") if isinstance(given, str) else given


def _counted(given: object) -> object:
    """Take a list of whole numbers that is given as one text."""
    parts = listed([given] if isinstance(given, int) else given)
    if not isinstance(parts, list):
        return parts
    return [int(part) if isinstance(part, str) and part.isdecimal() else part for part in parts]


# A clinical variable of the site, written as statistics write it, or what fact sheets know.
LabelColumn = Annotated[
    str, Field(pattern=r"^(?:clinical_[0-9a-z_]{1,64}|sex|age_band|contrast|kernel_class|respiratory_phase)$")
]
Millimetres = Annotated[Decimal, Field(gt=0, le=100)]


class OptimizerState(StrEnum):
    """What becomes of a site's optimizer between rounds."""

    RESET = "reset"
    KEEP = "keep"
    AVERAGE = "average"


class Schedule(StrEnum):
    """How the learning rate changes over the rounds of a job."""

    CONSTANT = "constant"
    STEP = "step"
    EXPONENTIAL = "exponential"
    COSINE = "cosine"


class Norm(StrEnum):
    """What normalises the features of a network.

    Batch normalisation keeps running means of a site's images; instance and group normalisation keep none.
    """

    BATCH = "batch"
    INSTANCE = "instance"
    GROUP = "group"


class Window(BaseModel):
    """Grey values that become 0 and 1; what lies outside is cut off."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    low: Annotated[Decimal, Field(ge=-100_000, le=100_000)]
    high: Annotated[Decimal, Field(ge=-100_000, le=100_000)]

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.low >= self.high:
            raise ValueError("the low end of a window lies below its high end")
        return self


class Standard(BaseModel):
    """What is taken off grey values, which span 0 to 1, and what they are divided by; the same at every site.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Normalize.html
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    mean: Annotated[Decimal, Field(ge=-100, le=100)]
    sd: Annotated[Decimal, Field(gt=0, le=100)]


class Augmentation(BaseModel):
    """Seeded random changes of training images; none by default.

    Args:
        flip: chance to flip each axis.
        rotate_degrees: largest angle in the plane of a slice.
        noise_sd: standard deviation of added noise; grey values span 0 to 1, if they are not standardised.
        scale_intensity: largest relative change of grey values.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    flip: Annotated[Decimal, Field(ge=0, le=1)] = Decimal(0)
    rotate_degrees: Annotated[Decimal, Field(ge=0, le=180)] = Decimal(0)
    noise_sd: Annotated[Decimal, Field(ge=0, le=1)] = Decimal(0)
    scale_intensity: Annotated[Decimal, Field(ge=0, le=1)] = Decimal(0)

    @property
    def any(self) -> bool:
        """Tell whether an image may be changed at all."""
        return any((self.flip, self.rotate_degrees, self.noise_sd, self.scale_intensity))


def window_from(given: object) -> object:
    """Take a window that is given as one text of JSON."""
    return given if given is None else Window.model_validate_json(_text(given))


def standard_from(given: object) -> object:
    """Take a mean and a spread that are given as one text of JSON."""
    return given if given is None else Standard.model_validate_json(_text(given))


def _augmentation(given: object) -> object:
    """Take random changes that are given as one text of JSON."""
    return Augmentation.model_validate_json(_text(given))


def _text(given: object) -> str:
    if isinstance(given, BaseModel):
        return given.model_dump_json()
    return given if isinstance(given, str) else json.dumps(given)


class TrainingParameters(AlgorithmParameters):
    """What all templates have in common: how is trained, on which images, and how they are prepared.

    Args:
        local_epochs: passes over a site's samples in each round.
        local_steps: optimizer steps in each round in place of passes; then each site makes equally many.
        learning_rate: of the first round.
        schedule, schedule_factor, schedule_rounds: `step` multiplies the rate by the factor every so many rounds,
            `exponential` every round; `cosine` falls towards zero at the end of the job.
        momentum: of `sgd`.
        weight_decay: of every optimizer; `adamw` takes it apart from the gradient.
        clip_norm: largest norm of a step's gradient.
        mixed_precision: half precision where a GPU computes; nothing on a CPU.
        held_out_percent: share of the subjects that is kept for the metrics; 0 keeps none, and no metric is told.
        window: grey values that become 0 and 1; by default percentiles 1 and 99 of each image.
        standardise: `mean` and `sd` of those grey values: what is trained on is (value - mean) / sd. By default 0 to 1.
        max_cached_images: how many prepared images stay in memory; the others are read anew each time.
    """

    batch_size: Annotated[int, Field(ge=1, le=1024)] = 16
    local_epochs: Annotated[int, Field(ge=1, le=100)] = 1
    local_steps: Annotated[int, Field(ge=1, le=100_000)] | None = None
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    learning_rate: Annotated[Decimal, Field(gt=0, le=10)] = Decimal("0.01")
    momentum: Annotated[Decimal, Field(ge=0, lt=1)] = Decimal(0)
    weight_decay: Annotated[Decimal, Field(ge=0, le=1)] = Decimal(0)
    schedule: Schedule = Schedule.CONSTANT
    schedule_factor: Annotated[Decimal, Field(gt=0, le=1)] = Decimal("0.5")
    schedule_rounds: Annotated[int, Field(ge=1, le=10_000)] = 10
    optimizer_state: OptimizerState = OptimizerState.RESET
    clip_norm: Annotated[Decimal, Field(gt=0, le=1_000_000)] | None = None
    mixed_precision: bool = False
    held_out_percent: Annotated[int, Field(ge=0, le=50)] = 20
    window: Annotated[Window | None, BeforeValidator(window_from)] = None
    standardise: Annotated[Standard | None, BeforeValidator(standard_from)] = None
    augmentation: Annotated[Augmentation, BeforeValidator(_augmentation)] = Augmentation()
    max_cached_images: Annotated[int, Field(ge=0, le=10_000_000)] = 100_000

    @property
    def keeps_running_means(self) -> bool:
        """Tell whether the network has layers of batch normalisation."""
        return getattr(self, "norm", None) is Norm.BATCH

    @model_validator(mode="after")
    def _batches_can_be_normalised(self) -> Self:
        if self.keeps_running_means and self.batch_size < 2:
            raise ValueError("batch normalisation needs a batch_size of at least 2, or another norm")
        return self


class ImageParameters(TrainingParameters):
    """What classification and regression have in common: one label for a whole image.

    Args:
        label: what is learnt: a clinical variable of the sites as `clinical_NAME`, or a fact of their fact sheets.
        dimensions: 2 takes single slices, 3 whole volumes.
        image_size: side of the square, or cube, that images are resampled to.
        spacing_mm: edge of the voxels that a volume is resampled to first, then cut or filled to `image_size`
            voxels; by default it is only resampled to `image_size`.
        images_per_series: evenly spaced slices taken of each series, where `dimensions` is 2.
        stride: of the first convolution of `resnet18`; 1 costs more than four times as much.
        norm: of `resnet18` and `densenet121`; `small-cnn` has group normalisation, the others none.
    """

    label: LabelColumn = "clinical_diagnosis"
    network: Literal["mnist-cnn", "lenet", "small-cnn", "linear", "resnet18", "densenet121"] = "lenet"
    dimensions: Literal[2, 3] = 2
    image_size: Annotated[int, Field(ge=8, le=512)] = 28
    spacing_mm: Millimetres | None = None
    images_per_series: Annotated[int, Field(ge=1, le=512)] = 1
    stride: Literal[1, 2] = 2
    norm: Norm = Norm.INSTANCE

    @property
    def keeps_running_means(self) -> bool:
        """Tell whether the network has layers of batch normalisation."""
        return self.norm is Norm.BATCH and self.network in ("resnet18", "densenet121")

    @model_validator(mode="after")
    def _network_fits(self) -> Self:
        if self.network in ("mnist-cnn", "lenet") and self.dimensions != 2:
            raise ValueError(f"{self.network} works on slices: dimensions must be 2")
        if self.network == "mnist-cnn" and self.image_size != 28:
            raise ValueError("mnist-cnn works on images of 28 x 28: image_size must be 28")
        if self.network in ("resnet18", "densenet121") and self.image_size < 32:
            raise ValueError(f"{self.network} needs an image_size of at least 32")
        if self.network == "resnet18" and self.norm is Norm.INSTANCE and self.image_size < 32 * self.stride:
            raise ValueError(
                "resnet18 with instance normalisation needs an image_size of at least 32 x stride"
            )
        if self.network == "densenet121" and self.norm is Norm.INSTANCE and self.image_size < 64:
            # One pixel is left of a smaller image, and one has no spread.
            raise ValueError("densenet121 with instance normalisation needs an image_size of at least 64")
        return self


class ClassificationParameters(ImageParameters):
    """Parameters of `classification`.

    Args:
        classes: the words of the label, in the order of the network's outputs. Subjects with another word are left
            out.
    """

    classes: Annotated[
        tuple[Word, ...], BeforeValidator(listed), Field(min_length=2, max_length=1000, strict=False)
    ] = ("no", "yes")

    @model_validator(mode="after")
    def _classes_differ(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("two classes have the same word")
        return self


class RegressionParameters(ImageParameters):
    """Parameters of `regression`.

    Args:
        offset, scale: the network learns (value - offset) / scale; metrics are in the unit of the value.
    """

    label: LabelColumn = "age_band"
    loss: Literal["mse", "mae", "huber"] = "mse"
    offset: Annotated[Decimal, Field(ge=-1_000_000, le=1_000_000)] = Decimal(0)
    scale: Annotated[Decimal, Field(gt=0, le=1_000_000)] = Decimal(1)


class SegmentationParameters(TrainingParameters):
    """Parameters of `segmentation`.

    Args:
        structures: what is learnt, words as segments are labelled with; the network has one more output, for the rest.
        dimensions: 2 takes slices with something on them, 3 whole volumes.
        spacing_mm: edge of the voxels that images and masks are resampled to; by default they stay as they are.
        patch_size: side of the square, or cube, that is trained on and that a window covers in evaluation.
        patches_per_image: how many are drawn of each image in each pass, every second one around a structure.
        slices_per_series: evenly spaced slices with a structure taken of each series, where `dimensions` is 2.
        channels: of each level of the U-Net.
        strides: between the levels, one less than levels.
        residual_units: of each level.
        window_overlap: of neighbouring windows in evaluation.
    """

    structures: Annotated[
        tuple[Word, ...], BeforeValidator(listed), Field(min_length=1, max_length=32, strict=False)
    ] = ("liver",)
    dimensions: Literal[2, 3] = 3
    spacing_mm: Millimetres | None = None
    patch_size: Annotated[int, Field(ge=8, le=256)] = 32
    patches_per_image: Annotated[int, Field(ge=1, le=64)] = 1
    slices_per_series: Annotated[int, Field(ge=1, le=512)] = 16
    channels: Annotated[
        tuple[int, ...], BeforeValidator(_counted), Field(min_length=2, max_length=6, strict=False)
    ] = (8, 16, 32)
    strides: Annotated[
        tuple[int, ...], BeforeValidator(_counted), Field(min_length=1, max_length=5, strict=False)
    ] = (2, 2)
    residual_units: Annotated[int, Field(ge=0, le=4)] = 1
    norm: Norm = Norm.INSTANCE
    window_overlap: Annotated[Decimal, Field(ge=0, lt=1)] = Decimal("0.25")
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 2

    @model_validator(mode="after")
    def _levels_fit(self) -> Self:
        if len(self.strides) != len(self.channels) - 1:
            raise ValueError("strides has one entry less than channels")
        if not all(1 <= channel <= 1024 for channel in self.channels):
            raise ValueError("channels lie between 1 and 1024")
        if self.norm is Norm.GROUP and any(channel % 4 for channel in self.channels):
            raise ValueError("group normalisation needs channels that 4 divides")
        shrink = 1
        for stride in self.strides:
            if stride not in (1, 2, 3):
                raise ValueError("strides are 1, 2 or 3")
            shrink *= stride
        if self.patch_size % shrink:
            raise ValueError(f"patch_size must be a multiple of {shrink}, the product of the strides")
        if len(set(self.structures)) != len(self.structures):
            raise ValueError("two structures have the same word")
        return self


class SklearnParameters(AlgorithmParameters):
    """Parameters of `sklearn-sgd`: scikit-learn's linear models, fitted by stochastic gradient descent.

    Args:
        task: which of both models.
        label: as in `classification`.
        classes: of the classifier, in this order at every site.
        features: `pixels` are those of slices that are resampled to `image_size`; `intensity` are mean, spread and
            percentiles of a series' grey values.
        window: grey values that become 0 and 1; it has to be the same at all sites.
        loss: of the model; by default `log_loss` and `squared_error`.
        alpha: weight of the penalty.
    """

    task: Literal["classifier", "regressor"] = "classifier"
    label: LabelColumn = "clinical_diagnosis"
    classes: Annotated[
        tuple[Word, ...], BeforeValidator(listed), Field(min_length=2, max_length=1000, strict=False)
    ] = ("no", "yes")
    features: Literal["pixels", "intensity"] = "pixels"
    image_size: Annotated[int, Field(ge=4, le=128)] = 28
    window: Annotated[Window | None, BeforeValidator(window_from)] = None
    loss: Literal["log_loss", "hinge", "modified_huber", "squared_error", "huber"] | None = None
    penalty: Literal["l2", "l1", "elasticnet"] | None = "l2"
    alpha: Annotated[Decimal, Field(gt=0, le=1)] = Decimal("0.0001")
    learning_rate: Annotated[Decimal, Field(gt=0, le=10)] = Decimal("0.01")
    local_epochs: Annotated[int, Field(ge=1, le=100)] = 1
    held_out_percent: Annotated[int, Field(ge=5, le=50)] = 20
    offset: Annotated[Decimal, Field(ge=-1_000_000, le=1_000_000)] = Decimal(0)
    scale: Annotated[Decimal, Field(gt=0, le=1_000_000)] = Decimal(1)

    @model_validator(mode="after")
    def _loss_fits(self) -> Self:
        of_regressor = self.loss in ("squared_error", "huber")
        if self.loss is not None and of_regressor != (self.task == "regressor"):
            raise ValueError(f"a {self.task} has no loss {self.loss!r}")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("two classes have the same word")
        return self

    @property
    def loss_word(self) -> str:
        """Return the loss as scikit-learn names it."""
        return self.loss or ("log_loss" if self.task == "classifier" else "squared_error")
