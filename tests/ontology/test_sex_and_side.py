from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.ontology.sex_and_side import SEX_CODES, SIDE_CODES, Sex, Side, sex, side


def of_the_standard(group: int) -> set[tuple[str, str, str]]:
    from pydicom.sr._cid_dict import cid_concepts
    from pydicom.sr._concepts_dict import concepts

    return {
        (scheme, code, meaning)
        for scheme, names in cid_concepts[group].items()
        for name in names
        for code, (meaning, groups) in concepts[scheme][name].items()
        if group in groups
    }


def test_codes_of_sides_are_all_those_of_the_standard() -> None:
    assert {(code.scheme, code.value, code.meaning) for code in SIDE_CODES.values()} == of_the_standard(244)


def test_codes_of_sexes_are_those_of_the_standard() -> None:
    assert {(code.scheme, code.value, code.meaning) for code in SEX_CODES.values()} <= of_the_standard(7455)
    assert set(SEX_CODES) == set(Sex)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("F", Sex.FEMALE), (" m ", Sex.MALE), ("O", Sex.OTHER), ("female", Sex.FEMALE), ("121102", Sex.OTHER),
        ("0000", Sex.UNKNOWN), ("6657", Sex.UNKNOWN), ("U", Sex.UNKNOWN), ("", Sex.UNKNOWN), (None, Sex.UNKNOWN),
    ],
)  # fmt: skip
def test_a_sex_is_read_from_a_header(text: str | None, meant: Sex) -> None:
    assert sex(text) is meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("R", Side.RIGHT), ("l", Side.LEFT), ("B", Side.BOTH), ("U", Side.UNPAIRED), ("24028007", Side.RIGHT),
        ("Unilateral", Side.UNILATERAL), ("66459002", Side.UNILATERAL), ("both", Side.BOTH),
        ("X", Side.UNKNOWN), ("", Side.UNKNOWN), (None, Side.UNKNOWN),
    ],
)  # fmt: skip
def test_a_side_is_read_from_a_header(text: str | None, meant: Side) -> None:
    assert side(text) is meant


@given(st.text())
def test_anything_else_is_unknown(text: str) -> None:
    assert isinstance(sex(text), Sex) and isinstance(side(text), Side)


@pytest.mark.parametrize("each", [*Sex, *Side])
def test_reading_a_word_gives_it_back(each: Sex | Side) -> None:
    assert (sex if isinstance(each, Sex) else side)(each.value) is each
