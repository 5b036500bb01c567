"""Quality when all is taken together: what people found, what refers to nothing, and what a record says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from sqlalchemy import select
from tests.conftest import Ran
from tests.deid.conftest import as_file, ct_dataset
from tests.deid.test_annotations import structure_set

from fairbank.database import reading, writing
from fairbank.harvest import records
from fairbank.harvest.aspects import Aspect
from fairbank.harvest.counting import Facts, assessed_key, subjects_key
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.errors import BadQualityFile
from fairbank.harvest.index import forget_in_index, index_store
from fairbank.harvest.publishing import preview
from fairbank.harvest.quality_words import import_quality
from fairbank.harvest.records import build
from fairbank.harvest.runs import PullOrder, pull
from fairbank.harvest.series_view import series_of
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.harvest.store import QualityWordRow, SeriesRow
from fairbank.ontology.counts import CountKind
from fairbank.ontology.record import CollectionKind, HowKnown, Quality
from fairbank.release.node import Node
from fairbank.release.published_counts import quality_key

HEAD = "series,aspect,value,rater,date\n"
ORDER = PullOrder("archive", "P", "lungs", "curator")


def scan(patient: str, number: int = 1) -> pydicom.Dataset:
    return ct_dataset(patient, study=1, instance=number)


def marks(patient: str, rater: str, number: int, *, of: str | None = None) -> pydicom.Dataset:
    """Return a structure set that somebody drew on the series of a patient, or on another."""
    image, dataset = scan(patient), structure_set(("Lung_L", "ORGAN", None))
    for keyword in ("PatientID", "StudyInstanceUID", "StudyDate"):
        setattr(dataset, keyword, getattr(image, keyword))
    dataset.SeriesInstanceUID = f"{image.SeriesInstanceUID}.{number}"
    dataset.SOPInstanceUID = f"{image.SOPInstanceUID}.{number}"
    dataset.OperatorsName = rater
    dataset.StructureSetROISequence[0].ROIGenerationAlgorithm = "SEMIAUTOMATIC"
    series, study, frame = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    series.SeriesInstanceUID = of or image.SeriesInstanceUID
    study.RTReferencedSeriesSequence, frame.RTReferencedStudySequence = [series], [study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    return dataset


@pytest.fixture
def indexed(node: Node, tmp_path: Path) -> Callable[..., Node]:
    def make(*datasets: pydicom.Dataset) -> Node:
        (folder := tmp_path / "archive" / "P").mkdir(parents=True)
        for number, dataset in enumerate(datasets):
            (folder / f"{number}.dcm").write_bytes(as_file(dataset))
        add_source(node, "archive", kind=SourceKind.FOLDER, location=str(tmp_path / "archive"))
        assert set(pull(node, ORDER).files) == {"ok"}
        define_dataset(node, "lungs", project="lungs", description=Description("L", "T", CollectionKind.TEST))
        index_store(node, "lungs")
        return node

    return make


def quality(node: Node, aspect: Aspect) -> Quality:
    with reading(node.engine) as session:
        record = build(session, node, "lungs")
    return next(each for each in record.quality if each.aspect == aspect.value)


def rows(node: Node, attribute: str) -> dict[str, int | None]:
    with reading(node.engine) as session:
        record = build(session, node, "lungs")
    return {row.value: row.subjects.value for row in record.distributions if row.attribute == attribute}


def told(tmp_path: Path, *lines: str, head: str = HEAD) -> Path:
    path = tmp_path / "findings.csv"
    path.write_text(head + "".join(f"{line}\n" for line in lines), encoding="utf-8-sig")
    return path


def test_what_a_person_found_counts_by_pseudonym_or_by_the_archive_s_own_id(
    indexed: Callable[..., Node], tmp_path: Path
) -> None:
    node = indexed(scan("A"), scan("B"), scan("C"))
    assert not quality(node, Aspect.MOTION).assessed
    first = series_of(node, "lungs")[0].series_uid
    others = [str(scan(patient).SeriesInstanceUID) for patient in "ABC"]
    report = import_quality(
        node,
        "lungs",
        told(tmp_path, *(f"{uid},motion,yes,Quarzfeld,2026-01-02" for uid in others),
             f"{first},low-quality,no,Quarzfeld,2026-01-02"),
    )  # fmt: skip
    assert (report.taken, report.series, report.faults) == (4, 3, ())
    motion = quality(node, Aspect.MOTION)
    assert (motion.assessed, motion.how_known, motion.at) == (
        True,
        HowKnown.CURATOR,
        "2026-01-02T00:00:00.000Z",
    )
    assert motion.series_affected is not None and motion.series_affected.value == 3
    stored = b"".join(path.read_bytes() for path in node.settings.home.glob("node.db*"))
    assert b"Quarzfeld" not in stored
    with reading(node.engine) as session:
        assert not {row.series_uid for row in session.scalars(select(QualityWordRow))} & set(others)


def test_a_person_s_word_comes_before_what_was_computed_and_outlives_indexing(
    indexed: Callable[..., Node], tmp_path: Path
) -> None:
    node = indexed(scan("A"), scan("B"))
    uids = [view.series_uid for view in series_of(node, "lungs")]
    before = quality(node, Aspect.IMPLAUSIBLE_VALUES)
    assert before.how_known is HowKnown.COMPUTED
    import_quality(
        node, "lungs", told(tmp_path, *(f"{uid},implausible-values,yes,A,2026-01-02" for uid in uids))
    )
    for path in node.settings.store_path.rglob("*.dcm"):
        path.touch()
    assert index_store(node, "lungs").items == {"ok": 2}
    after = quality(node, Aspect.IMPLAUSIBLE_VALUES)
    assert after.how_known is HowKnown.CURATOR
    assert after.series_affected is not None and after.series_affected.value == 2


def test_raters_who_disagree_and_one_who_changes_her_mind(
    indexed: Callable[..., Node], tmp_path: Path
) -> None:
    node = indexed(scan("A"))
    (view,) = series_of(node, "lungs")

    def motion(*words: str) -> tuple[bool, bool]:
        lines = [
            f"{view.series_uid},motion,{word},{rater},2026-01-02"
            for rater, word in zip("AB", words, strict=False)
        ]
        import_quality(node, "lungs", told(tmp_path, *lines))
        known = series_of(node, "lungs")[0].known[Aspect.MOTION].assessment
        return known.assessed, known.affected

    assert motion("not-assessed") == (False, False)
    assert motion("no", "yes") == (True, True)
    assert motion("no", "no") == (True, False)
    with reading(node.engine) as session:
        assert len(session.scalars(select(QualityWordRow)).all()) == 2


def test_bad_rows_are_named_by_number_and_stop_no_other(indexed: Callable[..., Node], tmp_path: Path) -> None:
    node = indexed(scan("A"))
    uid = series_of(node, "lungs")[0].series_uid
    file = told(
        tmp_path,
        "1.2.3;motion;yes;A;2026-01-02", f"{uid};jane;yes;A;2026-01-02", f"{uid};motion;maybe;A;2026-01-02",
        f"{uid};motion;yes;;2026-01-02", f"{uid};motion;yes;A;02.01.2026", ";motion;yes;A;2026-01-02", ";;;;",
        f"{uid};motion;yes;A;2026-01-02", head=HEAD.replace(",", ";"),
    )  # fmt: skip
    tried = import_quality(node, "lungs", file, dry_run=True)
    with reading(node.engine) as session:
        assert session.scalars(select(QualityWordRow)).all() == []
    report = import_quality(node, "lungs", file)
    assert [fault.row for fault in report.faults] == [2, 3, 4, 5, 6, 7]
    assert report.taken == tried.taken == 1
    assert not any(
        word in fault.why for fault in report.faults for word in ("jane", "maybe", "1.2.3", "02.01")
    )


@pytest.mark.parametrize("content", [b"series,aspect\n1,motion\n", b"\xff\xfe\x00", b""])
def test_a_file_that_is_no_such_table_is_refused(node: Node, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "findings.csv").write_bytes(content)
    with pytest.raises(BadQualityFile):
        import_quality(node, "lungs", tmp_path / "findings.csv")


def test_an_annotation_says_how_and_by_how_many_it_was_made_and_of_what(indexed: Callable[..., Node]) -> None:
    node = indexed(
        scan("A"), marks("A", "Quarzfeld^Jane", 1), marks("A", "Doe^John", 2),
        scan("B"), marks("B", "QUARZFELD^JANE", 1), marks("B", "Quarzfeld^Jane", 2),
        scan("C"), marks("C", "Anonymous", 1),
    )  # fmt: skip
    assert rows(node, "annotation-method") == {"semiautomatic": 3}
    assert rows(node, "annotation-raters") == {"several": 1, "one": 1, "unknown": 1}
    assert rows(node, "annotation-label") == {"Lung": 3}
    stored = b"".join(path.read_bytes() for path in node.settings.home.glob("*.db*"))
    assert b"uarzfeld" not in stored.lower() and b"UARZFELD" not in stored


def test_a_reference_to_a_series_that_is_not_here_is_an_orphan(indexed: Callable[..., Node]) -> None:
    node = indexed(scan("A"), marks("A", "X^Y", 1), scan("B"), marks("B", "X^Y", 1, of="1.2.3.4.5"))
    views = series_of(node, "lungs", affected=Aspect.ORPHAN_REFERENCES)
    assert [view.modality for view in views] == ["RTSTRUCT"]
    assert views[0].known[Aspect.ORPHAN_REFERENCES].assessment.details == ("1 of 1 series",)
    assessed = quality(node, Aspect.ORPHAN_REFERENCES)
    assert assessed.assessed and assessed.how_known is HowKnown.COMPUTED


def test_few_subjects_are_not_told_by_many_series() -> None:
    def told(*, affected: int, subjects: int, without: int) -> CountKind | None:
        counts = {
            assessed_key("burned-in-text"): affected + without,
            quality_key("burned-in-text"): affected,
            subjects_key("burned-in-text", affected=True): subjects,
            subjects_key("burned-in-text", affected=False): without,
        }
        found = records.quality_of_counts(counts, Facts(), 2)
        count = next(each for each in found if each.aspect == "burned-in-text").series_affected
        return count.kind if count else None

    assert told(affected=20, subjects=1, without=4) is CountKind.BELOW_K
    assert told(affected=21, subjects=2, without=4) is CountKind.EXACT
    assert told(affected=21, subjects=2, without=1) is CountKind.BELOW_K
    assert told(affected=0, subjects=0, without=1) is CountKind.EXACT


def test_what_an_older_index_kept_is_not_assessed(indexed: Callable[..., Node]) -> None:
    node = indexed(scan("A"), scan("B"))
    with writing(node.engine) as session:
        for one in session.scalars(select(SeriesRow)):
            one.quality = {"motion": {"assessed": False}}
    with reading(node.engine) as session:
        found = build(session, node, "lungs").quality
    assert found and not any(each.assessed for each in found)


def test_no_detail_of_a_series_is_in_the_record(indexed: Callable[..., Node]) -> None:
    node = indexed(scan("A"), scan("B"), marks("B", "X^Y", 1, of="1.2.3.4.5"))
    envelope = preview(node, "lungs").envelope
    assert b"of 1 series" not in envelope
    assert not any(view.series_uid.encode() in envelope for view in series_of(node, "lungs"))


def test_the_curator_looks_at_series_and_says_what_was_found(
    indexed: Callable[..., Node], tmp_path: Path, fairbank: Callable[..., Ran]
) -> None:
    node = indexed(scan("A"), scan("B"))
    first, second = (view.series_uid for view in series_of(node, "lungs"))
    file = told(
        tmp_path, f"{first},motion,yes,A,2026-01-02", f"{second},motion,no,A,2026-01-02", "x,motion,yes,A,1"
    )
    ran = fairbank("harvest", "quality", "import", "lungs", file, "--format", "json")
    assert (ran.code, json.loads(ran.out)) == (1, {"rows taken": 2, "series": 2, "rows not taken": 1})
    assert "row 4: column date" in ran.err
    (row,) = json.loads(
        fairbank("harvest", "series", "lungs", "--affected", "motion", "--format", "json").out
    )
    assert (row["series"], row["how_known"], row["details"]) == (first, "curator", ["1 of 1 raters"])
    both = json.loads(fairbank("harvest", "series", "lungs", "--format", "json").out)
    assert [each["quality"]["motion"]["affected"] for each in both] == [True, False]
    assert first in fairbank("harvest", "series", "lungs").out
    fairbank("harvest", "series", "lungs", "--affected", "beauty").refused("beauty", "missing-slices", code=2)


def test_what_was_said_of_a_withdrawn_subject_goes_with_it(
    indexed: Callable[..., Node], tmp_path: Path
) -> None:
    node = indexed(scan("A"), scan("B"))
    gone, stays = series_of(node, "lungs")
    import_quality(
        node,
        "lungs",
        told(tmp_path, *(f"{one.series_uid},motion,yes,A,2026-01-02" for one in (gone, stays))),
    )
    with writing(node.engine) as session:
        forget_in_index(session, "lungs", gone.subject)
    with reading(node.engine) as session:
        assert [row.series_uid for row in session.scalars(select(QualityWordRow))] == [stays.series_uid]
