"""Structured reports: names, texts, dates and UIDs go as Table E.3.4-1 says; codes, numbers and structure stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO

import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.deid.conftest import as_file, ct_dataset, uid

from fairbank.deid.cleaning import Cleaned, Held, Order, clean_file
from fairbank.deid.facts import Recorder
from fairbank.deid.identity import IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason
from fairbank.deid.profiles import Profile
from fairbank.deid.rules import Option
from fairbank.deid.structured._e3_4_1 import ROWS
from fairbank.deid.structured.content_rules import RULES, Fate, fate_of

CONTENT = frozenset({Option.CLEAN_STRUCTURED_CONTENT})
ENHANCED, KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.22", "1.2.840.10008.5.1.4.1.1.88.59"
Clean = Callable[..., tuple[bytes, Dataset]]


@pytest.fixture
def cleaned(identity: IdentityStore, recorder: Recorder) -> Clean:
    def _clean(
        source: Dataset,
        profile: Profile = Profile.RESEARCH,
        more: frozenset[Option] = CONTENT,
        syntax: str = ExplicitVRLittleEndian,
    ) -> tuple[bytes, Dataset]:
        order = Order("lung", Method(profile, more))
        result = clean_file(as_file(source, syntax), order, identity=identity, recorder=recorder)
        assert isinstance(result, Cleaned), result
        return result.content, pydicom.dcmread(BytesIO(result.content))

    return _clean


def code(value: str, scheme: str = "DCM", meaning: str = "Something") -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def content_item(value_type: str, concept: Sequence, **values: object) -> Dataset:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = value_type
    item.ConceptNameCodeSequence = concept
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def number(value: str, unit: str = "mm", concept: str = "M-02550", scheme: str = "SRT") -> Dataset:
    measured = Dataset()
    measured.NumericValue = value
    measured.MeasurementUnitsCodeSequence = code(unit, "UCUM", unit)
    return content_item("NUM", code(concept, scheme, "Diameter"), MeasuredValueSequence=Sequence([measured]))


def report(*items: Dataset, sop_class: str = ENHANCED) -> Dataset:
    dataset = ct_dataset()
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        del dataset[keyword]
    for keyword in ("PixelData", "SamplesPerPixel", "PhotometricInterpretation", "FrameOfReferenceUID"):
        del dataset[keyword]
    dataset.SOPClassUID, dataset.Modality = sop_class, "SR"
    dataset.ValueType = "CONTAINER"
    dataset.ConceptNameCodeSequence = code("126000", "DCM", "Imaging Measurement Report")
    dataset.ContinuityOfContent = "SEPARATE"
    dataset.ContentSequence = Sequence(items)
    return dataset


def walk(level: Dataset) -> Iterator[Dataset]:
    for item in level.get("ContentSequence", []):
        yield item
        yield from walk(item)


def said(dataset: Dataset) -> dict[str, Dataset]:
    return {
        item.ConceptNameCodeSequence[0].CodeValue: item
        for item in walk(dataset)
        if "ConceptNameCodeSequence" in item
    }


def example(scheme: str, concept: str, value_type: str) -> tuple[Dataset, bytes | None]:
    """Return an item of a row's concept and type, and bytes that betray its value."""
    item = content_item(value_type, code(concept, scheme, "Concept"))
    match value_type:
        case "TEXT":
            item.TextValue = "Zebulon Quirk"
            return item, b"Zebulon"
        case "PNAME":
            item.PersonName = "Quirk^Zebulon"
            return item, b"Zebulon"
        case "DATE":
            item.Date = "20170703"
            return item, b"20170703"
        case "TIME":
            item.Time = "135701.98"
            return item, b"135701.98"
        case "DATETIME":
            item.DateTime = "20170703135701"
            return item, b"20170703135701"
        case "UIDREF":
            item.UID = uid("betray", concept)
            return item, str(item.UID).encode()
        case "IMAGE" | "COMPOSITE" | "WAVEFORM":
            reference = Dataset()
            reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = (
                ENHANCED,
                uid("betray", concept),
            )
            item.ReferencedSOPSequence = Sequence([reference])
            return item, str(reference.ReferencedSOPInstanceUID).encode()
        case "NUM":
            found = number("97531.7", "a", concept, scheme)
            return found, b"97531.7"
        case "CODE":
            item.ConceptCodeSequence = code("M", "DCM", "Male")
            return item, None
    item.ContentSequence = Sequence([content_item("TEXT", code("121106"), TextValue="Zebulon Quirk")])
    return item, b"Zebulon"


def test_reports_are_held_without_the_option(identity: IdentityStore, recorder: Recorder) -> None:
    result = clean_file(
        as_file(report()), Order("lung", Method(Profile.RESEARCH)), identity=identity, recorder=recorder
    )
    assert isinstance(result, Held)
    assert result.reason is Reason.STRUCTURED_REPORT


def test_the_table_has_every_row() -> None:
    assert len(RULES) == len(ROWS) == 214


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_no_row_leaks_at_any_depth(profile: Profile, syntax: str, cleaned: Clean) -> None:
    times_stay = profile is Profile.RESEARCH
    leaks = []
    for scheme, concept, value_type, meaning, basic, _ in ROWS:
        top, betrayal = example(scheme, concept, value_type)
        deep, _ = example(scheme, concept, value_type)
        box = content_item("CONTAINER", code("125007", "DCM", "Measurement Group"))
        box.ContentSequence = Sequence(
            [content_item("CONTAINER", code("125007"), ContentSequence=Sequence([deep]))]
        )
        content, dataset = cleaned(report(top, box), profile, syntax=syntax)
        kept = RULES[scheme, concept, value_type].options
        retained = any(kept.get(option) == "K" for option in Method(profile).options)
        if betrayal and betrayal in content and not retained and not (value_type == "TIME" and times_stay):
            leaks.append((concept, value_type, meaning))
        there = [
            item
            for item in walk(dataset)
            if (item.ConceptNameCodeSequence[0].CodeValue, item.ValueType) == (concept, value_type)
        ]
        runs = any(option in kept for option in Method(profile).options)
        if basic == "X" and not runs:
            assert there == [], (concept, value_type)
    assert leaks == []


def test_measurements_codes_and_structure_stay_bit_for_bit(cleaned: Clean) -> None:
    coordinates = content_item(
        "SCOORD",
        code("111030", "DCM", "Image Region"),
        GraphicType="POLYLINE",
        GraphicData=[1.5, 2.5, 3.5, 4.5],
    )
    finding = content_item(
        "CODE", code("121071", "DCM", "Finding"), ConceptCodeSequence=code("108369006", "SCT", "Tumor")
    )
    group = content_item("CONTAINER", code("125007", "DCM", "Measurement Group"))
    group.ContentSequence = Sequence([number("12.340"), finding, coordinates])
    _, dataset = cleaned(report(group))
    kept = list(walk(dataset))
    assert [item.ValueType for item in kept] == ["CONTAINER", "NUM", "CODE", "SCOORD"]
    measured = kept[1].MeasuredValueSequence[0]
    assert measured.get_item("NumericValue").value == b"12.340"
    assert measured.MeasurementUnitsCodeSequence[0].CodeValue == "mm"
    assert kept[2].ConceptCodeSequence[0].CodeMeaning == "Tumor"
    assert list(kept[3].GraphicData) == [1.5, 2.5, 3.5, 4.5]
    codes = [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]
    assert "113104" in codes


def test_texts_keep_clinical_words_under_clean_descriptors(cleaned: Clean) -> None:
    items = [
        content_item(
            "TEXT", code("121071", "DCM", "Finding"), TextValue="Lesion in the left lung, seen by Dr. Sharp"
        ),
        content_item("TEXT", code("99001", "99ACME", "Lung note"), TextValue="Zebulon, 12 mm"),
    ]
    content, dataset = cleaned(report(*items))
    texts = [item.TextValue for item in walk(dataset)]
    assert texts[0].startswith("Lesion in the left lung, ")
    assert "Sharp" not in texts[0]
    assert b"Zebulon" not in content


def test_texts_say_nothing_without_clean_descriptors(cleaned: Clean) -> None:
    items = [content_item("TEXT", code("99001", "99ACME", "note"), TextValue="Lesion in the left lung")]
    _, dataset = cleaned(report(*items), Profile.BASIC)
    assert [item.TextValue for item in walk(dataset)] == ["REMOVED"]


def test_people_go_whoever_they_are(cleaned: Clean) -> None:
    items = [
        content_item("PNAME", code("121008", "DCM", "Person Observer Name"), PersonName="Quirk^Zebulon"),
        content_item("PNAME", code("121029", "DCM", "Subject Name"), PersonName="Quarzfeld^Ottilie"),
        content_item("PNAME", code("4711", "99ACME", "whoever"), PersonName="Other^Person"),
        content_item("TEXT", code("121009", "DCM", "Organization"), TextValue="St. Elsewhere"),
        content_item("TEXT", code("121013", "DCM", "Device Observer Name"), TextValue="ACME-77"),
    ]
    source = report(*items)
    observer = Dataset()
    observer.PersonName, observer.InstitutionName = "Quirk^Zebulon", "St. Elsewhere"
    source.AuthorObserverSequence = Sequence([observer])
    content, dataset = cleaned(source)
    for word in (b"Zebulon", b"Ottilie", b"Person\\^", b"Other^", b"Elsewhere"):
        assert word not in content
    assert said(dataset)["121013"].TextValue == "ACME-77"  # Retain Device Identity is part of research
    assert "121013" not in said(cleaned(source, Profile.BASIC)[1])


def test_a_verified_document_keeps_an_observer_who_is_nobody(cleaned: Clean) -> None:
    source, observer = report(number("1")), Dataset()
    observer.VerifyingObserverName, observer.VerifyingOrganization = "Quirk^Zebulon", "St. Elsewhere"
    observer.VerificationDateTime = "20190412101500"
    observer.VerifyingObserverIdentificationCodeSequence = code("QZ", "99ACME", "Zebulon Quirk")
    observer.OperatorIdentificationSequence = Sequence([content_item("TEXT", code("1"), TextValue="Zebulon")])
    source.VerifyingObserverSequence, source.VerificationFlag = Sequence([observer]), "VERIFIED"
    source.ReferencedPerformedProcedureStepSequence = Sequence([observer])
    content, dataset = cleaned(source)
    (kept,) = dataset.VerifyingObserverSequence
    assert (kept.VerifyingObserverName, kept.VerifyingOrganization) == ("REMOVED", "REMOVED")
    assert kept.VerificationDateTime[:8] == dataset.StudyDate
    assert "OperatorIdentificationSequence" not in kept
    assert len(kept.VerifyingObserverIdentificationCodeSequence) == 0
    assert len(dataset.ReferencedPerformedProcedureStepSequence) == 0
    assert b"Zebulon" not in content
    assert b"Elsewhere" not in content


def test_references_resolve_and_dates_keep_their_distance(cleaned: Clean) -> None:
    image = ct_dataset()
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = (
        image.SOPClassUID,
        image.SOPInstanceUID,
    )
    items = [
        content_item("IMAGE", code("121233", "DCM", "Source"), ReferencedSOPSequence=Sequence([reference])),
        content_item("UIDREF", code("112040", "DCM", "Tracking Unique Identifier"), UID=uid("track")),
        content_item("DATE", code("111060", "DCM", "Study Date"), Date="20190412"),
        content_item("UIDREF", code("121232", "DCM", "Source series"), UID=image.SeriesInstanceUID),
    ]
    _, dataset = cleaned(report(*items))
    _, other = cleaned(image)
    kept = said(dataset)
    assert kept["121233"].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == other.SOPInstanceUID
    assert other.SeriesInstanceUID == kept["121232"].UID
    assert kept["111060"].Date == other.StudyDate == dataset.StudyDate
    assert kept["112040"].UID.startswith("2.25.")


def test_items_that_point_at_others_still_do(cleaned: Clean) -> None:
    gone = content_item("PNAME", code("121088", "DCM", "Fellow"), PersonName="Quirk^Zebulon")
    first, second = number("1.0"), number("2.0")
    pointer, lost = Dataset(), Dataset()
    for item, target in ((pointer, [1, 3]), (lost, [1, 1])):
        item.RelationshipType = "INFERRED FROM"
        item.ReferencedContentItemIdentifier = target
    holder = content_item(
        "CONTAINER", code("125007", "DCM", "Measurement Group"), ContentSequence=Sequence([lost, pointer])
    )
    _, dataset = cleaned(report(gone, first, second, holder))
    items = dataset.ContentSequence
    assert [item.ValueType for item in items] == ["NUM", "NUM", "CONTAINER"]
    (kept,) = items[2].ContentSequence
    assert list(kept.ReferencedContentItemIdentifier) == [1, 2]
    assert items[1].MeasuredValueSequence[0].NumericValue == 2


@pytest.mark.parametrize(
    ("age", "unit", "kept"),
    [("45", "a", "45"), ("97", "a", "90"), ("1200", "mo", "1080"), ("4711", "x", "0")],
)
def test_subject_age_is_capped(age: str, unit: str, kept: str, cleaned: Clean) -> None:
    _, dataset = cleaned(report(number(age, unit, "121033", "DCM")))
    assert str(said(dataset)["121033"].MeasuredValueSequence[0].NumericValue) == kept
    assert "121033" not in said(cleaned(report(number(age, unit, "121033", "DCM")), Profile.BASIC)[1])


def test_private_codes_go_and_public_ones_mean_what_the_standard_says(cleaned: Clean) -> None:
    items = [
        content_item(
            "CODE", code("121071", "DCM", "Finding"), ConceptCodeSequence=code("G-A101", "SRT", "Left")
        ),
        content_item(
            "CODE",
            code("111001", "DCM", "Quirk Zebulon"),
            ConceptCodeSequence=code("Q1", "99ACME", "lung of Zebulon"),
        ),
        content_item(
            "CODE",
            code("121058", "DCM", "Procedure reported"),
            ConceptCodeSequence=code("QUIRKZ", "99ACME", "Zebulon"),
        ),
    ]
    content, dataset = cleaned(report(*items))
    first, second, third = walk(dataset)
    assert first.ConceptCodeSequence[0].CodeMeaning == "Left"
    assert second.ConceptNameCodeSequence[0].CodeMeaning == "Algorithm Name"
    for item in (second, third):
        assert item.ConceptCodeSequence[0].CodingSchemeDesignator == "99FAIRBANK"
    assert b"ebulon" not in content
    assert b"QUIRK" not in content.upper()


def test_value_types_that_are_not_known_go(cleaned: Clean) -> None:
    odd = content_item("TABLE", code("121071", "DCM", "Finding"), TextValue="Zebulon")
    _, dataset = cleaned(report(odd, number("1")))
    assert [item.ValueType for item in walk(dataset)] == ["NUM"]


def test_content_in_places_where_none_belongs_is_cleaned_all_the_same(cleaned: Clean) -> None:
    source, item = report(number("1")), Dataset()
    item.ContentSequence = Sequence(
        [
            content_item("TEXT", code("121030", "DCM", "Subject ID"), TextValue="Zebulon"),
            content_item("PNAME", code("121008", "DCM", "Person Observer Name"), PersonName="Zebulon"),
            number("7"),
        ]
    )
    source[0x0040A372] = DataElement(0x0040A372, "SQ", Sequence([item]))
    content, dataset = cleaned(source)
    assert b"Zebulon" not in content
    assert [one.ValueType for one in dataset[0x0040A372].value[0].ContentSequence] == ["PNAME", "NUM"]


def test_a_key_object_note_is_admitted(cleaned: Clean) -> None:
    note = content_item("TEXT", code("113012", "DCM", "Key Object Description"), TextValue="for Dr. Quirk")
    content, dataset = cleaned(report(note, sop_class=KEY_OBJECTS))
    assert dataset.SOPClassUID == KEY_OBJECTS
    assert b"Quirk" not in content


def test_acquisition_context_is_cleaned_by_the_same_table(cleaned: Clean) -> None:
    source = ct_dataset()
    source.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"  # its IOD has the Acquisition Context Module
    source.AcquisitionContextSequence = Sequence(
        [
            content_item("PNAME", code("121114", "DCM", "Performing Physician"), PersonName="Quirk^Zebulon"),
            content_item("TEXT", code("121021", "DCM", "Filler Number"), TextValue="FN4711"),
            number("12"),
        ]
    )
    content, dataset = cleaned(source)
    assert [item.ValueType for item in dataset.AcquisitionContextSequence] == ["PNAME", "NUM"]
    assert b"Zebulon" not in content
    assert b"FN4711" not in content


def test_fates_follow_the_options() -> None:
    text = content_item("TEXT", code("121017", "DCM", "Location"), TextValue="Ward 3")
    assert fate_of(text, frozenset()) is Fate.REMOVED
    assert fate_of(text, frozenset({Option.RETAIN_INSTITUTION_IDENTITY})) is Fate.KEPT
    assert fate_of(content_item("SPAM", code("1")), frozenset(Option)) is Fate.REMOVED
