"""A hub that works on and shows no sealed checkpoint of its log: the node says so, in its log and to its people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, select

from fairbank import audit_alarms
from fairbank.audit import HubAudit, NodeAudit
from fairbank.clock import parse_iso
from fairbank.database import reading, writing
from fairbank.errors import RemoteError
from fairbank.federated_jobs.hub import node_logs
from fairbank.federated_jobs.node import hub_seals
from fairbank.federated_jobs.node.attention import needed
from fairbank.federated_jobs.node.store import AnchorRow

HOUR = 3600


@pytest.fixture
def fed(start):
    return start("east")


@pytest.fixture
def site(fed):
    return fed.sites["east"]


def worked(fed: Any) -> None:
    """Run a job to its end: the hub states heads, and takes a release."""
    job = fed.submit(fed.manifest(fed.visa(), rounds=1))
    fed.settle()
    fed.sites["east"].approve(job)
    fed.settle()
    assert fed.state(job) == "completed"


def later(fed: Any, site: Any, hours: float) -> None:
    """Let time pass and the agent look again."""
    fed.clock.advance(hours * HOUR)
    assert site.agent.step() is False


def said(site: Any) -> list[Any]:
    with reading(site.node.engine) as session:
        return list(session.scalars(select(NodeAudit).where(NodeAudit.act == hub_seals.ACT)))


def codes(site: Any) -> list[str]:
    return [one.code for one in needed(site.node)]


def test_a_hub_that_works_and_seals_nothing_is_told_of_once_and_worked_for(fed, site):
    worked(fed)
    later(fed, site, 5)
    assert (said(site), codes(site)) == ([], [])
    for _ in range(3):
        later(fed, site, 1.1)
    (entry,) = said(site)
    with reading(fed.hub.engine) as session:
        first = session.scalars(select(HubAudit.at).order_by(HubAudit.seq)).first()
    assert entry.target == site.node.enrolment.hub_key
    assert (parse_iso(entry.detail["since"]), entry.detail["sealed"]) == (first, 0)
    assert codes(site) == ["FB-JOBS-057"]
    worked(fed)


def test_a_refused_checkpoint_is_no_checkpoint(fed, site, monkeypatch):
    worked(fed)
    node_logs.seal(fed.hub, now=True)

    def refuses(*_: Any, **__: Any) -> None:
        raise RemoteError("No.")

    monkeypatch.setattr(site.agent._hub_log, "look", refuses)
    later(fed, site, 7)
    assert len(said(site)) == 1


def test_the_warning_ends_with_the_next_checkpoint_and_comes_anew(fed, site):
    worked(fed)
    later(fed, site, 7)
    node_logs.seal(fed.hub, now=True)
    later(fed, site, 1)
    assert codes(site) == []
    later(fed, site, 24)
    assert (codes(site), len(said(site))) == ([], 1)
    worked(fed)
    later(fed, site, 7)
    assert (codes(site), len(said(site))) == (["FB-JOBS-057"], 2)


def test_a_hub_that_states_the_same_entry_for_ever_is_found_by_what_it_took(fed, site):
    """Each release is an entry of the hub's log, whatever the hub says that its newest one is."""
    node_logs.seal(fed.hub, now=True)
    later(fed, site, 1)
    fed.clock.advance(1)
    worked(fed)
    with writing(site.node.engine) as session:
        session.execute(delete(AnchorRow))
    later(fed, site, 7)
    assert codes(site) == ["FB-JOBS-057"]


def test_a_hub_that_did_nothing_has_nothing_to_seal(fed, site):
    later(fed, site, 1000)
    assert (said(site), codes(site)) == ([], [])


def test_the_site_says_how_long_is_too_long(fed, site):
    site.node = replace(site.node, settings=replace(site.node.settings, node_hub_unsealed_hours=2))
    site.restart()
    worked(fed)
    later(fed, site, 1.5)
    assert said(site) == []
    later(fed, site, 1)
    assert len(said(site)) == 1


def test_what_a_person_has_looked_into_counts_from_then_on(fed, site):
    worked(fed)
    hub = site.node.enrolment.hub_key
    with writing(site.node.engine) as session:
        audit_alarms.sound(
            session, NodeAudit, clock=fed.clock, log=hub, kind=audit_alarms.AlarmKind.SHORTENED, detail={}
        )
        (alarm,) = audit_alarms.alarms(session, NodeAudit)
    assert codes(site) == ["FB-CORE-054"]
    fed.clock.advance(7 * HOUR)
    with writing(site.node.engine) as session:
        audit_alarms.clear(session, NodeAudit, clock=fed.clock, alarm_id=alarm.id, by="ada", why="A backup.")
    assert codes(site) == []
