"""Survival in bins of time: Kaplan–Meier curves, and the log-rank test between groups."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from fairbank.analysis.statistics.counted import Finished
from fairbank.analysis.statistics.grouped import bin_names
from fairbank.analysis.statistics.question import Question
from fairbank.analysis.statistics.site_table import Numbers
from fairbank.analysis.statistics.sums import Told, added_up
from fairbank.analysis.statistics.tails import chi2_upper


def kaplan_meier(question: Question, sites: Mapping[str, Told]) -> Finished:
    """Return the part that is without event after each bin of time, by group, with Greenwood's standard error.

    Whoever leaves in a bin is at risk in it, so the curve is that of times rounded to their bin.

    Source: Kaplan & Meier, JASA 53 (1958), 457-481; Greenwood (1926); log-rank: Mantel, Cancer Chemotherapy Reports 50
    (1966), 163-170.
    """
    names = list(bin_names(np.array([float(edge) for edge in question.edges])))
    rows, counts = [], {}
    for group, (_, values) in added_up(sites).items():
        events, at_risk = values["events"], _at_risk(values)
        counts[group] = (events, at_risk)
        survival, spread = 1.0, 0.0
        for place, name in enumerate(names):
            r, d = float(at_risk[place]), float(events[place])
            if r > 0:
                survival *= 1.0 - d / r
                spread += d / (r * (r - d)) if r > d else math.inf
            error = survival * math.sqrt(spread) if survival > 0 else 0.0
            row = {"group": list(group), "time": name, "at_risk": int(r), "events": int(d)}
            rows.append({**row, "survival": survival, "standard_error": error})
    withheld = any(each.withheld for each in sites.values())
    totals: dict[str, object] = {
        "subjects": sum(n for n, _ in added_up(sites).values()),
        "at_least": withheld,
    }
    return rows, totals | (_log_rank(list(counts.values())) if len(counts) > 1 else {})


def _at_risk(values: Mapping[str, Numbers]) -> Numbers:
    left = values["events"] + values["censored"]
    at_risk: Numbers = np.cumsum(left[::-1])[::-1]
    return at_risk


def _log_rank(groups: list[tuple[Numbers, Numbers]]) -> dict[str, float | int]:
    """Return the log-rank test over groups of (events, at risk) per bin."""
    events, at_risk = (np.stack([group[part] for group in groups]) for part in (0, 1))
    all_events, everybody = events.sum(axis=0), at_risk.sum(axis=0)
    happened = (all_events > 0) & (everybody > 1)
    d, n = all_events[happened], everybody[happened]
    r = at_risk[:, happened]
    expected = r * d / n
    difference = (events[:, happened] - expected).sum(axis=1)
    factor = d * (n - d) / (n - 1)
    share = r / n
    covariance = np.diag((factor * share).sum(axis=1)) - (factor * share) @ share.T
    k = len(groups) - 1
    if k < 1 or float(np.linalg.matrix_rank(covariance[:k, :k])) < k:
        return {}
    chi2 = float(difference[:k] @ np.linalg.solve(covariance[:k, :k], difference[:k]))
    return {"log_rank_chi2": chi2, "df": k, "p": chi2_upper(chi2, k)}
