"""Rows of a REDCap project: the fields that a mapping names, after the project was asked what kind of fields they are.

A field that the project marks as an identifier is refused, and so is one for notes, files, addresses or telephone
numbers. Events and repeats of a record are read as one row: of each field the last value that is not empty, or the
first where the mapping says so. Only what changed is asked for where that is safe; REDCap tells times without a zone,
so two days overlap.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from fairbank.clock import Clock
from fairbank.errors import MissingExtra, Sensitive
from fairbank.harvest.clinical import mapping as maps
from fairbank.harvest.clinical.mapping import Several, VariableRule
from fairbank.harvest.clinical.rows import Cell, Problem, SubjectRow
from fairbank.harvest.clinical.table_rows import check_column, refused
from fairbank.harvest.clinical.values import Fault
from fairbank.harvest.errors import (
    BadDefinition,
    BadMapping,
    HarvestError,
    SourceFailed,
    SourceLoginRefused,
    SourceUnreachable,
    UnsafeSecret,
)
from fairbank.release.hub_client import on_this_machine

OVERLAP: Final = timedelta(hours=48)
_TOKEN: Final = re.compile(r"[0-9A-Fa-f]{32}")
_VERSION: Final = re.compile(r"[0-9A-Za-z._-]{1,40}")
_REFUSED_TYPES: Final = frozenset({"notes", "file", "descriptive", "signature"})
_REFUSED_FORMS: Final = frozenset(
    {"email", "phone", "phone_australia", "postalcode_australia", "zipcode", "ssn", "mrn_10d"}
)
_DELETED: Final = re.compile(r"\s*delete record\b", re.IGNORECASE)
_CONNECT_TIMEOUT_S: Final = 10


class RedcapRows:
    """The records of a REDCap project, asked for with PyCap.

    Args:
        token: the API token, 32 digits; it is in no message.
        since: when the last import began, to ask only for what changed; None asks for everything.

    Raises:
        BadMapping: if a field is not there.
        IdentifyingColumn: if a field is marked as an identifier, or looks like one.
        SourceUnreachable, SourceLoginRefused, SourceFailed: as the server answers.
    """

    kind = "redcap"
    ignored: Collection[int] = ()

    def __init__(
        self,
        url: str,
        token: Sensitive[str],
        mapping: maps.Mapping,
        *,
        clock: Clock,
        since: datetime | None = None,
        timeout_s: float = 120,
    ) -> None:
        self._mapping = mapping
        self._project = _project(url, token, timeout_s)
        self._since = since - OVERLAP if since else None
        fields = self._asked(lambda: self._project.metadata)
        if not isinstance(fields, list) or not fields:
            raise _failed("it lists no fields")
        known = {str(field.get("field_name")): field for field in fields if isinstance(field, dict)}
        self._record = next(iter(known))
        self._columns = self._checked(known)
        version = str(self._asked(self._project.export_version))
        # It is remembered with the run.
        self.version = version if _VERSION.fullmatch(version) else "unknown"
        self.cursor = clock.now().isoformat(timespec="seconds")
        self._gone = self._deleted() if self._since else []
        self.complete = self._since is None

    def rows(self) -> Iterator[SubjectRow]:
        """Yield one row per record, and one without values for each record that was deleted."""
        fields = list(dict.fromkeys((self._record, self._mapping.subject.column, *self._exported())))
        said = self._asked(
            lambda: self._project.export_records(format_type="json", fields=fields, date_begin=self._since)
        )
        if not isinstance(said, list):
            raise _failed("it answered with something else than records")
        records: dict[str, list[dict[str, Any]]] = {}
        for row in said:
            records.setdefault(str(row.get(self._record, "")), []).append(row)
        for number, rows in enumerate(records.values(), start=1):
            yield self._row(number, rows)
        for number, record in enumerate(self._gone, start=len(records) + 1):
            yield SubjectRow(number, Sensitive(record, reference="a subject"), whole=True)

    def _row(self, number: int, rows: list[dict[str, Any]]) -> SubjectRow:
        missing = {word.casefold() for word in self._mapping.missing} | {""}

        def value(field: str, several: Several = Several.LAST) -> str:
            texts = [
                text for row in rows if (text := str(row.get(field) or "").strip()).casefold() not in missing
            ]
            return texts[0 if several is Several.FIRST else -1] if texts else ""

        subject = value(self._mapping.subject.column, Several.FIRST)
        if not subject:
            return SubjectRow(number, None, problems=(Problem(number, 1, Fault.NO_SUBJECT),))
        cells = {}
        for name, rule in self._mapping.variables.items():
            if text := value(rule.column, rule.several):
                reference = value(rule.reference) if rule.reference else ""
                cells[name] = Cell(text, self._columns[name], reference=reference)
        # Of a subject that is named by a field of its own, there may be a second record.
        whole = self._since is not None and self._mapping.subject.column == self._record
        return SubjectRow(number, Sensitive(subject, reference="a subject"), cells, whole=whole)

    def _checked(self, known: Mapping[str, dict[str, Any]]) -> dict[str, int]:
        places = {field: number for number, field in enumerate(known, start=1)}
        columns = {}
        self._place(self._mapping.subject.column, "subject", places)
        for name, rule in self._mapping.variables.items():
            columns[name] = self._place(rule.column, name, places)
            field = known[_base(rule.column)]
            marked = str(field.get("identifier", "")).strip().lower() in ("y", "yes", "1", "true")
            form = str(field.get("text_validation_type_or_show_slider_number", "")).lower()
            if marked or field.get("field_type") in _REFUSED_TYPES or form in _REFUSED_FORMS:
                raise refused(name, columns[name])
            if rule.column == self._mapping.subject.column:
                raise refused(name, columns[name])
            check_column(rule.column, rule, name, number=columns[name])
            if rule.reference is not None:
                self._place(rule.reference, name, places)
        return columns

    def _place(self, column: str, name: str, places: Mapping[str, int]) -> int:
        if _base(column) not in places:
            raise BadMapping(
                f"The REDCap project has no field for {name!r} under the name that the mapping gives.",
                why=f"It has {len(places)} fields, as far as the token may see.",
                todo="Correct 'column' in the mapping; a box of a checkbox is written field___code.",
            )
        return places[_base(column)]

    def _exported(self) -> Iterator[str]:
        rules: Collection[VariableRule] = self._mapping.variables.values()
        for rule in rules:
            yield _base(rule.column)
            if rule.reference is not None:
                yield _base(rule.reference)

    def _deleted(self) -> list[str]:
        """Return the records that were deleted; if they cannot be known or told apart, everything is read."""
        try:
            log = self._asked(
                lambda: self._project.export_logging(
                    format_type="json", log_type="record_delete", begin_time=self._since
                )
            )
        except (SourceLoginRefused, SourceFailed):
            self._since = None
            return []
        rows = [row for row in log if isinstance(row, dict) and _DELETED.match(str(row.get("action", "")))]
        if rows and self._mapping.subject.column != self._record:
            # Whose a deleted record was, nobody can say any longer.
            self._since = None
            return []
        return [record for row in rows if (record := str(row.get("record") or "").strip())]

    def _asked(self, ask: Any) -> Any:
        import requests

        try:
            return ask()
        except (requests.ConnectionError, requests.Timeout):
            error: HarvestError = SourceUnreachable(
                "The REDCap server does not answer.",
                why="No connection could be made, or no answer came in time.",
                todo="Check its address in the mapping, and that it runs.",
            )
        except requests.RequestException as err:
            words = str(err).lower()
            refusal = any(word in words for word in ("token", "permission", "privilege", "rights"))
            error = _refused() if refusal else _failed("it answered with an error, or with no JSON")
        except (ValueError, TypeError, AttributeError, KeyError):
            error = _failed("it answered with something that cannot be understood")
        # Without its cause, which quotes the address and what the server said.
        raise error from None


def _project(url: str, token: Sensitive[str], timeout_s: float) -> Any:
    try:
        from redcap.project import Project
    except ImportError as err:
        raise MissingExtra.named("redcap", needed_for="Reading REDCap") from err
    # PyCap would quote address and token where they are wrong.
    if not url.endswith("/api/") or not (url.startswith("https://") or on_this_machine(url)):
        raise BadDefinition(
            "The address of the REDCap server is not one of its API.",
            why="It starts with https://, because the token travels with each request, and ends in /api/.",
            todo="Correct 'url' in the mapping.",
        )
    if not _TOKEN.fullmatch(token.reveal()):
        raise UnsafeSecret(
            "The token file holds no REDCap API token.",
            why="A token is 32 digits and letters A to F.",
            todo="Ask for one in the project (API), for a user who may only export.",
        )
    # The library's own lines name the host.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    # A redirect would take the token elsewhere.
    return Project(url, token.reveal(), timeout=(_CONNECT_TIMEOUT_S, timeout_s), allow_redirects=False)


def _base(column: str) -> str:
    return column.partition("___")[0]


def _refused() -> SourceLoginRefused:
    return SourceLoginRefused(
        "The REDCap server refused the token, or what its user may do.",
        why="The token was revoked, or its user may not export these data.",
        todo="Ask for a token of a user who may export the full data set, and write it into the token file.",
    )


def _failed(reason: str) -> SourceFailed:
    return SourceFailed(
        f"The REDCap server failed: {reason}.",
        why="Nothing of this answer was used.",
        todo="Look at the project's own log, and run again.",
    )
