"""Each element of an output, at every depth, held against what may be there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from fairbank.deid.method import Method
from fairbank.deid.sweep.walk import VRS, Element, Path
from fairbank.deid.verification.content_texts import TEXT_VALUE, is_retained_text
from fairbank.deid.verification.judgements import May, may_be
from fairbank.deid.verification.output import Output
from fairbank.deid.verification.problem import Fault, Problem, problem
from fairbank.deid.verification.values import (
    is_clean_text,
    is_day,
    is_pseudonym,
    is_unlinkable_uid,
    is_young,
    says_nothing,
)

# What an item of a sequence of references may hold: the reference (DICOM PS3.3, Tables 10-3, 10-11) and its purpose.
_OF_A_REFERENCE = frozenset(
    {0x00081150, 0x00081155, 0x00081160, 0x0062000B, 0x0040A170, 0x0028135A, 0x00081199, 0x00081140}
)
_OF_A_CODE = frozenset({0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x00080119, 0x00080120})
# VRs that devices confuse without meaning anything by it.
_FAMILIES = (frozenset({"LO", "SH", "UC"}), frozenset({"ST", "LT", "UT"}), frozenset({"DS", "IS"}))
_OF_THE_PATIENT = frozenset({0x00100010, 0x00100020})
_LIKE_A_NAME = re.compile(rb"[A-Za-z\x80-\xff]{2,}(\^|, ?| )[A-Za-z\x80-\xff]{2,}")
_METHOD_CODES = 0x00120064
_METHOD_TEXT = 0x00120063
_WHATEVER_VR = frozenset({May.NOTHING, May.UNKNOWN, May.SAFE_PRIVATE})
_SIMPLE: dict[May, tuple[Callable[[bytes], bool], Fault]] = {
    May.CLEAN_TEXT: (is_clean_text, Fault.TEXT),
    May.DAY: (is_day, Fault.DATE),
    May.NO_DAY: (says_nothing, Fault.DATE),
    May.YOUNG: (is_young, Fault.AGE),
}


def element_problems(output: Output, method: Method, *, ours: bool = True) -> Iterator[Problem]:
    """Yield what stands in an output that may not stand there.

    Args:
        output: the file.
        method: how it was cleaned.
        ours: made by this software, so that pseudonyms and UIDs have its form; of others the form says nothing.
    """
    judge = _Judge(output, method, ours=ours)
    for element in output.walked.elements:
        may = may_be(element.tag, method)
        if may is May.ANYTHING and element.vr in _trusted(element.tag):
            if element.start < judge.inside:
                yield from judge.inner(element)
            continue
        if not _is_of_recipe(method.recipe, element.tag, output.walked.value(element)):
            yield from judge.of(element, may)


def _is_of_recipe(recipe: object, tag: int, value: bytes) -> bool:
    """Return whether a value is the constant that a site's recipe writes; what recipes keep, options have to retain."""
    statement_on = getattr(recipe, "statement_on", None)
    statement = None if statement_on is None else statement_on(tag)
    constant = getattr(statement, "value", None)
    return isinstance(constant, str) and value.strip(b" \0") == constant.strip().encode()


class _Judge:
    def __init__(self, output: Output, method: Method, *, ours: bool) -> None:
        self._output = output
        self._method = method
        self._ours = ours
        self._walked = output.walked
        # Elements before this place are inside a sequence that may hold little.
        self.inside = 0
        self._around = May.ANYTHING
        self._depth = 0
        self._creators: dict[Path, set[int]] = {}

    def of(self, element: Element, may: May) -> Iterator[Problem]:
        """Yield what is wrong with one element."""
        tag, vr = element.tag, element.vr
        if tag in (_METHOD_TEXT, _METHOD_CODES) or (element.path and element.path[0][0] == _METHOD_CODES):
            return
        if element.start < self.inside:
            yield from self.inner(element)
            if self._around is May.NEW:
                return
        if (
            may not in _WHATEVER_VR
            and vr not in _trusted(tag)
            and not says_nothing(self._walked.value(element))
        ):
            yield problem(Fault.WRONG_VR, tag)
            return
        if vr == "SQ":
            yield from self._of_sequence(element, may)
            return
        fault = self._fault(element, may)
        if fault is not None:
            yield problem(fault, tag)

    def inner(self, element: Element) -> Iterator[Problem]:
        """Yield what is wrong with an element because of the sequence that it is in."""
        at_top = len(element.path) == self._depth
        if self._around is May.REFERENCES and at_top and element.tag not in _OF_A_REFERENCE:
            yield problem(Fault.REFERENCE_ITEM, element.tag)
        if self._around is May.NEW and element.vr != "SQ":
            value = self._walked.value(element)
            if not (says_nothing(value) and element.tag in _OF_A_CODE):
                yield problem(Fault.MUST_BE_NEW, element.path[self._depth - 1][0])

    def _of_sequence(self, element: Element, may: May) -> Iterator[Problem]:
        if element.end == element.start:
            if may in (May.NOTHING, May.UNKNOWN):
                yield problem(Fault.MUST_GO, element.tag)
            return
        if may in (May.NOTHING, May.UNKNOWN):
            yield problem(Fault.PRIVATE if element.tag >> 16 & 1 else Fault.MUST_GO, element.tag)
        elif may in (May.NEW, May.REFERENCES) and element.end > self.inside:
            self.inside, self._around, self._depth = element.end, may, len(element.path) + 1

    def _fault(self, element: Element, may: May) -> Fault | None:
        tag, value = element.tag, self._walked.value(element)
        if may in _SIMPLE:
            fits, fault = _SIMPLE[may]
            fine = fits(value) or says_nothing(value) or self._is_content(element)
            return None if fine else fault
        if may is May.NOTHING:
            return Fault.PRIVATE if tag >> 16 & 1 else Fault.MUST_GO
        if may is May.UNKNOWN:
            return Fault.UNKNOWN
        if may is May.PSEUDONYM:
            fine = is_pseudonym(value) or says_nothing(value) or self._may_be_foreign_pseudonym(tag, value)
            return None if fine else Fault.NAME
        if may is May.PSEUDONYMOUS_UID:
            return None if self._uids_are_fine(value) else Fault.UID
        if may is May.SAFE_PRIVATE:
            return self._private_fault(element)
        if may is May.NEW:
            fine = says_nothing(value) or is_pseudonym(value)
            return None if fine else Fault.MUST_BE_NEW
        return None

    def _may_be_foreign_pseudonym(self, tag: int, value: bytes) -> bool:
        """Return whether another tool may have made a patient's name or id: it has not the form of a person's name."""
        return not self._ours and tag in _OF_THE_PATIENT and _LIKE_A_NAME.search(value) is None

    def _is_content(self, element: Element) -> bool:
        """Return whether the element is the text of a content item that an option retains."""
        return element.tag == TEXT_VALUE and is_retained_text(self._output, element.path, self._method)

    def _uids_are_fine(self, value: bytes) -> bool:
        if not self._ours or says_nothing(value):
            return True
        return all(is_unlinkable_uid(one.strip(" \0")) for one in value.decode("latin-1").split("\\"))

    def _private_fault(self, element: Element) -> Fault | None:
        low, blocks = element.tag & 0xFFFF, self._creators.setdefault(element.path, set())
        if 0x10 <= low <= 0xFF:
            blocks.add(element.tag & 0xFFFF0000 | low)
            return None
        return None if element.tag & 0xFFFF0000 | low >> 8 in blocks else Fault.PRIVATE


@lru_cache(maxsize=65536)
def _trusted(tag: int) -> frozenset[str]:
    """Return the VRs that a tag may be written with; UN says nothing, so it is trusted as little as the value."""
    if tag >> 16 & 1 or not dictionary_has_tag(tag):
        return VRS
    known = dictionary_VR(tag)
    allowed = set(known.split(" or ")) | {known, "UN"}
    for family in _FAMILIES:
        if known in family:
            allowed |= family
    return frozenset(allowed)
