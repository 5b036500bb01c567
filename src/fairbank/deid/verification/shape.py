"""The outline of an output: nothing before, around or after the dataset that could hold anything (DICOM PS3.10)."""

from __future__ import annotations

from collections.abc import Iterator

from fairbank.deid.sweep.walk import Element
from fairbank.deid.verification.output import Output
from fairbank.deid.verification.problem import Fault, Problem, problem

_META_ALLOWED = frozenset(0x00020000 | low for low in (0x00, 0x01, 0x02, 0x03, 0x10, 0x12, 0x13))
_PIXEL_DATA = 0x7FE00010
_LONGEST_VERSION = 16


def shape_problems(output: Output) -> Iterator[Problem]:
    """Yield what is wrong with the outline of a file."""
    if output.preamble.strip(b"\0"):
        yield problem(Fault.PREAMBLE)
    for element in output.meta.elements:
        if element.tag not in _META_ALLOWED:
            yield problem(Fault.META_ELEMENT, element.tag)
    if len(output.meta_text(0x00020013)) > _LONGEST_VERSION:
        yield problem(Fault.META_ELEMENT, 0x00020013)
    for meta, own in ((0x00020002, 0x00080016), (0x00020003, 0x00080018)):
        if output.meta_text(meta) != output.text(own):
            yield problem(Fault.META_MISMATCH, meta)
    yield from _order_problems(output)
    yield from _pixel_problems(output)


def _order_problems(output: Output) -> Iterator[Problem]:
    last: dict[object, int] = {}
    for element in output.walked.elements:
        before = last.get(element.path, -1)
        if element.tag <= before:
            yield problem(Fault.ORDER, element.tag)
        last[element.path] = max(before, element.tag)


def _pixel_problems(output: Output) -> Iterator[Problem]:
    pixels = output.walked.pixels
    if pixels is None:
        return
    for element in output.top.values():
        if element.start > pixels.start:
            yield problem(Fault.AFTER_PIXELS, element.tag)
    if pixels.tag == _PIXEL_DATA and not _length_is_right(output, pixels):
        yield problem(Fault.PIXEL_LENGTH, pixels.tag)


def _length_is_right(output: Output, pixels: Element) -> bool:
    if output.syntax.is_encapsulated:
        # The first fragment is the offset table; a frame has one fragment or more (DICOM PS3.5, Annex A.4).
        return len(output.walked.fragments) > _frames(output)
    if output.walked.fragments:
        return False
    rows, columns, bits = (output.number(tag) for tag in (0x00280010, 0x00280011, 0x00280100))
    if not rows or not columns or not bits:
        return False
    samples = output.number(0x00280002) or 1
    if output.text(0x00280004) == "YBR_FULL_422":
        samples = 2
    length = (rows * columns * samples * _frames(output) * bits + 7) // 8
    return pixels.end - pixels.start == length + length % 2


def _frames(output: Output) -> int:
    text = output.text(0x00280008).partition("\\")[0].strip()
    return int(text) if text.isascii() and text.isdigit() and int(text) else 1
