from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.ontology._body_parts import BODY_PARTS, OTHER_REGIONS, SPELLINGS
from fairbank.ontology._modalities import (
    ACQUISITION_MODALITIES,
    NON_ACQUISITION_MODALITIES,
    RETIRED_MODALITIES,
)
from fairbank.ontology._uberon import UBERON_IDS
from fairbank.ontology.body_part_tree import BROADER, broader
from fairbank.ontology.vocabulary import (
    MANUFACTURERS,
    MODALITIES,
    OTHER_MANUFACTURER,
    THICKNESS_BANDS,
    bands_up_to,
    body_part,
    body_part_of_code,
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


def group(number: int) -> dict[str, str]:
    """Return the codes of a context group of the standard, with their meanings."""
    from pydicom.sr._cid_dict import cid_concepts
    from pydicom.sr._concepts_dict import concepts

    return {
        code: meaning
        for scheme, names in cid_concepts[number].items()
        for name in names
        for code, (meaning, groups) in concepts[scheme][name].items()
        if number in groups
    }


def test_body_part_codes_are_those_of_the_standard() -> None:
    # For a few codes the standard has the long name of SNOMED CT only: "Structure of calf of leg (body structure)".
    standard = meanings("SCT")
    coded = [*BODY_PARTS.values(), *((code, meaning) for code, (meaning, _) in OTHER_REGIONS.items())]
    assert [
        (code, meaning)
        for code, meaning in coded
        if meaning not in standard.get(code, ())
        and not any(meaning.lower() in each.lower() and each.endswith(")") for each in standard.get(code, ()))
    ] == []


def test_every_common_anatomic_region_of_the_standard_is_known() -> None:
    regions = group(4031)
    assert len(regions) > 100
    assert set(regions) <= {code for code, _ in BODY_PARTS.values()} | set(OTHER_REGIONS)
    assert {code: body_part_of_code(code) for code in regions if body_part_of_code(code) == "unknown"} == {
        "110517009": "unknown",
        "110861005": "unknown",
    }, "only a site that lies in several body parts is counted as none"


def test_no_region_is_known_twice() -> None:
    assert not {code for code, _ in BODY_PARTS.values()} & set(OTHER_REGIONS)
    assert {term for _, term in OTHER_REGIONS.values() if term} <= set(BODY_PARTS)


def test_every_acquisition_modality_of_the_standard_is_known() -> None:
    assert group(29) == ACQUISITION_MODALITIES


def test_modality_codes_are_those_of_the_standard() -> None:
    standard = meanings("DCM")
    assert {code: m for code, m in MODALITIES.items() if m not in standard.get(code, ())} == {}
    assert set(group(32)) <= set(NON_ACQUISITION_MODALITIES)


def test_a_retired_modality_is_what_stands_for_it_today() -> None:
    assert set(RETIRED_MODALITIES.values()) <= set(ACQUISITION_MODALITIES)
    assert not set(RETIRED_MODALITIES) & set(MODALITIES)
    assert set(RETIRED_MODALITIES) - {"PET"} <= set(meanings("DCM"))
    assert {modality(code) for code in RETIRED_MODALITIES} <= set(ACQUISITION_MODALITIES)


def test_spellings_lead_to_defined_terms() -> None:
    assert set(SPELLINGS.values()) <= set(BODY_PARTS)
    assert not set(SPELLINGS) & set(BODY_PARTS)


def test_a_defined_term_fits_its_header() -> None:
    assert [term for term in BODY_PARTS if len(term) > 16] == []


def test_the_tree_of_body_parts_is_one() -> None:
    assert set(BROADER) | set(BROADER.values()) <= set(BODY_PARTS)
    assert [term for term in BODY_PARTS if term in broader(term)] == []


def test_classes_of_body_parts_are_of_body_parts() -> None:
    assert set(UBERON_IDS) <= set(BODY_PARTS)
    assert [
        one for one in UBERON_IDS.values() if not (one.removeprefix("~").isdigit() and len(one) in (7, 8))
    ] == []


@pytest.mark.parametrize(
    ("text", "band"),
    [
        (0.999, "<1"), (1.0, "1-1.5"), (1.4999, "1-1.5"), (1.5, "1.5-2"), (1.99, "1.5-2"), (2.0, "2-2.5"),
        (2.5, "2.5-3"), (2.999, "2.5-3"), (3.0, "3-5"), (5.0, ">=5"), (40.0, ">=5"),
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


# Every spelling of (0008,0070) in a public index of 1,044,191 series, by the name that it means.
SPELT = {
    "3DHISTECH": [
        "Mirax",
    ],
    "Agfa": [
        "Agfa", "Agfa HealthCare Informatics",
    ],
    "Barco": [
        "Barco",
    ],
    "Bayer": [
        "Bayer HealthCare LLC",
    ],
    "Canon": [
        "Canon Inc.", "Canon Medical Systems", "TOSHIBA", "TOSHIBA_MEC", "Vital Images, Inc", "Vital Images, Inc.",
    ],
    "Carestream": [
        "CARESTREAM", "CARESTREAM HEALTH", "Carestream", "Carestream Health", "KODAK", "LUMISYS",
        "Rolleiflex, Eastman Kodak",
    ],
    "DeJarnette": [
        "DeJarnette Research Systems",
    ],
    "Eigen": [
        "Eigen",
    ],
    "Elekta": [
        "CMS, Inc.", "ELEKTA / MIM Software", "Elekta",
    ],
    "Fujifilm": [
        "FUJI PHOTO FILM Co., ltd.", "FUJIFILM Corporation", "FUJIFILM Healthcare Corporation", "SonoSite, Inc.",
    ],
    "GE": [
        '"GE Healthcare"', "GE", "GE HEALTHCARE", "GE Healthcare", "GE Healthcare Surgery", "GE MEDICAL SYSTEMS",
        "GE MEDICAL SYSTEMS / MIM Software", "GE MEDICAL SYSTEMS / MIMvista", "GE MEDICAL SYSTEMS, NUCLEAR",
        "GE MEDICAL S]STEMS", "GE Medical Systems", "GEMS", "GE_MEDICAL_SYSTEMS",
    ],
    "Hamamatsu": [
        "Hamamatsu",
    ],
    "Hasselblad": [
        "Leaf, Hasselblad",
    ],
    "Hitachi": [
        "Hitachi Medical Corporation", "Hitachi, Ltd.",
    ],
    "Hologic": [
        "DIRECT RADIOGRAPHY CORP", "HOLOGIC, Inc.", "LORAD", "Lorad, A Hologic Company",
    ],
    "Imaging Biometrics": [
        "Imaging Biometrics LLC",
    ],
    "Imatron": [
        "Imatron",
    ],
    "Konica Minolta": [
        "KONICA MINOLTA",
    ],
    "Leica": [
        "Leica Biosystems",
    ],
    "MIM Software": [
        "MIM Software Inc.",
    ],
    "McKesson": [
        "McKesson Medical Imaging Group",
    ],
    "Merge": [
        "Confirma Inc.", "Merge Healthcare",
    ],
    "Neusoft": [
        "NMS", "Neusoft Medical Systems", "PNMS",
    ],
    "Oehm und Rehbein": [
        "Oehm und Rehbein GmbH",
    ],
    "PMOD": [
        "PMOD Technologies",
    ],
    "Philips": [
        "ADAC", "PICKER International, Inc.", "Philips", "Philips / MIM Software", "Philips / MIMvista",
        "Philips Healthcare", "Philips Medical Systems", "Philips Medical Systems / MIM Software",
        "Philips Medical Systems / MIMvista", "Philips Medical Systems, Inc.",
    ],
    "RareCyte": [
        "RareCyte",
    ],
    "Riverain": [
        "RIVERAIN TECHNOLOGIES", "Riverain Technologies",
    ],
    "Roche": [
        "BioImagene",
    ],
    "Samsung": [
        "Samsung Electronics",
    ],
    "Siemens": [
        "ACUSON", "CPS", "CTI", "CTI / MIMvista", "SIEMENS", "SIEMENS / MIM Software", "SIEMENS / MIMvista",
        "SIEMENS HEALTHINEERS", "SIEMENS NM", "Siemens", "Siemens Corporate Research", "Siemens HealthCare GmbH",
        "Siemens Healthcare", "Siemens Healthineers", "Siemens Molecular Imaging",
    ],
    "United Imaging": [
        "UIH", "UIH / MIM Software",
    ],
    "Varian": [
        "Varian Imaging Laboratories, Switzerland", "Varian Medical Systems", "Varian Medical Systems / MIM Software",
        "Velocity Medical Solutions LLC",
    ],
    "Wandong": [
        "WDM",
    ],
    "Zeiss": [
        "Carl Zeiss", "ZEISS",
    ],
    "other": [
        "3D Slicer Community", "BNI Translational BioImaging", "CoreLab Partners, Inc.",
        "Expert annotation from TCIA", "Friedrich-Alexander-Universität converted by IDC",
        "Gevaert Lab Converted By Imaging Data Commons", "Herrmann Lab", "IDC", "MGH 3D RAD CAD X Lab", "NCI/FNLCR",
        "Open Health Imaging Foundation", "PixelMed", "Plastimatch", "QIICR", "Stanford University",
        "Stony Brook University", "Stony Brook University converted by Imaging Data Commons", "Sybil",
        "University Hospital Erlangen and Fraunhofer MEVIS", "VICTRE", "VisualPACS_OT", "highdicom",
        "https://github.com/QIICR/Slicer-SUVFactorCalculator", "https://github.com/mirabelarusu/RadPathFusionLung",
        "pydicom-seg",
    ],
    "unknown": [
        "0000000", "NA", "Unknown manufacturer",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("text", "name"), [(text, name) for name, texts in SPELT.items() for text in texts])
def test_every_spelling_of_published_collections_has_its_name(text: str, name: str) -> None:
    assert normalise_manufacturer(text) == name


def test_no_spelling_of_a_known_manufacturer_is_other() -> None:
    # A name of the list that begins a text is always taken for it, in capitals, with a company's form, with a comma.
    for name in MANUFACTURERS:
        for text in (name, name.upper(), f"{name}, Inc.", f"{name.lower()} GmbH", f" {name}_1"):
            assert normalise_manufacturer(text) == name, text


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("CHEST", "CHEST"), ("chest ", "CHEST"), ("THORAX", "CHEST"), ("LUNG", "CHEST"), ("C-SPINE", "CSPINE"),
        ("CERVICAL SPINE", "CSPINE"), ("CHEST_ABDOMEN", "CHESTABDOMEN"), ("HEAD AND NECK", "HEADNECK"),
        ("WHOLE BODY", "WHOLEBODY"), ("EXTREMITY", "EXTREMITY"), ("", "unknown"), (None, "unknown"),
        ("JOHN", "unknown"), ("3RDVENTRICLE", "3RDVENTRICLE"), ("CHEST 2", "CHEST"), ("Left Breast", "BREAST"),
        ("OVARY", "OVARY"), ("CALF", "CALF"), ("BONYPELVIS", "PELVIS"), ("FEMORALA", "FEMORALA"), ("123", "unknown"),
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


@pytest.mark.parametrize(
    ("mm", "bands"),
    [
        (1.5, {"<1", "1-1.5"}),
        (1.4999, {"<1"}),
        (2.0, {"<1", "1-1.5", "1.5-2"}),
        (3.0, {"<1", "1-1.5", "1.5-2", "2-2.5", "2.5-3", "1.5-3"}),
        (100.0, {*THICKNESS_BANDS, "1.5-3"} - {">=5", "unknown"}),
        (0.0, set()),
        (float("nan"), set()),
    ],
)
def test_bands_up_to_a_bound_hold_nothing_above_it(mm: float, bands: set[str]) -> None:
    assert set(bands_up_to(mm)) == bands


@given(st.floats(0.01, 20), st.floats(0.01, 20))
def test_what_lies_in_a_band_up_to_a_bound_is_below_it(mm: float, bound: float) -> None:
    if thickness_band(mm) in bands_up_to(bound):
        assert mm < bound


@pytest.mark.parametrize("word", ["CT", "unknown", "PT"])
def test_reading_a_word_of_the_vocabulary_gives_it_back(word: str) -> None:
    assert modality(word) == word


@pytest.mark.parametrize("term", BODY_PARTS)
def test_each_defined_term_has_its_code(term: str) -> None:
    coded = coded_body_part(term)
    assert coded is not None and coded.iri.startswith("http://snomed.info/id/") and body_part(term) == term


def test_unknown_has_no_code() -> None:
    assert coded_body_part("unknown") is None
