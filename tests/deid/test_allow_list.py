"""What may stay: elements of the object's IOD, terms, names of machines, codes. What nobody listed never passes."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, MediaStorageDirectoryStorage, MRImageStorage
from tests.deid.conftest import Clean, ct_dataset, uid

from fairbank.deid.admission import admits
from fairbank.deid.cleaning import Held, Order, clean_file
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason
from fairbank.deid.plans import Step, plans_of
from fairbank.deid.profiles import Profile
from fairbank.deid.rules import Option
from fairbank.deid.standard import codes, iods, makers, terms, texts
from fairbank.deid.standard._iods import IODS, MODULES, SOP_CLASSES
from fairbank.deid.standard._terms import TERMS

CANARY = "Quarzfeld"
PROFILES = list(Profile)


def code_item(scheme: str, value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


# -- elements per SOP class --------------------------------------------------------------------------------------------


def test_the_table_knows_the_storage_classes_of_the_standard() -> None:
    assert len(SOP_CLASSES) == 180 and set(SOP_CLASSES.values()) <= set(IODS)
    for sop_class in set(SOP_CLASSES) - {MediaStorageDirectoryStorage}:
        elements = iods.elements_of(sop_class)
        assert elements is not None and 0x00080016 in elements and set(elements.values()) <= {1, 2, 3}, (
            sop_class
        )


@pytest.mark.parametrize(
    ("sop_class", "keyword_tag", "need"),
    [
        (CTImageStorage, 0x00280010, 1),  # Rows
        (CTImageStorage, 0x00181210, 3),  # Convolution Kernel
        (CTImageStorage, 0x00080020, 2),  # Study Date
        (EnhancedCTImageStorage, 0x00189315, 1),  # in a functional group
        (EnhancedCTImageStorage, 0x00080104, 1),  # in a macro of a macro
    ],
)
def test_elements_have_the_type_of_the_standard(sop_class: str, keyword_tag: int, need: int) -> None:
    assert (iods.elements_of(sop_class) or {})[keyword_tag] == need


@pytest.mark.parametrize("profile", PROFILES)
def test_an_element_that_the_iod_has_not_is_removed_at_every_depth(profile: Profile, clean: Clean) -> None:
    source, item, inner = ct_dataset(), Dataset(), Dataset()
    for level in (source, item, inner):
        level.BrachyTreatmentType = "HDR"  # of RT Plan
        level.CompressionForce = "7"  # a number of another image: may be borrowed
        level.SliceThickness = "1.5"
    item.AnatomicRegionModifierSequence = Sequence([inner])
    source.AnatomicRegionSequence = Sequence([item])
    _, dataset = clean(source, profile)
    levels = [dataset, dataset.AnatomicRegionSequence[0]]
    levels.append(levels[1].AnatomicRegionModifierSequence[0])
    for level in levels:
        assert "BrachyTreatmentType" not in level
        assert level.CompressionForce == 7 and level.SliceThickness == 1.5


def test_the_same_element_stays_where_its_iod_has_it(clean: Clean) -> None:
    source = ct_dataset()
    source.SOPClassUID, source.BrachyTreatmentType = "1.2.840.10008.5.1.4.1.1.481.5", "HDR"
    assert clean(source)[1].BrachyTreatmentType == "HDR"


def test_a_text_of_another_image_does_not_pass_as_borrowed() -> None:
    elements = iods.elements_of("1.2.840.10008.5.1.4.1.1.7") or {}
    assert 0x00180060 in elements and 0x00185010 not in elements  # KVP of CT; Transducer Data of US


@pytest.mark.parametrize("sop_class", ["1.2.840.10008.5.1.4.1.1.501.1", "1.2.840.113619.4.26", "", "1.2.3"])
def test_an_object_of_an_unknown_class_is_held(sop_class: str) -> None:
    assert admits(sop_class, Method()) is Reason.UNKNOWN_SOP_CLASS


@pytest.mark.parametrize(
    ("leaf", "option", "reason"),
    [
        ("88.33", Option.CLEAN_STRUCTURED_CONTENT, Reason.STRUCTURED_REPORT),
        ("88.59", Option.CLEAN_STRUCTURED_CONTENT, Reason.STRUCTURED_REPORT),
        ("11.1", Option.CLEAN_GRAPHICS, Reason.UNKNOWN_SOP_CLASS),
    ],
)
def test_reports_and_presentation_states_need_the_option_that_cleans_them(
    leaf: str, option: Option, reason: Reason
) -> None:
    sop_class = f"1.2.840.10008.5.1.4.1.1.{leaf}"
    assert admits(sop_class, Method()) is reason
    assert admits(sop_class, Method(more=frozenset({option}))) is None


def test_of_a_class_without_a_table_nothing_is_planned_to_stay() -> None:
    plans = plans_of(Method(), "1.2.3")
    assert {plans[tag, None].step for tag in (0x00080060, 0x00280010, 0x00100040)} == {Step.REMOVE}


# -- coded strings -----------------------------------------------------------------------------------------------------


def test_the_terms_of_500_attributes_are_known() -> None:
    assert len(TERMS) >= 500 and "HFS" in terms.terms_of(0x00185100) and "CHEST" in terms.terms_of(0x00180015)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("keyword", "value", "left"),
    [
        ("PatientPosition", "HFS", "HFS"),
        ("PatientPosition", "QUARZFELD", "UNKNOWN"),  # type 1C or 2C: replaced or emptied, never kept
        ("BodyPartExamined", "QUARZFELD", None),
        ("ImageType", ["ORIGINAL", "PRIMARY", "QUARZFELD"], ["ORIGINAL", "PRIMARY", "OTHER"]),
        (
            "ImageType",
            ["DERIVED", "PRIMARY", "AXIAL", "CT_SOM5 SPI"],
            ["DERIVED", "PRIMARY", "AXIAL", "CT_SOM5 SPI"],
        ),
        ("ScanOptions", "HELICAL MODE", "HELICAL MODE"),
        ("PhotometricInterpretation", "MONOCHROME2", "MONOCHROME2"),
        ("RotationDirection", "JANE", "UNKNOWN"),
    ],
)
def test_coded_strings_are_terms(
    keyword: str, value: object, left: object, profile: Profile, clean: Clean
) -> None:
    source = ct_dataset()
    setattr(source, keyword, value)
    content, dataset = clean(source, profile)
    assert b"QUARZFELD" not in content and b"JANE" not in content
    if left == "UNKNOWN":
        assert dataset.get(keyword) in (None, "", "REMOVED")
    elif left is None:
        assert keyword not in dataset
    else:
        assert dataset[keyword].value == left


def test_a_name_that_is_a_word_of_terms_passes_only_as_a_term() -> None:
    assert terms.is_term(0x00080008, "AXIAL", {"axial"})  # the term itself
    assert not terms.is_term(
        0x00080008, "CHEST AXIAL", {"axial"}
    )  # words that are no term, one of them a name
    assert terms.is_term(0x00080008, "CHEST AXIAL", set())


def test_short_names_do_not_pass_as_shorthand() -> None:
    for name in ("LEE", "KIM", "ROY", "JO", "SYED", "FLYNN", "DOE7"):
        assert not terms.is_term(0x00080008, name, set()), name


# -- names of machines and techniques ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("Manufacturer", "GE MEDICAL SYSTEMS"),
        ("ManufacturerModelName", "LightSpeed VCT"),
        ("ManufacturerModelName", "SOMATOM Definition AS+"),
        ("SoftwareVersions", "syngo CT VA48A"),
        ("SoftwareVersions", ["2.6.3", "2.6.3.6"]),
        ("ConvolutionKernel", ["Br40d", "3"]),
        ("ConvolutionKernel", "BONEPLUS"),
        ("FilterType", "BODY FILTER"),
        ("SequenceName", "*fl3d1_ns"),
        ("RescaleType", "HU"),
        ("PositionReferenceIndicator", "SN"),
        ("Manufacturer", "Philips Medical Systems, Inc."),
    ],
)
def test_names_of_machines_and_techniques_stay(keyword: str, value: object, clean: Clean) -> None:
    source = ct_dataset()
    setattr(source, keyword, value)
    assert clean(source)[1][keyword].value == value


LEAKY = [
    "ConvolutionKernel",
    "FilterType",
    "SequenceName",
    "SoftwareVersions",
    "ManufacturerModelName",
    "Manufacturer",
    "RescaleType",
    "PositionReferenceIndicator",
    "ImageFilter",
    "ReceiveCoilName",
    "DigitalImageFormatAcquired",
    "WindowCenterWidthExplanation",
    "LUTExplanation",
    "ProtocolName",
    "CodeMeaning",
    "ModalityLUTType",
]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("keyword", LEAKY)
@pytest.mark.parametrize(
    "value", ["Frau Holle", "GOLDMARIE", "Holle 12.03.1967", "19670312", "Goldmarie-4711"]
)
def test_unlisted_free_text_never_passes(keyword: str, value: str, profile: Profile, clean: Clean) -> None:
    source, item = ct_dataset(), Dataset()
    for level in (source, item):
        setattr(level, keyword, value)
    source.AnatomicRegionSequence = Sequence([item])
    content, _ = clean(source, profile)
    lower = content.lower()
    assert not any(word in lower for word in (b"holle", b"goldmarie", b"1967", b"12.03"))


@pytest.mark.parametrize(
    "text", ["030 555 1967", "19-67-4711", "123.45.6789", "0171/1967-12", "Avanto of Jane 1967"]
)
def test_numbers_in_parts_do_not_pass_as_versions(text: str) -> None:
    cleaned = texts.cleaned(0x00181020, text, set())
    assert cleaned is None or not any(part in cleaned for part in ("1967", "4711", "6789", "67-47"))


@pytest.mark.parametrize(
    "text", ["12.03.1967", "12.03.67", "1967-03-12", "v 03/12/1967", "19670312", "ID12345678"]
)
def test_dates_and_long_numbers_do_not_pass_as_versions(text: str) -> None:
    cleaned = texts.cleaned(0x00181020, text, set())
    assert cleaned is None or not any(part in cleaned for part in ("1967", "67", "12345678")), cleaned


def test_the_subjects_own_words_pass_nowhere() -> None:
    assert texts.cleaned(0x00081090, "Avanto", {"avanto"}) is None
    assert texts.cleaned(0x00181210, "B30f", {"b30f"}) is None
    assert not codes.is_public_code("SCT", "39607008", {"39607008"})


def test_no_word_of_makers_is_a_common_first_name() -> None:
    names = {
        "anna",
        "maria",
        "john",
        "james",
        "peter",
        "paul",
        "michael",
        "thomas",
        "robert",
        "william",
        "david",
        "sarah",
    }
    assert not names & makers.WORDS


@pytest.mark.parametrize("keyword", ["DeviceSerialNumber", "StationName", "GantryID"])
def test_device_identity_stays_unless_it_names_the_subject(keyword: str, clean: Clean) -> None:
    source = ct_dataset()
    setattr(source, keyword, "WS-77-OTT")
    assert clean(source)[1][keyword].value == "WS-77-OTT"
    setattr(source, keyword, "Ottilie1")
    assert b"Ottilie" not in clean(source)[0]


# -- codes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (("SCT", "39607008", "Lung"), ("SCT", "39607008", "Lung")),
        (("DCM", "121320", "Uncompressed predecessor"), ("DCM", "121320", "Uncompressed predecessor")),
        (("DCM", "121320", "Made by Quarz"), ("DCM", "121320", "Uncompressed predecessor")),
        (("UCUM", "mm", "millimeter"), ("UCUM", "mm", "millimeter")),
        (("SRT", "T-28000", "Lung"), ("SRT", "T-28000", "Lung")),
        (("99CLINIC", "OTTILIE", "Lung of Holle"), ("99FAIRBANK", "0", "Lung of *")),
        (("HOLLE", "39607008", "Holle"), ("99FAIRBANK", "0", "Removed")),
        (("SCT", "HOLLE", "Lung"), ("SCT", "0", "Lung")),
    ],
)
def test_codes_are_of_public_vocabularies(
    given: tuple[str, str, str], left: tuple[str, str, str], clean: Clean
) -> None:
    source = ct_dataset()
    source.AnatomicRegionSequence = Sequence([code_item(*given)])
    item = clean(source)[1].AnatomicRegionSequence[0]
    assert (item.CodingSchemeDesignator, item.CodeValue, item.CodeMeaning) == left


def test_every_code_of_the_standard_may_stay() -> None:
    assert [key for key in codes._meanings() if not codes.is_public_code(*key, set())] == []


# -- what may stay stays -----------------------------------------------------------------------------------------------


def test_values_that_may_stay_are_bit_identical(clean: Clean) -> None:
    source = ct_dataset()
    source.SOPClassUID = MRImageStorage
    source.EchoTime, source.RepetitionTime, source.MagneticFieldStrength = "4.60 ", "2300.00", "3.0"
    source.SequenceVariant, source.ScanningSequence = ["SP", "MP"], "GR"
    source.ScanOptions, source.ImageType = "PFP", ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"]
    source.ImageOrientationPatient = ["1.0", "0", "-0.00", "0", "1E+0", "0"]
    before = {
        element.tag: source.get_item(element.tag) for element in source if element.VR in ("DS", "CS", "US")
    }
    _, dataset = clean(source)
    for tag, element in before.items():
        assert str(dataset[tag].value) == str(element.value), tag


def test_the_file_of_an_unknown_class_is_refused_by_the_engine_too(clean: Clean, identity, recorder) -> None:
    from tests.deid.conftest import as_file

    source = ct_dataset()
    source.SOPClassUID = uid("private class")
    result = clean_file(as_file(source), Order("lung", Method()), identity=identity, recorder=recorder)
    assert isinstance(result, Held) and result.reason is Reason.UNKNOWN_SOP_CLASS


def test_every_module_is_used_and_well_formed() -> None:
    used = {module for iod in IODS.values() for module in iod.split()}
    assert used == set(MODULES)
