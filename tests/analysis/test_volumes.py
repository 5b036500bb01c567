"""A staged series as a volume: grey values and places are right, or it is refused with the right word."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.analysis.made_up import write_enhanced, write_series

from fairbank.analysis.dicom_frames import read_headers
from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.volumes import Stack, Volume, stack_of, to_lps, volume_of

VOXELS = np.random.default_rng(0).integers(-1000, 1000, (5, 4, 6)).astype(float)
SPACING = (2.0, 0.5, 0.75)


def stack(*files: Path) -> Stack:
    return stack_of(read_headers(files))


def volume(*files: Path) -> Volume:
    return volume_of(stack(*files))


def test_slices_in_any_order_become_a_volume_in_hounsfield_units(tmp_path: Path) -> None:
    files = write_series(tmp_path, VOXELS, spacing_mm=SPACING)
    found = volume(*files[::-1])
    assert found.voxels().dtype == np.float32
    np.testing.assert_array_equal(found.voxels(), VOXELS)
    assert (found.grid.shape, found.stack.unit) == ((5, 4, 6), "[hnsf'U]")
    assert found.grid.spacing_mm == pytest.approx(SPACING)
    assert (found.grid.orientation, found.stack.thickness_mm) == ("SPL", 2.0)
    np.testing.assert_allclose(found.grid.affine @ [4, 3, 5, 1], [5 * 0.75, 3 * 0.5, 8.0, 1])
    assert found.grid.voxel_ml == pytest.approx(0.00075)


def test_only_the_slices_that_are_asked_for_are_read(tmp_path: Path) -> None:
    files = write_series(tmp_path, VOXELS)
    found = volume(*files)
    for other in (0, 1, 4):
        files[other].unlink()
    np.testing.assert_array_equal(found.voxels(2, 4), VOXELS[2:4])


def test_frames_of_one_file_become_the_same_volume(tmp_path: Path) -> None:
    found = volume(write_enhanced(tmp_path, VOXELS, spacing_mm=SPACING))
    np.testing.assert_array_equal(found.voxels(), VOXELS)
    assert found.grid.spacing_mm == pytest.approx(SPACING)


def test_padding_is_no_grey_value(tmp_path: Path) -> None:
    voxels = VOXELS.copy()
    voxels[2, 1, 1] = -1024 - 2000
    found = volume(*write_series(tmp_path, voxels, PixelPaddingValue=-2000))
    assert np.isnan(found.voxels()[2, 1, 1])
    assert found.voxels(padding=-1024.0)[2, 1, 1] == -1024


def test_a_file_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    files = write_series(tmp_path, VOXELS)
    twin = tmp_path / "twin.dcm"
    shutil.copy(files[0], twin)
    np.testing.assert_array_equal(volume(*files, twin).voxels(), VOXELS)


@pytest.mark.parametrize(
    ("orientation", "letters"),
    [
        ((1, 0, 0, 0, 1, 0), "SPL"),
        ((1, 0, 0, 0, 0, -1), "PIL"),
        ((0, 1, 0, 0, 0, -1), "RIP"),
        ((-1, 0, 0, 0, 1, 0), "IPR"),
    ],
)
def test_a_volume_is_turned_to_the_patient_without_changing_a_value(
    tmp_path: Path, orientation: tuple[int, ...], letters: str
) -> None:
    files = write_series(tmp_path, VOXELS, spacing_mm=SPACING, orientation=orientation)
    found = volume(*files)
    assert found.grid.orientation == letters
    turned, grid = to_lps(found.voxels(), found.grid)
    assert grid.orientation == "SPL" and turned.shape == grid.shape
    # Each voxel keeps its place in the patient.
    for index in np.ndindex(found.grid.shape):
        place = found.grid.affine @ [*index, 1]
        s, r, c, _ = np.round(np.linalg.solve(grid.affine, place)).astype(int)
        assert turned[s, r, c] == VOXELS[index]


GOOD = (0.0, 1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("places", "options", "reason"),
    [
        ((0.0, 1.0, 2.0, 4.0, 5.0), {}, "missing_slices"),
        ((0.0, 1.0, 2.0, 2.0, 3.0), {}, "duplicate_slices"),
        ((0.0, 1.0, 2.0, 3.3, 4.3), {}, "uneven_spacing"),
        ((0.0, 0.0, 0.0, 0.0, 0.0), {}, "duplicate_slices"),
        (GOOD, {"shift_mm": (0.0, 0.2, 0.0)}, "gantry_tilt"),
        (GOOD, {"RescaleSlope": None}, "rescale_missing"),
        (GOOD, {"RescaleType": "Z_EFF"}, "not_hounsfield"),
        (GOOD, {"ImagePositionPatient": None}, "geometry_missing"),
        (GOOD, {"PixelSpacing": None}, "geometry_missing"),
        (GOOD, {"PhotometricInterpretation": "PALETTE COLOR"}, "color"),
    ],
)
def test_slices_that_are_no_volume_are_refused_with_the_reason(
    tmp_path: Path, places: tuple[float, ...], options: dict[str, object], reason: str
) -> None:
    files = write_series(tmp_path, VOXELS, places_mm=places, **options)  # type: ignore[arg-type]
    with pytest.raises(ItemImpossible) as refused:
        volume(*files)
    assert refused.value.reason == reason


def test_how_many_slices_are_missing_is_known(tmp_path: Path) -> None:
    assert stack(*write_series(tmp_path, VOXELS, places_mm=(0.0, 1.0, 2.0, 5.0, 6.0))).missing == 2


def test_slices_that_differ_are_no_volume(tmp_path: Path) -> None:
    axial = write_series(tmp_path / "a", VOXELS)
    others = {
        "mixed_orientations": {"orientation": (1, 0, 0, 0, 0, -1)},
        "mixed_spacing": {"spacing_mm": (1.0, 2.0, 1.0)},
        "mixed_modalities": {"Modality": "PT"},
    }
    for reason, options in others.items():
        other = write_series(tmp_path / reason, VOXELS, **options)  # type: ignore[arg-type]
        assert reason in stack(*axial[:4], other[4]).faults
    wide = write_series(tmp_path / "wide", np.zeros((5, 4, 8)))
    assert stack(*axial[:4], wide[4]).faults[0] == "mixed_sizes"


def test_several_images_at_each_place_are_several_volumes(tmp_path: Path) -> None:
    assert stack(*write_series(tmp_path, np.zeros((6, 4, 4)), places_mm=(0, 0, 1, 1, 2, 2))).faults == (
        "several_volumes",
    )


def test_the_rounding_of_real_scanners_is_no_fault(tmp_path: Path) -> None:
    assert stack(*write_series(tmp_path, VOXELS, places_mm=(0, 6.09, 12.0, 17.93, 24.0))).faults == ()


def test_pixels_that_cannot_be_decoded_are_said_when_they_are_read(tmp_path: Path) -> None:
    import pydicom

    files = write_series(tmp_path, VOXELS)
    found = volume(*files)
    broken = pydicom.dcmread(files[1])
    broken.PixelData = b"\0\0"
    broken.save_as(files[1])
    with pytest.raises(ItemImpossible, match="undecodable"):
        found.voxels()
