"""People of a site let a job, or the whole node, stand still: at once, without the hub, for as long as they like."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace

import pytest
from sqlalchemy import select

from fairbank.audit import NodeAudit
from fairbank.database import reading
from fairbank.federated_jobs.errors import JobPausedHere, NotApproved
from fairbank.federated_jobs.node import agent as agent_module
from fairbank.federated_jobs.node.approval import leaving
from fairbank.federated_jobs.node.output_review import let_go
from fairbank.federated_jobs.node.pausing import pause_job, resume_job
from fairbank.federated_jobs.node.store import WorkRow
from fairbank.federated_jobs.protocol import Claim
from fairbank.ontology.person_objects import PersonRole
from fairbank.release.errors import HubUnreachable, NodeSuspendedHere, PersonNeeded, RoleMissing
from fairbank.release.outbox import Outbox
from fairbank.release.people import add_person, unlock
from fairbank.release.releases import ReleaseState
from fairbank.release.store import ReleaseRow
from fairbank.release.suspension import resume, suspend

PHRASE = "correct horse"


@pytest.fixture
def fed(start):
    return start("east")


@pytest.fixture
def site(fed):
    return fed.sites["east"]


def approved(fed, site, **consent) -> str:
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    site.approve(job, **consent)
    return job


def releases(site) -> list[str]:
    with reading(site.node.engine) as session:
        return list(session.scalars(select(ReleaseRow.state)))


def test_a_paused_job_is_not_computed_and_goes_on_when_it_is_resumed(fed, site):
    job = approved(fed, site)
    pause_job(site.node, job, by="curator")
    fed.settle()  # which ends: the hub does not give the same round again and again
    assert site.runner.calls == []
    site.restart()
    site.agent.resume()
    fed.settle()
    assert (site.runner.calls, fed.state(job)) == ([], "running")
    resume_job(site.node, job, by="curator")
    fed.settle()
    assert fed.state(job) == "completed"
    with reading(site.node.engine) as session:
        acts = list(session.scalars(select(NodeAudit.act).where(NodeAudit.target == job)))
    assert {"job.pause", "job.resume"} <= set(acts)


def test_a_paused_job_holds_up_no_other(fed, site):
    visa = fed.visa()
    paused, other = (fed.submit(fed.manifest(visa)) for _ in range(2))
    fed.settle()
    for job in (paused, other):
        site.approve(job)
    pause_job(site.node, paused, by="curator")
    fed.settle()
    assert (fed.state(paused), fed.state(other)) == ("running", "completed")


def test_what_is_computed_and_what_stands_still_is_both_named_as_in_hand(fed, site, monkeypatch):
    job = approved(fed, site)
    pause_job(site.node, job, by="curator")
    fed.settle()
    with reading(site.node.engine) as session:
        still = session.scalars(select(WorkRow.lease).where(WorkRow.job == job)).one()
    computed = fed.clock.new_id()
    claims = []

    def ask(method: str, path: str, claim: Claim, **_: object) -> None:
        claims.append(claim)
        raise HubUnreachable("It is off.")

    monkeypatch.setattr(site.agent._lanes, "leases", lambda: (computed, still))
    monkeypatch.setattr(site.agent._site.outbox, "ask", ask)
    with pytest.raises(HubUnreachable):
        site.agent._claim(0)
    assert claims[0].holding == (computed, still)
    monkeypatch.setattr(site.agent._lanes, "leases", lambda: (computed,))
    with pytest.raises(HubUnreachable):
        site.agent._claim(0)
    assert claims[1].holding == (computed, still)


def test_a_job_paused_while_it_computes_stages_nothing(fed, site):
    job = approved(fed, site)

    def meanwhile(task):
        pause_job(site.node, job, by="curator")
        assert site.agent._is_over(job)

    site.runner.before = meanwhile
    fed.settle()
    assert (len(site.runner.calls), releases(site)) == (1, [])
    site.runner.before = lambda task: None
    resume_job(site.node, job, by="curator")
    fed.settle()
    assert fed.state(job) == "completed"


def test_what_a_paused_job_has_staged_stays_until_it_is_resumed(fed, site):
    job = approved(fed, site, hold_outputs=True)
    fed.settle()
    pause_job(site.node, job, by="curator")
    let_go(site.node, site.outbox, job, by="curator")
    fed.settle()
    assert releases(site) == [ReleaseState.READY.value]
    (sending,) = Outbox(site.node, site.client(), may_leave=leaving(site.node)).send_pending()
    assert isinstance(sending.error, JobPausedHere)
    resume_job(site.node, job, by="curator")
    fed.settle()
    assert fed.state(job) == "completed"


def test_pausing_twice_is_pausing_once_and_a_job_that_is_over_cannot_be_paused(fed, site):
    job = approved(fed, site)
    pause_job(site.node, job, by="curator")
    pause_job(site.node, job, by="curator")
    with reading(site.node.engine) as session:
        assert len(list(session.scalars(select(NodeAudit.act).where(NodeAudit.act == "job.pause")))) == 1
    with pytest.raises(NotApproved):
        pause_job(site.node, "no-such-job", by="curator")


def test_everybody_may_pause_and_a_curator_resumes(fed, site):
    job = approved(fed, site)
    ada = site.person("ada")
    add_person(site.node, "petra", PHRASE, by=ada, roles=(PersonRole.PRIVACY,))
    petra = unlock(site.node, "petra", PHRASE)
    with pytest.raises(PersonNeeded):
        pause_job(site.node, job, by="curator")
    pause_job(site.node, job, by="-", signer=petra)
    with pytest.raises(RoleMissing):
        resume_job(site.node, job, by="-", signer=petra)
    resume_job(site.node, job, by="-", signer=ada)


@pytest.mark.parametrize("what", ["the node", "the job"])
def test_a_pause_stops_an_upload_between_two_pieces(fed, site, what):
    site.node = replace(site.node, settings=replace(site.node.settings, jobs_chunk_bytes=65_536))
    site.runner.shape = (100_000,)
    site.restart()
    job = approved(fed, site)
    client, sent = site.agent._site.client, []
    deliver = client.deliver

    def watched(method, path, **options):
        answer = deliver(method, path, **options)
        if path.startswith("/v1/releases/") and method == "PUT":
            sent.append(path)
            if len(sent) == 2:
                if what == "the node":
                    suspend(site.node, by="curator")
                else:
                    pause_job(site.node, job, by="curator")
        return answer

    client.deliver = watched
    with pytest.raises(NodeSuspendedHere) if what == "the node" else nullcontext():
        site.agent.step()
    assert len(sent) == 2
    assert fed.state(job) == "running"
    resume(site.node, by="curator")
    if what == "the job":
        resume_job(site.node, job, by="curator")
    fed.settle()
    assert fed.state(job) == "completed"
    assert len(sent) == 7  # of 400 kB: nothing was sent twice


@pytest.mark.parametrize("what", ["the node", "the job"])
def test_a_worker_that_waits_between_rounds_is_ended_too(fed, site, monkeypatch, what):
    monkeypatch.setattr(agent_module, "LOOK_EVERY_S", 0.01)
    job = approved(fed, site)
    site.runner.live.update({job, "another"})
    stop, ended = threading.Event(), threading.Event()
    cancelled: set[str] = set()

    def cancel(name: str) -> None:
        cancelled.add(name)
        if what == "the job" or len(cancelled) == 2:
            ended.set()

    site.runner.cancel = cancel
    watch = threading.Thread(target=site.agent._stop_paused, args=(stop,))
    watch.start()
    if what == "the node":
        suspend(site.node, by="curator")
    else:
        pause_job(site.node, job, by="curator")
    assert ended.wait(60)
    stop.set()
    watch.join(60)
    assert cancelled == ({job, "another"} if what == "the node" else {job})
