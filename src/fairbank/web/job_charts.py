"""Curves of a training for pages: how the merged model, and each biobank's own, did after each round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fairbank.charts.figure import Figure
from fairbank.charts.rounds import RoundCurve, round_chart
from fairbank.federated_jobs.objectives import higher_is_better, newest, worst_site
from fairbank.federated_jobs.reports.words import metric_words
from fairbank.federated_jobs.training_record import TrainingRecord
from fairbank.web.languages import Tongue, mark

# Further metrics are in the report; a page has to stay readable.
_METRICS: Final = 2
_MERGED: Final = mark("The merged model: %(metric)s")
_OWN: Final = mark("Each biobank’s own model: %(metric)s")
_BETTER: Final = {
    True: mark("%(metric)s, more is better"),
    False: mark("%(metric)s, less is better"),
    None: mark("%(metric)s"),
}
_WORST: Final = mark("%(node)s (worst)")
_MEAN: Final = mark("mean of the biobanks")
_ROUND: Final = mark("round")


def curves(record: TrainingRecord, tongue: Tongue) -> tuple[Figure, ...]:
    """Return pictures of the first metrics that the biobanks told; a round without a value leaves a gap."""
    found = []
    for place, metric in enumerate(record.metrics()[:_METRICS]):
        pairs = ((_MERGED, record.merged_curve(metric), "m"), (_OWN, record.local_curve(metric), "o"))
        found += [
            _figure(told, metric, title, f"{letter}{place}", tongue) for title, told, letter in pairs if told
        ]
    return tuple(found)


def _figure(
    told: Mapping[str, Mapping[int, float]], metric: str, title: str, name: str, tongue: Tongue
) -> Figure:
    last = newest(told)
    worst = worst_site(last, metric) if len(last) > 1 else None
    words, better = metric_words(metric), higher_is_better(metric)
    lines = [
        RoundCurve(
            tongue.say(_WORST, node=node) if node == worst else node,
            tuple(sorted(curve.items())),
            marked=node == worst,
        )
        for node, curve in told.items()
    ]
    if len(told) > 1:
        common = sorted(set.intersection(*(set(curve) for curve in told.values())))
        mean = tuple((at, sum(curve[at] for curve in told.values()) / len(told)) for at in common)
        lines.append(RoundCurve(tongue.say(_MEAN), mean, mean=True))
    return round_chart(
        lines,
        title=tongue.say(title, metric=words),
        axis=tongue.say(_BETTER[better], metric=words),
        name=name,
        across=tongue.say(_ROUND),
        higher_is_better=better,
    )
