"""Persons decide about jobs: what runs and what leaves rests on a signature that a changed row does not have."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.errors import FairbankError
from fairbank.federated_jobs.errors import SiteRefusal
from fairbank.federated_jobs.node.approval import Consent, approve, authorise, leaving, reject, withdraw
from fairbank.federated_jobs.node.output_review import keep_back, let_go
from fairbank.federated_jobs.node.reporting import report_decisions
from fairbank.federated_jobs.node.rules import Rule, add_rule, pinned_rules, remove_rule
from fairbank.federated_jobs.node.site_keys import site_key
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow, RuleRow
from fairbank.federated_jobs.reasons import Reason
from fairbank.ontology.person_objects import CountersignWord, GrantCountersignature
from fairbank.ontology.signed_objects import Selector, SiteApproval, Visa
from fairbank.release import grants
from fairbank.release.errors import (
    NodeSuspendedHere,
    PersonNeeded,
    PersonRetired,
    SecondPersonNeeded,
)
from fairbank.release.outbox import Outbox
from fairbank.release.people import add_person, retire, unlock
from fairbank.release.store import CountersignatureRow, ReleaseRow, SeenGrantRow
from fairbank.release.suspension import resume, suspend
from fairbank.signing import SigningKey

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
def ben(site, ada):
    add_person(site.node, "ben", PHRASE, by=ada)
    return unlock(site.node, "ben", PHRASE)


def waiting(fed, **options) -> str:
    job = fed.submit(fed.manifest(fed.visa(), **options))
    fed.settle()
    return job


def approved(fed, site, signer, **consent) -> str:
    job = waiting(fed)
    approve(site.node, job, Consent(by="-", signer=signer, **consent), source=site.index)
    report_decisions(site.node, site.outbox)
    return job


def stopped(site, job: str) -> tuple[str, str | None]:
    with writing(site.node.engine) as session, pytest.raises(SiteRefusal) as caught:
        authorise(site.node, session, job, source=site.index)
    return caught.value.reason.value, caught.value.check and caught.value.check.value


def change(site, statement) -> None:
    with writing(site.node.engine) as session:
        session.execute(statement)


# -- jobs ---------------------------------------------------------------------------------------------------------


def test_a_job_that_a_person_approved_runs(fed, site, ada):
    job = approved(fed, site, ada)
    fed.settle()
    assert fed.state(job) == "completed"
    with reading(site.node.engine) as session:
        assert session.get_one(ReviewRow, job).decided_by == "ada"


def test_once_a_person_is_named_nobody_decides_without_signing(fed, site, ada):
    job = waiting(fed)
    with pytest.raises(PersonNeeded):
        site.approve(job)
    with pytest.raises(PersonNeeded):
        reject(site.node, job, by="curator")
    reject(site.node, job, by="-", signer=ada)


def test_a_person_who_retired_approves_nothing(fed, site, ada, ben):
    job = waiting(fed)
    retire(site.node, "ada", by=ben)
    with pytest.raises(PersonRetired):
        approve(site.node, job, Consent(by="-", signer=ada), source=site.index)


def test_what_somebody_approved_before_retiring_runs_on(fed, site, ada, ben):
    job = approved(fed, site, ada)
    fed.clock.advance(1)
    retire(site.node, "ada", by=ben)
    fed.settle()
    assert fed.state(job) == "completed"


def test_an_approval_from_before_anybody_was_named_runs_on(fed, site):
    job = waiting(fed)
    site.approve(job)
    site.person("ada")
    fed.settle()
    assert fed.state(job) == "completed"


def test_an_approval_that_the_site_s_key_alone_sealed_does_not_count(fed, site, ada):
    job = approved(fed, site, ada)
    with reading(site.node.engine) as session:
        envelope = session.get_one(ApprovalRow, job).envelope
    genuine, _ = SiteApproval.open(envelope, trusted=None)
    for decision in (None, "sha256:" + "0" * 64):
        forged = genuine.model_copy(update={"decision": decision}).seal(site_key(site.node.settings))
        change(site, update(ApprovalRow).where(ApprovalRow.job == job).values(envelope=forged))
        assert stopped(site, job) == ("approval_invalid", "person")


def test_the_decision_on_another_job_does_not_count_for_this_one(fed, site, ada):
    first, second = approved(fed, site, ada), approved(fed, site, ada)
    with reading(site.node.engine) as session:
        borrowed, _ = SiteApproval.open(session.get_one(ApprovalRow, first).envelope, trusted=None)
        genuine, _ = SiteApproval.open(session.get_one(ApprovalRow, second).envelope, trusted=None)
    forged = genuine.model_copy(update={"decision": borrowed.decision}).seal(site_key(site.node.settings))
    change(site, update(ApprovalRow).where(ApprovalRow.job == second).values(envelope=forged))
    assert stopped(site, second) == ("approval_invalid", "person")


@pytest.mark.parametrize("longer", [False, True])
def test_an_approval_is_good_for_the_end_and_the_hold_that_were_signed(fed, site, ada, longer):
    job = approved(fed, site, ada, hold_outputs=True, expires=fed.clock.now() + timedelta(days=1))
    if longer:
        with reading(site.node.engine) as session:
            genuine, _ = SiteApproval.open(session.get_one(ApprovalRow, job).envelope, trusted=None)
        later = genuine.model_copy(update={"expires": iso(fed.clock.now() + timedelta(days=9))})
        values = {"envelope": later.seal(site_key(site.node.settings))}
    else:
        values = {"hold_outputs": False}
    change(site, update(ApprovalRow).where(ApprovalRow.job == job).values(**values))
    assert stopped(site, job) == ("approval_invalid", "person")


def test_a_withdrawal_is_signed_too(fed, site, ada):
    job = approved(fed, site, ada)
    with pytest.raises(PersonNeeded):
        withdraw(site.node, job, by="curator")
    withdraw(site.node, job, by="-", signer=ada)
    assert stopped(site, job)[0] == "approval_withdrawn"


# -- rules --------------------------------------------------------------------------------------------------------


def rule(fed, **changes) -> Rule:
    wanted = {
        "requester_key": fed.requester.key_id,
        "dataset": "collection",
        "expires": fed.clock.now() + timedelta(days=2),
        "code_family": "benchmark",
    }
    return Rule(**{**wanted, **changes})


def test_a_rule_that_a_person_pinned_approves_by_itself(fed, site, ada):
    add_rule(site.node, rule(fed), by="-", signer=ada)
    job = waiting(fed)
    assert fed.state(job) == "completed"


def test_a_rule_is_pinned_and_removed_by_a_person_only(fed, site, ada):
    with pytest.raises(PersonNeeded):
        add_rule(site.node, rule(fed), by="curator")
    pinned = add_rule(site.node, rule(fed), by="-", signer=ada)
    with pytest.raises(PersonNeeded):
        remove_rule(site.node, pinned, by="curator")


@pytest.mark.parametrize(
    "values",
    [
        {"requester_key": SigningKey.generate().key_id},
        {"dataset": "collection"},
        {"code_family": "benchmark"},
        {"decision": None},
        {"expires": "later"},
    ],
    ids=["requester", "dataset", "code", "signature", "end"],
)
def test_a_rule_changed_in_the_database_is_refused(fed, site, ada, values):
    # Each rule is for something else when it is signed, and is changed to fit the job.
    signed_for = {
        "requester_key": {"requester_key": SigningKey.generate().key_id},
        "dataset": {"dataset": "another"},
        "code_family": {"code_family": "training"},
    }
    (name,) = values
    add_rule(site.node, rule(fed, **signed_for.get(name, {})), by="-", signer=ada)
    value = fed.requester.key_id if name == "requester_key" else values[name]
    if name == "expires":
        value = fed.clock.now() + timedelta(days=90)
    change(site, update(RuleRow).values({name: value}))
    assert pinned_rules(site.node)[0].counts is not None
    assert fed.site_state(waiting(fed), "east")[0] == "pending_review"


def test_a_rule_from_before_anybody_was_named_counts_no_more(fed, site):
    add_rule(site.node, rule(fed), by="curator")
    site.person("ada")
    assert fed.site_state(waiting(fed), "east")[0] == "pending_review"


def test_a_rule_of_somebody_who_retired_counts_no_more(fed, site, ada, ben):
    add_rule(site.node, rule(fed), by="-", signer=ada)
    fed.clock.advance(1)
    retire(site.node, "ada", by=ben)
    assert fed.site_state(waiting(fed), "east")[0] == "pending_review"


def test_an_approval_that_names_a_rule_for_something_else_does_not_count(fed, site, ada):
    other = add_rule(site.node, rule(fed, code_family="training"), by="-", signer=ada)
    job = approved(fed, site, ada)
    with reading(site.node.engine) as session:
        genuine, _ = SiteApproval.open(session.get_one(ApprovalRow, job).envelope, trusted=None)
        digest = session.get_one(RuleRow, other).decision
    forged = genuine.model_copy(update={"decision": digest}).seal(site_key(site.node.settings))
    change(site, update(ApprovalRow).where(ApprovalRow.job == job).values(envelope=forged, rule=other))
    assert stopped(site, job) == ("approval_invalid", "person")


# -- outputs ------------------------------------------------------------------------------------------------------


def held_job(fed, site, ada) -> str:
    job = approved(fed, site, ada, hold_outputs=True)
    fed.settle()
    assert fed.site_state(job, "east")[0] == "output_review"
    return job


def test_a_held_output_leaves_when_a_person_lets_it_go(fed, site, ada):
    job = held_job(fed, site, ada)
    with pytest.raises(PersonNeeded):
        let_go(site.node, site.outbox, job, by="curator")
    let_go(site.node, site.outbox, job, by="-", signer=ada)
    fed.settle()
    assert fed.state(job) == "completed"


def test_a_held_output_is_kept_back_by_a_person(fed, site, ada):
    job = held_job(fed, site, ada)
    with pytest.raises(PersonNeeded):
        keep_back(site.node, site.outbox, job, by="curator")
    keep_back(site.node, site.outbox, job, by="-", signer=ada)
    fed.settle()
    assert fed.site_state(job, "east") == ("withheld", "output_withheld")


def test_an_output_made_ready_in_the_database_does_not_leave(fed, site, ada):
    job = held_job(fed, site, ada)
    change(site, update(ReleaseRow).where(ReleaseRow.job == job).values(state="ready"))
    fed.settle()
    with reading(site.node.engine) as session:
        assert session.scalars(select(ReleaseRow.state).where(ReleaseRow.job == job)).all() == ["withheld"]
    fed.settle()
    assert fed.site_state(job, "east") == ("withheld", "approval_invalid")


def test_the_command_that_sends_asks_for_a_person_s_word_as_well(fed, site, ada):
    job = held_job(fed, site, ada)
    change(site, update(ReleaseRow).where(ReleaseRow.job == job).values(state="ready"))
    outbox = Outbox(site.node, site.client(), may_leave=leaving(site.node))
    with pytest.raises(SiteRefusal):
        outbox.send(outbox.pending()[0].id)
    assert fed.get(f"/v1/jobs/{job}/results").json()["received"] == []


def test_with_four_eyes_an_output_leaves_when_two_persons_let_it_go(fed, site, ada, ben):
    job = held_job(fed, site, ada)
    careful = replace(site.node, settings=replace(site.node.settings, node_four_eyes="yes"))
    for _ in range(2):
        with pytest.raises(SecondPersonNeeded):
            let_go(careful, site.outbox, job, by="-", signer=ada)
    let_go(careful, site.outbox, job, by="-", signer=ben)
    fed.settle()
    assert fed.state(job) == "completed"


# -- suspension ---------------------------------------------------------------------------------------------------


def test_a_suspended_node_claims_nothing_and_sends_nothing(fed, site, ada):
    job = approved(fed, site, ada)
    suspend(site.node, by="-", signer=ada)
    with pytest.raises(NodeSuspendedHere):
        site.agent.step()
    assert site.runner.calls == []
    resume(site.node, by="-", signer=ada)
    fed.settle()
    assert fed.state(job) == "completed"


def test_a_suspended_node_sends_nothing_by_command_either(fed, site, ada):
    job = held_job(fed, site, ada)
    let_go(site.node, site.outbox, job, by="-", signer=ada)
    suspend(site.node, by="-", signer=ada)
    (sending,) = Outbox(site.node, site.client(), may_leave=leaving(site.node)).send_pending()
    assert isinstance(sending.error, NodeSuspendedHere)
    resume(site.node, by="-", signer=ada)
    fed.settle()
    assert fed.state(job) == "completed"


def test_a_node_suspended_while_it_computes_stops_the_job(fed, site, ada):
    approved(fed, site, ada)

    def meanwhile(task):
        suspend(site.node, by="-", signer=ada)
        assert site.agent._is_over(task.manifest.id)

    site.runner.before = meanwhile
    with pytest.raises(NodeSuspendedHere):
        site.agent.step()
    assert len(site.runner.calls) == 1
    with reading(site.node.engine) as session:
        assert session.scalars(select(ReleaseRow.state)).all() == []


# -- grants -------------------------------------------------------------------------------------------------------


def careful(site):
    site.node = replace(site.node, settings=replace(site.node.settings, node_countersign="required"))
    site.restart()
    return site


def known(fed, site, digest: str) -> grants.SiteGrant:
    """Put a visa among those that the node fetched, as `fetch` would, and return it."""
    held = fed.grants[digest]
    opened, _ = Visa.open(held.visa, trusted=None)
    with writing(site.node.engine) as session:
        session.merge(
            SeenGrantRow(
                visa=digest,
                supersedes=opened.supersedes,
                envelope=held.visa,
                request=held.request,
                state="holds",
                seen=fed.clock.now(),
            )
        )
    return grants.find(site.node, digest)


def countersign(fed, site, digest, signer, word=CountersignWord.COUNTERSIGNED):
    grant = known(fed, site, digest)
    return grants.say(site.node, grant, grant.here[0].iri, word, reason="looked at", signer=signer)


def run_under(fed, site, visa, signer) -> str | None:
    """Return the word that keeps a job under a visa from being approved here, None if nothing does."""
    job = fed.submit(fed.manifest(visa))
    fed.settle()
    if fed.site_state(job, "east")[0] == "rejected":
        return fed.site_state(job, "east")[1]
    try:
        approve(site.node, job, Consent(by="-", signer=signer), source=site.index)
    except SiteRefusal as err:
        return err.reason.value
    return None


def test_where_the_site_asks_for_it_nothing_runs_before_the_grant_is_countersigned(fed, site, ada):
    careful(site)
    visa = fed.visa()
    assert run_under(fed, site, visa, ada) == Reason.GRANT_NOT_COUNTERSIGNED.value
    countersign(fed, site, visa.digest, ada)
    assert run_under(fed, site, visa, ada) is None


def test_where_the_site_does_not_ask_for_it_no_word_is_needed(fed, site, ada):
    assert run_under(fed, site, fed.visa(), ada) is None


def test_a_grant_that_the_site_refused_is_refused_whatever_the_setting(fed, site, ada):
    visa = fed.visa()
    countersign(fed, site, visa.digest, ada, CountersignWord.REFUSED)
    assert run_under(fed, site, visa, ada) == Reason.GRANT_REFUSED_BY_SITE.value


def test_a_grant_refused_later_stops_what_runs_under_it(fed, site, ada):
    visa = fed.visa()
    job = fed.submit(fed.manifest(visa))
    fed.settle()
    approve(site.node, job, Consent(by="-", signer=ada), source=site.index)
    countersign(fed, site, visa.digest, ada, CountersignWord.REFUSED)
    assert stopped(site, job) == ("grant_refused_by_site", "countersignature")


def test_a_rule_does_not_approve_under_a_grant_that_waits(fed, site, ada):
    careful(site)
    add_rule(site.node, rule(fed), by="-", signer=ada)
    assert fed.site_state(waiting(fed), "east")[0] == "pending_review"


@pytest.mark.parametrize("forger", ["a stranger", "the node"])
def test_a_forged_countersignature_counts_for_nothing(fed, site, ada, forger):
    careful(site)
    visa = fed.visa()
    grant = known(fed, site, visa.digest)
    words = GrantCountersignature(
        id=fed.clock.new_id(),
        node="east",
        visa=visa.digest,
        dataset=grant.here[0].iri,
        word=CountersignWord.COUNTERSIGNED,
        reason="-",
        requester_key=grant.visa.requester_key,
        purpose=grant.visa.purpose,
        terms=grant.here[0],
        person="ada",
        created=iso(fed.clock.now()),
    )
    key = site.node.key if forger == "the node" else SigningKey.generate()
    with writing(site.node.engine) as session:
        session.add(
            CountersignatureRow(
                id=words.id,
                visa=visa.digest,
                dataset=words.dataset,
                envelope=words.seal(key),
                at=fed.clock.now(),
            )
        )
    assert run_under(fed, site, visa, ada) == Reason.GRANT_NOT_COUNTERSIGNED.value


def test_a_countersignature_moved_to_another_visa_counts_for_nothing(fed, site, ada):
    careful(site)
    signed, other = fed.visa(), fed.visa(terms={"maximum_runs": 9})
    countersign(fed, site, signed.digest, ada)
    change(site, update(CountersignatureRow).values(visa=other.digest))
    assert run_under(fed, site, other, ada) == Reason.GRANT_NOT_COUNTERSIGNED.value


WIDER = {
    "later": {"expires": "2030-01-25T00:00:00.000Z"},
    "more runs": {"maximum_runs": 6},
    "any tool": {"tool_families": (), "tool_digests": ()},
    "another family": {"tool_families": ("benchmark", "measurements", "training", "radiomics")},
    "fewer conditions": {"conditions": ()},
    "wider selection": {"selector": Selector()},
}
NARROWER = {
    "the same": {},
    "earlier": {"expires": "2026-01-10T00:00:00.000Z"},
    "fewer runs": {"maximum_runs": 4},
    "fewer families": {"tool_families": ("benchmark",)},
    "more conditions": {"conditions": ("cite us", "tell us")},
    "narrower selection": {"selector": Selector(modality=("CT",), minimum_instances=10)},
}
FIRST = {"conditions": ("cite us",), "selector": Selector(modality=("CT",))}


@pytest.mark.parametrize("changes", [*WIDER, *NARROWER])
def test_a_visa_that_replaces_another_is_covered_only_on_terms_that_are_no_wider(fed, site, ada, changes):
    first = fed.visa(terms=FIRST)
    countersign(fed, site, first.digest, ada)
    terms = {**FIRST, **(WIDER | NARROWER)[changes]}
    second = fed.visa(terms=terms, supersedes=first.digest)
    word = known(fed, site, second.digest).words
    assert set(word.values()) == {None if changes in WIDER else CountersignWord.COUNTERSIGNED}


def test_a_word_passes_along_a_chain_of_visas_and_not_to_one_beside_it(fed, site, ada):
    first = fed.visa()
    countersign(fed, site, first.digest, ada)
    second = fed.visa(supersedes=first.digest, terms={"maximum_runs": 4})
    known(fed, site, second.digest)
    third = fed.visa(supersedes=second.digest, terms={"maximum_runs": 3})
    beside = fed.visa(terms={"maximum_runs": 2})
    assert set(known(fed, site, third.digest).words.values()) == {CountersignWord.COUNTERSIGNED}
    assert set(known(fed, site, beside.digest).words.values()) == {None}


def test_a_refusal_of_an_earlier_visa_leaves_the_later_one_open(fed, site, ada):
    first = fed.visa()
    countersign(fed, site, first.digest, ada, CountersignWord.REFUSED)
    second = fed.visa(supersedes=first.digest)
    assert set(known(fed, site, second.digest).words.values()) == {None}


def test_a_visa_for_another_purpose_or_requester_is_not_covered(fed, site, ada):
    from fairbank.ontology.signed_objects import Purpose

    first = fed.visa()
    countersign(fed, site, first.digest, ada)
    second = fed.visa(
        supersedes=first.digest, purpose=Purpose(data_use=("DUO:0000042",), statement="Something else.")
    )
    assert set(known(fed, site, second.digest).words.values()) == {None}


def test_a_grant_that_is_not_the_hub_s_is_not_believed(fed, site):
    forged = fed.visa(key=SigningKey.generate())
    with pytest.raises(FairbankError) as caught:
        known(fed, site, forged.digest)
    assert caught.value.code == "FB-REL-034"
