"""Metrics of a model by sex, age band and maker at the gate: which groups may be told, and that a table tells no more.

Each held-out subject is in one group of each kind; who is of no known group, or of several, is in a group so called.
The site's metrics over all held-out subjects leave beside the table, so each kind is a line whose total is known:

1. **Minimum.** A group of fewer than k subjects is withheld. What is worked out class by class (AUROC, sensitivity,
   specificity, F1) is withheld where any class has fewer than k subjects in the group, since the number of few cases
   follows from such shares.
2. **Complementary suppression.** Of each kind never one group alone is withheld, and what is withheld is together of at
   least k subjects, of each class too; the smallest told groups are withheld as well until that holds.
3. **Differencing.** Neither two told groups of different kinds, nor what follows from two of them, may differ by fewer
   than k subjects (`told_counts`).
4. **Rounding.** Numbers of subjects as the site rounds counts; values to three significant digits, or two if it does.

Source: Hundepool et al., Statistical Disclosure Control (2012), section 4.4 (secondary suppression).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbank.ontology.group_metrics import CLASSWISE, COLUMNS, HIGH, LOW, METRICS, SCHEMA, rows_in
from fairbank.release.rounding import smallest_count
from fairbank.release.tables import Mask, TableRules
from fairbank.release.told_counts import follows_few, mask_of


@dataclass(frozen=True, slots=True)
class Group:
    """The subjects of one group, by their places, and the metrics of a model on their images."""

    subjects: frozenset[int]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class GroupMetrics:
    """What the node knows of metrics by group that ask to leave; of it only a table of told groups leaves.

    Attributes:
        kinds: the groups of each kind by their words; each held-out subject is in one of each kind.
        classes: the subjects of each class, by their places; none where nothing is classified.
        words: the words that may stand for a group, by kind.
    """

    kinds: Mapping[str, Mapping[str, Group]]
    classes: tuple[frozenset[int], ...]
    words: Mapping[str, tuple[str, ...]]


def rows_of(found: GroupMetrics, rules: TableRules) -> list[dict[str, Any]]:
    """Return the rows that may be told, sorted by kind, group and metric.

    Args:
        rules: the site's own, with the smallest count that the manifest asks for if that is larger.
    """
    plain = told_groups(found, rules, classwise=False)
    strict = told_groups(found, rules, classwise=True) if found.classes else {}
    rows = []
    for kind in sorted(found.kinds):
        for word, group in sorted(found.kinds[kind].items()):
            for metric in METRICS:
                told = (strict if metric in CLASSWISE else plain).get(kind, ())
                if metric in group.metrics and word in told:
                    rows.append(_row(kind, word, group, metric, rules))
    return rows


def table(found: GroupMetrics, rules: TableRules, *, number: int) -> bytes:
    """Return the table of one round as it asks to leave; a table without rows is one too."""
    body = {"schema": SCHEMA, "round": number, "rows": rows_of(found, rules)}
    return json.dumps(body, sort_keys=True, allow_nan=False).encode()


def told_groups(found: GroupMetrics, rules: TableRules, *, classwise: bool) -> dict[str, tuple[str, ...]]:
    """Return the words of the groups that may be told, by kind.

    Args:
        classwise: of metrics that are worked out class by class.
    """
    least = smallest_count(rules.k, rules.base)
    classes = [mask_of(each) for each in found.classes if each] if classwise else []
    kinds = {kind: sorted(groups) for kind, groups in sorted(found.kinds.items())}
    masks = {
        (kind, word): _masks(found.kinds[kind][word].subjects, classes)
        for kind in kinds
        for word in kinds[kind]
    }
    hidden = {
        kind: np.array([min(_counts(masks[kind, word])) < least for word in words])
        for kind, words in kinds.items()
    }
    while True:
        for kind, words in kinds.items():
            counts = np.array([_counts(masks[kind, word]) for word in words], dtype=np.int64)
            hidden[kind] = _protected(counts, hidden[kind], least)
        clash = _clash(kinds, masks, hidden, least)
        if clash is None:
            return {
                kind: tuple(
                    word for word, is_hidden in zip(words, hidden[kind], strict=True) if not is_hidden
                )
                for kind, words in kinds.items()
            }
        kind, place = clash
        hidden[kind][place] = True


def faults(
    parsed: Any, found: GroupMetrics, rules: TableRules, *, number: int, is_word: Callable[[Any], bool]
) -> list[str]:
    """Return what in a table of metrics by group may not leave; nothing if it may.

    Args:
        parsed: the output, as JSON.
        number: round of the job.
        is_word: tells whether a value is a short word that looks like no identifier, date or path.
    """
    rows = rows_in(parsed, number=number)
    if rows is None:
        return ["The output is no table of metrics by group, or one of another round."]
    allowed = {(row["kind"], row["group"], row["metric"]): row for row in rows_of(found, rules)}
    for place, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or set(row) != set(COLUMNS):
            return [f"Row {place} has other columns than such a table has."]
        kind, word = row["kind"], row["group"]
        if not (is_word(kind) and is_word(word) and word in found.words.get(kind, ())):
            return [f"Row {place} names its group by other words than may leave."]
        if row["metric"] not in METRICS:
            return [f"Row {place} holds a number that is no metric."]
        if allowed.pop((kind, word, row["metric"]), None) != row:
            return [f"Row {place} tells what is withheld, or something else than was measured."]
    return []


def _row(kind: str, word: str, group: Group, metric: str, rules: TableRules) -> dict[str, Any]:
    low, high = group.metrics.get(metric + LOW), group.metrics.get(metric + HIGH)
    digits = 3 if rules.base == 1 else 2
    return {
        "kind": kind,
        "group": word,
        "n_subjects": rules.told(len(group.subjects)),
        "metric": metric,
        "value": _short(group.metrics[metric], digits),
        "low": None if low is None or high is None else _short(low, digits),
        "high": None if low is None or high is None else _short(high, digits),
    }


def _short(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _masks(subjects: frozenset[int], classes: Sequence[int]) -> tuple[int, ...]:
    """Return the subjects of a group as one whole number, and those of each class."""
    whole = mask_of(subjects)
    return (whole, *(whole & each for each in classes))


def _counts(masks: Sequence[int]) -> list[int]:
    return [mask.bit_count() for mask in masks]


def _protected(counts: NDArray[np.int64], hidden: Mask, least: int) -> Mask:
    """Withhold more groups, those of fewest subjects first, until the withheld ones protect each other.

    Args:
        counts: (n_groups, n_counts) subjects, and subjects of each class.
        hidden: (n_groups,) what is withheld already.
    """
    hidden = hidden.copy()
    while hidden.any() and not hidden.all():
        if int(hidden.sum()) > 1 and bool((counts[hidden].sum(axis=0) >= least).all()):
            break
        hidden[np.where(hidden, np.iinfo(np.int64).max, counts[:, 0]).argmin()] = True
    return hidden


def _clash(
    kinds: Mapping[str, Sequence[str]],
    masks: Mapping[tuple[str, str], tuple[int, ...]],
    hidden: Mapping[str, Mask],
    least: int,
) -> tuple[str, int] | None:
    """Return the first group that tells about few beside those before it and the whole; None if none does."""
    known: list[set[int]] = []
    for kind, words in kinds.items():
        if not known:
            whole = [0] * len(masks[kind, words[0]])
            for word in words:
                whole = [one | other for one, other in zip(whole, masks[kind, word], strict=True)]
            known = [{each} for each in whole]
        for place, word in enumerate(words):
            if hidden[kind][place]:
                continue
            mine = masks[kind, word]
            if any(follows_few(one, told, least) for one, told in zip(mine, known, strict=True)):
                return kind, place
            for one, told in zip(mine, known, strict=True):
                told.add(one)
    return None
