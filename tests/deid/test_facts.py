"""The fact sheet: coded, taken before cleaning, kept by pseudonymous series."""

from __future__ import annotations

from dataclasses import fields

import pytest
from pydicom.dataset import Dataset
from tests.deid.conftest import MemoryInstance, as_file, ct_dataset

from fairbank.database import reading
from fairbank.deid.admitted import EVERYBODY
from fairbank.deid.body_regions import all_regions, region_in_text, region_of_term
from fairbank.deid.cleaning import Order
from fairbank.deid.facts import (
    Contrast,
    FactSheet,
    HowKnown,
    KernelClass,
    Recorder,
    RespiratoryPhase,
    Sex,
    age_band,
    fact_sheet,
    kernel_class,
)
from fairbank.deid.method import Method
from fairbank.deid.pipeline import Site, deidentify
from fairbank.deid.profiles import Profile
from fairbank.deid.store import facts_of


def facts(recorder: Recorder, **values: object) -> FactSheet:
    dataset: Dataset = ct_dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return fact_sheet(dataset, series_uid="2.25.1", subject="S", shift_days=100, recorder=recorder)


def test_facts_are_what_the_file_said_before_cleaning(site: Site) -> None:
    source = ct_dataset()
    source.BodyPartExamined, source.ConvolutionKernel = "CHEST", "B70f"
    source.ContrastBolusAgent, source.SeriesDescription = "Ultravist 370", "Thorax insp 1.0"
    order = Order("lung", Method(Profile.BASIC))
    outcome = next(
        iter(
            deidentify(
                [MemoryInstance(as_file(source))], order, site=site, agent="curator", admitted=EVERYBODY
            )
        )
    )
    with reading(site.database) as session:
        sheets = facts_of(session, "lung")
    assert list(sheets) == [outcome.series_uid]
    sheet = sheets[str(outcome.series_uid)]
    assert (sheet.sex, sheet.age_band, sheet.acquisition_year) == (Sex.FEMALE, "75-79", 2019)
    assert (sheet.body_region_code, sheet.body_region_known) == ("816094009", HowKnown.HEADER)
    assert (sheet.contrast, sheet.kernel_class) == (Contrast.YES, KernelClass.SHARP)
    assert sheet.respiratory_phase is RespiratoryPhase.INSPIRATION
    assert (sheet.recorded_by, sheet.recorded_at, sheet.deidentified_before) == (
        "curator",
        site.clock.now(),
        False,
    )
    assert sheet.subject == outcome.subject


def test_facts_hold_no_free_text_of_the_file(recorder: Recorder) -> None:
    sheet = facts(
        recorder,
        Modality="Pigeonhole",
        PatientSex="Pigeonhole",
        PatientAge="Pigeon",
        BodyPartExamined="Pigeonhole",
        ConvolutionKernel="Pigeonhole",
        ContrastBolusAgent="Pigeonhole",
        StudyDescription="Pigeonhole",
    )
    assert not [field.name for field in fields(sheet) if "PIGEON" in str(getattr(sheet, field.name)).upper()]
    assert (sheet.modality, sheet.sex, sheet.body_region_code) == ("unknown", Sex.UNKNOWN, None)


@pytest.mark.parametrize(
    ("age", "birth", "band"),
    [
        ("062Y", "", "60-64"),
        ("095Y", "", "90+"),
        ("011M", "", "0-4"),
        ("", "19420229", "unknown"),
        ("", "19420501", "75-79"),
    ],
)
def test_age_comes_from_the_age_or_the_birth_date(
    age: str, birth: str, band: str, recorder: Recorder
) -> None:
    assert facts(recorder, PatientAge=age, PatientBirthDate=birth, StudyDate="20190412").age_band == band


def test_age_bands_are_five_years_wide_up_to_ninety() -> None:
    assert [age_band(years) for years in (0, 4.9, 5, 89.9, 90, 104)] == [
        "0-4",
        "0-4",
        "5-9",
        "85-89",
        "90+",
        "90+",
    ]


def test_a_region_from_a_descriptor_says_that_it_was_worked_out(recorder: Recorder) -> None:
    sheet = facts(recorder, StudyDescription="MRT_Knie / knee left")
    assert (sheet.body_region, sheet.body_region_known) == ("Knee", HowKnown.COMPUTED)
    assert facts(recorder).body_region_known is HowKnown.NOT_KNOWN
    assert region_in_text("chest and pelvis") is None
    assert region_of_term("head") == region_of_term("HEAD")


def test_regions_are_coded_as_dicom_codes_them() -> None:
    from pydicom.sr._concepts_dict import concepts

    standard = {
        (code, meaning) for entries in concepts["SCT"].values() for code, (meaning, _) in entries.items()
    }
    assert [region for region in all_regions() if (region.code, region.meaning) not in standard] == []
    assert len(all_regions()) > 50


def test_no_contrast_is_not_the_same_as_not_known(recorder: Recorder) -> None:
    assert facts(recorder).contrast is Contrast.UNKNOWN
    assert facts(recorder, ContrastBolusAgent="NONE").contrast is Contrast.NO


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [("Br40d\\3", "soft"), ("STANDARD", "soft"), ("BONEPLUS", "sharp"), ("FC52", "sharp"), ("", "unknown")],
)
def test_kernels_are_classed_by_the_makers_names(kernel: str, expected: str) -> None:
    assert kernel_class(kernel) is KernelClass(expected)


def test_a_later_file_fills_gaps_and_contradicts_nothing(recorder: Recorder) -> None:
    first = facts(recorder, PatientSex="", BodyPartExamined="")
    second = facts(recorder, PatientSex="M", BodyPartExamined="KNEE", PatientAge="020Y")
    merged = first.merged(second)
    assert (merged.sex, merged.body_region, merged.body_region_known) == (Sex.MALE, "Knee", HowKnown.HEADER)
    assert merged.age_band == "75-79"


def test_a_source_cleaned_elsewhere_says_so(recorder: Recorder) -> None:
    assert facts(recorder, PatientIdentityRemoved="YES").deidentified_before
