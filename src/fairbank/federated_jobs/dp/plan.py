"""What a noisy training asks for, and how a site carries it out: how much noise, how often each patient is drawn.

Everything follows from the manifest and the number of patients in the site's cohort, so a site can reckon what a job
costs before any data are read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any, Final

from fairbank.federated_jobs.dp import accountant
from fairbank.federated_jobs.training_errors import NoiseRefused
from fairbank.ontology.signed_objects import Manifest

UNIT: Final = "patient"
ADJACENCY: Final = "add or remove one patient"
_DIGITS: Final = Decimal("0.000001")
_LEAST_EPSILON, _MOST_EPSILON = Decimal("0.01"), Decimal(100)
_LEAST_DELTA, _MOST_DELTA = Decimal("1e-12"), Decimal("0.01")
_LEAST_CLIP, _MOST_CLIP = Decimal("0.0001"), Decimal(1000)


@dataclass(frozen=True, slots=True)
class NoiseAsked:
    """What a job may cost each patient of a site in all its rounds, and how long a patient's gradient may be."""

    epsilon: Decimal
    delta: Decimal
    clip: Decimal


@dataclass(frozen=True, slots=True)
class NoisePlan:
    """How a site trains with noise, the same in every round of a job.

    Attributes:
        sigma: standard deviation of the noise on the sum of a step's gradients, in clipping norms.
        rate: probability with which each patient is drawn in a step.
        steps: in each round.
        clip: the longest gradient of a patient.
        batch: what the sum of a step's gradients is divided by; it does not depend on who is drawn.
    """

    sigma: Decimal
    rate: Decimal
    steps: int
    clip: Decimal
    batch: int

    def to_json(self) -> dict[str, str | int]:
        """Return it as a worker takes it."""
        return {
            "sigma": str(self.sigma), "rate": str(self.rate), "steps": self.steps,
            "clip": str(self.clip), "batch": self.batch,
        }  # fmt: skip

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> NoisePlan:
        """Return what `to_json` told."""
        return cls(
            Decimal(told["sigma"]), Decimal(told["rate"]), int(told["steps"]), Decimal(told["clip"]),
            int(told["batch"]),
        )  # fmt: skip


def asked_of(manifest: Manifest) -> NoiseAsked | None:
    """Return the noise that a job asks for, None if it asks for none.

    Raises:
        NoiseRefused: if it sets a budget without noise or noise without a budget, or a number that is out of range.
    """
    noise = manifest.training.differential_privacy if manifest.training is not None else None
    budget = manifest.privacy_budget
    if noise is None and budget is None:
        return None
    if noise is None or budget is None:
        raise NoiseRefused(
            "A privacy budget and noise in training go together, and the manifest has one of them.",
            why="A budget that nothing keeps promises nothing; noise without a budget has no size.",
            todo="Give epsilon, delta and the clipping norm, or none of them.",
        )
    return NoiseAsked(
        _number("epsilon", budget.epsilon, _LEAST_EPSILON, _MOST_EPSILON),
        _number("delta", budget.delta, _LEAST_DELTA, _MOST_DELTA),
        _number("clip_norm", noise.clip_norm, _LEAST_CLIP, _MOST_CLIP),
    )


def plan_for(
    asked: NoiseAsked, parameters: Mapping[str, Any], *, patients: int, trained: int, rounds: int
) -> NoisePlan:
    """Return the plan with the least noise with which all rounds of a job stay within what it may cost.

    Args:
        parameters: of the template; `batch_size`, `local_epochs` and `local_steps` are looked at.
        patients: how many the cohort has.
        trained: how many of them are not held out.
        rounds: in which something is trained; at least 1.

    Raises:
        NoiseRefused: if the delta is more than a tenth of one over the number of patients, or no noise is enough.
    """
    if float(asked.delta) > accountant.largest_delta(max(1, patients)):
        raise NoiseRefused(
            "The delta of the job is too large for this cohort.",
            why="With so large a delta the whole record of one patient in ten could be given away.",
            todo="Lower the delta to a tenth of one over the number of patients, or take a larger cohort.",
        )
    batch = min(int(parameters["batch_size"]), max(1, trained))
    rate = min(Decimal(1), (Decimal(batch) / max(1, trained)).quantize(_DIGITS, rounding=ROUND_CEILING))
    steps = parameters.get("local_steps") or int(parameters["local_epochs"]) * math.ceil(trained / batch)
    try:
        sigma = accountant.noise_for(
            float(asked.epsilon), delta=float(asked.delta), rate=float(rate), steps=steps * rounds
        )
    except ValueError as err:
        raise NoiseRefused(
            "No noise is enough for so small an epsilon.",
            why=f"The job makes {steps * rounds} steps on the patients of this site.",
            todo="Ask for a larger epsilon, or for fewer steps.",
        ) from err
    return NoisePlan(Decimal(str(sigma)), rate, int(steps), asked.clip, batch)


def _number(name: str, text: str, low: Decimal, high: Decimal) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not low <= number <= high:
        raise NoiseRefused(
            f"The {name} of the job is {text!r}.",
            why=f"It is a number from {low:f} to {high:f}.",
            todo="Correct it.",
        )
    return number
