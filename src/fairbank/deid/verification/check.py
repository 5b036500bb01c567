"""The check that each cleaned file has to pass before anybody may have it.

It starts from the bytes that were written and reads them with a reader of its own; nothing of the engine is used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from fairbank.deid.identifiers import Identifiers
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason
from fairbank.deid.part10 import Written
from fairbank.deid.pixels.work import PixelWork
from fairbank.deid.sweep.walk import Buffer, Malformed
from fairbank.deid.verification.days import day_problems
from fairbank.deid.verification.elements import element_problems
from fairbank.deid.verification.marks import mark_problems
from fairbank.deid.verification.output import Output
from fairbank.deid.verification.problem import OF_THE_PERSON, Fault, Problem, problem
from fairbank.deid.verification.shape import shape_problems

_FAULT_OF_KIND = {
    "name-or-number": Fault.IDENTIFIER,
    "device": Fault.DEVICE,
    "uid": Fault.ORIGINAL_UID,
    "date": Fault.ORIGINAL_DATE,
}


def problems(
    written: Written,
    *,
    identifiers: Identifiers,
    method: Method,
    pixel_bytes: int | None = None,
    work: PixelWork | None = None,
) -> tuple[Problem, ...]:
    """Return what is wrong with a file as it was written; nothing if it may go.

    Args:
        written: the file's bytes.
        identifiers: those of the file that it was made of, and of others of its subject.
        method: how it was cleaned.
        pixel_bytes: length of the pixel data's value as it was meant to be written; None if nobody says.
        work: what was done with the pixels; None if nobody says.
    """
    try:
        output = Output.read(written.content)
    except Malformed:
        return (problem(Fault.UNREADABLE),)
    found = list(output_problems(output, method, work=work))
    found += source_problems(output, identifiers, method)
    pixels = output.walked.pixels
    if pixel_bytes and (pixels is None or pixels.end - pixels.start != pixel_bytes):
        found.append(problem(Fault.PIXEL_LENGTH))
    return tuple(dict.fromkeys(found))


def holds(content: Buffer, identifiers: Identifiers, method: Method) -> bool:
    """Return whether a file as it was written holds what other files say of the same person, or cannot be read."""
    try:
        output = Output.read(content)
    except Malformed:
        return True
    return bool(identifiers.kinds_in(output.areas, method.options))


def output_problems(
    output: Output, method: Method, *, work: PixelWork | None = None, ours: bool = True, stated: bool = True
) -> Iterator[Problem]:
    """Yield what is wrong with an output as far as it can be told without the file that it was made of.

    Args:
        output: the file.
        method: by whose rules it is judged.
        work: what was done with the pixels; None if nobody says.
        ours: made by this software.
        stated: it is known that the method ran, so the marks have to say so.
    """
    yield from shape_problems(output)
    yield from element_problems(output, method, ours=ours)
    yield from mark_problems(output, method if stated else None, work=work, ours=ours)


def source_problems(output: Output, identifiers: Identifiers, method: Method) -> Iterator[Problem]:
    """Yield what an output still has of the file that it was made of."""
    for kind in identifiers.kinds_in(output.areas, method.options):
        yield from _at_their_places(output, identifiers, method, kind)
    yield from day_problems(output, identifiers.birth | identifiers.days, method)


def reason_of(found: Collection[Problem]) -> Reason:
    """Return the reason for which a file with problems is held."""
    personal = {fault.value for fault in OF_THE_PERSON}
    if any(one.rule in personal for one in found):
        return Reason.IDENTIFIER_FOUND
    return Reason.NOT_VERIFIED


def _at_their_places(
    output: Output, identifiers: Identifiers, method: Method, kind: str
) -> Iterator[Problem]:
    """Yield a problem per element that holds it, or one for the file where it is in none alone."""
    fault, anywhere = _FAULT_OF_KIND[kind], False
    for element in output.areas.elements:
        if element.vr != "SQ" and kind in identifiers.kinds_in(output.areas.only(element), method.options):
            anywhere = True
            yield problem(fault, element.tag)
    if not anywhere:
        yield problem(fault)
