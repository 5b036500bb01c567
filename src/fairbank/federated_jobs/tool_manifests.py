"""Tool manifests of the code that is installed: what a publisher seals, and what is checked of what they sealed.

The code says itself what its digest, options, outputs and columns are; a publisher adds what it is meant for and how it
was tested. Nothing here believes a manifest about the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from fairbank.errors import FairbankError
from fairbank.federated_jobs.code import Tool, WorkerKind, tool_of
from fairbank.federated_jobs.container_tools import container_tool
from fairbank.federated_jobs.errors import ToolRefused
from fairbank.ontology.tools import (
    AnnotationKind,
    LegalStatus,
    OutputColumn,
    ToolInputs,
    ToolManifest,
    Validation,
)

# A manifest is shown and carried whole.
LARGEST_BYTES = 1 << 18
LICENCE = "Apache-2.0"
_ANY = ToolInputs()


@dataclass(frozen=True, slots=True)
class _Card:
    """What code cannot say of itself."""

    description: str
    intended_use: str
    inputs: ToolInputs = _ANY
    validation: tuple[Validation, ...] = ()


def builtin_manifest(tool: Tool, *, publisher: str, publisher_key: str, created: str) -> ToolManifest:
    """Return the manifest of an installed tool, ready to be sealed.

    Args:
        publisher: who answers for it, in words.
        created: as wire text.
    """
    card = _CARDS.get(tool.name, _Card(f"{tool.title}.", "Research."))
    return ToolManifest(
        code=tool.code(),
        title=tool.title,
        description=card.description,
        publisher=publisher,
        publisher_key=publisher_key,
        entry_point=tool.shelf.entry_point(tool.name),
        extra=tool.extra,
        inputs=card.inputs,
        parameters=parameters_of(tool),
        outputs=tool.outputs,
        columns=columns_of(tool),
        intended_use=card.intended_use,
        legal_status=LegalStatus.RESEARCH_ONLY,
        validation=card.validation,
        licence=LICENCE,
        created=created,
    )


def intended_use(tool: str) -> str:
    """Return what the tool of a name is meant for, as its manifest says."""
    return _CARDS[tool].intended_use if tool in _CARDS else "Research."


def inputs_of(tool: Tool) -> ToolInputs:
    """Return what an installed tool can measure, as far as it is written down."""
    return _CARDS[tool.name].inputs if tool.name in _CARDS else _ANY


def parameters_of(tool: Tool) -> dict[str, JsonValue]:
    """Return the JSON schema of a tool's options with decimals as text, since no float is ever sealed."""
    schema: dict[str, JsonValue] = _without_floats(tool.schema())
    return schema


def columns_of(tool: Tool) -> tuple[OutputColumn, ...]:
    """Return the columns that a measuring tool returns with its default options; others return no table."""
    if tool.worker is not WorkerKind.ANALYSIS:
        return ()
    from fairbank.analysis.tool import tool_named as analysis_tool
    from fairbank.analysis.tool import tool_parameters

    contract = analysis_tool(tool.name).contract(tool_parameters(tool.name, tool.example))
    return tuple(
        OutputColumn(
            name=one.name,
            type=one.type.value.replace("_", "-"),
            unit=one.unit,
            meaning=one.meaning,
            biomarker=one.biomarker,
            words=one.words,
        )
        for one in contract.columns
    )


def check_installed(manifest: ToolManifest) -> Tool:
    """Refuse a manifest of code that is not installed here, or that says something else of it; return the tool.

    Of a container nothing is installed: its manifest has to hold all that is to be known of it.

    Raises:
        ToolRefused: naming what does not agree.
    """
    if manifest.container is not None:
        return container_tool(manifest)
    try:
        tool = tool_of(manifest.code)
    except FairbankError as err:
        raise ToolRefused(err.what, why=err.why, todo=err.todo) from err
    says = (
        ("entry point", manifest.entry_point == tool.shelf.entry_point(tool.name)),
        ("extra", manifest.extra == tool.extra),
        ("parameters", manifest.parameters == parameters_of(tool)),
        ("outputs", manifest.outputs == tool.outputs),
        ("columns", manifest.columns == columns_of(tool)),
    )
    for what, agrees in says:
        if not agrees:
            raise ToolRefused(
                f"The manifest says another {what} of {tool.name!r} than the code that it names.",
                why="What the registry shows has to be what runs.",
                todo=f"Write it anew: fairbank tool draft {tool.name}.",
            )
    return tool


def _without_floats(value: Any) -> Any:
    if isinstance(value, float):
        # As short as it can be read back; whole numbers stay without a point.
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, dict):
        return {name: _without_floats(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_floats(inner) for inner in value]
    return value


_DRAWN = (AnnotationKind.SEG, AnnotationKind.RTSTRUCT)
_NOT_A_DEVICE = "Research. It is no medical device, and no result of it is meant for the care of a patient."

_LEARNS = "What leaves a site are the weights of the network and metrics of held-out subjects, no image and no label."

_CARDS = {
    "classification": _Card(
        "Trains a network that sorts images, or volumes, into classes that each site reads from its clinical variables "
        f"or fact sheets. {_LEARNS}",
        f"To train and compare classifiers over several sites. {_NOT_A_DEVICE}",
    ),
    "regression": _Card(
        "Trains a network that tells a number of an image or volume, such as an age or the lower edge of a band. "
        + _LEARNS,
        f"To train and compare regressions over several sites. {_NOT_A_DEVICE}",
    ),
    "segmentation": _Card(
        f"Trains a U-Net on segmentations and structure sets that lie beside the images. {_LEARNS}",
        f"To train and compare segmentations over several sites. {_NOT_A_DEVICE}",
        ToolInputs(annotations=_DRAWN),
    ),
    "sklearn-sgd": _Card(
        "Fits a linear model of scikit-learn to small images or to the distribution of grey values. What leaves are "
        "its coefficients and metrics of held-out subjects.",
        f"To have a simple model to compare with, on sites without GPU. {_NOT_A_DEVICE}",
    ),
    "image-quality": _Card(
        "Tells of each series how noisy and how sharp it is, whether grey values are clipped, and whether slices are "
        "missing. Nothing is told of what a picture shows.",
        f"To find out which series of a collection can be measured. {_NOT_A_DEVICE}",
    ),
    "intensity-geometry": _Card(
        "Tells mean, spread and percentiles of the grey values of each series, the size of its voxels and its extent.",
        f"To compare collections, and to try the way from request to result. {_NOT_A_DEVICE}",
    ),
    "lung-densitometry": _Card(
        "Finds the lungs by a threshold and tells the share below -950 HU (LAA-950), the 15th percentile of density, "
        "mean density and volume, of both lungs and of each. Consolidated lung is left out.",
        f"To measure emphysema in groups of subjects. {_NOT_A_DEVICE}",
        ToolInputs(
            modality=("CT",), body_part=("CHEST",), maximum_thickness_mm="2.5", contrast=("no", "unknown")
        ),
    ),
    "monai-bundle": _Card(
        "Trains the network of a MONAI bundle that comes with the job: a classifier, or one that draws structures. "
        f"Each site looks at what the bundle names before anybody approves. {_LEARNS}",
        f"To train a network that others published on images of several sites. {_NOT_A_DEVICE}",
    ),
    "noop": _Card(
        "Adds the same number to every weight of a model. It reads no image.",
        "To measure what the framework itself costs.",
    ),
    "radiomics": _Card(
        "Tells features of shape, intensity and texture of regions, by the definitions of the Image Biomarker "
        "Standardisation Initiative. Regions are drawn ones, which is the default, or the lungs.",
        f"To describe regions by numbers in studies of many subjects. {_NOT_A_DEVICE}",
        ToolInputs(annotations=_DRAWN),
        (
            Validation(
                data="Digital phantom of the IBSI (IBSI 1)",
                measure="features within the published tolerance of the reference value",
                value="94",
                reference="Zwanenburg et al. 2020, Radiology 295, 328-338",
            ),
        ),
    ),
    "segmentation-inference": _Card(
        "Marks structures in each series with a model that comes with the job, as ONNX or as a MONAI bundle without "
        "code. Tells their volumes, and how well they agree with the masks that a site keeps (Dice, Jaccard, distances "
        "of surfaces).",
        f"To try a model on images that it was not trained on, at many sites. {_NOT_A_DEVICE}",
    ),
    "slice-autoencoder": _Card(
        "Trains a small network that takes noise out of single slices. What leaves are changes of its weights.",
        f"To try training over several sites. {_NOT_A_DEVICE}",
    ),
    "statistics": _Card(
        "Tells counts, means, histograms, tests and models over the subjects of all sites from sums over groups; no "
        "row of a subject leaves a site.",
        f"To describe and compare groups of subjects. {_NOT_A_DEVICE}",
    ),
}
