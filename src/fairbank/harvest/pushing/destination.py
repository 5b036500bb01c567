"""What a push asks of the archive that it sends to, and the values that it gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fairbank.harvest.pushing.outgoing import OutgoingFile, OutgoingSeries


@dataclass(frozen=True, slots=True)
class There:
    """What an archive says that it holds of a series.

    Attributes:
        count: how many files.
        sop_uids: which, where it tells without sending them.
    """

    count: int
    sop_uids: frozenset[str] | None = None


class Destination(Protocol):
    """A research archive that takes de-identified series."""

    @property
    def replaces(self) -> bool:
        """Tell whether it can be told to put a file in the place of another."""
        ...

    def there(self, series: OutgoingSeries) -> There:
        """Return what it holds of a series; a count of 0 if it knows nothing of it.

        Raises:
            HarvestError: saying why it cannot be asked.
        """
        ...

    def send(self, series: OutgoingSeries, files: Sequence[OutgoingFile], *, replace: bool) -> None:
        """Send files of a series; safe to send twice.

        Raises:
            HarvestError: saying why they were not taken.
        """
        ...

    def fetch(self, series: OutgoingSeries, into: Path) -> list[Path]:
        """Return the files of a series as the archive has them, copied into an empty folder."""
        ...

    def close(self) -> None:
        """Log out; a closed destination may be closed again."""
        ...
