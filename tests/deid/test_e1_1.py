"""The generated table is the one that the notes describe, and agrees with an independent derivation."""

from __future__ import annotations

import hashlib
import importlib.util
from collections import Counter
from pathlib import Path

import pytest

from fairbank.deid import _e1_1
from fairbank.deid.method import Method
from fairbank.deid.profiles import Profile
from fairbank.deid.rules import RULES, Option, rule_for


def test_table_is_the_pinned_edition_and_undamaged() -> None:
    lines = "\n".join("\t".join(row) for row in _e1_1.ROWS)
    assert _e1_1.EDITION == "2026d"
    assert hashlib.sha256(lines.encode()).hexdigest() == _e1_1.TABLE_SHA256
    assert len({row[0] for row in _e1_1.ROWS}) == len(_e1_1.ROWS) == 657


def test_actions_are_as_many_as_the_edition_has() -> None:
    counted = Counter(rule.basic for rule in RULES)
    assert counted == {
        "X": 417,
        "D": 93,
        "U": 55,
        "Z": 42,
        "X/D": 23,
        "X/Z": 11,
        "X/Z/D": 8,
        "Z/D": 6,
        "X/Z/U*": 2,
    }


def test_option_columns_have_as_many_marks_as_the_edition_has() -> None:
    counted = Counter((option, mark) for rule in RULES for option, mark in rule.options.items())
    assert counted == {
        (Option.RETAIN_SAFE_PRIVATE, "C"): 1,
        (Option.RETAIN_UIDS, "K"): 60,
        (Option.RETAIN_DEVICE_IDENTITY, "K"): 48,
        (Option.RETAIN_DEVICE_IDENTITY, "C"): 11,
        (Option.RETAIN_INSTITUTION_IDENTITY, "K"): 10,
        (Option.RETAIN_PATIENT_CHARACTERISTICS, "K"): 14,
        (Option.RETAIN_PATIENT_CHARACTERISTICS, "C"): 5,
        (Option.RETAIN_FULL_DATES, "K"): 169,
        (Option.RETAIN_MODIFIED_DATES, "C"): 169,
        (Option.CLEAN_DESCRIPTORS, "C"): 141,
        (Option.CLEAN_STRUCTURED_CONTENT, "C"): 4,
        (Option.CLEAN_GRAPHICS, "C"): 4,
    }


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (0x50003000, "Curve Data"),
        (0x501E0010, "Curve Data"),
        (0x60003000, "Overlay Data"),
        (0x601E4000, "Overlay Comments"),
        (0x00090010, "Private Attributes"),
        (0x00100010, "Patient's Name"),
    ],
)
def test_patterns_and_plain_tags_find_their_row(tag: int, name: str) -> None:
    found = rule_for(tag)
    assert found is not None
    assert found.name == name


def test_unlisted_tags_have_no_row() -> None:
    assert rule_for(0x00080060) is None
    assert rule_for(0x60001500) is None


def test_method_codes_are_those_of_cid_7050() -> None:
    from pydicom.sr._concepts_dict import concepts

    standard = {
        code: meaning
        for entries in concepts["DCM"].values()
        for code, (meaning, groups) in entries.items()
        if 7050 in groups
    }
    for profile in Profile:
        assert {value: standard.get(value) for value, _ in Method(profile).codes} == dict(
            Method(profile).codes
        )
    assert [value for value, _ in Method(Profile.BASIC).codes] == ["113100"]
    assert [value for value, _ in Method(Profile.RESEARCH).codes] == [
        "113100",
        "113105",
        "113107",
        "113108",
        "113109",
    ]


def test_actions_agree_with_an_independent_derivation_of_the_edition_before() -> None:
    # Edition 2026c, made by other people with another program; rows that are new in 2026d are not in it.
    package = importlib.util.find_spec("dicomanonymizer")
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent / "dicom_anonymization_databases" / "dicomfields_2026c.py"
    spec = importlib.util.spec_from_file_location("independent_e1_1", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    compared = {}
    for name, tags in vars(module).items():
        if not name.endswith("_TAGS") or name == "ALL_TAGS":
            continue
        action = name.removesuffix("_TAGS").replace("_", "/").replace("/U/STAR", "/U*")
        for tag in tags:
            if len(tag) == 2:
                compared[tag[0] << 16 | tag[1]] = action
    ours = {tag: rule.basic for tag in compared if (rule := rule_for(tag)) is not None}
    different = {
        f"{tag:08X}": (ours.get(tag), action) for tag, action in compared.items() if ours.get(tag) != action
    }
    assert len(compared) > 600
    assert different == {}
