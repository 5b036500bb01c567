"""The whole way: a request that committees granted, a job under its visa, and what a committee takes back."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.catalogue.granting import (
    Someone,
    a_committee,
    a_request,
    account_of,
    grant_all,
    propose_and_vote,
    submit,
    the_next,
)
from tests.federated_jobs.catalogue_rows import dataset_row, iri

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.governance import grants, legs, listing, requests
from fairbank.catalogue.governance.parts import parts_of
from fairbank.catalogue.governance.store import LegRow, RequestRow
from fairbank.database import reading, writing
from fairbank.federated_jobs.hub.grants import Grant
from fairbank.federated_jobs.node.errors import WorkerCancelled
from fairbank.federated_jobs.node.rules import Rule, add_rule
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.ontology.person_objects import CountersignWord
from fairbank.ontology.signed_objects import Manifest, Visa
from fairbank.release import grants as site_grants
from fairbank.release.store import ReleaseRow, SeenGrantRow
from fairbank.signing import Sealed


class Ada:
    """The federation's requester, as the helpers of the catalogue know people."""

    def __init__(self, fed: Any) -> None:
        self.name, self.key = "ada", fed.requester


class World:
    """A federation of three sites with a committee of its own for each."""

    def __init__(self, fed: Any) -> None:
        self.fed, self.hub, self.ada = fed, fed.hub, Ada(fed)
        with writing(fed.hub.engine) as session:
            session.add_all(dataset_row(name, fed.clock.now()) for name in fed.sites)
        self.chairs = {name: Someone(fed.hub, f"chair-{name}", Role.COMMITTEE) for name in fed.sites}
        for name, chair in self.chairs.items():
            a_committee(fed.hub, [name], [chair.name])
        classes = fed.request()[0].output_classes
        self.request = submit(
            fed.hub,
            self.ada,
            a_request(fed.hub, self.ada, [iri(name) for name in fed.sites], output_classes=classes),
        )

    def approve(self, *names: str, **terms: Any) -> None:
        for name in names or self.fed.sites:
            propose_and_vote(self.hub, account_of(self.hub, self.chairs[name]), self.leg(name).id, **terms)

    def leg(self, name: str) -> LegRow:
        with reading(self.hub.engine) as session:
            return session.scalars(
                select(LegRow).where(LegRow.request == self.request, LegRow.dataset == iri(name))
            ).one()

    def visa(self) -> Sealed:
        """Return the newest visa, as its holder gets it; jobs look grants up in the catalogue."""
        with reading(self.hub.engine) as session:
            row = session.get_one(RequestRow, self.request)
            newest = grants.grants_of(session, row, now=self.fed.clock.now())[0]
        found = Grant(
            newest.visa_id, newest.envelope, newest.request_id, newest.request_envelope, not newest.holds
        )
        self.fed.grants[newest.digest] = found
        return Visa.open(newest.envelope, trusted=[self.hub.key.key_id])[1]

    def started(self, **plan: Any) -> str:
        """Submit a job over all that is granted and have the sites approve it."""
        job = self.fed.submit(self.fed.manifest(self.visa(), **{"rounds": 3, **plan}))
        self.fed.settle()
        for site in self.fed.sites.values():
            with reading(site.node.engine) as session:
                known = session.get(ReviewRow, job) is not None
            if known:
                site.approve(job)
        self.fed.close_rounds()
        return job

    def give(self, name: str, command: str) -> None:
        """Give a command about one site's leg, as the chair of its committee."""
        who = account_of(self.hub, self.chairs[name])
        with writing(self.hub.engine) as session:
            leg = session.get_one(LegRow, self.leg(name).id)
            parts = parts_of(session, who, session.get_one(RequestRow, self.request), leg)
            legs.give(self.hub, session, leg, command, actor=who.name, parts=parts)
        self.fed.close_rounds()

    def command(self, command: str) -> None:
        """Give a command about the request as a whole, as its requester."""
        who = account_of(self.hub, self.ada)
        with writing(self.hub.engine) as session:
            row = session.get_one(RequestRow, self.request)
            parts = parts_of(session, who, row, None)
            requests.give(self.hub, session, row, command, actor=who.name, parts=parts)
        self.fed.close_rounds()


@pytest.fixture
def world(fed: Any) -> World:
    return World(fed)


def test_a_granted_request_leads_to_a_job_that_runs_at_every_site(world):
    world.approve()
    job = world.started()
    world.fed.settle()
    assert world.fed.state(job) == "completed"


def test_one_committee_takes_back_and_the_others_go_on(world):
    world.approve()
    job = world.started(quorum=2)
    world.give("east", "revoke")
    world.fed.settle()
    assert world.fed.site_state(job, "east") == ("failed", "grant_revoked")
    assert world.fed.sites["east"].runner.calls == []
    assert world.fed.state(job) == "completed"


def test_all_committees_take_back_and_nothing_more_is_released(world):
    world.approve()
    job = world.started(quorum=2)
    for site in world.fed.sites.values():
        site.agent.step()
    for name in world.fed.sites:
        world.give(name, "revoke")
    world.fed.settle()
    assert (world.fed.state(job), world.fed.job(job)["reason"]) == ("failed", "grant_revoked")
    assert all([number for _, number in site.runner.calls] == [1] for site in world.fed.sites.values())


def test_a_job_goes_on_when_another_dataset_is_granted_and_the_visa_is_replaced(world):
    world.approve("east", "north")
    job = world.started(quorum=2)
    world.approve("west")
    assert (
        world.fed.grants[Manifest.open(_job(world, job), trusted=None)[0].visa].visa_id
        != world.leg("east").visa
    )
    world.fed.settle()
    assert world.fed.state(job) == "completed"
    whole = world.started()
    world.fed.settle()
    assert (world.fed.state(whole), len(world.fed.job(whole)["sites"])) == ("completed", 3)


def test_a_new_job_under_the_visa_that_was_replaced_is_refused(world):
    world.approve("east", "north")
    old = world.visa()
    world.approve("west")
    answer = world.fed.post("/v1/jobs", world.fed.manifest(old).seal(world.fed.requester))
    assert answer.json()["code"] == "FB-JOBS-012"


def test_a_paused_request_holds_its_job_until_it_resumes(world):
    world.approve()
    job = world.started()
    world.command("pause")
    world.fed.settle()
    assert (world.fed.job(job)["state"], world.fed.job(job)["reason"]) == ("running", "grant_paused")
    assert [site.runner.calls for site in world.fed.sites.values()] == [[], [], []]
    world.command("resume")
    world.fed.settle()
    assert world.fed.state(job) == "completed"


def test_a_withdrawn_request_stops_its_job(world):
    world.approve()
    job = world.started()
    world.command("withdraw")
    world.fed.settle()
    assert (world.fed.state(job), world.fed.job(job)["reason"]) == ("failed", "grant_revoked")


def test_an_amended_request_gives_no_runs_again(world):
    world.approve(maximum_runs=1)
    world.started()
    later = the_next(world.hub, world.request, title="The same, under another title")
    submit(world.hub, world.ada, later)
    for chair in world.chairs.values():
        grant_all(world.hub, account_of(world.hub, chair), world.request, maximum_runs=1)
    answer = world.fed.post("/v1/jobs", world.fed.manifest(world.visa()).seal(world.fed.requester))
    assert answer.json()["code"] == "FB-JOBS-016", answer.text


def test_whoever_was_granted_something_is_told_how_many_runs_are_left(world):
    world.approve(maximum_runs=3)

    def left() -> set[int]:
        # The routes of jobs, which the federation's hub serves, have told the catalogue whom to ask.
        with reading(world.hub.engine) as session:
            who, now = account_of(world.hub, world.ada), world.fed.clock.now()
            page = listing.grants(session, who, now=now, runs=world.hub.runs)
        return {one["runs_left"] for row in page.rows for one in row["datasets"]}

    assert left() == {3}
    world.started()
    assert left() == {2}


def _job(world: World, job: str) -> bytes:
    from fairbank.federated_jobs.hub.store import JobRow

    with reading(world.hub.engine) as session:
        return session.get_one(JobRow, job).manifest


LEASE_S = 9


def by_rule(world: World, name: str) -> None:
    """Have a site want all that it can: its people named, the grant countersigned, a rule that a person signed."""
    site = world.fed.sites[name]
    settings = replace(site.node.settings, node_countersign="required", jobs_lease_s=LEASE_S)
    site.node = replace(site.node, settings=settings)
    site.restart()
    pat = site.person("pat")
    visa = world.visa()
    held = world.fed.grants[visa.digest]
    with writing(site.node.engine) as session:
        session.add(
            SeenGrantRow(
                visa=visa.digest,
                supersedes=None,
                envelope=held.visa,
                request=held.request,
                state="holds",
                seen=world.fed.clock.now(),
            )
        )
    grant = site_grants.find(site.node, visa.digest)
    site_grants.say(
        site.node, grant, grant.here[0].iri, CountersignWord.COUNTERSIGNED, reason="looked at", signer=pat
    )
    rule = Rule(
        requester_key=world.fed.requester.key_id,
        dataset="collection",
        expires=world.fed.clock.now() + timedelta(days=2),
        code_family="benchmark",
    )
    add_rule(site.node, rule, by="-", signer=pat)


def test_what_three_sites_compute_stops_within_one_lease_when_its_committees_take_the_grant_back(world):
    """Persons, countersignatures, rules, committees, leases and workers together, by the machine's own time."""
    world.approve()
    for name in world.fed.sites:
        by_rule(world, name)
    job = world.fed.submit(world.fed.manifest(world.visa(), rounds=2))
    world.fed.settle()
    # The rules approved it and it ran to its end; the next one is stopped in the middle of a round.
    assert world.fed.state(job) == "completed"
    job = world.fed.submit(world.fed.manifest(world.visa(), rounds=2))
    told = {name: threading.Event() for name in world.fed.sites}
    computing = threading.Barrier(len(told) + 1)
    ended: list[bool] = []

    def compute_until_told(name: str) -> Any:
        def before(task: Any) -> None:
            computing.wait(60)
            ended.append(told[name].wait(60))
            raise WorkerCancelled("The worker was ended.")

        return before

    def work(site: Any) -> None:
        while not told[site.name].is_set():
            site.agent.step()

    for site in world.fed.sites.values():
        site.agent.step()
    world.fed.close_rounds()
    for name, site in world.fed.sites.items():
        site.runner.cancel = lambda job, name=name: told[name].set()
        site.runner.before = compute_until_told(name)
    threads = [threading.Thread(target=work, args=(site,)) for site in world.fed.sites.values()]
    for thread in threads:
        thread.start()
    computing.wait(60)
    for name in world.fed.sites:
        world.give(name, "revoke")
    revoked = time.monotonic()
    for event in told.values():
        assert event.wait(LEASE_S)
    assert time.monotonic() - revoked <= LEASE_S
    for thread in threads:
        thread.join(60)
    assert ended == [True, True, True]
    world.fed.settle()
    assert (world.fed.state(job), world.fed.job(job)["reason"]) == ("failed", "grant_revoked")
    assert world.fed.get(f"/v1/jobs/{job}/results").json()["received"] == []
    for site in world.fed.sites.values():
        with reading(site.node.engine) as session:
            assert session.scalars(select(ReleaseRow.state).where(ReleaseRow.job == job)).all() == []
            row = session.get_one(ReviewRow, job)
            assert (row.ended, row.reason) == (True, "grant_revoked")
