"""Two agents that speak as one node are noticed, told, and kept from mixing what they send."""

from __future__ import annotations

import pytest

from fairbank import audit, audit_alarms
from fairbank.audit_alarms import AlarmKind
from fairbank.catalogue import nodes
from fairbank.database import reading, writing
from fairbank.errors import RemoteError
from fairbank.federated_jobs.hub.store import UpdateRow


@pytest.fixture
def fed(start):
    return start("east")


@pytest.fixture
def job(fed):
    made = fed.submit(fed.manifest(fed.visa(), rounds=2))
    fed.settle()
    fed.sites["east"].approve(made)
    fed.close_rounds()
    return made


def refused(agent) -> str:
    with pytest.raises(RemoteError) as caught:
        agent.step()
    return caught.value.remote_code


def test_an_agent_that_is_started_anew_goes_on(fed, job):
    fed.sites["east"].restart()
    fed.settle()
    assert fed.state(job) == "completed"
    assert alarms(fed) == []


def test_an_agent_that_goes_on_beside_a_later_one_is_noticed_and_both_are_told(fed):
    site = fed.sites["east"]
    first = site.agent
    first.step()
    second = site.restart()
    second.step()
    assert refused(first) == "FB-JOBS-162"
    assert refused(second) == "FB-JOBS-162"
    assert alarms(fed) == [("east", AlarmKind.DOUBLED)]
    with reading(fed.hub.engine) as session:
        acts = [entry.act for entry in session.query(audit.HubAudit)]
    assert acts.count("node.doubled") == 1 and "node.suspend" in acts
    with reading(site.node.engine) as session:
        assert [entry.act for entry in session.query(audit.NodeAudit)].count("node.doubled") == 2


def test_what_the_earlier_agent_computes_is_not_taken_after_another_was_started(fed, job):
    site = fed.sites["east"]
    site.runner.before = lambda task: fed.sites["east"].restart()._claim(0)
    with pytest.raises(RemoteError) as caught:
        site.agent.step()
    assert caught.value.remote_code == "FB-JOBS-162"
    with reading(fed.hub.engine) as session:
        assert session.query(UpdateRow).count() == 0


def test_after_it_was_resumed_the_one_that_is_left_goes_on(fed, job):
    site = fed.sites["east"]
    first = site.agent
    first._claim(0)
    site.restart().step()
    assert refused(first) == "FB-JOBS-162"
    with writing(fed.hub.engine) as session:
        (alarm,) = audit_alarms.alarms(session, audit.HubAudit, standing=True)
        audit_alarms.clear(
            session, audit.HubAudit, clock=fed.clock, alarm_id=alarm.id, by="root", why="old process"
        )
        nodes.resume(session, fed.hub, node="east", actor="root")
    fed.settle()
    assert fed.state(job) == "completed"


def alarms(fed) -> list[tuple[str, AlarmKind]]:
    with reading(fed.hub.engine) as session:
        standing = audit_alarms.alarms(session, audit.HubAudit, standing=True)
    return [(one.log, one.kind) for one in standing]
