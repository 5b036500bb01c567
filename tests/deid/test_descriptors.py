"""Free-text descriptors: clinical words stay, names, dates and numbers that identify are masked."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.deid.descriptor_words import WORDS
from fairbank.deid.descriptors import _SEPARATORS, MASK, cleaned

# Frequent surnames and given names of the countries whose clinical words are listed (national name statistics).
NAME_LIST = """
smith jones taylor brown williams johnson davies evans walker white robinson thompson hall clarke jackson harris lewis
young king wright hill green baker adams nelson mitchell carter phillips campbell parker murray cooper ward bell watson
müller schmidt schneider fischer weber meyer wagner becker schulz hoffmann koch bauer richter wolf schröder neumann
schwarz zimmermann braun hofmann krüger hartmann lange werner krause lehmann köhler herrmann könig walter huber kaiser
martin bernard dubois thomas robert richard petit durand leroy moreau simon laurent lefebvre michel garcia david
bertrand roux vincent fournier morel girard andre mercier dupont lambert bonnet francois martinez
rodriguez gonzalez fernandez lopez sanchez perez gomez jimenez ruiz hernandez diaz moreno alvarez romero alonso
gutierrez navarro torres dominguez vazquez ramos gil serrano blanco molina
rossi russo ferrari esposito bianchi romano colombo ricci marino greco bruno gallo conti mancini giordano
rizzo lombardi moretti barbieri fontana santoro mariani rinaldi caruso ferrara galli martini leone
jong jansen vries bakker visser smit meijer boer mulder groot bos peters hendriks dekker brouwer dijk
anna maria peter hans klaus michael andreas stefan sabine petra monika karin pierre jean jacques nicolas camille
juan carlos jose luis pablo lucia carmen giuseppe giovanni francesco antonio giulia paolo jan piet kees sanne daan
emma olivia noah liam oliver charlotte sophie james william henry
"""
NAMES = NAME_LIST.split()
CLINICAL_NAMES = (
    "head",
    "bone",
    "hip",
    "sharp",
    "long",
    "cor",
    "arm",
    "back",
    "hand",
    "foot",
    "star",
    "bravo",
    "field",
    "stone",
    "post",
)


@pytest.mark.parametrize(
    "text",
    [
        "T1w TSE sag 1.5mm",
        "DWI b800",
        "B30f 1.0",
        "CHEST^Routine 3mm",
        "ep2d_diff_b0_b1000_ADC",
        "t2_tse_sag_p2",
        "Abdomen/Pelvis w/o contrast",
        "Thorax nativ Lunge 1.5 B70f",
        "Knie links PD fs cor",
        "rachis lombaire T2 sagittal",
        "Cráneo sin contraste",
        "Addome superiore senza mdc",
        "Hersenen zonder contrast",
        "Schädel nativ",
        "0,OPA,GE,BONE,360,2.5,120,60",
        "3D MPRAGE axial 1x1x1mm",
        "LEFT BREAST MLO",
        "SUV 2.5 FDG whole body",
        "Ph2 arterial 15s",
    ],
)
def test_clinical_texts_come_back_as_they_were(text: str) -> None:
    assert cleaned(text, own_words=frozenset()) == (text, True)


def test_words_of_other_character_sets_are_known_by_their_bytes() -> None:
    for charset in ("latin-1", "utf-8"):
        for word in ("Schädel", "SCHÄDEL", "schädel"):
            text = word.encode(charset).decode("latin-1")
            assert cleaned(text, own_words=frozenset()) == (text, True)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_masked_wherever_they_stand(name: str) -> None:
    for spelled in (name, name.capitalize(), name.upper()):
        for text in (f"CT chest {spelled}", f"{spelled}^knee", f"{spelled},brain", f"T2 ({spelled})"):
            assert spelled not in re.split(r"[^\w]", cleaned(text, own_words=frozenset())[0]), text


@pytest.mark.parametrize("name", CLINICAL_NAMES)
def test_words_that_are_names_too_stay_unless_they_are_somebodys(name: str) -> None:
    assert name in WORDS
    assert cleaned(f"CT {name}", own_words=frozenset())[0] == f"CT {name}"
    assert cleaned(f"CT {name}", own_words=frozenset({name}))[0] == f"CT {MASK}"
    for title in (
        "Dr.",
        "Dr",
        "DR",
        "Prof.",
        "Mr",
        "Mrs",
        "Herr",
        "Frau",
        "Mme",
        "Sig.",
        "Dott.",
        "Dhr",
        "Sra",
        "Doctor",
    ):
        for text in (f"CT brain {title} {name}", f"{title} {name} brain", f"brain_{title}_{name.upper()}"):
            assert name not in re.split(r"\W|_", cleaned(text, own_words=frozenset())[0].lower()), text
    for text in (f"Dr.{name} brain", f"Prof. Dr. van der {name} brain", f"Dr. J. {name} brain"):
        masked = cleaned(text, own_words=frozenset())[0]
        assert name not in re.split(r"\W", masked), text
        assert masked.endswith("brain")
    assert name not in cleaned(f"brain {name}, MD", own_words=frozenset())[0].split(",")[0].split()


def test_modalities_are_no_titles() -> None:
    assert cleaned("MR Brain", own_words=frozenset())[0] == "MR Brain"
    assert cleaned("MS lesion", own_words=frozenset({"x"}))[0].endswith("lesion")


@pytest.mark.parametrize(
    "text",
    [
        "12-03-67",
        "12.03.1967",
        "3/12/67",
        "1967-03-12",
        "12 03 67",
        "19670312",
        "5/3",
        "123 456 789",
        "555-1234",
        "0049 30 901820",
        "123-45-6789",
        "12,03,67",
    ],
)
def test_numbers_that_could_tell_are_masked(text: str) -> None:
    assert not re.search(r"\d", cleaned(f"knee {text} left", own_words=frozenset())[0])


@pytest.mark.parametrize("text", ["92 y", "95 years", "age 91", "103 ans", "97 Jahre", "90 yo", "⁹⁵ years"])
def test_ages_of_ninety_and_more_are_masked(text: str) -> None:
    assert not re.search(r"\d", cleaned(f"knee {text}", own_words=frozenset())[0])


def test_younger_ages_stay() -> None:
    assert "65" in cleaned("knee 65 years", own_words=frozenset())[0]


@pytest.mark.parametrize("text", ["knee 8 mm ²", "knee m ²", "²", "① knee", "knee ½", "knee ¹² ¹² ¹²"])
def test_digits_that_are_no_numbers_are_read_too(text: str) -> None:
    once, _ = cleaned(text, own_words=frozenset())
    assert ("knee" in once) == ("knee" in text)


@given(st.text(max_size=60), st.frozensets(st.sampled_from(sorted(WORDS)), max_size=3))
def test_cleaning_twice_changes_nothing(text: str, own: frozenset[str]) -> None:
    once, _ = cleaned(text, own_words=own)
    assert cleaned(once, own_words=own)[0] == once


@given(st.lists(st.from_regex(r"[A-Za-z]{1,12}", fullmatch=True), min_size=1, max_size=6))
def test_nothing_comes_out_that_is_not_listed(words: list[str]) -> None:
    kept = cleaned(" ".join(words), own_words=frozenset())[0].split()
    for before, after in zip(words, kept, strict=True):
        assert after in (before, MASK)
        if after != MASK:
            assert before.lower() in WORDS or len(before) <= 3


def test_most_of_what_real_series_are_called_stays() -> None:
    """Of a million series descriptions of the Imaging Data Commons, the share of words that come back."""
    index = pytest.importorskip("idc_index_data")
    parquet = pytest.importorskip("pyarrow.parquet")
    column = parquet.read_table(index.IDC_INDEX_PARQUET_FILEPATH, columns=["SeriesDescription"]).column(0)
    counted = Counter(text for text in column.to_pylist() if text and text.isascii())
    sample = sorted(counted)[::20]
    total = kept = 0
    for text in sample:
        before = [word for word in _SEPARATORS.split(text)[0::2] if word]
        after = [word for word in _SEPARATORS.split(cleaned(text, own_words=frozenset())[0])[0::2] if word]
        total += counted[text] * len(before)
        kept += counted[text] * sum(one == other for one, other in zip(before, after, strict=True))
    assert kept / total > 0.85
