"""Curves over rounds, one per site: a round without a value leaves a gap, and is named.

Curves are told apart by colour, by dashes, and by their names at their ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from fairbank.charts.axes import tick_row
from fairbank.charts.count_marks import and_more, dots, right_aligned
from fairbank.charts.figure import (
    NOTE_SIZE,
    SERIES,
    TEXT_SIZE,
    WIDTH,
    Drawing,
    Figure,
    Table,
    path,
    place,
    text,
)
from fairbank.charts.scale import LogScale, Scale, number_text
from fairbank.charts.text_width import fitted, text_width
from fairbank.charts.words import mark, say

PLOT_HEIGHT = 230
LABEL_ROOM = 190
SAMPLE = 26
LEAST_GAP = 17
# More points than these make a picture large and no clearer.
POINTS, PLACES = 120, 240
# Curves that are drawn; the table has all.
DRAWN = 10
# Curves whose missed rounds are named below; the table has all.
NAMED = 6
AnyScale = Scale | LogScale


@dataclass(frozen=True, slots=True)
class RoundCurve:
    """One curve.

    Attributes:
        values: by round, ascending; None where the round was missed.
        marked: drawn thicker, such as the worst site.
        mean: of the others: drawn dotted, and its gaps are not named.
    """

    label: str
    values: tuple[tuple[int, float | None], ...]
    marked: bool = False
    mean: bool = False

    @property
    def told(self) -> dict[int, float]:
        """Return the values that are there, by round."""
        return {at: value for at, value in self.values if value is not None}

    def missed(self, rounds: Iterable[int]) -> list[int]:
        """Return which of some rounds have no value."""
        told = self.told
        return [at for at in rounds if at not in told]


def round_chart(
    curves: Sequence[RoundCurve],
    *,
    title: str,
    axis: str,
    name: str,
    across: str = "",
    higher_is_better: bool | None = None,
    log: bool = False,
) -> Figure:
    """Return all curves on common axes.

    The rounds are those of which any curve says something; between two of them that follow each other, and have a value
    both, a curve is joined.

    Args:
        axis: what the values are, with their unit.
        name: tells this picture from others of the same page.
        across: what the horizontal axis counts; rounds by default.
        higher_is_better: which value is the best; None: the table has the lowest and the highest.
        log: draw values by their logarithm; where some are not above 0 the axis stays linear, and that is said.
    """
    across = across or say("round")
    rounds = sorted({at for curve in curves for at, _ in curve.values})
    told = [(number, curve) for number, curve in enumerate(curves) if curve.told]
    # The worst site and the mean are drawn in any case.
    drawn = sorted(
        sorted(told, key=lambda one: not (one[1].marked or one[1].mean))[:DRAWN], key=itemgetter(0)
    )
    drawing = Drawing.headed(title)
    drawing.y += 14
    drawing.add(text(0, drawing.y - 2, fitted(axis, WIDTH, TEXT_SIZE)))
    drawing.y += 14
    unfit = log and any(value <= 0 for _, curve in drawn for value in curve.told.values())
    if drawn:
        _plot(drawing, drawn, rounds, across, log=log and not unfit)
    else:
        drawing.note(say("No values."))
    silent = [curve.label for curve in curves if not curve.told]
    missed = [
        say("%(curve)s: no value in %(rounds)s.", curve=curve.label, rounds=spans(lost, across))
        for _, curve in told
        if not curve.mean and (lost := curve.missed(rounds))
    ]
    if len(missed) > NAMED:
        missed[NAMED:] = [
            say("%(number)s more curves miss rounds: see the table.", number=len(missed) - NAMED)
        ]
    left_out = len(told) - len(drawn)
    more = []
    if left_out:
        left = mark("Not drawn, but in the table: %(number)s of %(all)s curves.")
        more = [say(left, number=left_out, all=len(told))]
    if unfit:
        more.append(say("Some values are not above 0 and have no logarithm: the axis is linear."))
    none = [say("No value at all: %(curves)s.", curves=", ".join(silent))] if silent else []
    drawing.note(*more, *missed, *none)
    said = "; ".join(_said(curve, across) for _, curve in told[:8])
    others = f"; {and_more(len(told) - 8)}" if len(told) > 8 else ""
    table = _table(curves, rounds, across, higher_is_better)
    by_round = say("%(axis)s by %(across)s.", axis=axis, across=across)
    return drawing.figure(
        name, title, f"{by_round} {said}{others}." if said else f"{by_round} {say('No values.')}", table
    )


def spans(rounds: Sequence[int], what: str = "") -> str:
    """Return numbers of rounds as spans.

    >>> spans([1, 2, 3, 7])
    'round 1 to 3, 7'
    """
    found: list[list[int]] = []
    for each in sorted(rounds):
        if found and each == found[-1][1] + 1:
            found[-1][1] = each
        else:
            found.append([each, each])
    told = (say("%(first)s to %(last)s", first=a, last=b) if a != b else str(a) for a, b in found)
    return f"{what or say('round')} " + ", ".join(told)


def segments(told: Mapping[int, float], rounds: Sequence[int]) -> list[list[int]]:
    """Return the rounds of a curve in pieces, a new one after each round without a value.

    >>> segments({0: 0.5, 1: 0.6, 4: 0.7}, [0, 1, 2, 4])
    [[0, 1], [4]]
    """
    found: list[list[int]] = [[]]
    for at in rounds:
        if at in told:
            found[-1].append(at)
        elif found[-1]:
            found.append([])
    return [piece for piece in found if piece]


def _plot(
    drawing: Drawing,
    drawn: Sequence[tuple[int, RoundCurve]],
    rounds: Sequence[int],
    across: str,
    *,
    log: bool,
) -> None:
    values = [value for _, curve in drawn for value in curve.told.values()]
    top = drawing.y
    bottom = top + max(PLOT_HEIGHT, LEAST_GAP * len(drawn))
    kind = LogScale if log else Scale
    ys: AnyScale = kind.around(values, left=bottom, right=top)
    numbers = [number_text(tick) for tick in ys.ticks()]
    left = max(text_width(each, NOTE_SIZE) for each in numbers) + 10
    widest = max(text_width(curve.label, TEXT_SIZE, bold=curve.marked) for _, curve in drawn)
    right = WIDTH - min(LABEL_ROOM, widest + 1) - SAMPLE - 16
    xs = _across(rounds, left + 6, right)
    drawing.add(
        path("".join(f"M{left:.1f} {ys.place(tick):.1f}H{right:.1f}" for tick in ys.ticks()), "c-grid")
    )
    drawing.add(
        right_aligned(
            text(left - 8, ys.place(tick) + 4, words, "c-small")
            for tick, words in zip(ys.ticks(), numbers, strict=True)
        )
    )
    drawing.add(path(f"M{left:.1f} {top:.1f}V{bottom:.1f}H{right:.1f}", "c-axis"))
    stride = max(1, -(-sum(len(curve.told) for _, curve in drawn) // PLACES))
    every_point = sum(len(curve.told) for _, curve in drawn) <= POINTS
    for number, curve in drawn:
        drawing.add(_line(number, curve, rounds, xs, ys, stride=stride, every_point=every_point))
    _names(drawing, drawn, ys, right, bottom=bottom, top=top)
    first = -(-xs.low // xs.step) * xs.step
    steps = int((xs.high - first) / xs.step + 1e-9) + 1
    ticks = [first + xs.step * each for each in range(steps)]
    drawing.add(tick_row([(xs.place(tick), f"{tick:g}") for tick in ticks if tick == int(tick)], bottom + 22))
    drawing.add(text(right, bottom + 40, fitted(across, right, TEXT_SIZE), "c-e"))
    drawing.y = bottom + 44
    if stride > 1:
        drawing.note(
            say(
                "Drawn: about every %(stride)s. value of each piece; all are in what this was drawn from.",
                stride=stride,
            )
        )


def _across(rounds: Sequence[int], left: float, right: float) -> Scale:
    low, high = float(rounds[0]), float(rounds[-1])
    if high <= low:
        return Scale(low - 1, high + 1, left, right, 1.0)
    step = next(
        (each for each in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if (high - low) / each <= 10), None
    )
    return Scale(low, high, left, right, float(step or 10 ** (len(str(int(high - low))) - 1)))


def _style(number: int, curve: RoundCurve) -> str:
    if curve.mean:
        return "c-sm c-d6"
    dash = (number + number // SERIES) % SERIES
    thick = " c-thick" if curve.marked else ""
    return f"c-s{number % SERIES}{f' c-d{dash}' if dash else ''}{thick}"


def _line(
    number: int,
    curve: RoundCurve,
    rounds: Sequence[int],
    xs: Scale,
    ys: AnyScale,
    *,
    stride: int,
    every_point: bool,
) -> str:
    told = curve.told
    pieces = segments(told, rounds)
    d, points = [], []
    for piece in pieces:
        ends = {piece[0], piece[-1], min(piece, key=told.__getitem__), max(piece, key=told.__getitem__)}
        kept = [at for order, at in enumerate(piece) if order % stride == 0 or at in ends]
        places = [(xs.place(at), ys.place(told[at])) for at in kept]
        if len(places) > 1:
            d.append(place(*places[0], "M") + "".join(place(*each) for each in places[1:]))
        if len(places) == 1 or (every_point and not curve.mean):
            points += places
    if not every_point and not curve.mean:
        # Where it begins and ends is marked in any case.
        points += [(xs.place(at), ys.place(told[at])) for at in (pieces[0][0], pieces[-1][-1])]
    line = path("".join(d), f"c-l {_style(number, curve)}")
    colour = "c-sm" if curve.mean else f"c-s{number % SERIES}"
    return line + dots(points, f"c-point {colour}")


def _names(
    drawing: Drawing,
    drawn: Sequence[tuple[int, RoundCurve]],
    ys: AnyScale,
    right: float,
    *,
    top: float,
    bottom: float,
) -> None:
    """Write each name at its curve's end, moved apart where ends are close."""
    ends = sorted((ys.place(list(curve.told.values())[-1]), number, curve) for number, curve in drawn)
    places = [max(top + 6, y) for y, _, _ in ends]
    for at in range(1, len(places)):
        places[at] = max(places[at], places[at - 1] + LEAST_GAP)
    if places[-1] > bottom:
        places[-1] = bottom
        for at in range(len(places) - 2, -1, -1):
            places[at] = min(places[at], places[at + 1] - LEAST_GAP)
    room = WIDTH - right - SAMPLE - 16
    for y, (_, number, curve) in zip(places, ends, strict=True):
        words = fitted(curve.label, room, TEXT_SIZE, bold=curve.marked)
        drawing.add(
            path(f"M{right + 6:.1f} {y:.1f}h{SAMPLE}", f"c-l {_style(number, curve)}"),
            text(right + SAMPLE + 12, y + 4.5, words, "c-strong" if curve.marked else ""),
        )


def _said(curve: RoundCurve, across: str) -> str:
    told = curve.told
    first, last = min(told), max(told)
    return say(
        "%(curve)s: from %(first)s to %(last)s",
        curve=curve.label,
        first=_at(told, first, across),
        last=_at(told, last, across),
    )


def _table(
    curves: Sequence[RoundCurve], rounds: Sequence[int], across: str, higher_is_better: bool | None
) -> Table:
    wanted = {
        True: ((say("Best"), max),),
        False: ((say("Best"), min),),
        None: ((say("Lowest"), min), (say("Highest"), max)),
    }
    extremes = wanted[higher_is_better]
    rows = []
    for curve in curves:
        told = curve.told
        lost = curve.missed(rounds)
        found = [(pick(told.values()) if told else None) for _, pick in extremes]
        cells = [
            _at(told, next(at for at in told if told[at] == each), across) if told else say("no value")
            for each in found
        ]
        last = _at(told, max(told), across) if told else say("no value")
        rows.append((curve.label, *cells, last, spans(lost, across) if lost else say("none")))
    without = say("Without a value, by %(across)s", across=across)
    head = (say("Curve"), *(word for word, _ in extremes), say("Last"), without)
    return Table(head, tuple(rows), frozenset(range(1, len(extremes) + 2)))


def _at(told: Mapping[int, float], at: int, across: str) -> str:
    value = number_text(told[at])
    return say("%(value)s at %(across)s %(round)s", value=value, across=across, round=at)
