"""From a clinic's images, segmentation and structure set to radiomic features: cleaned, indexed, staged, measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import update
from tests.analysis.annotated import LUNG, square, write_segmentation, write_structures
from tests.analysis.made_up import write_series
from tests.deid.conftest import as_file, ct_dataset, uid

from fairbank.analysis.run import run_tool
from fairbank.analysis.tool import tool_digest
from fairbank.database import reading, writing
from fairbank.federated_jobs.node.sandbox_policy import JobFolder
from fairbank.federated_jobs.node.sandbox_staging import AnnotationToStage, SeriesToStage, stage_series
from fairbank.harvest.annotation_series import AnnotationSeries, annotations_on
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.errors import UnknownDataset
from fairbank.harvest.index import index_store, live_series
from fairbank.harvest.runs import PullOrder, pull
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.harvest.store import SeriesRow
from fairbank.ontology.record import CollectionKind
from fairbank.release.node import Node

SHAPE, SPACING = (6, 16, 16), (2.0, 1.0, 1.0)
KINDS = ("SEG", "RTSTRUCT")
WHO = (
    "SpecificCharacterSet", "StudyDate", "StudyTime", "AccessionNumber", "PatientName", "PatientID",
    "PatientBirthDate", "PatientSex", "PatientAge", "StudyInstanceUID", "Manufacturer",
)  # fmt: skip


@pytest.fixture(scope="module")
def values() -> NDArray[np.float64]:
    return np.round(np.random.default_rng(11).normal(40, 30, SHAPE))


@pytest.fixture(scope="module")
def ball() -> NDArray[np.bool_]:
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in SHAPE), indexing="ij")
    found: NDArray[np.bool_] = ((z - 2.5) * 2) ** 2 + (y - 7) ** 2 + (x - 8) ** 2 < 5**2
    return found


def of_patient(patient: str, *series: object) -> dict[str, Any]:
    said = ct_dataset(patient)
    return {name: said[name].value for name in WHO} | {
        "SeriesInstanceUID": uid(patient, *series),
        "FrameOfReferenceUID": said.FrameOfReferenceUID,
    }


def clinic(folder: Path, patient: str, values: NDArray[Any], ball: NDArray[Any]) -> str:
    """Write what a clinic has of a patient; return the UID of the images' series."""
    whose = of_patient(patient, "ct")
    write_series(
        folder / "ct", values, spacing_mm=SPACING, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"], **whose
    )
    for number, file in enumerate(sorted((folder / "ct").iterdir())):
        image = dcmread(file)
        image.SOPInstanceUID = uid(patient, "ct", number)
        file.write_bytes(as_file(_without_meta(image)))
    images = str(whose["SeriesInstanceUID"])
    write_segmentation(
        folder / "seg.dcm",
        {1: ball},
        spacing_mm=SPACING,
        codes={1: LUNG},
        references=images,
        **{**of_patient(patient, "seg"), "SOPInstanceUID": uid(patient, "seg", 1)},
    )
    lines = [square(2.0 * place, (3.5, 4.5), (10.5, 11.5)) for place in range(1, 4)]
    write_structures(
        folder / "rt.dcm",
        {1: lines},
        names={1: "GTV_Quarzfeld"},
        references=images,
        **{**of_patient(patient, "rt"), "SOPInstanceUID": uid(patient, "rt", 1)},
    )
    return images


def _without_meta(image: Dataset) -> Dataset:
    found = Dataset()
    found.update({element.tag: element for element in image})
    return found


@pytest.fixture
def lungs(node: Node, tmp_path: Path, values: NDArray[Any], ball: NDArray[Any]) -> Node:
    """A node that has cleaned and indexed what a clinic has of two patients."""
    for patient in ("PAT-1", "PAT-2"):
        clinic(tmp_path / "archive" / "P" / patient, patient, values, ball)
    add_source(node, "archive", kind=SourceKind.FOLDER, location=str(tmp_path / "archive"))
    report = pull(node, PullOrder("archive", "P", "lungs", "curator"))
    assert set(report.files) == {"ok"}, report.files
    define_dataset(
        node, "lungs", project="lungs", description=Description("Lungs", "Made.", CollectionKind.TEST)
    )
    index_store(node, "lungs")
    return node


def images_of(node: Node) -> dict[str, SeriesRow]:
    with reading(node.engine) as session:
        return {row.series_uid: row for row in live_series(session, "lungs") if row.modality == "CT"}


def found_on(node: Node, kinds: tuple[str, ...] = KINDS) -> list[AnnotationSeries]:
    subjects = {uid: row.subject for uid, row in images_of(node).items()}
    with reading(node.engine) as session:
        return annotations_on(session, "lungs", subjects, kinds)


def test_cleaned_annotations_are_found_by_the_images_that_they_refer_to(lungs: Node) -> None:
    found = found_on(lungs)
    images = sorted(images_of(lungs))
    assert [(one.of, one.kind) for one in found] == [
        (image, kind) for image in images for kind in ("RTSTRUCT", "SEG")
    ]
    assert [one.kind for one in found_on(lungs, ("SEG",))] == ["SEG", "SEG"]
    assert found_on(lungs, ()) == []
    with reading(lungs.engine) as session, pytest.raises(UnknownDataset):
        annotations_on(session, "no such", {}, KINDS)


@pytest.mark.parametrize(
    "change", [{"state": "gone"}, {"held": "a reason"}, {"directory": ""}, {"subject": "somebody else"}]
)
def test_what_may_not_be_used_or_is_of_somebody_else_describes_nothing(
    lungs: Node, change: dict[str, str]
) -> None:
    with writing(lungs.engine) as session:
        session.execute(update(SeriesRow).where(SeriesRow.modality == "SEG").values(**change))
    assert {one.kind for one in found_on(lungs)} == {"RTSTRUCT"}


def test_cleaned_images_and_annotations_lead_to_features_and_to_no_name(
    lungs: Node, tmp_path: Path, values: NDArray[Any], ball: NDArray[Any]
) -> None:
    rows = images_of(lungs)
    found = found_on(lungs)
    staged = [
        SeriesToStage(
            unit=f"u{number}",
            subject=f"p{number}",
            files=tuple(sorted(Path(row.directory).glob("*.dcm"))),
            annotations=tuple(
                AnnotationToStage(one.kind, tuple(sorted(one.directory.glob("*.dcm"))))
                for one in found
                if one.of == series
            ),
        )
        for number, (series, row) in enumerate(sorted(rows.items()), start=1)
    ]
    folder = JobFolder(tmp_path / "job")
    total = stage_series(staged, folder)
    assert total == sum(file.stat().st_size for file in folder.inputs.rglob("*.dcm"))
    into = tmp_path / "rows.json"
    wanted = {"feature_families": ["statistics", "morphology"]}
    outcome = run_tool(
        "radiomics", digest=tool_digest("radiomics"), parameters=wanted, inputs=folder.inputs, into=into
    )
    assert (outcome.statuses, outcome.subjects) == ({"ok": 4, "impossible": 0, "error": 0}, 2)
    told = into.read_text()
    measured = json.loads(told)["rows"]
    assert [(row["row"], row["roi_source"], row["structure"]) for row in measured[:2]] == [
        ("u1", "structure-set", "GTV"),
        ("u1", "segmentation", "Lung"),
    ]
    inside = values[ball]
    assert measured[1]["stat_mean"] == pytest.approx(inside.mean(), rel=1e-4)
    assert measured[1]["voxels"] == inside.size and measured[0]["voxels"] == 3 * 7 * 7
    assert not [word for word in ("PAT-1", "Quarzfeld", "1.2.", "2.25.") if word in told]


def test_annotations_are_staged_where_only_their_images_are(tmp_path: Path) -> None:
    image, annotation = tmp_path / "image.dcm", tmp_path / "annotation.dcm"
    image.write_bytes(b"image")
    annotation.write_bytes(b"annotation")
    one = SeriesToStage("u1", "s1", (image,), annotations=(AnnotationToStage("SEG", (annotation,)),))
    folder = JobFolder(tmp_path / "job")
    stage_series([one, replace(one, unit="u2", annotations=())], folder)
    files = sorted(str(file.relative_to(folder.inputs)) for file in folder.inputs.rglob("*.dcm"))
    assert files == ["u1/000001.dcm", "u1/a01/000001.dcm", "u2/000001.dcm"]
