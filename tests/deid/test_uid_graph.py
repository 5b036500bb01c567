"""References resolve after cleaning, and what was two stays two."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import RTStructureSetStorage
from tests.deid.conftest import Clean, as_file, ct_dataset, uid

from fairbank.deid.method import Method
from fairbank.deid.profiles import Profile
from fairbank.deid.verification.output import Output
from fairbank.deid.verification.problem import Fault
from fairbank.deid.verification.uid_graph import UidGraph, links_of

KEY = b"k" * 32
METHOD = Method(Profile.RESEARCH)


def item(**values: object) -> Sequence:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return Sequence([dataset])


def structure_set() -> Dataset:
    """Return a structure set that was drawn on instance 1."""
    dataset, image = ct_dataset(series=2, instance=9), ct_dataset(instance=1)
    dataset.SOPClassUID = RTStructureSetStorage
    del dataset.PixelData
    images = item(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)
    contour = item(
        ContourImageSequence=images,
        ContourGeometricType="POINT",
        NumberOfContourPoints="1",
        ContourData=["1", "2", "3"],
    )
    dataset.ROIContourSequence = item(ContourSequence=contour, ReferencedROINumber="1")
    dataset.ReferencedFrameOfReferenceSequence = item(FrameOfReferenceUID=image.FrameOfReferenceUID)
    return dataset


def feed(graph: UidGraph, before: bytes, after: bytes, subject: str = "one") -> None:
    original, output = Output.read(before), Output.read(after)
    graph.add(links_of(original, output, method=METHOD, subject=subject, key=KEY))


def test_references_of_a_structure_set_resolve_in_any_order(clean: Clean) -> None:
    graph = UidGraph()
    for dataset in (structure_set(), ct_dataset(instance=1)):
        feed(graph, as_file(dataset), clean(dataset)[0])
    assert graph.faults() == {}
    assert graph.summary()["references within the run"] == 2


def test_a_reference_that_leads_elsewhere_is_lost(clean: Clean) -> None:
    graph = UidGraph()
    content, made = clean(structure_set())
    right = str(
        made.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[0].ReferencedSOPInstanceUID
    )
    wrong = right[:-1] + str((int(right[-1]) + 1) % 10)
    feed(graph, as_file(structure_set()), content.replace(right.encode(), wrong.encode()))
    assert graph.faults() == {}  # the image is not in the run, so nothing can be said
    feed(graph, as_file(ct_dataset(instance=1)), clean(ct_dataset(instance=1))[0])
    assert graph.faults() == {Fault.REFERENCE_LOST: 1}


def test_two_instances_with_one_uid_are_seen(clean: Clean) -> None:
    graph = UidGraph()
    after, _ = clean(ct_dataset(instance=1))
    feed(graph, as_file(ct_dataset(instance=1)), after)
    feed(graph, as_file(ct_dataset(instance=2)), after)
    assert graph.faults()[Fault.TWO_TO_ONE] >= 1


def test_one_series_in_two_is_seen(clean: Clean) -> None:
    graph = UidGraph()
    after, made = clean(ct_dataset(instance=2))
    feed(graph, as_file(ct_dataset(instance=1)), clean(ct_dataset(instance=1))[0])
    series = str(made.SeriesInstanceUID)
    feed(graph, as_file(ct_dataset(instance=2)), after.replace(series.encode(), series[:-1].encode() + b"0"))
    if series[-1] != "0":
        assert graph.faults() == {Fault.ONE_TO_TWO: 1}


def test_the_same_uid_of_two_subjects_is_two(clean: Clean) -> None:
    graph = UidGraph()
    one, two = ct_dataset("PAT-1"), ct_dataset("PAT-2")
    two.FrameOfReferenceUID = one.FrameOfReferenceUID
    for dataset in (one, two):
        feed(graph, as_file(dataset), clean(dataset)[0], subject=dataset.PatientID)
    assert graph.faults() == {}


@pytest.mark.parametrize("original", [uid("PAT-4711", 1), uid("PAT-4711", 1, 1)])
def test_original_uids_are_kept_as_digests_only(original: str, clean: Clean) -> None:
    before, after = Output.read(as_file(structure_set())), Output.read(clean(structure_set())[0])
    links = links_of(before, after, method=METHOD, subject="one", key=KEY)
    assert original not in repr(links) and original.encode() not in repr(links).encode()
