"""The gate of consent: who of a project may be taken in, indexed and counted at a day. Everybody asks here.

Who takes images in knows subjects by consent key (`admitted`), who counts by pseudonym (`Gate.admits_row`); both are
worked out from the same statements, with the rules of `consent.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import ColumnElement, and_, bindparam, delete, false, func, insert, or_
from sqlalchemy import select as sql_select
from sqlalchemy.orm import InstrumentedAttribute, Session

from fairbank.deid.admitted import EVERYBODY, Admitted
from fairbank.deid.identity import IDENTITY_FILE, IdentityStore, KnownSubject
from fairbank.harvest.consent import (
    EVERY_PROJECT,
    ConsentStatus,
    LegalBasis,
    Standing,
    Statement,
    admits,
    newest,
    standing,
)
from fairbank.harvest.consent_purposes import covering, scope_of
from fairbank.harvest.consent_store import BasisRow, ConsentRow, RetentionRow, StandingRow
from fairbank.harvest.errors import NoLegalBasis, RetentionOver
from fairbank.harvest.store import SeriesRow
from fairbank.ontology.data_use_facts import Asked
from fairbank.release.node import Node

NONE = "none"
_CHUNK = 5000
_Values = tuple[str, date | None, date | None, str]
_BASES = BasisRow.metadata.tables[BasisRow.__tablename__]
_BASIS_OF = sql_select(_BASES.c.basis).where(_BASES.c.project == bindparam("project"))
_RETENTIONS = RetentionRow.metadata.tables[RetentionRow.__tablename__]
_ENDS = sql_select(func.min(_RETENTIONS.c.ends)).where(_RETENTIONS.c.project == bindparam("project"))
_STANDINGS = StandingRow.metadata.tables[StandingRow.__tablename__]
_SCOPES = sql_select(_STANDINGS.c.scope).where(_STANDINGS.c.project == bindparam("project")).distinct()
_OBJECTIONS = (ConsentStatus.REFUSED.value, ConsentStatus.WITHDRAWN.value)


@dataclass(frozen=True, slots=True)
class Gate:
    """What it takes to be counted in a project at a day.

    Attributes:
        ends: the first day on which the project's images may not be used any more; None: no end.
        scopes: the scopes of consent that the purpose asked for is within; None: no purpose was asked for.
    """

    project: str
    day: date
    basis: LegalBasis | None
    ends: date | None = None
    scopes: frozenset[str] | None = None

    @property
    def over(self) -> bool:
        """Tell whether the project's images have been kept as long as they may."""
        return self.ends is not None and self.day >= self.ends

    def admits(self, found: Standing) -> bool:
        """Return whether a subject of this standing may be indexed and counted."""
        return not self.over and admits(self.basis, found)

    def admits_row(self) -> ColumnElement[bool]:
        """Return the condition that a row of `harvest_series` is of a subject who may be counted.

        A subject of whom nothing has been worked out is let through by no basis that honours objections.
        """
        of_project = SeriesRow.project == self.project
        if self.over:
            return and_(of_project, false())
        if self.basis is not None and not self.basis.honours_objection:
            return of_project
        said = sql_select(StandingRow.subject).where(StandingRow.project == self.project)
        if self.basis is None:
            said = said.where(
                StandingRow.status == ConsentStatus.GIVEN.value,
                StandingRow.valid_from <= self.day,
                or_(StandingRow.valid_until.is_(None), StandingRow.valid_until > self.day),
            )
        else:
            said = said.where(StandingRow.status.not_in(_OBJECTIONS))
        if self.scopes is not None:
            said = said.where(StandingRow.scope.in_(sorted({"", *self.scopes})))
        return and_(of_project, SeriesRow.subject.in_(said))


@contextmanager
def identity_of(node: Node) -> Iterator[IdentityStore]:
    """Open the node's identity store for the time of its use."""
    store = IdentityStore.open_or_create(node.settings.home / IDENTITY_FILE, clock=node.clock)
    try:
        yield store
    finally:
        store.close()


def day_of(moment: datetime) -> date:
    """Return the day of a moment, in UTC."""
    return moment.astimezone(UTC).date()


def gate(session: Session, project: str, *, at: datetime, asked: Asked | None = None) -> Gate:
    """Return what it takes to be counted in a project at a moment.

    Args:
        asked: for which purpose; without it consent is not compared with one, as where images are only counted.
    """
    session.flush()  # the plain statements below see only what has been written
    connection = session.connection()
    of = {"project": project}
    basis = connection.execute(_BASIS_OF, of).scalar()
    ends = connection.execute(_ENDS, of).scalar()
    scopes = None if asked is None else covering(connection.execute(_SCOPES, of).scalars(), asked)
    return Gate(project, day_of(at), None if basis is None else LegalBasis(basis), ends, scopes)


def admitted(session: Session, opened: Gate) -> Admitted:
    """Return whose images may be taken in, by consent key.

    Raises:
        RetentionOver: if the project's images have been kept as long as they may.
        NoLegalBasis: if the project has no basis and no statement covers it, so that nobody could come in.
    """
    if opened.over:
        raise RetentionOver(
            f"The images of the project {opened.project!r} may not be used any more.",
            why=f"They were to be kept until {opened.ends}, and that day has come.",
            todo="Delete them (fairbank node retention apply PROJECT), or correct the day if it is wrong.",
        )
    if opened.basis is not None and not opened.basis.honours_objection:
        return EVERYBODY
    found = _newest(session, opened.project)
    if opened.basis is not None:
        return Admitted(_keys(found, opened, admitted=False), named_only=False)
    if not found:
        raise NoLegalBasis(
            f"Nothing allows the images of the project {opened.project!r} to be used.",
            why="No consent that covers it was imported, and no other legal basis is recorded.",
            todo="Import the consents (fairbank node consent import FILE), "
            "or record the basis (fairbank node consent basis PROJECT WORD --note …).",
        )
    return Admitted(_keys(found, opened, admitted=True), named_only=True)


def standings(session: Session, identity: IdentityStore, opened: Gate) -> dict[str, Standing]:
    """Return how the subjects of a project stand, by pseudonym."""
    found = _newest(session, opened.project)
    return {
        known.pseudonym: standing(found.get(known.consent_key), opened.day)
        for known in identity.known_subjects(opened.project)
    }


def counted(session: Session, identity: IdentityStore, opened: Gate) -> Callable[[str], bool]:
    """Return what tells of a pseudonym whether its subject may be indexed and counted.

    A pseudonym that nobody has here, such as that of a subject who was withdrawn, is nobody's who agreed.
    """
    if opened.basis is not None and not opened.basis.honours_objection:
        return lambda pseudonym: not opened.over
    found = standings(session, identity, opened)
    may = frozenset(one for one, stands in found.items() if opened.admits(stands))
    return lambda pseudonym: pseudonym in may


def standing_of(session: Session, key: bytes, opened: Gate) -> Standing:
    """Return how one subject stands, by consent key; the node need not have seen the subject yet."""
    return standing(_newest(session, opened.project, [key]).get(key), opened.day)


def refresh(session: Session, identity: IdentityStore, project: str) -> None:
    """Work out anew which statement counts for each subject of a project."""
    found = _newest(session, project)
    wanted = {
        known.pseudonym: _values(found.get(known.consent_key)) for known in identity.known_subjects(project)
    }
    kept = _kept(session, project, None)
    _write(session, project, wanted, kept)
    _delete(session, project, [one for one in kept if one not in wanted])


def refresh_some(session: Session, project: str, subjects: Collection[KnownSubject]) -> None:
    """Work out anew which statement counts for some subjects of a project."""
    found = _newest(session, project, [known.consent_key for known in subjects])
    wanted = {known.pseudonym: _values(found.get(known.consent_key)) for known in subjects}
    _write(session, project, wanted, _kept(session, project, list(wanted)))


def statement_row(
    key: bytes, statement: Statement, *, form: str, data_use: Iterable[str], imported: datetime
) -> dict[str, object]:
    """Return a statement as it is kept, under the digest of all that it says."""
    said = {
        "consent_key": key.hex(),
        "project": statement.project,
        "status": statement.status.value,
        "valid_from": statement.valid_from,
        "valid_until": statement.valid_until,
        "recorded": statement.recorded,
        "form": form,
        "data_use": sorted(data_use),
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
    return {"id": digest, **said, "imported": imported}


def add_statements(session: Session, rows: Iterable[Mapping[str, object]]) -> int:
    """Add statements that are not there yet; return how many those are."""
    by_id = {str(row["id"]): dict(row) for row in rows}
    known = known_statements(session, by_id)
    new = [row for one, row in by_id.items() if one not in known]
    if new:
        session.execute(insert(ConsentRow), new)
    return len(new)


def known_statements(session: Session, ids: Iterable[str]) -> set[str]:
    """Return which of some ids are those of statements on record."""
    queries = [sql_select(ConsentRow.id).where(one) for one in _among(ConsentRow.id, list(ids))]
    return {one for query in queries for one in session.scalars(query)}


def _newest(session: Session, project: str, keys: Collection[bytes] | None = None) -> dict[bytes, Statement]:
    """Return the statement that counts for a project, by consent key."""
    columns = (
        ConsentRow.consent_key,
        ConsentRow.project,
        ConsentRow.status,
        ConsentRow.valid_from,
        ConsentRow.valid_until,
        ConsentRow.recorded,
        ConsentRow.data_use,
    )
    query = sql_select(*columns).where(ConsentRow.project.in_((project, EVERY_PROJECT)))
    queries = (
        [query]
        if keys is None
        else [query.where(one) for one in _among(ConsentRow.consent_key, [key.hex() for key in keys])]
    )
    said: dict[str, list[Statement]] = defaultdict(list)
    for one in queries:
        for held_under, of, status, begin, end, recorded, codes in session.execute(one):
            said[held_under].append(Statement(of, ConsentStatus(status), begin, end, recorded, tuple(codes)))
    found = {bytes.fromhex(held_under): newest(each, project) for held_under, each in said.items()}
    return {key: statement for key, statement in found.items() if statement is not None}


def _keys(found: Mapping[bytes, Statement], opened: Gate, *, admitted: bool) -> frozenset[bytes]:
    return frozenset(
        key for key, statement in found.items() if opened.admits(standing(statement, opened.day)) is admitted
    )


def _kept(session: Session, project: str, subjects: list[str] | None) -> dict[str, _Values]:
    query = sql_select(
        StandingRow.subject,
        StandingRow.status,
        StandingRow.valid_from,
        StandingRow.valid_until,
        StandingRow.scope,
    )
    query = query.where(StandingRow.project == project)
    queries = (
        [query] if subjects is None else [query.where(one) for one in _among(StandingRow.subject, subjects)]
    )
    return {row[0]: (row[1], row[2], row[3], row[4]) for one in queries for row in session.execute(one)}


def _write(
    session: Session, project: str, wanted: Mapping[str, _Values], kept: Mapping[str, _Values]
) -> None:
    changed = [one for one, values in wanted.items() if kept.get(one) != values]
    _delete(session, project, [one for one in changed if one in kept])
    if changed:
        rows = []
        for one in changed:
            status, begin, end, scope = wanted[one]
            rows.append(
                {
                    "project": project,
                    "subject": one,
                    "status": status,
                    "valid_from": begin,
                    "valid_until": end,
                    "scope": scope,
                }
            )
        session.execute(insert(StandingRow), rows)


def _among(column: InstrumentedAttribute[str], values: list[str]) -> Iterator[ColumnElement[bool]]:
    """Yield conditions that a column has one of many values, each short enough for any database."""
    for start in range(0, len(values), _CHUNK):
        yield column.in_(values[start : start + _CHUNK])


def _values(statement: Statement | None) -> _Values:
    if statement is None:
        return (NONE, None, None, "")
    return (
        statement.status.value,
        statement.valid_from or statement.recorded,
        statement.valid_until,
        scope_of(statement.data_use) if statement.status is ConsentStatus.GIVEN else "",
    )


def _delete(session: Session, project: str, subjects: list[str]) -> None:
    if subjects:
        table = StandingRow.__table__
        session.connection().execute(
            delete(StandingRow).where(table.c.project == project, table.c.subject == bindparam("one")),
            [{"one": subject} for subject in subjects],
        )
