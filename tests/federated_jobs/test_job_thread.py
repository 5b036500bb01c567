"""A job from submission to its result, over HTTP, with signatures, gate and databases."""

from __future__ import annotations

import threading

import numpy as np
from safetensors.numpy import load_file
from sqlalchemy import select

from fairbank import audit
from fairbank.catalogue import blobs
from fairbank.database import reading
from fairbank.events import HubEvent


def test_a_training_job_ends_with_a_model_that_averages_all_sites(fed):
    job = fed.run(rounds=3)
    assert fed.state(job) == "completed"
    model = load_file(blobs.path_of(fed.hub, fed.model(job)))["w"]
    # Steps 1, 2 and 3 with equal weights: 2 on average, times 1 + 2 + 3 rounds.
    np.testing.assert_allclose(model, np.full(4, 12.0), rtol=1e-6)


def test_an_analysis_job_ends_with_a_table_and_a_plot(fed):
    job = fed.run("intensity-geometry")
    assert fed.state(job) == "completed"
    files = {file["name"]: file for file in fed.get(f"/v1/jobs/{job}/results").json()["files"]}
    assert {"table.csv", "table.json"} <= set(files)
    table = fed.get(f"/v1/blobs/{files['table.csv']['digest']}").text
    assert len(table.splitlines()) == 1 + 3 * 6


def test_the_registered_model_says_where_it_came_from(fed):
    job = fed.run(rounds=2)
    with reading(fed.hub.engine) as session:
        event = session.scalars(select(HubEvent).where(HubEvent.kind == "model.registered")).one()
    assert event.detail["job"] == job
    assert event.detail["model"] == fed.model(job)
    assert event.detail["nodes"] == ["east", "north", "west"]
    assert len(event.detail["datasets"]) == 3
    detail = fed.get(f"/v1/models/{fed.model(job)}").json()
    assert detail["model"]["rounds"] == 2
    assert detail["manifest"] == event.detail["manifest"]


def test_both_audit_logs_hold_together_and_know_each_other(fed):
    fed.run(rounds=2)
    with reading(fed.hub.engine) as session:
        assert audit.verify(session, audit.HubAudit).seq > 0
    for site in fed.sites.values():
        with reading(site.node.engine) as session:
            assert audit.verify(session, audit.NodeAudit).seq > 0


def test_agents_that_wait_at_the_hub_finish_a_job_by_themselves(start):
    fed = start("east", "north", with_background=True)
    stop = threading.Event()
    threads = [
        threading.Thread(target=site.agent.run, args=(stop,), daemon=True) for site in fed.sites.values()
    ]
    for thread in threads:
        thread.start()
    job = fed.submit(fed.manifest(fed.visa(), rounds=3))
    view = fed.job(job)
    approved: set[str] = set()
    while view["state"] == "running":
        for place in view["sites"]:
            if place["state"] == "pending_review" and place["node"] not in approved:
                approved |= _approve_if_there(fed, job, place["node"])
        view = fed.get(f"/v1/jobs/{job}", wait_s=5, seen=view["seen"]).json()
    stop.set()
    for thread in threads:
        thread.join(timeout=30)
    assert view["state"] == "completed"


def _approve_if_there(fed, job: str, name: str) -> set[str]:
    from fairbank.federated_jobs.errors import NotApproved

    try:
        fed.sites[name].approve(job)
    except NotApproved:
        return set()
    return {name}
