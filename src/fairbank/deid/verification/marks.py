"""Whether an output says truly what was done to it (DICOM PS3.15, Annex E.1; PS3.16, CID 7050)."""

from __future__ import annotations

from collections.abc import Iterator

from fairbank.deid.method import Method
from fairbank.deid.pixels.work import PixelWork
from fairbank.deid.verification.output import Output
from fairbank.deid.verification.problem import Fault, Problem, problem

CLEAN_PIXEL_DATA, CLEAN_FACES = "113101", "113102"
_REMOVED, _METHOD, _CODES = 0x00120062, 0x00120063, 0x00120064
_DATES_MARK, _BURNED_IN, _FACES_MARK = 0x00280303, 0x00280301, 0x00280302
_CODE_VALUE, _CODE_SCHEME = 0x00080100, 0x00080102
_OF_PIXELS = frozenset({CLEAN_PIXEL_DATA, CLEAN_FACES})


def mark_problems(
    output: Output,
    method: Method | None,
    *,
    work: PixelWork | None,
    original_burned_in: str | None = None,
    ours: bool = True,
) -> Iterator[Problem]:
    """Yield what an output says of itself that is missing or not so.

    Args:
        output: the file.
        method: how it was cleaned; None if that is not known, then only what it must say in any case is asked for.
        work: what was done with the pixels; None if that is not known.
        original_burned_in: what the file that it was made of says of burned-in text; None if that is not known.
        ours: made by this software, whose method names its profile.
    """
    if output.text(_REMOVED) != "YES":
        yield problem(Fault.NOT_MARKED, _REMOVED)
    codes = codes_in(output)
    if not codes and not output.text(_METHOD):
        yield problem(Fault.NOT_MARKED, _CODES)
    if method is None:
        return
    yield from _method_problems(output, method, codes, ours=ours)
    yield from _pixel_mark_problems(output, codes, work, original_burned_in)


def codes_in(output: Output) -> frozenset[str]:
    """Return the values of the codes of DCM by which a file says how it was de-identified."""
    items: dict[int, dict[int, str]] = {}
    for element in output.walked.elements:
        if len(element.path) == 1 and element.path[0][0] == _CODES:
            value = output.walked.value(element).decode("latin-1").strip(" \0")
            items.setdefault(element.path[0][1], {})[element.tag] = value
    return frozenset(item.get(_CODE_VALUE, "") for item in items.values() if item.get(_CODE_SCHEME) == "DCM")


def _method_problems(
    output: Output, method: Method, codes: frozenset[str], *, ours: bool
) -> Iterator[Problem]:
    expected = {value for value, _ in method.codes}
    if codes - _OF_PIXELS != expected:
        yield problem(Fault.MARK_UNTRUE, _CODES)
    if ours and method.profile.value not in output.text(_METHOD).split():
        yield problem(Fault.MARK_UNTRUE, _METHOD)
    if output.text(_DATES_MARK) != method.dates_modified:
        yield problem(Fault.MARK_UNTRUE, _DATES_MARK)


def _pixel_mark_problems(
    output: Output, codes: frozenset[str], work: PixelWork | None, original: str | None
) -> Iterator[Problem]:
    burned_in = output.text(_BURNED_IN)
    if burned_in == "YES":
        yield problem(Fault.MARK_UNTRUE, _BURNED_IN)
    if work is not None:
        if (CLEAN_PIXEL_DATA in codes) != work.cleaned:
            yield problem(Fault.MARK_UNTRUE, _CODES)
        if work.burned_in is not None and burned_in != work.burned_in:
            yield problem(Fault.MARK_UNTRUE, _BURNED_IN)
    cleaned = CLEAN_PIXEL_DATA in codes if work is None else work.cleaned or work.burned_in == "NO"
    if burned_in == "NO" and original not in (None, "NO") and not cleaned:
        yield problem(Fault.MARK_UNTRUE, _BURNED_IN)
