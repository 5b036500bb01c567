"""Importing consents into a node: page by page, each whole or not at all, and the same file as often as one likes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.audit import NodeAudit
from fairbank.database import one_writer_at_a_time, reading, writing
from fairbank.deid.identity import IdentityStore
from fairbank.harvest.consent import EVERY_PROJECT
from fairbank.harvest.consent_table import ConsentLine, RowFault
from fairbank.harvest.consents import (
    add_statements,
    gate,
    identity_of,
    known_statements,
    refresh_some,
    statement_row,
)
from fairbank.harvest.index import close_to
from fairbank.release.node import Node

PAGE = 5000


@dataclass(frozen=True, slots=True)
class ConsentImport:
    """What came of a file of consents.

    Attributes:
        rows: rows that were understood.
        statuses: how many of them say what.
        new: statements that were not on record; a row has one for each project that it names.
        known: statements that were.
        here: subjects of the file whom this node has taken in.
        elsewhere: subjects of whom it has seen nothing.
        series_out: series that left the index because of it.
        faults: rows that were left out.
        rehearsed: whether nothing was written.
    """

    rows: int
    statuses: dict[str, int]
    new: int
    known: int
    here: int
    elsewhere: int
    series_out: int
    faults: tuple[RowFault, ...]
    rehearsed: bool


def import_consents(
    node: Node,
    lines: Iterable[ConsentLine | RowFault],
    *,
    by: str,
    dry_run: bool = False,
    page: int = PAGE,
    progress: Callable[[int], None] | None = None,
) -> ConsentImport:
    """Put the statements of a table on record, and apply them to the index at once.

    Rows with a fault are left out and reported; the others are imported.

    Args:
        by: who imports, as a name of the site's own.
        dry_run: say what would come of it, and write nothing.
        progress: called with the number of rows done after each page that is on the disk.
    """
    with identity_of(node) as identity:
        return _Import(node, identity, by, dry_run).all_pages(iter(lines), page, progress)


class _Import:
    """One import under way."""

    def __init__(self, node: Node, identity: IdentityStore, by: str, dry_run: bool) -> None:
        self._node, self._identity, self._by, self._dry_run = node, identity, by, dry_run
        # Hashing every subject once, and not once a page.
        self._subjects_of = {
            project: {known.consent_key: known for known in identity.known_subjects(project)}
            for project in identity.projects()
        }
        self._faults: list[RowFault] = []
        self._statuses: Counter[str] = Counter()
        self._subjects: set[bytes] = set()
        self._touched: set[str] = set()
        self._new = self._known = 0

    def all_pages(
        self,
        lines: Iterable[ConsentLine | RowFault],
        size: int,
        progress: Callable[[int], None] | None,
    ) -> ConsentImport:
        lines = iter(lines)
        while page := list(islice(lines, size)):
            self._faults += [line for line in page if isinstance(line, RowFault)]
            self._take([line for line in page if isinstance(line, ConsentLine)])
            if progress is not None:
                progress(self._statuses.total() + len(self._faults))
        out = self._finish()
        here = sum(any(key in subjects for subjects in self._subjects_of.values()) for key in self._subjects)
        return ConsentImport(
            rows=self._statuses.total(),
            statuses=dict(sorted(self._statuses.items())),
            new=self._new,
            known=self._known,
            here=here,
            elsewhere=len(self._subjects) - here,
            series_out=out,
            faults=tuple(self._faults),
            rehearsed=self._dry_run,
        )

    def _take(self, lines: list[ConsentLine]) -> None:
        now = self._node.clock.now()
        rows: dict[str, dict[str, object]] = {}
        touched: dict[str, set[bytes]] = {}
        for line in lines:
            key = self._identity.consent_key(line.subject.reveal())
            self._subjects.add(key)
            self._statuses[line.statements[0].status.value] += 1
            for statement in line.statements:
                row = statement_row(key, statement, form=line.form, data_use=line.data_use, imported=now)
                rows[str(row["id"])] = row
                touched.setdefault(statement.project, set()).add(key)
        if self._dry_run:
            with reading(self._node.engine) as session:
                new = len(rows) - len(known_statements(session, rows))
        else:
            with writing(self._node.engine) as session:
                one_writer_at_a_time(session)
                new = add_statements(session, rows.values())
                self._apply(session, touched)
        self._new += new
        self._known += len(rows) - new

    def _apply(self, session: Session, touched: dict[str, set[bytes]]) -> None:
        """Work out anew how the page's subjects stand, in the projects that hold them."""
        everywhere = touched.get(EVERY_PROJECT, set())
        for project, subjects in self._subjects_of.items():
            keys = touched.get(project, set()) | everywhere
            if here := [subjects[key] for key in keys if key in subjects]:
                refresh_some(session, project, here)
                self._touched.add(project)

    def _finish(self) -> int:
        if self._dry_run:
            return 0
        with writing(self._node.engine) as session:
            at = self._node.clock.now()
            out = sum(close_to(session, gate(session, project, at=at)) for project in sorted(self._touched))
            audit.record(
                session,
                NodeAudit,
                clock=self._node.clock,
                actor=self._node.key.key_id,
                act="consent.import",
                target=self._by,
                detail={
                    "rows": self._statuses.total(),
                    "new": self._new,
                    "faults": len(self._faults),
                    "series_out": out,
                },
            )
        return out
