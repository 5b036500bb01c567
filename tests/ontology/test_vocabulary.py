from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.ontology._body_parts import BODY_PARTS, SPELLINGS
from fairbank.ontology.vocabulary import (
    MANUFACTURERS,
    MODALITIES,
    OTHER_MANUFACTURER,
    THICKNESS_BANDS,
    body_part,
    coded_body_part,
    modality,
    normalise_manufacturer,
    thickness_band,
)


def meanings(scheme: str) -> dict[str, set[str]]:
    from pydicom.sr._concepts_dict import concepts

    found: dict[str, set[str]] = {}
    for by_code in concepts[scheme].values():
        for code, (meaning, _) in by_code.items():
            found.setdefault(code, set()).add(meaning)
    return found


def test_body_part_codes_are_those_of_the_standard() -> None:
    standard = meanings("SCT")
    wrong = {term: coded for term, coded in BODY_PARTS.items() if coded[1] not in standard.get(coded[0], ())}
    assert wrong == {}


def test_modality_codes_are_those_of_the_standard() -> None:
    standard = meanings("DCM")
    assert {code: m for code, m in MODALITIES.items() if m not in standard.get(code, ())} == {}


def test_spellings_lead_to_defined_terms() -> None:
    assert set(SPELLINGS.values()) <= set(BODY_PARTS)
    assert not set(SPELLINGS) & set(BODY_PARTS)


@pytest.mark.parametrize(
    ("text", "band"),
    [
        (0.999, "<1"), (1.0, "1-1.5"), (1.4999, "1-1.5"), (1.5, "1.5-3"), (3.0, "3-5"), (5.0, ">=5"), (40.0, ">=5"),
        (0.0, "unknown"), (-3.0, "unknown"), (None, "unknown"), (float("nan"), "unknown"), (float("inf"), "unknown"),
    ],
)  # fmt: skip
def test_bands_of_thickness_are_half_open(text: float | None, band: str) -> None:
    assert thickness_band(text) == band


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SIEMENS", "Siemens"), ("Siemens Healthineers", "Siemens"), ("GE MEDICAL SYSTEMS", "GE"),
        ("G.E. Medical Systems", "GE"), ("GE", "GE"), ("Philips Medical Systems, Inc.", "Philips"),
        ("TOSHIBA_MEC", "Canon"), ("CANON_MEC", "Canon"), ("FUJI PHOTO FILM CO. LTD.", "Fujifilm"),
        ("SonoSite, Inc.", "Fujifilm"), ("Agfa-Gevaert AG", "Agfa"), ("ALOKA CO., LTD.", "Hitachi"),
        ("Genesis", "other"), ("QIICR", "other"), ("Acme", "other"), ("", "unknown"), ("   ", "unknown"),
        (None, "unknown"), ("N/A", "unknown"), ("UNKNOWN", "unknown"),
    ],
)  # fmt: skip
def test_spellings_of_a_manufacturer_become_one_name(text: str | None, name: str) -> None:
    assert normalise_manufacturer(text) == name


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("CHEST", "CHEST"), ("chest ", "CHEST"), ("THORAX", "CHEST"), ("LUNG", "CHEST"), ("C-SPINE", "CSPINE"),
        ("CERVICAL SPINE", "CSPINE"), ("CHEST_ABDOMEN", "CHESTABDOMEN"), ("HEAD AND NECK", "HEADNECK"),
        ("WHOLE BODY", "WHOLEBODY"), ("EXTREMITY", "EXTREMITY"), ("", "unknown"), (None, "unknown"),
        ("JOHN", "unknown"),
    ],
)  # fmt: skip
def test_spellings_of_a_body_part_become_one_term(text: str | None, term: str) -> None:
    assert body_part(text) == term


@given(st.text())
def test_no_free_text_comes_out_of_a_vocabulary(text: str) -> None:
    assert modality(text) in {*MODALITIES, "unknown"}
    assert body_part(text) in {*BODY_PARTS, "unknown"}
    assert normalise_manufacturer(text) in {*MANUFACTURERS, OTHER_MANUFACTURER, "unknown"}


@given(st.floats(allow_nan=True, allow_infinity=True) | st.none())
def test_every_thickness_has_a_band(mm: float | None) -> None:
    assert thickness_band(mm) in THICKNESS_BANDS


@pytest.mark.parametrize("word", ["CT", "unknown", "PT"])
def test_reading_a_word_of_the_vocabulary_gives_it_back(word: str) -> None:
    assert modality(word) == word


@pytest.mark.parametrize("term", BODY_PARTS)
def test_each_defined_term_has_its_code(term: str) -> None:
    coded = coded_body_part(term)
    assert coded is not None and coded.iri.startswith("http://snomed.info/id/") and body_part(term) == term


def test_unknown_has_no_code() -> None:
    assert coded_body_part("unknown") is None
