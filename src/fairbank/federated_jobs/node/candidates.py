"""What a round made, as the release gate judges it: its class, its limits, and the form that it must have."""

from __future__ import annotations

from collections.abc import Mapping

from fairbank.federated_jobs.code import UPDATE
from fairbank.federated_jobs.errors import JobsError
from fairbank.federated_jobs.evaluating import STAND_IN, measures_only
from fairbank.federated_jobs.node.runner import Product, RoundTask
from fairbank.federated_jobs.reasons import Reason
from fairbank.ontology.outputs import DOOR_OF_OUTPUT
from fairbank.release.candidates import Candidate
from fairbank.release.tensors import TensorShape, form_of
from fairbank.release.told_sums import Sums


def candidate_of(task: RoundTask, product: Product, *, in_cohort: int, sums: Sums | None) -> Candidate:
    """Return what a round made in the form that the gate judges.

    Args:
        in_cohort: number of different subjects in the cohort.
        sums: what a statistic is of, beside what records of its datasets told.

    Raises:
        JobsError: if the job declares no such output.
    """
    limits = next((each for each in task.manifest.outputs if each.name == product.output), None)
    if limits is None:
        raise JobsError(f"The job declares no output {product.output!r}.").because(Reason.OUTPUT_NOT_ALLOWED)
    return Candidate(
        door_class=DOOR_OF_OUTPUT[limits.output_class],
        output=product.output,
        content=product.path,
        media_type=limits.media_type,
        job=task.manifest.id,
        round=task.round,
        limits=limits,
        subjects=_counted(in_cohort, product.subjects),
        columns=product.columns,
        tensors=_form(task, product),
        encoded=product.encoded,
        packed=product.packed,
        sums=sums,
        groups=product.groups,
        # A runner's products lie in a folder of the node's own, which no job can reach.
        movable=True,
    )


def _form(task: RoundTask, product: Product) -> Mapping[str, TensorShape] | None:
    """Return the tensors that an update must have.

    Without filters the first round starts from no model that the gate could know; there names and types are judged.
    """
    if product.output != UPDATE:
        return None
    if measures_only(task.manifest, task.round):
        return {STAND_IN: TensorShape("F32", (1,))}
    if product.form is not None or task.global_model is None:
        return product.form
    return form_of(task.global_model)


def _counted(in_cohort: int, used: int | None) -> int:
    return in_cohort if used is None else min(in_cohort, used)
