"""Masks from segmentations and structure sets: laid on the volume to the voxel, or refused with a word."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from tests.analysis.annotated import (
    FRAME,
    LUNG,
    NODULE,
    square,
    write_segmentation,
    write_structures,
)
from tests.analysis.made_up import write_series

from fairbank.analysis.dicom_frames import read_headers
from fairbank.analysis.drawn_regions import indices_of
from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.regions import drawn_regions
from fairbank.analysis.segmentations import segments_of
from fairbank.analysis.staged import StagedAnnotation, StagedSeries
from fairbank.analysis.structure_sets import contoured_in, even_odd
from fairbank.analysis.volumes import Grid, stack_of, volume_of

SHAPE = (6, 10, 12)
SPACING = (2.0, 0.5, 0.75)
GRID = Grid(SHAPE, SPACING, (0.0, 0.0, 0.0), ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)))


@pytest.fixture
def mask() -> NDArray[np.bool_]:
    found = np.zeros(SHAPE, dtype=bool)
    found[1:4, 2:7, 3:9] = True
    found[2, 3, 4] = False
    return found


def of_file(file: Path, **more: Any) -> list[tuple[int, str, str | None]]:
    read = contoured_in if "structures" in file.name else segments_of
    return [(one.number, one.structure, one.fault) for one in read(file, GRID, FRAME, **more)]


def test_a_binary_segmentation_is_laid_on_its_images_to_the_voxel(
    tmp_path: Path, mask: NDArray[np.bool_]
) -> None:
    other = np.zeros(SHAPE, dtype=bool)
    other[5, 9, 11] = True
    file = write_segmentation(
        tmp_path / "seg.dcm", {1: mask, 2: other}, spacing_mm=SPACING, codes={1: LUNG, 2: NODULE}
    )
    lung, nodule = segments_of(file, GRID, FRAME)
    assert (lung.structure, nodule.structure, lung.fault) == ("Lung", "Nodule", None)
    assert (lung.mask(SHAPE) == mask).all() and (nodule.mask(SHAPE) == other).all()
    assert of_file(file, wanted=["Nodule"]) == [(2, "Nodule", None)]


def test_half_of_a_pixel_is_enough_in_a_fractional_segmentation(tmp_path: Path) -> None:
    parts = np.zeros(SHAPE)
    parts[2, 3, 3:7] = (0.25, 0.5, 0.75, 1.0)
    file = write_segmentation(tmp_path / "seg.dcm", {4: parts}, spacing_mm=SPACING, kind="FRACTIONAL")
    (region,) = segments_of(file, GRID, FRAME)
    assert np.argwhere(region.mask(SHAPE)).tolist() == [[2, 3, 4], [2, 3, 5], [2, 3, 6]]


def test_a_label_map_has_a_segment_for_each_value(tmp_path: Path, mask: NDArray[np.bool_]) -> None:
    labels = np.where(mask, 2, 0)
    labels[1, 2, 3] = 7
    file = write_segmentation(
        tmp_path / "seg.dcm", {2: labels, 7: np.zeros(SHAPE)}, spacing_mm=SPACING, kind="LABELMAP", whole=1
    )
    two, seven = segments_of(file, GRID, FRAME)
    assert (two.mask(SHAPE) == (labels == 2)).all() and (seven.mask(SHAPE) == (labels == 7)).all()


def test_background_is_no_region(tmp_path: Path, mask: NDArray[np.bool_]) -> None:
    file = write_segmentation(
        tmp_path / "seg.dcm", {1: mask, 2: ~mask}, spacing_mm=SPACING, codes={2: ("DCM", "125040")}
    )
    assert of_file(file) == [(1, "other", None)]


def test_a_segmentation_of_part_of_each_slice_is_laid_where_it_belongs(
    tmp_path: Path, mask: NDArray[np.bool_]
) -> None:
    corner = (3 * SPACING[2], 2 * SPACING[1], SPACING[0])
    file = write_segmentation(
        tmp_path / "seg.dcm", {1: mask[1:4, 2:7, 3:9]}, spacing_mm=SPACING, origin_mm=corner
    )
    (region,) = segments_of(file, GRID, FRAME)
    assert (region.mask(SHAPE) == mask).all()


def test_a_segmentation_of_turned_slices_is_laid_on_turned_slices(
    tmp_path: Path, mask: NDArray[np.bool_]
) -> None:
    coronal = (1, 0, 0, 0, 0, -1)
    files = write_series(
        tmp_path / "images",
        np.zeros(SHAPE),
        spacing_mm=SPACING,
        orientation=coronal,
        FrameOfReferenceUID=FRAME,
    )
    file = write_segmentation(tmp_path / "seg.dcm", {1: mask}, spacing_mm=SPACING, orientation=coronal)
    grid = volume_of(stack_of(read_headers(files))).grid
    (region,) = segments_of(file, grid, FRAME)
    assert (region.mask(SHAPE) == mask).all()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"spacing_mm": (2.0, 0.5, 0.8)}, "other_spacing"),
        ({"orientation": (0, 1, 0, 1, 0, 0)}, "other_orientation"),
        ({"origin_mm": (0.0, 0.0, 1.0)}, "between_slices"),
        ({"origin_mm": (0.3, 0.0, 0.0)}, "between_pixels"),
        ({"origin_mm": (0.0, 0.0, 8.0)}, "outside_volume"),
        ({"origin_mm": (-3.0, 0.0, 0.0)}, "outside_volume"),
    ],
)
def test_a_segment_that_does_not_fit_is_refused_by_a_word(
    tmp_path: Path, mask: NDArray[np.bool_], change: dict[str, Any], fault: str
) -> None:
    file = write_segmentation(tmp_path / "seg.dcm", {1: mask}, **{"spacing_mm": SPACING, **change})
    assert of_file(file) == [(1, "other", fault)]


def test_a_segment_without_pixels_is_empty(tmp_path: Path, mask: NDArray[np.bool_]) -> None:
    file = write_segmentation(
        tmp_path / "seg.dcm", {1: mask, 2: np.zeros(SHAPE)}, spacing_mm=SPACING, codes={2: NODULE}
    )
    assert of_file(file) == [(1, "other", None), (2, "Nodule", "empty_region")]


@pytest.mark.parametrize(
    ("frame", "fault"),
    [("1.2.3.98", "other_frame_of_reference"), ("", "frame_of_reference_missing")],
)
def test_what_was_drawn_in_other_coordinates_is_refused(
    tmp_path: Path, mask: NDArray[np.bool_], frame: str, fault: str
) -> None:
    seg = write_segmentation(tmp_path / "seg.dcm", {1: mask}, spacing_mm=SPACING, FrameOfReferenceUID=frame)
    with pytest.raises(ItemImpossible, match=fault):
        segments_of(seg, GRID, FRAME)
    lines = {1: [square(2.0, (0.0, 0.0), (3.0, 3.0))]}
    drawn = write_structures(tmp_path / "structures.dcm", lines, FrameOfReferenceUID=frame)
    assert of_file(drawn) == [(1, "unknown", fault)]


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    for name in ("seg.dcm", "structures.dcm"):
        (tmp_path / name).write_bytes(b"no DICOM")
        with pytest.raises(ItemImpossible, match="annotation_unreadable"):
            of_file(tmp_path / name)


def test_contours_take_in_the_pixels_whose_centres_they_hold(tmp_path: Path, mask: NDArray[np.bool_]) -> None:
    """Edges run between pixels; the hole is a contour of its own."""
    lines = [square(2.0 * place, (1.9, 0.8), (6.3, 3.2)) for place in (1, 2, 3)]
    lines.append(square(4.0, (2.7, 1.3), (3.3, 1.7)))
    file = write_structures(tmp_path / "structures.dcm", {3: lines}, names={3: "Lung_L"}, codes={3: LUNG})
    (region,) = contoured_in(file, GRID, FRAME)
    assert (region.source, region.number, region.structure) == ("structure-set", 3, "Lung")
    assert (region.mask(SHAPE) == mask).all()


def test_a_keyhole_leaves_its_hole_out() -> None:
    outer = [[0.5, 0.5], [0.5, 6.5], [6.5, 6.5], [6.5, 0.5]]
    inner = [[2.5, 2.5], [4.5, 2.5], [4.5, 4.5], [2.5, 4.5]]
    keyhole = np.array([*outer, outer[0], *inner, inner[0]])
    found = even_odd([keyhole], (8, 8))
    expected = np.zeros((8, 8), dtype=bool)
    expected[1:7, 1:7] = True
    expected[3:5, 3:5] = False
    assert (found == expected).all()


def test_the_area_of_a_round_contour_is_that_of_the_circle() -> None:
    turn = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    circle = np.stack([50.3 + 37.2 * np.sin(turn), 48.9 + 37.2 * np.cos(turn)], axis=1)
    assert even_odd([circle], (100, 100)).sum() == pytest.approx(np.pi * 37.2**2, rel=2e-3)


@pytest.mark.parametrize(
    ("lines", "more", "fault"),
    [
        ([square(1.0, (0, 0), (3, 3))], {}, "between_slices"),
        ([square(14.0, (0, 0), (3, 3))], {}, "outside_volume"),
        ([square(2.0, (0, 0), (30, 3))], {}, "outside_volume"),
        ([np.array([[0, 0, 2.0], [3, 0, 2.0], [3, 3, 3.5]])], {}, "tilted_contours"),
        ([square(0.0, (0, 0), (3, 3)), square(4.0, (0, 0), (3, 3))], {}, "contours_skip_slices"),
        ([square(2.0, (0, 0), (3, 3))], {"geometric_type": "POINT"}, "no_closed_contours"),
        ([], {}, "no_closed_contours"),
        ([square(2.0, (0.1, 0.1), (0.2, 0.2))], {}, "empty_region"),
    ],
)
def test_contours_that_do_not_fit_are_refused_by_a_word(
    tmp_path: Path, lines: list[NDArray[Any]], more: dict[str, Any], fault: str
) -> None:
    file = write_structures(tmp_path / "structures.dcm", {1: lines}, names={1: "GTV 1 Dr. Doe"}, **more)
    assert of_file(file) == [(1, "GTV", fault)]


def test_segmentations_and_structure_sets_agree_on_real_geometry(tmp_path: Path) -> None:
    """The same ball as pixels and as contours, on oblique slices."""
    turn = np.deg2rad(20)
    oblique = (np.cos(turn), np.sin(turn), 0.0, -np.sin(turn), np.cos(turn), 0.0)
    shape, spacing = (9, 24, 24), (1.5, 1.0, 1.0)
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in shape), indexing="ij")
    ball = ((z - 4) * 1.5) ** 2 + (y - 11.3) ** 2 + (x - 12.1) ** 2 < 5.0**2
    files = write_series(
        tmp_path / "images",
        np.zeros(shape),
        spacing_mm=spacing,
        orientation=oblique,
        FrameOfReferenceUID=FRAME,
    )
    grid = volume_of(stack_of(read_headers(files))).grid
    seg = write_segmentation(tmp_path / "seg.dcm", {1: ball}, spacing_mm=spacing, orientation=oblique)
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    lines = []
    for place in range(shape[0]):
        radius2 = 5.0**2 - ((place - 4) * 1.5) ** 2
        if radius2 <= 0:
            continue
        at = np.stack(
            [
                np.full_like(angle, place),
                11.3 + np.sqrt(radius2) * np.sin(angle),
                12.1 + np.sqrt(radius2) * np.cos(angle),
                np.ones_like(angle),
            ]
        )
        lines.append((grid.affine @ at)[:3].T)
    rs = write_structures(tmp_path / "structures.dcm", {1: lines})
    item = StagedSeries(
        "u1", "s1", files, (StagedAnnotation("SEG", (seg,)), StagedAnnotation("RTSTRUCT", (rs,)))
    )
    pixels, contours = drawn_regions(item, read_headers(files), grid, wanted=())
    assert (pixels.mask(shape) == ball).all()
    assert (pixels.mask(shape) ^ contours.mask(shape)).sum() <= 2


# Segmentations that dcmqi has written, of the images beside them, and the label maps that it wrote them from.
REAL = [
    ("24x38x3/image", "24x38x3/seg/label.seg", ["24x38x3/nrrd/label.nrrd"]),
    # 23 times 38 bits do not end with a byte.
    ("23x38x3/image", "23x38x3/seg/label.seg", ["23x38x3/nrrd/label.nrrd"]),
    ("ct-3slice", "liver.dcm", ["liver_seg.nrrd"]),
    (
        "ct-3slice",
        "partial_overlaps.dcm",
        ["partial_overlaps-1.nrrd", "partial_overlaps-2.nrrd", "partial_overlaps-3.nrrd"],
    ),
    ("24x38x3/image", "sparse-labelmap-ppv5.dcm", ["sparse_labelmap_ppv5_seg.nrrd"]),
    ("24x38x3/image", "sparse-labelmap-noppv.dcm", ["sparse_labelmap_noppv_seg.nrrd"]),
]


@pytest.mark.data
@pytest.mark.parametrize(("images", "file", "labels"), REAL, ids=[file for _, file, _ in REAL])
def test_segmentations_of_another_program_are_laid_where_it_says(
    images: str, file: str, labels: list[str]
) -> None:
    import SimpleITK

    folder = Path(os.environ["FAIRBANK_DATA"]) / "derived-objects/dcmqi/data/segmentations"
    headers = read_headers(sorted((folder / images).glob("*.dcm")))
    grid = volume_of(stack_of(headers)).grid
    found = segments_of(folder / file, grid, headers[0].dataset.FrameOfReferenceUID)
    assert found and not [one.fault for one in found if one.fault]
    expected = set()
    for name in labels:
        label = SimpleITK.ReadImage(str(folder / name))
        voxels = SimpleITK.GetArrayFromImage(label)
        # What frames that are not stored are filled with.
        for value in set(np.unique(voxels).tolist()) - {0, dcmread(folder / file).get("PixelPaddingValue")}:
            corners = np.argwhere(voxels == value)[:, ::-1]
            points = np.array(
                [label.TransformIndexToPhysicalPoint([int(each) for each in one]) for one in corners]
            )
            places = np.round(indices_of(points, grid)).astype(int)
            expected.add(frozenset(map(tuple, places.tolist())))
    drawn = {frozenset(map(tuple, np.argwhere(one.mask(grid.shape)).tolist())) for one in found}
    assert drawn == expected
