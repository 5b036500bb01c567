"""Heads are found by what headers say and by what volumes show; what cannot be a face is told cheaply."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pydicom
import pytest

from fairbank.deid.faces import heads, volume
from fairbank.deid.faces.geometry import slices_of, stacks_of
from fairbank.deid.faces.headers import Said, said_of
from fairbank.deid.faces.heads import Sign, look
from fairbank.deid.part10 import quiet_pydicom

from .phantom import AXIAL, CT, SAGITTAL, Head, Scan, write_frames, write_series

COARSE = {"pixel_mm": 4.0, "slice_mm": 4.0}


def header(**values: object) -> pydicom.Dataset:
    dataset = pydicom.Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def trunk(folder: Path, *, body_part: str, slices: int = 60, pixel_mm: float = 6.0) -> list[Path]:
    """A chest: an ellipse of 340 × 240 mm with lungs."""
    scan = Scan("CT", CT, AXIAL, pixel_mm, 5.0, low=(-190, -190, 0), high=(190, 190, slices * 5.0 - 5), noise=0,
                body_part=body_part)  # fmt: skip
    frames = []
    for number in range(slices):
        p = scan.points(number)
        body = (p[..., 0] / 170) ** 2 + (p[..., 1] / 120) ** 2 < 1
        lungs = ((np.abs(p[..., 0]) - 80) / 55) ** 2 + (p[..., 1] / 80) ** 2 < 1
        frames.append(np.where(body, np.where(lungs, 200, 1064), 24))
    return write_frames(folder, np.array(frames, dtype=np.int16), scan)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"BodyPartExamined": "HEAD"}, Said.HEAD),
        ({"BodyPartExamined": "BRAIN"}, Said.HEAD),
        ({"BodyPartExamined": "CHEST"}, Said.ELSEWHERE),
        ({"BodyPartExamined": "CHEST", "StudyDescription": "CT Hals/Thorax"}, Said.HEAD),
        ({"SeriesDescription": "t1_mprage_sag"}, Said.HEAD),
        ({"SeriesDescription": "T2 HIPPOCAMPUS"}, Said.HEAD),
        ({"ProtocolName": "Schädel nativ"}, Said.HEAD),
        ({"SeriesDescription": "surface coil"}, Said.NOTHING),
        ({"BodyPartExamined": "WHOLEBODY"}, Said.NOTHING),
        ({}, Said.NOTHING),
    ],
)
def test_what_a_header_says(values, said):
    assert said_of(header(**values)) is said


def test_a_region_code_says_head():
    region = header(CodeValue="69536005", CodingSchemeDesignator="SCT", CodeMeaning="Head")
    assert said_of(header(AnatomicRegionSequence=pydicom.Sequence([region]))) is Said.HEAD


def test_a_chest_is_told_by_one_header_and_no_pixel(tmp_path, monkeypatch):
    paths = trunk(tmp_path, body_part="CHEST")
    read = []
    monkeypatch.setattr(
        heads, "dcmread", lambda path, **how: read.append(path) or pydicom.dcmread(path, **how)
    )
    monkeypatch.setattr(volume, "iter_pixels", None)
    monkeypatch.setattr(heads, "slices_of", None)
    assert not look(paths).head
    assert len(read) == 1


def test_a_chest_of_which_nothing_is_said_is_told_by_its_size(tmp_path):
    assert not look(trunk(tmp_path, body_part="")).head


def test_a_head_called_a_chest_is_found_by_its_shape(tmp_path):
    paths = write_series(tmp_path, Head(), Scan(body_part="CHEST", **COARSE))
    seen = look(paths)
    assert (seen.head, seen.sign) == (True, Sign.VOLUME)


def test_a_head_of_which_nothing_is_said_is_found(tmp_path):
    seen = look(write_series(tmp_path, Head(), Scan("CT", CT, AXIAL, 3.0, 5.0, body_part="")))
    assert (seen.head, seen.sign) == (True, Sign.VOLUME)


def test_a_head_in_pet_is_found(tmp_path):
    warm = np.array([0, 30, 25, 20, 15, 120, 40], dtype=np.float32)
    seen = look(write_series(tmp_path, Head(), Scan("PT", warm, AXIAL, 4.0, 4.0, body_part="", noise=1)))
    assert (seen.head, seen.sign) == (True, Sign.VOLUME)


def test_a_slab_within_the_brain_shows_no_skin_and_is_no_head(tmp_path):
    scan = Scan(low=(-40, -40, -35), high=(40, 40, 35), **COARSE)
    assert not look(write_series(tmp_path, Head(), scan)).head


@pytest.mark.parametrize("count", [1, 2, 11])
def test_few_slices_are_no_head(tmp_path, count):
    paths = write_series(tmp_path, Head(), Scan(**COARSE))
    assert not look(paths[20 : 20 + count]).head


def test_slices_too_thick_for_a_surface_are_no_head(tmp_path):
    assert not look(write_series(tmp_path, Head(), Scan("CT", CT, AXIAL, 4.0, 8.0))).head


@pytest.mark.parametrize(
    ("sop_class", "is_head"),
    [("1.2.840.10008.5.1.4.1.1.12.1", False), ("1.2.840.10008.5.1.4.1.1.13.1.1", True)],
)
def test_a_projection_is_no_head_and_a_rotation_is(tmp_path, sop_class, is_head):
    paths = write_series(tmp_path, Head(), Scan(**COARSE))
    for path in paths:
        dataset = pydicom.dcmread(path)
        dataset.Modality, dataset.SOPClassUID = "XA", sop_class
        dataset.save_as(path)
    assert look(paths).head is is_head


@pytest.mark.parametrize("spoil", ["header", "place", "pixels"])
def test_what_cannot_be_read_counts_as_a_head(tmp_path, spoil):
    paths = write_series(tmp_path, Head(), Scan(body_part="", **COARSE))
    for path in paths:
        dataset = pydicom.dcmread(path)
        if spoil == "place":
            del dataset.ImagePositionPatient
        if spoil == "pixels":
            dataset.PixelData = dataset.PixelData[:10]
        dataset.save_as(path)
        if spoil == "header":
            path.write_bytes(path.read_bytes()[:200])
    with quiet_pydicom():
        seen = look(paths)
    assert (seen.head, seen.sign) == (True, Sign.UNREADABLE)


def test_a_group_names_no_subject(tmp_path):
    paths = write_series(tmp_path, Head(), Scan(**COARSE))
    assert look(paths).group == "face|MR|ACME|Tube 1|62x59|header"


def test_slices_of_two_orientations_are_two_stacks(tmp_path):
    first = write_series(tmp_path / "a", Head(), Scan(orientation=AXIAL, **COARSE))
    second = write_series(tmp_path / "b", Head(), Scan(orientation=SAGITTAL, **COARSE))
    _, slices = slices_of([*first, *second])
    assert [len(stack.slices) for stack in stacks_of(slices)] == [62, 46]


def test_a_chest_takes_milliseconds(tmp_path):
    paths = trunk(tmp_path, body_part="CHEST")
    look(paths)
    start = time.perf_counter()
    for _ in range(20):
        look(paths)
    assert (time.perf_counter() - start) / 20 < 0.05
