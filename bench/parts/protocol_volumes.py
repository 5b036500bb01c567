"""The hippocampus protocol: a three-dimensional U-Net in one place and through a federation.

Sixty volumes of the Medical Segmentation Decathlon: fifteen at each of three sites, fifteen kept back for the test.
Both halves of the hippocampus are one structure, as the vocabulary of segments has one word for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

from fairbank.analysis.staged import StagedSeries, read_staged
from fairbank.federated_jobs.algorithms.interface import SiteTask
from fairbank.federated_jobs.algorithms.masks import drawn_samples
from fairbank.federated_jobs.algorithms.registry import algorithm_parameters
from fairbank.federated_jobs.algorithms.samples import SampleSet, SiteSamples
from fairbank.federated_jobs.algorithms.segmentation import Segmentation
from fairbank.federated_jobs.algorithms.session import be_deterministic
from fairbank.federated_jobs.algorithms.training_parameters import SegmentationParameters
from fairbank.federated_jobs.node.sandbox_policy import JobFolder
from fairbank.federated_jobs.node.sandbox_staging import AnnotationToStage, SeriesToStage, stage_series
from fairbank.ontology.signed_objects import PlanName
from parts.drawn_volumes import Drawn, read_nifti, write_drawn
from parts.federation import Holding
from parts.protocol_data import SITES, data_folder
from parts.protocol_federation import JobWish, started
from parts.protocol_results import Result, Results, teller
from parts.protocol_training import POOLED, alone, measured

NAME, SEED, ROUNDS = "hippocampus", "1", 30
AT_EACH_SITE = 15
PARAMETERS: dict[str, Any] = {
    "structures": ["Hippocampus"],
    "patch_size": 32,
    "patches_per_image": 2,
    "channels": [16, 32, 64, 128, 256],
    "strides": [2, 2, 2, 2],
    "residual_units": 2,
    "learning_rate": "0.001",
    "weight_decay": "0.00001",
    "batch_size": 2,
    "held_out_percent": 0,
}
# In one place nothing is averaged, so nothing speaks for forgetting the moments of Adam after each round.
ALONE = {**PARAMETERS, "optimizer_state": "keep"}


class OnTest(Segmentation):
    """The segmentation template whose held-out volumes are those of the test.

    Args:
        test: the staged series of the test.
    """

    def __init__(self, test: Sequence[StagedSeries]) -> None:
        self._test = test

    def samples(self, task: SiteTask) -> SiteSamples:
        """Return all volumes of the task to train on, and the test to measure on."""
        assert isinstance(task.parameters, SegmentationParameters)
        train = drawn_samples(task.series, task.parameters)
        test = drawn_samples(self._test, task.parameters)
        held = SampleSet(test.train.samples)
        n = len(train.train) + len(held)
        return SiteSamples(train.train, held, n, n, len(held), 0)


def run_hippocampus(results: Results, *, only: list[str], until: float = inf) -> None:
    """Run what is missing."""
    wanted = only or ["centralised", "fedavg"]
    if "centralised" in wanted and results.missing(f"{NAME}-centralised"):
        _in_one_place(results, until)
    if "fedavg" in wanted and results.missing(f"{NAME}-fedavg"):
        _through_a_federation(results, until)


def _in_one_place(results: Results, until: float) -> None:
    run = f"{NAME}-centralised"
    algorithm = _algorithm(results, ALONE)
    done = alone(algorithm, rounds=ROUNDS, kept=results.work_of(run), told=teller(run), until=until)
    results.keep(
        run,
        {
            **_what(ALONE, ""),
            "passes": len(done.curve),
            "passes_asked": ROUNDS,
            "curve": [{"pass": number, **one} for number, one in enumerate(done.curve, 1)],
            "final": done.curve[-1],
            "costs": {"cpu_s": done.cpu_s},
        },
    )


def _through_a_federation(results: Results, until: float) -> None:
    run = f"{NAME}-fedavg"
    told = teller(run)

    def write(folder: Path, site: str) -> None:
        folder.mkdir(parents=True)
        for one in cases()[site]:
            write_drawn(one, folder)

    with started(Holding(NAME, "segmentation", write), told=told) as federation:
        wish = JobWish(NAME, PARAMETERS, PlanName.AGGREGATION, SEED, rounds=ROUNDS)
        through = federation.train(wish, results.work_of(run), told=told, until=until)
    judge = _algorithm(results, PARAMETERS)
    curve = [{"pass": number, **measured(judge, file)} for number, file in sorted(through.models.items())]
    results.keep(
        run,
        {
            **_what(PARAMETERS, PlanName.AGGREGATION.value),
            "passes": len(curve),
            "passes_asked": ROUNDS,
            "rounds": len(curve),
            "curve": curve,
            "final": {name: value for name, value in curve[-1].items() if name != "pass"},
            "costs": through.costs(),
        },
    )


def _algorithm(results: Results, parameters: dict[str, Any]) -> OnTest:
    """Return the template, begun on all sites' volumes together."""
    be_deterministic()
    staged = {}
    for name in ("train", "test"):
        folder = results.work_of(f"{NAME}-staged") / name
        if not (folder / "inputs" / "manifest.json").exists():
            stage(
                [one for site in (SITES if name == "train" else ("test",)) for one in cases()[site]], folder
            )
        staged[name] = read_staged(JobFolder(folder).inputs)
    algorithm = OnTest(staged["test"])
    checked = algorithm_parameters("segmentation", parameters)
    algorithm.begin(SiteTask(checked, staged["train"], SEED, POOLED, rounds=ROUNDS))
    return algorithm


def stage(some: Sequence[Drawn], folder: Path) -> None:
    """Stage volumes with their segmentations as a node would."""
    series = []
    for number, one in enumerate(some, 1):
        files, drawn = write_drawn(one, folder / "written")
        annotations = (AnnotationToStage("SEG", (drawn,)),)
        series.append(SeriesToStage(f"s{number:04d}", f"p{number:04d}", files, annotations=annotations))
    stage_series(series, JobFolder(folder))


@cache
def cases() -> dict[str, list[Drawn]]:
    """Return the volumes of each site, and under `test` those that are kept back."""
    folder = data_folder() / NAME
    files = sorted((folder / "images").glob("*.nii.gz"))
    read = [read_nifti(file, folder / "labels" / file.name) for file in files]
    found = {site: read[place :: len(SITES) + 1][:AT_EACH_SITE] for place, site in enumerate(SITES)}
    taken = {id(one) for part in found.values() for one in part}
    return {**found, "test": [one for one in read if id(one) not in taken]}


def _what(parameters: dict[str, Any], plan: str) -> Result:
    found = cases()
    return {
        "protocol": NAME,
        "seed": SEED,
        "parameters": parameters,
        "split": "every fourth volume",
        "plan": plan,
        "sites": {site: len(found[site]) for site in SITES},
        "n_train": sum(len(found[site]) for site in SITES),
        "n_test": len(found["test"]),
    }
