"""What the node knows of a project's series, for the assessment of risk: facts, index and clinical variables."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.database import reading
from fairbank.deid.identity import checked_project
from fairbank.deid.risk import UNKNOWN, Row
from fairbank.deid.risk_rows import rows_of_facts
from fairbank.harvest.clinical.store import VariableRow
from fairbank.harvest.states import State
from fairbank.harvest.store import SeriesRow
from fairbank.release.node import Node

_COLUMNS = {
    "age-band": SeriesRow.age_band,
    "sex": SeriesRow.sex,
    "body-region": SeriesRow.body_part,
    "modality": SeriesRow.modality,
    "manufacturer": SeriesRow.manufacturer,
    "model": SeriesRow.model,
    "contrast": SeriesRow.contrast,
    "study-year": SeriesRow.acquisition_year,
}


def rows_of_project(node: Node, project: str) -> list[Row]:
    """Return one row per series of a project that is not gone.

    The index is asked first, the facts where it says nothing. Clinical variables are properties of their own names.
    """
    checked_project(project)
    with reading(node.engine) as session:
        facts = rows_of_facts(session, project)
        indexed = _of_index(session, project)
        variables: dict[str, dict[str, str]] = {}
        told = select(VariableRow.subject, VariableRow.variable, VariableRow.value)
        for subject, variable, value in session.execute(told.where(VariableRow.project == project)):
            variables.setdefault(subject, {})[variable] = value
    found = []
    for uid in sorted({*facts, *indexed}):
        known = [row for row in (facts.get(uid), indexed.get(uid)) if row is not None]
        subject = known[-1].subject
        values = variables.get(subject, {}) | {"site": node.name}
        for row in known:
            values |= row.values
        if subject:
            found.append(Row(subject, values))
    return found


def _of_index(session: Session, project: str) -> dict[str, Row]:
    query = select(SeriesRow.series_uid, SeriesRow.subject, *_COLUMNS.values()).where(
        SeriesRow.project == project, SeriesRow.state != State.TOMBSTONED.value
    )
    return {
        uid: Row(
            subject,
            {name: str(word) for name, word in zip(_COLUMNS, words, strict=True) if word and word != UNKNOWN},
        )
        for uid, subject, *words in session.execute(query)
    }
