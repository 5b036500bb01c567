"""Files of a folder by series, for a node: what lies on a disk is taken in as the series of an archive are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from fairbank.deid.identities import Identities
from fairbank.deid.pipeline import Group
from fairbank.deid.running.index import Index
from fairbank.deid.running.inputs import Head, heads_of, keyed_digest
from fairbank.deid.source_files import SourceFile


def groups_under(folder: Path, identity: Identities) -> Iterator[Group]:
    """Yield the files under a folder, or the file itself, by series; then those that belong to none."""

    def look(batches: Iterable[Sequence[Path]]) -> Iterator[list[Head]]:
        for paths in batches:
            yield heads_of(paths, identity)

    with closing(Index(folder, partial(keyed_digest, identity, "path"))) as index:
        index.fill(look)
        number = 0
        for unit in index.units():
            sources = [SourceFile(path, number + place) for place, path in enumerate(unit.paths, 1)]
            number += len(sources)
            yield Group(sources)
