"""Clinical variables as columns of a statistic: what this site's own mapping keeps of each subject of a cohort.

The values are those that the mapping keeps: codes, bands, years. As a word, a value is its code or band; as a number, a
year is itself and a band its lower edge, which puts a time into the right bin where the bins have the bands' edges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.analysis.contract import Column, ColumnType, number_column
from fairbank.analysis.statistics_tool import CLINICAL, StatisticsParameters
from fairbank.database import reading
from fairbank.errors import FairbankError
from fairbank.federated_jobs.node.cohort import Member
from fairbank.release.node import Node

_BAND = re.compile(r"(?P<below><)?(?:>=)?(?P<edge>\d+(?:\.\d+)?)(?:-\d+(?:\.\d+)?|\+)?")


def clinical_columns(
    node: Node,
    members: Sequence[Member],
    question: StatisticsParameters,
    *,
    into: dict[str, dict[str, str | float]],
) -> list[Column]:
    """Return the clinical columns that a question names and this site has, and write each subject's values down.

    Args:
        into: values by subject and column; numbers under the column's name and a `#`.
    """
    named = {name.partition("=")[0] for name in (*question.columns, *question.groups)}
    wanted = {name for name in named if name.startswith(CLINICAL)}
    words: dict[str, dict[str, None]] = {}
    if not wanted:
        return []
    subjects = {member.subject for member in members}
    with reading(node.engine) as session:
        for project in _projects(session, {member.dataset for member in members}):
            for column, variable, codes in _variables(session, project, wanted):
                words.setdefault(column, {}).update(dict.fromkeys(codes))
                for subject, value in _values(session, project, variable):
                    if subject in subjects:
                        words[column].setdefault(value)
                        _take(into.setdefault(subject, {}), column, value)
    texts = [Column(name, ColumnType.WORD, None, "", tuple(each)) for name, each in sorted(words.items())]
    return [*texts, *(number_column(name, None, "") for name in sorted(words))]


def clinical_words(node: Node, members: Sequence[Member], column: str) -> dict[str, str]:
    """Return what this site's mapping keeps of one clinical column, by subject; nothing if it has no such variable."""
    subjects = {member.subject for member in members}
    found: dict[str, str] = {}
    with reading(node.engine) as session:
        for project in _projects(session, {member.dataset for member in members}):
            for _, variable, _ in _variables(session, project, {column}):
                values = _values(session, project, variable)
                found |= {subject: value for subject, value in values if subject in subjects}
    return found


def as_number(value: str) -> float | None:
    """Return a year or the lower edge of a band; just below its only edge for the first band, None for a word.

    >>> as_number("1998"), as_number("0.7-1.2"), as_number(">=1.2"), as_number("<0.7"), as_number("C61")
    (1998.0, 0.7, 1.2, -0.30000000000000004, None)
    """
    found = _BAND.fullmatch(value)
    if found is None:
        return None
    edge = float(found["edge"])
    return edge - 1.0 if found["below"] else edge


def _take(known: dict[str, str | float], column: str, value: str) -> None:
    known[column] = value
    number = as_number(value)
    if number is not None:
        known[f"{column}#"] = number


def _projects(session: Session, datasets: set[str]) -> list[str]:
    from fairbank.harvest.datasets import dataset_of

    found = set()
    for dataset in datasets:
        try:
            found.add(dataset_of(session, dataset).project)
        except FairbankError:
            # A cohort may come from another source than the index; it has no clinical variables then.
            continue
    return sorted(found)


def _variables(session: Session, project: str, wanted: set[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield column, variable and the codes that the variable can have, of those that are wanted."""
    from fairbank.harvest.clinical.store import definitions

    for row in definitions(session, project):
        column = CLINICAL + row.name.replace("-", "_")
        if column in wanted:
            yield column, row.name, [str(value["code"]) for value in row.definition.get("values", ())]


def _values(session: Session, project: str, variable: str) -> list[tuple[str, str]]:
    from fairbank.harvest.clinical.store import VariableRow

    query = select(VariableRow.subject, VariableRow.value).where(
        VariableRow.project == project, VariableRow.variable == variable
    )
    return [(subject, value) for subject, value in session.execute(query)]
