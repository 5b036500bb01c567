"""Whether a round that the hub asks for is the next one of the sealed plan."""

from __future__ import annotations

from sqlalchemy.orm import Session

from fairbank.federated_jobs.axes.plans import PLANS
from fairbank.federated_jobs.node.mail import Letter, check_order, not_in_plan
from fairbank.federated_jobs.node.peers import is_sealed
from fairbank.ontology.signed_objects import Manifest
from fairbank.release.node import Node


def check_in_plan(
    node: Node,
    session: Session,
    manifest: Manifest,
    *,
    number: int,
    base: str | None,
    letter: Letter | None,
    previous: int,
) -> None:
    """Refuse a round that the sealed plan does not have: a hub could ask the cohort as often as it likes otherwise.

    A round that is staged is only sent again, so each is computed once and none goes backwards: one run is one passage
    through the plan.

    Args:
        base: digest of the model that the hub has it start from.
        letter: what peers send for it, where they do.
        previous: the last round that was staged here, 0 for none.

    Raises:
        RoundRefused: saying what the plan has instead.
    """
    rounds = manifest.plan.rounds
    if is_sealed(manifest) is not (letter is not None):
        raise not_in_plan("Sites send their models to each other where the plan says so, and only there.")
    if letter is not None and number > previous:
        check_order(node, session, letter, previous=previous, base=base)
        return
    if not 1 <= number <= rounds:
        raise not_in_plan(f"The plan has {rounds} rounds, and the hub asks for round {number}.")
    if number <= previous:
        raise not_in_plan(f"Round {previous} is done, and the hub asks for round {number}.")
    initial = manifest.training.initial_model if manifest.training else None
    if number == 1:
        if base != initial:
            raise not_in_plan(
                "The first round starts from the model that the sealed manifest names, or from none."
            )
    elif base is None and (initial is not None or not _may_begin_later(manifest, previous)):
        raise not_in_plan(
            "Only the first round starts from no model, and each later one from the model before."
        )


def _may_begin_later(manifest: Manifest, previous: int) -> bool:
    """Tell whether a later round may start from the seed: the model goes round, and all before have dropped out."""
    choice = PLANS.get(manifest.plan.name.value)
    return choice is not None and choice.hands_on and previous == 0
