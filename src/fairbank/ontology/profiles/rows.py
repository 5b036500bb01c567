"""The form of a profile's tables: one row per property, one table per kind of resource in a document.

Nothing here says what a profile asks for; that is in the module of the profile. From the same rows come the triples of
a document, its SHACL shapes and its scorecard, so that the three cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum


class Severity(StrEnum):
    """How much a profile minds that a property is missing: mandatory, recommended, optional (SHACL's words)."""

    VIOLATION = "Violation"
    WARNING = "Warning"
    INFO = "Info"


class Origin(StrEnum):
    """Where the value of a property comes from, hence who can supply one that is missing."""

    COMPUTED = "computed"
    SOURCE = "source"
    CURATOR = "curator"
    CONSTANT = "constant"


class NodeKind(StrEnum):
    """What kind of term a value is (SHACL's words)."""

    IRI = "IRI"
    LITERAL = "Literal"
    EITHER = "IRIOrLiteral"


@dataclass(frozen=True, slots=True)
class Range:
    """What a value has to be.

    Attributes:
        kind: IRI or literal, or either.
        datatype: IRI of the literal's datatype.
        of_class: IRI of the class of a resource that the document describes itself.
        words: IRIs of the only values allowed, where the profile closes the list.
    """

    kind: NodeKind
    datatype: str | None = None
    of_class: str | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One property of one kind of resource.

    Attributes:
        paths: IRI of the property; several mean "at least one of these", and such a row only checks.
        severity: how a missing value is judged; None writes the property without asking for it.
        most: largest number of values; None for any.
        range: what a value has to be.
        origin: where the value comes from.
        value: name of the value function; empty for a row that only checks.
        note: what a reader has to know.
    """

    paths: tuple[str, ...]
    severity: Severity | None
    range: Range
    origin: Origin
    value: str
    most: int | None = None
    note: str = ""

    @property
    def path(self) -> str:
        """Return the IRI of the (first) property."""
        return self.paths[0]

    @property
    def only_checks(self) -> bool:
        """Tell whether the row asks for one of several properties that other rows write."""
        return len(self.paths) > 1


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one kind of resource.

    Attributes:
        name: name of the resource in shapes and scorecards.
        types: IRIs of the classes that a document gives the resource.
        subjects: name of the function that says which resources of this kind a record has.
        linked_by: the shape is for what these properties point to; empty: for what has the first class.
    """

    name: str
    types: tuple[str, ...]
    subjects: str
    rows: tuple[Row, ...]
    linked_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """A version of an application profile.

    Attributes:
        name: its name in addresses, with the version.
        title: its name for readers.
        covers: which part of the standard the tables hold.
        source: where the tables were taken from.
    """

    name: str
    title: str
    covers: str
    source: str
    tables: tuple[Table, ...]

    @property
    def namespace(self) -> str:
        """Return the namespace of the profile's shapes."""
        return f"https://w3id.org/fairbank/profiles/{self.name}#"

    def rows(self) -> Iterator[tuple[Table, Row]]:
        """Yield every row with its table."""
        for table in self.tables:
            for row in table.rows:
                yield table, row


TEXT = Range(NodeKind.LITERAL)
LINK = Range(NodeKind.IRI)
EITHER = Range(NodeKind.EITHER)


def typed(datatype: str) -> Range:
    """Return the range of literals of a datatype."""
    return Range(NodeKind.LITERAL, datatype=datatype)


def described(of_class: str) -> Range:
    """Return the range of resources that the document itself describes."""
    return Range(NodeKind.IRI, of_class=of_class)


def one_of(*words: str) -> Range:
    """Return the range of a closed list of IRIs."""
    return Range(NodeKind.IRI, words=words)


def row(
    path: str, value: str, origin: Origin, values: Range = TEXT, *, most: int | None = None, note: str = ""
) -> Row:
    """Return a row that nobody asks for yet; see `must`, `should`, `may`."""
    return Row((path,), None, values, origin, value, most, note)


def any_of(*paths: str) -> Row:
    """Return a row that asks for at least one of several properties."""
    return Row(paths, None, Range(NodeKind.IRI), Origin.CURATOR, "")


def must(*rows: Row) -> tuple[Row, ...]:
    """Return the rows as mandatory ones."""
    return tuple(replace(each, severity=Severity.VIOLATION) for each in rows)


def should(*rows: Row) -> tuple[Row, ...]:
    """Return the rows as recommended ones."""
    return tuple(replace(each, severity=Severity.WARNING) for each in rows)


def may(*rows: Row) -> tuple[Row, ...]:
    """Return the rows as optional ones."""
    return tuple(replace(each, severity=Severity.INFO) for each in rows)
