"""What is brought before the release gate: an output, its declared limits, and what it was computed on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fairbank.ontology.outputs import DoorClass
from fairbank.ontology.signed_objects import Output
from fairbank.release.group_metrics import GroupMetrics
from fairbank.release.tensors import TensorShape
from fairbank.release.told_sums import Sums


class ColumnKind(StrEnum):
    """What a column of a result may hold."""

    NUMBER = "number"
    INTEGER = "integer"
    WORD = "word"
    ROW_ID = "row_id"


@dataclass(frozen=True, slots=True)
class Column:
    """One column that a result may have; `words` lists every word of a column of words."""

    name: str
    kind: ColumnKind
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals an output to those who may open it.

    Attributes:
        seal: writes the sealed form of a file into a new one.
    """

    media_type: str
    seal: Callable[[Path, Path], None]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An output that asks to leave.

    Attributes:
        door_class: under which class it asks; the gate checks that the content is of it.
        output: its name: the one the manifest declares, or `record-<dataset>`, or `error`.
        content: the bytes, or a file that holds them.
        media_type: as the manifest declares it.
        job: id of the job; None for a record.
        round: round of the job; for a record its version (worked out from the record if 0).
        limits: the manifest's declaration of this output; required for count, result and update.
        subjects: how many different subjects it was computed on; required for count, result and update.
        columns: the columns of a result's rows; required for result.
        tensors: the tensors that an update must hold, by name; None where no model went before.
        encoded: the node's own filters made the update, so it may hold whole numbers where `tensors` says so.
        packed: the update is compressed; what it unpacks to is judged.
        sums: what a statistic is of; required for a statistic.
        groups: what metrics by group are of; required for them.
        sealed: what leaves instead of the content once the gate has passed it: writes it from the file of the one into
            the new file of the other, and says what type it is; None if the content itself leaves.
        movable: nobody but the node could write the file, so it may be moved into the outbox instead of copied.
    """

    door_class: DoorClass
    output: str
    content: bytes | Path
    media_type: str
    job: str | None = None
    round: int = 0
    limits: Output | None = None
    subjects: int | None = None
    columns: tuple[Column, ...] | None = None
    tensors: Mapping[str, TensorShape] | None = None
    movable: bool = False
    encoded: bool = False
    packed: bool = False
    sums: Sums | None = None
    groups: GroupMetrics | None = None
    sealed: Sealer | None = None
