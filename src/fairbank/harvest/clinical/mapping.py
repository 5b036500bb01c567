"""The mapping file: which column or field is which variable, and which of its values mean what. TOML, by a curator."""

from __future__ import annotations

import hashlib
import json
import tomllib
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, NoReturn

from pydantic import Field, ValidationError, model_validator

from fairbank.harvest.errors import BadMapping
from fairbank.harvest.table_files import TableForm
from fairbank.ontology.counts import Count
from fairbank.ontology.variables import CodeSystem, Variable, VariableKind, VariableValue, faults
from fairbank.ontology.wire import Part, ShortText, Slug

Column = ShortText
_NUMBERS: Final = frozenset({VariableKind.QUANTITY, VariableKind.INTEGER})
_YES_NO: Final = frozenset({"yes", "no"})
_DATES: Final = frozenset({VariableKind.YEAR, VariableKind.AGE_BAND})
# What stands in cells for "not known", beside an empty one.
MISSING: Final = ("NA", "N/A", "NaN", "null", "-", "k.A.", "unbekannt", "unknown")


class Several(StrEnum):
    """Which of several values of a subject counts, in the order of the rows."""

    LAST = "last"
    FIRST = "first"


class SubjectColumn(Part):
    """What names the subject in a row.

    Attributes:
        column: the hospital number, as Patient ID (0010,0020) of the images has it.
        issuer: Issuer of Patient ID (0010,0021) of the images, where they have one.
        width: digits of the number, where a spreadsheet keeps it as a number: it is filled with zeros from the left.
            0 says that the numbers never begin with a zero.
    """

    column: Column
    issuer: str = ""
    width: Annotated[int, Field(ge=0, le=64)] | None = None


class TableSection(Part):
    """How the table file is to be read; see `TableForm`."""

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    header_row: Annotated[int, Field(ge=1, le=1000)] = 1

    def form(self) -> TableForm:
        """Return it as the reader of tables takes it."""
        return TableForm(self.encoding, self.delimiter, self.sheet, self.header_row)


class RedcapSection(Part):
    """A REDCap project: the address of its API, and a file of mode 0600 with an API token."""

    url: ShortText
    token_file: ShortText


class FhirSection(Part):
    """A FHIR server: its base address, a user and a file of mode 0600 with the password, or with a bearer token."""

    url: ShortText
    user: str = ""
    password_file: ShortText | None = None
    identifier_system: str = ""


class ArchiveSection(Part):
    """A source of the node that keeps variables of its subjects, such as an XNAT, and the container to read."""

    name: ShortText
    container: ShortText


class CodedValue(Part):
    """A value with its label, where a mapping gives both."""

    code: ShortText
    label: ShortText


class VariableRule(Part):
    """What one column is, and what its values mean.

    Attributes:
        code: what the variable is: `LOINC:718-7`, `ICD-10:C61`, …
        values: what stands in cells, each with the code that it means.
        bands: edges of the bands that numbers are put into; half-open, the lower edge belongs to the band.
        factor: what a number is multiplied with to be in `unit`.
        minimum, maximum: outside of these, in `unit`, a number is a mistake.
        reference: for an age: the column of the date at which it is counted.
        several: which of several values of a subject counts.
        decimal: what separates the decimals of numbers.
    """

    column: Column
    label: ShortText
    code: ShortText
    kind: VariableKind
    unit: ShortText | None = None
    value_system: CodeSystem | None = None
    values: dict[str, ShortText | CodedValue] = {}
    bands: tuple[float, ...] = ()
    factor: float = 1.0
    minimum: float | None = None
    maximum: float | None = None
    reference: Column | None = None
    several: Several = Several.LAST
    decimal: Literal[".", ","] = "."

    @model_validator(mode="after")
    def _fits_together(self) -> VariableRule:
        if self.kind in _NUMBERS and not self.bands:
            raise ValueError("numbers are kept as bands only: give their edges")
        if self.bands and (self.kind not in _NUMBERS or any(a >= b for a, b in pairwise(self.bands))):
            raise ValueError("bands are edges of numbers, rising")
        if self.values and self.kind not in (VariableKind.CODED, VariableKind.BOOLEAN):
            raise ValueError("only coded and boolean variables have values")
        if self.kind is VariableKind.CODED and not self.values:
            raise ValueError("say what each value of a coded variable means")
        if (self.kind is VariableKind.AGE_BAND) != (self.reference is not None):
            raise ValueError("an age needs the reference column of the date at which it is counted")
        if (
            self.kind is VariableKind.BOOLEAN
            and not {code_of(each) for each in self.values.values()} <= _YES_NO
        ):
            raise ValueError("a boolean value means yes or no")
        return self

    @property
    def is_date(self) -> bool:
        """Tell whether cells are dates, of which only a year or an age is kept."""
        return self.kind in _DATES

    def variable(self, name: str) -> Variable:
        """Return the variable that this makes, with no subject yet."""
        system, _, code = self.code.partition(":")
        return Variable(
            name=name,
            label=self.label,
            system=CodeSystem(system.strip()),
            code=code.strip(),
            kind=self.kind,
            unit=self.unit,
            value_system=self.value_system,
            values=_values(self),
            subjects=Count.exact(0),
        )


class Mapping(Part):
    """A whole mapping file.

    Attributes:
        source: what the node calls where the variables come from.
        missing: what stands for "not known", beside an empty cell.
    """

    source: Slug
    subject: SubjectColumn
    table: TableSection = TableSection()
    redcap: RedcapSection | None = None
    fhir: FhirSection | None = None
    archive: ArchiveSection | None = None
    missing: tuple[str, ...] = MISSING
    variables: Annotated[dict[Slug, VariableRule], Field(min_length=1, max_length=500)]

    @property
    def digest(self) -> str:
        """Return what changes when the meaning of the variables does: then all rows are read again."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read_mapping(text: str) -> Mapping:
    """Return what a mapping file says.

    Raises:
        BadMapping: naming the fields at fault, never what stands in them.
    """
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        # The parser says line and column, and quotes nothing but single letters.
        _refuse("The mapping file is not TOML", str(err).replace("\n", " "))
    for written in _rules(said):
        if isinstance(written.get("bands"), list):
            written["bands"] = [float(edge) if isinstance(edge, int) else edge for edge in written["bands"]]
    try:
        mapping = Mapping.model_validate_json(json.dumps(said, default=str))
    except ValidationError as err:
        _refuse("The mapping file says something that it cannot say", _places(err))
    for name, rule in mapping.variables.items():
        _check(name, rule)
    return mapping


def _check(name: str, rule: VariableRule) -> None:
    system = rule.code.partition(":")[0].strip()
    if system not in list(CodeSystem):
        _refuse(
            f"The variable {name} is named by no code",
            f"a code is written SYSTEM:CODE, with one of {', '.join(CodeSystem)}",
        )
    if found := faults(rule.variable(name)):
        _refuse(f"The variable {name} is not well described", "; ".join(found))


def band_words(edges: tuple[float, ...]) -> tuple[str, ...]:
    """Return the words of the bands between edges.

    >>> band_words((0.7, 1.2))
    ('<0.7', '0.7-1.2', '>=1.2')
    """
    words = [f"{edge:g}" if abs(edge) < 1e6 else str(int(edge)) for edge in edges]
    return (f"<{words[0]}", *(f"{low}-{high}" for low, high in pairwise(words)), f">={words[-1]}")


def _values(rule: VariableRule) -> tuple[VariableValue, ...]:
    if rule.bands:
        return tuple(VariableValue(code=word) for word in band_words(rule.bands))
    if rule.kind is VariableKind.BOOLEAN:
        return tuple(VariableValue(code=word) for word in ("yes", "no"))
    labels: dict[str, str | None] = {}
    for value in rule.values.values():
        label = value.label if isinstance(value, CodedValue) else None
        labels[code_of(value)] = label or labels.get(code_of(value))
    return tuple(VariableValue(code=code, label=label) for code, label in labels.items())


def code_of(value: str | CodedValue) -> str:
    """Return the code that a cell means."""
    return value.code if isinstance(value, CodedValue) else value


def _rules(said: dict[str, Any]) -> list[dict[str, Any]]:
    variables = said.get("variables")
    return (
        [rule for rule in variables.values() if isinstance(rule, dict)] if isinstance(variables, dict) else []
    )


def _places(err: ValidationError) -> str:
    # The keys of value maps are what stands in cells, so a place is told down to the field only.
    places = [f"{'.'.join(map(str, fault['loc'][:3]))}: {fault['msg']}" for fault in err.errors()[:3]]
    return "; ".join(places)


def _refuse(what: str, why: str) -> NoReturn:
    raise BadMapping(
        f"{what}: {why}.",
        why="Nothing is guessed: a variable that means something else would mislead everyone after.",
        todo="Correct it; 'fairbank harvest variables template' prints a file with every field.",
    ) from None
