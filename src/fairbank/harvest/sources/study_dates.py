"""Listing all of an archive that caps what a question returns: by windows of study dates, divided while full.

Servers cap what one question returns, say so or not, and may ignore an offset. A question about fewer days has fewer
answers; what cannot be proven to be all is said not to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Generic, Protocol, TypeVar

# No archive holds images of other years; a study dated otherwise is found by the question without a date.
FIRST_DAY, LAST_DAY = date(1895, 1, 1), date(2155, 12, 31)
# Caps are round numbers: as many answers as that may be all there are, or all that the server gives.
_ROUND = 50
_FORMAT = "%Y%m%d"


class Dated(Protocol):
    """What an archive lists: `study_date` as `YYYYMMDD`, empty where it has none."""

    @property
    def study_date(self) -> str:
        """Return the date of the study."""
        ...


R = TypeVar("R", bound=Dated)


@dataclass(frozen=True, slots=True)
class Window:
    """Some days, both ends included."""

    first: date
    last: date

    @property
    def text(self) -> str:
        """Return the window as a range that a question matches (DICOM PS3.4, C.2.2.2.5)."""
        return f"{self.first.strftime(_FORMAT)}-{self.last.strftime(_FORMAT)}"

    def holds(self, study_date: str) -> bool:
        """Tell whether a study date lies in it."""
        return self.first.strftime(_FORMAT) <= study_date <= self.last.strftime(_FORMAT)

    def divided(self, study_dates: Iterable[str]) -> tuple[Window, Window] | None:
        """Return two parts of it, None for a single day.

        Args:
            study_dates: of what the archive gave of it; as far as these tell, either part holds half.
        """
        if self.first == self.last:
            return None
        days = sorted(day for text in study_dates if (day := _day(text)) and self.first <= day <= self.last)
        middle = days[len(days) // 2] if days else self.first + (self.last - self.first) // 2
        second = max(middle, self.first + timedelta(days=1))
        return Window(self.first, second - timedelta(days=1)), Window(second, self.last)


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """What one question, or all of them together, gave.

    Attributes:
        rows: what was listed, by its key.
        whole: whether it is all, as far as the server tells.
        total: how many there are, if the server says so.
        ran_out: whether it ended with a page that was shorter than those before, as no cap makes it end.
    """

    rows: Mapping[str, R]
    whole: bool
    total: int | None = None
    ran_out: bool = False


class NoDate:
    """The question for studies that have no date, which only some servers understand (DICOM PS3.4, C.2.2.2.7)."""


NO_DATE = NoDate()
Ask = Callable[[Window | NoDate | None], Listing[R]]


def list_all(ask: Ask[R], *, all_dated: bool = False) -> Listing[R]:
    """Ask for everything, and if that is capped, window by window.

    Args:
        ask: asks for the studies of a window, for those without a date, or for all (None).
        all_dated: the curator's word that every study has a date; otherwise a capped listing is whole only if the
            server's own total, or its answer to the question for studies without a date, proves it.
    """
    asked = _Asked(ask)
    broad = asked.about(None)
    if not asked.is_suspect(broad):
        return broad
    rows = dict(broad.rows)
    whole = _by_windows(asked, rows)
    if broad.total is not None and whole and len(rows) >= broad.total:
        return Listing(rows, whole=True, total=broad.total)
    if broad.whole and whole and rows.keys() == broad.rows.keys():
        # The round number was all there is: the windows found nothing else.
        return Listing(rows, whole=True, total=broad.total)
    return Listing(rows, whole=(all_dated or _undated(asked, rows)) and whole, total=broad.total)


def _by_windows(asked: _Asked[R], rows: dict[str, R]) -> bool:
    """Add what the windows hold, and tell whether each of them gave all."""
    whole = True
    # The days of what has come already tell where to divide.
    windows = list(Window(FIRST_DAY, LAST_DAY).divided(row.study_date for row in rows.values()) or ())
    while windows:
        window = windows.pop()
        answer = asked.about(window)
        rows.update(answer.rows)
        if not asked.is_suspect(answer):
            continue
        dates = [row.study_date for row in answer.rows.values()]
        parts = window.divided(dates)
        if parts is None or not all(map(window.holds, dates)):
            # A day that is too full; or a server that does not look at the date, where asking on would never end.
            whole = False
            continue
        windows += parts
    return whole


def _undated(asked: _Asked[R], rows: dict[str, R]) -> bool:
    """Add the studies without a date, and tell whether the answer shows that the server understood the question.

    An empty answer shows nothing: servers that do not know this kind of matching find no study dated `""`.
    """
    answer = asked.about(NO_DATE)
    rows.update(answer.rows)
    understood = bool(answer.rows) and not any(row.study_date for row in answer.rows.values())
    return understood and not asked.is_suspect(answer)


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, _FORMAT).date()
    except ValueError:
        return None


class _Asked(Generic[R]):
    """The questions so far: what a server has once given more of is not its cap."""

    def __init__(self, ask: Ask[R]) -> None:
        self._ask = ask
        self._largest = 0

    def about(self, window: Window | NoDate | None) -> Listing[R]:
        answer = self._ask(window)
        self._largest = max(self._largest, len(answer.rows))
        return answer

    def is_suspect(self, answer: Listing[R]) -> bool:
        """Tell whether an answer may not be all."""
        if not answer.whole:
            return True
        if answer.total is not None:
            return len(answer.rows) < answer.total
        count = len(answer.rows)
        if answer.ran_out:
            return False
        return count > 0 and count % _ROUND == 0 and count >= self._largest
