"""Geometry of slices: what is missing, what is there twice, and what cannot be said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.deid.annotations import Annotations
from fairbank.harvest.aspects import Aspect
from fairbank.harvest.errors import UnreadableHeader
from fairbank.harvest.geometry import geometry
from fairbank.harvest.headers import InstanceHeader, read_header
from fairbank.harvest.series import describe, group_series

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def _slice(number: int, place: float, **changes: object) -> InstanceHeader:
    header = InstanceHeader(
        path=Path(f"{number}.dcm"),
        sop_uid=f"2.25.{number}",
        sop_class="1.2.840.10008.5.1.4.1.1.2",
        series_uid="2.25.1000",
        study_uid="2.25.2000",
        subject="S",
        modality="CT",
        body_part="CHEST",
        manufacturer="SIEMENS",
        slice_thickness=3.0,
        spacing_between=None,
        pixel_spacing=(0.7, 0.7),
        rows=512,
        columns=512,
        frames=1,
        orientation=AXIAL,
        position=(-100.0, -100.0, place),
        variant="",
        instance_number=number,
        burned_in="NO",
        lossy="00",
        model="SOMATOM Force",
        field_strength=None,
        kernel="",
        laterality="",
        study_day=None,
        annotations=Annotations(),
    )
    return replace(header, **changes)  # type: ignore[arg-type]


def _stack(places: list[float], **changes: object) -> list[InstanceHeader]:
    return [_slice(number, place, **changes) for number, place in enumerate(places, start=1)]


WHOLE = [3.0 * number for number in range(20)]


def test_a_whole_stack_has_nothing_missing() -> None:
    found = geometry(_stack(WHOLE))
    assert (found.assessed, found.missing, found.duplicates, found.uneven) == (True, 0, 0, False)
    assert found.spacing_mm == 3.0


@given(st.sets(st.integers(min_value=1, max_value=18), max_size=5))
def test_every_slice_taken_out_of_the_middle_is_counted(taken: set[int]) -> None:
    left = [place for number, place in enumerate(WHOLE) if number not in taken]
    assert geometry(_stack(left)).missing == len(taken)


def test_a_slice_missing_at_the_end_cannot_be_seen() -> None:
    assert geometry(_stack(WHOLE[:-1])).missing == 0


def test_the_same_file_twice_is_no_duplicate_slice() -> None:
    stack = _stack(WHOLE)
    assert geometry([*stack, stack[3]]).duplicates == 0


def test_another_image_at_the_same_place_is_a_duplicate_slice() -> None:
    assert geometry([*_stack(WHOLE), _slice(99, WHOLE[3])]).duplicates == 1


def test_a_second_echo_at_the_same_place_is_no_duplicate() -> None:
    assert geometry([*_stack(WHOLE, variant="5"), _slice(99, WHOLE[3], variant="15")]).duplicates == 0


def test_two_volumes_of_the_same_places_are_no_duplicates() -> None:
    second = [replace(one, sop_uid=f"{one.sop_uid}.2") for one in _stack(WHOLE)]
    assert geometry(_stack(WHOLE) + second).duplicates == 0


def test_rounding_of_positions_is_not_uneven() -> None:
    assert not geometry(_stack([place + 0.04 * (number % 2) for number, place in enumerate(WHOLE)])).uneven


def test_a_shift_of_half_a_millimetre_is_uneven() -> None:
    assert geometry(_stack([*WHOLE[:10], WHOLE[10] + 0.5, *WHOLE[11:]])).uneven


def test_two_orientations_are_judged_separately() -> None:
    sagittal = [
        _slice(100 + number, 0.0, orientation=SAGITTAL, position=(place, 0.0, 0.0))
        for number, place in enumerate(WHOLE)
        if number != 5
    ]
    assert geometry(_stack(WHOLE) + sagittal).missing == 1


def test_a_tilted_gantry_is_one_stack() -> None:
    tilted = [
        _slice(number, place, position=(-100.0, -100.0 + 0.3 * place, place))
        for number, place in enumerate(WHOLE)
        if number != 7
    ]
    assert geometry(tilted).missing == 1


@pytest.mark.parametrize(
    "headers",
    [
        _stack([0.0]),
        _stack(WHOLE, position=()),
        _stack(WHOLE, orientation=()),
        _stack([0.0, 3.0, 6.0], frames=20),
    ],
)
def test_what_cannot_be_worked_out_is_not_assessed(headers: list[InstanceHeader]) -> None:
    assert not geometry(headers).assessed
    assert not describe(headers).quality[Aspect.MISSING_SLICES].assessed


@pytest.mark.parametrize(
    ("stated", "assessed", "affected"),
    [(("NO", "NO"), True, False), (("NO", "YES"), True, True), (("NO", ""), False, False)],
)
def test_burned_in_text_is_absent_only_if_every_file_says_so(
    stated: tuple[str, str], assessed: bool, affected: bool
) -> None:
    headers = [_slice(number, float(number), burned_in=word) for number, word in enumerate(stated)]
    known = describe(headers).quality[Aspect.BURNED_IN_TEXT]
    assert (known.assessed, known.affected) == (assessed, affected)


def test_series_are_grouped_and_ordered_by_instance_number() -> None:
    headers = [_slice(3, 0.0), _slice(1, 0.0), _slice(2, 0.0, series_uid="2.25.9")]
    groups = group_series(headers)
    assert [one.instance_number for one in groups["2.25.1000"]] == [1, 3]
    assert [one.instance_number for one in groups["2.25.9"]] == [2]


def test_the_header_of_a_real_ct_is_read(dicom_root: Path) -> None:
    header = read_header(dicom_root / "LIVER" / "in0" / "0.dcm")
    facts = describe([header])
    assert (facts.modality, facts.manufacturer, facts.slice_thickness) == ("CT", "GE", ">=5")
    assert (facts.rows, facts.columns, facts.frames) == (128, 128, 1)


def test_a_slice_taken_out_of_a_real_stack_is_missed(dicom_root: Path) -> None:
    paths = sorted((dicom_root / "LIVER").rglob("*.dcm"))
    groups = group_series([read_header(path) for path in paths]).values()
    stack = next(group for group in groups if len(group) == 5)
    whole, holed = geometry(stack), geometry(stack[:2] + stack[3:])
    assert (whole.assessed, whole.missing, holed.missing) == (True, 0, 1)


@pytest.mark.parametrize("content", [b"", b"not DICOM at all", b"\0" * 128 + b"DICM"])
def test_a_file_that_is_not_dicom_is_unreadable(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(content)
    with pytest.raises(UnreadableHeader):
        read_header(path)
