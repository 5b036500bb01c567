"""Jobs whose code runs in the real sandbox, on real DICOM."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from safetensors.numpy import load_file, save_file
from sqlalchemy import select

from fairbank.catalogue import blobs
from fairbank.database import reading
from fairbank.demo.small_cohorts import allow_small_trainings
from fairbank.federated_jobs.hub.store import UpdateRow
from fairbank.federated_jobs.node.runner import ConfinedRunner
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Element, Training

pytestmark = pytest.mark.sandbox

FILES = ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm")


@pytest.fixture
def confined(start, tmp_path):
    fed = start("east", "north")
    for site in fed.sites.values():
        folder = tmp_path / "images" / site.name
        series = site.index.series["collection"]
        for place, one in enumerate(series):
            target = folder / one.series_uid
            target.mkdir(parents=True)
            source = Path(get_testdata_file(FILES[place % 2]))
            (target / "1.dcm").write_bytes(source.read_bytes())
            series[place] = type(one)(one.series_uid, one.subject, one.content_digest, target)
        site.runner = ConfinedRunner(site.node)
        site.restart()
    yield fed
    for site in fed.sites.values():
        site.runner.close()


def test_measurements_of_confined_workers_become_one_table(confined):
    job = confined.run("intensity-geometry")
    assert confined.state(job) == "completed"
    files = {file["name"] for file in confined.get(f"/v1/jobs/{job}/results").json()["files"]}
    assert files == {"forest.svg", "plot.svg", "table.csv", "table.json"}


def test_what_confined_workers_left_out_is_told_by_reason_where_enough_subjects_are(confined):
    # At one site a report stands for the images of one subject, at the other for those of two; two are enough here.
    for site, subjects in ((confined.sites["east"], 1), (confined.sites["north"], 2)):
        for one in site.index.series["collection"][: 2 * subjects : 2]:
            report = Path(get_testdata_file("reportsi.dcm"))
            (one.directory / "1.dcm").write_bytes(report.read_bytes())
    job = confined.run("intensity-geometry")
    assert confined.state(job) == "completed"
    files = {one["name"]: one["digest"] for one in confined.get(f"/v1/jobs/{job}/results").json()["files"]}
    told = confined.get(f"/v1/blobs/{files['exclusions.csv']}").text.splitlines()
    assert told == ["site,reason,series,subjects", "east,other-reasons,<2,<2", "north,not_an_image,2,2"]
    table = confined.get(f"/v1/blobs/{files['table.json']}").json()
    assert table["statuses"]["east"] == {"ok": 5, "impossible": 0, "error": 0}
    assert table["statuses"]["north"] == {"ok": 4, "impossible": 2, "error": 0}
    assert "exclusions.svg" in files


@pytest.mark.long
def test_confined_workers_train_under_encryption_and_hand_the_opened_model_over(confined):
    asked = Training(filters=(Element(name="ckks"),))
    small = {"image_size": 16, "width": 2, "levels": 1}
    job = confined.run("slice-autoencoder", rounds=3, quorum=2, training=asked, parameters=small)
    assert confined.state(job) == "completed", [confined.site_state(job, n) for n in confined.sites]
    with reading(confined.hub.engine) as session:
        sent = {(row.round, row.node): load_file(row.path) for row in session.scalars(select(UpdateRow))}
    assert {name for (number, _), update in sent.items() if number < 3 for name in update} == {
        "ckks",
        "ckks.layout",
    }
    final = load_file(blobs.path_of(confined.hub, confined.model(job)))
    assert final.keys() == sent[3, "east"].keys() == sent[3, "north"].keys()
    for name, values in final.items():
        np.testing.assert_array_equal(values, sent[3, "east"][name])
    # What reads a job's rounds bears that of these updates no norm is known.
    assert confined.get(f"/v1/jobs/{job}/training").status_code == 200


def test_confined_workers_train_a_model_round_after_round(confined):
    job = confined.run("slice-autoencoder", rounds=2, parameters={"image_size": 16, "width": 2, "levels": 1})
    assert confined.state(job) == "completed", [confined.site_state(job, n) for n in confined.sites]
    metrics = [f for f in confined.get(f"/v1/jobs/{job}/results").json()["files"] if f["name"] == "metrics"]
    assert len(metrics) == 2
    notes = confined.get(f"/v1/blobs/{metrics[-1]['digest']}").json()["sites"]
    assert set(notes) == {"east", "north"}
    assert notes["east"]["n_train"] >= 1


def test_confined_workers_measure_and_only_sums_over_subjects_leave(start, tmp_path):
    fed = start()
    for name in ("east", "north"):
        site = fed.add(name, subjects=8)
        folder = tmp_path / "images" / name
        for place, one in enumerate(site.index.series["collection"]):
            target = folder / one.series_uid
            target.mkdir(parents=True)
            (target / "1.dcm").write_bytes(Path(get_testdata_file("CT_small.dcm")).read_bytes())
            site.index.series["collection"][place] = type(one)(
                one.series_uid, one.subject, one.content_digest, target
            )
        site.runner = ConfinedRunner(site.node)
        site.restart()
    fed.request = partial(type(fed).request, fed, output_classes=(OutputClass.AGGREGATE,))
    visa = fed.visa(terms={"output_classes": (OutputClass.AGGREGATE,), "tool_families": ("statistics",)})
    parameters = {
        "statistic": "describe", "measure": "intensity-geometry", "variables": ["mean", "slice_thickness_mm"]
    }  # fmt: skip
    job = fed.submit(fed.manifest(visa, "statistics", parameters=parameters))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.settle()
    assert fed.state(job) == "completed", [fed.site_state(job, name) for name in fed.sites]
    files = {one["name"]: one["digest"] for one in fed.get(f"/v1/jobs/{job}/results").json()["files"]}
    mean, thickness = fed.get(f"/v1/blobs/{files['result.json']}").json()["rows"]
    pixels = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    expected = pixels.pixel_array.mean() * pixels.RescaleSlope + pixels.RescaleIntercept
    assert mean["subjects"] == 16
    assert mean["mean"] == pytest.approx(float(expected), rel=1e-3)
    assert thickness["mean"] == pytest.approx(float(pixels.SliceThickness), rel=1e-9)
    for site in fed.sites.values():
        site.runner.close()


@pytest.mark.long
def test_a_model_that_could_not_be_made_by_training_ends_the_job_there_and_harms_no_other(confined):
    east = confined.sites["east"]
    honest = east.runner.run

    def run(task):
        if task.round == 2:
            model = load_file(task.global_model)
            name = next(iter(sorted(model)))
            save_file(model | {name: np.full_like(model[name], np.nan)}, task.global_model)
        return honest(task)

    east.runner.run = run
    parameters = {"image_size": 16, "width": 2, "levels": 1}
    job = confined.run("slice-autoencoder", rounds=2, quorum=1, parameters=parameters)
    assert confined.site_state(job, "east") == ("failed", "model_refused")
    assert confined.state(job) == "completed"
    with reading(east.node.engine) as session:
        row = session.get_one(ReviewRow, job)
        assert (row.error, row.stopped_by) == ("FB-JOBS-442", "model")
    again = confined.run("slice-autoencoder", parameters=parameters)
    assert confined.state(again) == "completed"
    assert confined.site_state(again, "east")[0] == "released"


@pytest.mark.long
def test_an_update_of_fewer_images_than_the_site_asks_for_is_not_sent_though_the_cohort_has_them(confined):
    # Six series are in the cohort; one of three subjects is held out, so fewer are trained on.
    allow_small_trainings(confined.sites["east"].node, minimum_images=6)
    parameters = {"image_size": 16, "width": 2, "levels": 1}
    job = confined.run("slice-autoencoder", quorum=1, parameters=parameters)
    assert confined.site_state(job, "east") == ("failed", "cohort_insufficient")
    assert confined.site_state(job, "north")[0] == "released"
    assert confined.sites["east"].outbox.pending() == []
