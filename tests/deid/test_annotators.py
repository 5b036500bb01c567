"""Who made an annotation, how, of which series: known before cleaning takes the names away, kept as pseudonyms."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from tests.deid.conftest import MemoryInstance, as_file
from tests.deid.test_annotations import segment, segmentation, structure_set

from fairbank.database import reading
from fairbank.deid.admitted import EVERYBODY
from fairbank.deid.annotations import Annotations, annotations_of
from fairbank.deid.annotators import (
    KnownAs,
    methods_of,
    parts_of,
    person_key,
    raters_of,
    references_of,
    tracked_in,
)
from fairbank.deid.cleaning import Order
from fairbank.deid.method import Method
from fairbank.deid.part10 import quiet_pydicom
from fairbank.deid.pipeline import Site, deidentify
from fairbank.deid.profiles import Profile
from fairbank.deid.store import facts_of

PLAIN = KnownAs(uid=str, person=str)


def content(code: str, **values: object) -> Dataset:
    item, concept = Dataset(), Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator = code, "DCM"
    item.ConceptNameCodeSequence = [concept]
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def report(*items: Dataset) -> Dataset:
    group, dataset = Dataset(), Dataset()
    group.ContentSequence = list(items)
    dataset.Modality, dataset.ContentSequence = "SR", [group]
    return dataset


def test_methods_are_words_of_a_list() -> None:
    made = [segment("a"), segment("b"), segment("c")]
    with quiet_pydicom():
        for one, word in zip(made, ("AUTOMATIC", "manual", "Jane's"), strict=True):
            one.SegmentAlgorithmType = word
    assert methods_of(segmentation(*made)) == {"automatic", "manual"}
    assert methods_of(Dataset()) == set()


def test_raters_are_people_or_else_devices() -> None:
    device = [content("121012", UID="1.2.3"), content("121013", TextValue="Station 4")]
    person = content("121008", PersonName="Doe^Jane")
    assert raters_of(report(person, *device), PLAIN) == {"doe jane"}
    assert len(raters_of(report(*device[:1]), PLAIN)) == 1
    assert raters_of(report(content("121008", PersonName="Anonymous"), *device[:1]), PLAIN) == {
        "device\x1f1.2.3"
    }


def test_a_creator_is_a_rater_and_an_operator_only_of_a_structure_set() -> None:
    made = segmentation(segment("a"))
    made.OperatorsName = "Oper^Ator"
    assert raters_of(made, PLAIN) == set()
    made.ContentCreatorName = "Doe^Jane"
    assert raters_of(made, PLAIN) == {"doe jane"}
    drawn = structure_set(("Lung_L", "ORGAN", None))
    drawn.OperatorsName = "Doe^John"
    assert raters_of(drawn, PLAIN) == {"doe john"}
    drawn.RTROIObservationsSequence[0].ROIInterpreter = "Roe^Rita"
    assert raters_of(drawn, PLAIN) == {"roe rita"}


@pytest.mark.parametrize("name", ["", "^^^", "ANONYMIZED", "Anon^Anon", "XXX", "****", "12345", "removed"])
def test_what_stands_for_nobody_is_nobody(name: str) -> None:
    assert person_key(name) == ""


def test_a_deep_report_ends() -> None:
    item = content("112040", UID="1.2.3")
    for _ in range(200):
        item = content("1", ContentSequence=[item])
    assert tracked_in(report(item)) == set()
    assert tracked_in(report(content("112040", UID="1.2.3"))) == {"1.2.3"}


def test_two_files_of_a_series_add_up_and_the_same_file_counts_once() -> None:
    one = Annotations(raters=frozenset("A"), counts=frozenset({("1", 3)}))
    other = Annotations(raters=frozenset("B"), counts=frozenset({("2", 2)}))
    merged = one.merged(other).merged(one)
    assert (merged.parts, merged.raters) == (5, {"A", "B"})
    assert Annotations.from_json(merged.as_json()) == merged


def test_labels_known_before_cleaning_stand_and_the_stored_file_completes_the_rest() -> None:
    before = Annotations(named=frozenset({"Lung"}), raters=frozenset("A"))
    stored = Annotations(named=frozenset({"unknown"}), methods=frozenset({"manual"}))
    assert before.before(stored) == Annotations(
        named=frozenset({"Lung"}), raters=frozenset("A"), methods=frozenset({"manual"})
    )
    assert Annotations().before(stored) == stored


@pytest.mark.parametrize("profile", list(Profile))
def test_names_become_digests_and_references_pseudonyms_whatever_the_profile(
    site: Site, profile: Profile
) -> None:
    source = structure_set(("Lung_L", "ORGAN", None))
    source.OperatorsName = "Quarzfeld^Jane"
    image, study, frame = Dataset(), Dataset(), Dataset()
    image.SeriesInstanceUID = "1.2.3.4711"
    study.RTReferencedSeriesSequence, frame.RTReferencedStudySequence = [image], [study]
    source.ReferencedFrameOfReferenceSequence = [frame]
    outcome = next(
        iter(
            deidentify(
                [MemoryInstance(as_file(source))],
                Order("lung", Method(profile)),
                site=site,
                agent="curator",
                admitted=EVERYBODY,
            )
        )
    )
    assert outcome.path is not None, outcome.reason
    with reading(site.database) as session:
        (sheet,) = facts_of(session, "lung").values()
    assert len(sheet.annotations.raters) == 1 and "uarzfeld" not in repr(sheet).lower()
    (referenced,) = sheet.annotations.referenced
    assert referenced.startswith("2.25.") and "4711" not in referenced
    stored = annotations_of(pydicom.dcmread(site.store.root / outcome.path), PLAIN)
    assert stored.referenced == sheet.annotations.referenced
    assert stored.counts == sheet.annotations.counts and sheet.annotations.parts == 1


def test_a_rater_has_one_digest_in_a_project_and_another_elsewhere(site: Site) -> None:
    first, again = (site.identity.subject("lung", subject).person("doe jane") for subject in ("A", "B"))
    assert first == again == site.identity.person("lung", "doe jane")
    assert first not in ("doe jane", site.identity.subject("liver", "A").person("doe jane"))


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "methods", "raters", "parts", "references"),
    [
        # As dcmdump of dcmtk shows them.
        ("dcmqi/data/segmentations/liver.dcm", {"semiautomatic"}, 0, 1, 1),
        ("dcmqi/data/sr-example/seg.dcm", {"manual"}, 1, 1, 1),
        ("dcmqi/data/sr-example/sr.dcm", set(), 1, 1, 3),
        ("highdicom/data/test_files/seg_image_ct_binary.dcm", {"automatic"}, 0, 1, 1),
        ("highdicom/data/test_files/sm_annotations.dcm", {"manual"}, 0, 1, 1),
        ("highdicom/data/test_files/sr_document.dcm", set(), 1, 2, 1),
    ],
)
def test_real_annotations_are_read(
    data_folder: Path, name: str, methods: set[str], raters: int, parts: int, references: int
) -> None:
    dataset = pydicom.dcmread(data_folder / "derived-objects" / name, stop_before_pixels=True)
    found = annotations_of(dataset, PLAIN)
    known = (set(found.methods), len(found.raters), parts_of(dataset), len(references_of(dataset, PLAIN)))
    assert known == (methods, raters, parts, references)
