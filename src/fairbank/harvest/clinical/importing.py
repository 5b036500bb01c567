"""Importing: rows become codes and bands under pseudonyms; what does not fit is told by row and column.

The hospital number of a row is turned into a pseudonym by the identity store, in memory, and kept nowhere. Importing
the same again changes nothing. One bad row or cell never stops the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from fairbank.database import reading, writing
from fairbank.deid.admitted import Admitted
from fairbank.deid.errors import SubjectForgotten
from fairbank.deid.identity import IDENTITY_FILE, IdentityStore, checked_project
from fairbank.deid.pseudonyms import subject_value
from fairbank.harvest.clinical import store
from fairbank.harvest.clinical.identifying import is_free_text, values_identify
from fairbank.harvest.clinical.mapping import Mapping, Several
from fairbank.harvest.clinical.rows import Problem, Rows, SubjectRow
from fairbank.harvest.clinical.store import Written
from fairbank.harvest.clinical.table_rows import refused
from fairbank.harvest.clinical.values import CellFault, value_of
from fairbank.harvest.consents import admitted, gate
from fairbank.harvest.errors import VariableOfAnother
from fairbank.harvest.reports import RunKind, RunState
from fairbank.harvest.rows import SOFTWARE
from fairbank.harvest.store import ProgressRow, RunRow
from fairbank.ontology.variables import VariableKind
from fairbank.release.node import Node

# Under what name the progress of an import is remembered beside that of harvests.
CONTAINER = "clinical variables"
FULL_EVERY = timedelta(days=7)
_SHOWN_PROBLEMS = 1000
_SAMPLE = 2000


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or would do.

    Attributes:
        rows: how many rows there were.
        subjects: how many subjects of the project they are about.
        unknown: rows of subjects that the project does not know; they are not kept.
        withdrawn: rows of subjects that were withdrawn; they are not kept.
        no_consent: rows of subjects whom neither consent nor another legal basis covers; they are not kept.
        problems: the first of what was left out, in the order of the rows; `left_out` counts all by reason.
        ignored: numbers of the columns that no variable uses.
    """

    run: str
    rows: int
    subjects: int
    unknown: int
    withdrawn: int
    no_consent: int
    problems: tuple[Problem, ...]
    left_out: dict[str, int]
    written: Written
    ignored: tuple[int, ...]
    dry_run: bool

    def counts(self) -> dict[str, object]:
        """Return what is remembered of the run."""
        return {
            "rows": self.rows,
            "subjects": self.subjects,
            "unknown": self.unknown,
            "withdrawn": self.withdrawn,
            "no_consent": self.no_consent,
            "left_out": self.left_out,
            "added": self.written.added,
            "changed": self.written.changed,
            "unchanged": self.written.unchanged,
            "removed": self.written.removed,
        }


def import_variables(
    node: Node, project: str, mapping: Mapping, rows: Rows, *, dry_run: bool = False, take_in: bool = False
) -> ImportReport:
    """Read all rows and keep what they say of subjects of a project.

    Args:
        dry_run: keep nothing, and say what would be kept.
        take_in: keep also what is said of subjects that the project does not know yet.

    Raises:
        NoLegalBasis: if neither consent nor another basis covers anybody of the project.
        VariableOfAnother: if another source has a variable of this name in the project.
        IdentifyingColumn: if a column turns out to hold what identifies people.
        SourceUnreachable, SourceFailed: if the server goes away; nothing is kept then.
    """
    checked_project(project)
    _check_source(node, project, mapping)
    with reading(node.engine) as session:
        may = admitted(session, gate(session, project, at=node.clock.now()))
    with _identity(node) as identity:
        taken = _Taking(project, mapping, identity, may, take_in=take_in, dry_run=dry_run)
        for row in rows.rows():
            taken.row(row)
    taken.check_contents()
    run = node.clock.new_id()
    # A file of which nothing could be used says nothing about what there is no longer.
    whole = None if rows.complete and taken.values else taken.whole
    source = mapping.source
    if dry_run:
        with reading(node.engine) as session:
            written = store.compared(session, project, source=source, values=taken.values, whole=whole)
        return taken.report(run, written, rows, dry_run=True)
    variables = [rule.variable(name) for name, rule in mapping.variables.items()]
    started = node.clock.now()
    with writing(node.engine) as session:
        store.define(session, project, source=source, variables=variables, mapping=mapping.digest, run=run)
        written = store.write(session, project, source=source, values=taken.values, whole=whole, run=run)
        report = taken.report(run, written, rows, dry_run=False)
        _remember(session, project, mapping, rows, node.clock.now())
        session.add(
            RunRow(
                id=run,
                kind=RunKind.VARIABLES.value,
                source=source,
                source_kind=rows.kind,
                source_version=rows.version,
                container="",
                project=project,
                state=RunState.FINISHED.value,
                software=SOFTWARE,
                profile="",
                started=started,
                ended=node.clock.now(),
                counts=report.counts(),
            )
        )
    return report


@dataclass(slots=True, eq=False)
class _Taking:
    """Rows on their way to values."""

    project: str
    mapping: Mapping
    identity: IdentityStore
    may: Admitted
    take_in: bool
    dry_run: bool
    values: dict[tuple[str, str], str] = field(default_factory=dict)
    subjects: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    texts: dict[str, list[str]] = field(default_factory=dict)
    columns: dict[str, int] = field(default_factory=dict)
    news: dict[str, str] = field(default_factory=dict)

    def row(self, row: SubjectRow) -> None:
        self.seen["rows"] += 1
        for problem in row.problems:
            self._leave_out(problem)
        self._remember(row)
        if row.subject is None:
            return
        value = subject_value(row.subject.reveal(), self.mapping.subject.issuer)
        if not self.may.admits(self.identity.consent_key(value)):
            # Nobody who is turned away gets a pseudonym.
            self.seen["no-consent"] += 1
            return
        try:
            pseudonym = self._pseudonym(value)
        except SubjectForgotten:
            self.seen["withdrawn"] += 1
            return
        if pseudonym is None:
            self.seen["unknown"] += 1
            # A fault of a row is told whether the subject is known or not: the file is to be corrected once.
            self._values(row)
            return
        if row.whole:
            self.whole.add(pseudonym)
        if row.cells:
            self.subjects.add(pseudonym)
        for name, code in self._values(row).items():
            key = (pseudonym, name)
            if key not in self.values or self.mapping.variables[name].several is Several.LAST:
                self.values[key] = code

    def check_contents(self) -> None:
        """Refuse a column in which, by what stands there, people are named.

        Raises:
            IdentifyingColumn: if there is one.
        """
        for name, texts in self.texts.items():
            rule = self.mapping.variables[name]
            known = (*rule.values, *(word.casefold() for word in rule.values))
            is_text = rule.kind in (VariableKind.CODED, VariableKind.BOOLEAN)
            if values_identify(texts, dates=rule.is_date) or (is_text and is_free_text(texts, known)):
                raise refused(name, self.columns[name])

    def report(self, run: str, written: Written, rows: Rows, *, dry_run: bool) -> ImportReport:
        return ImportReport(
            run=run,
            rows=self.seen["rows"],
            subjects=len(self.subjects),
            unknown=self.seen["unknown"],
            withdrawn=self.seen["withdrawn"],
            no_consent=self.seen["no-consent"],
            problems=tuple(self.problems),
            left_out=dict(sorted(self.left_out.items())),
            written=written,
            ignored=tuple(rows.ignored),
            dry_run=dry_run,
        )

    def _pseudonym(self, value: str) -> str | None:
        known = self.identity.find(self.project, value)
        if known is not None or not self.take_in:
            return known
        if self.dry_run:
            # A rehearsal takes nobody in: the subject gets a number for its time.
            return self.news.setdefault(value, f"new-{len(self.news)}")
        return self.identity.subject(self.project, value).subject

    def _values(self, row: SubjectRow) -> dict[str, str]:
        found = {}
        for name, cell in row.cells.items():
            rule = self.mapping.variables[name]
            try:
                found[name] = value_of(rule, cell.text, reference=cell.reference, typed=cell.typed)
            except CellFault as fault:
                self._leave_out(Problem(row.number, cell.column, fault.fault))
        return found

    def _remember(self, row: SubjectRow) -> None:
        for name, cell in row.cells.items():
            texts = self.texts.setdefault(name, [])
            self.columns[name] = cell.column
            if len(texts) < _SAMPLE:
                texts.append(cell.text)

    def _leave_out(self, problem: Problem) -> None:
        self.left_out[problem.fault.value] += 1
        if len(self.problems) < _SHOWN_PROBLEMS:
            self.problems.append(problem)


def since(node: Node, project: str, mapping: Mapping) -> str:
    """Return the cursor of the import before, empty where everything is to be read.

    Everything is read after a change of the mapping, and once a week, because no server tells everything of itself.
    """
    with reading(node.engine) as session:
        progress = session.get(ProgressRow, (mapping.source, CONTAINER, project))
        known = [row.mapping for row in store.definitions(session, project) if row.source == mapping.source]
    if progress is None or progress.last_full is None or set(known) != {mapping.digest}:
        return ""
    return progress.cursor if node.clock.now() - progress.last_full < FULL_EVERY else ""


def _remember(session: Session, project: str, mapping: Mapping, rows: Rows, now: datetime) -> None:
    key = (mapping.source, CONTAINER, project)
    progress = session.get(ProgressRow, key)
    if progress is None:
        progress = ProgressRow(source=key[0], container=key[1], project=key[2], vanished=0)
        session.add(progress)
    progress.cursor = rows.cursor
    if rows.complete:
        progress.last_full = now


def _check_source(node: Node, project: str, mapping: Mapping) -> None:
    with reading(node.engine) as session:
        for row in store.definitions(session, project):
            if row.name in mapping.variables and row.source != mapping.source:
                raise VariableOfAnother(
                    f"The variable {row.name} of the project {project!r} comes from the source {row.source!r}.",
                    why="Two sources of one variable could contradict each other, and neither would be right.",
                    todo="Give it another name in this mapping, or take it out of the other.",
                )


@contextmanager
def _identity(node: Node) -> Iterator[IdentityStore]:
    identity = IdentityStore.open_or_create(node.settings.home / IDENTITY_FILE, clock=node.clock)
    try:
        yield identity
    finally:
        identity.close()
