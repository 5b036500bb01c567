"""One job under every plan: which model comes of it, what it costs, and what each site gains.

PneumoniaMNIST over three sites, once with equal shares of both classes and once with shares drawn from a Dirichlet
distribution; a small network; the same number of passes over each site's images under every plan. Each site holds a
fifth of its images out. The test images are at no site.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairbank.federated_jobs.algorithms import metrics
from fairbank.federated_jobs.algorithms.centralised import trained_alone
from fairbank.federated_jobs.algorithms.classification import outputs_of
from fairbank.federated_jobs.algorithms.networks import image_network
from fairbank.federated_jobs.algorithms.registry import algorithm_parameters
from fairbank.federated_jobs.algorithms.samples import SampleSet
from fairbank.federated_jobs.algorithms.weights import Weights, read_weights
from fairbank.ontology.signed_objects import PlanName
from parts.protocol_data import Labelled, Split, dirichlet, held_back, pooled, stratified
from parts.protocol_in_process import InProcess, PlanWish, Run, manifest_of
from parts.protocol_results import Result
from parts.protocol_training import POOLED, WINDOW, FromArrays, Told, as_samples, classifier

PASSES = 6
SEEDS = ("1", "2", "3")
# A split, and the learning rate.
SPLITS = {
    "iid": ("iid", "0.02"),
    "dirichlet": ("dirichlet", "0.02"),
    "dirichlet-slow": ("dirichlet", "0.005"),
}
HELD_OUT_SHARE = 5
PARAMETERS: dict[str, Any] = {
    "label": "clinical_digit",
    "classes": ["normal", "pneumonia"],
    "network": "lenet",
    "image_size": 28,
    "window": WINDOW,
    "batch_size": 16,
    "learning_rate": "0.02",
    "momentum": "0.9",
}


def plans(passes: int) -> dict[str, PlanWish]:
    """Return the plans of the table, each with as many passes over each site's images."""
    return {
        "SWT": PlanWish(PlanName.SINGLE_WEIGHT_TRANSFER, options={"max_passes": passes, "patience": 3}),
        "CWT": PlanWish(PlanName.CYCLIC_WEIGHT_TRANSFER, options={"cycles": passes}),
        "IIL": PlanWish(PlanName.INSTITUTIONAL_INCREMENTAL, options={"passes": passes}),
        "CIIL": PlanWish(
            PlanName.CYCLIC_INSTITUTIONAL_INCREMENTAL, options={"cycles": passes // 2, "passes": 2}
        ),
        "FedAvg": PlanWish(PlanName.AGGREGATION, rounds=passes),
        # All train once, and then one at a time.
        "P2P": PlanWish(PlanName.PEER_TO_PEER, rounds=1 + 3 * (passes - 1)),
    }


@dataclass(frozen=True, slots=True)
class Measure:
    """Takes AUROC of models on the test images and on what each site holds out."""

    test: SampleSet
    heldout: Mapping[str, SampleSet]
    parameters: Any

    @classmethod
    def of(cls, test: Labelled, heldout: Mapping[str, Labelled], parameters: Mapping[str, object]) -> Measure:
        """Prepare the images once."""
        checked = algorithm_parameters("classification", parameters)
        return cls(
            SampleSet(as_samples(test, checked)),
            {site: SampleSet(as_samples(part, checked)) for site, part in heldout.items()},
            checked,
        )

    def on_test(self, models: Sequence[Weights]) -> float:
        """Return AUROC on the test images of the mean of what models predict."""
        return self._auroc(models, self.test)

    def on_sites(self, models: Sequence[Weights]) -> dict[str, float]:
        """Return AUROC on each site's held-out images."""
        return {site: self._auroc(models, part) for site, part in self.heldout.items()}

    def _auroc(self, models: Sequence[Weights], some: SampleSet) -> float:
        told, truth = [], torch.zeros(0)
        for weights in models:
            network = image_network(self.parameters, len(self.parameters.classes))
            network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
            network.eval()
            with torch.no_grad():
                outputs, truth = outputs_of(network, some)
            told.append(torch.softmax(outputs, dim=1))
        scores = torch.log(torch.stack(told).mean(dim=0) + 1e-12).numpy()
        return metrics.classification(scores, truth.numpy().astype(np.int64))["auroc"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One split under one seed, with which every plan is run."""

    trained: Split
    heldout: Split
    measure: Measure
    parameters: Mapping[str, Any]
    seed: str
    passes: int

    @classmethod
    def of(
        cls,
        whole: Labelled,
        test: Labelled,
        *,
        split: str,
        seed: str,
        passes: int = PASSES,
        parameters: Mapping[str, Any] = PARAMETERS,
    ) -> Trial:
        """Split a set over the sites."""
        parts = stratified(whole) if split == "iid" else dirichlet(whole, seed=int(seed))
        both = {site: held_back(part, HELD_OUT_SHARE) for site, part in parts.items()}
        trained = {site: part for site, (part, _) in both.items()}
        heldout = {site: part for site, (_, part) in both.items()}
        return cls(trained, heldout, Measure.of(test, heldout, parameters), parameters, seed, passes)

    def sites(self, **changed: Any) -> dict[str, FromArrays]:
        """Return the algorithm of each site, begun."""
        return {
            site: classifier(
                part,
                self.heldout[site],
                {**self.parameters, **changed},
                site=site,
                seed=self.seed,
                rounds=self.passes,
            )
            for site, part in self.trained.items()
        }

    def under(self, wish: PlanWish, folder: Path, **changed: Any) -> Run:
        """Run one plan, with a new folder for its models."""
        sites = tuple(sorted(self.trained))
        manifest = manifest_of(wish, {**self.parameters, **changed}, sites, seed=self.seed)
        folder.mkdir()
        return InProcess(manifest, self.sites(**changed), folder).run()


def run_trial(trial: Trial, *, told: Told) -> Result:
    """Run pooled, local-only, ensemble and every plan; return a row for each."""
    with tempfile.TemporaryDirectory(prefix="fairbank-plans-") as folder:
        rows = _rows(trial, Path(folder), told)
    usual = rows["pooled"]["on_sites"]
    for row in rows.values():
        if row.get("last"):
            row["bias_to_last"] = _lead(row["on_sites"], row["last"]) - _lead(usual, row["last"])
    return {
        "rows": rounded(rows),
        "sites": {site: part.counts() for site, part in trial.trained.items()},
        "held_out": {site: part.counts() for site, part in trial.heldout.items()},
        "n_test": len(trial.measure.test),
    }


def _rows(trial: Trial, folder: Path, told: Told) -> dict[str, Result]:
    rows: dict[str, Result] = {}
    begun = time.process_time()
    ensemble = trial.under(PlanWish(PlanName.ENSEMBLE), folder / "ensemble", local_epochs=trial.passes)
    members = {site: read_weights(file) for site, file in ensemble.models.items()}
    spent = time.process_time() - begun
    own = {site: trial.measure.on_sites([weights])[site] for site, weights in members.items()}
    rows["local-only"] = {
        "auroc": statistics.mean(trial.measure.on_test([weights]) for weights in members.values()),
        "auroc_by_site": {site: trial.measure.on_test([weights]) for site, weights in members.items()},
        "on_sites": own,
        "cpu_s": spent,
        "bytes": 0,
    }
    rows["ensemble"] = _row(trial, list(members.values()), ensemble, own, spent)
    begun = time.process_time()
    together = classifier(
        pooled(trial.trained), None, trial.parameters, site=POOLED, seed=trial.seed, rounds=trial.passes
    )
    weights = [done.weights for done in trained_alone(together, rounds=trial.passes)][-1]
    rows["pooled"] = _row(trial, [weights], None, own, time.process_time() - begun)
    for name, wish in plans(trial.passes).items():
        begun = time.process_time()
        run = trial.under(wish, folder / name)
        spent = time.process_time() - begun
        rows[name] = _row(trial, [read_weights(run.models["model"])], run, own, spent)
        told(f"{name}: AUROC {rows[name]['auroc']:.4f}, {spent:.0f} s of processor time")
    return rows


def _row(
    trial: Trial, models: list[Weights], run: Run | None, own: Mapping[str, float], cpu_s: float
) -> Result:
    there = trial.measure.on_sites(models)
    return {
        "auroc": trial.measure.on_test(models),
        "on_sites": there,
        "gain": {site: there[site] - own[site] for site in sorted(own)},
        "cpu_s": cpu_s,
        "bytes": run.sent_bytes if run else 0,
        "passes": dict(run.passes) if run else {},
        "last": run.last if run and len(run.versions) > 1 and len(run.versions[-1].sites) == 1 else "",
    }


def _lead(on_sites: Mapping[str, float], site: str) -> float:
    """Return by how much a model does better at one site than at the others."""
    others = [value for name, value in on_sites.items() if name != site]
    return on_sites[site] - statistics.mean(others)


def rounded(value: Any) -> Any:
    """Return a result with its numbers rounded to what is worth keeping."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return round(value, 5) if isinstance(value, float) else value
