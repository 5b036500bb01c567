"""Rules that approve by themselves, and outputs that wait for somebody to look at them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fairbank.federated_jobs.errors import NotApproved, RuleRefused
from fairbank.federated_jobs.node.output_review import held, keep_back, let_go
from fairbank.federated_jobs.node.reporting import report_decisions
from fairbank.federated_jobs.node.rules import Rule, add_rule, remove_rule, rules
from fairbank.signing import SigningKey


@pytest.fixture
def fed(start):
    return start("east")


@pytest.fixture
def site(fed):
    return fed.sites["east"]


def pinned(fed, **changes) -> Rule:
    wanted = {
        "requester_key": fed.requester.key_id,
        "dataset": "collection",
        "expires": fed.clock.now() + timedelta(days=2),
        "code_family": "benchmark",
    }
    return Rule(**{**wanted, **changes})


def decided(fed) -> str:
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    return fed.site_state(job, "east")[0]


def test_a_pinned_rule_approves_by_itself(fed, site):
    add_rule(site.node, pinned(fed), by="curator")
    assert decided(fed) == "released"


def test_a_rule_may_pin_one_version_of_a_tool(fed, site):
    digest = fed.manifest(fed.visa()).code.digest
    add_rule(site.node, pinned(fed, code_family=None, code_digest=digest), by="curator")
    assert decided(fed) == "released"


@pytest.mark.parametrize(
    "changes",
    [
        {"requester_key": SigningKey.generate().key_id},
        {"dataset": "another"},
        {"code_family": "training"},
        {"code_family": None, "code_digest": "sha256:" + "0" * 64},
    ],
    ids=["another requester", "another dataset", "another family", "another version"],
)
def test_a_rule_for_something_else_approves_nothing(fed, site, changes):
    add_rule(site.node, pinned(fed, **changes), by="curator")
    assert decided(fed) == "pending_review"


def test_a_rule_ends(fed, site):
    add_rule(site.node, pinned(fed), by="curator")
    fed.clock.advance(3 * 86_400)
    assert decided(fed) == "pending_review"


def test_a_rule_can_be_removed(fed, site):
    rule = add_rule(site.node, pinned(fed), by="curator")
    remove_rule(site.node, rule, by="curator")
    assert rules(site.node) == []
    assert decided(fed) == "pending_review"


@pytest.mark.parametrize(
    "changes",
    [{"code_family": None}, {"code_digest": "sha256:" + "0" * 64}],
    ids=["no code", "both"],
)
def test_a_rule_names_its_code_in_one_way(fed, site, changes):
    with pytest.raises(RuleRefused):
        add_rule(site.node, pinned(fed, **changes), by="curator")


def test_a_held_output_waits_until_it_is_let_go(fed, site):
    job = _held(fed, site)
    assert fed.site_state(job, "east")[0] == "output_review"
    assert fed.get(f"/v1/jobs/{job}/results").json()["received"] == []
    let_go(site.node, site.outbox, job, by="curator")
    fed.settle()
    assert fed.state(job) == "completed"


def test_an_output_that_is_kept_back_never_leaves(fed, site):
    job = _held(fed, site)
    keep_back(site.node, site.outbox, job, by="curator")
    report_decisions(site.node, site.outbox)
    fed.settle()
    assert fed.site_state(job, "east") == ("withheld", "output_withheld")
    assert fed.state(job) == "failed"
    assert held(site.outbox) == []
    with pytest.raises(NotApproved):
        let_go(site.node, site.outbox, job, by="curator")


def test_a_held_output_still_waits_after_a_restart(fed, site):
    job = _held(fed, site)
    site.restart().resume()
    fed.settle()
    assert fed.site_state(job, "east")[0] == "output_review"
    assert len(site.runner.calls) == 1


def _held(fed, site) -> str:
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    site.approve(job, hold_outputs=True)
    fed.settle()
    assert len(held(site.outbox)) == 1
    return job
