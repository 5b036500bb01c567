"""What was pushed before and seen at its destination: one line per file, appended once it was compared.

A receipt holds pseudonyms and keyed digests only. Losing the file costs time: what is there is then compared anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from fairbank.harvest.pushing.outgoing import OutgoingFile, OutgoingSeries

_FOLDER = "pushed"


class Receipts:
    """The receipts of a project at one destination.

    Args:
        home: the node's folder.
        destination: the source's name at the node, and what is sent into there.
        project: of the research store.
    """

    def __init__(self, home: Path, destination: tuple[str, str], project: str) -> None:
        name = "+".join(_plain(part) for part in (*destination, project) if part)
        self._path = home / _FOLDER / f"{name}.jsonl"
        self._known = dict(self._read())

    def cover(self, series: OutgoingSeries) -> bool:
        """Return whether each file of a series was seen at the destination as it is now."""
        return all(self._known.get(_key(series, file)) == file.digest for file in series.files)

    def add(self, series: OutgoingSeries, files: Iterable[OutgoingFile]) -> None:
        """Note files that were compared; on disk when this returns."""
        new = {_key(series, file): file.digest for file in files}
        new = {key: digest for key, digest in new.items() if self._known.get(key) != digest}
        if not new:
            return
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        with self._path.open("a", encoding="ascii") as file:
            file.writelines(json.dumps([key, digest]) + "\n" for key, digest in new.items())
            file.flush()
            os.fsync(file.fileno())
        self._known |= new

    def _read(self) -> list[tuple[str, str]]:
        if not self._path.exists():
            return []
        found = []
        for line in self._path.read_text(encoding="ascii", errors="replace").splitlines():
            try:
                key, digest = json.loads(line)
            except ValueError:
                continue  # the last line of a run that was killed
            found.append((str(key), str(digest)))
        return found


def _key(series: OutgoingSeries, file: OutgoingFile) -> str:
    return f"{series.series_uid}/{file.sop_uid}"


def _plain(text: str) -> str:
    return "".join(each if each.isalnum() or each in "-_." else f"%{ord(each):x}" for each in text)
