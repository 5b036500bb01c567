"""What a hub that was taken over, or who writes into a node's database, cannot make a node do or leave undone."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from fairbank.audit import HubAudit, NodeAudit
from fairbank.audit_alarms import AlarmKind
from fairbank.catalogue import hub_keys as hub_side
from fairbank.database import reading, writing
from fairbank.errors import FairbankError
from fairbank.federated_jobs.errors import SiteRefusal
from fairbank.federated_jobs.hub import node_logs
from fairbank.federated_jobs.hub.leases import requeue_lapsed
from fairbank.federated_jobs.node import agent as agent_module
from fairbank.federated_jobs.node.approval import Consent, approve, leaving
from fairbank.federated_jobs.node.errors import WorkerCancelled
from fairbank.federated_jobs.node.output_review import let_go
from fairbank.federated_jobs.node.reporting import report_decisions
from fairbank.federated_jobs.node.rounds import RoundOrder, take, work
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow
from fairbank.federated_jobs.protocol import Renew
from fairbank.ontology.person_objects import CountersignWord, PersonDecision, PersonRole
from fairbank.ontology.signed_objects import Visa
from fairbank.release import grants
from fairbank.release.errors import BadAnswer, SecondPersonNeeded
from fairbank.release.outbox import Outbox
from fairbank.release.people import add_person, unlock
from fairbank.release.person_decisions import Act, digest_of, made
from fairbank.release.store import DecisionRow, ReleaseRow, SeenGrantRow
from fairbank.release.suspension import suspend
from fairbank.signing import SigningKey

from .test_audit_logs import alarms, more, watch
from .test_grants_that_end import say

PHRASE = "correct horse"


@pytest.fixture
def fed(start):
    return start("east")


@pytest.fixture
def site(fed):
    return fed.sites["east"]


@pytest.fixture
def ada(site):
    return site.person("ada")


@pytest.fixture
def quick(monkeypatch):
    """Watches look every fifth of a second of the machine's time, however long a lease is."""
    asked: list[float] = []

    def every_s(lease_s: float) -> float:
        asked.append(lease_s)
        return 0.2

    monkeypatch.setattr(agent_module, "_every_s", every_s)
    monkeypatch.setattr(agent_module, "CANCEL_EVERY_S", 0.1)
    return asked


class Computing:
    """A worker that computes until it is told to end; the first `deaf` times nobody is there to hear it."""

    def __init__(self, site: Any, act: Any = lambda: None, *, deaf: int = 0) -> None:
        self.site, self.act, self.deaf, self.told = site, act, deaf, threading.Event()
        self.ended: bool | None = None
        site.runner.cancel = self.cancel
        site.runner.before = self

    def cancel(self, job: str) -> None:
        self.deaf -= 1
        if self.deaf < 0:
            self.told.set()

    def __call__(self, task: Any) -> None:
        self.act()
        self.ended = self.told.wait(20)
        raise WorkerCancelled("The worker was ended.")


def ready(fed: Any, site: Any, signer: Any = None, **consent: Any) -> tuple[Any, str]:
    """Return a visa and a job under it that this site approved, and whose first round is queued."""
    visa = fed.visa()
    job = fed.submit(fed.manifest(visa))
    fed.settle()
    approve(site.node, job, Consent(by="curator", signer=signer, **consent), source=site.index)
    report_decisions(site.node, site.outbox)
    fed.close_rounds()
    return visa, job


def known(fed: Any, site: Any, visa: Any) -> grants.SiteGrant:
    """Put a visa among those that the node fetched, as `fetch` would, and return it."""
    held = fed.grants[visa.digest]
    opened, _ = Visa.open(held.visa, trusted=None)
    with writing(site.node.engine) as session:
        session.merge(
            SeenGrantRow(
                visa=visa.digest,
                supersedes=opened.supersedes,
                envelope=held.visa,
                request=held.request,
                state="holds",
                seen=fed.clock.now(),
            )
        )
    return grants.find(site.node, visa.digest)


# -- stops that a hub could hold up -------------------------------------------------------------------------------


def test_a_lease_of_years_does_not_keep_the_site_s_people_from_stopping_a_job(fed, site, quick):
    _, job = ready(fed, site)
    site.node = replace(site.node, settings=replace(site.node.settings, jobs_lease_s=60))
    site.restart()
    worker = Computing(site, lambda: suspend(site.node, by="curator"))
    with writing(site.node.engine) as session:
        take(session, RoundOrder(job, 1, fed.clock.new_id(), None), site=site.agent._site)
    do = partial(work, site.agent._site, job, 1)
    site.agent._work(job, 1, do, lease=fed.clock.new_id(), lease_s=10**12)
    assert worker.ended
    assert set(quick) == {60}


@pytest.mark.parametrize("answer", ["hangs", "is none", "refuses"])
def test_a_hub_that_does_not_answer_renewals_does_not_keep_the_people_from_stopping(
    fed, site, quick, monkeypatch, answer
):
    ready(fed, site)
    site.restart()
    worker, over, ask = Computing(site), threading.Event(), Outbox.control

    def control(outbox: Any, method: str, path: str, message: Any, **options: Any) -> Any:
        if not isinstance(message, Renew):
            return ask(outbox, method, path, message, **options)
        if worker.act is not None:
            worker.act = None
            suspend(site.node, by="curator")
        if answer == "hangs":
            over.wait(20)
        if answer == "refuses":
            raise FairbankError.from_problem({"code": "FB-JOBS-006", "title": "No.", "status": 410})
        return {"schema": "renewed/9"}

    monkeypatch.setattr(Outbox, "control", control)
    with suppress(FairbankError):
        site.agent.step()
    over.set()
    assert worker.ended


def test_a_stop_that_comes_before_there_is_a_worker_is_said_again(fed, site, quick):
    visa, _ = ready(fed, site)
    worker = Computing(site, lambda: say(fed, "grant.revoked", visa), deaf=3)
    site.agent.step()
    assert worker.ended


def test_a_grant_taken_back_after_the_lease_has_lapsed_stops_the_job(fed, site, quick):
    visa, _ = ready(fed, site)

    def lapse_then_revoke() -> None:
        fed.clock.advance(3600)
        with writing(fed.hub.engine) as session:
            assert requeue_lapsed(fed.hub, session) == 1
        threading.Timer(1.0, lambda: say(fed, "grant.revoked", visa)).start()

    worker = Computing(site, lapse_then_revoke)
    site.agent.step()
    assert worker.ended


def test_a_round_taken_up_again_after_a_crash_stops_when_its_grant_was_taken_back_meanwhile(fed, site, quick):
    visa, job = ready(fed, site)

    def killed(task: Any) -> None:
        raise KeyboardInterrupt

    site.runner.before = killed
    with pytest.raises(KeyboardInterrupt):
        site.agent.step()
    say(fed, "grant.revoked", visa)
    worker = Computing(site)
    site.restart().resume()
    assert worker.ended
    fed.settle()
    assert fed.site_state(job, "east")[0] == "failed"


def test_an_output_that_a_proxy_answers_for_does_not_keep_the_node_from_its_work(fed, site, ada, monkeypatch):
    _, held = ready(fed, site, ada, hold_outputs=True)
    fed.settle()
    let_go(site.node, site.outbox, held, by="-", signer=ada)
    visa = fed.visa()
    fed.submit(fed.manifest(visa))

    def proxy(outbox: Any, release: str) -> None:
        raise BadAnswer("Too large.")

    monkeypatch.setattr(Outbox, "send", proxy)
    assert site.agent.step()
    with reading(site.node.engine) as session:
        assert len(session.scalars(select(ReviewRow.job)).all()) == 2


def test_a_job_that_breaks_the_node_s_judgement_does_not_keep_it_from_the_next(fed, site, monkeypatch):
    first, second = fed.submit(fed.manifest(fed.visa())), fed.submit(fed.manifest(fed.visa()))
    judge = agent_module.receive

    def broken(node: Any, lease: Any, **options: Any) -> Any:
        if lease.job == first:
            raise ZeroDivisionError
        return judge(node, lease, **options)

    monkeypatch.setattr(agent_module, "receive", broken)
    for _ in range(agent_module.FAULTS_FORGIVEN + 1):
        with suppress(ZeroDivisionError):
            site.agent.step()
    assert fed.site_state(first, "east") == ("rejected", "node_fault")
    with reading(site.node.engine) as session:
        assert session.get_one(ReviewRow, second).state == "pending_review"


# -- signatures of persons ----------------------------------------------------------------------------------------


def made_ready(fed: Any, site: Any, job: str) -> Outbox:
    """Write into the node's database that a held output may leave."""
    with writing(site.node.engine) as session:
        session.execute(update(ReleaseRow).where(ReleaseRow.job == job).values(state="ready"))
    return Outbox(site.node, site.client(), may_leave=leaving(site.node))


def test_an_output_does_not_leave_by_taking_away_the_decision_that_holds_it(fed, site, ada):
    _, job = ready(fed, site, ada, hold_outputs=True)
    fed.settle()
    outbox = made_ready(fed, site, job)
    with writing(site.node.engine) as session:
        session.execute(delete(DecisionRow).where(DecisionRow.act == Act.JOB_APPROVE.value))
        session.execute(update(ApprovalRow).values(hold_outputs=False))
    with pytest.raises(SiteRefusal) as caught:
        outbox.send(outbox.pending()[0].id)
    assert caught.value.reason.value == "approval_invalid"
    fed.settle()
    assert fed.get(f"/v1/jobs/{job}/results").json()["received"] == []


def test_under_four_eyes_one_signature_and_a_changed_row_let_nothing_go(fed, site, ada):
    _, job = ready(fed, site, ada, hold_outputs=True)
    fed.settle()
    site.node = replace(site.node, settings=replace(site.node.settings, node_four_eyes="yes"))
    with pytest.raises(SecondPersonNeeded):
        let_go(site.node, site.outbox, job, by="-", signer=ada)
    outbox = made_ready(fed, site, job)
    with pytest.raises(SiteRefusal):
        outbox.send(outbox.pending()[0].id)
    add_person(site.node, "ben", PHRASE, by=ada)
    with writing(site.node.engine) as session:
        session.execute(update(ReleaseRow).where(ReleaseRow.job == job).values(state="held"))
    let_go(site.node, site.outbox, job, by="-", signer=unlock(site.node, "ben", PHRASE))
    outbox.send(outbox.pending()[0].id)
    assert len(fed.get(f"/v1/jobs/{job}/results").json()["received"]) == 1


def test_a_decision_of_a_person_without_the_role_for_it_does_not_count(fed, site, ada):
    add_person(site.node, "pia", PHRASE, roles=[PersonRole.PRIVACY], by=ada)
    pia = unlock(site.node, "pia", PHRASE)
    for act, counts in ((Act.JOB_APPROVE, False), (Act.NODE_SUSPEND, True)):
        words = PersonDecision(
            id=fed.clock.new_id(),
            person="pia",
            act=act.value,
            target="a target",
            detail=digest_of({}),
            node=site.node.name,
            created="2026-01-01T00:00:00.000Z",
        )
        envelope = words.seal(pia.key)
        _, sealed = PersonDecision.open(envelope, trusted=None)
        with writing(site.node.engine) as session:
            session.add(
                DecisionRow(
                    digest=sealed.digest,
                    person="pia",
                    act=act.value,
                    target="a target",
                    detail={},
                    envelope=envelope,
                    at=fed.clock.now(),
                )
            )
        with reading(site.node.engine) as session:
            assert bool(made(session, site.node, act)) is counts


# -- grants -------------------------------------------------------------------------------------------------------


def bring(fed: Any, visa: Any) -> tuple[str, str]:
    """Bring a job under a visa, past the hub's own checks, and return what the hub hears of it."""
    job = fed.smuggle(fed.manifest(visa))
    fed.settle()
    return fed.site_state(job, "east")


def test_a_grant_that_a_later_one_replaced_is_good_only_within_the_later_terms(fed, site):
    first = fed.visa()
    assert bring(fed, first)[0] == "pending_review"
    fed.clock.advance(1)
    wide = fed.visa(supersedes=first.digest)
    known(fed, site, wide)
    assert bring(fed, first)[0] == "pending_review"
    fed.clock.advance(1)
    known(fed, site, fed.visa(supersedes=wide.digest, terms={"tool_families": ("measurements",)}))
    assert bring(fed, first) == ("rejected", "visa_superseded")


def test_a_grant_brought_back_whose_later_one_a_person_refused_is_refused(fed, site, ada):
    first = fed.visa()
    grants.say(
        site.node,
        (grant := known(fed, site, first)),
        grant.here[0].iri,
        CountersignWord.COUNTERSIGNED,
        reason="looked at",
        signer=ada,
    )
    fed.clock.advance(1)
    later = known(fed, site, fed.visa(supersedes=first.digest))
    assert bring(fed, first)[0] == "pending_review"
    grants.say(site.node, later, later.here[0].iri, CountersignWord.REFUSED, reason="no", signer=ada)
    assert bring(fed, first) == ("rejected", "visa_superseded")


def test_a_grant_refused_after_it_was_computed_under_lets_nothing_leave(fed, site, ada):
    visa, job = ready(fed, site, ada, hold_outputs=True)
    fed.settle()
    grant = known(fed, site, visa)
    grants.say(site.node, grant, grant.here[0].iri, CountersignWord.REFUSED, reason="no", signer=ada)
    with pytest.raises(SiteRefusal) as caught:
        let_go(site.node, site.outbox, job, by="-", signer=ada)
    assert caught.value.reason.value == "grant_refused_by_site"


# -- the hub's key and its log ------------------------------------------------------------------------------------


class Described:
    """A connection to a hub that describes itself with its successions, as the catalogue's routes do."""

    def __init__(self, fed: Any, client: Any) -> None:
        self.fed, self.client = fed, client

    def get(self, path: str, **options: Any) -> dict[str, Any]:
        if path != "/v1/hub":
            return dict(self.client.get(path, **options))
        with reading(self.fed.hub.engine) as session:
            return {"successions": [each.payload() for each in hub_side.successions(session)]}


def test_a_hub_whose_key_was_replaced_still_proves_its_log(fed, site):
    node_logs.seal(fed.hub, now=True)
    log = watch(fed, "east")
    log._client = Described(fed, log._client)
    log.look()
    more(fed, 3)
    hub_side.rotate(fed.hub, actor="operator")
    fed.restart_hub()
    node_logs.seal(fed.hub, now=True)
    log.look()
    assert alarms(site.node.engine, NodeAudit) == []
    assert not log.alarmed


def test_a_hub_key_that_follows_from_nothing_proves_no_log(fed, site):
    from fairbank import audit_checkpoints

    more(fed, 2)
    thief = SigningKey.generate()
    audit_checkpoints.keep(fed.hub.engine, HubAudit, key=thief, log=fed.hub.base_iri, clock=fed.clock)
    log = watch(fed, "east")
    log._client = Described(fed, log._client)
    log.look()
    assert alarms(site.node.engine, NodeAudit)[0].kind is AlarmKind.UNPROVEN
