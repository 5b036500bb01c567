"""The tool `image-quality` on pictures whose noise, blur and faults are known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from tests.analysis.made_up import write_series

from fairbank.analysis.contract import Row
from fairbank.analysis.execution import measure_item
from fairbank.analysis.picture_quality import edge_width_mm, noise_sd
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.tool import Desk, tool_named, tool_parameters

NAME = "image-quality"
TOOL = tool_named(NAME)
EDGE = 96


def disk(inside: float, outside: float, *, blur_px: float = 0.0) -> NDArray[np.float64]:
    y, x = np.mgrid[:EDGE, :EDGE]
    # Smooth borders, as an area of a pixel is partly covered.
    depth = EDGE / 3 - np.hypot(x - EDGE / 2, y - EDGE / 2)
    picture = outside + (inside - outside) * np.clip(depth + 0.5, 0, 1)
    return ndimage.gaussian_filter(picture, blur_px) if blur_px else picture


def noisy(picture: NDArray[np.float64], sd: float, *, slices: int = 4) -> NDArray[np.float64]:
    return picture + np.random.default_rng(3).normal(0, sd, (slices, *picture.shape))


def measured(files: tuple[Path, ...]) -> Row:
    parameters = tool_parameters(NAME, {})
    nowhere = Path("/nonexistent")
    (row,) = measure_item(TOOL, StagedSeries("u1", "s1", files), parameters, Desk(nowhere, nowhere))
    TOOL.contract(parameters).check([row])
    return row


@pytest.mark.parametrize("sd", [8.0, 25.0])
def test_noise_and_signal_of_ct_are_found(tmp_path: Path, sd: float) -> None:
    row = measured(write_series(tmp_path, noisy(disk(40, -980), sd), spacing_mm=(1.0, 0.8, 0.8)))
    assert (row["status"], row["stack"], row["clipped"], row["blank_frames"]) == ("ok", "sound", "no", 0)
    assert row["noise_tissue"] == pytest.approx(sd, rel=0.06)
    assert row["noise_air"] == pytest.approx(sd, rel=0.06)
    assert row["snr"] == pytest.approx(1040 / sd, rel=0.06)


def test_noise_of_magnitudes_is_found_behind_their_distribution(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    real = disk(400, 0) + rng.normal(0, 20, (4, EDGE, EDGE))
    magnitude = np.hypot(real, rng.normal(0, 20, real.shape))
    row = measured(write_series(tmp_path, magnitude - 1024, Modality="MR", RescaleIntercept=0))
    assert row["noise_tissue"] == pytest.approx(20, rel=0.08)
    assert row["noise_air"] == pytest.approx(20, rel=0.12)
    assert row["snr"] == pytest.approx(20, rel=0.1)


def test_edges_of_anatomy_are_not_noise() -> None:
    stripes = np.where(np.arange(EDGE) // 8 % 2, 100.0, 0.0)[None].repeat(EDGE, axis=0)
    picture = (stripes + np.random.default_rng(1).normal(0, 5, stripes.shape)).astype(np.float32)
    assert noise_sd(picture, np.ones(picture.shape, dtype=bool)) == pytest.approx(5, rel=0.4)


@pytest.mark.parametrize("blur_mm", [1.0, 1.5])
def test_the_width_of_an_edge_is_that_of_its_blur(blur_mm: float) -> None:
    picture = disk(40, -1000, blur_px=blur_mm / 0.5).astype(np.float32)
    assert edge_width_mm(picture, (0.5, 0.5)) == pytest.approx(math.sqrt(2 * math.pi) * blur_mm, rel=0.08)


def test_what_went_wrong_is_told_and_the_rest_is_measured(tmp_path: Path) -> None:
    voxels = noisy(disk(40, -980), 10, slices=6)
    voxels[:, 40:44, 40:44] = 3071
    voxels[1] = -1000
    row = measured(write_series(tmp_path, voxels, places_mm=(0, 1, 2, 3, 6, 7)))
    told = ("stack", "missing_slices", "blank_frames", "frames_measured")
    assert tuple(row[name] for name in told) == (
        "missing_slices",
        2,
        1,
        5,
    )
    assert row["clipped"] == "yes" and row["clipped_percent"] == pytest.approx(100 * 16 / EDGE**2, rel=0.01)
    assert row["noise_tissue"] == pytest.approx(10, rel=0.08)


def test_air_that_the_scanner_has_cut_off_tells_no_noise(tmp_path: Path) -> None:
    voxels = np.maximum(noisy(disk(40, -1040), 10), -1024)
    row = measured(write_series(tmp_path, voxels))
    assert row["noise_air"] is None and row["noise_tissue"] == pytest.approx(10, rel=0.08)


def test_what_cannot_be_judged_is_said(tmp_path: Path) -> None:
    blank = write_series(tmp_path / "blank", np.zeros((3, 32, 32)))
    assert measured(blank)["reason"] == "blank"
    raw = write_series(tmp_path / "raw", noisy(disk(40, -980), 10), RescaleSlope=None)
    assert (measured(raw)["status"], measured(raw)["reason"]) == ("impossible", "rescale_missing")


def test_of_a_long_series_some_frames_are_looked_at(tmp_path: Path) -> None:
    files = write_series(tmp_path, noisy(disk(40, -980)[::3, ::3], 10, slices=70))
    row = measured(files)
    assert (row["frames"], row["frames_measured"]) == (70, 24)
