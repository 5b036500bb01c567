"""What is finished of a run, written down item by item, so that a killed run goes on where it was.

    {"schema": "journal/1", "of": "sha256:…"}
    {"begun": "s000001-…"}
    {"done": "s000001-…", "rows": [{…}]}

A line counts once it ends. What a kill left half written, and all that follows it, is cut off.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fairbank.analysis.contract import Row

_SCHEMA = "journal/1"


class Journal:
    """The journal of one run; use it as a context.

    Args:
        file: where it is kept.
        of: digest of all that decides the rows. A journal of something else is thrown away.

    Attributes:
        rows: the rows of each item that is finished.
        begun: items that were begun and are not finished; of an earlier process, or of this one.
    """

    def __init__(self, file: Path, *, of: str) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.begun: set[str] = set()
        kept = self._read(file, of)
        self._opened = file.open("r+b" if kept else "w+b")
        if kept:
            self._opened.truncate(kept)
            self._opened.seek(kept)
        else:
            self._write({"schema": _SCHEMA, "of": of})

    def begin(self, unit: str) -> None:
        """Write down that an item is begun."""
        self._take({"begun": unit})
        self._write({"begun": unit})

    def finish(self, unit: str, rows: Sequence[Row]) -> None:
        """Write down the rows of an item."""
        line = {"done": unit, "rows": [dict(row) for row in rows]}
        self._take(line)
        self._write(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def _read(self, file: Path, of: str) -> int:
        """Take what a journal holds; return how many of its bytes are sound, 0 if it is to be begun anew."""
        if not file.is_file():
            return 0
        kept = 0
        for number, line in enumerate(file.read_bytes().splitlines(keepends=True)):
            try:
                said = json.loads(line) if line.endswith(b"\n") else None
                if number == 0 and said != {"schema": _SCHEMA, "of": of}:
                    return 0
                if said is None:
                    break
                if number:
                    self._take(said)
            except (ValueError, KeyError, TypeError):
                break
            kept += len(line)
        return kept

    def _take(self, said: dict[str, Any]) -> None:
        if "begun" in said:
            self.begun.add(str(said["begun"]))
            return
        unit = str(said["done"])
        self.rows[unit] = list(said["rows"])
        self.begun.discard(unit)

    def _write(self, said: dict[str, Any]) -> None:
        # One write per line: what the system has taken survives the end of this process.
        self._opened.write(json.dumps(said, allow_nan=False, separators=(",", ":")).encode() + b"\n")
        self._opened.flush()
