"""What segmentations and structure sets show, looked up before cleaning masks what people typed."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from tests.deid.conftest import MemoryInstance, as_file, ct_dataset

from fairbank.database import reading
from fairbank.deid.admitted import EVERYBODY
from fairbank.deid.annotations import Annotations, annotations_of
from fairbank.deid.cleaning import Order
from fairbank.deid.method import Method
from fairbank.deid.pipeline import Site, deidentify
from fairbank.deid.profiles import Profile
from fairbank.deid.store import facts_of

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"


def code(scheme: str, value: str) -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator, item.CodeValue, item.CodeMeaning = scheme, value, "Canary meaning"
    return item


def segment(label: str, *types: Dataset, region: Dataset | None = None) -> Dataset:
    item = Dataset()
    item.SegmentLabel = label
    item.SegmentedPropertyTypeCodeSequence = list(types)
    if region is not None:
        item.AnatomicRegionSequence = [region]
    return item


def segmentation(*segments: Dataset) -> Dataset:
    dataset = Dataset()
    dataset.SegmentSequence = list(segments)
    return dataset


def structure_set(*regions: tuple[str, str, Dataset | None]) -> Dataset:
    dataset = ct_dataset()
    del dataset[0x7FE00010]
    dataset.Modality, dataset.SOPClassUID = "RTSTRUCT", RT_STRUCTURE_SET
    dataset.StructureSetROISequence, dataset.RTROIObservationsSequence = [], []
    for number, (name, kind, coded) in enumerate(regions, start=1):
        region, seen = Dataset(), Dataset()
        region.ROINumber, region.ROIName = number, name
        seen.ReferencedROINumber, seen.RTROIInterpretedType = number, kind
        if coded is not None:
            seen.RTROIIdentificationCodeSequence = [coded]
        dataset.StructureSetROISequence.append(region)
        dataset.RTROIObservationsSequence.append(seen)
    return dataset


def test_a_code_says_what_a_segment_shows_whatever_its_label_is() -> None:
    found = annotations_of(segmentation(segment("Jane's tumour", code("SCT", "10200004"))))
    assert found == Annotations(coded=frozenset({"Liver"}))


def test_a_general_type_leaves_it_to_the_region() -> None:
    found = annotations_of(
        segmentation(segment("x", code("SCT", "91772007"), region=code("SCT", "64033007")))
    )
    assert found == Annotations(coded=frozenset({"Kidney"}))
    found = annotations_of(segmentation(segment("x", code("SCT", "91772007"))))
    assert found == Annotations(coded=frozenset({"Organ"}))
    found = annotations_of(
        segmentation(segment("x", code("SCT", "85756007"), region=code("SCT", "64033007")))
    )
    assert found == Annotations(coded=frozenset({"Kidney"}))
    found = annotations_of(
        segmentation(segment("x", code("SCT", "108369006"), region=code("SCT", "64033007")))
    )
    assert found == Annotations(coded=frozenset({"Neoplasm"}))


def test_a_label_counts_where_there_is_no_code_of_the_group() -> None:
    found = annotations_of(
        segmentation(segment("Liver", code("99X", "1")), segment("Dr. Liver"), segment("* *"), segment(""))
    )
    assert found == Annotations(named=frozenset({"Liver", "other", "unknown"}))


def test_the_background_and_tools_of_a_treatment_are_left_out() -> None:
    assert annotations_of(segmentation(segment("rest", code("DCM", "125040")))) == Annotations()
    assert annotations_of(structure_set(("Iso 1", "ISOCENTER", None))) == Annotations()


def test_a_region_is_known_by_code_then_by_name_then_by_kind() -> None:
    found = annotations_of(
        structure_set(
            ("Jane", "ORGAN", code("SCT", "64033007")), ("Lung_L", "ORGAN", None), ("Skin of Jane", "EXTERNAL", None),
            ("high dose", "PTV", None), ("Jane", "ORGAN", None),
        )
    )  # fmt: skip
    assert found == Annotations(
        coded=frozenset({"Kidney"}), named=frozenset({"Lung", "External contour", "PTV", "other"})
    )


def test_two_files_of_a_series_add_up() -> None:
    one, other = Annotations(frozenset({"Liver"})), Annotations(frozenset({"Lung"}), frozenset({"PTV"}))
    merged = one.merged(other)
    assert merged == Annotations(frozenset({"Liver", "Lung"}), frozenset({"PTV"}))
    assert Annotations.from_json(merged.as_json()) == merged
    assert Annotations.from_json(None) == Annotations()


@pytest.mark.parametrize("profile", list(Profile))
def test_names_are_looked_up_before_they_are_cleaned_away(site: Site, profile: Profile) -> None:
    source = structure_set(("Lung_L", "ORGAN", None), ("Quarzfeld's node", "", None))
    order = Order("lung", Method(profile))
    outcome = next(
        iter(
            deidentify(
                [MemoryInstance(as_file(source))], order, site=site, agent="curator", admitted=EVERYBODY
            )
        )
    )
    assert outcome.path is not None, outcome.reason
    with reading(site.database) as session:
        sheet = facts_of(session, "lung")[str(outcome.series_uid)]
    assert (sheet.annotations.coded, sheet.annotations.named) == (set(), {"Lung", "other"})
    stored = pydicom.dcmread(site.store.root / outcome.path)
    assert "Quarzfeld" not in str(stored)


def test_a_real_structure_set_is_read() -> None:
    path = get_testdata_file("rtstruct.dcm", download=False)
    found = annotations_of(pydicom.dcmread(path, force=True))
    assert found == Annotations(named=frozenset({"External contour"}), methods=frozenset({"manual"}))


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "coded", "named"),
    [
        ("dcmqi/data/segmentations/liver.dcm", {"Liver"}, set()),
        ("dcmqi/data/segmentations/sparse-labelmap-noppv.dcm", {"Liver"}, set()),
        ("dcmqi/data/sr-example/seg.dcm", {"Neoplasm, Primary"}, set()),
        (
            "dcmqi/data/segmentations/partial_overlaps.dcm",
            {"Artery", "Capillary", "Edema", "Vein"},
            {"other"},
        ),
        ("highdicom/data/test_files/seg_image_ct_binary_overlap.dcm", {"Bone", "Spine"}, set()),
        ("highdicom/data/test_files/seg_image_sm_control_labelmap.dcm", {"Connective tissue"}, set()),
    ],
)
def test_real_segmentations_say_what_they_show(
    data_folder: Path, name: str, coded: set[str], named: set[str]
) -> None:
    found = annotations_of(pydicom.dcmread(data_folder / "derived-objects" / name, stop_before_pixels=True))
    assert (found.coded, found.named) == (coded, named)
