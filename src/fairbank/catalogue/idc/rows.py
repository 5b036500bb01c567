"""The rows of an index, read in batches and kept small: which can be counted, and why the others cannot.

A row is left out only where it says not what it counts: its collection, subject, study, series or number of images. All
else that is missing or not understood is `unknown`. Texts are looked at once per batch and value, not once per row.
About 120 bytes per series stay in memory, because an index need not be sorted by collection.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairbank.catalogue.errors import IndexRefused
from fairbank.catalogue.idc import words
from fairbank.catalogue.idc.source import Index, open_parquet, unreadable
from fairbank.ontology import vocabulary
from fairbank.ontology.record import UNKNOWN

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS: Final = 65_536
MOST_INSTANCES: Final = 2**31 - 1
TWICE: Final = "SeriesInstanceUID: listed before"
_UNUSABLE: Final = "missing or not usable"

Read = Callable[[str | None], str | None]
# What a row counts for: it is left out without one of these.
_IDENTITIES: Final[dict[str, tuple[str, Read]]] = {
    "collection": ("collection_id", words.collection),
    "subject": ("PatientID", words.subject),
    "study": ("StudyInstanceUID", words.uid),
    "series": ("SeriesInstanceUID", words.uid),
}
# What it is counted by.
_FACTS: Final[dict[str, tuple[str, Read]]] = {
    "modality": ("Modality", vocabulary.modality),
    "body_part": ("BodyPartExamined", vocabulary.body_part),
    "manufacturer": ("Manufacturer", vocabulary.normalise_manufacturer),
    "model": ("ManufacturerModelName", words.word),
    "sex": ("PatientSex", words.sex),
    "age_band": ("PatientAge", words.age_band),
    "licence": ("license_short_name", words.word),
    "doi": ("source_DOI", words.doi),
}
_INSTANCES: Final = "instanceCount"
# The releases of the IDC in which a series was new, and was last changed.
_RELEASES: Final = {"first_release": "series_init_idc_version", "last_release": "series_revised_idc_version"}
_CODED: Final = tuple(column for name, (column, _) in {**_IDENTITIES, **_FACTS}.items() if name != "series")


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read.

    Attributes:
        rows: how many rows the index has.
        collections: the rows that count, by collection, as tables of codes.
        left_out: rows that do not count, by reason.
        unknown: values that are there and were not understood, by column.
    """

    rows: int
    collections: dict[str, pa.Table]
    left_out: Counter[str]
    unknown: Counter[str]


def read(
    index: Index,
    *,
    only: Collection[str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Reading:
    """Read an index.

    Args:
        only: the ids of the collections to keep; None keeps all.
        progress: is told after each batch how many rows of how many were read.

    Raises:
        IndexRefused: if the file has no such columns, or ends in the middle.
    """
    import pyarrow as pa

    opened = open_parquet(index.series, coded=_CODED)
    _check_columns(opened.schema_arrow.names)
    wanted = [column for column, _ in (*_IDENTITIES.values(), *_FACTS.values())]
    wanted += [_INSTANCES, *_RELEASES.values()]
    left_out: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    parts: dict[str, list[pa.Table]] = defaultdict(list)
    done, total = 0, opened.metadata.num_rows
    try:
        for batch in opened.iter_batches(BATCH_ROWS, columns=wanted, use_threads=False):
            for name, table in _by_collection(_counted(batch, left_out, unknown)):
                if only is None or name in only:
                    parts[name].append(table)
            done += batch.num_rows
            progress(done, total)
    except (pa.ArrowException, OSError) as err:
        raise unreadable(index.series) from err
    collections = {name: _once(pa.concat_tables(tables), left_out) for name, tables in sorted(parts.items())}
    return Reading(total, collections, left_out, unknown)


def _check_columns(names: list[str]) -> None:
    needed = [*(column for column, _ in _IDENTITIES.values()), "Modality", _INSTANCES]
    if missing := [column for column in needed if column not in names]:
        raise IndexRefused(
            f"The file lacks the columns {', '.join(missing)}.",
            why="Without these, nothing in it can be counted.",
            todo="Give the file idc_index.parquet of the package idc-index-data, or one with its columns.",
        )


def _counted(batch: pa.RecordBatch, left_out: Counter[str], unknown: Counter[str]) -> pa.Table:
    """Return the rows of a batch that count, as columns of codes."""
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for name, (column, understood) in _IDENTITIES.items():
        columns[name] = _identity(_of(batch, column), understood)
    columns["series"] = columns["series"].cast("large_string")
    for name, (column, understood) in _FACTS.items():
        columns[name], amiss = _fact(_of(batch, column), understood)
        if amiss:
            unknown[column] += amiss
    columns["instances"] = _numbers(_of(batch, _INSTANCES), least=1)
    for name, column in _RELEASES.items():
        columns[name] = _numbers(_of(batch, column), least=1)
    usable = np.ones(batch.num_rows, dtype=bool)
    for name, column in (*((name, of) for name, (of, _) in _IDENTITIES.items()), ("instances", _INSTANCES)):
        valid = columns[name].is_valid().to_numpy(zero_copy_only=False)
        if bad := int((usable & ~valid).sum()):
            left_out[f"{column}: {_UNUSABLE}"] += bad
        usable &= valid
    table = pa.table(columns)
    return table if usable.all() else table.filter(pa.array(usable))


def _of(batch: pa.RecordBatch, column: str) -> Any:
    import pyarrow as pa

    if column not in batch.schema.names:
        return pa.nulls(batch.num_rows, pa.string())
    return batch.column(column)


def _identity(array: Any, understood: Read) -> Any:
    # Series are all different: codes would only cost.
    if understood is words.uid and _all_uids(array):
        return array.cast("large_string")
    coded, texts = _texts(array)
    return _taken([understood(text) if text else None for text in texts], coded)


def _all_uids(array: Any) -> bool:
    """Tell whether each value of a plain column is a UID as it stands, which it nearly always is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type) or array.null_count:
        return False
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return False
    fits = pc.match_substring_regex(array.cast("large_binary"), r"^[0-9.]{1,64}$")
    return bool(pc.all(fits, min_count=0).as_py())


def _fact(array: Any, understood: Read) -> tuple[Any, int]:
    """Return a column of words, and how many values of it were there and are `unknown` now."""
    coded, texts = _texts(array)
    values = [understood(text) for text in texts]
    amiss = np.array(
        [bool(words.plain(text)) and value == UNKNOWN for text, value in zip(texts, values, strict=True)]
    )
    indices = coded.indices.drop_null().to_numpy()
    filled = _taken([*values, UNKNOWN], coded, null=len(values))
    return filled, int(amiss[indices].sum()) if amiss.any() else 0


def _texts(array: Any) -> tuple[Any, list[str | None]]:
    """Return a column as codes, and the text of each code; bytes that are no UTF-8 become a sign for that."""
    import pyarrow as pa

    coded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    dictionary = coded.dictionary
    if not (pa.types.is_string(dictionary.type) or pa.types.is_large_string(dictionary.type)):
        return coded, [None if value is None else str(value) for value in dictionary.to_pylist()]
    raw = dictionary.cast("large_binary").to_pylist()
    return coded, [None if value is None else value.decode("utf-8", "replace") for value in raw]


def _taken(values: list[str | None], coded: Any, *, null: int | None = None) -> Any:
    """Return the values at the codes of a column, as codes again, each value once."""
    import pyarrow as pa

    indices = coded.indices if null is None else coded.indices.fill_null(null)
    return pa.array(values, pa.string()).take(indices).dictionary_encode()


def _numbers(array: Any, *, least: int) -> Any:
    """Return a column of whole numbers, null where there is none or it is out of range."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_integer(array.type):
        coded, texts = _texts(array)
        read = [int(text) if text and text.isdecimal() and len(text) < 12 else None for text in texts]
        array = pa.array(read, pa.int64()).take(coded.indices)
    inside = pc.and_(pc.greater_equal(array, least), pc.less_equal(array, MOST_INSTANCES))
    return pc.if_else(inside, array, None).cast("int32")


def _by_collection(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    import pyarrow as pa

    if not table.num_rows:
        return
    coded = table.column("collection").combine_chunks()
    coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
    codes = coded.indices.to_numpy()
    for code in np.unique(codes):
        chosen = codes == code
        part = table if chosen.all() else table.filter(pa.array(chosen))
        yield coded.dictionary[int(code)].as_py(), part.drop_columns("collection")


def _once(table: pa.Table, left_out: Counter[str]) -> pa.Table:
    """Return a collection's rows with each series once: its first."""
    import pyarrow as pa

    _, first = np.unique(codes_of(table, "series")[0], return_index=True)
    if len(first) < table.num_rows:
        left_out[TWICE] += table.num_rows - len(first)
        table = table.take(pa.array(np.sort(first)))
    return table.drop_columns("series")


def codes_of(table: pa.Table, column: str) -> tuple[np.ndarray[Any, Any], pa.Array]:
    """Return a text column as codes `(n_rows,) int64`, and the texts in the order of the codes."""
    import pyarrow as pa

    chunked = table.column(column)
    if not pa.types.is_dictionary(chunked.type):
        chunked = chunked.dictionary_encode()
    combined = chunked.unify_dictionaries().combine_chunks()
    combined = combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined
    return combined.indices.to_numpy().astype(np.int64), combined.dictionary
