"""The release gate: rules that judge an output by its bytes. What no rule allows does not leave.

Each class of the door has its own check. A check that cannot read the content refuses it; an error in a check stops the
staging, so that the gate fails closed. The gate reads the very file that will be sent.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from fairbank.errors import FairbankError
from fairbank.ontology import variables
from fairbank.ontology.attributes import is_word_of
from fairbank.ontology.biomarkers import BIOMARKERS
from fairbank.ontology.conditions import CONDITIONS
from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.outputs import DOOR_OF_OUTPUT, GROUP_METRICS_TYPE, STATISTIC_TYPE, DoorClass
from fairbank.ontology.record import UNKNOWN, DatasetRecord
from fairbank.ontology.vocabulary import (
    MANUFACTURERS,
    MODALITIES,
    OTHER_MANUFACTURER,
    THICKNESS_BANDS,
    body_part,
)
from fairbank.release import differencing, disclosure, exclusions, group_metrics, tensors, told_sums
from fairbank.release.candidates import Candidate, Column, ColumnKind
from fairbank.release.control import ControlMessage, ErrorReport
from fairbank.release.published_counts import exact_counts
from fairbank.release.tables import Dominance, TableRules
from fairbank.signing import LARGEST_INTEGER
from fairbank.zstd_frames import FrameRefused, unpack

_NEEDS_LIMITS: Final = frozenset({DoorClass.COUNT, DoorClass.RESULT, DoorClass.UPDATE})
_LARGEST_JSON_BYTES: Final = 256 << 20
# A UID has a root of two arcs and more (PS3.5, section 9); four arcs tell it from a version number.
_UID = re.compile(r"(?<![\d.])[0-2](?:\.(?:0|[1-9]\d*)){4,}(?![\d.])")
_DATE = re.compile(
    r"(?<!\d)(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)|(?<!\d)\d{4}-\d\d-\d\d(?!\d)"
)
_PATH = re.compile(r"[/\\]|(?:^|\s)~")
# What the node calls a staged series: its place in the cohort and a keyed name of letters only.
_ROW_ID = re.compile(r"s\d{6}-[a-z]{32}")
# Fields of a record whose form leaves no room for free text, or that have a check of their own. Whatever else a record
# holds is prose, so that a field that is added is looked at without anyone thinking of it.
_OF_A_FORM: Final = frozenset(
    {
        "node",
        "dataset",
        "access_rights",
        "collection_kind",
        "data_use",
        "totals",
        "cube",
        "distributions",
        "provenance",
        "quality",
        "variables",
        "created",
    }
)
_VERSION = re.compile(r"[A-Za-z0-9._+,() -]{1,60}")
_VALUE = re.compile(r"[A-Za-z0-9<>=+.,() -]{1,60}")


@dataclass(frozen=True, slots=True)
class Policy:
    """What the node asks of everything that leaves.

    Attributes:
        node: this node's name.
        key_id: this node's key, which seals its records.
        k: smallest count of subjects.
        maximum_bytes: largest output.
        rounding_base: what published counts are multiples of.
        interval_days: how long published counts stay as they are.
        published: for a record, all records of its dataset before it, oldest first.
        earlier_keys: keys that this node had before, which sealed records that have left.
        dominance: when a few subjects make up too much of a sum.
    """

    node: str
    key_id: str
    k: int
    maximum_bytes: int
    rounding_base: int = 1
    interval_days: int = 0
    published: tuple[DatasetRecord, ...] = ()
    earlier_keys: tuple[str, ...] = ()
    dominance: Dominance = field(default_factory=Dominance)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says; `reasons` is empty exactly when the output may leave."""

    reasons: tuple[str, ...]
    checks: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        """Tell whether the output may leave."""
        return not self.reasons


def judge(candidate: Candidate, path: Path, policy: Policy) -> Verdict:
    """Judge an output by the file that would be sent.

    Args:
        candidate: what it claims to be.
        path: its bytes, in a place that only the node can write.
        policy: the node's own limits, which no manifest can widen.
    """
    checks: tuple[tuple[str, Callable[[Candidate, Path, Policy], list[str]]], ...] = (
        ("size", _size),
        ("declared", _declared),
        ("subjects", _subjects),
        (f"content:{candidate.door_class.value}", _CONTENT[candidate.door_class]),
    )
    made: list[str] = []
    for name, check in checks:
        made.append(name)
        reasons = check(candidate, path, policy)
        if reasons:
            return Verdict(tuple(reasons), tuple(made))
    return Verdict((), tuple(made))


def checks_of(door_class: DoorClass) -> tuple[str, ...]:
    """Return the names of the checks that an output of a class has passed once it is staged, as verdicts name them."""
    return ("size", "declared", "subjects", f"content:{door_class.value}")


def judge_control(message: ControlMessage) -> Verdict:
    """Judge a control message by the bytes that would be sent: they must say no more than its class declares."""
    body = message.to_bytes()
    numbers = list(_numbers_in(json.loads(body)))
    if any(isinstance(each, float) and not math.isfinite(each) for each in numbers):
        return Verdict(("A number of the message is not finite.",), ("control",))
    if any(abs(each) > LARGEST_INTEGER for each in numbers):
        return Verdict(("A number of the message is too large to be a count or a duration.",), ("control",))
    if type(message).parse(body) != message:
        return Verdict(("The message does not say what its class declares.",), ("control",))
    return Verdict((), ("control",))


def record_of(path: Path, policy: Policy) -> DatasetRecord:
    """Return the record in a file, sealed by this node.

    Raises:
        FairbankError: if it is not one.
    """
    return DatasetRecord.open(path.read_bytes(), trusted=[policy.key_id, *policy.earlier_keys])[0]


def _size(candidate: Candidate, path: Path, policy: Policy) -> list[str]:
    size = path.stat().st_size
    if size == 0:
        return ["The output is empty."]
    limit = policy.maximum_bytes
    if candidate.limits is not None:
        limit = min(limit, candidate.limits.maximum_bytes)
    return [f"The output has {size} bytes; {limit} are allowed."] if size > limit else []


def _declared(candidate: Candidate, path: Path, policy: Policy) -> list[str]:
    limits = candidate.limits
    if limits is None:
        return ["The manifest does not declare this output."] if candidate.door_class in _NEEDS_LIMITS else []
    if candidate.job is None:
        return ["The output belongs to no job."]
    if candidate.output != limits.name or candidate.media_type != limits.media_type:
        return ["The output has another name or type than the manifest declares."]
    if DOOR_OF_OUTPUT[limits.output_class] is not candidate.door_class:
        return ["The output is of another class than the manifest declares."]
    return []


def _subjects(candidate: Candidate, path: Path, policy: Policy) -> list[str]:
    if candidate.door_class not in _NEEDS_LIMITS:
        return []
    if candidate.subjects is None:
        return ["Nobody said on how many subjects the output was computed."]
    # The message leaves no count: it says that there are too few, not how many.
    if candidate.subjects < _smallest(candidate, policy):
        return [f"The output was computed on fewer than {_smallest(candidate, policy)} subjects."]
    return []


def _smallest(candidate: Candidate, policy: Policy) -> int:
    return max(policy.k, candidate.limits.minimum_count if candidate.limits else 1)


def _record(candidate: Candidate, path: Path, policy: Policy) -> list[str]:
    try:
        record = record_of(path, policy)
    except FairbankError as err:
        return [f"The record cannot be read: {err.what}"]
    if record.node != policy.node:
        return ["The record names another node."]
    if candidate.output != f"record-{record.dataset}":
        return ["The record is of another dataset than its name says."]
    reasons = [*disclosure.faults(record, policy.k), *_over_versions(record, policy)]
    if any(not _is_cell_of_words(cell) for cell in record.cube):
        reasons.append("A cell of the record holds words that are not of the vocabulary.")
    said = record.stewardship
    if said is not None and not (
        set(said.conditions) <= set(CONDITIONS) and set(said.biomarkers) <= set(BIOMARKERS)
    ):
        reasons.append("The record names a condition or a biomarker that is not of the vocabulary.")
    if any(not _VALUE.fullmatch(row.value) or _identifies(row.value) for row in record.distributions):
        reasons.append("A row of a distribution holds free text.")
    if any(not is_word_of(row.attribute, row.value) for row in record.distributions):
        reasons.append("A row of a distribution holds a word that is not of the vocabulary.")
    if any(variables.faults(each) for each in record.variables):
        reasons.append("A clinical variable of the record is not told by codes alone.")
    prose = _texts_in(record.model_dump(exclude=set(_OF_A_FORM)))
    agents = (step.agent for step in record.provenance)
    labels = (text for each in record.variables for text in _labels(each))
    if any(_UID.search(text) or _DATE.search(text) for text in (*prose, *agents, *labels)):
        reasons.append("A text of the record holds what looks like a DICOM identifier or a date.")
    steps = [(at.tool, at.tool_version, at.profile, at.source_system) for at in record.provenance]
    if any(not _VERSION.fullmatch(word) or _identifies(word) for step in steps for word in step if word):
        reasons.append("A step of the record's provenance is told by more than words and versions.")
    return reasons


def _labels(variable: variables.Variable) -> list[str]:
    return [variable.label, *(value.label for value in variable.values if value.label)]


def _over_versions(record: DatasetRecord, policy: Policy) -> list[str]:
    """Check what a record tells beside the records before it, and that its counts are rounded as the site asks."""
    base = record.rounded_to or 1
    try:
        counts = exact_counts(record)
    except ValueError as err:
        return [f"The counts of the record cannot be told apart: {err}."]
    reasons = differencing.faults(policy.published, record, policy.k, days=policy.interval_days)
    if any(value % base for value in counts.values()):
        reasons.append("A count of the record is not rounded as the record says.")
    news = not policy.published or differencing.differ(policy.published[-1], record)
    if news and base != policy.rounding_base:
        reasons.append("The counts of the record are not rounded as this site asks.")
    return reasons


def _is_cell_of_words(cell: Any) -> bool:
    return (
        (cell.modality in MODALITIES or cell.modality == UNKNOWN)
        and (cell.body_part == UNKNOWN or body_part(cell.body_part) == cell.body_part)
        and cell.manufacturer in (*MANUFACTURERS, OTHER_MANUFACTURER, UNKNOWN)
        and cell.slice_thickness in THICKNESS_BANDS
    )


def _aggregate(candidate: Candidate, path: Path, policy: Policy) -> list[str]:
    """Check an aggregate by the rules of its media type; a type without rules does not leave."""
    check = _AGGREGATES.get(candidate.media_type)
    return check(candidate, path, policy) if check else ["No rule allows an aggregate of this type."]


def _counts(candidate: Candidate, path: Path, policy: Policy) -> list[str]:
    """Check a table of counts: `{"schema": "counts/1", "counts": [{"group": [words], "count": Count}]}`."""
    parsed = _json(path)
    if not isinstance(parsed, dict) or set(parsed) != {"schema", "counts"} or parsed["schema"] != "counts/1":
        return ["The output is not a table of counts."]
    rows = parsed["counts"]
    if not isinstance(rows, list) or not rows:
        return ["The output is not a table of counts."]
    smallest, withheld = _smallest(candidate, policy), 0
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or set(row) != {"group", "count"} or not isinstance(row["group"], list):
            return [f"Row {number} is not a group and its count."]
        if not all(_is_word(word) for word in row["group"]):
            return [f"Row {number} names its group by more than words."]
        try:
            count = Count.model_validate(row["count"])
        except ValueError:
            return [f"Row {number} holds no count."]
        if count.kind is CountKind.EXACT and (count.value or 0) < smallest:
            return [f"Row {number} holds an exact count below {smallest}."]
        withheld += count.kind is not CountKind.EXACT
    if withheld == 1 and len(rows) > 1:
        return ["One row alone is withheld, so that the total would tell it."]
    return []


def _statistic(candidate: Candidate, path: Path, policy: Policy) -> list[str]:
    """Check the sums of a statistic, `statistic/1`, by what the node knows of them (`told_sums`)."""
    if candidate.sums is None:
        return ["Nobody said of which subjects the sums are."]
    return told_sums.faults(
        _json(path),
        candidate.sums,
        _rules(candidate, policy),
        number=candidate.round,
        is_word=_is_word,
    )


def _group_metrics(candidate: Candidate, path: Path, policy: Policy) -> list[str]:
    """Check metrics by group, `metrics-by-group/1`, by what the node knows of the groups (`group_metrics`)."""
    if candidate.groups is None:
        return ["Nobody said of which subjects the metrics are."]
    return group_metrics.faults(
        _json(path),
        candidate.groups,
        _rules(candidate, policy),
        number=candidate.round,
        is_word=_is_word,
    )


def _rules(candidate: Candidate, policy: Policy) -> TableRules:
    return TableRules(_smallest(candidate, policy), policy.dominance, policy.rounding_base)


def _result(candidate: Candidate, path: Path, policy: Policy) -> list[str]:
    """Check rows: `{"schema": "rows/1", "tool": …, "version": …, "rows": [{column: value}], "exclusions": […]}`."""
    if candidate.columns is None:
        return ["Nobody said which columns the result may have."]
    parsed = _json(path)
    if not isinstance(parsed, dict) or set(parsed) - {"exclusions"} != {"schema", "tool", "version", "rows"}:
        return ["The result is not a table of rows."]
    if parsed["schema"] != "rows/1" or not all(_is_word(parsed[key]) for key in ("tool", "version")):
        return ["The result is not a table of rows."]
    rows, smallest = parsed["rows"], _smallest(candidate, policy)
    if not isinstance(rows, list) or len(rows) < smallest:
        return [f"The result has fewer than {smallest} rows."]
    columns = {column.name: column for column in candidate.columns}
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or set(row) != set(columns):
            return [f"Row {number} has other columns than the approved code declares."]
        for name, value in row.items():
            if not _fits(columns[name], value):
                return [f"Row {number} holds something in column {name!r} that may not leave."]
    words = columns["reason"].words if "reason" in columns else ()
    return exclusions.faults(parsed.get("exclusions"), rows, words, k=smallest, base=policy.rounding_base)


def _fits(column: Column, value: Any) -> bool:
    if value is None:
        return column.kind is not ColumnKind.ROW_ID
    if isinstance(value, bool):
        return False
    match column.kind:
        case ColumnKind.NUMBER:
            if isinstance(value, int):
                return abs(value) <= LARGEST_INTEGER
            return isinstance(value, float) and math.isfinite(value)
        case ColumnKind.INTEGER:
            return isinstance(value, int) and abs(value) <= LARGEST_INTEGER
        case ColumnKind.WORD:
            return isinstance(value, str) and value in column.words and not _identifies(value)
        case ColumnKind.ROW_ID:
            return isinstance(value, str) and bool(_ROW_ID.fullmatch(value))


def _update(candidate: Candidate, path: Path, policy: Policy) -> list[str]:
    if not candidate.packed:
        return tensors.problems(path, candidate.tensors, encoded=candidate.encoded)
    most = min(policy.maximum_bytes, candidate.limits.maximum_bytes if candidate.limits else 0)
    # Beside the judged file: the outbox clears away what a crash leaves there.
    with NamedTemporaryFile(dir=path.parent, prefix="arriving-") as unpacked:
        try:
            unpack(path, into=unpacked.file, most_bytes=most)
        except FrameRefused as err:
            return [f"The update cannot be unpacked: {err}"]
        unpacked.flush()
        return tensors.problems(Path(unpacked.name), candidate.tensors, encoded=candidate.encoded)


def _error(candidate: Candidate, path: Path, policy: Policy) -> list[str]:
    if path.stat().st_size > 200:
        return ["An error report is a code and nothing else."]
    try:
        ErrorReport.parse(path.read_bytes())
    except FairbankError:
        return ["An error report is a code and nothing else."]
    return []


def _control(candidate: Candidate, path: Path, policy: Policy) -> list[str]:
    return ["A control message is sent at once and never staged."]


_AGGREGATES: Final[dict[str, Callable[[Candidate, Path, Policy], list[str]]]] = {
    "application/json": _counts,
    STATISTIC_TYPE: _statistic,
    GROUP_METRICS_TYPE: _group_metrics,
}

_CONTENT: Final[dict[DoorClass, Callable[[Candidate, Path, Policy], list[str]]]] = {
    DoorClass.CONTROL: _control,
    DoorClass.RECORD: _record,
    DoorClass.COUNT: _aggregate,
    DoorClass.RESULT: _result,
    DoorClass.UPDATE: _update,
    DoorClass.ERROR: _error,
}


def _json(path: Path) -> Any:
    if path.stat().st_size > _LARGEST_JSON_BYTES:
        return None
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=_no_twins, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and bool(_VALUE.fullmatch(value)) and not _identifies(value)


def _identifies(text: str) -> bool:
    """Tell whether a text looks like a UID, a date or a path."""
    return bool(_UID.search(text) or _DATE.search(text) or _PATH.search(text))


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts_in(inner)
    elif isinstance(value, str):
        yield value


def _numbers_in(value: Any) -> Iterator[int | float]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _numbers_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers_in(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value
