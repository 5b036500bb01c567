from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.ontology._conditions import CANCER_AT, CONDITION_SPELLINGS, TISSUE_AT
from fairbank.ontology.conditions import (
    CONDITIONS,
    LANGUAGES,
    broader,
    condition,
    conditions,
    key,
    with_narrower,
)

# Cancer types that the collections of two public archives name, with what they mean here.
PUBLISHED = {
    "Acute Myeloid Leukemia": "acute-myeloid-leukemia", "Adrenocortical Carcinoma": "adrenocortical-carcinoma",
    "Anal Squamous Cell Carcinoma": "anal-squamous-cell-carcinoma", "Bladder Cancer": "bladder-cancer",
    "Bladder Endothelial Carcinoma": "bladder-cancer", "Brain Cancer": "brain-cancer",
    "Breast Cancer": "breast-cancer", "Breast Invasive Carcinoma": "invasive-breast-carcinoma",
    "Invasive Breast Carcinoma of No Special Type": "invasive-breast-carcinoma",
    "Breast Ductal Carcinoma": "breast-ductal-carcinoma", "Breast Lobular Carcinoma": "breast-lobular-carcinoma",
    "Burkitt Lymphoma": "burkitt-lymphoma", "COVID-19 (non-cancer)": "covid-19",
    "Cervical Cancer": "cervical-cancer", "Cervical Squamous Cell Carcinoma": "cervical-squamous-cell-carcinoma",
    "Endocervical Adenocarcinoma": "endocervical-adenocarcinoma", "Cholangiocarcinoma": "cholangiocarcinoma",
    "Colon Cancer": "colon-cancer", "Colon adenocarcinoma": "colon-adenocarcinoma",
    "Colon Mucinous Adenocarcinoma": "colon-mucinous-adenocarcinoma", "Colon Precancer": "colorectal-adenoma",
    "Colorectal Cancer": "colorectal-cancer", "Corpus Endometrial Carcinoma": "endometrial-carcinoma",
    "Cutaneous Melanoma": "cutaneous-melanoma", "Esophageal Carcinoma": "esophageal-carcinoma",
    "Diffuse Large B-Cell Lymphoma, Not Otherwise Specified": "diffuse-large-b-cell-lymphoma",
    "Lymphoid Neoplasm Diffuse Large B-cell Lymphoma": "diffuse-large-b-cell-lymphoma",
    "Ewing sarcoma - Peripheral PNET": "ewing-sarcoma", "Ewing Sarcoma": "ewing-sarcoma",
    "Gastroesophageal Cancer": "gastroesophageal-cancer", "Glioblastoma Multiforme": "glioblastoma",
    "Gastrointestinal Stromal Tumor": "gastrointestinal-stromal-tumour", "Glioma": "glioma",
    "Head and Neck Cancer": "head-and-neck-cancer", "Hepatocellular carcinoma": "hepatocellular-carcinoma",
    "Head and Neck Squamous Cell Carcinoma": "head-and-neck-squamous-cell-carcinoma",
    "Hodgkin Lymphoma": "hodgkin-lymphoma", "Kidney Cancer": "kidney-cancer",
    "Kidney Chromophobe": "chromophobe-renal-cell-carcinoma", "Leukemia": "leukemia", "Liver Cancer": "liver-cancer",
    "Kidney Renal Clear Cell Carcinoma": "clear-cell-renal-cell-carcinoma", "Thymoma": "thymoma",
    "Kidney Renal Papillary Cell Carcinoma": "papillary-renal-cell-carcinoma", "Leiomyosarcoma": "leiomyosarcoma",
    "Liver Hepatocellular Carcinoma": "hepatocellular-carcinoma", "Low Grade GLioma": "low-grade-glioma",
    "Lung Adenocarcinoma": "lung-adenocarcinoma", "Lung Cancer": "lung-cancer", "Lung Other": "lung-cancer",
    "Lung Squamous Cell Carcinoma": "lung-squamous-cell-carcinoma", "Lymphoma": "lymphoma", "Melanoma": "melanoma",
    "Malignant Peripheral Nerve Sheath Tumor": "peripheral-nerve-sheath-tumour", "Mesothelioma": "mesothelioma",
    "Merkel Cell Carcinoma": "merkel-cell-carcinoma", "Metastatic disease": "metastatic-cancer",
    "Multiple Myeloma": "multiple-myeloma", "Nasopharyngeal Cancer": "nasopharyngeal-carcinoma",
    "Neuroendocrine cancer (NOS)": "neuroendocrine-carcinoma", "Osteosarcoma": "osteosarcoma",
    "Non-Small Cell Carcinoma": "non-small-cell-lung-cancer", "Ovarian Cancer": "ovarian-cancer",
    "Non-small Cell Lung Cancer": "non-small-cell-lung-cancer", "Pancreas Cancer": "pancreatic-cancer",
    "Ovarian Serous Cystadenocarcinoma": "ovarian-serous-cystadenocarcinoma", "Paraganglioma": "paraganglioma",
    "Pancreatic Adenocarcinoma": "pancreatic-adenocarcinoma", "Pheochromocytoma": "pheochromocytoma",
    "Pancreatic Ductal Adenocarcinoma": "pancreatic-ductal-adenocarcinoma", "Prostate Cancer": "prostate-cancer",
    "Rectal Adenocarcinoma": "rectal-adenocarcinoma", "Renal Cell Carcinoma": "renal-cell-carcinoma",
    "Rhabdomyosarcoma": "rhabdomyosarcoma", "Sarcomas": "sarcoma", "Skin Cancer": "skin-cancer",
    "Small Cell Lung Cancer": "small-cell-lung-cancer", "Soft-tissue Sarcoma": "soft-tissue-sarcoma",
    "Stomach Adenocarcinoma": "gastric-adenocarcinoma", "Synovial Sarcoma": "synovial-sarcoma",
    "Testicular Germ Cell": "testicular-germ-cell-tumour", "Thyroid Cancer": "thyroid-cancer",
    "Transitional Cell Carcinoma": "urothelial-carcinoma", "Uveal Melanoma": "uveal-melanoma",
    "Urothelial - bladder cancer (NOS)": "bladder-cancer", "Uterine Carcinosarcoma": "uterine-carcinosarcoma",
    "Uterine Corpus Endometrial Carcinoma": "endometrial-carcinoma", "Wilms Tumor": "wilms-tumour",
    "Vestibular Schwannoma (non-cancer)": "vestibular-schwannoma", "Squamous Cell Carcinoma": "squamous-cell-carcinoma",
    "Phantom": "unknown", "Non-Cancer": "unknown", "Healthy Controls (non-cancer)": "unknown", "Various": "unknown",
    "Normal (non-cancer)": "unknown", "Non-diseased": "unknown",
}  # fmt: skip


@pytest.mark.parametrize(("text", "word"), PUBLISHED.items())
def test_cancer_types_of_published_collections_are_understood(text: str, word: str) -> None:
    assert condition(text) == word


@pytest.mark.parametrize(
    ("text", "location", "word"),
    [
        ("Adenocarcinoma", "Lung", "lung-adenocarcinoma"),
        ("Adenocarcinoma", "Breast", "breast-cancer"),
        ("Ductal Adenocarcinoma", "Pancreas", "pancreatic-adenocarcinoma"),
        ("Squamous Cell Carcinoma", "Head-Neck", "head-and-neck-squamous-cell-carcinoma"),
        ("Clear Cell Carcinoma", "Kidney", "kidney-cancer"),
        ("Squamous Cell Carcinoma", "Various", "squamous-cell-carcinoma"),
        ("Melanoma", "Lung", "melanoma"),
        ("Phantom", "Lung", "unknown"),
    ],
)
def test_a_place_decides_when_only_a_tissue_is_named(text: str, location: str, word: str) -> None:
    assert condition(text, location=location) == word


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("C34.1", "lung-cancer"), ("C50", "breast-cancer"), ("C19", "colorectal-cancer"), ("C18.7", "colon-cancer"),
        ("C22.0", "hepatocellular-carcinoma"), ("C22", "liver-cancer"), ("C30", "cancer"), ("J15.9", "pneumonia"),
        ("J44.0", "copd"), ("U07.1", "covid-19"), ("A00", "unknown"), ("Z99.9", "unknown"),
        ("MONDO:0008903", "lung-cancer"), ("http://purl.obolibrary.org/obo/MONDO_0007254", "breast-cancer"),
        ("MONDO:0000000", "unknown"),
    ],
)  # fmt: skip
def test_codes_of_other_terminologies_lead_to_a_condition(code: str, word: str) -> None:
    assert condition(code) == word


def test_a_list_of_conditions_leaves_out_what_is_not_understood() -> None:
    assert conditions("Breast Cancer, Non-Cancer; Jane Doe,breast cancer") == ("breast-cancer",)
    assert conditions(None) == ()


@given(st.text())
def test_no_free_text_comes_out_of_conditions(text: str) -> None:
    assert condition(text) in {*CONDITIONS, "unknown"}
    assert set(conditions(text, location=text)) <= set(CONDITIONS)


@pytest.mark.parametrize("word", CONDITIONS)
def test_each_condition_is_found_by_each_of_its_names(word: str) -> None:
    each = CONDITIONS[word]
    assert tuple(each.labels) == LANGUAGES and all(each.labels.values())
    assert {condition(name) for name in (word, each.curie, each.iri, *each.labels.values())} == {word}


def test_no_name_means_two_conditions() -> None:
    meant: dict[str, set[str]] = defaultdict(set)
    for word, each in CONDITIONS.items():
        for name in (word, *each.labels.values()):
            meant[key(name)].add(word)
    assert {name: words for name, words in meant.items() if len(words) > 1} == {}
    assert {name for name in CONDITION_SPELLINGS if name in meant} == set()
    assert {name for name in (*CONDITION_SPELLINGS, *CANCER_AT) if key(name) != name} == set()


def test_tables_name_conditions_only() -> None:
    named = {*CONDITION_SPELLINGS.values(), *CANCER_AT.values(), *TISSUE_AT.values()}
    named |= {word for pair in TISSUE_AT for word in pair}
    named |= {wider for each in CONDITIONS.values() for wider in each.broader}
    assert named <= set(CONDITIONS)
    assert len({each.mondo for each in CONDITIONS.values()}) == len(CONDITIONS)


def test_no_condition_is_a_kind_of_itself() -> None:
    assert [word for word in CONDITIONS if word in broader(word)] == []


def test_narrower_is_the_inverse_of_broader() -> None:
    for word in CONDITIONS:
        assert set(with_narrower([word])) == {word, *(each for each in CONDITIONS if word in broader(each))}


def test_what_two_together_are_is_a_kind_of_both() -> None:
    for (tissue, place), word in TISSUE_AT.items():
        assert {tissue, place} <= set(broader(word))
        assert place in CANCER_AT.values()
