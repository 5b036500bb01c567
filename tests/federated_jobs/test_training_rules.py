"""What a site's policy asks of trainings: kept before anything runs, in each round, and of what was really trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairbank.database import reading, writing
from fairbank.federated_jobs.code import tool_named
from fairbank.federated_jobs.errors import JobPausedHere, SitePolicyRefused
from fairbank.federated_jobs.node.approval import authorise
from fairbank.federated_jobs.node.cohort import Cohort, Member
from fairbank.federated_jobs.node.pausing import check_goes_on, resume_job
from fairbank.federated_jobs.node.policy_file import FILE_NAME, accept, read_policy
from fairbank.federated_jobs.node.site_policy import TrainingRules, parse
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.federated_jobs.node.training_rules import (
    Counted,
    check_counted,
    check_rules,
    check_statistics,
    rules_of,
    training_lines,
)
from fairbank.federated_jobs.node.weighing import weigh
from fairbank.federated_jobs.training_errors import TrainingHalted, TrainingRuleBroken
from fairbank.ontology.signed_objects import DifferentialPrivacy, Element, SecureAggregation, Training
from fairbank.ontology.training_rules import Stance


@pytest.fixture
def fed(start):
    return start("east")


@pytest.fixture
def site(fed):
    return fed.sites["east"]


def put(site, training: str) -> None:
    path = site.node.settings.home / FILE_NAME
    path.write_text(f'schema = "site-policy/1"\n[training]\n{training}')


def arrived(fed, tool: str = "noop", **options) -> str:
    job = fed.submit(fed.manifest(fed.visa(), tool, **options))
    fed.settle()
    return job


class TestAtTheSite:
    def test_without_a_policy_file_the_defaults_count(self, fed, site):
        (site.node.settings.home / FILE_NAME).unlink()
        assert fed.site_state(arrived(fed), "east") == ("rejected", "cohort_insufficient")
        measured = arrived(fed, "intensity-geometry")
        assert fed.site_state(measured, "east")[0] == "pending_review"

    def test_a_cohort_that_keeps_the_defaults_is_trained_on(self, start):
        fed = start()
        site = fed.add("east", subjects=16)
        (site.node.settings.home / FILE_NAME).unlink()
        assert fed.state(fed.run()) == "completed"

    def test_a_rule_that_came_after_the_approval_counts_in_the_next_round(self, fed, site):
        site.runner.before = lambda task: put(site, "minimum_subjects = 4\nminimum_images = 1")
        job = fed.run(rounds=2)
        assert fed.site_state(job, "east") == ("failed", "cohort_insufficient")
        with reading(site.node.engine) as session:
            row = session.get_one(ReviewRow, job)
            assert (row.error, row.stopped_by) == ("FB-JOBS-441", "training-rules")

    def test_with_a_file_that_cannot_be_used_nothing_trains_until_it_can(self, fed, site):
        good = (site.node.settings.home / FILE_NAME).read_text()
        put(site, "minimum_subjects = many")
        job = arrived(fed)
        assert fed.site_state(job, "east")[0] == "pending_review"
        with pytest.raises(TrainingHalted):
            site.approve(job)
        (site.node.settings.home / FILE_NAME).write_text(good)
        site.approve(job)
        put(site, "minimum_subjects = many")
        fed.settle()
        assert site.runner.calls == []
        with reading(site.node.engine) as session, pytest.raises(JobPausedHere):
            check_goes_on(session, job)
        (site.node.settings.home / FILE_NAME).write_text(good)
        resume_job(site.node, job, by="curator")
        fed.clock.advance(120)
        fed.settle()
        assert fed.state(job) == "completed"

    def test_who_weighs_a_job_sees_the_rule_that_it_breaks(self, fed, site):
        job = arrived(fed)
        assert weigh(site.node, job, source=site.index).refusal is None
        put(site, 'secure_aggregation = "required"\nminimum_subjects = 1\nminimum_images = 1')
        refusal = weigh(site.node, job, source=site.index).refusal
        assert isinstance(refusal, TrainingRuleBroken) and "secure_aggregation" in refusal.why

    def test_rules_that_nobody_signed_let_nothing_be_trained(self, fed, site):
        ada = site.person("ada")
        put(site, "minimum_subjects = 1\nminimum_images = 1\nbatch_norm_buffers = true")
        with pytest.raises(TrainingHalted):
            rules_of(read_policy(site.node))
        accept(site.node, by="-", signer=ada)
        assert rules_of(read_policy(site.node)).batch_norm_buffers

    def test_what_is_trained_was_authorised_under_the_rules_that_count(self, fed, site):
        job = arrived(fed)
        site.approve(job)
        with writing(site.node.engine) as session:
            assert authorise(site.node, session, job, source=site.index).rules.minimum_images == 1


def cohort(subjects: int = 16, images: int = 2) -> Cohort:
    members = [
        Member("ct", f"{subject}.{image}", f"subject-{subject}", "sha256:0", Path())
        for subject in range(subjects)
        for image in range(images)
    ]
    return Cohort(tuple(members), "hmac")


class TestRules:
    @pytest.fixture
    def manifest(self, fed):
        def make(tool: str = "noop", **changes):
            plain = fed.manifest(fed.visa(), tool, parameters=changes.pop("parameters", {}))
            training = Training(**changes) if changes else plain.training
            return plain.model_copy(update={"training": training})

        return make

    def judge(self, manifest, rules: TrainingRules | None = None, of: Cohort | None = None) -> str:
        try:
            check_rules(rules or TrainingRules(), manifest, tool_named(manifest.code.name), of or cohort())
        except TrainingRuleBroken as err:
            return err.reason.value
        return "kept"

    def test_a_cohort_of_few_subjects_or_images_is_refused_in_one_word(self, manifest):
        job = manifest()
        assert self.judge(job) == "kept"
        assert self.judge(job, of=cohort(9, 4)) == "cohort_insufficient"
        assert self.judge(job, of=cohort(15, 2)) == "cohort_insufficient"

    def test_steps_of_one_image_and_updates_of_few_are_refused(self, manifest):
        one = manifest("slice-autoencoder", parameters={"batch_size": 1})
        assert self.judge(one) == "batch_too_small"
        assert self.judge(one, TrainingRules(minimum_images=1)) == "kept"
        asked = {"label": "clinical_smoker", "classes": ["no", "yes"], "batch_size": 8}
        few = manifest("classification", parameters={**asked, "local_steps": 3})
        assert self.judge(few) == "batch_too_small"
        enough = manifest("classification", parameters={**asked, "local_steps": 4})
        assert self.judge(enough) == "kept"

    @pytest.mark.parametrize("rule", ["differential_privacy", "secure_aggregation"])
    def test_a_protection_may_be_asked_for_and_refused(self, manifest, rule):
        how = {
            "differential_privacy": DifferentialPrivacy(clip_norm="1"),
            "secure_aggregation": SecureAggregation(bound="1"),
        }[rule]
        without, with_it = manifest(), manifest(**{rule: how})
        with_it = with_it.model_copy(update={"plan": with_it.plan.model_copy(update={"quorum": 3})})
        asked, never = (TrainingRules(**{rule: one}) for one in (Stance.REQUIRED, Stance.REFUSED))
        assert (self.judge(without, asked), self.judge(with_it, asked)) == ("protection_required", "kept")
        assert (self.judge(without, never), self.judge(with_it, never)) == ("kept", "protection_refused")

    def test_a_sum_of_too_few_sites_is_refused(self, manifest):
        job = manifest(secure_aggregation=SecureAggregation(bound="1"))
        assert self.judge(job) == "protection_required"

    def test_what_was_really_trained_on_is_counted_again(self):
        rules = TrainingRules()
        check_counted(rules, Counted(images=32, subjects=10))
        for counted in (Counted(images=31, subjects=10), Counted(images=32, subjects=9)):
            with pytest.raises(TrainingRuleBroken) as caught:
                check_counted(rules, counted)
            assert caught.value.reason.value == "cohort_insufficient"

    def test_running_statistics_leave_only_where_the_policy_says_so(self, manifest):
        job = manifest()
        names = {"conv.weight", "bn.running_mean", "bn.num_batches_tracked"}
        with pytest.raises(TrainingRuleBroken, match=r"bn\.num_batches_tracked") as caught:
            check_statistics(TrainingRules(), job, names)
        assert caught.value.reason.value == "buffers_not_allowed"
        check_statistics(TrainingRules(batch_norm_buffers=True), job, names)
        check_statistics(TrainingRules(), job, {"conv.weight", "norm.bias"})
        stays = manifest(local_step=Element(name="site-batch-norm"))
        check_statistics(TrainingRules(), stays, names)


def test_the_lines_say_each_rule_and_what_the_file_sets(site):
    put(site, 'secure_aggregation = "required"')
    lines = training_lines(read_policy(site.node))
    assert 'Training: secure_aggregation = "required" (set in policy.toml)' in lines
    assert "Training: minimum_images = 32 (default)" in lines


@pytest.mark.parametrize(
    "line", ['secure_aggregation = "maybe"', "minimum_survivors = 2", "surprise = 1", 'epsilon_cap = "many"']
)
def test_a_table_that_is_not_as_it_has_to_be_is_refused(line):
    with pytest.raises(SitePolicyRefused, match="training"):
        parse(f'schema = "site-policy/1"\n[training]\n{line}')
