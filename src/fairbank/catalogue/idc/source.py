"""The files of an index: that of the series, and beside it what is known of the collections and of the releases.

They come with the package `idc-index-data` (extra `idc`), or lie in a folder under the same names.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairbank.catalogue.errors import IndexRefused
from fairbank.catalogue.idc.words import plain
from fairbank.errors import MissingExtra
from fairbank.signing import Digest, file_digest

if TYPE_CHECKING:
    import pyarrow.parquet as pq

PACKAGE: Final = "idc-index-data"
SERIES_FILE: Final = "idc_index.parquet"
COLLECTIONS_FILE: Final = "collections_index.parquet"
RELEASES_FILE: Final = "version_metadata_index.parquet"
ORIGINAL: Final = "original_data"


@dataclass(frozen=True, slots=True)
class Source:
    """One source of a collection: the original images, or an analysis of them.

    Attributes:
        address: where it is described, an http(s) address, or empty.
        parties: who provided, de-identified and converted it, in words.
    """

    doi: str
    title: str
    address: str
    is_original: bool
    parties: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class About:
    """What the index of collections says of one; a collection that it does not list has the defaults."""

    name: str = ""
    description: str = ""
    programme: str = ""
    species: str = ""
    cancer_types: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Index:
    """An index that can be read.

    Attributes:
        series: the file with one row per series.
        version: of the package that made it, or `unknown`.
        digest: of the file's bytes.
        about: what is known of the collections, by their id.
        releases: when each release of the IDC came out, by its number.
    """

    series: Path
    version: str
    digest: Digest
    about: Mapping[str, About] = field(default_factory=dict)
    releases: Mapping[int, datetime] = field(default_factory=dict)

    @property
    def release(self) -> str:
        """Return the newest release of the IDC that the index knows, such as `v25`."""
        return f"v{max(self.releases)}" if self.releases else self.version


def installed_index() -> Index:
    """Return the index of the installed package.

    Raises:
        MissingExtra: if it is not installed.
        IndexRefused: if one of its files cannot be read.
    """
    found = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if found is None or found.origin is None:
        raise MissingExtra.named("idc", needed_for="Importing the index of the Imaging Data Commons")
    folder = Path(found.origin).parent
    return index_at(folder / SERIES_FILE, version=metadata.version(PACKAGE))


def index_at(path: Path, *, version: str | None = None) -> Index:
    """Return the index in a file, with what lies beside it about collections and releases.

    Args:
        version: of the package; by default what the file says of itself.

    Raises:
        MissingExtra: if the library for such files is not installed.
        IndexRefused: if there is no such file, or it or one beside it is no Parquet.
    """
    opened = open_parquet(path)
    said = (opened.schema_arrow.metadata or {}).get(b"idc_index_data_version", b"").decode("ascii", "replace")
    return Index(
        series=path,
        version=version or said.partition("-")[0] or "unknown",
        digest=file_digest(path),
        about={
            plain(row.get("collection_id")): _about(row) for row in _rows(path.with_name(COLLECTIONS_FILE))
        },
        releases=dict(_releases(path.with_name(RELEASES_FILE))),
    )


def open_parquet(path: Path, *, coded: tuple[str, ...] = ()) -> pq.ParquetFile:
    """Open a Parquet file.

    Args:
        coded: text columns to read as dictionaries; those that the file lacks are left out.

    Raises:
        MissingExtra: if the library for such files is not installed.
        IndexRefused: if there is no such file, or it is no Parquet.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as err:
        raise MissingExtra.named("idc", needed_for="Reading a Parquet file") from err
    try:
        names = pq.read_schema(path).names if coded else []
        return pq.ParquetFile(path, read_dictionary=[name for name in coded if name in names])
    except FileNotFoundError as err:
        raise IndexRefused(
            f"There is no file {path.name}.",
            why="An index is read from a file on this machine.",
            todo="Check the path, or leave --parquet out to read the installed index.",
        ) from err
    except (pa.ArrowException, OSError) as err:
        raise unreadable(path) from err


def unreadable(path: Path) -> IndexRefused:
    """Return the error about a file that is no whole Parquet."""
    return IndexRefused(
        f"{path.name} cannot be read as Parquet.",
        why="It is of another format, or was cut short on its way.",
        todo="Fetch it again, or leave --parquet out to read the installed index.",
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    # These two are small tables of a few hundred rows; an index without them is an index all the same.
    if not path.exists():
        return []
    import pyarrow as pa

    try:
        rows: list[dict[str, Any]] = open_parquet(path).read().to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as err:
        raise unreadable(path) from err
    return rows


def _about(row: Mapping[str, Any]) -> About:
    sources = row.get("sources")
    return About(
        name=plain(row.get("collection_name")),
        description=plain(row.get("description")),
        programme=plain(row.get("program_id")),
        species=plain(row.get("species")),
        cancer_types=_listed(row.get("cancer_types")),
        locations=_listed(row.get("tumor_locations")),
        sources=tuple(_source(each) for each in sources) if isinstance(sources, list) else (),
    )


def _source(row: Mapping[str, Any]) -> Source:
    parties = row.get("provenance") or {}
    words = (
        ("from", plain(parties.get("source_data_provider"))),
        ("de-identified by", plain(parties.get("deidentification_party"))),
        ("converted by", plain(parties.get("dicom_conversion_by"))),
    )
    return Source(
        doi=plain(row.get("source_doi")).lower(),
        title=plain(row.get("source_title")),
        address=plain(row.get("source_url")),
        is_original=plain(row.get("source_type")) == ORIGINAL,
        parties=tuple(f"{word} {name}" for word, name in words if name and name != "NOT_APPLICABLE"),
    )


def _releases(path: Path) -> list[tuple[int, datetime]]:
    found = []
    for row in _rows(path):
        number, day = row.get("idc_version"), plain(row.get("version_timestamp"))[:10]
        try:
            at = date.fromisoformat(day)
        except ValueError:
            continue
        if isinstance(number, int):
            found.append((number, datetime(at.year, at.month, at.day, tzinfo=UTC)))
    return found


def _listed(text: object) -> tuple[str, ...]:
    words = (plain(word) for word in plain(text).split(","))
    return tuple(dict.fromkeys(word for word in words if word))
