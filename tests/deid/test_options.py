"""Each option of PS3.15 Annex E: what it keeps, what it still takes away, and how the output says so."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts
from tests.deid.conftest import as_file, ct_dataset, uid

from fairbank.deid.cleaning import Cleaned, Order, clean_file
from fairbank.deid.errors import OptionsContradict
from fairbank.deid.facts import Recorder
from fairbank.deid.identity import IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.profiles import Profile
from fairbank.deid.rules import RULES, Option

With = Callable[..., tuple[bytes, Dataset]]


@pytest.fixture
def cleaned_with(identity: IdentityStore, recorder: Recorder) -> With:
    """Clean a dataset under the basic profile with options."""

    def _clean(source: Dataset, *options: Option) -> tuple[bytes, Dataset]:
        order = Order("lung", Method(Profile.BASIC, frozenset(options)))
        result = clean_file(as_file(source), order, identity=identity, recorder=recorder)
        assert isinstance(result, Cleaned), result
        return result.content, pydicom.dcmread(BytesIO(result.content))

    return _clean


def nested(dataset: Dataset, item: Dataset) -> Dataset:
    dataset[0x00082218] = DataElement(0x00082218, "SQ", Sequence([item]))
    return dataset


@pytest.mark.parametrize("option", list(Option))
def test_codes_are_those_of_cid_7050(option: Option) -> None:
    ((value, meaning),) = set(Method(Profile.BASIC, frozenset({option})).codes) - set(
        Method(Profile.BASIC).codes
    )
    known = {
        code: said
        for keyword in cid_concepts[7050]["DCM"]
        for code, (said, _) in concepts["DCM"][keyword].items()
    }
    assert known[value] == meaning


def test_all_options_that_agree_run_together() -> None:
    options = frozenset(Option) - {Option.RETAIN_FULL_DATES}
    codes = [value for value, _ in Method(Profile.BASIC, options).codes]
    assert codes == sorted(codes)
    assert codes == ["113100", *(str(code) for code in range(113103, 113113) if code != 113106)]


@pytest.mark.parametrize("profile", list(Profile))
def test_dates_cannot_be_kept_and_moved(profile: Profile) -> None:
    more = {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES}
    with pytest.raises(OptionsContradict, match="Choose one"):
        Method(profile, frozenset(more))


def test_research_cannot_keep_full_dates() -> None:
    with pytest.raises(OptionsContradict):
        Method(Profile.RESEARCH, frozenset({Option.RETAIN_FULL_DATES}))


def test_full_dates_are_kept_at_every_depth_and_marked(cleaned_with: With) -> None:
    source, item = ct_dataset(), Dataset()
    source.AcquisitionDateTime = "20190412101500.5+0100"
    source.SeriesDate = "2019.04.12"
    item.StudyDate, item.StudyTime = "20190413", "0930"
    _, dataset = cleaned_with(nested(source, item), Option.RETAIN_FULL_DATES)
    inner = dataset[0x00082218].value[0]
    assert (dataset.StudyDate, dataset.StudyTime) == ("20190412", "101500")
    assert dataset.AcquisitionDateTime == "20190412101500.5+0100"
    assert dataset[0x00080021].value == "2019.04.12"
    assert (inner.StudyDate, inner.StudyTime) == ("20190413", "0930")
    assert dataset.LongitudinalTemporalInformationModified == "UNMODIFIED"


@pytest.mark.parametrize("text", ["Doe Jane", "20191340", "4711", "20190412 Doe", "ACC12345"])
def test_what_is_no_date_is_not_kept_as_one(text: str, cleaned_with: With) -> None:
    source = ct_dataset()
    source[0x00080021] = DataElement(0x00080021, "DA", text)
    content, dataset = cleaned_with(source, Option.RETAIN_FULL_DATES)
    assert text.encode() not in content
    assert dataset.get("SeriesDate") in (None, "", "19000101")


def test_the_birth_date_never_stays(cleaned_with: With) -> None:
    for option in (
        Option.RETAIN_FULL_DATES,
        Option.RETAIN_MODIFIED_DATES,
        Option.RETAIN_PATIENT_CHARACTERISTICS,
    ):
        content, dataset = cleaned_with(ct_dataset(), option)
        assert dataset.PatientBirthDate == ""
        assert b"19420229" not in content


@pytest.mark.parametrize(
    ("age", "kept"), [("089Y", "089Y"), ("090Y", "090Y"), ("097Y", "090Y"), ("1200M", None)]
)
def test_ages_are_capped_nested_too(age: str, kept: str | None, cleaned_with: With) -> None:
    source, item = ct_dataset(), Dataset()
    source[0x00101010] = DataElement(0x00101010, "AS", age)
    item[0x00101010] = DataElement(0x00101010, "AS", age)
    _, dataset = cleaned_with(nested(source, item), Option.RETAIN_PATIENT_CHARACTERISTICS)
    for level in (dataset, dataset[0x00082218].value[0]):
        assert level.get("PatientAge") == kept or (
            kept is None and level.get("PatientAge") in (None, "", "000Y")
        )


def test_weight_and_size_stay_with_characteristics(cleaned_with: With) -> None:
    source = ct_dataset()
    source.PatientWeight, source.PatientSize = "71.5", "1.68"
    _, dataset = cleaned_with(source, Option.RETAIN_PATIENT_CHARACTERISTICS)
    assert (str(dataset.PatientWeight), str(dataset.PatientSize)) == ("71.5", "1.68")


def test_institution_stays_only_with_its_option(cleaned_with: With) -> None:
    source, code = ct_dataset(), Dataset()
    source.InstitutionName = "St. Elsewhere"
    source.InstitutionAddress = "1 Long Street\r\nElsewhere"
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "7", "99SITE", "St. Elsewhere"
    source.InstitutionCodeSequence = Sequence([code])
    _, dataset = cleaned_with(source, Option.RETAIN_INSTITUTION_IDENTITY)
    assert dataset.InstitutionName == "St. Elsewhere"
    assert dataset.InstitutionAddress == "1 Long Street\r\nElsewhere"
    assert len(dataset.InstitutionCodeSequence) == 1
    assert b"Elsewhere" not in cleaned_with(source, Option.RETAIN_DEVICE_IDENTITY)[0]


def test_an_institution_with_control_characters_is_not_kept(cleaned_with: With) -> None:
    source = ct_dataset()
    source.InstitutionName = "St.\x01Elsewhere"
    assert b"Elsewhere" not in cleaned_with(source, Option.RETAIN_INSTITUTION_IDENTITY)[0]


def test_the_subjects_own_name_in_an_institution_goes(cleaned_with: With) -> None:
    source = ct_dataset()
    source.InstitutionName = "Quarzfeld Clinic"
    assert b"Quarzfeld" not in cleaned_with(source, Option.RETAIN_INSTITUTION_IDENTITY)[0]


def test_device_stays_with_its_option(cleaned_with: With) -> None:
    source = ct_dataset()
    source.StationName, source.DeviceSerialNumber = "CT7", "SN123456"
    source.DateOfLastCalibration = "20190101"
    _, dataset = cleaned_with(source, Option.RETAIN_DEVICE_IDENTITY)
    assert (dataset.StationName, dataset.DeviceSerialNumber) == ("CT7", "SN123456")
    assert dataset.DateOfLastCalibration == "20190101"


def test_uids_stay_as_they_are_with_their_option(cleaned_with: With) -> None:
    source, item = ct_dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.SOPClassUID, uid("other")
    source.ReferencedImageSequence = Sequence([item])
    _, dataset = cleaned_with(source, Option.RETAIN_UIDS)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        assert dataset[keyword].value == source[keyword].value
    assert dataset.ReferencedImageSequence[0].ReferencedSOPInstanceUID == uid("other")
    assert dataset.file_meta.MediaStorageSOPInstanceUID == source.SOPInstanceUID


def test_what_is_no_uid_is_mapped_all_the_same(cleaned_with: With) -> None:
    source = ct_dataset()
    source[0x00200052] = DataElement(0x00200052, "UI", "1.2.DOE^JANE")
    content, dataset = cleaned_with(source, Option.RETAIN_UIDS)
    assert b"DOE^JANE" not in content
    assert dataset.FrameOfReferenceUID.startswith("2.25.")


def test_facts_of_a_file_with_its_uids_name_the_series_that_is_there(
    identity: IdentityStore, recorder: Recorder
) -> None:
    order = Order("lung", Method(Profile.BASIC, frozenset({Option.RETAIN_UIDS})))
    result = clean_file(as_file(ct_dataset()), order, identity=identity, recorder=recorder)
    assert isinstance(result, Cleaned)
    assert result.facts.series_uid == result.series_uid == ct_dataset().SeriesInstanceUID


def test_every_option_of_the_table_can_run() -> None:
    assert {option for rule in RULES for option in rule.options} == set(Option)


def test_the_digest_tells_options_apart() -> None:
    digests = {Method(Profile.BASIC, frozenset({option})).digest for option in Option}
    assert len(digests) == len(Option)
