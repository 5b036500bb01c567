"""The published training protocols, run for real, and the table of plans.

    export FAIRBANK_DATA=FOLDER
    python bench/protocols.py mnist          14 passes over 60,000 digits: in one place, sequential, FedAvg
    python bench/protocols.py pneumonia      PneumoniaMNIST: in one place, sequential
    python bench/protocols.py unlike         the same images at sites with unlike shares of classes: FedAvg
    python bench/protocols.py hippocampus    60 volumes: in one place, FedAvg
    python bench/protocols.py plans          one job under every plan, two splits, three seeds
    python bench/protocols.py waiting        one slow site: who waits for it
    python bench/protocols.py privacy        what noise for each patient costs: four budgets, three seeds
    python bench/protocols.py                figures and goals of what has been run

mnist, pneumonia, unlike and hippocampus go through a hub and three nodes: real processes, TLS, signatures, databases,
release gate, sandbox. plans, waiting and privacy run plans, trainer and merging of the product in one process. Results
are kept in `bench/results`, one file a run; what is finished is not run again. A run in one place goes on from its last
round. `tools/build_training_results_page.py` makes the page of the documentation from them.

Goals: within 0.2 points of the run in one place with the same passes (MNIST); at least 99 % of its AUROC
(PneumoniaMNIST, like and unlike sites) and 98.58 % of its Dice (hippocampus); at most 1 s between two trainings.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import time
from pathlib import Path

from parts.protocol_goals import outcome
from parts.protocol_results import KEPT, Results, teller


def run(name: str, results: Results, only: list[str], until: float) -> None:
    """Run what is missing of one protocol.

    Args:
        until: second of the monotonic clock at which runs of published protocols are ended with what there is.
    """
    if name == "plans":
        _plans(results, only)
    elif name == "waiting":
        _waiting(results)
    elif name == "privacy":
        _privacy(results, only)
    elif name == "hippocampus":
        from parts.protocol_volumes import run_hippocampus

        run_hippocampus(results, only=only, until=until)
    else:
        from parts.protocol_definitions import PROTOCOLS
        from parts.protocol_published import run_protocol

        run_protocol(PROTOCOLS[name], results, only=only, until=until)


def _plans(results: Results, only: list[str]) -> None:
    from parts.protocol_data import data_folder, pneumonia
    from parts.protocol_plans import PARAMETERS, PASSES, SEEDS, SPLITS, Trial, run_trial

    for table, (split, rate) in SPLITS.items():
        for seed in SEEDS:
            name = f"plans-{table}-{seed}"
            if not results.missing(name) or (only and table not in only):
                continue
            train, test = pneumonia(data_folder())
            parameters = {**PARAMETERS, "learning_rate": rate}
            trial = Trial.of(train, test, split=split, seed=seed, parameters=parameters)
            what = {"split": split, "seed": seed, "passes": PASSES, "parameters": parameters}
            results.keep(name, {**what, **run_trial(trial, told=teller(name))})


def _waiting(results: Results) -> None:
    from parts.protocol_data import data_folder, pneumonia
    from parts.protocol_plans import PARAMETERS, Trial
    from parts.protocol_waiting import TARGET_SHARE, modes, run_modes

    name, usual = "waiting", results.of("plans-dirichlet-1")
    if not results.missing(name):
        return
    if usual is None:
        raise SystemExit("Run the plans first: the target is a share of the pooled model's AUROC.")
    train, test = pneumonia(data_folder())
    trial = Trial.of(train, test, split="dirichlet", seed="1")
    target = TARGET_SHARE * usual["rows"]["pooled"]["auroc"]
    found = run_modes(trial, target=target, chosen=modes(), told=teller(name))
    results.keep(name, {"split": "dirichlet", "seed": "1", "parameters": PARAMETERS, **found})


def _privacy(results: Results, only: list[str]) -> None:
    from parts.protocol_data import data_folder, pneumonia
    from parts.protocol_privacy import EPSILONS, SEEDS, run_budget

    train, test = pneumonia(data_folder())
    for seed in SEEDS:
        for budget in EPSILONS:
            name = f"privacy-{budget}-{seed}"
            if not results.missing(name) or (only and budget not in only):
                continue
            results.keep(name, run_budget(train, test, budget=budget, seed=seed, told=teller(name)))


def main() -> None:
    """Run what is asked for, and print what stands."""
    said = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    said.add_argument(
        "protocol",
        nargs="?",
        choices=["mnist", "pneumonia", "unlike", "hippocampus", "plans", "waiting", "privacy"],
    )
    said.add_argument("--only", action="append", default=[], help="a run of the protocol; all by default")
    said.add_argument("--results", type=Path, default=KEPT, help="folder of results")
    said.add_argument("--again", action="store_true", help="run also what is finished")
    said.add_argument("--json", action="store_true", help="print one line")
    said.add_argument(
        "--minutes", type=float, help="end runs of published protocols after so many, with what there is"
    )
    given = said.parse_args()
    # A run that is told to stop stops the processes of its federation.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    until = time.monotonic() + 60 * given.minutes if given.minutes else math.inf
    results = Results(given.results, again=given.again)
    if given.protocol:
        run(given.protocol, results, given.only, until)
    print(json.dumps(outcome(results.all()), indent=None if given.json else 2))


if __name__ == "__main__":
    main()
