"""The hub's part of a statistic: from the sums of all sites to the message of the next round, or to the result.

    {"schema": "statistic-result/1", "statistic": "describe", "question": {…}, "rounds": 1,
     "sites": {"north": {"subjects": 41, "withheld": false}}, "rows": [{"group": […], "variable": …}], "totals": {…}}

`rows` is a flat table; `totals` says what is of the whole. Numbers are told in full; commands round for display.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairbank.analysis.statistics import counted, iterated, moments, survived
from fairbank.analysis.statistics.question import Kind, Question
from fairbank.analysis.statistics.sums import Told

RESULT = "statistic-result/1"
STATE = "statistic-state/1"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a round: exactly one of the two is there.

    Args:
        message: goes to the sites with the next round.
        result: the statistic.
    """

    message: dict[str, Any] | None = None
    result: dict[str, Any] | None = None


def combine(
    question: Question,
    told: Mapping[str, Told],
    message: Mapping[str, Any] | None,
    *,
    number: int,
    last: bool,
) -> Outcome:
    """Combine the sums of one round.

    Args:
        told: what each site told, by its name.
        message: what the round started from; None in the first round.
        number: of the round, from 1.
        last: whether the plan has no further round; a model that has not converged then says so.

    Raises:
        StatisticUndetermined: if the sums of all sites together do not determine the statistic.
    """
    sites = {name: told[name] for name in sorted(told)}
    kind = question.statistic
    if kind in (Kind.LOGISTIC, Kind.COX):
        following, rows, totals = iterated.step(question, sites, message, last=last)
        if following is not None:
            return Outcome(message={"schema": STATE, **following})
    else:
        rows, totals = _FINISH[kind](question, sites)
    return Outcome(result=_result(question, sites, rows, totals, number))


def to_csv(result: Mapping[str, Any]) -> str:
    """Return the rows of a result as CSV (RFC 4180), numbers with six significant digits, for display."""
    rows = [_flat(row) for row in result["rows"]]
    header = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, header, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= {f"{name} {key}": _shown(each) for key, each in value.items()}
        elif isinstance(value, list):
            flat[name] = " / ".join(" ".join(each) if isinstance(each, list) else str(each) for each in value)
        else:
            flat[name] = _shown(value)
    return flat


def _shown(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _result(
    question: Question,
    sites: Mapping[str, Told],
    rows: list[dict[str, Any]],
    totals: dict[str, Any],
    number: int,
) -> dict[str, Any]:
    return {
        "schema": RESULT,
        "statistic": question.statistic.value,
        "question": question.model_dump(mode="json"),
        "rounds": number,
        "sites": {
            name: {"subjects": each.subjects, "withheld": each.withheld} for name, each in sites.items()
        },
        "rows": rows,
        "totals": totals,
    }


_FINISH = {
    Kind.COUNT: counted.counts,
    Kind.CONTINGENCY: counted.contingency,
    Kind.HISTOGRAM: counted.counts,
    Kind.QUANTILES: counted.quantiles,
    Kind.DESCRIBE: moments.describe,
    Kind.T_TEST: moments.t_test,
    Kind.ANOVA: moments.anova,
    Kind.LINEAR: moments.linear,
    Kind.PCA: moments.pca,
    Kind.COMBAT: moments.combat,
    Kind.KAPLAN_MEIER: survived.kaplan_meier,
}
