"""Tools that note what they measure, and one that kills the process it runs in; other processes can import them."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairbank.analysis.contract import FRAME_REASONS, Contract, Row, identity_columns, number_column
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.tool import Desk, ToolParameters


@dataclass(frozen=True)
class Noting:
    """Gives each item the length of its name, and leaves a file per measurement."""

    notes: Path
    name: str = "intensity-geometry"
    version: str = "1"
    modules: tuple[str, ...] = ()
    parameters: type[ToolParameters] = ToolParameters
    reasons: tuple[str, ...] = FRAME_REASONS

    def contract(self, parameters: Any) -> Contract:
        return Contract((*identity_columns(self.reasons), number_column("value", "1", "A number.")))

    def measure(self, item: StagedSeries, parameters: Any, desk: Desk) -> Sequence[Row]:
        seen = len(list(self.notes.glob(f"{item.unit}-*")))
        (self.notes / f"{item.unit}-{seen}").touch()
        desk.say(0.5)
        self.misbehave(item)
        return [{"row": item.unit, "status": "ok", "value": len(item.unit)}]

    def misbehave(self, item: StagedSeries) -> None:
        """Do nothing wrong."""

    def measured(self) -> dict[str, int]:
        """Return how often each item was measured."""
        names = [note.name.rpartition("-")[0] for note in self.notes.iterdir()]
        return {name: names.count(name) for name in sorted(set(names))}


@dataclass(frozen=True)
class Killing(Noting):
    """Kills its process on one item, always."""

    victim: str = "u1"

    def misbehave(self, item: StagedSeries) -> None:
        if item.unit == self.victim:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Interrupted(Noting):
    """Breaks off the whole run at one item, the first time."""

    victim: str = "u2"

    def misbehave(self, item: StagedSeries) -> None:
        if item.unit == self.victim and len(list(self.notes.glob(f"{item.unit}-*"))) == 1:
            raise KeyboardInterrupt
