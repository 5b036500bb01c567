"""A report that the hub refuses is kept, told again and shown; it stops no other report, and no claim."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from fairbank.cli.main import app
from fairbank.database import reading
from fairbank.errors import FairbankError, RemoteError
from fairbank.federated_jobs.errors import GrantPaused
from fairbank.federated_jobs.hub import routes, sites
from fairbank.federated_jobs.node.approval import reject, withdraw
from fairbank.federated_jobs.node.reporting import NODE_SUSPENDED, Reported, report_decisions
from fairbank.federated_jobs.node.store import UntoldRow
from fairbank.release.errors import HubUnreachable


@pytest.fixture
def fed(start):
    return start("east")


@pytest.fixture
def site(fed):
    return fed.sites["east"]


class Refusing:
    """A hub that takes no report on one job."""

    def __init__(self) -> None:
        self.job, self.error, self.asked = "", Exception("broken"), list[str]()
        self.takes = sites.report

    def __call__(self, hub: Any, session: Any, job: str, **message: Any) -> Any:
        if job != self.job:
            return self.takes(hub, session, job, **message)
        self.asked.append(job)
        raise self.error


@pytest.fixture
def refusing(monkeypatch) -> Refusing:
    made = Refusing()
    monkeypatch.setattr(sites, "report", made)
    return made


def declined(fed: Any, count: int) -> list[str]:
    """Bring some jobs to the site and decline them there; the hub does not know yet."""
    visa = fed.visa()
    jobs = [fed.submit(fed.manifest(visa)) for _ in range(count)]
    fed.settle()
    for job in jobs:
        reject(fed.sites["east"].node, job, by="curator")
    return jobs


def forbidden(code: str = GrantPaused.code) -> FairbankError:
    error = GrantPaused("No.", why="The hub does not like it.")
    error.code = code  # type: ignore[misc]  # one error stands for any that a hub may answer
    return error


def untold(site: Any) -> list[UntoldRow]:
    with reading(site.node.engine) as session:
        return list(session.scalars(select(UntoldRow)))


def step(site: Any) -> bool:
    """Take a step; a hub that has just failed may have closed the connection, as it may at any time."""
    try:
        return site.agent.step()
    except HubUnreachable:
        return site.agent.step()


@pytest.mark.parametrize("error", [forbidden(), Exception("broken")], ids=["forbidden", "broken"])
def test_one_refused_report_stops_neither_the_others_nor_the_claims(fed, site, refusing, error):
    refused, other, third = declined(fed, 3)
    refusing.job, refusing.error = refused, error
    fresh = fed.submit(fed.manifest(fed.visa()))
    assert step(site)
    while step(site):
        pass
    assert [fed.site_state(job, "east")[0] for job in (other, third)] == ["rejected", "rejected"]
    assert fed.site_state(refused, "east")[0] == "pending_review"
    with reading(fed.hub.engine) as session:
        assert session.get_one(sites.SiteRow, (fresh, "east")).delivered
    assert [(row.job, row.tries) for row in untold(site)] == [(refused, 1)]


def test_a_refused_report_is_told_again_less_and_less_often_until_it_is_taken(fed, site, refusing):
    (job,) = declined(fed, 1)
    refusing.job, refusing.error = job, forbidden()
    asked = []
    for _ in range(8):
        for _ in range(2):
            assert report_decisions(site.node, site.outbox) == Reported(0, 1)
        asked.append(len(refusing.asked))
        fed.clock.advance(30)
    assert asked == [1, 2, 2, 3, 3, 3, 3, 4]
    for _ in range(20):
        fed.clock.advance(3600)
        report_decisions(site.node, site.outbox)
    assert len(refusing.asked) == 24
    refusing.job = ""
    fed.clock.advance(3600)
    assert report_decisions(site.node, site.outbox) == Reported(1, 0)
    assert fed.site_state(job, "east")[0] == "rejected"
    assert untold(site) == []


def test_it_is_kept_when_the_node_is_started_anew(fed, site, refusing):
    (job,) = declined(fed, 1)
    refusing.job, refusing.error = job, forbidden()
    site.agent.step()
    agent = site.restart()
    agent.resume()
    assert len(refusing.asked) == 1
    fed.clock.advance(31)
    refusing.job = ""
    agent.step()
    assert fed.site_state(job, "east")[0] == "rejected"


def test_what_is_decided_anew_is_told_at_once(fed, site, refusing):
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    refusing.job, refusing.error = job, forbidden()
    site.approve(job)
    withdraw(site.node, job, by="curator")
    refusing.job = ""
    assert report_decisions(site.node, site.outbox).told == 1
    assert fed.site_state(job, "east") == ("rejected", "approval_withdrawn")


def test_a_hub_that_takes_nothing_from_the_node_is_not_asked_job_by_job(fed, site, refusing):
    (job,) = declined(fed, 1)
    refusing.job, refusing.error = job, forbidden(NODE_SUSPENDED)
    with pytest.raises(RemoteError) as caught:
        site.agent.step()
    assert caught.value.remote_code == NODE_SUSPENDED
    assert untold(site) == []


@pytest.mark.parametrize(("code", "shown"), [("FB-CAT-150", "FB-CAT-150"), ("Doe^Jane", "FB-CORE-002")])
def test_a_refused_report_is_shown_with_the_hub_s_code_and_none_of_its_words(
    fed, site, refusing, code, shown
):
    (job,) = declined(fed, 1)
    refusing.job, refusing.error = job, forbidden(code)
    report_decisions(site.node, site.outbox)
    home = str(site.node.settings.home)
    answer = CliRunner().invoke(app, ["--home", home, "node", "status", "--format", "json"])
    # The command goes by this machine's clock, so what else it shows is of another time.
    (row,) = [row for row in json.loads(answer.stdout)["needs somebody"] if row["code"] == "FB-JOBS-056"]
    assert answer.exit_code == 1
    assert job in row["what"]
    assert f"answered {shown}, 1 times" in row["why"]
    assert "does not like" not in answer.stdout


def test_a_node_that_needs_nobody_says_so(fed, site):
    home = str(site.node.settings.home)
    answer = CliRunner().invoke(app, ["--home", home, "node", "status"])
    assert (answer.exit_code, answer.stderr.strip()) == (0, "Nothing needs anybody.")


def test_a_replayed_job_whose_refusal_the_hub_does_not_take_stops_nothing(fed, site, refusing):
    (job,) = declined(fed, 1)
    report_decisions(site.node, site.outbox)
    refusing.job, refusing.error = job, forbidden()
    site.agent._tell(job, sites.SiteState.REJECTED)
    assert refusing.asked == [job]


def test_a_hub_that_refuses_to_be_told_where_the_node_is_does_not_keep_it_from_resuming(
    fed, site, monkeypatch, caplog
):
    (job,) = declined(fed, 1)

    def refuse(*_: Any, **__: Any) -> None:
        raise forbidden()

    monkeypatch.setattr(routes, "tell_place", refuse)
    site.agent.resume()
    assert fed.site_state(job, "east")[0] == "rejected"
    assert "does not take this node's place" in caplog.text
