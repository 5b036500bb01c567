"""The tool `lung-densitometry` on a chest whose densities are known, and on two real ones."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pytest
from tests.analysis.chest_phantom import EMPHYSEMA, SHAPE, SPACING, Chest, chest
from tests.analysis.made_up import write_series

from fairbank.analysis.contract import Row
from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.execution import measure_item
from fairbank.analysis.lungs import find_lungs
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.tool import Desk, tool_named, tool_parameters
from fairbank.analysis.volumes import Grid

NAME = "lung-densitometry"
TOOL = tool_named(NAME)
GRID = Grid(SHAPE, SPACING, (0.0, 0.0, 0.0), ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)))


def measured(
    files: tuple[Path, ...], overlays: Path, *, facts: dict[str, str] | None = None, **wanted: object
) -> Row:
    parameters = tool_parameters(NAME, {"maximum_thickness_mm": "5", **wanted})
    overlays.mkdir(exist_ok=True)
    item = StagedSeries("u1", "s1", files, facts=facts or {})
    (row,) = measure_item(TOOL, item, parameters, Desk(overlays, overlays))
    TOOL.contract(parameters).check([row])
    return row


@pytest.fixture(scope="module")
def phantom() -> Chest:
    return chest()


@pytest.fixture(scope="module")
def series(phantom: Chest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("chest")
    return write_series(folder, phantom.voxels, spacing_mm=SPACING, ConvolutionKernel="B31f")


def test_known_densities_are_found(phantom: Chest, series: tuple[Path, ...], tmp_path: Path) -> None:
    row = measured(series, tmp_path)
    inside = phantom.voxels[phantom.lungs]
    assert (row["status"], row["reason"], row["airways"], row["kernel"]) == ("ok", None, "removed", "soft")
    assert row["volume_l"] == pytest.approx(inside.size * 0.064 / 1000, rel=0.02)
    assert row["laa950_percent"] == pytest.approx(100 * (inside == EMPHYSEMA).mean(), abs=0.5)
    assert float(row["laa950_percent"]) > 15 and row["perc15_hu"] == EMPHYSEMA  # type: ignore[arg-type]
    assert row["mean_hu"] == pytest.approx(inside.mean(), abs=6)
    for side, mask in (("right", phantom.right), ("left", phantom.left)):
        assert row[f"{side}_volume_l"] == pytest.approx(mask.sum() * 0.064 / 1000, rel=0.02)
    assert float(row["right_volume_l"]) > float(row["left_volume_l"])  # type: ignore[arg-type]


def test_the_lungs_are_found_to_the_voxel_without_windpipe_and_table(phantom: Chest) -> None:
    found = find_lungs(phantom.voxels.astype(np.float32), GRID)
    assert (found.mask & phantom.lungs).sum() / phantom.lungs.sum() > 0.99
    assert (found.mask & ~phantom.lungs).sum() / phantom.lungs.sum() < 0.02
    # In the slice where it opens into a lung they are one; above it nothing of it is taken for lung.
    assert not (found.mask & phantom.windpipe)[31:].any()
    assert found.airways_removed and found.cut_off < 0.05


def test_lungs_that_touch_are_told_apart() -> None:
    joined = chest(touching=True)
    found = find_lungs(joined.voxels.astype(np.float32), GRID)
    assert found.right is not None and found.left is not None
    assert (found.right & joined.right).sum() / joined.right.sum() > 0.98
    assert (found.left & joined.left).sum() / joined.left.sum() > 0.98


def test_a_body_without_lungs_is_said() -> None:
    voxels = chest().voxels
    voxels[(voxels < -800) & chest().lungs] = 40
    for picture in (voxels, np.full(SHAPE, -1000.0)):
        with pytest.raises(ItemImpossible, match="no_lungs"):
            find_lungs(picture.astype(np.float32), GRID)


@pytest.mark.parametrize(
    ("facts", "wanted", "reason"),
    [
        ({}, {"maximum_thickness_mm": "2.5"}, "too_thick"),
        ({"kernel_class": "sharp"}, {}, "sharp_kernel"),
        ({"contrast": "yes"}, {}, "contrast_agent"),
        ({"contrast": "unknown"}, {"contrast": ["no"]}, "contrast_agent"),
        ({"respiratory_phase": "expiration"}, {}, "expiration"),
        ({"respiratory_phase": "free-breathing"}, {}, "free_breathing"),
    ],
)
def test_a_series_that_was_made_otherwise_than_asked_for_is_left_out(
    series: tuple[Path, ...], tmp_path: Path, facts: dict[str, str], wanted: dict[str, object], reason: str
) -> None:
    row = measured(series, tmp_path, facts=facts, **wanted)
    assert (row["status"], row["reason"], row["volume_l"]) == ("impossible", reason, None)
    assert row["slice_thickness_mm"] == 4.0


def test_headers_say_what_the_site_does_not_know(phantom: Chest, tmp_path: Path) -> None:
    few = phantom.voxels[:4]
    for said, reason in (
        ({"ConvolutionKernel": ["B70f", "3"]}, "sharp_kernel"),
        ({"ContrastBolusAgent": "APPLIED"}, "contrast_agent"),
        ({"SeriesDescription": "THORAX EXPIRATION"}, "expiration"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"Modality": "MR"}, "not_ct"),
        ({"SliceThickness": None}, "thickness_missing"),
    ):
        files = write_series(tmp_path / reason, few, spacing_mm=SPACING, **said)  # type: ignore[arg-type]
        assert measured(files, tmp_path / "overlays")["reason"] == reason


def test_lungs_that_the_picture_cuts_are_left_out_unless_asked_for(
    series: tuple[Path, ...], tmp_path: Path
) -> None:
    upper = series[20:]
    assert measured(upper, tmp_path)["reason"] == "lungs_cut_off"
    assert measured(upper, tmp_path, whole_lungs="not-required")["status"] == "ok"


def test_the_curator_gets_a_picture_and_the_row_tells_nothing_of_it(
    series: tuple[Path, ...], tmp_path: Path
) -> None:
    from PIL import Image

    row = measured(series, tmp_path)
    with Image.open(tmp_path / "u1.png") as picture:
        colours = {colour for _, colour in picture.getcolors(1 << 20)}
    assert {(255, 170, 0), (0, 190, 255), (220, 0, 60)} <= colours
    assert not [name for name, value in row.items() if isinstance(value, str) and "png" in value]


def nrrd(file: Path) -> tuple[np.ndarray, float]:
    """Read one of the archive's CTs, every second row and column; return it with the distance of pixels."""
    head, _, body = file.read_bytes().partition(b"\n\n")
    sizes = re.search(rb"sizes: (\d+) (\d+) (\d+)", head)
    spacing = re.search(rb"space directions: \(([\d.]+),", head)
    assert sizes is not None and spacing is not None
    shape = [int(size) for size in sizes.groups()][::-1]
    return np.frombuffer(gzip.decompress(body), "<i2").reshape(shape)[:, ::2, ::2], 2 * float(spacing[1])


@pytest.mark.chest_ct
@pytest.mark.parametrize(("name", "litres", "mean_hu"), [("lung1", 2.83, -827), ("lung2", 3.90, -785)])
def test_real_lungs_are_measured(tmp_path: Path, name: str, litres: float, mean_hu: float) -> None:
    voxels, spacing = nrrd(Path(os.environ["FAIRBANK_CHEST_CT"]) / f"{name}_image.nrrd")
    files = write_series(tmp_path / name, voxels, spacing_mm=(5.0, spacing, spacing))
    # The first of them ends above the bases of the lungs.
    row = measured(files, tmp_path, whole_lungs="not-required")
    # Looked at by eye: these outlines follow the lungs.
    assert row["volume_l"] == pytest.approx(litres, rel=0.03)
    assert row["mean_hu"] == pytest.approx(mean_hu, abs=8)
    assert row["airways"] == "removed" and row["left_volume_l"] < row["right_volume_l"]  # type: ignore[operator]
    # What is known of lungs: densities between air and water, and only a tail of them near air.
    assert -950 < float(row["perc15_hu"]) < float(row["mean_hu"]) < -650  # type: ignore[arg-type]
    assert 0 < float(row["laa950_percent"]) < 10  # type: ignore[arg-type]
