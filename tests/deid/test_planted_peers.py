"""The scorer over two tools whose leaks are known: if it missed them, its silence about ours would mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.deid.corpus.generate import PUBLIC_SEED
from tests.deid.corpus.planted import BASIC
from tests.deid.corpus.rules_part import rule_files
from tests.deid.corpus.runner import cleaned
from tests.deid.scoring.midi_b import leaked_rules, score
from tests.deid.scoring.peers import dicom_anonymizer, pydicom_deid

from fairbank.deid.rules import RULES

# Measured on the whole table (657 rows, 666 files, seed 20261129): deid 0.4.13 leaks 356 rows at the top and 357 in
# sequences; dicom-anonymizer 2.1.0 leaks 47 and 646. Other seeds move these by a few.
_TOLERANCE = 0.05
_MEASURED = {"pydicom_deid": (356 / 657, 357 / 657), "dicom_anonymizer": (47 / 657, 646 / 657)}
_TOOLS = {"pydicom_deid": pydicom_deid, "dicom_anonymizer": dicom_anonymizer}


@pytest.mark.parametrize("tool", list(_TOOLS))
def test_known_leaks_are_found_in_a_fifth_of_the_table(tool: str, tmp_path: Path) -> None:
    _check(tool, tmp_path, RULES[::5], 3 * _TOLERANCE)


@pytest.mark.long
@pytest.mark.parametrize("tool", list(_TOOLS))
def test_known_leaks_are_found_in_the_whole_table(tool: str, tmp_path: Path) -> None:
    _check(tool, tmp_path, RULES, _TOLERANCE)


def _check(tool: str, folder: Path, rules: tuple, tolerance: float) -> None:
    files = list(rule_files(PUBLIC_SEED, rules))
    results = list(_TOOLS[tool](files, folder))
    ours = list(cleaned(files, BASIC))
    for nested, measured in zip((False, True), _MEASURED[tool], strict=True):
        share = len(leaked_rules(results, BASIC, nested=nested)) / len(rules)
        assert abs(share - measured) <= tolerance, (tool, nested, share)
        assert leaked_rules(ours, BASIC, nested=nested) == frozenset()
    assert score(results, BASIC).percent < 80 < 99.99 <= score(ours, BASIC).percent
