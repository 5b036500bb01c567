"""What noise costs: PneumoniaMNIST over three alike sites by FedAvg, at several budgets, each with three seeds.

Each image counts as a patient of its own: the published set does not tell whose images are. Sites hold nothing out; the
test images are at no site. Noise, sampling and accountant are the product's.
"""

from __future__ import annotations

import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from fairbank.federated_jobs.algorithms import metrics
from fairbank.federated_jobs.algorithms.classification import outputs_of
from fairbank.federated_jobs.algorithms.interface import SiteTask
from fairbank.federated_jobs.algorithms.networks import image_network
from fairbank.federated_jobs.algorithms.registry import algorithm_parameters
from fairbank.federated_jobs.algorithms.samples import SampleSet
from fairbank.federated_jobs.algorithms.session import be_deterministic
from fairbank.federated_jobs.algorithms.weights import read_weights
from fairbank.federated_jobs.dp.accountant import Spent, epsilon
from fairbank.federated_jobs.dp.plan import NoiseAsked, NoisePlan, plan_for
from fairbank.ontology.signed_objects import DifferentialPrivacy, PlanName, Training
from parts.protocol_data import Labelled, stratified
from parts.protocol_in_process import InProcess, PlanWish, manifest_of
from parts.protocol_results import Result
from parts.protocol_training import WINDOW, FromArrays, Told, as_samples

SEEDS = ("1", "2", "3")
EPSILONS = ("none", "8", "3", "1")
DELTA, CLIP, ROUNDS = "0.00001", "1", 15
# Of each, the rate that suits it: without noise a larger one does not learn.
RATES = {"none": "0.1"}
NOISY_RATE = "0.3"
PARAMETERS: dict[str, Any] = {
    "label": "clinical_digit",
    "classes": ["normal", "pneumonia"],
    "network": "small-cnn",
    "image_size": 28,
    "window": WINDOW,
    "batch_size": 64,
    "held_out_percent": 0,
}


def run_budget(train: Labelled, test: Labelled, *, budget: str, seed: str, told: Told) -> Result:
    """Train under one budget with one seed; return AUROC and accuracy on the test images, and what was spent."""
    be_deterministic()
    parameters = {**PARAMETERS, "learning_rate": RATES.get(budget, NOISY_RATE)}
    checked = algorithm_parameters("classification", parameters)
    parts = stratified(train)
    plans = {site: _plan(budget, checked.model_dump(mode="json"), len(part)) for site, part in parts.items()}
    training = Training(differential_privacy=DifferentialPrivacy(clip_norm=CLIP))
    sites = {}
    for site, part in parts.items():
        sites[site] = FromArrays(part, None)
        plan = plans[site]
        task = SiteTask(checked, (), seed, site, training if plan else Training(), rounds=ROUNDS, noise=plan)
        sites[site].begin(task)
    began = time.process_time()
    with tempfile.TemporaryDirectory(prefix="fairbank-privacy-") as folder:
        wish = PlanWish(PlanName.AGGREGATION, rounds=ROUNDS)
        manifest = manifest_of(wish, parameters, tuple(sorted(sites)), seed=seed)
        weights = read_weights(InProcess(manifest, sites, Path(folder)).run().models["model"])
    spent_s = time.process_time() - began
    network = image_network(checked, len(PARAMETERS["classes"]))  # type: ignore[arg-type]
    network.load_state_dict({name: _tensor(value) for name, value in weights.items()})
    outputs, truth = outputs_of(network.eval().float(), SampleSet(as_samples(test, checked)))
    found = metrics.classification(outputs.detach().numpy(), truth.numpy().astype(np.int64))
    told(f"epsilon {budget}, seed {seed}: AUROC {found['auroc']:.4f}, {spent_s:.0f} s of processor time")
    first = next(iter(plans.values()))
    return {
        "epsilon": budget,
        "delta": DELTA,
        "clip_norm": CLIP,
        "rounds": ROUNDS,
        "seed": seed,
        "parameters": parameters,
        "auroc": round(found["auroc"], 5),
        "accuracy": round(found["accuracy"], 5),
        "sigma": str(first.sigma) if first else "0",
        "rate": str(first.rate) if first else "",
        "steps": first.steps * ROUNDS if first else 0,
        "spent": round(_spent(first), 4) if first else None,
        "sites": {site: len(part) for site, part in parts.items()},
        "cpu_s": round(spent_s, 1),
    }


def _plan(budget: str, parameters: dict[str, Any], images: int) -> NoisePlan | None:
    if budget == "none":
        return None
    asked = NoiseAsked(Decimal(budget), Decimal(DELTA), Decimal(CLIP))
    return plan_for(asked, parameters, patients=images, trained=images, rounds=ROUNDS)


def _spent(plan: NoisePlan) -> float:
    whole = Spent(float(plan.sigma), float(plan.rate), plan.steps * ROUNDS)
    return epsilon([whole], delta=float(DELTA)).epsilon


def _tensor(value: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(value)
