"""What the site's policy asks of every training: judged before anything runs, whoever approved it, and in each round.

Without a policy file the defaults count. With a file that cannot be used nothing trains: what it says is not known.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.orm import Session

from fairbank.database import reading
from fairbank.federated_jobs.checks import Check
from fairbank.federated_jobs.code import Tool, WorkerKind
from fairbank.federated_jobs.evaluating import evaluates
from fairbank.federated_jobs.node.cohort import Cohort
from fairbank.federated_jobs.node.policy_file import Standing, standing
from fairbank.federated_jobs.node.site_policy import TrainingRules
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.tensor_roles import is_statistic
from fairbank.federated_jobs.training_errors import TrainingHalted, TrainingRuleBroken
from fairbank.ontology.signed_objects import Manifest
from fairbank.ontology.training_rules import Stance, ToldRules
from fairbank.release.node import Node

SITE_BATCH_NORM = "site-batch-norm"
# How the filters are called that encrypt updates for the other sites.
ENCRYPTING = frozenset({"homomorphic", "he", "ckks"})
_SHOW = "'fairbank node policy show' shows the rules of this site; its people may change them."


@dataclass(frozen=True, slots=True)
class Counted:
    """On how much a round was trained, as the worker counted.

    Attributes:
        images: how many distinct ones of the cohort are behind the update.
        subjects: how many different subjects have images that could be used.
    """

    images: int
    subjects: int


def trains(manifest: Manifest, tool: Tool) -> bool:
    """Tell whether a job makes updates of a model here."""
    return tool.worker is WorkerKind.TRAINING and not evaluates(manifest)


def rules_here(session: Session, node: Node) -> TrainingRules:
    """Return the rules that count now.

    Raises:
        TrainingHalted: if there is a policy file that cannot be used.
    """
    return rules_of(standing(session, node))


def rules_of(found: Standing) -> TrainingRules:
    """Return the rules of the policy as it stands; the defaults without a file.

    Where persons are named, a file counts that one of them signed, whoever retired since, and any that says nothing
    about training.

    Raises:
        TrainingHalted: if there is a file that cannot be used.
    """
    if found.policy is not None and (found.is_signed or found.policy.training == TrainingRules()):
        return found.policy.training
    if found.problem is None:
        return TrainingRules()
    raise TrainingHalted(
        "Nothing is trained at this site for now.",
        why=f"Its policy says what a training has to keep, and cannot be used. {found.problem.why}",
        todo="Correct the file, or have a person sign it: 'fairbank node policy accept'. Then resume the job: "
        "'fairbank node jobs resume JOB'.",
    ).at(Check.TRAINING_RULES)


def told_rules(node: Node) -> ToldRules:
    """Return what this site tells the federation of its rules, as they count now."""
    with reading(node.engine) as session:
        found = standing(session, node)
    try:
        rules, halted = rules_of(found), False
    except TrainingHalted:
        rules, halted = TrainingRules(), True
    return ToldRules(**rules.model_dump(), halted=halted)


def training_lines(found: Standing) -> list[str]:
    """Return what trainings have to keep by a policy file, a rule a line, each with where it comes from."""
    written, defaults = found.policy.training if found.policy else TrainingRules(), TrainingRules()
    lines = []
    for name in TrainingRules.model_fields:
        value = getattr(written, name)
        origin = "default" if value == getattr(defaults, name) else f"set in {found.path.name}"
        lines.append(f"Training: {name} = {json.dumps(value)} ({origin})")
    try:
        rules_of(found)
    except TrainingHalted as err:
        lines.append(f"Training: {err.what} {err.why}")
    return lines


def check_training(
    node: Node, session: Session, manifest: Manifest, tool: Tool, cohort: Cohort
) -> TrainingRules:
    """Refuse a training that the rules of this site do not allow; return them.

    Raises:
        TrainingHalted: if there is a policy file that cannot be used.
        TrainingRuleBroken: naming the rule.
    """
    if not trains(manifest, tool):
        return TrainingRules()
    rules = rules_here(session, node)
    check_rules(rules, manifest, tool, cohort)
    return rules


def check_rules(rules: TrainingRules, manifest: Manifest, tool: Tool, cohort: Cohort) -> None:
    """Refuse a training that rules do not allow, judged by its manifest and its cohort alone.

    Raises:
        TrainingRuleBroken: naming the rule.
    """
    _check_protections(rules, manifest)
    _check_amounts(rules, manifest, tool, cohort)


def check_counted(rules: TrainingRules, counted: Counted) -> None:
    """Refuse an update that too little is behind, as the worker counted after it has trained.

    Raises:
        TrainingRuleBroken: naming the rule.
    """
    if counted.subjects < rules.minimum_subjects:
        raise _too_little("minimum_subjects", rules.minimum_subjects, "subjects with usable images")
    if counted.images < rules.minimum_images:
        raise _too_little("minimum_images", rules.minimum_images, "distinct images behind the update")


def check_statistics(rules: TrainingRules, manifest: Manifest, leaving: Collection[str]) -> None:
    """Refuse that running statistics of batch normalisation leave with an update.

    Args:
        leaving: names of the tensors that would leave.

    Raises:
        TrainingRuleBroken: if the rules do not allow it, naming one of them.
    """
    step = manifest.training.local_step.name if manifest.training is not None else ""
    # That step sends the statistics back as they came.
    found = sorted(name for name in leaving if is_statistic(name) and step != SITE_BATCH_NORM)
    if found and not rules.batch_norm_buffers:
        raise _broken(
            "batch_norm_buffers",
            f"The update would hold running statistics of batch normalisation, such as {found[0]!r}.",
            why="They tell how bright a site's images are and how many there were.",
            todo="The requester chooses group or instance normalisation, or keeps them at the site "
            "(filter 'share' with statistics 'local').",
        ).because(Reason.BUFFERS_NOT_ALLOWED)


def _check_protections(rules: TrainingRules, manifest: Manifest) -> None:
    training = manifest.training
    filters = {each.name for each in training.filters} if training is not None else set()
    masked = training is not None and training.secure_aggregation is not None
    for rule, stance, is_on, called in (
        (
            "differential_privacy",
            rules.differential_privacy,
            training is not None and training.differential_privacy is not None,
            "noise (differential privacy)",
        ),
        ("secure_aggregation", rules.secure_aggregation, masked, "secure aggregation"),
        ("encryption", rules.encryption, bool(filters & ENCRYPTING), "encryption of updates"),
    ):
        if stance is Stance.REQUIRED and not is_on:
            raise _broken(
                rule,
                f"This site takes part in no training without {called}.",
                why="The job does not ask for it.",
                todo="The requester drafts the job with it.",
            ).because(Reason.PROTECTION_REQUIRED)
        if stance is Stance.REFUSED and is_on:
            raise _broken(
                rule,
                f"This site takes part in no training with {called}.",
                why="The job asks for it.",
                todo="The requester drafts the job without it.",
            ).because(Reason.PROTECTION_REFUSED)
    survivors = manifest.plan.quorum
    if masked and survivors < rules.minimum_survivors:
        raise _broken(
            "minimum_survivors",
            f"A sum of masked updates has to be of at least {rules.minimum_survivors} sites here.",
            why=f"The job goes on with {survivors}.",
            todo="The requester asks for a larger quorum, or names more sites.",
        ).because(Reason.PROTECTION_REQUIRED)


def _check_amounts(rules: TrainingRules, manifest: Manifest, tool: Tool, cohort: Cohort) -> None:
    given = tool.check_parameters(manifest.parameters)
    batch, steps = given.get("batch_size"), given.get("local_steps")
    if batch == 1 and rules.minimum_images > 1:
        raise _broken(
            "minimum_images",
            "Each step would be made of a single image.",
            why="What is sent of such a step shows the image itself.",
            todo="The requester asks for a batch_size of at least 2.",
        ).because(Reason.BATCH_TOO_SMALL)
    if isinstance(batch, int) and isinstance(steps, int) and batch * steps < rules.minimum_images:
        raise _broken(
            "minimum_images",
            f"An update would be made of at most {batch * steps} images: {steps} steps of {batch}.",
            why=f"At least {rules.minimum_images} have to be behind each update here.",
            todo="The requester asks for more local_steps, or a larger batch_size.",
        ).because(Reason.BATCH_TOO_SMALL)
    if cohort.subjects < rules.minimum_subjects:
        raise _too_little("minimum_subjects", rules.minimum_subjects, "subjects in the cohort")
    if len(cohort.members) < rules.minimum_images:
        raise _too_little("minimum_images", rules.minimum_images, "images in the cohort")


def _too_little(rule: str, least: int, of_what: str) -> TrainingRuleBroken:
    return _broken(
        rule,
        f"There are fewer than {least} {of_what}.",
        why="Of few, an update tells too much.",
        todo="The requester can widen the selection.",
    ).because(Reason.COHORT_INSUFFICIENT)


def _broken(rule: str, what: str, *, why: str, todo: str) -> TrainingRuleBroken:
    broken = TrainingRuleBroken(what, why=f"{why} (Rule '{rule}' of [training].)", todo=f"{todo} {_SHOW}")
    return broken.at(Check.TRAINING_RULES)
