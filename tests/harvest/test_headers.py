"""What is read of a header, and what its values say of a series beside geometry."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import date
from pathlib import Path

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from tests.deid.conftest import as_file, ct_dataset

from fairbank.clock import FixedClock
from fairbank.deid.facts import Recorder, fact_sheet
from fairbank.deid.part10 import quiet_pydicom
from fairbank.harvest.aspects import MEANINGS, Aspect, Assessment
from fairbank.harvest.described import describe_datasets
from fairbank.harvest.geometry import geometry
from fairbank.harvest.header_texts import Wanted
from fairbank.harvest.headers import header_of, read_header
from fairbank.harvest.quality import Known
from fairbank.harvest.series import SeriesFacts, describe
from fairbank.ontology.record import HowKnown

RECORDER = Recorder("harvest", FixedClock().now(), "fairbank 0")
TODAY = Known(today=date(2026, 1, 1))


def image(**values: object) -> Dataset:
    dataset = ct_dataset()
    with quiet_pydicom():
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
    return dataset


def facts(*datasets: Dataset, known: Known = TODAY) -> SeriesFacts:
    headers = []
    for number, dataset in enumerate(datasets):
        dataset.SOPInstanceUID = f"2.25.{number + 1}"
        headers.append(header_of(dataset))
    return describe(headers, known)


def known(aspect: Aspect, *datasets: Dataset, beside: Known = TODAY) -> Assessment:
    return facts(*datasets, known=beside).quality[aspect]


def test_a_header_says_the_same_as_file_and_as_values(tmp_path: Path) -> None:
    dataset = image(ImageType=["ORIGINAL", "PRIMARY"], ConvolutionKernel=["Br40", "3"], KVP="120")
    (tmp_path / "1.dcm").write_bytes(as_file(dataset))
    read, made = read_header(tmp_path / "1.dcm"), header_of(dataset)
    assert read.said.items() - {("TransferSyntaxUID", read.said["TransferSyntaxUID"])} <= made.said.items()
    assert (read.kernel, read.rows, read.variant) == (made.kernel, made.rows, made.variant)


def test_binary_numbers_are_read_in_either_order_of_bytes() -> None:
    for little in (True, False):
        content = struct.pack("<H" if little else ">H", 512)
        dataset = Dataset(
            {BaseTag(0x00280010): RawDataElement(BaseTag(0x00280010), "US", 2, content, 0, False, little)}
        )
        assert Wanted(["Rows"]).texts(dataset) == {"Rows": "512"}


@pytest.mark.parametrize(
    ("charset", "content", "text"),
    [
        ("ISO_IR 100", "Müller".encode("latin-1"), "Müller"),
        ("ISO_IR 192", "Müller".encode(), "Müller"),
        ("ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", "山田"),
        ("NO SUCH SET", "Müller".encode("latin-1"), "Müller"),
    ],
)
def test_texts_are_read_in_the_character_set_of_the_file(charset: str, content: bytes, text: str) -> None:
    dataset = Dataset()
    dataset.SpecificCharacterSet = ["", charset] if "2022" in charset else charset
    dataset[0x00080070] = RawDataElement(BaseTag(0x00080070), "LO", len(content), content, 0, False, True)
    with quiet_pydicom():
        assert Wanted(["Manufacturer"]).texts(dataset) == {"Manufacturer": text}


def enhanced(places: list[float], echoes: int = 1) -> Dataset:
    dataset = image(Modality="MR", NumberOfFrames=str(len(places) * echoes))
    shared, orientation = Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PlaneOrientationSequence = [orientation]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = []
    for echo in range(echoes):
        for place in places:
            frame, position, time = Dataset(), Dataset(), Dataset()
            position.ImagePositionPatient = [0, 0, place]
            time.EffectiveEchoTime = 5.0 + echo
            frame.PlanePositionSequence, frame.MREchoSequence = [position], [time]
            dataset.PerFrameFunctionalGroupsSequence.append(frame)
    return dataset


@pytest.mark.parametrize("echoes", [1, 3])
def test_the_frames_of_an_enhanced_image_are_slices(echoes: int, tmp_path: Path) -> None:
    for places, missing in (([0.0, 2, 4, 6, 8], 0), ([0.0, 2, 4, 8, 10], 1)):
        (tmp_path / "1.dcm").write_bytes(as_file(enhanced(places, echoes)))
        shape = geometry([read_header(tmp_path / "1.dcm")])
        assert (shape.assessed, shape.missing, shape.duplicates, shape.volumes) == (True, missing, 0, echoes)
        assert (shape.spacing_mm, shape.incomplete) == (2.0, 0)


def test_a_frame_without_a_place_leaves_the_image_unassessed() -> None:
    dataset = enhanced([0.0, 2, 4, 6])
    del dataset.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence
    assert not known(Aspect.MISSING_SLICES, dataset).assessed


def test_volumes_that_lack_images_are_incomplete_and_not_missing() -> None:
    slices = [
        image(ImagePositionPatient=[0, 0, place], ImageOrientationPatient=[1, 0, 0, 0, 1, 0], EchoTime=echo)
        for echo in (5, 10)
        for place in range(0, 20, 2)
    ]
    assert not known(Aspect.INCOMPLETE_VOLUMES, *slices).affected
    less = facts(*slices[:3], *slices[4:]).quality
    assert less[Aspect.INCOMPLETE_VOLUMES].details == ("1 images", "2 volumes")
    assert not less[Aspect.MISSING_SLICES].affected
    assert not less[Aspect.DUPLICATE_SLICES].affected


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"Modality": "MR", "MagneticFieldStrength": "5000"}, {"field-strength-in-gauss"}),
        ({"MagneticFieldStrength": "99999999"}, {"field-strength"}),
        ({"MagneticFieldStrength": "63.87"}, {"field-strength"}),
        ({"MagneticFieldStrength": "1.5"}, set()),
        ({"KVP": "120"}, set()),
        ({"KVP": "1200"}, {"tube-voltage"}),
        ({"PatientAge": "000Y"}, {"age"}),
        ({"PatientAge": "002D"}, set()),
        ({"PatientAge": "Methuselah"}, {"age"}),
        ({"PatientSex": "0000"}, {"sex"}),
        ({"PatientSex": "f"}, set()),
        ({"StudyInstanceUID": "1.2." + "3" * 70}, {"uid-too-long"}),
        ({"StudyInstanceUID": "1.2.jane"}, {"uid-malformed"}),
        ({"StudyDate": "20200102", "SeriesDate": "20200101"}, {"date-order"}),
        ({"StudyDate": "20200101", "SeriesDate": "20200102"}, set()),
        ({"StudyDate": "20300101", "SeriesDate": ""}, {"date-to-come"}),
        ({"StudyDate": "spring", "SeriesDate": ""}, {"date"}),
        ({"SliceThickness": "0"}, {"slice-thickness"}),
        ({"PixelSpacing": ["0.5", "-1"]}, {"pixel-spacing"}),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, {"orientation"}),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named_and_never_repeated(values: dict[str, object], words: set[str]) -> None:
    plain = {
        "PatientAge": "",
        "PatientSex": "",
        "AcquisitionDate": "",
        "SeriesDate": "",
        "StudyDate": "20200101",
    }
    found = known(Aspect.IMPLAUSIBLE_VALUES, image(**(plain | values)))
    assert (set(found.details), found.affected, found.how_known) == (words, bool(words), HowKnown.COMPUTED)


@pytest.mark.parametrize(
    ("first", "second", "mixed"),
    [
        ({"Rows": 512}, {"Rows": 256}, ("rows",)),
        ({"PixelSpacing": [0.703125, 0.703125]}, {"PixelSpacing": [0.70313, 0.70313]}, ()),
        ({"SliceThickness": 3}, {"SliceThickness": 5}, ("slice-thickness",)),
        ({"KVP": 120}, {"KVP": 80}, ("tube-voltage",)),
        ({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}, ("kernel",)),
        ({"XRayTubeCurrent": 100}, {"XRayTubeCurrent": 180}, ()),
        ({"KVP": 120}, {"KVP": ""}, ()),
    ],
)
def test_settings_that_differ_are_named(
    first: dict[str, object], second: dict[str, object], mixed: tuple[str, ...]
) -> None:
    found = known(Aspect.MIXED_PARAMETERS, image(**first), image(**second))
    assert found.assessed and found.details == mixed
    assert not known(Aspect.MIXED_PARAMETERS, image()).assessed


@pytest.mark.parametrize(
    ("thickness", "between", "faults"),
    [
        (2, 2, set()),
        (1, "", {Aspect.SLICE_GAPS}),
        (3, "", {Aspect.SLICE_OVERLAP}),
        (2, 5, {Aspect.WRONG_SPACING}),
        (2, -2, set()),
    ],
)
def test_the_step_is_compared_with_thickness_and_stated_spacing(
    thickness: int, between: object, faults: set[Aspect]
) -> None:
    slices = [
        image(ImagePositionPatient=[0, 0, place], ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
              SliceThickness=thickness, SpacingBetweenSlices=between)
        for place in range(0, 20, 2)
    ]  # fmt: skip
    quality = facts(*slices).quality
    of_spacing = {Aspect.SLICE_GAPS, Aspect.SLICE_OVERLAP, Aspect.WRONG_SPACING}
    assert {aspect for aspect in of_spacing if quality[aspect].affected} == faults


def test_losses_are_told_with_ratio_and_method() -> None:
    lossy = image(
        LossyImageCompression="01",
        LossyImageCompressionRatio="10.5",
        LossyImageCompressionMethod="ISO_10918_1",
    )
    assert known(Aspect.LOSSY_COMPRESSION, lossy).details == ("ratio 10.5", "ISO_10918_1")
    named = image(LossyImageCompression="01", LossyImageCompressionMethod="Jane's way")
    assert known(Aspect.LOSSY_COMPRESSION, named).details == ()
    assert not known(Aspect.LOSSY_COMPRESSION, image(LossyImageCompression="")).assessed


def test_a_transfer_syntax_that_always_loses_counts_though_nothing_is_stated() -> None:
    jpeg = pydicom.dcmread(pydicom.data.get_testdata_file("SC_rgb_jpeg_dcmtk.dcm", download=False))
    del jpeg.LossyImageCompression
    assert jpeg.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50"
    assert known(Aspect.LOSSY_COMPRESSION, jpeg).affected


@pytest.mark.parametrize(
    ("aspect", "keyword", "yes", "no"),
    [
        (Aspect.BURNED_IN_TEXT, "BurnedInAnnotation", "YES", "NO"),
        (Aspect.RECOGNISABLE_FEATURES, "RecognizableVisualFeatures", "YES", "NO"),
        (Aspect.MODIFIED_DATES, "LongitudinalTemporalInformationModified", "MODIFIED", "UNMODIFIED"),
    ],
)
def test_a_mark_is_taken_at_its_word_and_its_absence_says_nothing(
    aspect: Aspect, keyword: str, yes: str, no: str
) -> None:
    assert known(aspect, image(**{keyword: yes})) == Assessment(True, True, HowKnown.HEADER)
    assert known(aspect, image(**{keyword: no})) == Assessment(True, False, HowKnown.HEADER)
    assert not known(aspect, image(**{keyword: ""})).assessed


def test_an_identity_counts_as_removed_only_if_every_file_says_so() -> None:
    yes, silent = image(PatientIdentityRemoved="YES"), image(PatientIdentityRemoved="")
    assert not known(Aspect.IDENTITY_NOT_REMOVED, yes, image(PatientIdentityRemoved="YES")).affected
    assert known(Aspect.IDENTITY_NOT_REMOVED, yes, silent).affected


@pytest.mark.parametrize("word", ["usable", "questionable", "unusable", "other"])
def test_the_archive_s_own_word_is_an_aspect(word: str) -> None:
    description = describe_datasets([image()], recorder=RECORDER)
    found = replace(description, archive_quality=word).facts.quality[Aspect.LOW_QUALITY]
    assert (found.assessed, found.affected) == (word != "other", word in ("questionable", "unusable"))
    assert found.how_known is (HowKnown.ARCHIVE if found.assessed else None)


def test_what_the_source_counts_is_compared_with_what_is_there() -> None:
    short = known(Aspect.POSSIBLY_INCOMPLETE, image(), image(), beside=Known(expected_instances=5))
    assert (short.affected, short.details) == (True, ("3 fewer than stated",))
    whole = known(Aspect.POSSIBLY_INCOMPLETE, image(), image(), beside=Known(expected_instances=2))
    assert (whole.assessed, whole.affected) == (True, False)


def test_one_header_that_stands_for_a_series_is_compared_with_nothing() -> None:
    quality = facts(image(), known=Known(expected_instances=40)).quality
    of_several = (Aspect.POSSIBLY_INCOMPLETE, Aspect.DUPLICATE_FILES, Aspect.MIXED_PARAMETERS)
    assert not any(quality[aspect].assessed for aspect in of_several)


def test_how_an_image_was_made_is_kept_with_all_values_that_occur() -> None:
    made = facts(image(KVP="120", SoftwareVersions="syngo"), image(KVP="80", SoftwareVersions="syngo"))
    assert made.acquisition["KVP"] == ["120", "80"]
    assert made.acquisition["SoftwareVersions"] == ["syngo"]
    assert not {"PatientID", "StudyDate", "PatientAge", "SOPInstanceUID"} & set(made.acquisition)


@pytest.mark.parametrize(
    ("values", "year"),
    [
        ({}, 2019),
        ({"LongitudinalTemporalInformationModified": "UNMODIFIED"}, 2019),
        ({"LongitudinalTemporalInformationModified": "MODIFIED"}, None),
        ({"LongitudinalTemporalInformationModified": "REMOVED"}, None),
    ],
)
def test_dates_that_are_marked_as_modified_give_no_year(values: dict[str, object], year: int | None) -> None:
    dates = dict.fromkeys(("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"), "20190412")
    dataset = image(**dates, **values)
    sheet = fact_sheet(dataset, series_uid="", subject="", shift_days=0, recorder=RECORDER)
    assert sheet.acquisition_year == year
    assert describe_datasets([dataset], recorder=RECORDER).sheet.acquisition_year == year


def test_the_code_of_the_option_that_modifies_dates_gives_no_year_either() -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113107", "DCM"
    dataset = image(StudyDate="20190412", DeidentificationMethodCodeSequence=[code])
    sheet = fact_sheet(dataset, series_uid="", subject="", shift_days=0, recorder=RECORDER)
    assert sheet.acquisition_year is None


def test_each_aspect_is_assessed_or_not_and_means_something() -> None:
    quality = facts(image()).quality
    assert list(quality) and set(quality) == set(Aspect) == set(MEANINGS)
    assert not any(
        quality[aspect].assessed for aspect in (Aspect.MOTION, Aspect.ARTEFACTS, Aspect.LOW_QUALITY)
    )
