"""Records of trainings that never were, for reports: written out in full, the same each time."""

from __future__ import annotations

import math
from typing import Any

from fairbank.federated_jobs.training_record import TrainingRecord

JOB = "01a1fdee-cff5-7f63-b5f0-d16d1d20c888"
DIGEST = "sha256:" + "ab" * 32
CODE = {"name": "slice-autoencoder", "family": "training", "version": "1.0.0", "digest": DIGEST}


def made_up(
    *, rounds: int = 12, closed: int = 8, sites: tuple[str, ...] = ("east", "north", "west"), **changes: Any
) -> TrainingRecord:
    """Return the record of a training in which the second site does worst and the last one is missing in two rounds."""
    done = [_round(number, sites) for number in range(1, closed + 1)]
    if closed < rounds:
        done.append({"round": closed + 1, "state": "open", "opened": _at(closed * 40)})
    body = {
        "schema": "training/1",
        "job": JOB,
        "title": "Denoising of chest CT across three biobanks",
        "state": "running" if closed < rounds else "completed",
        "reason": "none",
        "code": CODE,
        "plan": "aggregation",
        "aggregator": {"name": "fedavg", "options": {}},
        "local_step": {"name": "plain", "options": {}},
        "objective": "worst-site",
        "parameters": {"learning_rate": "0.003", "local_epochs": 1, "width": 8},
        "seed": "7",
        "round": closed,
        "rounds": rounds,
        "quorum": 2,
        "created": _at(0),
        "started": _at(0),
        "seen": 9,
        "sites": [
            {
                "node": site,
                "state": "released",
                "reason": "none",
                "origin": "synthetic",
                "datasets": [f"http://hub.test/datasets/{site}/ct"],
            }
            for site in sites
        ],
        "done": done,
    }
    return TrainingRecord.parse({**body, **changes})


def _round(number: int, sites: tuple[str, ...]) -> dict[str, Any]:
    missing = {sites[-1]} if number in (3, 4) and len(sites) > 2 else set()
    return {
        "round": number,
        "state": "closed",
        "opened": _at((number - 1) * 40),
        "closed": _at((number - 1) * 40 + 31 + number % 3),
        **({"base": DIGEST} if number > 1 else {}),
        "result": DIGEST,
        "sites": [_site(number, place, site, came=site not in missing) for place, site in enumerate(sites)],
    }


def _site(number: int, place: int, site: str, *, came: bool) -> dict[str, Any]:
    told = {"node": site, "bytes_up": 0, "bytes_down": 1_724_320 if number > 1 else 0, "cpu_s": 20}
    if not came:
        return told
    worse = 1.6 if place == 1 else 1.0 + place / 10
    before, after = (worse * (0.004 + 0.02 * math.exp(-at / 3)) for at in (number - 1, number))
    return {
        **told,
        "arrived": _at((number - 1) * 40 + 18 + 5 * place),
        "digest": DIGEST,
        "bytes_up": 1_724_512,
        "notes": {
            "n_train": 400.0 + 250 * place,
            "n_heldout": 80.0 + 30 * place,
            "before_mse": before,
            "after_mse": after,
            "before_psnr_db": -10 * math.log10(before),
            "after_psnr_db": -10 * math.log10(after),
        },
    }


def _at(seconds: int) -> str:
    return f"2026-11-30T12:{seconds // 60:02}:{seconds % 60:02}.000Z"
