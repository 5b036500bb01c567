"""The table of a model's metrics by sex, age band and maker, as a site sends it: its columns, its metrics, its form."""

from __future__ import annotations

import json
import math
from typing import Any, Final

SCHEMA: Final = "metrics-by-group/1"
COLUMNS: Final = ("kind", "group", "n_subjects", "metric", "value", "low", "high")
# What is a share of a class, or compares classes.
CLASSWISE: Final = ("auroc", "f_one", "sensitivity", "specificity")
METRICS: Final = (
    "accuracy",
    *CLASSWISE,
    "dice",
    "hausdorff_mm",
    "jaccard",
    "mae",
    "r_squared",
    "rmse",
    "surface_mm",
)
LOW, HIGH = "_low", "_high"
# How the names of metrics of a site's own model begin.
PERSONAL: Final = "personal_"
_PARTS: Final = {"schema", "round", "rows"}
_LARGEST_TABLE: Final = 5_000


def is_classwise(metric: str) -> bool:
    """Tell whether a metric, or an end of its interval, is worked out class by class.

    >>> is_classwise("auroc_low"), is_classwise("personal_f_one"), is_classwise("accuracy")
    (True, True, False)
    """
    return metric.removeprefix(PERSONAL).removesuffix(LOW).removesuffix(HIGH) in CLASSWISE


def read_table(body: bytes, *, number: int) -> list[dict[str, Any]]:
    """Return the rows of a table that a site sent.

    Args:
        number: the round that it must be of.

    Raises:
        ValueError: if it is none, or of another round.
    """
    rows = rows_in(json.loads(body), number=number)
    if rows is None or not all(_is_row(row) for row in rows):
        raise ValueError("no table of metrics by group, or one of another round")
    return rows


def rows_in(parsed: Any, *, number: int) -> list[Any] | None:
    """Return the rows of a table of one round, whatever they hold; None if it is none."""
    if not isinstance(parsed, dict) or set(parsed) != _PARTS or parsed["schema"] != SCHEMA:
        return None
    rows = parsed["rows"]
    if parsed["round"] != number or not isinstance(rows, list) or len(rows) > _LARGEST_TABLE:
        return None
    return rows


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or set(row) != set(COLUMNS) or row["metric"] not in METRICS:
        return False
    if not all(isinstance(row[name], str) and 0 < len(row[name]) <= 60 for name in ("kind", "group")):
        return False
    if type(row["n_subjects"]) is not int or row["n_subjects"] < 0 or not _is_number(row["value"]):
        return False
    return all(row[name] is None or _is_number(row[name]) for name in ("low", "high"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
