"""What of the series that an analysis left out may leave: counts by reason, and the rows of reasons that are told.

With a smallest count of subjects k:

1. A reason of at least k subjects is told, with its series and subjects, and its rows leave.
2. All other reasons are told as one, without their words, and their rows stay.
3. Whoever knows how many series there were in all works out what is told as one. So that is never one reason alone
   beside others that are told, nor of fewer than k subjects: the smallest told reasons join it until that holds. Where
   there are none left to join, only that there was something is told.

Source: Hundepool et al., Statistical Disclosure Control (2012), section 4.3 (recoding) and 4.4 (secondary suppression).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.exclusions import OTHER_REASONS, Exclusion
from fairbank.release.tables import TableRules

OK: Final = "ok"
Row = Mapping[str, Any]


def told_exclusions(
    rows: Iterable[Row], subject_of: Mapping[str, str], rules: TableRules
) -> tuple[Exclusion, ...]:
    """Return what may be told of the rows that say why something was not measured, in the order of the reasons.

    Args:
        rows: with the columns `row`, `status` and `reason`.
        subject_of: the subject of each `row`, by the node's own knowledge.

    >>> rows = [{"row": f"s{i}", "status": "impossible", "reason": "too_thick"} for i in range(12)]
    >>> [str(each.subjects) for each in told_exclusions(rows, {f"s{i}": f"p{i}" for i in range(12)}, TableRules(10))]
    ['12']
    """
    series: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["status"] != OK:
            series[str(row["reason"] or OTHER_REASONS)].add(str(row["row"]))
    subjects = {reason: frozenset(subject_of[one] for one in each) for reason, each in series.items()}
    hidden = _withheld(subjects, rules.k)
    told = [
        Exclusion(
            reason=reason,
            series=Count.exact(rules.told(len(series[reason]))),
            subjects=Count.exact(rules.told(len(subjects[reason]))),
        )
        for reason in sorted(series.keys() - hidden)
    ]
    return (*told, *_together(series, subjects, hidden, rules))


def may_leave(row: Row, told: Iterable[Exclusion], rules: TableRules) -> bool:
    """Tell whether a row leaves: one that was not measured, only with a reason that is told.

    A site that rounds its counts keeps all of them, because who counts rows counts exactly.
    """
    if row["status"] == OK:
        return True
    return rules.base == 1 and row.get("reason") in {
        each.reason for each in told if each.reason != OTHER_REASONS
    }


def faults(told: object, rows: Sequence[Row], words: Iterable[str], *, k: int, base: int) -> list[str]:
    """Return why exclusions, or rows beside them, may not leave; judged by what leaves alone.

    Args:
        told: as it was parsed from JSON; None if nothing is told.
        words: the reasons that the tool's contract has.
    """
    try:
        exclusions = [Exclusion.model_validate(each) for each in _listed(told)]
    except (ValidationError, TypeError):
        return ["What was left out is not told by reasons and counts."]
    reasons = [each.reason for each in exclusions]
    if not set(reasons) <= {*words, OTHER_REASONS} or len(set(reasons)) != len(reasons):
        return ["What was left out is told by other words than the approved code declares."]
    for each in exclusions:
        counts = (each.series, each.subjects)
        if all(count.kind is CountKind.BELOW_K for count in counts):
            if len(exclusions) > 1 or each.reason != OTHER_REASONS:
                return ["A reason of few subjects is told beside others, so that the total would tell it."]
        elif any(count.kind is not CountKind.EXACT or count.at_least < k for count in counts):
            return [f"A reason for leaving out is told of fewer than {k} subjects."]
        elif any(count.at_least % base for count in counts):
            return ["A count of what was left out is not rounded as this site asks."]
    rules = TableRules(k, base=base)
    if any("status" in row and not may_leave(row, exclusions, rules) for row in rows):
        return ["A row says why something was left out, for a reason that is not told."]
    return []


def _withheld(subjects: Mapping[str, frozenset[str]], k: int) -> frozenset[str]:
    hidden = {reason for reason, of in subjects.items() if len(of) < k or reason == OTHER_REASONS}
    shown = sorted(subjects.keys() - hidden, key=lambda reason: (len(subjects[reason]), reason))
    while hidden and shown and (len(hidden) < 2 or len(_union(subjects, hidden)) < k):
        hidden.add(shown.pop(0))
    return frozenset(hidden)


def _together(
    series: Mapping[str, set[str]],
    subjects: Mapping[str, frozenset[str]],
    hidden: frozenset[str],
    rules: TableRules,
) -> tuple[Exclusion, ...]:
    if not hidden:
        return ()
    of = _union(subjects, hidden)
    if len(of) < rules.k:
        few = Count.below(rules.k)
        return (Exclusion(reason=OTHER_REASONS, series=few, subjects=few),)
    together = len(set().union(*(series[reason] for reason in hidden)))
    return (
        Exclusion(
            reason=OTHER_REASONS,
            series=Count.exact(rules.told(together)),
            subjects=Count.exact(rules.told(len(of))),
        ),
    )


def _union(subjects: Mapping[str, frozenset[str]], reasons: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*(subjects[reason] for reason in reasons))


def _listed(told: object) -> list[Any]:
    if told is None:
        return []
    if not isinstance(told, list):
        raise TypeError("no list")
    return told
