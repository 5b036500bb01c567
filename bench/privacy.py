"""What protections of training cost.

Secure aggregation: what one site of five computes in one attempt, for 1 and for 10 million parameters, and how much it
uploads against the parameters in 32 bits. Bound in the same run: adding four arrays of the same length by numpy.

Review of a received model (`parts/model_review.py`): processor time of a site for each MB.

Noise for each patient (`parts/noisy_steps.py`): processor time of a round with it, against the same round without.

A federated round with secure aggregation (`parts/masked_rounds.py`), against the same round without.

Goals: at most 50 ms per MB for a review; at most 3 times the processor time with noise; at most 0.1 s of a site's
processor for 1 million and 1 s for 10 million; at most 1.02 times 4 bytes a parameter; a round that trains at most 1.2
times as long with secure aggregation as without.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from fairbank.federated_jobs.secagg.collecting import Collecting
from fairbank.federated_jobs.secagg.fixed_point import Ring
from fairbank.federated_jobs.secagg.messages import Context, roster_digest
from fairbank.federated_jobs.secagg.site import Site
from fairbank.signing import SigningKey
from parts import masked_rounds, model_review, noisy_steps

SITES, ROUNDS = 5, 3
SIZES = {"1m": 1_000_000, "10m": 10_000_000}
GOALS_S = {"1m": 0.1, "10m": 1.0}
BYTES_RATIO = 1.02
_DIGEST = "sha256:" + "0" * 64


class _Answers:
    def first(self, job: str, number: int) -> bool:
        return True


def attempt(length: int) -> dict[str, float]:
    """Run one attempt; return the processor seconds of the first site and of the hub, and what the site uploads."""
    names = [f"site-{place}" for place in range(SITES)]
    keys = {name: SigningKey.generate() for name in names}
    roster = {name: key.key_id for name, key in keys.items()}
    context = Context(
        job="01890a5d-ac96-774b-bcce-b302099a8057",
        round=1,
        attempt=1,
        base=_DIGEST,
        plan=_DIGEST,
        roster=roster_digest(roster),
        length=length,
    )
    ring = Ring(32, 64.0, SITES)
    sites = {name: Site(context, roster, node=name, key=keys[name], answers=_Answers()) for name in names}
    hub = Collecting(context, roster, ring)
    update = np.random.default_rng(1).normal(size=length).astype(np.float32)
    spent, sent = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0)

    def timed(name: str, call: Any) -> Any:
        began = time.process_time()
        found = call()
        spent[name] += time.process_time() - began
        sent[name] += len(found) if isinstance(found, bytes) else 0
        return found

    for name, site in sites.items():
        hub.add_keys(timed(name, site.advertise))
    given = hub.close_keys()
    for name, site in sites.items():
        hub.add_shares(timed(name, lambda site=site: site.share(given)))
    shares = hub.close_shares()
    hub_s = 0.0
    for name, site in sites.items():
        numbers = timed(name, lambda: ring.encoded(update))
        envelope = timed(name, lambda site=site, numbers=numbers: site.mask(shares, numbers))
        sent[name] += numbers.nbytes
        began = time.process_time()
        hub.add_masked(envelope, numbers)
        hub_s += time.process_time() - began
    survivors = hub.close_masked()
    for name, site in sites.items():
        hub.add_survivors(timed(name, lambda site=site: site.confirm(survivors)))
    signed = hub.close_survivors()
    for name, site in sites.items():
        hub.add_unmasking(timed(name, lambda site=site: site.unmask(signed)))
    began = time.process_time()
    found = ring.decoded(hub.total())
    hub_s += time.process_time() - began
    assert np.abs(found - SITES * update.astype(np.float64)).max() <= SITES / 2**21
    return {"site_s": spent["site-0"], "hub_s": hub_s, "bytes_ratio": sent["site-0"] / (4 * length)}


def _adding_s(length: int) -> float:
    arrays = [np.ones(length, "<u4") for _ in range(SITES)]
    began = time.process_time()
    for array in arrays[1:]:
        arrays[0] += array
    return time.process_time() - began


def measure() -> dict[str, object]:
    """Return the figures (medians), the goals, and whether they are met."""
    figures: dict[str, Any] = {"sites": SITES}
    for name, length in SIZES.items():
        runs = sorted((attempt(length) for _ in range(ROUNDS)), key=lambda run: run["site_s"])
        middle = runs[len(runs) // 2]
        figures[name] = {key: round(value, 5) for key, value in middle.items()}
        figures[name]["adding_s"] = round(_adding_s(length), 5)
    goals = {f"{name}.site_s": f"<= {goal}" for name, goal in GOALS_S.items()} | {
        "bytes_ratio": f"<= {BYTES_RATIO}"
    }
    met = {f"{name}.site_s": figures[name]["site_s"] <= goal for name, goal in GOALS_S.items()}
    met["bytes_ratio"] = all(figures[name]["bytes_ratio"] <= BYTES_RATIO for name in SIZES)
    figures["model_review"] = reviewed = model_review.measure()
    goals["model_review.ms_per_mb"] = f"<= {model_review.GOAL_MS_PER_MB:g}"
    met["model_review.ms_per_mb"] = all(
        each["ms_per_mb"] <= model_review.GOAL_MS_PER_MB for each in reviewed.values()
    )
    figures["noisy_steps"] = noisy = noisy_steps.measure()
    goals["noisy_steps.ratio"] = f"<= {noisy_steps.GOAL_RATIO:g}"
    met["noisy_steps.ratio"] = all(each["ratio"] <= noisy_steps.GOAL_RATIO for each in noisy.values())
    figures["masked_rounds"] = masked = masked_rounds.measure()
    goals["masked_rounds.ratio"] = f"<= {masked_rounds.GOAL_RATIO:g}"
    met["masked_rounds.ratio"] = masked["ratio"] <= masked_rounds.GOAL_RATIO
    return {"figures": figures, "goals": goals, "met": met}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    print(json.dumps(measure(), indent=None if given.json else 2))
