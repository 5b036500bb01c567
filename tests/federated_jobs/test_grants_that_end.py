"""What happens to jobs when the grant that they rest on is taken back, ends, is paused, or is made anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.federated_jobs.catalogue_rows import iri, legs

from fairbank import events
from fairbank.catalogue.governance.store import LegRow, RequestRow
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.errors import RemoteError
from fairbank.federated_jobs.hub.leases import lease_next
from fairbank.federated_jobs.hub.store import JobDatasetRow, JobRow, RoundRow, UpdateRow
from fairbank.federated_jobs.node.errors import WorkerCancelled
from fairbank.federated_jobs.node.output_review import let_go
from fairbank.federated_jobs.node.rounds import unfinished
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.federated_jobs.protocol import Claim, LeaseWork, Renew, Renewed
from fairbank.ontology.signed_objects import Selector, Visa
from fairbank.release.store import ReleaseRow

ZERO = "sha256:" + "0" * 64


def say(fed: Any, kind: str, visa: Any, *names: str, sweeps: bool = True) -> None:
    """Have the catalogue say something of a grant, for the datasets of some sites; all by default."""
    grant = fed.grants[visa.digest]
    detail = {
        "visa": visa.digest,
        "request": grant.request_id,
        "datasets": [iri(name) for name in names or fed.sites],
    }
    with writing(fed.hub.engine) as session:
        events.append(
            session, events.HubEvent, clock=fed.clock, kind=kind, subject=grant.visa_id, detail=detail
        )
    if sweeps:
        fed.close_rounds()


def running(
    fed: Any, *, quorum: int = 2, rounds: int = 3, hold: bool = False, **terms: Any
) -> tuple[Any, str]:
    """Return a visa and a job under it whose first round is queued at three sites."""
    visa = fed.visa(**terms)
    job = fed.submit(fed.manifest(visa, rounds=rounds, quorum=quorum))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job, hold_outputs=hold)
    fed.close_rounds()
    return visa, job


def accepted(fed: Any, job: str) -> int:
    with reading(fed.hub.engine) as session:
        return session.scalar(select(func.count()).select_from(UpdateRow).where(UpdateRow.job == job)) or 0


def releases(site: Any, job: str) -> list[str]:
    with reading(site.node.engine) as session:
        return list(session.scalars(select(ReleaseRow.state).where(ReleaseRow.job == job)))


def renewal(fed: Any, site: Any, job: str) -> Renewed:
    """Renew the lease that a site holds for a job, as its agent does while the worker computes."""
    from fairbank.federated_jobs.hub.store import LeaseRow

    with reading(fed.hub.engine) as session:
        lease = session.scalars(
            select(LeaseRow.id).where(LeaseRow.job == job, LeaseRow.node == site.name, LeaseRow.round > 0)
        ).one()
    answer = site.outbox.control("PUT", f"/v1/leases/{lease}", Renew(state=LeaseWork.WORKING))
    return Renewed.parse(answer)


def while_computing(site: Any, act: Callable[[], None]) -> None:
    """Do something once in the middle of the site's next round."""

    def once(task: Any) -> None:
        site.runner.before = lambda task: None
        act()

    site.runner.before = once


# -- the whole grant is taken back -------------------------------------------------------------------------------------


def test_a_job_that_runs_at_three_sites_stops_within_one_lease_and_nothing_more_is_released(fed):
    """Each site is in the middle of the same round when the grant is taken back, one renewal later all have stopped."""
    visa, job = running(fed)
    sites = list(fed.sites.values())
    stops: list[tuple[str, bool, str]] = []

    def compute_until_told(site: Any, then: Callable[[], None]) -> Callable[[Any], None]:
        def before(task: Any) -> None:
            then()
            answer = renewal(fed, site, job)
            stops.append((site.name, answer.stop, answer.reason.value))
            raise WorkerCancelled("The worker was ended.")

        return before

    def revoke() -> None:
        # All three compute; then the grant goes, and a third of a lease later the first renewals come.
        say(fed, "grant.revoked", visa)
        fed.clock.advance(fed.hub.settings.jobs_lease_s / 3)

    def next_site(number: int) -> Callable[[], None]:
        return revoke if number == len(sites) else sites[number].agent.step

    for number, site in enumerate(sites, 1):
        site.runner.before = compute_until_told(site, next_site(number))
    revoked_at = fed.clock.now()
    sites[0].agent.step()
    assert sorted(stops) == [(name, True, "grant_revoked") for name in sorted(fed.sites)]
    assert fed.clock.now() - revoked_at <= timedelta(seconds=fed.hub.settings.jobs_lease_s)
    fed.settle()
    assert accepted(fed, job) == 0
    assert (fed.state(job), fed.job(job)["reason"]) == ("failed", "grant_revoked")
    for site in sites:
        assert releases(site, job) == []
        with reading(site.node.engine) as session:
            row = session.get_one(ReviewRow, job)
            assert (row.ended, row.reason) == (True, "grant_revoked")


def test_what_a_site_has_computed_when_the_grant_is_taken_back_stays_there(fed):
    visa, job = running(fed)
    east = fed.sites["east"]
    while_computing(east, lambda: say(fed, "grant.revoked", visa))
    east.agent.step()
    assert (accepted(fed, job), releases(east, job)) == (0, ["withheld"])


def test_an_output_is_refused_the_moment_that_the_grant_is_gone_though_no_job_was_told_yet(fed):
    """Between the committee's word and the hub's next look at its events."""
    visa, job = running(fed)
    legs(fed, visa)
    east = fed.sites["east"]

    def revoke() -> None:
        with writing(fed.hub.engine) as session:
            session.scalars(select(LegRow).where(LegRow.dataset == iri("east"))).one().state = "revoked"

    while_computing(east, revoke)
    east.agent.step()
    assert (accepted(fed, job), releases(east, job)) == (0, ["withheld"])
    with reading(east.node.engine) as session:
        row = session.get_one(ReviewRow, job)
        assert (row.state, row.reason, row.error) == ("withheld", "grant_revoked", "FB-JOBS-050")


def test_an_upload_is_refused_in_the_middle(fed, monkeypatch):
    from dataclasses import replace

    visa, job = running(fed)
    east = fed.sites["east"]
    east.node = replace(east.node, settings=replace(east.node.settings, jobs_chunk_bytes=50))
    east.restart()
    pieces: list[int] = []
    from fairbank.release.hub_client import HubClient

    deliver = HubClient.deliver

    def counted(self: Any, method: str, path: str, **options: Any) -> Any:
        if method == "PUT" and path.startswith("/v1/releases/"):
            pieces.append(len(options["body"]))
            if len(pieces) == 2:
                say(fed, "grant.revoked", visa)
        return deliver(self, method, path, **options)

    monkeypatch.setattr(HubClient, "deliver", counted)
    east.agent.step()
    assert pieces == [50, 50]
    assert (accepted(fed, job), releases(east, job)) == (0, ["withheld"])
    assert list((fed.hub.blobs / "incoming").iterdir()) == []


def test_an_output_that_waits_for_a_person_never_leaves_once_the_grant_is_gone(fed):
    visa, job = running(fed, hold=True)
    fed.settle()
    east = fed.sites["east"]
    assert releases(east, job) == ["held"]
    say(fed, "grant.revoked", visa)
    fed.settle()
    assert releases(east, job) == ["withheld"]
    with pytest.raises(Exception, match="No output of this job waits"):
        let_go(east.node, east.outbox, job, by="curator")


def test_a_job_that_only_waits_for_approval_never_starts(fed):
    visa = fed.visa()
    job = fed.submit(fed.manifest(visa, quorum=2))
    fed.settle()
    say(fed, "grant.revoked", visa)
    fed.settle()
    assert (fed.state(job), fed.job(job)["reason"]) == ("failed", "grant_revoked")
    with reading(fed.sites["east"].node.engine) as session:
        assert session.get_one(ReviewRow, job).state == "expired"
    assert [site.runner.calls for site in fed.sites.values()] == [[], [], []]


# -- part of it --------------------------------------------------------------------------------------------------------


def test_the_other_sites_go_on_while_the_quorum_holds(fed):
    visa, job = running(fed)
    say(fed, "grant.revoked", visa, "east")
    fed.settle()
    assert fed.state(job) == "completed"
    assert fed.site_state(job, "east") == ("failed", "grant_revoked")
    assert fed.sites["east"].runner.calls == []
    assert [number for _, number in fed.sites["north"].runner.calls] == [1, 2, 3]


def test_a_job_ends_when_too_few_sites_are_left(fed):
    visa, job = running(fed, quorum=3)
    say(fed, "grant.revoked", visa, "east")
    fed.settle()
    assert (fed.state(job), fed.job(job)["reason"]) == ("failed", "grant_revoked")
    assert accepted(fed, job) == 0


def test_a_site_that_lost_its_grant_in_a_round_is_not_merged(fed):
    visa, job = running(fed, rounds=1)
    fed.sites["east"].agent.step()
    assert fed.site_state(job, "east")[0] == "released"
    say(fed, "grant.revoked", visa, "east")
    fed.settle()
    with reading(fed.hub.engine) as session:
        event = session.scalars(
            select(events.HubEvent).where(events.HubEvent.kind == "model.registered")
        ).one()
    assert fed.state(job) == "completed"
    assert fed.site_state(job, "east") == ("failed", "grant_revoked")
    assert event.detail["nodes"] == ["north", "west"]
    assert event.detail["datasets"] == [iri("north"), iri("west")]


def test_a_renewal_says_that_this_site_alone_must_stop(fed):
    visa, job = running(fed)
    east, north = fed.sites["east"], fed.sites["north"]
    told: dict[str, tuple[bool, str]] = {}

    def lose_east() -> None:
        while_computing(north, ask_both)
        north.agent.step()

    def ask_both() -> None:
        say(fed, "grant.revoked", visa, "east")
        for site in (east, north):
            answer = renewal(fed, site, job)
            told[site.name] = (answer.stop, answer.reason.value)

    while_computing(east, lose_east)
    east.agent.step()
    assert told == {"east": (True, "grant_revoked"), "north": (False, "none")}


def test_a_grant_of_another_request_changes_nothing(fed):
    _, job = running(fed)
    say(fed, "grant.revoked", fed.visa())
    fed.settle()
    assert fed.state(job) == "completed"


# -- time --------------------------------------------------------------------------------------------------------------


def test_a_site_whose_dataset_was_granted_for_less_long_stops_alone(fed):
    visa = fed.visa()
    opened, _ = Visa.open(fed.grants[visa.digest].visa, trusted=None)
    soon = iso(fed.clock.now() + timedelta(days=1))
    datasets = tuple(
        one.model_copy(update={"expires": soon}) if "/east/" in one.iri else one for one in opened.datasets
    )
    visa = regrant(fed, visa, datasets=datasets)
    job = fed.submit(fed.manifest(visa, rounds=3, quorum=2))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    for site in fed.sites.values():
        site.agent.step()
    fed.clock.advance(86_400)
    fed.settle()
    assert fed.site_state(job, "east") == ("failed", "visa_expired")
    assert fed.state(job) == "completed"
    assert [number for _, number in fed.sites["east"].runner.calls] == [1]


def test_an_expired_grant_says_so(fed):
    visa, job = running(fed)
    say(fed, "grant.expired", visa)
    assert (fed.state(job), fed.job(job)["reason"]) == ("failed", "visa_expired")


# -- paused ------------------------------------------------------------------------------------------------------------


def test_a_paused_job_computes_nothing_and_goes_on_when_it_resumes(fed):
    visa, job = running(fed)
    say(fed, "grant.paused", visa)
    fed.settle()
    assert [site.runner.calls for site in fed.sites.values()] == [[], [], []]
    assert (fed.state(job), fed.job(job)["reason"]) == ("running", "grant_paused")
    say(fed, "grant.resumed", visa)
    fed.settle()
    assert fed.state(job) == "completed"
    assert [number for _, number in fed.sites["east"].runner.calls] == [1, 2, 3]


def test_a_pause_stops_what_is_computed_and_takes_no_output(fed):
    visa, job = running(fed)
    east = fed.sites["east"]
    answers: list[tuple[bool, str]] = []

    def pause() -> None:
        say(fed, "grant.paused", visa)
        answer = renewal(fed, east, job)
        answers.append((answer.stop, answer.reason.value))

    while_computing(east, pause)
    east.agent.step()
    assert answers == [(True, "grant_paused")]
    # This worker was not ended in time: its output waits in the outbox, and is taken after the pause.
    assert (accepted(fed, job), releases(east, job)) == (0, ["ready"])
    fed.settle()
    assert (accepted(fed, job), releases(east, job)) == (0, ["ready"])
    say(fed, "grant.resumed", visa)
    fed.settle()
    assert fed.state(job) == "completed"
    assert [number for _, number in east.runner.calls] == [1, 2, 3]


def test_a_node_that_starts_anew_during_a_pause_does_not_go_on_by_itself(fed):
    visa, job = running(fed)
    east = fed.sites["east"]

    def pause(task: Any) -> None:
        east.runner.before = lambda task: None
        say(fed, "grant.paused", visa)
        east.agent._note_pause(job, renewal(fed, east, job).reason)
        raise WorkerCancelled("The worker was ended.")

    east.runner.before = pause
    east.agent.step()
    with reading(east.node.engine) as session:
        assert unfinished(session) == []
    east.restart().resume()
    assert len(east.runner.calls) == 1
    say(fed, "grant.resumed", visa)
    fed.settle()
    assert fed.state(job) == "completed"


def test_a_round_has_as_much_time_left_after_a_pause_as_before(fed):
    visa, job = running(fed)
    with reading(fed.hub.engine) as session:
        before = session.get_one(RoundRow, (job, 1)).deadline
    say(fed, "grant.paused", visa)
    fed.clock.advance(2 * 86_400)
    fed.close_rounds()
    assert fed.state(job) == "running"
    say(fed, "grant.resumed", visa)
    with reading(fed.hub.engine) as session:
        assert session.get_one(RoundRow, (job, 1)).deadline == before + timedelta(days=2)
    fed.settle()
    assert fed.state(job) == "completed"


def test_a_round_that_all_have_delivered_is_not_merged_during_a_pause(fed):
    visa, job = running(fed)
    for site in fed.sites.values():
        site.agent.step()
    say(fed, "grant.paused", visa)
    with reading(fed.hub.engine) as session:
        assert session.get_one(RoundRow, (job, 1)).state == "open"
    say(fed, "grant.resumed", visa)
    with reading(fed.hub.engine) as session:
        assert session.get_one(RoundRow, (job, 1)).state == "closed"


def test_a_paused_job_ends_when_its_grant_is_taken_back(fed):
    visa, job = running(fed)
    say(fed, "grant.paused", visa)
    say(fed, "grant.revoked", visa)
    assert (fed.state(job), fed.job(job)["reason"]) == ("failed", "grant_revoked")


def test_a_job_goes_on_when_the_paused_site_is_lost_and_the_quorum_holds(fed):
    visa, job = running(fed)
    say(fed, "grant.paused", visa, "east")
    say(fed, "grant.revoked", visa, "east")
    fed.settle()
    assert fed.state(job) == "completed"


def test_nothing_is_handed_out_for_a_paused_job(fed):
    visa, job = running(fed)
    fed.submit(fed.manifest(visa))
    say(fed, "grant.paused", visa)
    with writing(fed.hub.engine) as session:
        claim = Claim(max_wait_s=0, audit_seq=0, audit_hash=ZERO, busy=(job,))
        assert lease_next(fed.hub, session, "east", claim) is None


# -- made anew ---------------------------------------------------------------------------------------------------------


def regrant(fed: Any, visa: Any, **changes: Any) -> Any:
    """Seal a further visa of the same request and let the catalogue know it."""
    grant = fed.grants[visa.digest]
    opened, _ = Visa.open(grant.visa, trusted=None)
    new = opened.model_copy(
        update={
            "id": fed.clock.new_id(),
            "supersedes": visa.digest,
            "created": iso(fed.clock.now()),
            **changes,
        }
    )
    envelope = new.seal(fed.hub.key)
    _, sealed = Visa.open(envelope, trusted=None)
    fed.grants[sealed.digest] = type(grant)(new.id, envelope, grant.request_id, grant.request, ended=False)
    return sealed


def test_a_job_under_a_visa_that_was_replaced_goes_on(fed):
    visa, job = running(fed)
    legs(fed, visa)
    with writing(fed.hub.engine) as session:
        for leg in session.scalars(select(LegRow)):
            leg.visa = "01890000-0000-7000-8000-000000000000"
    say(fed, "grant.expired", visa)
    fed.settle()
    assert fed.state(job) == "completed"


def test_a_new_job_under_a_visa_that_was_replaced_is_refused(fed):
    visa = fed.visa()
    legs(fed, visa)
    fed.submit(fed.manifest(visa))
    with writing(fed.hub.engine) as session:
        for leg in session.scalars(select(LegRow)):
            leg.visa = "01890000-0000-7000-8000-000000000000"
    assert refused(fed, visa) == ("FB-JOBS-012", "later visa")


@pytest.mark.parametrize(
    ("leg", "request_state", "words"),
    [("revoked", "open", "not granted any more"), ("active", "paused", "is paused")],
)
def test_a_new_job_on_what_is_not_granted_now_is_refused(fed, leg, request_state, words):
    visa = fed.visa()
    legs(fed, visa)
    with writing(fed.hub.engine) as session:
        session.scalars(select(LegRow).where(LegRow.dataset == iri("east"))).one().state = leg
        session.scalars(select(RequestRow)).one().state = request_state
    assert refused(fed, visa) == ("FB-JOBS-012", words)


def refused(fed: Any, visa: Any) -> tuple[str, str]:
    answer = fed.post("/v1/jobs", fed.manifest(visa).seal(fed.requester)).json()
    words = next(
        (each for each in ("later visa", "not granted any more", "is paused") if each in answer["title"]), ""
    )
    return answer["code"], words


@pytest.mark.parametrize(
    ("terms", "state"),
    [
        ({"tool_families": ("measurements",)}, "failed"),
        ({"selector": Selector(modality=("CT",))}, "failed"),
        ({"maximum_runs": 1, "conditions": ("Publish openly.",)}, "completed"),
    ],
    ids=["other tools", "a narrower selection", "what does not concern it"],
)
def test_a_job_that_goes_beyond_new_terms_stops(fed, monkeypatch, terms, state):
    visa, job = running(fed)
    opened, _ = Visa.open(fed.grants[visa.digest].visa, trusted=None)
    narrowed = tuple(one.model_copy(update=terms) for one in opened.datasets)
    fed.clock.advance(60)
    new = regrant(fed, visa, datasets=narrowed)
    monkeypatch.setattr(
        "fairbank.federated_jobs.hub.sweep.granted",
        lambda hub: lambda session, digest: fed.grants.get(digest),
    )
    say(fed, "grant.made", new)
    fed.settle()
    assert fed.state(job) == state


# -- counting runs -----------------------------------------------------------------------------------------------------


def test_a_visa_that_replaces_another_gives_no_runs_again(fed):
    visa = fed.visa(terms={"maximum_runs": 1})
    fed.submit(fed.manifest(visa))
    fed.clock.advance(60)
    again = regrant(fed, visa)
    answer = fed.post("/v1/jobs", fed.manifest(again).seal(fed.requester))
    assert answer.json()["code"] == "FB-JOBS-016"


def test_a_run_on_one_dataset_is_none_on_another(fed):
    visa = fed.visa(terms={"maximum_runs": 1})
    whole = fed.manifest(visa)

    def only(*names: str) -> Any:
        datasets = tuple(one for one in whole.datasets if one.iri in {iri(name) for name in names})
        plan = whole.plan.model_copy(update={"quorum": 1})
        return whole.model_copy(update={"id": fed.clock.new_id(), "datasets": datasets, "plan": plan})

    fed.submit(only("east"))
    fed.submit(only("north"))
    answer = fed.post("/v1/jobs", only("east", "west").seal(fed.requester))
    assert answer.json()["code"] == "FB-JOBS-016"
    fed.submit(only("west"))
    with reading(fed.hub.engine) as session:
        used = session.scalars(select(JobDatasetRow.dataset).order_by(JobDatasetRow.dataset))
        assert list(used) == [iri(name) for name in ("east", "north", "west")]


def test_a_lease_of_a_site_that_is_gone_for_good_still_answers_stop(fed):
    visa, job = running(fed)
    fed.sites["east"].runner.before = lambda task: None
    with writing(fed.hub.engine) as session:
        claim = Claim(max_wait_s=0, audit_seq=0, audit_hash=ZERO)
        lease = lease_next(fed.hub, session, "east", claim)
    say(fed, "grant.revoked", visa, "east")
    answer = fed.sites["east"].outbox.control("PUT", f"/v1/leases/{lease.id}", Renew(state=LeaseWork.WORKING))
    assert Renewed.parse(answer).stop
    with pytest.raises(RemoteError):
        fed.sites["north"].outbox.control("PUT", f"/v1/leases/{lease.id}", Renew(state=LeaseWork.WORKING))
    with reading(fed.hub.engine) as session:
        assert session.get_one(JobRow, job).state == "degraded"
