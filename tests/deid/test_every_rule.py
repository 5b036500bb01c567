"""A canary for each row of Table E.1-1, at the top, one and two sequences deep: none may sing in the output."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import pydicom
import pytest
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.deid.conftest import Clean, as_file, ct_dataset, uid

from fairbank.deid.profiles import Profile
from fairbank.deid.rules import RULES, Option, Rule

DEPTHS = (0, 1, 2)
OUTER, INNER = 0x52009229, 0x00209071
PATTERN_TAGS = {
    "50xxxxxx": [(0x50000010, "US"), (0x50002500, "LO"), (0x501E3000, "OB")],
    "60xx3000": [(0x60003000, "OB"), (0x601E3000, "OB")],
    "60xx4000": [(0x60004000, "LT"), (0x60024000, "LT")],
    "PRIVATE": [(0x00090010, "LO"), (0x00091001, "LO"), (0x00091002, "SQ"), (0x7FE11001, "OB")],
}
NEVER_IN_IMAGES = {0x2100, 0x4008}  # printing and retired results: removed whole
NOTHING = b"\1no canary here\1"


def tags_of(rule: Rule) -> list[tuple[int, str]]:
    if rule.tag in PATTERN_TAGS:
        return PATTERN_TAGS[rule.tag]
    tag = int(rule.tag, 16)
    if dictionary_has_tag(tag):
        return [(tag, dictionary_VR(tag))]
    vr = "SQ" if "Sequence" in rule.name else "DT" if "DateTime" in rule.name else "LO"
    return [(tag, vr)]


def canary(tag: int, vr: str, depth: int) -> tuple[object, bytes]:
    """Return a value, and bytes that betray it in a file."""
    word = f"ZQ{depth}CANARY"
    if vr == "SQ":
        item = Dataset()
        item.Manufacturer = word
        item.ReferencedSOPInstanceUID = uid("canary", tag, depth)
        return Sequence([item]), word.encode()
    dated = {"DA": f"1937020{depth + 1}", "TM": f"13570{depth}.98", "DT": f"1937020{depth + 1}13570{depth}"}
    numbers = {"DS": f"97531.{depth}7", "IS": f"-97531{depth}", "AS": f"09{depth + 3}Y"}
    if vr in dated | numbers:
        text = (dated | numbers)[vr]
        return text, text[:8].encode()
    if vr == "UI":
        text = uid("canary", tag, depth)
        return text, text.encode()
    if vr in ("US", "SS"):
        return 0x5A00 + depth, (0x5A00 + depth).to_bytes(2, "little")
    if vr in ("OB", "OW", "UN"):
        return word.encode() + b"!", word.encode() + b"!"
    if tag == 0x00080201:
        return f"+013{depth}", f"+013{depth}".encode()
    return word, word.encode()


def with_canaries(
    tag: int, vr: str, syntax: str = ExplicitVRLittleEndian, *, undefined_length: bool = False
) -> tuple[bytes, list[bytes]]:
    dataset, betrayals = ct_dataset("ID-9"), []
    inner, outer = Dataset(), Dataset()
    for level, depth in ((dataset, 0), (outer, 1), (inner, 2)):
        value, betrayal = canary(tag, vr, depth)
        if depth == 0 and tag >> 16 == 0:
            level[0x00081090] = DataElement(
                0x00081090, "LO", "ACME ONE"
            )  # a file has no command group of its own
            betrayals.append(NOTHING)
            continue
        level[tag] = DataElement(tag, vr, value)
        betrayals.append(betrayal)
    outer[INNER] = DataElement(INNER, "SQ", Sequence([inner]), is_undefined_length=undefined_length)
    dataset[OUTER] = DataElement(OUTER, "SQ", Sequence([outer]), is_undefined_length=undefined_length)
    return as_file(dataset, syntax), betrayals


def may_stay(rule: Rule, vr: str, profile: Profile) -> bool:
    """Return whether an option of the profile keeps the value (AS is capped, so the canaries of age go)."""
    marks = {mark for option, mark in rule.options.items() if option in profile.options}
    if marks == {"K"}:
        return vr != "AS" and dictionary_has_tag(int(rule.tag, 16))
    shifted_by_days = rule.options.get(Option.RETAIN_MODIFIED_DATES) == "C" and "C" in marks
    return shifted_by_days and (vr == "TM" or rule.tag == "00080201")


def levels(dataset: Dataset) -> Iterator[Dataset]:
    yield dataset
    for outer in dataset.get(OUTER, DataElement(OUTER, "SQ", [])).value:
        yield outer
        yield from outer.get(INNER, DataElement(INNER, "SQ", [])).value


@pytest.mark.parametrize(
    ("profile", "syntax", "undefined_length"),
    [
        (Profile.BASIC, ExplicitVRLittleEndian, False),
        (Profile.RESEARCH, ExplicitVRLittleEndian, True),
        (Profile.BASIC, ImplicitVRLittleEndian, True),
    ],
)
def test_no_rule_leaks_at_any_depth(
    profile: Profile, syntax: str, undefined_length: bool, clean: Clean
) -> None:
    leaks, tried = [], 0
    for rule in RULES:
        for tag, vr in tags_of(rule):
            source, betrayals = with_canaries(tag, vr, syntax, undefined_length=undefined_length)
            assert all(betrayal in source for betrayal in betrayals if betrayal is not NOTHING)
            content, dataset = clean(source, profile)
            for depth, (betrayal, level) in enumerate(zip(betrayals, levels(dataset), strict=True)):
                tried += 1
                by_place = vr in ("US", "SS")
                sings = (tag in level) if by_place else betrayal in content
                if sings and not may_stay(rule, vr, profile):
                    leaks.append((rule.tag, rule.name, vr, depth))
    assert tried >= 3 * 657
    assert leaks == []


def test_values_that_research_retains_are_there(clean: Clean) -> None:
    lost = []
    for rule in RULES:
        for tag, vr in tags_of(rule):
            if not may_stay(rule, vr, Profile.RESEARCH) or vr == "SQ" or tag >> 16 in NEVER_IN_IMAGES:
                continue
            source, betrayals = with_canaries(tag, vr)
            content, _ = clean(source, Profile.RESEARCH)
            if not all(betrayal in content for betrayal in betrayals):
                lost.append((rule.tag, rule.name, vr))
    assert lost == []


def test_removed_rules_leave_no_element_behind(clean: Clean) -> None:
    left = []
    for rule in RULES:
        if rule.basic != "X":
            continue
        for tag, vr in tags_of(rule):
            _, dataset = clean(with_canaries(tag, vr)[0], Profile.BASIC)
            left += [(rule.tag, depth) for depth, level in enumerate(levels(dataset)) if tag in level]
    assert left == []


def test_output_of_every_rule_can_be_read_whole(clean: Clean) -> None:
    for rule in RULES:
        for tag, vr in tags_of(rule):
            content, _ = clean(with_canaries(tag, vr)[0], Profile.RESEARCH)
            with pydicom.config.strict_reading():
                dataset = pydicom.dcmread(BytesIO(content))
                assert sum(1 for _ in dataset.iterall()) > 20, rule.tag


def test_meta_information_carries_no_original_uid(clean: Clean) -> None:
    source = ct_dataset()
    content, dataset = clean(source, Profile.BASIC)
    assert str(source.SOPInstanceUID).encode() not in content
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
