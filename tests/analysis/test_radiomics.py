"""The tool `radiomics`: from images and annotations to rows, on made-up series and on the two real chest CTs."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.analysis.annotated import (
    FRAME,
    LUNG,
    NODULE,
    square,
    write_segmentation,
    write_structures,
)
from tests.analysis.chest_phantom import SPACING as CHEST_SPACING
from tests.analysis.chest_phantom import chest
from tests.analysis.made_up import write_series

from fairbank.analysis.contract import Row
from fairbank.analysis.errors import RowsRefused, ToolParametersRefused
from fairbank.analysis.execution import measure_item
from fairbank.analysis.merge import merge_rows
from fairbank.analysis.radiomic_features import FEATURES
from fairbank.analysis.resampling import resampled
from fairbank.analysis.run import run_tool
from fairbank.analysis.staged import MANIFEST, StagedAnnotation, StagedSeries
from fairbank.analysis.tool import Desk, tool_digest, tool_named, tool_parameters
from fairbank.federated_jobs.twin import try_on_twin
from fairbank.ontology.signed_objects import Selector

NAME = "radiomics"
TOOL = tool_named(NAME)
SHAPE, SPACING = (8, 20, 24), (2.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def values() -> NDArray[np.float64]:
    rng = np.random.default_rng(7)
    return np.round(rng.normal(40, 60, SHAPE))


@pytest.fixture(scope="module")
def ball() -> NDArray[np.bool_]:
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in SHAPE), indexing="ij")
    found: NDArray[np.bool_] = ((z - 3.5) * 2) ** 2 + (y - 9) ** 2 + (x - 11) ** 2 < 6**2
    return found


@pytest.fixture(scope="module")
def images(values: NDArray[np.float64], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("images")
    return write_series(folder, values, spacing_mm=SPACING, FrameOfReferenceUID=FRAME)


def rows_of(
    images: tuple[Path, ...], into: Path, *annotations: tuple[str, Path], **wanted: object
) -> list[Row]:
    parameters = tool_parameters(NAME, wanted)
    item = StagedSeries(
        "u1", "s1", images, tuple(StagedAnnotation(kind, (file,)) for kind, file in annotations)
    )
    rows = measure_item(TOOL, item, parameters, Desk(into, into))
    TOOL.contract(parameters).check(rows)
    return rows


def test_there_is_a_row_for_each_region(
    images: tuple[Path, ...], values: NDArray[np.float64], ball: NDArray[np.bool_], tmp_path: Path
) -> None:
    seg = write_segmentation(
        tmp_path / "seg.dcm",
        {1: ball, 2: np.roll(ball, 2, axis=2)},
        spacing_mm=SPACING,
        codes={1: LUNG, 2: NODULE},
    )
    lines = [square(2.0 * place, (3.5, 4.5), (12.5, 15.5)) for place in range(2, 5)]
    drawn = write_structures(tmp_path / "structures.dcm", {9: lines}, names={9: "GTV_60 Dr. Doe"})
    rows = rows_of(images, tmp_path, ("SEG", seg), ("RTSTRUCT", drawn))
    assert [(row["roi"], row["roi_source"], row["structure"], row["status"]) for row in rows] == [
        (1, "segmentation", "Lung", "ok"),
        (2, "segmentation", "Nodule", "ok"),
        (3, "structure-set", "GTV", "ok"),
    ]
    inside = values[ball]
    assert rows[0]["stat_mean"] == pytest.approx(inside.mean(), rel=1e-4)
    assert rows[0]["stat_var"] == pytest.approx(inside.var(), rel=1e-4)
    assert (rows[0]["voxels"], rows[0]["intensity_unit"]) == (inside.size, "[hnsf'U]")
    assert rows[0]["morph_vol_approx"] == pytest.approx(inside.size * 2.0)
    assert rows[2]["voxels"] == 3 * 9 * 11
    assert "Doe" not in json.dumps(rows)


def test_one_region_that_does_not_fit_costs_one_row(
    images: tuple[Path, ...], ball: NDArray[np.bool_], tmp_path: Path
) -> None:
    seg = write_segmentation(tmp_path / "seg.dcm", {1: ball}, spacing_mm=SPACING)
    foreign = write_segmentation(
        tmp_path / "foreign.dcm", {1: ball}, spacing_mm=SPACING, FrameOfReferenceUID="1.2.3.98"
    )
    found = rows_of(images, tmp_path, ("SEG", foreign), ("SEG", seg), ("SR", seg))
    assert [(row["roi"], row["status"], row["reason"]) for row in found] == [
        (1, "impossible", "other_frame_of_reference"),
        (2, "ok", None),
    ]


def test_a_series_without_regions_is_said(
    images: tuple[Path, ...], ball: NDArray[np.bool_], tmp_path: Path
) -> None:
    seg = write_segmentation(tmp_path / "seg.dcm", {1: ball}, spacing_mm=SPACING, codes={1: LUNG})
    (row,) = rows_of(images, tmp_path)
    assert (row["status"], row["reason"], row["roi"]) == ("impossible", "no_annotation", None)
    (row,) = rows_of(images, tmp_path, ("SEG", seg), structures=["Liver"])
    assert row["reason"] == "no_such_structure"
    (row,) = rows_of(images, tmp_path, ("SEG", seg), minimum_voxels=100_000)
    assert (row["reason"], row["roi"]) == ("too_few_voxels", 1)
    (row,) = rows_of(images, tmp_path, ("SEG", seg), regions="lung")
    assert row["reason"] == "no_lungs"


def test_a_series_that_is_no_volume_is_left_out(
    images: tuple[Path, ...], ball: NDArray[np.bool_], tmp_path: Path
) -> None:
    seg = write_segmentation(tmp_path / "seg.dcm", {1: ball}, spacing_mm=SPACING)
    (row,) = rows_of(images[:3] + images[4:], tmp_path, ("SEG", seg))
    assert row["reason"] == "missing_slices"


def test_only_grey_values_of_the_range_count(
    images: tuple[Path, ...], values: NDArray[np.float64], ball: NDArray[np.bool_], tmp_path: Path
) -> None:
    seg = write_segmentation(tmp_path / "seg.dcm", {1: ball}, spacing_mm=SPACING)
    (row,) = rows_of(images, tmp_path, ("SEG", seg), lowest=0, highest=100)
    inside = values[ball & (values >= 0) & (values <= 100)]
    assert (row["voxels"], row["stat_min"], row["stat_max"]) == (inside.size, inside.min(), inside.max())
    # The shape is that of the whole region.
    assert row["morph_vol_approx"] == pytest.approx(ball.sum() * 2.0)
    assert row["grey_levels"] == 5


def test_the_columns_are_those_that_are_asked_for(
    images: tuple[Path, ...], ball: NDArray[np.bool_], tmp_path: Path
) -> None:
    seg = write_segmentation(tmp_path / "seg.dcm", {1: ball}, spacing_mm=SPACING)
    (row,) = rows_of(images, tmp_path, ("SEG", seg), feature_families=["glcm"], directions="merged")
    features = [name for name in row if name.startswith(("morph_", "stat_", "cm_", "rlm_"))]
    assert len(features) == 25 and all(name.endswith("_d1_3d_v_mrg") for name in features)
    contract = TOOL.contract(tool_parameters(NAME, {}))
    of_features = contract.columns[-len(FEATURES) :]
    assert all((column.biomarker or "").startswith("IBSI:") for column in of_features)


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ({"bin_widht": 10}, "bin_widht"),
        ({"bin_width": 0}, "bin_width"),
        ({"bin_count": 1}, "bin_count"),
        ({"feature_families": ["wavelet"]}, "feature_families"),
        ({"feature_families": ["glcm", "glcm"]}, "twice"),
        ({"interpolator": "sinc"}, "interpolator"),
        ({"spacing_mm": "0.01"}, "spacing_mm"),
        ({"lowest": 5, "highest": 5}, "less than"),
        ({"structures": ["Dr. Doe"]}, "segmented properties"),
    ],
)
def test_unknown_parameters_are_refused(wanted: dict[str, Any], word: str) -> None:
    with pytest.raises(ToolParametersRefused) as refused:
        tool_parameters(NAME, wanted)
    assert word in refused.value.why


def test_resampling_keeps_a_slope_and_the_volume_of_a_region() -> None:
    shape, spacing = (40, 24, 30), (3.0, 0.8, 1.1)
    z, y, x = np.meshgrid(*(np.arange(n) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij")
    middle = [(n - 1) * s / 2 for n, s in zip(shape, spacing, strict=True)]
    mask = (z - middle[0]) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2 < 7.5**2
    for interpolator in ("linear", "cubic-bspline"):
        values, inside = resampled(2 * z - 3 * y + x, mask, spacing, to_mm=1.0, interpolator=interpolator)  # type: ignore[arg-type]
        assert inside.sum() == pytest.approx(mask.sum() * 3.0 * 0.8 * 1.1, rel=0.03)
        # The grids have one centre, so cubes lie evenly around it.
        assert values[inside].mean() == pytest.approx(2 * middle[0] - 3 * middle[1] + middle[2], abs=0.05)
        steps = np.diff(values, axis=0)[inside[1:] & inside[:-1]]
        assert steps == pytest.approx(np.full(steps.shape, 2.0), abs=1e-3)


def test_resampling_to_the_same_grid_changes_nothing(ball: NDArray[np.bool_]) -> None:
    rng = np.random.default_rng(3)
    grey = rng.normal(size=SHAPE)
    values, inside = resampled(grey, ball, (2.0, 2.0, 2.0), to_mm=2.0, interpolator="cubic-bspline")
    assert inside.sum() == ball.sum()
    assert values[inside] == pytest.approx(grey[ball], abs=1e-4)


def test_values_of_a_ct_are_whole_again_after_resampling(
    images: tuple[Path, ...], ball: NDArray[np.bool_], tmp_path: Path
) -> None:
    seg = write_segmentation(tmp_path / "seg.dcm", {1: ball}, spacing_mm=SPACING)
    (row,) = rows_of(images, tmp_path, ("SEG", seg), spacing_mm="1.5")
    assert float(row["stat_median"]) % 0.5 == 0 and float(row["stat_min"]) % 1 == 0  # type: ignore[arg-type]
    assert row["morph_volume"] == pytest.approx(ball.sum() * 2.0, rel=0.1)


def test_the_lungs_are_a_region_where_nobody_has_drawn_one(tmp_path: Path) -> None:
    phantom = chest()
    files = write_series(tmp_path / "chest", phantom.voxels, spacing_mm=CHEST_SPACING)
    (row,) = rows_of(files, tmp_path, regions="lung")
    assert (row["status"], row["roi_source"], row["structure"]) == ("ok", "lung", "Lung")
    inside = phantom.voxels[phantom.lungs]
    assert row["voxels"] == pytest.approx(inside.size, rel=0.02)
    assert row["stat_mean"] == pytest.approx(inside.mean(), abs=6)
    # Turned pictures show the same lungs.
    turned = np.flip(phantom.voxels, axis=(1, 2))
    files = write_series(
        tmp_path / "turned", turned, spacing_mm=CHEST_SPACING, orientation=(-1, 0, 0, 0, -1, 0)
    )
    (other,) = rows_of(files, tmp_path, regions="lung")
    assert other["voxels"] == row["voxels"] and other["stat_mean"] == row["stat_mean"]


def test_shapes_with_too_large_a_surface_are_left_out_and_the_rest_is_measured(
    images: tuple[Path, ...], ball: NDArray[np.bool_], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairbank.analysis.radiomics.MOST_SURFACE_VOXELS", 10)
    seg = write_segmentation(tmp_path / "seg.dcm", {1: ball}, spacing_mm=SPACING)
    (row,) = rows_of(images, tmp_path, ("SEG", seg))
    assert (row["status"], row["reason"]) == ("ok", "surface_too_large")
    assert row["morph_volume"] is None and row["stat_mean"] is not None


def test_rows_of_several_regions_are_merged_and_twins_are_refused(
    images: tuple[Path, ...], ball: NDArray[np.bool_], tmp_path: Path
) -> None:
    seg = write_segmentation(tmp_path / "seg.dcm", {1: ball, 2: np.roll(ball, 1, axis=1)}, spacing_mm=SPACING)
    wanted = {"feature_families": ["statistics"]}
    rows = rows_of(images, tmp_path, ("SEG", seg), **wanted)
    merged = merge_rows(NAME, parameters=wanted, rows_by_site={"a": rows, "b": rows[:1]})
    assert [(row["site"], row["roi"]) for row in merged.rows] == [("a", 1), ("a", 2), ("b", 1)]
    assert {"stat_mean", "voxels"} <= {summary.column for summary in merged.summaries}
    assert "roi" not in {summary.column for summary in merged.summaries}
    with pytest.raises(RowsRefused):
        merge_rows(NAME, parameters=wanted, rows_by_site={"a": [rows[0], rows[0]]})


def test_a_subject_counts_only_if_a_region_of_it_was_measured(
    images: tuple[Path, ...], ball: NDArray[np.bool_], tmp_path: Path
) -> None:
    inputs = tmp_path / "inputs"
    units = []
    for unit, subject in (("u1", "s1"), ("u2", "s2")):
        frame = FRAME if unit == "u1" else "1.2.3.98"
        folder = inputs / unit
        write_segmentation(
            folder / "annotation.dcm", {1: ball}, spacing_mm=SPACING, FrameOfReferenceUID=frame
        )
        for file in images:
            (folder / file.name).write_bytes(file.read_bytes())
        annotation = {"kind": "SEG", "folder": unit, "files": ["annotation.dcm"]}
        names = [file.name for file in images]
        units.append({"unit": unit, "subject": subject, "files": names, "annotations": [annotation]})
    (inputs / MANIFEST).write_text(json.dumps({"units": units}))
    outcome = run_tool(
        NAME,
        digest=tool_digest(NAME),
        parameters={"feature_families": ["statistics"]},
        inputs=inputs,
        into=tmp_path / "rows.json",
    )
    assert (outcome.statuses, outcome.subjects) == ({"ok": 1, "impossible": 1, "error": 0}, 1)


def nrrd(file: Path) -> tuple[NDArray[Any], tuple[float, float, float]]:
    """Read an image or a mask of the archive; return it with the distance of slices, rows, columns."""
    import SimpleITK

    image = SimpleITK.ReadImage(str(file))
    x, y, z = image.GetSpacing()
    return SimpleITK.GetArrayFromImage(image), (z, y, x)


def baseline(name: str) -> dict[tuple[str, str], float]:
    """Return the archive's published value of each feature, by class and name in the library."""
    found = {}
    for file in sorted((Path(os.environ["FAIRBANK_CHEST_CT"]) / "baseline").glob("baseline_*.csv")):
        for row in csv.DictReader(file.open()):
            kind, _, feature = row["featureName"].removeprefix("original_").partition("_")
            if row["featureName"].startswith("original_") and row.get(name):
                found[kind, feature] = float(row[name])
    return found


# By definition, not by mistake: the baseline adds 2000 to all grey values before it squares them.
SHIFTED = {"stat_energy", "stat_rms"}


@pytest.mark.chest_ct
@pytest.mark.parametrize("name", ["lung1", "lung2"])
def test_real_tumours_have_the_features_that_the_library_published(tmp_path: Path, name: str) -> None:
    folder = Path(os.environ["FAIRBANK_CHEST_CT"])
    (voxels, spacing), (mask, _) = (nrrd(folder / f"{name}_{kind}.nrrd") for kind in ("image", "label"))
    files = write_series(tmp_path / name, voxels, spacing_mm=spacing, FrameOfReferenceUID=FRAME)
    seg = write_segmentation(tmp_path / "seg.dcm", {1: mask == 1}, spacing_mm=spacing, codes={1: NODULE})
    (row,) = rows_of(files, tmp_path, ("SEG", seg), bins_from="zero", significant_digits=6)
    published = baseline(name)
    compared, far = 0, {}
    for feature in FEATURES:
        column = feature.name("3d_avg")
        if column in SHIFTED or feature.library not in published:
            continue
        expected = published[feature.library] + feature.plus
        if feature.of_sample:
            count = int((mask == 1).sum())
            expected *= np.sqrt(count / (count - 1))
        compared += 1
        if row[column] != pytest.approx(expected, rel=2e-5, abs=1e-9):
            far[column] = (row[column], expected)
    assert far == {}
    assert compared >= 100


@pytest.mark.chest_ct
def test_real_lungs_are_a_region_with_the_density_that_densitometry_finds(tmp_path: Path) -> None:
    voxels, (z, y, x) = nrrd(Path(os.environ["FAIRBANK_CHEST_CT"]) / "lung2_image.nrrd")
    files = write_series(tmp_path / "lungs", voxels[:, ::2, ::2], spacing_mm=(z, 2 * y, 2 * x))
    (row,) = rows_of(files, tmp_path, regions="lung", feature_families=["statistics", "glcm"])
    assert (row["status"], row["structure"]) == ("ok", "Lung")
    assert row["cm_joint_entr_d1_3d_avg"] is not None
    dense = tool_named("lung-densitometry")
    wanted = {"maximum_thickness_mm": "5", "whole_lungs": "not-required", "significant_digits": 5}
    parameters = tool_parameters("lung-densitometry", wanted)
    (other,) = measure_item(dense, StagedSeries("u1", "s1", files), parameters, Desk(tmp_path, tmp_path))
    assert row["stat_mean"] == other["mean_hu"]
    assert row["stat_var"] == pytest.approx(float(other["sd_hu"]) ** 2, rel=1e-4)  # type: ignore[arg-type]


def test_the_lungs_of_a_twin_can_be_tried(tmp_path: Path) -> None:
    rows = try_on_twin(
        NAME,
        {"regions": "lung", "feature_families": ["statistics", "glcm"]},
        Selector(modality=("CT",)),
        subjects=1,
        seed=4,
        folder=tmp_path,
    )
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert all(-950 < row["stat_mean"] < -600 for row in rows)
