"""The code that jobs may name: built-in tools, each with family, version, parameter schema and content digest.

The digest covers the source files of a tool, so that what a site approved is what runs. Nothing here imports torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.util import find_spec
from typing import Any, Protocol

from pydantic import BaseModel, JsonValue, ValidationError

from fairbank.errors import MissingExtra
from fairbank.federated_jobs.errors import CodeUnknown, OptionRefused
from fairbank.federated_jobs.reasons import Reason
from fairbank.ontology.outputs import GROUP_METRICS_TYPE, STATISTIC_TYPE, OutputClass
from fairbank.ontology.signed_objects import Code, Output
from fairbank.ontology.tools import Container, OutputColumn
from fairbank.signing import Digest

MIB = 1 << 20
# What a tool's outputs are called.
UPDATE = "update"
MEASUREMENTS = "measurements"
SUMS = "sums"
GROUP_METRICS = "metrics-by-group"
# Rounds that a model which is fitted over rounds may take; most take fewer, and the job ends then.
ROUNDS_OF_A_FIT = 25


class WorkerKind(StrEnum):
    """Which operation of the worker runs a tool."""

    ANALYSIS = "analysis"
    TRAINING = "training"
    STATISTICS = "statistics"
    CONTAINER = "container"


class Shelf(Protocol):
    """Where a room keeps its tools."""

    def digest(self, name: str) -> str:
        """Return the digest of a tool's source files."""
        ...

    def parameters(self, name: str) -> type[BaseModel]:
        """Return the schema of a tool's parameters."""
        ...

    def entry_point(self, name: str) -> str:
        """Return where a tool is found, as `package.module:object`."""
        ...

    def modules(self, name: str) -> tuple[str, ...]:
        """Return the modules that a tool's digest covers; none of a container."""
        ...


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: installed code, or a container.

    Attributes:
        outputs: what a job with this tool returns; a manifest may only lower the limits.
        on_request: what it also returns where a manifest asks for it.
        extra: the part of fairbank that has to be installed where it runs; None if none.
        annotations: the kinds of annotations, by modality, that it is handed with the images that they describe.
        example: options with which its columns are told, of a tool that cannot do without some.
        container: the image that holds it; None of code that is installed.
        columns: of the table that a container returns; installed code tells its own.
        model: the option that names a file of a model by its digest, which comes to the sites with the job.
    """

    name: str
    family: str
    version: str
    title: str
    worker: WorkerKind
    shelf: Shelf
    outputs: tuple[Output, ...]
    on_request: tuple[Output, ...] = ()
    extra: str | None = None
    annotations: tuple[str, ...] = ()
    example: Mapping[str, JsonValue] = field(default_factory=dict)
    model: str | None = None
    container: Container | None = None
    columns: tuple[OutputColumn, ...] = ()

    @property
    def digest(self) -> Digest:
        """Return the digest of the tool's source files."""
        return Digest(self.shelf.digest(self.name))

    def code(self) -> Code:
        """Return how a manifest names this tool."""
        return Code(name=self.name, family=self.family, version=self.version, digest=self.digest)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the tool's parameters."""
        return self.shelf.parameters(self.name).model_json_schema()

    def usual_rounds(self, parameters: Mapping[str, JsonValue]) -> int:
        """Return how many rounds a job has if nothing else is asked for."""
        fitted = self.worker is WorkerKind.STATISTICS and parameters.get("statistic") in ("logistic", "cox")
        return ROUNDS_OF_A_FIT if fitted else 1

    def models_in(self, parameters: Mapping[str, JsonValue]) -> tuple[Digest, ...]:
        """Return the digests of the files of models that a job with these options needs at the sites."""
        named = parameters.get(self.model) if self.model is not None else None
        return (Digest(named),) if isinstance(named, str) else ()

    def check_installed(self) -> None:
        """Refuse a tool whose libraries are not installed here.

        Raises:
            MissingExtra: naming what to install.
        """
        if self.extra and any(find_spec(module) is None for module in _MODULES[self.extra]):
            raise MissingExtra.named(self.extra, needed_for=f"The tool {self.name!r}")

    def check_parameters(self, given: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Return all parameters, defaults filled in.

        Raises:
            OptionRefused: if one is unknown, of another kind, or out of its range.
        """
        schema = self.shelf.parameters(self.name)
        try:
            checked = schema.model_validate_json(json.dumps(dict(given)))
        except ValidationError as err:
            raise _option_refused(self.name, schema, err) from err
        complete: dict[str, JsonValue] = checked.model_dump(mode="json")
        return complete


def offers_of(tool: Tool, given: Mapping[str, JsonValue]) -> frozenset[str]:
    """Return what a local step may need of a training tool with these parameters, and finds."""
    if tool.worker is not WorkerKind.TRAINING:
        return frozenset()
    from fairbank.federated_jobs.algorithms.registry import algorithm_offers, algorithm_parameters

    return algorithm_offers(tool.name, algorithm_parameters(tool.name, given))


def tools() -> tuple[Tool, ...]:
    """Return all built-in tools, sorted by name."""
    return _TOOLS


def tool_named(name: str) -> Tool:
    """Return the tool of a name.

    Raises:
        CodeUnknown: if there is none.
    """
    for tool in _TOOLS:
        if tool.name == name:
            return tool
    raise CodeUnknown(
        f"There is no tool {name!r}.",
        why="A job may only name code that is installed at the hub and at every site.",
        todo=f"The tools are: {', '.join(tool.name for tool in _TOOLS)}.",
    )


def tool_of(code: Code) -> Tool:
    """Return the installed tool that a manifest names, if it is the same to the byte.

    Raises:
        CodeUnknown: if no tool has that name, or its family, version or digest differ.
    """
    tool = tool_named(code.name)
    if tool.code() == code:
        return tool
    raise CodeUnknown(
        f"The tool {code.name!r} installed here is not the one that the job names.",
        why="Code is named by the digest of its source files; another version is other code.",
        todo="Submit the job anew for the installed version, or install the version that it names.",
    ).because(Reason.CODE_CHANGED)


def _option_refused(name: str, schema: type[BaseModel], err: ValidationError) -> OptionRefused:
    faults = [(".".join(str(part) for part in fault["loc"]), fault["msg"]) for fault in err.errors()]
    unknown = sorted(place for place, _ in faults if place not in schema.model_fields)
    options = ", ".join(sorted(schema.model_fields)) or "none"
    if unknown:
        return OptionRefused(
            f"{name} has no option {unknown[0][:60]!r}.",
            why="Unknown options are refused, so that a misspelt one is not silently ignored.",
            todo=f"Its options are: {options}.",
        )
    place, message = faults[0]
    return OptionRefused(
        f"The option {place!r} of {name} has a value that it cannot have.",
        why=f"{message}.",
        todo="Correct it; 'fairbank tool show' prints every option with its range.",
    )


class _AnalysisShelf:
    """The tools of the room `analysis`; they load pydicom, so only when asked for."""

    def digest(self, name: str) -> str:
        from fairbank.analysis.tool import tool_digest

        return tool_digest(name)

    def parameters(self, name: str) -> type[BaseModel]:
        from fairbank.analysis.tool import tool_named as analysis_tool

        return analysis_tool(name).parameters

    def entry_point(self, name: str) -> str:
        from fairbank.analysis.tool import tool_named as analysis_tool

        return f"{type(analysis_tool(name)).__module__}:TOOL"

    def modules(self, name: str) -> tuple[str, ...]:
        from fairbank.analysis.tool import tool_modules

        return tool_modules(name)


class _TrainingShelf:
    """The training algorithms; their registry knows them without loading torch."""

    def digest(self, name: str) -> str:
        from fairbank.federated_jobs.algorithms.registry import algorithm_digest

        return algorithm_digest(name)

    def parameters(self, name: str) -> type[BaseModel]:
        from fairbank.federated_jobs.algorithms.registry import algorithm_entry

        return algorithm_entry(name).parameters

    def entry_point(self, name: str) -> str:
        from fairbank.federated_jobs.algorithms.registry import algorithm_entry

        return f"{algorithm_entry(name).module}:ALGORITHM"

    def modules(self, name: str) -> tuple[str, ...]:
        from fairbank.federated_jobs.algorithms.registry import algorithm_modules

        return algorithm_modules(name)


_ANALYSES, _TRAININGS = _AnalysisShelf(), _TrainingShelf()

_TRAINING_OUTPUTS = (
    Output(
        name=UPDATE,
        output_class=OutputClass.MODEL_UPDATE,
        media_type="application/vnd.safetensors",
        maximum_bytes=1024 * MIB,
    ),
)

_BY_GROUP = (
    Output(
        name=GROUP_METRICS,
        output_class=OutputClass.AGGREGATE,
        media_type=GROUP_METRICS_TYPE,
        maximum_bytes=1 * MIB,
    ),
)

_ANALYSIS_OUTPUTS = (
    Output(
        name=MEASUREMENTS,
        output_class=OutputClass.MEASUREMENTS,
        media_type="application/json",
        maximum_bytes=64 * MIB,
    ),
)

_STATISTICS_OUTPUTS = (
    Output(name=SUMS, output_class=OutputClass.AGGREGATE, media_type=STATISTIC_TYPE, maximum_bytes=16 * MIB),
)

_TOOLS = (
    Tool(
        name="classification",
        family="training",
        version="1.0.0",
        title="Trains a network that tells the class of an image or volume: LeNet, ResNet-18, DenseNet-121 and others",
        worker=WorkerKind.TRAINING,
        shelf=_TRAININGS,
        outputs=_TRAINING_OUTPUTS,
        on_request=_BY_GROUP,
        extra="train",
    ),
    Tool(
        name="image-quality",
        family="measurements",
        version="1.0.0",
        title="Quality of the pictures of each series: noise, signal to noise, sharpness, clipping, gaps",
        worker=WorkerKind.ANALYSIS,
        shelf=_ANALYSES,
        outputs=_ANALYSIS_OUTPUTS,
        extra="analysis",
    ),
    Tool(
        name="intensity-geometry",
        family="measurements",
        version="1.0.0",
        title="Intensity and geometry of each series: mean, spread, percentiles, voxel size, extent",
        worker=WorkerKind.ANALYSIS,
        shelf=_ANALYSES,
        outputs=_ANALYSIS_OUTPUTS,
    ),
    Tool(
        name="lung-densitometry",
        family="measurements",
        version="1.0.0",
        title="Density of the lungs in CT: LAA-950, Perc15, mean density, volume, of each lung",
        worker=WorkerKind.ANALYSIS,
        shelf=_ANALYSES,
        outputs=_ANALYSIS_OUTPUTS,
        extra="analysis",
    ),
    Tool(
        name="monai-bundle",
        family="training",
        version="1.0.0",
        title="Trains the network of a MONAI bundle that comes with the job: classes of images, or drawn structures",
        worker=WorkerKind.TRAINING,
        shelf=_TRAININGS,
        outputs=_TRAINING_OUTPUTS,
        extra="train",
        annotations=("SEG", "RTSTRUCT"),
        example={"bundle": "sha256:" + "0" * 64, "structures": ["Lung"]},
        model="bundle",
    ),
    Tool(
        name="noop",
        family="benchmark",
        version="1.0.0",
        title="Adds 0.01 to every weight: shows what the framework itself costs",
        worker=WorkerKind.TRAINING,
        shelf=_TRAININGS,
        outputs=_TRAINING_OUTPUTS,
    ),
    Tool(
        name="radiomics",
        family="measurements",
        version="1.0.0",
        title="Radiomic features of regions by the IBSI: shape, statistics and texture, of drawn regions or the lungs",
        worker=WorkerKind.ANALYSIS,
        shelf=_ANALYSES,
        outputs=_ANALYSIS_OUTPUTS,
        extra="radiomics",
        annotations=("SEG", "RTSTRUCT"),
    ),
    Tool(
        name="regression",
        family="training",
        version="1.0.0",
        title="Trains a network that tells a number of an image or volume, such as an age",
        worker=WorkerKind.TRAINING,
        shelf=_TRAININGS,
        outputs=_TRAINING_OUTPUTS,
        on_request=_BY_GROUP,
        extra="train",
    ),
    Tool(
        name="segmentation",
        family="training",
        version="1.0.0",
        title="Trains a U-Net that draws structures on slices or volumes, from segmentations and structure sets",
        worker=WorkerKind.TRAINING,
        shelf=_TRAININGS,
        outputs=_TRAINING_OUTPUTS,
        on_request=_BY_GROUP,
        extra="train",
        annotations=("SEG", "RTSTRUCT"),
    ),
    Tool(
        name="segmentation-inference",
        family="measurements",
        version="1.0.0",
        title="Marks structures with a given model (ONNX, MONAI bundle): volumes, agreement with drawn masks",
        worker=WorkerKind.ANALYSIS,
        shelf=_ANALYSES,
        outputs=_ANALYSIS_OUTPUTS,
        extra="inference",
        annotations=("SEG", "RTSTRUCT"),
        example={"model": "sha256:" + "0" * 64, "labels": [{"channel": 1, "structure": "Lung"}]},
        model="model",
    ),
    Tool(
        name="sklearn-sgd",
        family="training",
        version="1.0.0",
        title="Fits a linear classifier or regression of scikit-learn by stochastic gradient descent",
        worker=WorkerKind.TRAINING,
        shelf=_TRAININGS,
        outputs=_TRAINING_OUTPUTS,
        extra="sklearn",
    ),
    Tool(
        name="slice-autoencoder",
        family="training",
        version="1.0.0",
        title="Trains a denoising autoencoder on single slices",
        worker=WorkerKind.TRAINING,
        shelf=_TRAININGS,
        outputs=_TRAINING_OUTPUTS,
        extra="train",
    ),
    Tool(
        name="statistics",
        family="statistics",
        version="1.0.0",
        title="Statistics over the subjects of all sites without a row leaving: counts, means, tests, models",
        worker=WorkerKind.STATISTICS,
        shelf=_ANALYSES,
        outputs=_STATISTICS_OUTPUTS,
        extra="analysis",
    ),
)
# What the tools of an extra import.
_MODULES = {
    "analysis": ("scipy", "PIL", "dask"),
    "inference": ("onnxruntime", "scipy", "PIL", "dask"),
    "radiomics": ("radiomics", "SimpleITK", "scipy", "dask"),
    "sklearn": ("sklearn", "torch", "monai", "ignite"),
    "train": ("torch", "monai", "ignite", "scipy"),
}
