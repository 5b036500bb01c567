"""Reading a table of consents: from rows of text to statements, or to what is wrong with a row, by its number.

No cell of the table is ever repeated in a fault or an error: where columns are mixed up, any of them may hold a
patient's number. Row numbers are those that a spreadsheet shows; the headings are row 1.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from fairbank.deid.errors import BadProjectName
from fairbank.deid.identity import checked_project
from fairbank.deid.pseudonyms import subject_value
from fairbank.errors import Sensitive
from fairbank.harvest.consent import EVERY_PROJECT, ConsentStatus, Statement
from fairbank.harvest.errors import BadConsentFile
from fairbank.ontology.data_use import TERMS


class Column(StrEnum):
    """What a column of the table says."""

    PATIENT = "patient"
    ISSUER = "issuer"
    STATUS = "status"
    SCOPE = "scope"
    VALID_FROM = "valid-from"
    VALID_UNTIL = "valid-until"
    FORM = "form"
    RECORDED = "recorded"


class Fault(StrEnum):
    """What is wrong with a row. The table in docs/how-to/consent.md says what to do about each."""

    TOO_MANY_CELLS = "too-many-cells"
    MISSING = "missing"
    MANGLED_NUMBER = "mangled-number"
    UNKNOWN_STATUS = "unknown-status"
    BAD_DATE = "bad-date"
    AMBIGUOUS_DATE = "ambiguous-date"
    IN_THE_FUTURE = "recorded-in-the-future"
    ENDS_TOO_EARLY = "ends-before-it-begins"
    BAD_PROJECT = "bad-project"
    NO_PROJECT = "no-project"
    UNKNOWN_CODE = "unknown-data-use-code"
    BAD_FORM = "bad-form"
    PATIENT_ELSEWHERE = "patient-number-in-another-column"


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that was left out, by its number; never what stands in it."""

    row: int
    column: Column | None
    fault: Fault


@dataclass(frozen=True, slots=True)
class ConsentLine:
    """A row that was understood: one statement per project that its scope names.

    Attributes:
        subject: what names the subject at this site; see `deid.pseudonyms.subject_value`.
    """

    row: int
    subject: Sensitive[str]
    statements: tuple[Statement, ...]
    data_use: tuple[str, ...]
    form: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How a table is read where its headings and words are not ours.

    Attributes:
        columns: the heading of a column.
        words: what a word of the status column means.
        issuer, scope, recorded: what holds for rows where the column is missing or empty.
    """

    columns: Mapping[Column, str] = field(default_factory=dict)
    words: Mapping[str, ConsentStatus] = field(default_factory=dict)
    issuer: str = ""
    scope: str = ""
    recorded: date | None = None


_HEADINGS: dict[Column, tuple[str, ...]] = {
    Column.PATIENT: ("patient", "patient id", "patientid", "hospital number", "mrn", "patient number"),
    Column.ISSUER: ("issuer", "issuer of patient id", "issuerofpatientid", "assigning authority"),
    Column.STATUS: ("status", "consent", "consent status", "answer"),
    Column.SCOPE: ("scope", "project", "projects"),
    Column.VALID_FROM: ("valid from", "from", "start"),
    Column.VALID_UNTIL: ("valid until", "until", "valid to", "expires", "end"),
    Column.FORM: ("form", "form version", "version", "document"),
    Column.RECORDED: ("recorded on", "recorded", "signed on", "date"),
}
_WORDS = {
    "given": ConsentStatus.GIVEN,
    "yes": ConsentStatus.GIVEN,
    "granted": ConsentStatus.GIVEN,
    "refused": ConsentStatus.REFUSED,
    "no": ConsentStatus.REFUSED,
    "declined": ConsentStatus.REFUSED,
    "withdrawn": ConsentStatus.WITHDRAWN,
    "revoked": ConsentStatus.WITHDRAWN,
}
_CODES = ("DUO:", "MONDO:")
_DELIMITERS = (",", ";", "\t")
_ISO = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ]00:00(?::00(?:\.0+)?)?Z?)?")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_SLASHED = re.compile(r"\d{1,4}[/-]\d{1,2}[/-]\d{1,4}")
# What spreadsheets make of long or decimal numbers: leading zeros and digits are lost already.
_MANGLED = re.compile(r"\d+\.0+|\d(?:[.,]\d+)?[eE]\+?\d+")
_FORM = re.compile(r"[\w .:/+()#-]{0,80}")
_ID_LENGTH = 64  # DICOM PS3.5, table 6.2-1: LO
# Shorter numbers occur in versions and dates by chance.
_TELLING_LENGTH = 4


class _Bad(Exception):
    """A cell cannot be used."""

    def __init__(self, column: Column | None, fault: Fault) -> None:
        super().__init__(fault.value)
        self.column, self.fault = column, fault


def read_consents(text: str, reading: Reading, *, today: date) -> Iterator[ConsentLine | RowFault]:
    """Yield the statements of each row of a table, or what is wrong with the row.

    Args:
        text: the table as CSV with a comma, semicolon or tabulator between the cells, and one row of headings.
        today: the day (UTC) of reading; nothing may have been recorded more than a day later.

    Raises:
        BadConsentFile: if it is no table of consents at all.
    """
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=_delimiter(text))
    number = 0
    try:
        headings = next(rows, [])
        places = _places(headings, reading)
        number = 1
        for number, cells in enumerate(rows, start=2):
            if not any(cell.strip() for cell in cells):
                continue
            try:
                yield _line(number, cells, places, reading, today=today, width=len(headings))
            except _Bad as bad:
                yield RowFault(number, bad.column, bad.fault)
    except csv.Error as err:
        raise _unreadable(f"Its row {number + 1} cannot be taken apart.") from err


def _line(
    number: int,
    cells: Sequence[str],
    places: Mapping[Column, int],
    reading: Reading,
    *,
    today: date,
    width: int,
) -> ConsentLine:
    if any(cell.strip() for cell in cells[width:]):
        raise _Bad(None, Fault.TOO_MANY_CELLS)
    said = {column: cells[place].strip() if place < len(cells) else "" for column, place in places.items()}
    patient = _patient(said.get(Column.PATIENT, ""))
    status = _status(said.get(Column.STATUS, ""), reading)
    recorded = _recorded(said.get(Column.RECORDED, ""), reading, today)
    begin = _day(said.get(Column.VALID_FROM, ""), Column.VALID_FROM)
    end = _day(said.get(Column.VALID_UNTIL, ""), Column.VALID_UNTIL)
    if end is not None and end <= (begin or recorded):
        raise _Bad(Column.VALID_UNTIL, Fault.ENDS_TOO_EARLY)
    scope = said.get(Column.SCOPE, "") or reading.scope
    form = said.get(Column.FORM, "")
    _check_not_elsewhere(patient, (form, scope, said.get(Column.ISSUER, "")))
    if _FORM.fullmatch(form) is None:
        raise _Bad(Column.FORM, Fault.BAD_FORM)
    projects, codes = _scope(scope)
    issuer = said.get(Column.ISSUER, "") or reading.issuer
    return ConsentLine(
        row=number,
        subject=Sensitive(subject_value(patient, issuer), reference=f"row {number}"),
        statements=tuple(Statement(project, status, begin, end, recorded) for project in projects),
        data_use=codes,
        form=form,
    )


def _patient(cell: str) -> str:
    if not cell:
        raise _Bad(Column.PATIENT, Fault.MISSING)
    if _MANGLED.fullmatch(cell) or len(cell) > _ID_LENGTH or not cell.isprintable():
        raise _Bad(Column.PATIENT, Fault.MANGLED_NUMBER)
    return cell


def _status(cell: str, reading: Reading) -> ConsentStatus:
    if not cell:
        raise _Bad(Column.STATUS, Fault.MISSING)
    found = reading.words.get(cell.casefold()) or _WORDS.get(cell.casefold())
    if found is None:
        raise _Bad(Column.STATUS, Fault.UNKNOWN_STATUS)
    return found


def _recorded(cell: str, reading: Reading, today: date) -> date:
    recorded = _day(cell, Column.RECORDED) or reading.recorded
    if recorded is None:
        raise _Bad(Column.RECORDED, Fault.MISSING)
    # A day more, because east of Greenwich it may be tomorrow.
    if recorded > today + timedelta(days=1):
        raise _Bad(Column.RECORDED, Fault.IN_THE_FUTURE)
    return recorded


def _day(cell: str, column: Column) -> date | None:
    if not cell:
        return None
    if found := _ISO.fullmatch(cell):
        year, month, day = found.groups()
    elif found := _DOTTED.fullmatch(cell):
        day, month, year = found.groups()
    elif _SLASHED.fullmatch(cell):
        # 03/04/2026 is a day in March or in April, by where one lives.
        raise _Bad(column, Fault.AMBIGUOUS_DATE)
    else:
        raise _Bad(column, Fault.BAD_DATE)
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        raise _Bad(column, Fault.BAD_DATE) from None


def _scope(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the projects and data-use codes that a scope names."""
    words = [word for word in re.split(r"[\s,;|]+", text) if word]
    codes = sorted({word.upper() for word in words if word.upper().startswith(_CODES)})
    if [code for code in codes if code not in TERMS and not re.fullmatch(r"MONDO:\d{7}", code)]:
        raise _Bad(Column.SCOPE, Fault.UNKNOWN_CODE)
    projects = sorted({word for word in words if not word.upper().startswith(_CODES)})
    if not projects:
        raise _Bad(Column.SCOPE, Fault.NO_PROJECT)
    for project in projects:
        try:
            _ = project == EVERY_PROJECT or checked_project(project)
        except BadProjectName:
            raise _Bad(Column.SCOPE, Fault.BAD_PROJECT) from None
    return tuple(projects), tuple(codes)


def _check_not_elsewhere(patient: str, cells: Sequence[str]) -> None:
    """Refuse a row whose other columns repeat the patient's number: they are kept, and it must not be."""
    if any(
        patient == word or (len(patient) >= _TELLING_LENGTH and patient in cell)
        for cell in cells
        for word in re.split(r"[\s,;|]+", cell)
    ):
        raise _Bad(None, Fault.PATIENT_ELSEWHERE)


def _places(headings: Sequence[str], reading: Reading) -> dict[Column, int]:
    """Return where each column stands."""
    names = [_plain(heading) for heading in headings]
    if not any(names):
        raise _unreadable("It is empty.")
    found: dict[Column, int] = {}
    for column in Column:
        wanted = reading.columns.get(column)
        spellings = (_plain(wanted),) if wanted is not None else _HEADINGS[column]
        here = [place for place, name in enumerate(names) if name in spellings]
        if len(here) > 1:
            raise _unreadable(f"Two headings mean '{column.value}'.")
        if wanted is not None and not here:
            raise _unreadable(f"No heading is the one named for '{column.value}'.")
        if here:
            found[column] = here[0]
    needed = [Column.PATIENT, Column.STATUS]
    needed += [] if reading.recorded is not None else [Column.RECORDED]
    needed += [] if reading.scope else [Column.SCOPE]
    missing = [column.value for column in needed if column not in found]
    if missing:
        raise _unreadable(f"No heading means {', '.join(missing)}.")
    twice = [place for place, count in Counter(found.values()).items() if count > 1]
    if twice:
        raise _unreadable("One heading is named for two columns.")
    return found


def _plain(heading: str) -> str:
    return re.sub(r"[\s_-]+", " ", heading).strip().casefold()


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max(_DELIMITERS, key=first.count)


def _unreadable(why: str) -> BadConsentFile:
    known = "; ".join(f"{column.value}: {', '.join(words)}" for column, words in _HEADINGS.items())
    return BadConsentFile(
        "The file cannot be read as a table of consents.",
        why=why,
        todo=f"Name the headings with --column COLUMN=HEADING, or use ours ({known}).",
    )
