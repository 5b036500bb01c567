"""From headers to distributions: what the index says of a series, with or without a fact sheet, and what is counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from sqlalchemy import update
from tests.deid.conftest import as_file, ct_dataset
from tests.deid.test_annotations import structure_set

from fairbank.database import reading, writing
from fairbank.deid.profiles import Profile
from fairbank.deid.store import FactRow
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.headers import read_header
from fairbank.harvest.index import index_store, live_series
from fairbank.harvest.publishing import preview
from fairbank.harvest.records import build
from fairbank.harvest.runs import PullOrder, pull
from fairbank.harvest.series import SeriesFacts, describe
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.ontology.record import CollectionKind, DatasetRecord, HowKnown
from fairbank.release.node import Node

DESCRIPTION = Description("Lungs", "Made for tests.", CollectionKind.TEST)
Rows = dict[tuple[str, str], int | None]


def image(patient: str, day: str, *, instance: int = 1, **values: object) -> Dataset:
    dataset = ct_dataset(patient, study=int(day), instance=instance)
    dataset.StudyDate = day
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def stack(patient: str, day: str, step_mm: float, **values: object) -> list[Dataset]:
    return [
        image(
            patient, day, instance=number, ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[0, 0, step_mm * number], SliceThickness=3, **values,
        )
        for number in range(1, 5)
    ]  # fmt: skip


def marks(patient: str, day: str, *names: str) -> Dataset:
    dataset = structure_set(*((name, "ORGAN", None) for name in names))
    own = image(patient, day)
    for keyword in ("PatientID", "StudyInstanceUID", "StudyDate"):
        setattr(dataset, keyword, getattr(own, keyword))
    dataset.SeriesInstanceUID = f"{own.SeriesInstanceUID}.1"
    dataset.SOPInstanceUID = f"{own.SOPInstanceUID}.1"
    return dataset


Archive = Callable[..., Node]


@pytest.fixture
def indexed(node: Node, tmp_path: Path) -> Archive:
    """Return a node that has pulled and indexed some files."""

    def make(*datasets: Dataset, profile: Profile = Profile.RESEARCH) -> Node:
        folder = tmp_path / "archive" / "P"
        folder.mkdir(parents=True)
        for number, dataset in enumerate(datasets):
            (folder / f"{number}.dcm").write_bytes(as_file(dataset))
        add_source(node, "archive", kind=SourceKind.FOLDER, location=str(tmp_path / "archive"))
        report = pull(node, PullOrder("archive", "P", "lungs", "curator", profile))
        assert set(report.files) == {"ok"}, report.files
        define_dataset(node, "lungs", project="lungs", description=DESCRIPTION)
        index_store(node, "lungs")
        return node

    return make


def record(node: Node) -> DatasetRecord:
    with reading(node.engine) as session:
        return build(session, node, "lungs")


def rows(node: Node, attribute: str) -> dict[str, int | None]:
    return {row.value: row.subjects.value for row in record(node).distributions if row.attribute == attribute}


def facts_of(tmp_path: Path, *datasets: Dataset) -> SeriesFacts:
    headers = []
    for number, dataset in enumerate(datasets):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(as_file(dataset))
        headers.append(read_header(path))
    return describe(headers)


def test_the_scanner_and_its_settings_are_counted_by_known_words(indexed: Archive) -> None:
    siemens, ge = {"Manufacturer": "SIEMENS"}, {"Manufacturer": "GE", "ManufacturerModelName": "SIGNA HDx"}
    known = siemens | {"ManufacturerModelName": "Sensation 16", "ConvolutionKernel": "B70f"}
    odd = siemens | {"ManufacturerModelName": "Turbo Super 3000", "ContrastBolusAgent": "Ultravist"}
    node = indexed(
        *stack("A", "20190412", 1.5, **known),
        image("B", "20190412", **odd),
        image("C", "20190412", Modality="MR", MagneticFieldStrength="15000", **ge),
    )
    assert rows(node, "model") == {"SOMATOM Sensation 16": 1, "Signa HDx": 1, "other": 1}
    assert rows(node, "field-strength") == {"1.5": 1}
    assert rows(node, "kernel") == {"sharp": 1, "unknown": 1}
    assert rows(node, "slice-spacing") == {"1.5-2": 1, "unknown": 2}
    assert rows(node, "contrast") == {"yes": 1, "unknown": 2}
    assert b"Turbo" not in preview(node, "lungs").envelope


def test_what_is_known_of_no_image_is_left_out(indexed: Archive) -> None:
    node = indexed(image("A", "20190412", ManufacturerModelName=""))
    attributes = {row.attribute for row in record(node).distributions}
    assert attributes == {"sex", "age-band", "acquisition-year", "time-points", "follow-up"}


@pytest.mark.parametrize("profile", list(Profile))
def test_visits_and_follow_up_are_counted_by_subject_whatever_becomes_of_dates(
    indexed: Archive, profile: Profile
) -> None:
    days = {"A": ["20190412"], "B": ["20190412", "20200501"], "C": ["20190412", "20190601", "20251001"]}
    node = indexed(
        *(image(patient, day) for patient, of_patient in days.items() for day in of_patient), profile=profile
    )
    assert rows(node, "time-points") == {"1": 1, "2": 1, "3-5": 1}
    assert rows(node, "follow-up") == {"none": 1, "1-2y": 1, ">=5y": 1}
    known = {row.how_known for row in record(node).distributions if row.attribute == "follow-up"}
    assert known == {HowKnown.COMPUTED}


def test_the_true_day_is_nowhere_in_the_node_s_database(indexed: Archive) -> None:
    node = indexed(image("A", "20190412"), image("A", "20200501"))
    with reading(node.engine) as session:
        days = sorted(row.study_day or 0 for row in live_series(session, "lungs"))
    true = [date(2019, 4, 12).toordinal(), date(2020, 5, 1).toordinal()]
    assert days[1] - days[0] == true[1] - true[0]
    assert not set(days) & set(true)


def test_a_subject_with_an_image_of_no_date_is_not_known(indexed: Archive) -> None:
    node = indexed(image("A", "20190412"), image("A", "20200501", StudyDate=""), image("B", "20190412"))
    assert rows(node, "time-points") == {"1": 1, "unknown": 1}
    assert rows(node, "follow-up") == {"none": 1, "unknown": 1}


def test_annotations_are_counted_and_are_no_images(indexed: Archive) -> None:
    node = indexed(
        image("A", "20190412"), marks("A", "20200501", "Lung_L", "Jane's node"), image("B", "20190412"),
        image("C", "20190412", Laterality="L"), marks("C", "20190412", "Lungs"),
    )  # fmt: skip
    assert rows(node, "annotation-label") == {"Lung": 2, "other": 1}
    assert rows(node, "time-points") == {"1": 3}
    assert rows(node, "laterality") == {"left": 1, "unknown": 2}
    known = {row.how_known for row in record(node).distributions if row.attribute == "annotation-label"}
    assert known == {HowKnown.COMPUTED}


def test_an_older_fact_sheet_leaves_what_the_stored_file_says(indexed: Archive) -> None:
    node = indexed(image("A", "20190412"), image("A", "20200501"), marks("A", "20190412", "Lung_L", "Jane's"))
    with writing(node.engine) as session:
        session.execute(update(FactRow).values(study_day=None, annotations=None, kernel_class="unknown"))
    for path in node.settings.store_path.rglob("*.dcm"):
        path.touch()
    index_store(node, "lungs")
    assert rows(node, "time-points") == {"2": 1}
    assert set(rows(node, "annotation-label")) <= {"Lung", "other", "unknown"}


def test_without_sheet_and_dates_nothing_is_said_of_visits(indexed: Archive) -> None:
    node = indexed(image("A", "20190412"), profile=Profile.BASIC)
    with writing(node.engine) as session:
        session.execute(update(FactRow).values(study_day=None))
    for path in node.settings.store_path.rglob("*.dcm"):
        path.touch()
    index_store(node, "lungs")
    assert rows(node, "time-points") == {}


@pytest.mark.parametrize(
    ("sides", "word"),
    [
        (["L"], "left"), (["R"], "right"), (["L", "R"], "both"), (["B"], "both"), (["U"], "unpaired"),
        ([""], "unknown"), (["Jane"], "unknown"),
    ],
)  # fmt: skip
def test_the_side_of_a_series_is_that_of_its_images(tmp_path: Path, sides: list[str], word: str) -> None:
    images = [
        image("A", "20190412", instance=n, ImageLaterality=side) for n, side in enumerate(sides, start=1)
    ]
    assert facts_of(tmp_path, *images).laterality == word


def test_an_enhanced_image_says_side_and_kernel_in_its_frames(tmp_path: Path) -> None:
    anatomy, reconstruction, groups = Dataset(), Dataset(), Dataset()
    anatomy.FrameLaterality, reconstruction.ConvolutionKernel = "R", ["Br40d", "3"]
    groups.FrameAnatomySequence, groups.CTReconstructionSequence = [anatomy], [reconstruction]
    enhanced = image("A", "20190412", SharedFunctionalGroupsSequence=[groups])
    facts = facts_of(tmp_path, enhanced)
    assert (facts.laterality, facts.kernel) == ("right", "soft")


def test_a_field_strength_is_asked_of_mr_and_a_kernel_of_ct_only(tmp_path: Path) -> None:
    both: dict[str, object] = {"MagneticFieldStrength": "3", "ConvolutionKernel": "B30f"}
    ct = facts_of(tmp_path, image("A", "20190412", **both))
    mr = facts_of(tmp_path, image("A", "20190412", Modality="MR", **both))
    assert (ct.field_strength, ct.kernel) == ("unknown", "soft")
    assert (mr.field_strength, mr.kernel) == ("3", "unknown")


def test_the_spacing_of_slices_is_computed_or_unknown(tmp_path: Path) -> None:
    assert facts_of(tmp_path, *stack("A", "20190412", 0.8)).slice_spacing == "<1"
    alone = image("A", "20190412", SpacingBetweenSlices=0.8)
    assert facts_of(tmp_path, alone).slice_spacing == "unknown"


def test_dates_that_stand_for_none_are_no_days(tmp_path: Path) -> None:
    for values in (
        {"StudyDate": "19000101"},
        {"StudyDate": ""},
        {"LongitudinalTemporalInformationModified": "REMOVED"},
    ):
        assert facts_of(tmp_path, image("A", "20190412", **values)).study_day is None
    assert facts_of(tmp_path, image("A", "20190412")).study_day is not None


@pytest.mark.data
def test_a_real_segmentation_is_indexed_by_what_it_shows(data_folder: Path) -> None:
    path = data_folder / "derived-objects" / "dcmqi" / "data" / "segmentations" / "liver.dcm"
    assert pydicom.dcmread(path, stop_before_pixels=True).Modality == "SEG"
    assert describe([read_header(path)]).annotations.labels == {"Liver"}
