"""What one file looks like after cleaning, beyond the rows of the table."""

from __future__ import annotations

import pydicom
import pytest
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RTStructureSetStorage
from tests.deid.conftest import Clean, as_file, ct_dataset, uid

from fairbank.clock import FixedClock
from fairbank.deid.cleaning import Held, Order, clean_file
from fairbank.deid.facts import Recorder
from fairbank.deid.identity import IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason
from fairbank.deid.profiles import Profile


def nested(dataset: Dataset, item: Dataset) -> Dataset:
    """Put an item two sequences deep."""
    outer = Dataset()
    outer[0x00082220] = DataElement(0x00082220, "SQ", Sequence([item]))
    dataset[0x00082218] = DataElement(0x00082218, "SQ", Sequence([outer]))
    return dataset


def raw_element(tag: int, vr: str, value: str | bytes) -> RawDataElement:
    """Return an element that no careful writer would make."""
    content = value.encode() if isinstance(value, str) else value
    content += b" " * (len(content) % 2)
    return RawDataElement(BaseTag(tag), vr, len(content), content, 0, False, True)


def innermost(dataset: Dataset) -> Dataset:
    return dataset[0x00082218].value[0][0x00082220].value[0]


@pytest.mark.parametrize("profile", list(Profile))
def test_marks_say_what_really_ran(profile: Profile, clean: Clean) -> None:
    _, dataset = clean(ct_dataset(), profile)
    assert dataset.PatientIdentityRemoved == "YES"
    assert str(profile) in dataset.DeidentificationMethod
    assert "2026d" in dataset.DeidentificationMethod
    codes = [(item.CodeValue, item.CodeMeaning) for item in dataset.DeidentificationMethodCodeSequence]
    assert codes == list(Method(profile).codes)
    assert {item.CodingSchemeDesignator for item in dataset.DeidentificationMethodCodeSequence} == {"DCM"}
    expected = {Profile.BASIC: "REMOVED", Profile.RESEARCH: "MODIFIED"}[profile]
    assert dataset.LongitudinalTemporalInformationModified == expected
    assert "BurnedInAnnotation" not in dataset


def test_burned_in_annotation_stays_as_it_was(clean: Clean) -> None:
    source = ct_dataset()
    source.BurnedInAnnotation = "NO"
    assert clean(source)[1].BurnedInAnnotation == "NO"


def test_marks_of_an_earlier_cleaning_are_replaced(clean: Clean) -> None:
    source = ct_dataset()
    source.PatientIdentityRemoved = "YES"
    source.DeidentificationMethod = "by Dr Quarz at the clinic"
    content, dataset = clean(source)
    assert b"Quarz" not in content
    assert dataset.PatientIdentityRemoved == "YES"


def test_file_meta_is_rebuilt_and_preamble_and_tail_are_gone(clean: Clean) -> None:
    source = as_file(
        ct_dataset(), preamble=b"QUARZFELD".ljust(128, b"."), tail=b"\x11\x00\x11\x00LO\x08\x00OTTILIE "
    )
    assert b"OTTILIE" in source
    content, dataset = clean(source)
    assert content[:132] == b"\0" * 128 + b"DICM"
    assert b"OTTILIE" not in content.upper()
    assert [int(element.tag) for element in dataset.file_meta] == [
        0x00020000,
        0x00020001,
        0x00020002,
        0x00020003,
        0x00020010,
        0x00020012,
        0x00020013,
    ]


def test_an_element_behind_the_pixels_does_not_replace_one_before(clean: Clean) -> None:
    tail = b"\x10\x00\x40\x00CS\x02\x00M "
    _, dataset = clean(as_file(ct_dataset(), tail=tail))
    assert dataset.get("PatientSex", "") == ""


def test_pixels_and_plain_values_stay_bit_for_bit(clean: Clean) -> None:
    source = ct_dataset()
    source.PixelSpacing = ["0.70", "0.700"]
    source.ConvolutionKernel = "B30f"
    content, dataset = clean(source)
    assert dataset.PixelData == source.PixelData
    assert b"0.70\\0.700" in content
    assert dataset.ConvolutionKernel == "B30f"
    assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_encodings_are_cleaned_and_kept(syntax: str, clean: Clean) -> None:
    item = Dataset()
    item.PatientName = "Quarzfeld^Ottilie"
    item.Manufacturer = "ACME"
    content, dataset = clean(as_file(nested(ct_dataset(), item), syntax))
    assert b"Quarzfeld" not in content
    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert innermost(dataset).Manufacturer == "ACME"
    assert dataset.Rows == 4


def test_private_elements_go_at_every_depth(clean: Clean) -> None:
    item = Dataset()
    item.add_new(0x00290010, "LO", "ACME PRIVATE")
    item.add_new(0x00291001, "LO", "Quarzfeld was here")
    source = nested(ct_dataset(), item)
    source.add_new(0x00191001, "UN", b"orphan without creator")
    _, dataset = clean(source)
    assert not [element.tag for element in dataset.iterall() if element.tag.is_private]


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00189998, "LO", "Pigeonhole"),  # even group, in no dictionary
        (0x00189998, "UN", b"Pigeonhole"),
        (0x60001500, "LO", "Pigeonhole"),  # overlay label: not in the table
        (0x60000022, "LO", "Pigeonhole"),
        (0x00142006, "PN", "Pigeonhole^Eva"),  # a person's name: not in the table
        (0x00100033, "LO", "Pigeonhole"),  # birth date in another calendar: not in the table
        (0x0040E010, "UR", "http://clinic/Pigeonhole"),
        (0x00400400, "LT", "Pigeonhole"),
        (0x00281055, "LO", "Pigeonhole"),  # descriptors that the table does not list
        (0x00620006, "ST", "Pigeonhole"),
        (0x00280010, "LO", "Pigeonhole"),  # Rows as text: a VR that the dictionary does not allow
        (0x00189345, "CS", "Mrs Pigeonhole, born 1942!"),  # not the form of a coded string
        (0x00180050, "DS", "Pigeonhole"),  # not the form of a number
        (0xFFFCFFFC, "OB", b"Pigeonhole"),
    ],
)
@pytest.mark.parametrize("profile", list(Profile))
def test_known_leaks_outside_the_table_are_closed(
    tag: int, vr: str, value: str | bytes, profile: Profile, clean: Clean
) -> None:
    item = Dataset()
    item[tag] = raw_element(tag, vr, value)
    source = nested(Dataset() if tag == 0x00280010 else ct_dataset(), item)
    if tag == 0x00280010:
        source.update(ct_dataset())
    assert b"Pigeonhole" in as_file(source)
    assert b"Pigeonhole" not in clean(source, profile)[0]


def test_a_sequence_hidden_in_unknown_vr_is_cleaned(clean: Clean) -> None:
    # An item with an implicit VR Person Name, as PS3.5, section 6.2.2 lets a sequence of VR UN hold.
    name = b"Pigeonhole^Eva"
    element = b"\x10\x00\x10\x00" + len(name).to_bytes(4, "little") + name
    value = b"\xfe\xff\x00\xe0" + len(element).to_bytes(4, "little") + element
    source = ct_dataset()
    source[0x00082218] = raw_element(0x00082218, "UN", value)
    assert b"Pigeonhole" not in clean(source)[0]


def test_identifiers_with_a_wrong_vr_are_replaced_all_the_same(clean: Clean) -> None:
    source = ct_dataset()
    source[0x00100010] = DataElement(0x00100010, "UN", b"Quarzfeld^Ottilie ")
    source[0x00080050] = DataElement(0x00080050, "UT", "ACC99817")
    content, dataset = clean(source)
    assert b"Quarzfeld" not in content
    assert dataset[0x00080050].VR == "SH"
    assert dataset.AccessionNumber == ""


def test_references_keep_nothing_but_the_reference(clean: Clean) -> None:
    source, item = ct_dataset(), Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    item.StudyDescription = "CHEST"
    source.SourceImageSequence = Sequence([item])
    _, dataset = clean(source)
    kept = dataset.SourceImageSequence[0]
    assert kept.ReferencedSOPInstanceUID == dataset.SOPInstanceUID
    assert kept.ReferencedSOPClassUID == source.SOPClassUID
    assert "StudyDescription" not in kept


def test_registered_uids_stay_and_all_others_change(clean: Clean) -> None:
    source = ct_dataset()
    source.FrameOfReferenceUID = "1.2.840.10008.1.4.1.1"  # Talairach: a frame that belongs to nobody
    item = Dataset()
    item.CodingSchemeUID = "2.16.840.1.113883.6.96"
    item.ContextUID = uid("some clinic's own context group")
    _, dataset = clean(nested(source, item))
    assert dataset.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"
    assert innermost(dataset).CodingSchemeUID == "2.16.840.1.113883.6.96"
    assert innermost(dataset).ContextUID.startswith("2.25.")


def test_required_attributes_stay_valid_under_combined_actions(clean: Clean) -> None:
    source = ct_dataset()
    source.ContentDate, source.AcquisitionDateTime, source.DeviceSerialNumber = (
        "20190412",
        "20190412101500",
        "X9",
    )
    _, dataset = clean(source, Profile.BASIC)
    assert dataset.StudyDate == "" and dataset.AccessionNumber == ""  # type 2
    assert dataset.ContentDate == "19000101"  # type 1 in some IODs
    assert dataset.AcquisitionDateTime == "19000101000000"
    assert dataset.DeviceSerialNumber == "REMOVED"


def test_a_label_that_says_nothing_known_becomes_a_dummy(clean: Clean) -> None:
    source = ct_dataset()
    source.SOPClassUID, source.StructureSetLabel = RTStructureSetStorage, "Plan of Ottilie"
    assert clean(source, Profile.BASIC)[1].StructureSetLabel == "REMOVED"


def test_character_sets_stay_and_names_in_them_go(clean: Clean) -> None:
    source = ct_dataset()
    source.SpecificCharacterSet = "ISO_IR 192"
    source.PatientName = "Quärzfeld^Ottilie=田中"
    source.StudyDescription = "Knee 田中 3mm"
    content, dataset = clean(source)
    assert "田中".encode() not in content
    assert dataset.StudyDescription == "Knee * 3mm"


def test_descriptors_of_clinical_words_stay_and_other_words_are_masked(clean: Clean) -> None:
    source = ct_dataset()
    source.SeriesDescription = "AX T1 post contrast 3.0mm"
    source.StudyDescription = "CHEST for Dr Pigeonhole"
    source.ProtocolName = "Ottilie"
    _, dataset = clean(source)
    assert dataset.SeriesDescription == "AX T1 post contrast 3.0mm"
    assert dataset.StudyDescription == "CHEST for * *"
    assert dataset.ProtocolName == "REMOVED"


def test_a_clinical_word_that_is_the_subjects_name_is_masked(clean: Clean) -> None:
    source = ct_dataset()
    source.PatientName = "Foot^Ottilie"
    source.StudyDescription = "Knee foot"
    assert clean(source)[1].StudyDescription == "Knee *"


def test_ages_from_ninety_are_one(clean: Clean) -> None:
    source = ct_dataset()
    source.PatientAge = "093Y"
    assert clean(source)[1].PatientAge == "090Y"
    assert clean(ct_dataset())[1].PatientAge == "077Y"
    source.PatientAge = "old"
    assert "PatientAge" not in clean(source)[1]


def test_subject_stands_in_the_place_of_name_and_id(clean: Clean) -> None:
    _, dataset = clean(ct_dataset())
    assert dataset.PatientID == str(dataset.PatientName)
    assert len(dataset.PatientID) == 16


def test_bytes_depend_on_content_keys_and_profile_only(clean: Clean) -> None:
    first, _ = clean(ct_dataset())
    clean(ct_dataset("OTHER-1"), Profile.BASIC)
    again, _ = clean(ct_dataset())
    assert first == again
    assert clean(ct_dataset(), Profile.BASIC)[0] != first
    assert clean(ct_dataset(), project="brain")[0] != first


def test_an_issuer_named_study_is_not_taken_for_a_study_without_a_patient(
    identity: IdentityStore, clean: Clean
) -> None:
    study, patient = ct_dataset(), ct_dataset()
    study.PatientID = ""
    patient.PatientID, patient.IssuerOfPatientID = str(study.StudyInstanceUID), "study"
    for issuer in ("study", "\x1estudy"):
        patient.IssuerOfPatientID = issuer
        assert clean(study)[1].PatientID != clean(patient)[1].PatientID
    # Who has a patient id keeps the pseudonym that older versions gave.
    known = identity.subject("lung", f"study\x1f{study.StudyInstanceUID}")
    assert clean(patient)[1].PatientID == known.subject


def test_a_study_that_was_withdrawn_under_its_former_name_stays_out(
    identity: IdentityStore, recorder: Recorder, clock: FixedClock
) -> None:
    study = ct_dataset()
    study.PatientID = ""
    former = f"study\x1f{study.StudyInstanceUID}"
    identity.subject("lung", former)
    identity.forget(former, clock=clock)
    result = clean_file(as_file(study), Order("lung", Method()), identity=identity, recorder=recorder)
    assert isinstance(result, Held) and result.reason is Reason.WITHDRAWN
