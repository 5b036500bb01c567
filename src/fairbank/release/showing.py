"""The very bytes that wait to leave, as tables that a person can read; who looked at them is written down.

Nothing is left out of a table: what is too large to be shown whole is not shown at all, and can then only be kept back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fairbank import audit
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, Kind
from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.outputs import DoorClass
from fairbank.ontology.record import DatasetRecord
from fairbank.release import ledger
from fairbank.release.ledger import Entry, EntryState
from fairbank.release.node import Node
from fairbank.release.outbox_review import content
from fairbank.release.person_decisions import Act, made
from fairbank.release.releases import Release
from fairbank.signing import open_sealed

# More than that nobody reads through before deciding.
MOST_BYTES: Final = 4 << 20
MOST_CELLS: Final = 20_000
VIEWED: Final = "output.view"
IMAGE_VIEWED: Final = "image.view"
_HEADER_BYTES: Final = 8
_MOST_HEADER: Final = 4 << 20
_MEDIA_OF_TENSORS: Final = "safetensors"
# Members of a count as the wire has it.
_COUNT_KEYS: Final = frozenset({"kind", "value", "k", "why", "since"})


class TooLargeToShow(FairbankError):
    """An output is too large for a person to look through, so nobody can let it go here."""

    code = "FB-REL-038"
    kind = Kind.TOO_LARGE


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, or a count; `is_near` marks a count below twice the smallest that may leave."""

    text: str
    count: Count | None = None
    is_near: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of what leaves; `title` says where in the output it stands, empty for the whole."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """An output as tables.

    Attributes:
        raw: its text, for who wants to compare; empty where it is none.
        near: how many cells are near the limit.
        is_whole: whether all of it is in the tables; what is not can only be kept back.
    """

    tables: tuple[Table, ...]
    raw: str
    near: int
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """An output of a job that the gate did not let leave, and why."""

    name: str
    reasons: tuple[str, ...]


def shown(node: Node, release: Release) -> Shown:
    """Return what would leave, as tables.

    Raises:
        ReleaseBytesLost: if the bytes are gone or were changed.
    """
    raw = content(node, release)
    k = node.settings.release_minimum_count
    if _MEDIA_OF_TENSORS in release.media_type or release.door_class is DoorClass.UPDATE:
        table = _tensors(raw)
        return Shown((table,) if table else (), "", 0, table is not None)
    if len(raw) > MOST_BYTES:
        return Shown((), "", 0, False)
    try:
        if release.door_class is DoorClass.RECORD:
            parsed: Any = open_sealed(raw, DatasetRecord.kind, trusted=node.keys).payload
        else:
            parsed = json.loads(raw)
    except (FairbankError, ValueError):
        return Shown((), "", 0, False)
    tables = tuple(_tables(parsed, k))
    if sum(len(row) for table in tables for row in table.rows) > MOST_CELLS:
        return Shown((), "", 0, False)
    text = json.dumps(parsed, indent=2, ensure_ascii=False)
    return Shown(tables, text, near_cells(tables), True)


def record_tables(node: Node, record: DatasetRecord) -> tuple[Table, ...]:
    """Return a record that is not sealed yet, as the tables of what the hub would see."""
    return tuple(_tables(record.payload(), node.settings.release_minimum_count))


def near_cells(tables: tuple[Table, ...]) -> int:
    """Return how many cells are near the limit."""
    return sum(cell.is_near for table in tables for row in table.rows for cell in row)


def check_shown(node: Node, release: Release) -> None:
    """Refuse to let something go that could not be shown whole.

    Raises:
        TooLargeToShow: if it could not.
    """
    if not shown(node, release).is_whole:
        raise TooLargeToShow(
            "This output cannot be shown whole, so it cannot be let go here.",
            why=f"It is no table, or has more than {MOST_BYTES} bytes or {MOST_CELLS} cells.",
            todo="Keep it back, and ask who sent the job for a smaller output.",
        )


def note_view(node: Node, target: str, *, by: str, detail: Mapping[str, Any] | None = None) -> None:
    """Write into the audit log that somebody looked at an output of this node."""
    _note(node, target, by=by, act=VIEWED, detail=detail)


def note_image_view(node: Node, target: str, *, by: str, detail: Mapping[str, Any] | None = None) -> None:
    """Write into the audit log that somebody looked at images of a project."""
    _note(node, target, by=by, act=IMAGE_VIEWED, detail=detail)


def _note(node: Node, target: str, *, by: str, act: str, detail: Mapping[str, Any] | None) -> None:
    with writing(node.engine) as session:
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=by,
            act=act,
            target=target,
            detail=dict(detail or {}),
        )


def signed_by(node: Node, release: Release) -> tuple[str, ...]:
    """Return the persons who have signed that something may leave."""
    return signers(node).get(release.id, ())


def signers(node: Node) -> dict[str, tuple[str, ...]]:
    """Return who has signed that something may leave, by the release's id."""
    found: dict[str, set[str]] = {}
    with reading(node.engine) as session:
        for act in (Act.RECORD_APPROVE, Act.OUTPUT_RELEASE):
            for one in made(session, node, act):
                found.setdefault(one.decision.target, set()).add(one.person.name)
    return {release: tuple(sorted(names)) for release, names in found.items()}


def refused_of(node: Node, job: str) -> tuple[Refused, ...]:
    """Return what the gate refused of a job, newest first."""
    with reading(node.engine) as session:
        found: list[Entry] = ledger.entries(session, job=job, state=EntryState.REFUSED, limit=20)
    return tuple(Refused(one.name, one.reasons) for one in found)


def _tables(value: Any, k: int, at: str = "") -> Iterator[Table]:
    """Yield the plain members of an object as one table, and each list or object in it as tables of their own."""
    if isinstance(value, list):
        yield from _of_list(value, k, at)
        return
    if not isinstance(value, Mapping):
        yield Table(at, ("value",), ((_cell(value, k),),))
        return
    plain = {name: each for name, each in value.items() if _is_plain(each)}
    if plain:
        rows = tuple((Cell(_words(name)), _cell(each, k)) for name, each in plain.items())
        yield Table(at, ("what", "value"), rows)
    for name, each in value.items():
        if name not in plain:
            yield from _tables(each, k, f"{at} / {_words(name)}" if at else _words(name))


def _of_list(value: list[Any], k: int, at: str) -> Iterator[Table]:
    if not value:
        yield Table(at, ("value",), ())
        return
    if not all(isinstance(each, Mapping) and not _is_count(each) for each in value):
        yield Table(at, ("value",), tuple((_cell(each, k),) for each in value))
        return
    columns = tuple(dict.fromkeys(name for each in value for name in _row(each)))
    rows = tuple(
        tuple(_cell(flat[name], k) if name in flat else Cell("") for name in columns)
        for flat in map(_row, value)
    )
    yield Table(at, tuple(_words(name) for name in columns), rows)


def _row(value: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    """Return the members of a row, those of objects in it under their joined names."""
    found: dict[str, Any] = {}
    for name, each in value.items():
        where = f"{at}.{name}" if at else str(name)
        if isinstance(each, Mapping) and not _is_count(each):
            found |= _row(each, where)
        else:
            found[where] = each
    return found


def _is_count(value: Any) -> bool:
    kinds = {one.value for one in CountKind}
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("kind"), str)
        and value["kind"] in kinds
        and set(value) <= _COUNT_KEYS
    )


def _is_plain(value: Any) -> bool:
    return _is_count(value) or not isinstance(value, (Mapping, list))


def _cell(value: Any, k: int) -> Cell:
    if _is_count(value):
        try:
            count = Count.model_validate({key: each for key, each in value.items() if each is not None})
        except ValueError:
            return Cell(json.dumps(value))
        near = count.kind is CountKind.EXACT and 0 < (count.value or 0) < 2 * k
        return Cell(str(count), count, near)
    if isinstance(value, str):
        return Cell(value)
    return Cell(json.dumps(value, ensure_ascii=False))


def _words(name: object) -> str:
    return str(name).replace("_", " ")


def _tensors(raw: bytes) -> Table | None:
    """Return the tensors of an update: their names, shapes and sizes; None if it is none that can be read.

    Source: the safetensors format, whose header is JSON after eight bytes with its length.
    """
    length = int.from_bytes(raw[:_HEADER_BYTES], "little")
    if not 0 < length <= _MOST_HEADER:
        return None
    try:
        header = json.loads(raw[_HEADER_BYTES : _HEADER_BYTES + length])
        rows = [
            (name, one["dtype"], one["shape"], one["data_offsets"])
            for name, one in header.items()
            if name != "__metadata__"
        ]
        notes = header.get("__metadata__", {})
        told = tuple(
            (
                Cell(str(name)),
                Cell(str(dtype)),
                Cell(" × ".join(map(str, shape))),
                Cell(str(offsets[1] - offsets[0])),
            )
            for name, dtype, shape, offsets in rows
        )
        told += tuple(
            (Cell(str(name)), Cell("note"), Cell(str(text)), Cell("")) for name, text in notes.items()
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None
    return Table("", ("tensor", "type", "shape", "bytes"), told) if len(told) * 4 <= MOST_CELLS else None
