"""Describing series of an archive that gives files but no descriptions: fetched, headers read, and deleted again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from fairbank.deid.facts import Recorder
from fairbank.deid.part10 import quiet_pydicom
from fairbank.harvest.described import describe_datasets
from fairbank.harvest.errors import (
    HarvestError,
    SourceLoginRefused,
    SourceUnreachable,
)
from fairbank.harvest.sources.protocol import Described, Item, Source

# A header longer than this holds a picture or a document in an element of its own; such values stay in the file.
_LONG_VALUE_BYTES = 4096
# What reading a damaged file can raise; elements are decoded only when they are looked at.
_DAMAGE = (
    InvalidDicomError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    EOFError,
    NotImplementedError,
)


class FetchedHeaders:
    """Describes what a source only gives as files, one item at a time in a private folder."""

    def __init__(self, source: Source, *, incoming: Path, recorder: Recorder) -> None:
        self._source = source
        self._incoming = incoming
        self._recorder = recorder

    def describe(self, container: str, items: Sequence[Item]) -> Iterator[Described]:
        """Yield one result per item; the files of each are deleted before the next is fetched."""
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        for item in items:
            try:
                yield self._one(container, item)
            except (SourceUnreachable, SourceLoginRefused):
                raise
            except HarvestError as err:
                yield Described(item, None, err)

    def _one(self, container: str, item: Item) -> Described:
        with tempfile.TemporaryDirectory(dir=self._incoming) as folder:
            headers = [
                header
                for instance in self._source.fetch(container, item, Path(folder))
                if (header := _header(instance.path)) is not None
            ]
            try:
                return self._described(item, headers)
            except _DAMAGE:
                # One damaged element spoils the whole; the other files of the series still describe it.
                return self._described(item, [header for header in headers if self._is_sound(header)])

    def _described(self, item: Item, headers: list[Dataset]) -> Described:
        found = describe_datasets(headers, recorder=self._recorder, expected_instances=item.files)
        return Described(item, found)

    def _is_sound(self, header: Dataset) -> bool:
        try:
            describe_datasets([header], recorder=self._recorder)
        except (*_DAMAGE, HarvestError):
            return False
        return True


def _header(path: Path) -> Dataset | None:
    try:
        with quiet_pydicom():
            return pydicom.dcmread(path, stop_before_pixels=True, defer_size=_LONG_VALUE_BYTES)
    except _DAMAGE:
        return None
