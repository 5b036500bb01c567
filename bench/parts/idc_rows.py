"""The series of the index as rows for DuckDB and as a graph of triples: what a catalogue without a cube would query.

The words (modality, body part, manufacturer) are those of the catalogue in all three, so that answers can be compared.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from fairbank.catalogue.idc.record import dataset_name
from fairbank.catalogue.idc.rows import read
from fairbank.catalogue.idc.source import Index
from fairbank.ontology import vocabulary
from fairbank.ontology.body_part_tree import BROADER, with_narrower

TERMS = "https://series.test/#"
CHEST = tuple(with_narrower(["CHEST"]))
# The same four questions three times. q1: datasets by modality. q2: series by modality, body part and manufacturer.
# q4: datasets with at least 20 CT series of the chest or a part of it. q6: totals of each dataset.
IN_SQL = {
    "q1": "SELECT modality, count(DISTINCT dataset) FROM series GROUP BY modality",
    "q2": "SELECT modality, body_part, manufacturer, count(*) FROM series GROUP BY ALL",
    "q4": "SELECT dataset, count(*) FROM series WHERE modality = 'CT' AND body_part IN "
    f"({', '.join(repr(part) for part in CHEST)}) GROUP BY dataset HAVING count(*) >= 20",
    "q6": "SELECT dataset, count(*), count(DISTINCT study), count(DISTINCT subject) FROM series GROUP BY dataset",
}
_VALUES = "VALUES ?part { " + " ".join(f'"{part}"' for part in CHEST) + " }"
ON_SERIES = {
    "q1": "SELECT ?m (COUNT(DISTINCT ?d) AS ?n) { ?s :modality ?m ; :dataset ?d } GROUP BY ?m",
    "q2": "SELECT ?m ?b ?v (COUNT(?s) AS ?n) { ?s :modality ?m ; :bodyPart ?b ; :manufacturer ?v } "
    "GROUP BY ?m ?b ?v",
    "q4": f"SELECT ?d (COUNT(?s) AS ?n) {{ {_VALUES} ?s :bodyPart ?part ; :modality 'CT' ; :dataset ?d }} "
    "GROUP BY ?d HAVING (COUNT(?s) >= 20)",
    "q6": "SELECT ?d (COUNT(?s) AS ?n) (COUNT(DISTINCT ?st) AS ?t) (COUNT(DISTINCT ?p) AS ?u) "
    "{ ?s :dataset ?d ; :study ?st ; :subject ?p } GROUP BY ?d",
}
ON_CUBE = {
    "q1": "SELECT ?m (COUNT(DISTINCT ?d) AS ?n) { ?c fb:modality ?m ; fb:ofDataset ?d } GROUP BY ?m",
    "q2": "SELECT ?m ?b ?v (SUM(?s) AS ?n) "
    "{ ?c fb:modality ?m ; fb:bodyPart ?b ; fb:manufacturer ?v ; fb:seriesCount ?s } GROUP BY ?m ?b ?v",
    "q4": f"SELECT ?d (SUM(?s) AS ?n) {{ {_VALUES} ?c fb:bodyPart ?part ; fb:modality 'CT' ; fb:ofDataset ?d ; "
    "fb:seriesCount ?s } GROUP BY ?d HAVING (SUM(?s) >= 20)",
    # Studies and subjects do not add up over cells, so their totals are published beside the cube.
    "q6": "SELECT ?d (SUM(?s) AS ?n) (SAMPLE(?t) AS ?studies) (SAMPLE(?u) AS ?subjects) "
    "{ ?c fb:ofDataset ?d ; fb:seriesCount ?s . ?d fb:studyCount ?t ; fb:subjectCount ?u } GROUP BY ?d",
}


def table_of(index: Index, *, only: set[str] | None) -> pa.Table:
    """Return the series as rows: number, dataset, study, subject and the three axes."""
    parts = []
    for collection, rows in read(index, only=only).collections.items():
        name = pa.array([dataset_name(collection)]).dictionary_encode().take(pa.array([0] * rows.num_rows))
        columns = {
            axis: rows.column(axis) for axis in ("study", "subject", "modality", "body_part", "manufacturer")
        }
        parts.append(pa.table({"dataset": name, **columns}))
    return pa.concat_tables(parts).unify_dictionaries()


def in_duckdb(table: pa.Table) -> duckdb.DuckDBPyConnection:
    """Return a database in memory, of one thread, that holds the rows."""
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.register("arriving", table)
    connection.execute("CREATE TABLE series AS SELECT * FROM arriving")
    connection.unregister("arriving")
    return connection


def triples_of(table: pa.Table) -> Iterator[str]:
    """Yield one N-Triples text per series; the IRIs are short, so the graph is smaller than with real identifiers."""
    number = 0
    for batch in table.to_batches(max_chunksize=50_000):
        columns = [column.cast("string").to_pylist() for column in batch.columns]
        for dataset, study, subject, modality, body_part, manufacturer in zip(*columns, strict=True):
            number += 1
            s = f"<urn:s:{number}> <{TERMS}"
            yield (
                f"{s}dataset> <urn:d:{dataset}> .\n{s}study> <urn:t:{study}> .\n"
                f'{s}subject> <urn:p:{dataset}:{_safe(subject)}> .\n{s}modality> "{modality}" .\n'
                f'{s}bodyPart> "{body_part}" .\n{s}manufacturer> "{manufacturer}" .\n'
            )


class Text(io.RawIOBase):
    """A file that is written while it is read."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces, self._left = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = len(buffer)
        parts, length = [self._left], len(self._left)
        while length < size and (piece := next(self._pieces, "")):
            parts.append(piece.encode())
            length += len(parts[-1])
        joined = b"".join(parts)
        given, self._left = joined[:size], joined[size:]
        buffer[: len(given)] = given
        return len(given)


# -- the identical graph for two engines: some series with all that a record would say of them -------------------------

_FULL = {
    "PatientID": "subject", "StudyInstanceUID": "study", "SeriesDescription": "description", "SeriesDate": "date",
    "instanceCount": "instances", "ManufacturerModelName": "model", "SeriesNumber": "number", "PatientSex": "sex",
}  # fmt: skip
SAME_GRAPH = {
    "q1 datasets by modality": "SELECT ?m (COUNT(DISTINCT ?d) AS ?n) { ?s :modality ?m ; :dataset ?d } GROUP BY ?m",
    "q1b the same of datasets": "SELECT ?m (COUNT(?d) AS ?n) { ?d a :Dataset ; :holds ?m } GROUP BY ?m",
    "q2 three facets": ON_SERIES["q2"],
    "q3 a word in 179 texts": "SELECT ?d { ?d a :Dataset ; :about ?t FILTER CONTAINS(LCASE(?t), 'screening') }",
    "q3b a word in all texts": "SELECT ?s { ?s :description ?t FILTER CONTAINS(LCASE(?t), 'axial') }",
    "q5 path of body parts": "SELECT ?b (COUNT(?n) AS ?k) { ?x :partOf ?b . ?n :partOf* ?b } GROUP BY ?b",
    "q6 totals of datasets": "SELECT ?d (COUNT(?s) AS ?n) (SUM(?i) AS ?k) (COUNT(DISTINCT ?st) AS ?t) "
    "{ ?s :dataset ?d ; :instances ?i ; :study ?st } GROUP BY ?d",
    "q7 page of datasets": "SELECT ?d ?t { ?d a :Dataset ; :title ?t } ORDER BY DESC(?t) LIMIT 20",
    "q8 one record": "CONSTRUCT { ?d ?p ?o } WHERE { ?d :identifier 'nlst' ; ?p ?o }",
    "q9 by identifier": "SELECT ?d ?t { ?d :identifier 'nlst' ; :title ?t }",
}


def same_graph(index: Index, *, series: int, folder: Path) -> Path:
    """Write every n-th series of the index, and all datasets, as N-Triples; return the file."""
    opened = pq.ParquetFile(index.series)
    wanted = ["collection_id", "Modality", "BodyPartExamined", "Manufacturer", *_FULL]
    step = max(1, opened.metadata.num_rows // series)
    path, left, first = folder / "series.nt", series, 0
    holds: dict[str, set[str]] = {}
    with path.open("w", encoding="utf-8") as file:
        for batch in opened.iter_batches(65_536, columns=wanted, use_threads=False):
            chosen = batch.take(pa.array(range(first, batch.num_rows, step)))
            first = (first - batch.num_rows) % step
            for row in chosen.to_pylist()[:left]:
                left -= 1
                dataset = dataset_name(row["collection_id"])
                modality = vocabulary.modality(row["Modality"])
                holds.setdefault(str(dataset), set()).add(modality)
                s = f"<urn:s:{left}>"
                file.write(f"{s} <{_TYPE}> <{TERMS}Series> .\n{s} <{TERMS}dataset> <urn:d:{dataset}> .\n")
                said = {
                    "modality": modality,
                    "bodyPart": vocabulary.body_part(row["BodyPartExamined"]),
                    "manufacturer": vocabulary.normalise_manufacturer(row["Manufacturer"]),
                    **{name: row[column] for column, name in _FULL.items()},
                }
                file.writelines(
                    f"{s} <{TERMS}{name}> {_literal(value)} .\n"
                    for name, value in said.items()
                    if value is not None
                )
        for collection, about in sorted(index.about.items()):
            name = dataset_name(collection)
            d = f"<urn:d:{name}>"
            said = {"title": about.name, "about": about.description, "identifier": name}
            file.write(f"{d} <{_TYPE}> <{TERMS}Dataset> .\n")
            file.writelines(f"{d} <{TERMS}{word}> {_literal(value)} .\n" for word, value in said.items())
            file.writelines(
                f"{d} <{TERMS}holds> {_literal(word)} .\n" for word in sorted(holds.get(str(name), set()))
            )
        file.writelines(
            f"<urn:b:{part}> <{TERMS}partOf> <urn:b:{whole}> .\n" for part, whole in BROADER.items()
        )
    return path


_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"


def _literal(value: object) -> str:
    if isinstance(value, int):
        return f'"{value}"^^<http://www.w3.org/2001/XMLSchema#integer>'
    # NUL and other control characters stand in the index; N-Triples takes them as escapes.
    escaped = "".join(
        f"\\u{ord(sign):04X}" if sign < " " or sign in '"\\\x7f' else sign for sign in str(value)
    )
    return f'"{escaped}"'


def _safe(name: str) -> str:
    return "".join(sign if sign.isalnum() else f"-{ord(sign):x}-" for sign in name)
