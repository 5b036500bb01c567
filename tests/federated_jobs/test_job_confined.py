"""Jobs whose code runs in the real sandbox, on real DICOM."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from fairbank.federated_jobs.node.runner import ConfinedRunner

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
    assert files == {"plot.svg", "table.csv", "table.json"}


def test_confined_workers_train_a_model_round_after_round(confined):
    job = confined.run("slice-autoencoder", rounds=2, parameters={"image_size": 16, "width": 2, "levels": 1})
    assert confined.state(job) == "completed", [confined.site_state(job, n) for n in confined.sites]
    metrics = [f for f in confined.get(f"/v1/jobs/{job}/results").json()["files"] if f["name"] == "metrics"]
    assert len(metrics) == 2
    notes = confined.get(f"/v1/blobs/{metrics[-1]['digest']}").json()["sites"]
    assert set(notes) == {"east", "north"}
    assert notes["east"]["n_train"] >= 1
