"""A canary for each row of Table E.1-1, at the top, one, two and four sequences deep: none may sing in the output.

Each tag is tried in an object whose IOD has it, so that the rule is what removes it and not the allow-list; those of no
IOD that is admitted are tried with the allow-list switched off as well.
"""

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

from fairbank.deid.plans import plans_of
from fairbank.deid.profiles import Profile
from fairbank.deid.rules import RULES, Option, Rule
from fairbank.deid.standard.iods import elements_of
from fairbank.deid.standard.terms import terms_of

DEPTHS = (0, 1, 2, 4)
# Sequences of every IOD, one in the other.
CHAIN = (0x00080110, 0x00080109, 0x00080123, 0x00080121)
CLASSES = tuple(
    f"1.2.840.10008.5.1.4.1.1.{leaf}"
    for leaf in (
        *(
            "2",
            "4",
            "2.1",
            "4.1",
            "128",
            "130",
            "1.2",
            "12.1.1",
            "13.1.1",
            "6.2",
            "77.1.6",
            "77.1.4",
            "7",
            "66.4",
        ),
        *("481.3", "481.5", "481.2", "66.3", "9.1.1", "30", "67", "20"),
    )
)
PATTERN_TAGS = {
    "50xxxxxx": [(0x50000010, "US"), (0x50002500, "LO"), (0x501E3000, "OB")],
    "60xx3000": [(0x60003000, "OB"), (0x601E3000, "OB")],
    "60xx4000": [(0x60004000, "LT"), (0x60024000, "LT")],
    "PRIVATE": [(0x00090010, "LO"), (0x00091001, "LO"), (0x00091002, "SQ"), (0x7FE11001, "OB")],
}
NOTHING = b"\1no canary here\1"


def tags_of(rule: Rule) -> list[tuple[int, str]]:
    if rule.tag in PATTERN_TAGS:
        return PATTERN_TAGS[rule.tag]
    tag = int(rule.tag, 16)
    if dictionary_has_tag(tag):
        return [(tag, dictionary_VR(tag))]
    vr = "SQ" if "Sequence" in rule.name else "DT" if "DateTime" in rule.name else "LO"
    return [(tag, vr)]


def class_with(tag: int) -> str:
    """Return a SOP class that has an element; CT Image Storage if none has."""
    return next((one for one in CLASSES if tag in (elements_of(one) or {})), CLASSES[0])


def canary(tag: int, vr: str, depth: int, *, terms: bool = False) -> tuple[object, bytes]:
    """Return a value, and bytes that betray it in a file; a term of the attribute if that is asked for."""
    word = f"ZQ{depth}CANARY"
    if vr == "CS" and terms:
        word = max(terms_of(tag) or {"YES"}, key=lambda term: (len(term), term))
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
    tag: int,
    vr: str,
    syntax: str = ExplicitVRLittleEndian,
    *,
    undefined_length: bool = False,
    terms: bool = False,
) -> tuple[bytes, list[bytes]]:
    dataset, betrayals = ct_dataset("ID-9"), []
    dataset.SOPClassUID, dataset.BurnedInAnnotation = class_with(tag), "NO"
    chain = [dataset, *(Dataset() for _ in CHAIN)]
    for depth in DEPTHS:
        level = chain[depth]
        value, betrayal = canary(tag, vr, depth, terms=terms)
        if depth == 0 and tag >> 16 == 0:
            level[0x00081090] = DataElement(
                0x00081090, "LO", "ACME ONE"
            )  # a file has no command group of its own
            betrayals.append(NOTHING)
            continue
        level[tag] = DataElement(tag, vr, value)
        betrayals.append(betrayal)
    for outer, sequence, inner in reversed(list(zip(chain, CHAIN, chain[1:], strict=False))):
        outer[sequence] = DataElement(sequence, "SQ", Sequence([inner]), is_undefined_length=undefined_length)
    return as_file(dataset, syntax), betrayals


def may_stay(rule: Rule, vr: str, profile: Profile) -> bool:
    """Return whether an option of the profile keeps the value (AS is capped, so the canaries of age go)."""
    if vr == "CS":
        return False
    marks = {mark for option, mark in rule.options.items() if option in profile.options}
    if marks == {"K"}:
        return vr != "AS" and dictionary_has_tag(int(rule.tag, 16))
    shifted_by_days = rule.options.get(Option.RETAIN_MODIFIED_DATES) == "C" and "C" in marks
    return shifted_by_days and (vr == "TM" or rule.tag == "00080201")


def levels(dataset: Dataset) -> Iterator[Dataset]:
    yield dataset
    for depth, sequence in enumerate(CHAIN, start=1):
        dataset = dataset[sequence].value[0]
        if depth in DEPTHS:
            yield dataset


@pytest.fixture(params=[True, False], ids=["allow-list", "rules-alone"])
def allow_list(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Clean with the allow-list, or with the rules of the table alone."""
    if not request.param:
        monkeypatch.setattr("fairbank.deid.engine.plans_of", lambda method, _sop_class=None: plans_of(method))
    return bool(request.param)


@pytest.mark.parametrize(
    ("profile", "syntax", "undefined_length"),
    [
        (Profile.BASIC, ExplicitVRLittleEndian, False),
        (Profile.RESEARCH, ExplicitVRLittleEndian, True),
        (Profile.BASIC, ImplicitVRLittleEndian, True),
    ],
)
def test_no_rule_leaks_at_any_depth(
    profile: Profile, syntax: str, undefined_length: bool, allow_list: bool, clean: Clean
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
    assert tried >= len(DEPTHS) * 657
    assert leaks == []


def test_values_that_research_retains_are_there(clean: Clean) -> None:
    lost, tried = [], 0
    for rule in RULES:
        for tag, vr in tags_of(rule):
            kept = may_stay(rule, vr, Profile.RESEARCH) or (
                vr == "CS"
                and {mark for option, mark in rule.options.items() if option in Profile.RESEARCH.options}
                == {"K"}
            )
            if not kept or vr == "SQ" or tag not in (elements_of(class_with(tag)) or {}):
                continue
            source, betrayals = with_canaries(tag, vr, terms=True)
            content, _ = clean(source, Profile.RESEARCH)
            tried += 1
            if not all(betrayal in content for betrayal in betrayals):
                lost.append((rule.tag, rule.name, vr))
    assert tried >= 40
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
