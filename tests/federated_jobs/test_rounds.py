"""Rounds at the hub and at a site: closed once, whatever is killed; quorum, deadlines, losses, cancelling."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from safetensors.numpy import load as load_bytes
from safetensors.numpy import load_file, save_file
from sqlalchemy import func, select

from fairbank import events
from fairbank.catalogue import blobs
from fairbank.database import reading, writing
from fairbank.errors import FairbankError
from fairbank.federated_jobs.hub import rounds as hub_rounds
from fairbank.federated_jobs.hub import routes as hub_routes
from fairbank.federated_jobs.hub.rounds import close_ready
from fairbank.federated_jobs.hub.store import OutputRow, RoundRow, UpdateRow
from fairbank.federated_jobs.node import agent
from fairbank.federated_jobs.node import rounds as site_rounds
from fairbank.federated_jobs.node.errors import WorkerCrashed, WorkerOutOfMemory
from fairbank.federated_jobs.node.store import WorkRow
from fairbank.release.hub_client import HubClient
from fairbank.release.outbox import Outbox
from fairbank.release.store import ReleaseRow


class Killed(BaseException):
    """Stands for kill -9: nothing in the product catches it."""


def approved(fed, **options) -> str:
    """Submit a job that all sites approve; nobody has claimed its first round yet."""
    job = fed.submit(fed.manifest(fed.visa(), **options))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.close_rounds()
    return job


def both_approved(fed, *options) -> list[str]:
    """Submit jobs that all sites approve at the same time."""
    jobs = [fed.submit(fed.manifest(fed.visa(), **each)) for each in options]
    fed.settle()
    for job in jobs:
        for site in fed.sites.values():
            site.approve(job)
    fed.close_rounds()
    return jobs


def undisturbed(start) -> bytes:
    fed = start("east", "north", "west", folder="undisturbed")
    job = fed.run(rounds=3)
    return blobs.path_of(fed.hub, fed.model(job)).read_bytes()


def final(fed, job) -> bytes:
    assert fed.state(job) == "completed"
    return blobs.path_of(fed.hub, fed.model(job)).read_bytes()


# -- kill -9 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["run", "stage", "send", "sent"])
def test_a_node_killed_in_round_two_comes_to_the_same_model(start, monkeypatch, place):
    expected = undisturbed(start)
    fed = start("east", "north", "west")
    job = approved(fed, rounds=3)
    _settle_round(fed, 1)
    site = fed.sites["north"]
    with monkeypatch.context() as patch:
        _kill_at(patch, site, place)
        with pytest.raises(Killed):
            site.agent.step()
    site.runner.before = lambda task: None
    site.restart().resume()
    fed.settle()
    assert final(fed, job) == expected
    with reading(site.node.engine) as session:
        releases = session.scalar(select(func.count()).select_from(ReleaseRow).where(ReleaseRow.job == job))
    assert releases == 3
    again = {"run": 1, "stage": 1}.get(place, 0)
    assert [number for _, number in site.runner.calls] == [1, 2, *[2] * again, 3]


@pytest.mark.parametrize("place", ["before merging", "after merging", "in the transaction"])
def test_a_hub_killed_while_it_closes_a_round_comes_to_the_same_model(start, monkeypatch, place):
    expected = undisturbed(start)
    fed = start("east", "north", "west")
    job = approved(fed, rounds=3)
    for site in fed.sites.values():
        site.agent.step()
    with monkeypatch.context() as patch:
        name = {"before merging": "merge", "after merging": "_commit", "in the transaction": "open_round"}[
            place
        ]
        patch.setattr(hub_rounds, name, _killed)
        with pytest.raises(Killed):
            close_ready(fed.hub)
    fed.restart_hub()
    with reading(fed.hub.engine) as session:
        assert session.get_one(RoundRow, (job, 1)).state == "open"
        assert session.scalar(select(func.count()).select_from(UpdateRow)) == 3
    fed.settle()
    assert final(fed, job) == expected


def test_a_round_that_is_closed_twice_at_once_is_closed_once(fed, monkeypatch):
    job = approved(fed, rounds=2)
    for site in fed.sites.values():
        site.agent.step()
    merge, inner = hub_rounds.merge, []

    def merge_while_another_closes(closing, folder):
        if not inner:
            inner.append(True)
            assert close_ready(fed.hub) == 1
        return merge(closing, folder)

    monkeypatch.setattr(hub_rounds, "merge", merge_while_another_closes)
    assert close_ready(fed.hub) == 0
    with reading(fed.hub.engine) as session:
        assert session.get_one(RoundRow, (job, 1)).state == "closed"
        models = select(func.count()).select_from(OutputRow).where(OutputRow.name == "model")
        assert session.scalar(models) == 1


def test_a_hub_restarted_between_rounds_loses_nothing(start):
    expected = undisturbed(start)
    fed = start("east", "north", "west")
    job = approved(fed, rounds=3)
    for _ in range(3):
        for site in fed.sites.values():
            site.agent.step()
        fed.restart_hub()
        fed.close_rounds()
    fed.settle()
    assert final(fed, job) == expected


def test_an_upload_whose_answer_was_lost_is_not_released_twice(fed, monkeypatch):
    job = approved(fed)
    site = fed.sites["east"]
    deliver = HubClient.deliver
    lost = []

    def losing(self, method, path, **options):
        answer = deliver(self, method, path, **options)
        if method == "PUT" and "/releases/" in path and not lost:
            lost.append(path)
            raise Killed
        return answer

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(HubClient, "deliver", losing)
        site.agent.step()
    site.restart().resume()
    fed.settle()
    assert fed.state(job) == "completed"
    with reading(fed.hub.engine) as session:
        query = select(func.count()).select_from(UpdateRow).where(UpdateRow.node == "east")
        assert session.scalar(query) == 1


# -- quorum, deadlines, losses ---------------------------------------------------------------------------------------


def test_a_site_that_fails_degrades_a_job_that_keeps_its_quorum(fed):
    job = approved(fed, rounds=2, quorum=2)
    fed.sites["west"].runner.before = _raising(WorkerOutOfMemory("too much"))
    fed.settle()
    assert fed.state(job) == "completed"
    view = fed.job(job)
    west = next(site for site in view["sites"] if site["node"] == "west")
    assert (west["state"], west["reason"]) == ("failed", "out_of_memory")
    nodes = {item["node"] for item in fed.get(f"/v1/jobs/{job}/results").json()["received"]}
    assert nodes == {"east", "north"}


def test_a_job_below_its_quorum_fails(fed):
    job = approved(fed, quorum=3)
    fed.sites["west"].runner.before = _raising(WorkerOutOfMemory("too much"))
    fed.settle()
    assert fed.state(job) == "failed"
    assert fed.job(job)["reason"] == "quorum_not_met"


def test_a_worker_that_crashes_once_is_forgiven(fed):
    job = approved(fed)
    crashes = []

    def crash_once(task):
        if not crashes:
            crashes.append(task.round)
            raise WorkerCrashed("gone")

    fed.sites["west"].runner.before = crash_once
    fed.settle()
    assert fed.state(job) == "completed"


def test_a_straggler_misses_its_round_and_joins_the_next(fed):
    job = approved(fed, rounds=2, quorum=2, round_deadline_s=600)
    fed.settle("east", "north")
    assert fed.job(job)["round"] == 1
    fed.clock.advance(601)
    fed.settle("east", "north")
    assert fed.job(job)["round"] == 2
    assert fed.state(job) == "degraded"
    fed.settle()
    assert fed.state(job) == "completed"
    received = {(i["node"], i["round"]) for i in fed.get(f"/v1/jobs/{job}/results").json()["received"]}
    assert ("west", 1) not in received
    assert ("west", 2) in received


def test_an_output_for_a_closed_round_is_kept_back_and_the_site_goes_on(fed, monkeypatch):
    job = approved(fed, rounds=2, quorum=2, round_deadline_s=600)
    west = fed.sites["west"]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Outbox, "send", _killed)
        west.agent.step()
    fed.settle("east", "north")
    fed.clock.advance(601)
    fed.settle("east", "north")
    west.restart().resume()
    fed.settle()
    assert fed.state(job) == "completed"
    with reading(west.node.engine) as session:
        states = {row.round: row.state for row in session.scalars(select(ReleaseRow))}
    assert states == {1: "withheld", 2: "sent"}


def test_a_round_that_misses_its_quorum_at_the_deadline_fails_the_job(fed):
    job = approved(fed, quorum=3, round_deadline_s=600)
    fed.settle("east", "north")
    fed.clock.advance(601)
    fed.close_rounds()
    assert fed.state(job) == "failed"
    assert fed.job(job)["reason"] == "quorum_not_met"


def test_sites_that_do_not_decide_in_time_are_left_out(fed):
    job = fed.submit(fed.manifest(fed.visa(), quorum=2, approval_within_s=3600))
    fed.settle()
    for name in ("east", "north"):
        fed.sites[name].approve(job)
    fed.settle()
    assert fed.job(job)["round"] == 0
    fed.clock.advance(3601)
    fed.settle()
    assert fed.state(job) == "completed"
    assert fed.site_state(job, "west") == ("expired", "approval_deadline")


def test_an_update_of_another_shape_is_left_out(fed):
    job = approved(fed, rounds=1, quorum=2)
    fed.sites["west"].runner.shape = (5,)
    fed.settle()
    assert fed.state(job) == "completed"
    assert fed.site_state(job, "west") == ("failed", "update_refused")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_update_that_is_not_finite_is_left_out(fed, value):
    job = approved(fed, rounds=1, quorum=2)
    for site in fed.sites.values():
        while site.agent.step():
            pass
    with reading(fed.hub.engine) as session:
        row = session.scalars(select(UpdateRow).where(UpdateRow.job == job, UpdateRow.node == "west")).one()
    weights = load_file(row.path)
    next(iter(weights.values())).flat[0] = value
    save_file(weights, row.path)
    fed.settle()
    assert fed.state(job) == "completed"
    assert fed.site_state(job, "west") == ("failed", "update_refused")
    assert np.isfinite(next(iter(load_bytes(final(fed, job)).values()))).all()


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"rows":5}', b'{"rows":[1]}', b"[" * 9999, b"\x00", b'{"rows":[{}]}']
)
def test_a_result_that_is_no_table_is_left_out_and_stops_no_other_job(fed, body):
    job, other = both_approved(fed, {"tool": "intensity-geometry", "quorum": 2}, {})
    for site in fed.sites.values():
        while site.agent.step():
            pass
    with reading(fed.hub.engine) as session:
        row = session.scalars(select(UpdateRow).where(UpdateRow.job == job, UpdateRow.node == "west")).one()
    Path(row.path).write_bytes(body)
    fed.settle()
    assert (fed.state(job), fed.state(other)) == ("completed", "completed")
    assert fed.site_state(job, "west") == ("failed", "update_refused")


def test_a_job_whose_merging_breaks_ends_and_the_others_go_on(fed, monkeypatch):
    broken, other = both_approved(fed, {}, {})
    merge = hub_rounds.merge

    def breaking(closing, folder):
        if closing.manifest.id == broken:
            raise ZeroDivisionError("patient DOE")
        return merge(closing, folder)

    monkeypatch.setattr(hub_rounds, "merge", breaking)
    fed.settle()
    assert (fed.state(broken), fed.state(other)) == ("failed", "completed")


def test_a_full_disk_at_the_hub_ends_no_job(fed, monkeypatch):
    job = approved(fed)
    with monkeypatch.context() as patch:
        patch.setattr(hub_rounds, "merge", _raising(OSError("no space left")))
        fed.settle()
        assert fed.state(job) == "running"
    fed.settle()
    assert fed.state(job) == "completed"


def test_in_the_first_round_the_form_of_most_sites_counts(fed):
    job = approved(fed, quorum=2)
    fed.sites["east"].runner.shape = (5,)
    fed.settle()
    assert fed.state(job) == "completed"
    assert fed.site_state(job, "east") == ("failed", "update_refused")


# -- stopping --------------------------------------------------------------------------------------------------------


def test_a_cancelled_job_stops_at_every_site(fed):
    job = approved(fed, rounds=3)
    _settle_round(fed, 1)
    assert fed.post(f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"
    fed.settle()
    assert fed.state(job) == "cancelled"
    for site in fed.sites.values():
        assert job in site.runner.forgotten
        assert [number for _, number in site.runner.calls] == [1]
    assert fed.post(f"/v1/jobs/{job}/cancel").status_code == 409


def test_a_withdrawn_grant_stops_its_jobs(fed):
    visa = fed.visa()
    job = fed.submit(fed.manifest(visa, rounds=3))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    _settle_round(fed, 1)
    with writing(fed.hub.engine) as session:
        events.append(
            session,
            events.HubEvent,
            clock=fed.clock,
            kind="grant.revoked",
            subject=fed.grants[visa.digest].visa_id,
        )
    fed.settle()
    assert (fed.state(job), fed.job(job)["reason"]) == ("failed", "grant_revoked")
    assert all(job in site.runner.forgotten for site in fed.sites.values())


def test_a_job_ends_with_its_visa(fed):
    job = approved(fed, rounds=3)
    _settle_round(fed, 1)
    fed.clock.advance(21 * 86_400)
    fed.close_rounds()
    assert (fed.state(job), fed.job(job)["reason"]) == ("failed", "visa_expired")


def test_a_job_that_is_over_is_forgotten_at_the_sites(fed):
    job = fed.run(rounds=2)
    for site in fed.sites.values():
        assert site.runner.jobs() == []
        assert not (site.node.settings.home / "jobs" / job / "models").exists() or site.runner.forgotten
    assert all(job in site.runner.forgotten for site in fed.sites.values())


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_an_output_that_the_gate_refuses_takes_the_site_out_of_the_job(fed):
    job = approved(fed, quorum=2)
    site = fed.sites["west"]
    site.node = replace(site.node, settings=replace(site.node.settings, release_maximum_bytes=10))
    site.restart()
    fed.settle()
    assert fed.state(job) == "completed"
    assert fed.site_state(job, "west") == ("withheld", "gate_refused")


def test_a_signed_request_that_is_sent_twice_is_refused(fed):
    from fairbank.federated_jobs.protocol import Claim
    from fairbank.http_signatures import signature_headers

    site = fed.sites["east"]
    body = Claim(max_wait_s=0, audit_seq=0, audit_hash="sha256:" + "0" * 64).to_bytes()
    url = f"{fed.url}/v1/nodes/east/claim"
    headers = signature_headers(
        "POST", url, body=body, key=site.node.key, clock=fed.clock, content_type="application/json"
    )
    assert httpx.post(url, content=body, headers=headers).status_code == 204
    assert httpx.post(url, content=body, headers=headers).json()["code"] == "FB-CORE-016"


def test_a_node_speaks_only_for_itself(fed):
    from fairbank.federated_jobs.protocol import Claim

    site = fed.sites["east"]
    claim = Claim(max_wait_s=0, audit_seq=0, audit_hash="sha256:" + "0" * 64)
    with pytest.raises(FairbankError, match="only for itself"):
        site.outbox.control("POST", "/v1/nodes/north/claim", claim)


def test_global_models_are_read_by_the_nodes_of_the_job_only(start):
    fed = start("east", "north")
    job = fed.run(rounds=2)
    with reading(fed.hub.engine) as session:
        digest = session.get_one(RoundRow, (job, 2)).global_digest
    stranger = fed.add("west")
    with pytest.raises(FairbankError, match="no such content"):
        stranger.client().download(str(digest), stranger.node.settings.home / "model")
    member = fed.sites["east"]
    member.client().download(str(digest), member.node.settings.home / "model")


def test_the_update_of_one_site_is_not_given_to_the_requester(fed):
    job = fed.run()
    results = fed.get(f"/v1/jobs/{job}/results").json()
    for update in results["received"]:
        assert fed.get(f"/v1/blobs/{update['digest']}").status_code == 404
    for file in results["files"]:
        assert fed.get(f"/v1/blobs/{file['digest']}").status_code == 200


def _settle_round(fed, number: int) -> None:
    while fed.close_rounds():
        pass
    for site in fed.sites.values():
        site.agent.step()
    assert close_ready(fed.hub) == 1


def _kill_at(patch, site, place: str) -> None:
    if place == "run":
        site.runner.before = lambda task: _killed()
    elif place == "stage":
        patch.setattr(Outbox, "stage", _killed)
    elif place == "send":
        patch.setattr(Outbox, "send", _killed)
    else:
        patch.setattr(Outbox, "_complete", _killed)


def _killed(*args, **options):
    raise Killed


def _raising(error: Exception):
    def raise_it(*args):
        raise error

    return raise_it


def test_every_round_that_was_staged_is_marked_so(fed):
    job = fed.run(rounds=2)
    with reading(fed.sites["east"].node.engine) as session:
        rows = session.scalars(select(WorkRow).where(WorkRow.job == job).order_by(WorkRow.round))
        assert [(row.round, row.state) for row in rows] == [(1, site_rounds.STAGED), (2, site_rounds.STAGED)]


# -- the model that comes with the lease -----------------------------------------------------------------------------


def test_a_small_model_comes_with_the_lease_and_a_large_one_is_fetched(start, monkeypatch):
    expected, fetched = undisturbed(start), []
    download = HubClient.download

    def noted(self, digest, to, **options):
        fetched.append(digest)
        return download(self, digest, to, **options)

    monkeypatch.setattr(HubClient, "download", noted)
    small = start("east", "north", "west", folder="small")
    assert final(small, small.run(rounds=3)) == expected
    assert fetched == []
    monkeypatch.setattr(agent, "MODEL_WITH_LEASE_BYTES", 50)
    large = start("east", "north", "west", folder="large")
    assert final(large, large.run(rounds=3)) == expected
    assert len(fetched) == 2 * 3


def test_a_model_that_came_with_a_lease_counts_only_if_it_is_the_one_that_is_named(start, monkeypatch):
    expected = undisturbed(start)
    monkeypatch.setattr(hub_routes, "_small_model", lambda path: b"another model")
    fed = start("east", "north", "west")
    assert final(fed, fed.run(rounds=3)) == expected


def test_a_round_tells_how_long_each_update_was_and_who_sent_what_it_had_sent_before(fed):
    runner = fed.sites["north"].runner

    def send_the_first_again(task):
        if task.round == 2:
            model = float(load_file(task.global_model)["w"][0])
            runner.step = (float(sent) - model) / 2

    sent, runner.before = runner.step, send_the_first_again
    job = fed.run(rounds=2)
    with reading(fed.hub.engine) as session:
        first, second = (session.get_one(RoundRow, (job, number)).record["updates"] for number in (1, 2))
    assert all(told["norm_ratio"] is not None for told in (*first.values(), *second.values()))
    assert {node: "sent_before" in told["flags"] for node, told in second.items()} == {
        node: node == "north" for node in fed.sites
    }
    assert not any("sent_before" in told["flags"] for told in first.values())
