"""Subjects by age as a histogram: bands such as `60-64` or `90+`, as records have them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairbank.charts.figure import Figure
from fairbank.charts.histogram import Bin, HistogramPanel, histogram
from fairbank.ontology.counts import Total
from fairbank.web.languages import Tongue, mark

# How wide the column of the last band is drawn, years.
_OPEN_END: Final = 5


def ages(tongue: Tongue, bands: Iterable[tuple[str, Total]], *, note: str = "") -> Figure | None:
    """Return the histogram of bands and how many are in each; None where there are fewer than two.

    Args:
        note: a sentence below.
    """
    say = tongue.say
    bins = [made for band, count in bands if (made := _bin(band, count)) is not None]
    if len(bins) < 2:
        return None
    panel = HistogramPanel("", tuple(sorted(bins, key=lambda each: each.low)))
    return histogram(
        [panel],
        title=say(mark("Subjects by age")),
        axis=say(mark("Age in years")),
        name="ages",
        what=say(mark("Subjects")),
        note=note,
    )


def _bin(band: str, count: Total) -> Bin | None:
    low, _, high = band.rstrip("+").partition("-")
    if not low.isdecimal() or (high and not high.isdecimal()):
        return None
    end = int(high) + 1 if high else int(low) + _OPEN_END
    return Bin(int(low), end, count, band, is_open=not high)
