"""Which trainings are encrypted for their sites, and in which round of one the model is opened."""

from __future__ import annotations

from fairbank.federated_jobs.axes.filters import FILTERS
from fairbank.ontology.signed_objects import Manifest


def is_encrypted(manifest: Manifest) -> bool:
    """Tell whether the sites of a job encrypt their updates with a key that they share."""
    named = () if manifest.training is None else manifest.training.filters
    return any(each.name in FILTERS and FILTERS[each.name].encrypts for each in named)


def opens(manifest: Manifest, number: int) -> bool:
    """Tell whether nothing is trained in a round of an encrypted job: its sites open the model of the round before."""
    return is_encrypted(manifest) and number >= manifest.plan.rounds
