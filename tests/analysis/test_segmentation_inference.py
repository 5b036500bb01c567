"""The tool `segmentation-inference`: known volumes and agreement of known masks, by models that are made here."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.analysis.annotated import FRAME, NODULE, write_segmentation
from tests.analysis.made_up import write_series

from fairbank.analysis.contract import Row
from fairbank.analysis.errors import BundleRefused, ModelMissing, ModelUnusable, ToolParametersRefused
from fairbank.analysis.execution import measure_item
from fairbank.analysis.networks import file_name, network_in
from fairbank.analysis.overlap_measures import agreement
from fairbank.analysis.run import run_tool
from fairbank.analysis.sliding_window import infer
from fairbank.analysis.staged import StagedAnnotation, StagedSeries
from fairbank.analysis.tool import Desk, tool_digest, tool_named, tool_parameters
from fairbank.signing import file_digest

NAME = "segmentation-inference"
TOOL = tool_named(NAME)
SHAPE, SPACING = (8, 20, 24), (2.0, 1.0, 1.0)
LABELS = [{"channel": 1, "structure": "Nodule"}]
PATCH = [24, 20, 8]


def settled(folder: Path, made: Path) -> str:
    """Put a model where tools look for it; return its digest."""
    digest = file_digest(made)
    made.rename(folder / file_name(digest))
    return digest


def threshold_model(file: Path, at: float, *, slope: float = 1.0, rank: int = 5) -> Path:
    """Write a network that scores every voxel: channel 1 is its grey value less `at`, channel 0 nothing."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    axes: list[str | int] = ["batch", 1, "x", "y", "z"][:rank]
    out: list[str | int] = ["batch", 2, "x", "y", "z"][:rank]
    weights = np.array([0.0, slope], np.float32).reshape(2, 1, *([1] * (rank - 2)))
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w", "b"], ["scores"])],
        "threshold",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, axes)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, out)],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.array([0.0, -at * slope], np.float32), "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, file)
    return file


@pytest.fixture(scope="module")
def ball() -> NDArray[np.bool_]:
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in SHAPE), indexing="ij")
    found: NDArray[np.bool_] = ((z - 3.5) * 2) ** 2 + (y - 9) ** 2 + (x - 11) ** 2 < 6**2
    return found


@pytest.fixture(scope="module")
def images(ball: NDArray[np.bool_], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    voxels = np.where(ball, 100.0, -100.0)
    # Far from the ball, so that only the largest part is the ball.
    voxels[0, 0, 0:2] = 90.0
    return write_series(
        tmp_path_factory.mktemp("images"), voxels, spacing_mm=SPACING, FrameOfReferenceUID=FRAME
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def at_zero(models: Path) -> str:
    return settled(models, threshold_model(models / "made.onnx", 0.0))


def rows_of(
    images: tuple[Path, ...], models: Path, into: Path, *annotations: Path, **wanted: object
) -> list[Row]:
    parameters = tool_parameters(NAME, {"labels": LABELS, "patch": PATCH, **wanted})
    item = StagedSeries("u1", "s1", images, tuple(StagedAnnotation("SEG", (file,)) for file in annotations))
    rows = measure_item(TOOL, item, parameters, Desk(into, into, models=models))
    TOOL.contract(parameters).check(rows)
    return rows


def segmented(file: Path, mask: NDArray[np.bool_]) -> Path:
    return write_segmentation(file, {1: mask}, spacing_mm=SPACING, codes={1: NODULE})


def test_volumes_and_agreement_are_those_of_the_masks(
    images: tuple[Path, ...], models: Path, at_zero: str, ball: NDArray[np.bool_], tmp_path: Path
) -> None:
    drawn = np.roll(ball, 1, axis=2)
    seg = segmented(tmp_path / "seg.dcm", drawn)
    (row,) = rows_of(images, models, tmp_path, seg, model=at_zero, keep="largest")
    both = (ball & drawn).sum()
    assert (row["status"], row["reason"], row["structure"]) == ("ok", None, "Nodule")
    assert row["voxels"] == ball.sum()
    assert row["volume_ml"] == pytest.approx(ball.sum() * 0.002, rel=1e-3)
    assert row["reference_ml"] == row["volume_ml"]
    assert row["dice"] == pytest.approx(2 * both / (ball.sum() + drawn.sum()), abs=1e-4)
    assert row["jaccard"] == pytest.approx(both / (ball | drawn).sum(), abs=1e-4)
    assert row["hausdorff95_mm"] == pytest.approx(1.0)
    assert (tmp_path / "u1.png").read_bytes().startswith(b"\x89PNG")


def test_smaller_parts_stay_unless_the_largest_is_asked_for(
    images: tuple[Path, ...], models: Path, at_zero: str, ball: NDArray[np.bool_], tmp_path: Path
) -> None:
    (row,) = rows_of(images, models, tmp_path, model=at_zero, reference="none")
    assert row["voxels"] == ball.sum() + 2
    assert (row["reason"], row["dice"]) == (None, None)


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "SPL", "IRA", "PSR"])
def test_no_orientation_changes_what_is_marked(
    images: tuple[Path, ...],
    models: Path,
    at_zero: str,
    ball: NDArray[np.bool_],
    tmp_path: Path,
    orientation: str,
) -> None:
    seg = segmented(tmp_path / "seg.dcm", ball)
    (row,) = rows_of(
        images, models, tmp_path, seg, model=at_zero, keep="largest", orientation=orientation, patch=[8, 8, 8]
    )
    assert (row["dice"], row["surface_distance_mm"]) == (1.0, 0.0)


def test_a_model_of_other_voxels_marks_nearly_the_same(
    images: tuple[Path, ...], models: Path, at_zero: str, ball: NDArray[np.bool_], tmp_path: Path
) -> None:
    seg = segmented(tmp_path / "seg.dcm", ball)
    (row,) = rows_of(
        images, models, tmp_path, seg, model=at_zero, keep="largest", spacing_mm=["1.3", "1.5", "1.5"]
    )
    assert isinstance(row["dice"], float) and 0.9 < row["dice"] < 1
    assert isinstance(row["surface_distance_mm"], float) and row["surface_distance_mm"] < 0.5


@pytest.mark.parametrize(
    ("wanted", "marks"),
    [
        ({"decision": "sigmoid", "threshold": "0.5"}, True),
        ({"decision": "score", "threshold": "150"}, False),
        ({"intensity": "window", "lowest": "-100", "highest": "0"}, True),
        ({"intensity": "z-score"}, True),
    ],
)
def test_grey_values_and_scores_are_treated_as_the_parameters_say(
    images: tuple[Path, ...],
    models: Path,
    at_zero: str,
    ball: NDArray[np.bool_],
    tmp_path: Path,
    wanted: dict[str, Any],
    marks: bool,
) -> None:
    seg = segmented(tmp_path / "seg.dcm", ball)
    (row,) = rows_of(images, models, tmp_path, seg, model=at_zero, keep="largest", **wanted)
    if marks:
        assert row["dice"] == 1.0
    else:
        assert (row["voxels"], row["dice"], row["hausdorff95_mm"]) == (0, 0.0, None)
        assert (row["status"], row["reason"]) == ("ok", "nothing_found")


def test_without_a_mask_to_compare_with_the_volume_is_told_and_why(
    images: tuple[Path, ...], models: Path, at_zero: str, ball: NDArray[np.bool_], tmp_path: Path
) -> None:
    (row,) = rows_of(images, models, tmp_path, model=at_zero)
    assert (row["status"], row["reason"], row["dice"]) == ("ok", "no_annotation", None)
    assert row["volume_ml"] is not None
    lung = [{"channel": 1, "structure": "Lung"}]
    seg = segmented(tmp_path / "seg.dcm", ball)
    (row,) = rows_of(images, models, tmp_path, seg, model=at_zero, labels=lung)
    assert row["reason"] == "no_such_structure"
    other = write_segmentation(
        tmp_path / "other.dcm", {1: ball}, spacing_mm=SPACING, codes={1: NODULE}, FrameOfReferenceUID="1.2.9"
    )
    (row,) = rows_of(images, models, tmp_path, other, model=at_zero)
    assert (row["status"], row["reason"]) == ("ok", "no_such_structure")


def test_series_of_another_modality_and_no_volumes_are_left_out(
    images: tuple[Path, ...], models: Path, at_zero: str, tmp_path: Path
) -> None:
    (row,) = rows_of(images, models, tmp_path, model=at_zero, modality="MR")
    assert (row["status"], row["reason"], row["volume_ml"]) == ("impossible", "not_the_modality", None)
    (row,) = rows_of(images[:2], models, tmp_path, model=at_zero)
    assert (row["status"], row["reason"]) == ("impossible", "too_few_slices")


# -- models ------------------------------------------------------------------------------------------------------------

UNET: dict[str, Any] = {
    "_target_": "UNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "channels": [4, 8],
    "strides": [2],
    "norm": "instance",
}


def bundle_of(file: Path, network: Any, definition: dict[str, Any]) -> Path:
    from safetensors.torch import save

    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("configs/inference.json", json.dumps({"network_def": definition}))
        archive.writestr("models/model.safetensors", save(network.state_dict()))
    return file


@pytest.fixture(scope="module")
def unet() -> Any:
    torch = pytest.importorskip("torch")
    from monai.networks.nets import UNet

    torch.manual_seed(3)
    arguments = {name: value for name, value in UNET.items() if name != "_target_"}
    return UNet(**arguments).eval()


def test_a_bundle_gives_what_its_network_gives(unet: Any, models: Path) -> None:
    import torch

    digest = settled(models, bundle_of(models / "made.zip", unet, UNET))
    patch = np.random.default_rng(1).normal(size=(16, 16, 8)).astype(np.float32)
    with torch.inference_mode():
        direct = unet(torch.from_numpy(patch)[None, None])[0].numpy()
    assert np.array_equal(network_in(models, digest, "monai-bundle")(patch), direct)


@pytest.mark.parametrize("weighting", ["constant", "gaussian"])
def test_patch_after_patch_gives_what_monai_gives(unet: Any, models: Path, weighting: Any) -> None:
    import torch
    from monai.inferers import sliding_window_inference

    digest = settled(models, bundle_of(models / "made.zip", unet, UNET))
    voxels = np.random.default_rng(2).normal(size=(21, 12, 30)).astype(np.float32)
    ours = infer(
        network_in(models, digest, "monai-bundle"),
        voxels,
        patch=(16, 16, 16),
        overlap=0.25,
        weighting=weighting,
    )
    with torch.inference_mode():
        given = torch.from_numpy(voxels)[None, None]
        theirs = sliding_window_inference(given, (16, 16, 16), 1, unet, 0.25, mode=weighting)[0].numpy()
    assert np.allclose(ours, theirs, atol=1e-4)


def test_a_bundle_marks_series_like_any_other_model(
    unet: Any, images: tuple[Path, ...], models: Path, tmp_path: Path
) -> None:
    digest = settled(models, bundle_of(models / "made.zip", unet, UNET))
    (row,) = rows_of(images, models, tmp_path, model=digest, format="monai-bundle", intensity="z-score")
    assert row["status"] == "ok" and isinstance(row["voxels"], int) and row["voxels"] > 0


def checked(models: Path, **wanted: object) -> None:
    parameters = tool_parameters(NAME, {"labels": LABELS, "patch": PATCH, **wanted})
    TOOL.check_model(parameters, models)  # type: ignore[attr-defined]  # this tool uses a model


def test_models_that_cannot_be_used_are_refused_before_a_series_is_measured(
    unet: Any, models: Path, at_zero: str
) -> None:
    with pytest.raises(ModelMissing):
        checked(models, model="sha256:" + "0" * 64)
    changed = models / file_name("sha256:" + "1" * 64)
    changed.write_bytes(b"other bytes")
    with pytest.raises(ModelMissing):
        checked(models, model="sha256:" + "1" * 64)
    with pytest.raises(ModelUnusable, match="channel 2 of a model with 2"):
        checked(models, model=at_zero, labels=[{"channel": 2, "structure": "Nodule"}])
    (models / "text").write_text("no model")
    nothing = settled(models, models / "text")
    with pytest.raises(ModelUnusable):
        checked(models, model=nothing)
    with pytest.raises(BundleRefused):
        checked(models, model=nothing, format="monai-bundle")
    flat = settled(models, threshold_model(models / "flat.onnx", 0, rank=4))
    with pytest.raises(ModelUnusable):
        checked(models, model=flat)


@pytest.mark.parametrize(
    "definition",
    [
        {**UNET, "channels": [4, 16]},
        {**UNET, "nonsense": 1},
        {**UNET, "_target_": "monai.networks.nets.resnet.Callable"},
        {**UNET, "_target_": "torch.nn.Parameter"},
        {**UNET, "_target_": "torch.nn.NoSuchThing"},
        {"spatial_dims": 3},
    ],
)
def test_bundles_whose_network_cannot_be_made_are_refused(
    unet: Any, models: Path, definition: dict[str, Any]
) -> None:
    digest = settled(models, bundle_of(models / "made.zip", unet, definition))
    with pytest.raises(ModelUnusable):
        network_in(models, digest, "monai-bundle")


def test_a_whole_run_writes_rows_and_stops_where_there_is_no_model(
    images: tuple[Path, ...], models: Path, at_zero: str, tmp_path: Path
) -> None:
    unit = tmp_path / "inputs" / "u1"
    unit.mkdir(parents=True)
    for image in images:
        (unit / image.name).write_bytes(image.read_bytes())
    listing = {"units": [{"unit": "u1", "subject": "s1", "files": [image.name for image in images]}]}
    (tmp_path / "inputs" / "manifest.json").write_text(json.dumps(listing))
    wanted = {"labels": LABELS, "patch": PATCH, "model": at_zero}
    outcome = run_tool(
        NAME,
        digest=tool_digest(NAME),
        parameters=wanted,
        inputs=tmp_path / "inputs",
        into=tmp_path / "rows.json",
        models=models,
    )
    assert (outcome.statuses["ok"], outcome.subjects) == (1, 1)
    with pytest.raises(ModelMissing):
        run_tool(
            NAME,
            digest=tool_digest(NAME),
            parameters=wanted,
            inputs=tmp_path / "inputs",
            into=tmp_path / "other.json",
        )
    assert not (tmp_path / "other.json").exists()


@pytest.mark.parametrize(
    "wanted",
    [
        {"model": "somewhere.onnx"},
        {"format": "torchscript"},
        {"labels": []},
        {"labels": [{"channel": 0, "structure": "Nodule"}]},
        {"labels": [{"channel": 1, "structure": "my typed name"}]},
        {"labels": [*LABELS, *LABELS]},
        {"orientation": "RLS"},
        {"orientation": "XYZ"},
        {"intensity": "window"},
        {"intensity": "window", "lowest": "1", "highest": "0"},
        {"overlap": "1"},
        {"patch": [96, 96]},
        {"spacing": ["1", "1", "1"]},
    ],
)
def test_parameters_that_make_no_sense_are_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(ToolParametersRefused):
        tool_parameters(NAME, {"model": "sha256:" + "0" * 64, "labels": LABELS, **wanted})


# -- measures ----------------------------------------------------------------------------------------------------------


def test_surface_distances_are_those_of_monai(ball: NDArray[np.bool_]) -> None:
    torch = pytest.importorskip("torch")
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    rng = np.random.default_rng(4)
    other = np.roll(ball, (1, 2, -1), axis=(0, 1, 2)) | (rng.random(SHAPE) < 0.01)
    found = agreement(other, ball, SPACING)
    masks = [torch.from_numpy(mask)[None, None] for mask in (other, ball)]
    hd95 = compute_hausdorff_distance(*masks, percentile=95, spacing=SPACING).item()
    average = compute_average_surface_distance(*masks, symmetric=True, spacing=SPACING).item()
    assert found.hd95_mm == pytest.approx(hd95, rel=1e-6)
    assert found.surface_mm == pytest.approx(average, rel=1e-6)


def test_two_boxes_agree_as_one_works_out_by_hand() -> None:
    found, drawn = np.zeros((6, 10, 10), bool), np.zeros((6, 10, 10), bool)
    found[1:5, 2:6, 2:6], drawn[1:5, 2:6, 4:8] = True, True
    measured = agreement(found, drawn, (1.0, 1.0, 2.0))
    assert (measured.dice, measured.jaccard) == (0.5, pytest.approx(1 / 3))
    assert measured.hd95_mm == 4.0
