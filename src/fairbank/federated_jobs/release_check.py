"""The check before a model is released: what sites measure of how much it remembers, and where that is too much.

Sites measure, in a round in which nothing is trained; the hub compares with thresholds that are written down here. A
model that fails stays in quarantine until a committee decides.

Source of the thresholds: measured with three sites on chest films of 28 by 28 pixels; see docs/explanation/attacks.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Annotated, Final

from pydantic import Field

from fairbank.federated_jobs.evaluating import EVALUATE, evaluates, looks_last
from fairbank.ontology.signed_objects import Manifest, SignedObject
from fairbank.ontology.wire import Decimal, DigestText, Id, Moment, Part, ShortText, Slug, Text, Wire

# The option of a plan with a last look, and of an evaluation, that asks for it.
RELEASE_CHECK: Final = "release_check"
# How the numbers are called among the metrics of a site.
PREFIX: Final = "release_"
GAP, AUC, TPR, RARE_AUC, COPY = "loss_gap", "auc", "tpr", "rare_auc", "copy"
LIRA, RARE_LIRA = "lira_auc", "lira_rare_auc"
# The options of an evaluation that ask for shadow models, and how many passes each makes.
SHADOWS: Final = "shadows"
SHADOW_PASSES: Final = "shadow_passes"


class Verdict(StrEnum):
    """What a check came to."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_MEASURED = "not-measured"


class Decision(StrEnum):
    """What a committee says of a model that is held."""

    RELEASE = "release"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of the check.

    Attributes:
        most: the largest value that passes, as decimal text; None for what is only written down.
        meaning: what it says, in a sentence.
    """

    name: str
    most: str | None
    meaning: str


MEASURES: Final = (
    Measure(GAP, None, "Loss on held-out samples less the loss on those that were trained on."),
    Measure(AUC, "0.60", "How well the loss of a sample tells whether it was trained on; 0.5 is chance."),
    Measure(
        TPR, "0.05", "How many of those trained on are told when one in a hundred others is named wrongly."
    ),
    Measure(RARE_AUC, "0.65", "The same as auc, for the tenth of the samples that is least like the others."),
    Measure(LIRA, "0.60", "How well shadow models of the site tell whether a sample was trained on."),
    Measure(
        RARE_LIRA, "0.65", "The same as lira_auc, for the tenth of the samples that is least like the others."
    ),
    Measure(
        COPY,
        "0.90",
        "How like a part of the model is to an image that was trained on; 1 is the image itself.",
    ),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a site shall measure; `shadows` models of so many `passes`, none by default."""

    shadows: int = 0
    passes: int = 1


class Finding(Part):
    """One number of one site beside its threshold, as decimal text."""

    node: Slug
    measure: ShortText
    value: Decimal
    most: Decimal | None = None
    passed: bool


class CommitteeVote(Part):
    """What somebody on a committee said of a model that is held."""

    committee: ShortText
    account: ShortText
    decision: Decision
    because: Text
    at: Moment


class ReleaseCheck(Wire):
    """The check of one model, as the hub keeps it.

    Attributes:
        job: the one whose sites measured; None if none did.
        decision: what the committees decided of a model that failed; None while they have not, or need not.
        waits_for: committees that have not decided.
    """

    schema_name = "release-check/1"

    model: DigestText
    verdict: Verdict
    job: Id | None = None
    findings: Annotated[tuple[Finding, ...], Field(max_length=5000)] = ()
    not_measured_by: tuple[Slug, ...] = ()
    decision: Decision | None = None
    waits_for: tuple[ShortText, ...] = ()
    votes: tuple[CommitteeVote, ...] = ()
    measured: Moment | None = None


class ReleaseVoteWish(Wire):
    """Somebody on a committee says what becomes of a model that is held, and why."""

    schema_name = "release-vote/1"

    decision: Decision
    because: Annotated[str, Field(min_length=10, max_length=1000)]


class ReleaseDecision(SignedObject):
    """What the committees decided of a model that failed its check; sealed with the hub's key."""

    schema_name = "release-decision/1"
    kind = "release-decision"

    model: DigestText
    job: Id
    decision: Decision
    findings: Annotated[tuple[Finding, ...], Field(max_length=5000)]
    votes: Annotated[tuple[CommitteeVote, ...], Field(max_length=1000)]
    decided: Moment


def checks_release(manifest: Manifest, number: int) -> bool:
    """Tell whether sites measure in a round of a job how much the model remembers."""
    return wish_of(manifest, number) is not None


def wish_of(manifest: Manifest, number: int) -> Wish | None:
    """Return what sites shall measure in a round of a job; None for nothing."""
    if looks_last(manifest, number):
        return Wish() if manifest.plan.options.get(RELEASE_CHECK) is True else None
    if not evaluates(manifest) or manifest.training is None:
        return None
    step = manifest.training.local_step
    if step.name != EVALUATE or step.options.get(RELEASE_CHECK) is not True:
        return None
    shadows, passes = (step.options.get(name) for name in (SHADOWS, SHADOW_PASSES))
    return Wish(shadows if isinstance(shadows, int) else 0, passes if isinstance(passes, int) else 1)


def judged(told: Mapping[str, Mapping[str, float]], *, head: str) -> tuple[Verdict, tuple[Finding, ...]]:
    """Return what the numbers of all sites come to: one site beyond a threshold is enough to fail.

    Args:
        told: notes by site; what is no number of this check is passed over.
        head: what their names begin with, before `PREFIX`.
    """
    found = []
    for node, notes in sorted(told.items()):
        for measure in MEASURES:
            value = notes.get(f"{head}{PREFIX}{measure.name}")
            if value is None or not isfinite(value):
                continue
            passed = measure.most is None or value <= float(measure.most)
            found.append(
                Finding(
                    node=node,
                    measure=measure.name,
                    value=format(value, ".4f"),
                    most=measure.most,
                    passed=passed,
                )
            )
    # A gap alone has no threshold, so it passes nothing.
    if not any(each.most is not None for each in found):
        return Verdict.NOT_MEASURED, tuple(found)
    return Verdict.PASSED if all(each.passed for each in found) else Verdict.FAILED, tuple(found)
