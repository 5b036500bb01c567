"""Without the key nothing links; with it everything that belongs together does, whoever cleans it and when."""

from __future__ import annotations

import itertools
import random
import secrets
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import UID
from tests.deid.conftest import MemoryInstance, as_file, ct_dataset
from tests.deid.linked_objects import (
    PRESENTATION,
    REGISTRATION,
    REPORT,
    SEGMENTATION,
    STRUCTURES,
    object_on,
    uids_in,
)

from fairbank.clock import FixedClock
from fairbank.database import NodeBase, connect
from fairbank.deid.admitted import EVERYBODY
from fairbank.deid.cleaning import TOOL, Cleaned, Order, clean_file, subject_of
from fairbank.deid.engine import Engine
from fairbank.deid.facts import Recorder
from fairbank.deid.identifiers import identifiers_of
from fairbank.deid.identities import Identities
from fairbank.deid.identity import IdentityStore
from fairbank.deid.key_file import KeyFile
from fairbank.deid.method import Method
from fairbank.deid.part10 import quiet_pydicom, read
from fairbank.deid.pipeline import Site, deidentify
from fairbank.deid.pixels.work import PixelWork
from fairbank.deid.profiles import Profile
from fairbank.deid.pseudonyms import MAXIMUM_SHIFT_DAYS, subject_value
from fairbank.deid.research_store import ResearchStore

RECORDER = Recorder(agent="curator", at=FixedClock().now(), tool="fairbank test")
PATIENTS = [f"PAT-{number:05}" for number in range(60)]
# Three standard deviations of a rank correlation of 60 that have nothing to do with each other.
CHANCE = 3 / 59**0.5


@pytest.fixture(autouse=True)
def real_randomness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw keys and salts from a seeded generator that knows no order, instead of the counter of other tests."""
    drawn = random.Random(20261129)
    monkeypatch.setattr(secrets, "token_bytes", lambda size=32: drawn.randbytes(size))


def cleaned(
    source: Dataset, identity: Identities, project: str = "lung", profile: Profile = Profile.RESEARCH
) -> Cleaned:
    result = clean_file(
        as_file(source), Order(project, Method(profile)), identity=identity, recorder=RECORDER
    )
    assert isinstance(result, Cleaned), result
    return result


def opened(result: Cleaned) -> Dataset:
    return pydicom.dcmread(BytesIO(result.content))


def own_words(dataset: Dataset) -> set[str]:
    """Return every UID that is not registered, and what names the subject."""
    found = {str(dataset.PatientID), str(dataset.PatientName)}
    for element in dataset.iterall():
        if element.VR == "UI":
            values = [element.value] if isinstance(element.value, str) else element.value
            found |= {str(value) for value in values if UID(str(value)).name == str(value)}
    return found


def rank_correlation(first: Sequence[int], second: Sequence[int]) -> float:
    """Return Spearman's rank correlation of two orders of the same things."""
    count = len(first)
    place = {each: number for number, each in enumerate(second)}
    apart = sum((number - place[each]) ** 2 for number, each in enumerate(first))
    return 1 - 6 * apart / (count * (count**2 - 1))


@pytest.mark.parametrize("profile", list(Profile))
def test_the_files_of_a_patient_in_two_projects_share_nothing(
    profile: Profile, identity: IdentityStore, tmp_path: Path
) -> None:
    first, second = (
        opened(cleaned(ct_dataset(), identity, project, profile)) for project in ("lung", "brain")
    )
    other_key = opened(cleaned(ct_dataset(), KeyFile.create(tmp_path / "a.key"), "lung", profile))
    same_key = opened(cleaned(ct_dataset(), KeyFile.read(tmp_path / "a.key"), "brain", profile))
    for one, other in itertools.combinations((first, second, other_key, same_key), 2):
        assert own_words(one) & own_words(other) == set()


def test_two_epochs_share_nothing(tmp_path: Path, clock: FixedClock) -> None:
    found = []
    for rotations in (0, 1):
        path = tmp_path / f"{rotations}.db"
        identity = IdentityStore.create(path, clock=clock)
        for _ in range(rotations):
            identity.rotate(clock=clock)
        found.append(own_words(opened(cleaned(ct_dataset(), identity))))
        path.with_name("suppressions.db").unlink()
    assert found[0] & found[1] == set()


def test_dates_move_by_a_number_of_the_patient_that_nothing_else_tells(identity: IdentityStore) -> None:
    shifts = {}
    for patient in PATIENTS:
        source = ct_dataset(patient)
        out = opened(cleaned(source, identity))
        days = [element.value for element in out.iterall() if element.VR in ("DA", "DT") and element.value]
        assert source.StudyDate not in days
        moved = identity.subject("lung", subject_value(patient))
        shifts[patient] = moved.shift_days
        assert out.StudyDate == f"{date(2019, 4, 12) - timedelta(days=moved.shift_days):%Y%m%d}"
        assert 1 <= moved.shift_days <= MAXIMUM_SHIFT_DAYS
    assert len(set(shifts.values())) >= len(PATIENTS) - 3
    by_shift = sorted(range(len(PATIENTS)), key=lambda number: shifts[PATIENTS[number]])
    names = [identity.find("lung", subject_value(patient)) or "" for patient in PATIENTS]
    by_name = sorted(range(len(PATIENTS)), key=lambda number: names[number])
    assert abs(rank_correlation(by_shift, by_name)) < CHANCE
    assert abs(rank_correlation(by_shift, list(range(len(PATIENTS))))) < CHANCE


def test_no_order_of_the_output_is_that_of_the_input(site: Site) -> None:
    """Names, pseudonyms and UIDs sorted, as every listing sorts them, do not give the patients' order away."""
    sources = [MemoryInstance(as_file(ct_dataset(patient)), n) for n, patient in enumerate(PATIENTS)]
    order = Order("lung", Method(Profile.RESEARCH))
    outcomes = list(deidentify(sources, order, site=site, agent="c", admitted=EVERYBODY))
    for key in ("subject", "study_uid", "series_uid", "sop_uid", "path"):
        values = [str(getattr(outcome, key)) for outcome in outcomes]
        assert len(set(values)) == len(PATIENTS)
        listed = sorted(range(len(PATIENTS)), key=lambda number: values[number])
        assert abs(rank_correlation(listed, list(range(len(PATIENTS))))) < CHANCE, key


def test_the_order_within_a_series_is_kept_by_the_instance_number_alone(identity: IdentityStore) -> None:
    images = [cleaned(ct_dataset(instance=number), identity) for number in range(1, 61)]
    assert [int(opened(image).InstanceNumber) for image in images] == list(range(1, 61))
    names = sorted(range(60), key=lambda number: images[number].sop_uid)
    assert abs(rank_correlation(names, list(range(60)))) < CHANCE


def test_one_process_and_two_give_the_same_bytes(tmp_path: Path, clock: FixedClock) -> None:
    images = [ct_dataset(patient, instance=n) for patient in PATIENTS[:3] for n in (1, 2)]
    contents = [as_file(image) for image in images]
    contents.append(as_file(object_on(images[:2], SEGMENTATION)))
    stores = []
    identity = IdentityStore.create(tmp_path / "identity.db", clock=clock)
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        engine = connect(f"sqlite:///{folder / 'node.db'}")
        NodeBase.metadata.create_all(engine)
        site = Site(IdentityStore(identity.path), ResearchStore(folder / "store"), engine, clock)
        given = contents if workers == 1 else contents[::-1]
        sources = [MemoryInstance(content, number) for number, content in enumerate(given)]
        order = Order("lung", Method(Profile.RESEARCH))
        list(deidentify(sources, order, site=site, agent="c", admitted=EVERYBODY, workers=workers))
        root = folder / "store"
        stores.append({path.relative_to(root): path.read_bytes() for path in root.rglob("*.dcm")})
    assert len(stores[0]) == len(contents)
    assert stores[0] == stores[1]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityStore]:
    folder: Path = tmp_path_factory.mktemp("linkage")
    yield IdentityStore.create(folder / "identity.db", clock=FixedClock())


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    patient=st.sampled_from(PATIENTS),
    series=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    classes=st.lists(
        st.sampled_from([SEGMENTATION, STRUCTURES, REGISTRATION, PRESENTATION, REPORT]),
        min_size=1,
        max_size=4,
    ),
    order=st.randoms(use_true_random=False),
    profile=st.sampled_from(list(Profile)),
    rotate=st.booleans(),
)
def test_references_resolve_whatever_is_cleaned_first_by_whom_and_when(
    patient: str,
    series: list[int],
    classes: list[str],
    order: random.Random,
    profile: Profile,
    rotate: bool,
    shared: IdentityStore,
) -> None:
    groups = [
        [ct_dataset(patient, series=number, instance=one) for one in range(1, count + 1)]
        for number, count in enumerate(series, 1)
    ]
    images = [image for group in groups for image in group]
    pointing = [object_on(group, sop_class) for group in groups for sop_class in dict.fromkeys(classes)]
    things = [*images, *pointing]
    order.shuffle(things)
    half = len(things) // 2
    outputs = [cleaned_any(one, shared, profile) for one in things[:half]]
    if rotate:
        shared.rotate(clock=FixedClock())
    later = IdentityStore(shared.path)
    outputs += [cleaned_any(one, later, profile) for one in things[half:]]
    later.close()

    mapped: dict[str, set[str]] = {}
    for source, out in zip(things, outputs, strict=True):
        before, after = sorted(uids_in(source)), list(uids_in(out))
        # What refers is kept where the object is: each original has one new name, whichever file has it.
        wanted = {(tag, value) for tag, value in before}
        assert {tag for tag, _ in after} <= {tag for tag, _ in wanted}
        for value in {value for _, value in before}:
            mapped.setdefault(value, set()).add(shared.subject("lung", subject_value(patient)).uid(value))
        new = {next(iter(mapped[value])) for _, value in before}
        assert {value for _, value in after} <= new
    assert all(len(names) == 1 for names in mapped.values())
    instances = {str(out.SOPInstanceUID) for out in outputs}
    frames = {str(out.FrameOfReferenceUID) for out in outputs if "FrameOfReferenceUID" in out}
    for source, out in zip(things, outputs, strict=True):
        if source.SOPClassUID in (SEGMENTATION, STRUCTURES, REGISTRATION):
            referred = {value for tag, value in uids_in(out) if tag == 0x00081155}
            studies = {str(one.StudyInstanceUID) for one in outputs}
            assert referred and referred <= instances | studies
            assert {value for tag, value in uids_in(out) if tag in (0x00200052, 0x30060024)} <= frames


def cleaned_any(source: Dataset, identity: IdentityStore, profile: Profile) -> Dataset:
    """Clean a file; one of a class that is held goes through the engine alone, whose mapping is asked for here."""
    method = Method(profile)
    content = as_file(source)
    result = clean_file(content, Order("lung", method), identity=identity, recorder=RECORDER)
    if isinstance(result, Cleaned):
        return opened(result)
    assert source.SOPClassUID in (PRESENTATION, REPORT), result
    with quiet_pydicom():
        dataset = read(content)
        pseudonyms = identity.subject("lung", subject_of(dataset))
        words = identifiers_of(dataset).own_words
        Engine(method, pseudonyms, words, TOOL, PixelWork()).clean(dataset)
    return dataset
