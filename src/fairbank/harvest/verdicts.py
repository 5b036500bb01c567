"""Whether a series that an archive describes may be in the index, and in what leaves the node.

The header harvest asks a judge, one page of series at a time, before anything of them is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fairbank.harvest.described import SeriesDescription
from fairbank.harvest.sources.protocol import ArchiveDeid


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may become of one series.

    Attributes:
        left_out: why it is neither indexed nor counted, such as for want of consent; None if it may be.
        held: why it is indexed but may not be published; None if it may be.
    """

    left_out: str | None = None
    held: str | None = None


class Judge(Protocol):
    """Decides on series before they are indexed."""

    def __call__(
        self, descriptions: Sequence[SeriesDescription], *, project: str, archive: ArchiveDeid | None
    ) -> Sequence[Verdict]:
        """Return one verdict per description, in their order.

        Args:
            descriptions: one page of what the archive says, with its own ids.
            project: the project that they go to.
            archive: how the archive says that it de-identifies, if it does.
        """
        ...


def admit_all(
    descriptions: Sequence[SeriesDescription], *, project: str, archive: ArchiveDeid | None
) -> Sequence[Verdict]:
    """Return that every series may be indexed and published."""
    return [Verdict()] * len(descriptions)
