"""Models that come with jobs: brought to the hub, fetched by the sites of the job only, applied in the sandbox."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.analysis.annotated import FRAME
from tests.analysis.made_up import write_series
from tests.analysis.test_bundle_scan import bundle, whole
from tests.analysis.test_segmentation_inference import threshold_model
from tests.federated_jobs.conftest import refusal
from tests.federated_jobs.test_cohort_annotations import SHAPE, SPACING, ball, segmented, table_of

from fairbank.catalogue import accounts
from fairbank.database import reading, writing
from fairbank.federated_jobs.node import overlays
from fairbank.federated_jobs.node.model_files import fetched
from fairbank.federated_jobs.node.progress import job_folder
from fairbank.federated_jobs.node.runner import ConfinedRunner
from fairbank.federated_jobs.node.sandbox_policy import JobFolder
from fairbank.federated_jobs.node.withdrawn_subjects import clear_staged
from fairbank.signing import sha256_digest

TOOL = "segmentation-inference"


def bring(fed, file: Path, *, format: str = "onnx", token: str | None = None) -> httpx.Response:
    return httpx.post(
        f"{fed.url}/v1/model-files",
        params={"name": file.name, "format": format},
        content=file.read_bytes(),
        headers={"Authorization": f"Bearer {token or fed.token}"},
        timeout=30,
    )


@pytest.fixture
def model(tmp_path) -> Path:
    return threshold_model(tmp_path / "model.onnx", 0.0)


def options(digest: str) -> dict:
    labels = [{"channel": 1, "structure": "Nodule"}]
    return {"model": digest, "labels": labels, "patch": [12, 12, 8]}


def test_a_model_is_brought_once_and_listed(start, model):
    fed = start()
    answers = [bring(fed, model) for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["digest"] == sha256_digest(model.read_bytes())
    (listed,) = fed.get("/v1/model-files").json()["files"]
    assert (listed["name"], listed["format"], listed["size_bytes"]) == (
        "model.onnx", "onnx", model.stat().st_size
    )  # fmt: skip
    own = fed.get(f"/v1/blobs/{listed['digest']}")
    assert own.content == model.read_bytes()


@pytest.mark.parametrize(
    ("content", "format", "code"),
    [
        (b"nothing of the kind", "onnx", "FB-JOBS-270"),
        (b"", "onnx", "FB-JOBS-270"),
        (b"\x08" + bytes(3000), "onnx", "FB-JOBS-270"),
        (b"no zip", "monai-bundle", "FB-ANA-030"),
    ],
)
def test_files_that_are_no_models_leave_nothing_behind(start, tmp_path, content, format, code):
    fed = start(jobs_model_file_bytes=2000)
    (tmp_path / "file").write_bytes(content)
    answer = bring(fed, tmp_path / "file", format=format)
    assert answer.json()["code"] == code
    assert fed.get("/v1/model-files").json()["files"] == []
    assert not [path for path in fed.hub.blobs.rglob("*") if path.is_file()]


def test_a_bundle_that_runs_code_is_refused_at_the_hub(start, tmp_path):
    fed = start()
    evil = {"configs/evil.json": json.dumps({"a": "$__import__('os').system('id')"})}
    answer = bring(fed, bundle(tmp_path / "b.zip", whole(**evil)), format="monai-bundle")
    assert (answer.status_code, answer.json()["code"]) == (422, "FB-ANA-030")
    assert "configs/evil.json#a" in answer.json()["why"]


def test_only_who_brought_a_model_sends_jobs_with_it(start, model):
    fed = start("east")
    manifest = fed.manifest(fed.visa(), TOOL, parameters=options(sha256_digest(model.read_bytes())))
    answer = fed.post("/v1/jobs", manifest.seal(fed.requester))
    assert answer.json()["code"] == "FB-JOBS-271"
    with writing(fed.hub.engine) as session:
        accounts.create_account(
            session, fed.hub, name="bob", password="correct horse 2", roles=[accounts.Role.RESEARCHER]
        )
        other = accounts.issue_token(session, fed.hub, name="bob", hours=1).token
    digest = bring(fed, model, token=other).json()["digest"]
    assert fed.post("/v1/jobs", manifest.seal(fed.requester)).json()["code"] == "FB-JOBS-271"
    assert fed.get(f"/v1/blobs/{digest}").status_code == 404
    assert fed.get("/v1/model-files").json()["files"] == []
    bring(fed, model)
    fed.submit(manifest)


def test_a_site_fetches_the_models_of_its_own_jobs_only(start, model):
    fed = start("east", "north")
    digest = bring(fed, model).json()["digest"]
    east, north = fed.sites["east"], fed.sites["north"]
    refusal(lambda: fetched(east.node, east.client(), "no-job", [digest]))
    visa = fed.visa()
    at_east = [
        one for one in fed.manifest(visa, TOOL, parameters=options(digest)).datasets if "/east/" in one.iri
    ]
    job = fed.submit(fed.manifest(visa, TOOL, parameters=options(digest), datasets=at_east, quorum=1))
    fed.settle()
    east.approve(job)
    (file,) = fetched(east.node, east.client(), job, [digest])
    assert file.read_bytes() == model.read_bytes()
    refusal(lambda: fetched(north.node, north.client(), job, [digest]))


def test_a_site_takes_no_model_that_is_too_large_for_it_or_runs_code(start, model, tmp_path):
    fed = start("east")
    east = fed.sites["east"]
    digest = bring(fed, model).json()["digest"]
    job = fed.submit(fed.manifest(fed.visa(), TOOL, parameters=options(digest)))
    fed.settle()
    east.approve(job)
    small = replace(east.node, settings=replace(east.node.settings, jobs_model_file_bytes=100))
    refusal(lambda: fetched(small, east.client(), job, [digest]))
    # A hub that does not look itself.
    evil = bundle(tmp_path / "e.zip", whole(**{"a.json": '{"run": "$1"}'})).read_bytes()
    target = job_folder(east.node, job) / "model-files" / f"model-{sha256_digest(evil)[7:]}"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(evil)
    assert refusal(lambda: fetched(east.node, east.client(), job, [sha256_digest(evil)])).code == "FB-ANA-030"


# -- pictures for the curator ------------------------------------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n"


def left(site, job: str, **files: bytes) -> JobFolder:
    folder = JobFolder(job_folder(site.node, job) / "worker").create()
    place = folder.scratch / "overlays"
    place.mkdir(exist_ok=True)
    for name, content in files.items():
        (place / f"{name}.png").write_bytes(content)
    return folder


def kept(site, job: str) -> list[str]:
    return sorted(path.name for path in (site.node.settings.home / "overlays" / job).glob("*"))


def test_only_pictures_are_taken_from_what_a_job_left(start, tmp_path):
    site = start("east").sites["east"]
    secret = tmp_path / "secret.png"
    secret.write_bytes(PNG + b"of the node")
    folder = left(site, "j1", good=PNG + b"data", text=b"no picture", empty=b"")
    (folder.scratch / "overlays" / "link.png").symlink_to(secret)
    (folder.scratch / "overlays" / "odd name.png").write_bytes(PNG)
    (folder.scratch / "overlays" / "hard.png").hardlink_to(secret)
    assert overlays.keep(site.node, "j1", folder) == 1
    assert kept(site, "j1") == ["good.png"]
    assert (site.node.settings.home / "overlays" / "j1" / "good.png").stat().st_mode & 0o777 == 0o600


def test_a_link_in_place_of_the_folder_of_pictures_is_not_followed(start, tmp_path):
    site = start("east").sites["east"]
    (tmp_path / "of-the-node").mkdir()
    (tmp_path / "of-the-node" / "a.png").write_bytes(PNG)
    folder = JobFolder(job_folder(site.node, "j1") / "worker").create()
    (folder.scratch / "overlays").symlink_to(tmp_path / "of-the-node")
    assert overlays.keep(site.node, "j1", folder) == 0


def test_pictures_go_with_a_withdrawal_and_with_time(start, clock):
    site = start("east").sites["east"]
    for job in ("j1", "j2"):
        overlays.keep(site.node, job, left(site, job, a=PNG))
    clear_staged(site.node, "j1")
    assert (kept(site, "j1"), kept(site, "j2")) == ([], ["a.png"])
    clock.advance((site.node.settings.node_overlays_days + 1) * 86_400)
    overlays.keep(site.node, "j3", left(site, "j3", b=PNG))
    assert (kept(site, "j2"), kept(site, "j3")) == ([], ["b.png"])


def test_there_is_an_error_where_there_are_no_pictures_and_none_is_overwritten(start, tmp_path):
    site = start("east").sites["east"]
    with reading(site.node.engine) as session:
        assert refusal(lambda: overlays.of_job(site.node, session, "j1")).code == "FB-JOBS-277"
    overlays.keep(site.node, "j1", left(site, "j1", a=PNG))
    with reading(site.node.engine) as session:
        found = overlays.of_job(site.node, session, "j1")
    overlays.copy_to(found, tmp_path / "new")
    assert (tmp_path / "new" / "a.png").read_bytes() == PNG
    assert refusal(lambda: overlays.copy_to(found, tmp_path / "new")).code == "FB-JOBS-277"


@pytest.mark.sandbox
def test_a_model_is_applied_in_the_sandbox_of_each_site_and_curators_see_what_it_marked(
    start, model, tmp_path
):
    fed = start("east", "north")
    mask = ball()
    voxels = np.where(mask, 80.0, -80.0)
    for name, site in fed.sites.items():
        series = site.index.series["collection"]
        series[:] = [series[0], series[2]]
        write_series(tmp_path / name / "images", voxels, spacing_mm=SPACING, FrameOfReferenceUID=FRAME)
        for place, one in enumerate(series):
            series[place] = type(one)(
                one.series_uid, one.subject, one.content_digest, tmp_path / name / "images"
            )
            segmented(site, one, tmp_path / name / f"seg{place}", mask, SPACING)
        site.runner = ConfinedRunner(site.node)
        site.restart()
    digest = bring(fed, model).json()["digest"]
    job = fed.run(TOOL, parameters=options(digest))
    assert fed.state(job) == "completed", [fed.site_state(job, name) for name in fed.sites]
    rows = table_of(fed, job)
    assert [(row["site"], row["status"], row["dice"]) for row in rows] == [
        (name, "ok", 1.0) for name in ("east", "east", "north", "north")
    ]
    assert rows[0]["volume_ml"] == pytest.approx(mask.sum() * 0.002, rel=1e-3)
    for site in fed.sites.values():
        with reading(site.node.engine) as session:
            shown = overlays.of_job(site.node, session, job)
        assert sorted(one.series for one in shown) == sorted(
            one.series_uid for one in site.index.series["collection"]
        )
        sent = b"".join(path.read_bytes() for path in site.node.outbox_path.rglob("*") if path.is_file())
        assert PNG not in sent
        site.runner.close()
    assert mask.shape == SHAPE
