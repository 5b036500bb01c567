"""Jobs that train nothing: each site measures a registered model on its held-out subjects and tells the numbers.

Such a job is a training job of one round whose local step is `evaluate`; a training may end with such a round. What
leaves a site is an update with one number in place of all weights, so that its notes pass the same gate as those of any
training.

An ensemble is measured so too: the job names its models, the sites apply each and put the predictions together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fairbank.federated_jobs.update_notes import N_HELDOUT, annotate
from fairbank.ontology.signed_objects import Manifest
from fairbank.signing import Digest

EVALUATE = "evaluate"
# The plan's option that has the last round measure and not train.
MEASURE_LAST = "measure_last"
# The one tensor of what an evaluating site sends, and its value.
STAND_IN = "evaluated"


def evaluates(manifest: Manifest) -> bool:
    """Tell whether a job only measures a model."""
    return manifest.training is not None and manifest.training.local_step.name == EVALUATE


def members_of(manifest: Manifest) -> tuple[Digest, ...]:
    """Return the models whose predictions an evaluation puts together; empty if it measures one model by itself."""
    if manifest.training is None or not evaluates(manifest):
        return ()
    named = manifest.training.local_step.options.get("members")
    return tuple(Digest(str(each)) for each in named) if isinstance(named, list | tuple) else ()


def combining(manifest: Manifest) -> str:
    """Return how an evaluation puts predictions together: `mean` or `vote`."""
    assert manifest.training is not None
    return str(manifest.training.local_step.options.get("combine", "mean"))


def measures_only(manifest: Manifest, number: int) -> bool:
    """Tell whether nothing is trained in a round of a job: it only measures a model, or this is its last look."""
    return evaluates(manifest) or looks_last(manifest, number)


def looks_last(manifest: Manifest, number: int) -> bool:
    """Tell whether a round of a training is the one in which the sites measure the model that it has made."""
    return manifest.plan.options.get(MEASURE_LAST) is True and number == manifest.plan.rounds


def evaluation_file(metrics: Mapping[str, float], n_heldout: int, *, into: Path) -> Path:
    """Write what an evaluating site sends, and return the file.

    Args:
        metrics: of the model that the round starts from.
        n_heldout: number of samples that they were measured on.
    """
    import numpy as np
    from safetensors.numpy import save_file

    bare, target = into / "evaluation.part", into / "evaluation.safetensors"
    save_file({STAND_IN: np.ones(1, dtype=np.float32)}, bare)
    notes: dict[str, int | float] = {f"before_{name}": value for name, value in metrics.items()}
    annotate(bare, {N_HELDOUT: n_heldout, **notes}, to=target)
    bare.unlink()
    return target
