"""Annotations of a cohort: frozen with it, handed to the worker with their images; radiomics of two real sites."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, select, update
from tests.analysis.annotated import FRAME, NODULE, write_segmentation
from tests.analysis.made_up import write_series
from tests.analysis.test_radiomics import baseline, nrrd

from fairbank.database import reading, writing
from fairbank.federated_jobs.node.approval import authorise
from fairbank.federated_jobs.node.inputs import series_to_stage
from fairbank.federated_jobs.node.runner import ConfinedRunner
from fairbank.federated_jobs.node.store import CohortAnnotationRow
from fairbank.harvest.index import content_digest_of
from fairbank.harvest.store import DatasetRow, SeriesRow
from fairbank.ontology.record import CollectionKind

SHAPE, SPACING = (6, 12, 12), (2.0, 1.0, 1.0)
QUICK = {"feature_families": ["statistics"]}


def in_index(site, series, folder: Path, uid: str, *, kind: str = "SEG") -> None:
    """Put an annotation of a series into the site's index."""
    now = site.node.clock.now()
    with writing(site.node.engine) as session:
        if session.get(DatasetRow, "collection") is None:
            texts = dict.fromkeys(("project", "title", "description", "publisher", "access_rights"), "p")
            kinds = {"collection_kind": CollectionKind.TEST.value, "keywords": [], "data_use": []}
            session.add(DatasetRow(slug="collection", version=0, created=now, updated=now, **texts, **kinds))
        row = SeriesRow(
            project="p",
            series_uid=uid,
            subject=series.subject,
            state="live",
            held=None,
            gone=None,
            directory=str(folder),
            content_digest=content_digest_of(folder, uid) or "",
            modality=kind,
            instances=1,
            frames=1,
            annotations={"referenced": [series.series_uid]},
            quality={},
            acquisition={},
            run="r",
            seen=now,
        )
        for column in SeriesRow.__table__.columns:
            if getattr(row, column.name) is None and not column.nullable and column.name != "id":
                setattr(row, column.name, "unknown")
        session.add(row)


def segmented(site, series, folder: Path, mask, spacing=SPACING) -> str:
    """Draw a mask on a series, in the index of its site; return the UID of the annotation."""
    uid = f"8.{series.series_uid}"
    write_segmentation(
        folder / "1.dcm",
        {1: mask},
        spacing_mm=spacing,
        codes={1: NODULE},
        references=series.series_uid,
        PatientID=series.subject,
        StudyInstanceUID="7.7",
        SeriesInstanceUID=uid,
        SOPInstanceUID=f"{uid}.1",
    )
    in_index(site, series, folder, uid)
    return uid


def ball() -> np.ndarray:
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in SHAPE), indexing="ij")
    return ((z - 2.5) * 2) ** 2 + (y - 5) ** 2 + (x - 6) ** 2 < 4**2


@pytest.fixture
def fed(start):
    return start("east")


@pytest.fixture
def site(fed, tmp_path):
    site = fed.sites["east"]
    for place, one in enumerate(site.index.series["collection"][:3]):
        segmented(site, one, tmp_path / "annotations" / str(place), ball())
    return site


def approved(fed, site, tool="radiomics") -> str:
    job = fed.submit(fed.manifest(fed.visa(), tool))
    fed.settle()
    site.approve(job)
    return job


def staged(site, job):
    with writing(site.node.engine) as session:
        cohort = authorise(site.node, session, job, source=site.index).cohort
    return series_to_stage(site.node, job, cohort)


def test_images_are_staged_with_what_describes_them(fed, site):
    found = staged(site, approved(fed, site))
    assert [[one.kind for one in series.annotations] for series in found] == [["SEG"]] * 3 + [[]] * 3
    assert all(len(one.files) == 1 for series in found for one in series.annotations)


def test_a_tool_that_reads_images_only_is_handed_images_only(fed, site):
    job = approved(fed, site, "intensity-geometry")
    assert not any(series.annotations for series in staged(site, job))
    with reading(site.node.engine) as session:
        assert session.scalars(select(CohortAnnotationRow)).all() == []


def test_what_is_drawn_after_the_approval_never_enters(fed, site, tmp_path):
    job = approved(fed, site)
    before = staged(site, job)
    segmented(site, site.index.series["collection"][4], tmp_path / "late", ball())
    assert staged(site, job) == before


@pytest.mark.parametrize("change", ["gone", "held", "indexed anew", "file changed"])
def test_what_has_gone_or_changed_is_left_out(fed, site, change, caplog):
    job = approved(fed, site)
    first = SeriesRow.series_uid == f"8.{site.index.series['collection'][0].series_uid}"
    with writing(site.node.engine) as session:
        directory = session.scalars(select(SeriesRow.directory).where(first)).one()
        match change:
            case "gone":
                session.execute(delete(SeriesRow).where(first))
            case "held":
                session.execute(update(SeriesRow).where(first).values(held="a reason"))
            case "indexed anew":
                session.execute(update(SeriesRow).where(first).values(content_digest="sha256:" + "f" * 64))
    if change == "file changed":
        file = Path(directory) / "1.dcm"
        file.write_bytes(file.read_bytes() + b"\0\0")
    assert [len(series.annotations) for series in staged(site, job)] == [0, 1, 1, 0, 0, 0]
    assert "goes without 1 annotations" in caplog.text
    assert "8.9" not in caplog.text


def test_annotations_of_a_series_that_left_the_cohort_are_not_missed(fed, site, caplog):
    job = approved(fed, site)
    del site.index.series["collection"][0]
    assert [len(series.annotations) for series in staged(site, job)] == [1, 1, 0, 0, 0]
    assert "goes without" not in caplog.text


@pytest.fixture
def confined(start):
    fed = start("east", "north")
    yield fed
    for site in fed.sites.values():
        site.runner.close()


def given(site, folder: Path, voxels, spacing, mask) -> None:
    """Give a site one image series with a drawn region for each of two subjects."""
    series = site.index.series["collection"]
    series[:] = [series[0], series[2]]
    images = folder / "images"
    write_series(images, voxels, spacing_mm=spacing, FrameOfReferenceUID=FRAME)
    for place, one in enumerate(series):
        series[place] = type(one)(one.series_uid, one.subject, one.content_digest, images)
        segmented(site, one, folder / f"seg{place}", mask, spacing)
    site.runner = ConfinedRunner(site.node)
    site.restart()


def table_of(fed, job) -> list[dict]:
    files = {file["name"]: file for file in fed.get(f"/v1/jobs/{job}/results").json()["files"]}
    rows = json.loads(fed.get(f"/v1/blobs/{files['table.json']['digest']}").text)["rows"]
    return sorted(rows, key=lambda row: (row["site"], row["row"]))


@pytest.mark.sandbox
def test_regions_are_measured_in_the_sandbox_and_become_one_table(confined, tmp_path):
    values = np.round(np.random.default_rng(5).normal(40, 30, SHAPE))
    for name, site in confined.sites.items():
        given(site, tmp_path / name, values, SPACING, ball())
    job = confined.run("radiomics", parameters={"spacing_mm": "1.5", "interpolator": "cubic-bspline"})
    assert confined.state(job) == "completed", [confined.site_state(job, n) for n in confined.sites]
    rows = table_of(confined, job)
    assert [(row["site"], row["status"], row["structure"]) for row in rows] == [
        (name, "ok", "Nodule") for name in ("east", "east", "north", "north")
    ]
    assert len({row["cm_joint_entr_d1_3d_avg"] for row in rows}) == 1 and rows[0]["stat_mean"] is not None


@pytest.mark.sandbox
@pytest.mark.chest_ct
def test_tumours_of_two_real_chest_cts_are_measured_at_two_sites(confined, tmp_path):
    """Radiomics of the drawn tumours, with the values that the archive publishes; and the density of the lungs."""
    folder = Path(os.environ["FAIRBANK_CHEST_CT"])
    at = {"east": "lung1", "north": "lung2"}
    for name, site in confined.sites.items():
        (voxels, spacing), (mask, _) = (
            nrrd(folder / f"{at[name]}_{kind}.nrrd") for kind in ("image", "label")
        )
        given(site, tmp_path / name, voxels, spacing, mask == 1)
    job = confined.run("radiomics", parameters={"bins_from": "zero"})
    assert confined.state(job) == "completed", [confined.site_state(job, n) for n in confined.sites]
    rows = table_of(confined, job)
    assert [row["status"] for row in rows] == ["ok"] * 4
    for row in rows:
        published = baseline(at[row["site"]])
        for column, name in (
            ("morph_volume", ("shape", "MeshVolume")),
            ("stat_mean", ("firstorder", "Mean")),
            ("cm_contrast_d1_3d_avg", ("glcm", "Contrast")),
            ("rlm_sre_3d_avg", ("glrlm", "ShortRunEmphasis")),
            ("szm_zs_entr_3d", ("glszm", "ZoneEntropy")),
            ("ngt_strength_3d", ("ngtdm", "Strength")),
            ("ngl_dc_entr_3d", ("gldm", "DependenceEntropy")),
        ):
            assert row[column] == pytest.approx(published[name], rel=1e-4), (row["site"], column)
    lungs = confined.run(
        "lung-densitometry", parameters={"maximum_thickness_mm": "5", "whole_lungs": "not-required"}
    )
    assert confined.state(lungs) == "completed"
    litres = {row["site"]: row["volume_l"] for row in table_of(confined, lungs)}
    assert litres == {"east": pytest.approx(2.83, rel=0.05), "north": pytest.approx(3.90, rel=0.05)}
