"""The breast cancer data of scikit-learn as three sites that differ, and a made-up follow-up of its subjects.

Breast Cancer Wisconsin (Diagnostic), W. H. Wolberg, W. N. Street, O. L. Mangasarian, 1995, UCI Machine Learning
Repository; scikit-learn brings it (`sklearn.datasets.load_breast_cancer`).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbank.analysis.statistics.hub_part import combine
from fairbank.analysis.statistics.question import Question
from fairbank.analysis.statistics.site_part import shapes, site_sums
from fairbank.analysis.statistics.site_table import SiteTable
from fairbank.analysis.statistics.sums import read_sums
from fairbank.release.tables import TableRules

MEASURES = ("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave_points",
            "symmetry", "fractal_dimension")  # fmt: skip
COLUMNS = (*MEASURES, *(f"{name}_error" for name in MEASURES), *(f"worst_{name}" for name in MEASURES))
DIAGNOSES = ("malignant", "benign")
HALVES = ("small", "large")
LIMITS = TableRules(k=5)


@cache
def pooled() -> SiteTable:
    """Return all 569 subjects in one table, which no site has."""
    from sklearn.datasets import load_breast_cancer

    raw, benign = load_breast_cancer(return_X_y=True)
    numbers = {name: raw[:, place].copy() for place, name in enumerate(COLUMNS)}
    rng = np.random.default_rng(7)
    hazard = np.exp(0.8 * (numbers["texture"] - 19.3) / 4.3 - 0.5 * (numbers["smoothness"] - 0.096) / 0.014)
    time = rng.exponential(4.0 / hazard)
    numbers["followed"] = np.minimum(time, 5.0)
    numbers["died"] = (time < 5.0).astype(np.float64)
    words = {
        "diagnosis": [DIAGNOSES[int(each)] for each in benign],
        "size": [HALVES[int(each)] for each in raw[:, 3] > np.median(raw[:, 3])],
    }
    return SiteTable(numbers, words, {"diagnosis": DIAGNOSES, "size": HALVES}, len(raw))


@cache
def sites() -> dict[str, SiteTable]:
    """Return three sites of different size, each with another range of texture: by no means alike."""
    whole = pooled()
    order = np.argsort(whole.numbers["texture"] + np.linspace(0, 4, whole.subjects), kind="stable")
    parts = np.split(order, [270, 430])
    return {name: part(whole, rows) for name, rows in zip(("east", "north", "west"), parts, strict=True)}


def part(table: SiteTable, rows: NDArray[np.intp]) -> SiteTable:
    """Return some subjects of a table."""
    return replace(
        table,
        numbers={name: values[rows] for name, values in table.numbers.items()},
        words={name: [values[row] for row in rows] for name, values in table.words.items()},
        subjects=len(rows),
    )


def ask(**parts: Any) -> Question:
    """Return a question; numbers of its edges may be given as texts."""
    for name in ("edges", "probabilities"):
        if name in parts:
            parts[name] = tuple(Decimal(str(each)) for each in parts[name])
    return Question.model_validate({**parts, "statistic": parts["statistic"]}, strict=False)


def federated(
    question: Question, tables: dict[str, SiteTable], *, limits: TableRules = LIMITS, rounds: int = 40
) -> dict[str, Any]:
    """Return the result of a statistic over sites: only what would leave passes between the two parts."""
    message = None
    for number in range(1, rounds + 1):
        told = {
            name: read_sums(
                site_sums(question, table, message, limits).to_json(question, number, limits),
                question,
                shapes(question),
            )
            for name, table in tables.items()
        }
        outcome = combine(question, told, message, number=number, last=number == rounds)
        if outcome.result is not None:
            return outcome.result
        message = outcome.message
    raise AssertionError("the last round brought no result")
