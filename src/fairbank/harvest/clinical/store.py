"""The tables of clinical variables at the node: what there is, and each subject's codes and bands. No identifier."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from fairbank.database import NodeBase
from fairbank.ontology.counts import Count
from fairbank.ontology.variables import Variable

_BATCH = 1000


class VariableDefinitionRow(NodeBase):
    """A variable of a project, as the mapping of its source defines it."""

    __tablename__ = "harvest_variable_definitions"

    project: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    place: Mapped[int]
    source: Mapped[str]
    definition: Mapped[dict[str, Any]]
    mapping: Mapped[str]
    run: Mapped[str]


class VariableRow(NodeBase):
    """The code or band of one variable of one subject; the subject is a pseudonym."""

    __tablename__ = "harvest_variables"

    project: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    variable: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    source: Mapped[str]
    run: Mapped[str]


@dataclass(frozen=True, slots=True)
class Written:
    """How many values a run has added, changed, found as they were, and removed."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0


Values = Mapping[tuple[str, str], str]
Whole = Collection[str] | None


def definitions(session: Session, project: str) -> Sequence[VariableDefinitionRow]:
    """Return the variables of a project, in the order of their mappings."""
    row = VariableDefinitionRow
    return session.scalars(select(row).where(row.project == project).order_by(row.source, row.place)).all()


def define(
    session: Session, project: str, *, source: str, variables: Sequence[Variable], mapping: str, run: str
) -> None:
    """Keep the variables of a source; what it defined before and does no longer goes, with its values."""
    names = [variable.name for variable in variables]
    for row in definitions(session, project):
        if row.source == source and row.name not in names:
            session.delete(row)
            session.execute(
                delete(VariableRow).where(VariableRow.project == project, VariableRow.variable == row.name)
            )
    for place, variable in enumerate(variables):
        said = variable.model_dump(mode="json", exclude={"subjects"}, exclude_none=True)
        session.merge(
            VariableDefinitionRow(
                project=project,
                name=variable.name,
                place=place,
                source=source,
                definition=said,
                mapping=mapping,
                run=run,
            )
        )


def compared(session: Session, project: str, *, source: str, values: Values, whole: Whole) -> Written:
    """Return what writing some values would do; see `write`."""
    held = _held(session, project, source)
    return _difference(held, values, gone=_gone(held, values, whole))


def write(session: Session, project: str, *, source: str, values: Values, whole: Whole, run: str) -> Written:
    """Keep values by (subject, variable) of a source.

    Args:
        whole: the subjects of whom these are all values that the source has, so that others go; None for everyone.
    """
    held = _held(session, project, source)
    gone = _gone(held, values, whole)
    for subject, names in _by_subject(gone).items():
        session.execute(
            delete(VariableRow).where(
                VariableRow.project == project,
                VariableRow.subject == subject,
                VariableRow.variable.in_(names),
            )
        )
    fresh = [key for key in values if key not in held]
    for start in range(0, len(fresh), _BATCH):
        rows = [
            {
                "project": project,
                "subject": subject,
                "variable": variable,
                "value": values[subject, variable],
                "source": source,
                "run": run,
            }
            for subject, variable in fresh[start : start + _BATCH]
        ]
        session.execute(insert(VariableRow), rows)
    for key, value in values.items():
        if key in held and held[key] != value:
            row = session.get_one(VariableRow, (project, *key))
            row.value, row.run = value, run
    return _difference(held, values, gone=gone)


def variables_of(session: Session, project: str) -> dict[str, list[str]]:
    """Return of which variables each subject of a project has a value, whether its images are there or not."""
    found: dict[str, list[str]] = {}
    query = select(VariableRow.variable, VariableRow.subject).where(VariableRow.project == project)
    for variable, subject in session.execute(query.execution_options(yield_per=10_000)):
        found.setdefault(subject, []).append(variable)
    return found


def variables(session: Session, project: str, subjects: Mapping[str, int]) -> tuple[Variable, ...]:
    """Return the variables of a project that anybody has, each with on how many subjects: exact counts.

    Args:
        subjects: how many subjects have a value, by the variable's name.
    """
    return tuple(
        _read(row.definition, subjects[row.name])
        for row in definitions(session, project)
        if subjects.get(row.name)
    )


def totals(session: Session, project: str) -> dict[str, int]:
    """Return of how many subjects of a project each variable is known, whether their images are there or not."""
    query = select(VariableRow.variable, func.count()).where(VariableRow.project == project)
    return {row[0]: row[1] for row in session.execute(query.group_by(VariableRow.variable))}


def _held(session: Session, project: str, source: str) -> dict[tuple[str, str], str]:
    query = select(VariableRow.subject, VariableRow.variable, VariableRow.value).where(
        VariableRow.project == project, VariableRow.source == source
    )
    return {(subject, variable): value for subject, variable, value in session.execute(query)}


def _gone(held: Values, values: Values, whole: Whole) -> list[tuple[str, str]]:
    return [key for key in held if key not in values and (whole is None or key[0] in whole)]


def _by_subject(keys: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for subject, variable in keys:
        found.setdefault(subject, []).append(variable)
    return found


def _difference(held: Values, values: Values, *, gone: Collection[tuple[str, str]]) -> Written:
    same = sum(held.get(key) == value for key, value in values.items())
    known = sum(key in held for key in values)
    return Written(added=len(values) - known, changed=known - same, unchanged=same, removed=len(gone))


def _read(definition: dict[str, Any], subjects: int) -> Variable:
    said = definition | {"subjects": Count.exact(subjects).model_dump(mode="json", exclude_none=True)}
    return Variable.model_validate_json(json.dumps(said))
