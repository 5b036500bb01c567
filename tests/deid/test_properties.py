"""No identifier survives, wherever it is put; references resolve wherever they point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.deid.conftest import Clean, as_file, ct_dataset, uid

from fairbank.clock import FixedClock
from fairbank.deid.cleaning import Held, Order, clean_file
from fairbank.deid.facts import Recorder
from fairbank.deid.identity import IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.part10 import quiet_pydicom
from fairbank.deid.profiles import Profile

TEXT_TAGS = st.sampled_from(
    [
        *(0x00080070, 0x00081030, 0x0008103E, 0x00081090, 0x00180015, 0x00181020, 0x00181030, 0x00181210),
        *(0x00204000, 0x00102000, 0x00100032, 0x00321060, 0x00400254, 0x00081048, 0x0040A160, 0x00080104),
        *(0x00190010, 0x00191008, 0x00189998, 0x60001500, 0x00880140, 0x00181000, 0x00120060, 0x00080080),
    ]
)
NAMES = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=5, max_size=12)
NUMBERS = st.from_regex(r"[1-9][0-9]{8,9}", fullmatch=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityStore]:
    folder: Path = tmp_path_factory.mktemp("identity")
    yield IdentityStore.create(folder / "identity.db", clock=FixedClock())


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    family=NAMES,
    patient=NUMBERS,
    placed=st.lists(
        st.tuples(TEXT_TAGS, st.integers(0, 2), st.sampled_from(["{f}", "by {f} 3mm", "no. {p}"])), max_size=6
    ),
    profile=st.sampled_from(list(Profile)),
)
def test_no_identifier_survives(
    family: str,
    patient: str,
    placed: list[tuple[int, int, str]],
    profile: Profile,
    shared: IdentityStore,
) -> None:
    source = ct_dataset(patient)
    source.PatientName = f"{family}^Ottilie"
    levels = [source, Dataset(), Dataset()]
    for tag, depth, pattern in placed:
        known = tag >= 0x00080000 and tag not in (0x00189998, 0x60001500) and (tag >> 16) % 2 == 0
        vr = dictionary_VR(tag) if known else "LO"
        text = pattern.format(f=family, p=patient)
        with quiet_pydicom():
            levels[depth].add_new(tag, "LO" if vr in ("UI", "TM") else vr, text)
    levels[1].add_new(0x00082220, "SQ", Sequence([levels[2]]))
    source.add_new(0x00082218, "SQ", Sequence([levels[1]]))
    recorder = Recorder("curator", FixedClock().now(), "test")
    result = clean_file(as_file(source), Order("lung", Method(profile)), identity=shared, recorder=recorder)
    if isinstance(result, Held):
        return
    output = result.content.upper()
    for secret in (family, patient, "OTTILIE", "ACC99817", str(source.StudyInstanceUID), "19420229"):
        assert secret.encode() not in output


def test_references_between_files_resolve(clean: Clean) -> None:
    images = [ct_dataset(instance=number) for number in (1, 2, 3)]
    segmentation = ct_dataset(series=2)
    segmentation.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    items = []
    for image in images:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
        items.append(item)
    series = Dataset()
    series.SeriesInstanceUID = images[0].SeriesInstanceUID
    series.ReferencedInstanceSequence = Sequence(items)
    segmentation.ReferencedSeriesSequence = Sequence([series])
    cleaned = [clean(image)[1] for image in images]
    _, mask = clean(segmentation)
    assert len({image.SOPInstanceUID for image in cleaned}) == 3
    assert {image.SeriesInstanceUID for image in cleaned} == {
        mask.ReferencedSeriesSequence[0].SeriesInstanceUID
    }
    assert mask.SeriesInstanceUID != cleaned[0].SeriesInstanceUID
    assert mask.StudyInstanceUID == cleaned[0].StudyInstanceUID
    assert mask.FrameOfReferenceUID == cleaned[0].FrameOfReferenceUID
    referenced = [
        item.ReferencedSOPInstanceUID for item in mask.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    ]
    assert referenced == [image.SOPInstanceUID for image in cleaned]


def test_a_device_is_recognised_across_subjects(clean: Clean) -> None:
    devices = set()
    for patient in ("PATIENT-A", "PATIENT-B"):
        source = ct_dataset(patient)
        source.InstanceCreatorUID = uid("workstation")
        devices.add(clean(source)[1].InstanceCreatorUID)
    assert len(devices) == 1


def test_no_two_files_become_one(clean: Clean) -> None:
    outputs = [
        clean(ct_dataset(f"PATIENT-{patient}", study, series, instance))[1].SOPInstanceUID
        for patient in "ABC"
        for study in (1, 2)
        for series in (1, 2)
        for instance in (1, 2)
    ]
    assert len(set(outputs)) == 24


def test_an_output_is_a_file_that_can_be_cleaned_again(clean: Clean) -> None:
    content, _ = clean(ct_dataset())
    again, dataset = clean(content)
    assert dataset.PatientIdentityRemoved == "YES"
    assert len(dataset.DeidentificationMethodCodeSequence) == len(Method(Profile.RESEARCH).codes)
    assert again[:132] == content[:132]
