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
from fairbank.release import ledger, outbox_review
from fairbank.release.errors import ReleaseBytesLost
from fairbank.release.ledger import Entry, EntryState
from fairbank.release.node import Node
from fairbank.release.outbox_review import content, path_of
from fairbank.release.person_decisions import Act, made
from fairbank.release.releases import Release
from fairbank.release.tensor_numbers import Tensors, tensors_of
from fairbank.signing import open_sealed

# More than that nobody reads through before deciding.
MOST_BYTES: Final = 4 << 20
MOST_CELLS: Final = 20_000
VIEWED: Final = "output.view"
IMAGE_VIEWED: Final = "image.view"
_OF_TENSORS: Final = (
    "tensor",
    "type",
    "shape",
    "bytes",
    "norm",
    "norm in the round before",
    "least",
    "most",
    "zeros",
    "not finite",
)
_MEDIA_OF_TENSORS: Final = "safetensors"
# What results call a plain number of subjects or cases.
_COUNT_NAMES: Final = frozenset({"n", "count", "counts", "subjects", "patients", "cases", "events", "series"})
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
    k = node.settings.release_minimum_count
    if _MEDIA_OF_TENSORS in release.media_type or release.door_class is DoorClass.UPDATE:
        table = _tensors(node, release)
        return Shown((table,) if table else (), "", 0, table is not None)
    raw = content(node, release)
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
    return tables_of(record.payload(), node.settings.release_minimum_count)


def tables_of(value: Any, k: int) -> tuple[Table, ...]:
    """Return JSON as tables; counts below twice `k`, the smallest that may leave, are marked."""
    return tuple(_tables(value, k))


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
        rows = tuple((Cell(_words(name)), _cell(each, k, name)) for name, each in plain.items())
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
        tuple(_cell(flat[name], k, name) if name in flat else Cell("") for name in columns)
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


def _cell(value: Any, k: int, name: object = "") -> Cell:
    if _is_count(value):
        try:
            count = Count.model_validate({key: each for key, each in value.items() if each is not None})
        except ValueError:
            return Cell(json.dumps(value))
        near = count.kind is CountKind.EXACT and 0 < (count.value or 0) < 2 * k
        return Cell(str(count), count, near)
    if isinstance(value, str):
        return Cell(value)
    is_count = isinstance(value, int) and not isinstance(value, bool) and _last_word(name) in _COUNT_NAMES
    return Cell(json.dumps(value, ensure_ascii=False), is_near=is_count and 0 < value < 2 * k)


def _last_word(name: object) -> str:
    return str(name).replace(".", "_").rpartition("_")[2].lower()


def _words(name: object) -> str:
    return str(name).replace("_", " ")


def _tensors(node: Node, release: Release) -> Table | None:
    """Return the tensors of an update with their numbers beside the norms of the round before; None if none is read."""
    found = tensors_of(path_of(node, release))
    if found is None:
        return None
    earlier = outbox_review.earlier(node, release) if release.job else None
    of_before = _tensors_of(node, earlier) if earlier is not None and earlier.job == release.job else None
    before = {one.name: one.norm for one in of_before.tensors} if of_before else {}
    told = tuple(
        tuple(
            map(
                Cell,
                (
                    one.name,
                    one.dtype,
                    " × ".join(map(str, one.shape)),
                    str(one.size_bytes),
                    _number(one.norm),
                    _number(before.get(one.name)),
                    _number(one.least),
                    _number(one.most),
                    "" if one.zeros is None else f"{one.zeros:.1%}",
                    str(one.unfit) if one.unfit else "",
                ),
            )
        )
        for one in found.tensors
    )
    told += tuple(
        (Cell(name), Cell("note"), Cell(text), *(Cell(""),) * (len(_OF_TENSORS) - 3))
        for name, text in found.notes
    )
    return Table("", _OF_TENSORS, told) if len(told) * len(_OF_TENSORS) <= MOST_CELLS else None


def _tensors_of(node: Node, release: Release) -> Tensors | None:
    try:
        return tensors_of(path_of(node, release))
    except ReleaseBytesLost:
        return None


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
