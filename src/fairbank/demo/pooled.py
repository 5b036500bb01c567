"""The comparison: the federated model and the same network trained on pooled data, on the same held-out slices.

Only a demo may do this: it has all three biobanks' files in one place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairbank.database import reading
from fairbank.demo.federation import Site
from fairbank.federated_jobs.node.cohort import draw, harvest_index
from fairbank.federated_jobs.node.inputs import series_to_stage
from fairbank.federated_jobs.node.sandbox_policy import JobFolder
from fairbank.federated_jobs.node.sandbox_staging import stage_series
from fairbank.ontology.signed_objects import Selector

METRIC = "psnr_db"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was trained: where, by which job, how, and the model that came of it."""

    sites: Sequence[Site]
    job: str
    parameters: Mapping[str, object]
    seed: str
    rounds: int
    model: Path


@dataclass(frozen=True, slots=True)
class Compared:
    """Held-out PSNR in dB."""

    federated: float
    centralised: float
    untrained: float


def compare(comparison: Comparison, folder: Path) -> Compared:
    """Stage every site's cohort of the job in one folder, train on all of it, and measure both models."""
    from fairbank.federated_jobs.algorithms.centralised import centralised, evaluate_pooled

    staged = {}
    for site in comparison.sites:
        with reading(site.node.engine) as session:
            wanted = {site.biobank.dataset: Selector()}
            cohort = draw(site.node, session, harvest_index, wanted, at_least=1)
        place = JobFolder(folder / site.biobank.name)
        stage_series(series_to_stage(site.node, comparison.job, cohort), place)
        staged[site.biobank.name] = place.inputs
    federated = evaluate_pooled(
        comparison.parameters, staged, job_seed=comparison.seed, weights=comparison.model
    )
    pooled = centralised(comparison.parameters, staged, job_seed=comparison.seed, rounds=comparison.rounds)
    return Compared(federated[METRIC], pooled.final[METRIC], pooled.metrics_by_round[0][METRIC])
