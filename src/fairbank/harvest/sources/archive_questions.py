"""What a DICOM archive is asked about its series, by C-FIND or QIDO-RS, and what is kept of an answer.

Answers hold names and dates of birth whether one asks for them or not. Only ids, a date and a digest go on from here.
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from fairbank.errors import Sensitive
from fairbank.harvest.errors import BadDefinition, FilterNotKept
from fairbank.harvest.sources.protocol import Container, Item

# The one container of an archive that knows no projects.
WHOLE: Final = "."
# Attributes that a filter may name, by the level that has them (DICOM PS3.4, C.6.2.1; PS3.18, table 10.6.1-5).
FILTER_KEYS: Final[Mapping[str, str]] = {
    "PatientID": "STUDY",
    "IssuerOfPatientID": "STUDY",
    "StudyID": "STUDY",
    "StudyDescription": "STUDY",
    "InstitutionName": "SERIES",
    "InstitutionalDepartmentName": "SERIES",
    "Modality": "SERIES",
    "SeriesDescription": "SERIES",
    "ProtocolName": "SERIES",
}
# What the version of a series is made of, as far as the archive gives it.
VERSION_KEYS: Final = (
    "PatientID",
    "StudyDate",
    "Modality",
    "SeriesDate",
    "SeriesTime",
    "SeriesDescription",
    "SeriesNumber",
    "NumberOfSeriesRelatedInstances",
)


@dataclass(frozen=True, slots=True)
class ListedSeries:
    """A series as an archive lists it; it may identify a person, and is never printed.

    Attributes:
        study_date: `YYYYMMDD`, empty where the study has none.
        instances: how many instances the archive says it has, if it does.
        digest: SHA-256 over what makes its version.
    """

    study_uid: str
    series_uid: str
    study_date: str
    instances: int | None
    digest: str

    @property
    def local_id(self) -> str:
        """Return its id at the archive: UIDs contain no slash."""
        return f"{self.study_uid}/{self.series_uid}"

    @property
    def key(self) -> str:
        """Return what tells it from another line of the listing: one UID may be given to two patients."""
        return f"{self.local_id} {self.digest}"

    def __repr__(self) -> str:
        return "ListedSeries(…)"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which part of an archive a source reads: attributes, each with the value or pattern (`*`, `?`) that it must have.

    Source: wildcard matching of DICOM PS3.4, C.2.2.2.4.
    """

    wanted: Mapping[str, Sensitive[str]]

    @classmethod
    def parse(cls, text: str) -> Filter:
        """Read `Keyword=value`, several joined with `&`.

        Raises:
            BadDefinition: if a keyword is not one that can be filtered by, or has no value.
        """
        wanted: dict[str, Sensitive[str]] = {}
        for part in filter(None, text.split("&")):
            keyword, _, value = part.partition("=")
            if keyword not in FILTER_KEYS or not value.strip():
                raise BadDefinition(
                    "The filter of a source cannot be understood.",
                    why=f"It has the form Keyword=value, with these keywords: {', '.join(FILTER_KEYS)}.",
                    todo="Correct it; several conditions are joined with &.",
                )
            wanted[keyword] = Sensitive(value.strip(), reference="a value")
        return cls(wanted)

    def of_level(self, level: str) -> dict[str, str]:
        """Return what is asked of studies (`STUDY`) or series (`SERIES`)."""
        return {key: value.reveal() for key, value in self.wanted.items() if FILTER_KEYS[key] == level}

    def check(self, level: str, values: Mapping[str, str], *, name: str) -> None:
        """See that an answer keeps to the filter: servers ignore what they do not know, and then give everything.

        Args:
            level: which attributes the answer should have.
            values: what it has, by keyword.
            name: the source's name at the node.

        Raises:
            FilterNotKept: if it does not.
        """
        for keyword, wanted in self.of_level(level).items():
            if not _matches(values.get(keyword, ""), wanted):
                raise FilterNotKept(
                    f"The archive {name} does not keep to the filter by {keyword}.",
                    why="It lists series that do not have the wanted value, or does not say which value they have.",
                    todo="Filter by another attribute, or give its user access to that part only.",
                )


def whole_archive(name: str) -> Container:
    """Return the one container of an archive."""
    return Container(WHOLE, name)


def items_of(listed: Iterable[ListedSeries]) -> tuple[Item, ...]:
    """Return items, sorted by id; lines that share their UIDs are one, because an archive fetches them as one."""
    by_id: dict[str, list[ListedSeries]] = {}
    for series in listed:
        by_id.setdefault(series.local_id, []).append(series)
    items = []
    for local_id, lines in sorted(by_id.items()):
        counts = [line.instances for line in lines]
        known = [count for count in counts if count is not None]
        version = lines[0].digest if len(lines) == 1 else version_of(sorted(line.digest for line in lines))
        items.append(Item(local_id, version, sum(known) if len(known) == len(counts) else None))
    return tuple(items)


def says_all_dated(options: Mapping[str, str]) -> bool:
    """Read the option `undated`.

    Raises:
        BadDefinition: if it is anything but `none`.
    """
    if "undated" not in options:
        return False
    if options["undated"] != "none":
        raise BadDefinition(
            "The option undated of a source has no such value.",
            why="It can only say 'none': that every study of the archive has a date.",
            todo="Leave it out if some may have none.",
        )
    return True


def version_of(values: Iterable[str]) -> str:
    """Return the digest of what makes a series' version."""
    return hashlib.sha256("\0".join(values).encode(errors="surrogateescape")).hexdigest()


def count_of(text: str) -> int | None:
    """Return a number of instances, None where an archive says nothing usable."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _matches(value: str, pattern: str) -> bool:
    # In fnmatch a bracket begins a set of characters; in DICOM it is a bracket.
    shell = pattern.replace("[", "[[]").casefold()
    return any(fnmatch.fnmatchcase(one.strip().casefold(), shell) for one in value.split("\\"))
