"""A canary for each row of Table E.1-1 under all options that agree: it sings only where one keeps the value."""

from __future__ import annotations

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from tests.deid.test_every_rule import PATTERN_TAGS, tags_of, with_canaries

from fairbank.deid.cleaning import Cleaned, Order, clean_file
from fairbank.deid.facts import Recorder
from fairbank.deid.identity import IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.profiles import Profile
from fairbank.deid.rules import RULES, Option, Rule

FULL = frozenset(Option) - {Option.RETAIN_MODIFIED_DATES}
MOVED = frozenset(Option) - {Option.RETAIN_FULL_DATES, Option.RETAIN_UIDS}


def may_stay(rule: Rule, vr: str, options: frozenset[Option]) -> bool:
    if rule.tag in PATTERN_TAGS:
        return False
    marks = {action for option, action in rule.options.items() if option in options}
    if "C" in marks:
        # Cleaned: the hour of a moved date stays, and what sequences hold is judged element by element.
        return vr in ("TM", "SQ") or rule.tag == "00080201"
    return "K" in marks and vr != "AS"


@pytest.mark.parametrize("options", [pytest.param(FULL, marks=pytest.mark.long), MOVED])
def test_no_rule_leaks_under_the_options(
    options: frozenset[Option], identity: IdentityStore, recorder: Recorder
) -> None:
    order, leaks, kept = Order("lung", Method(Profile.BASIC, options)), [], 0
    for rule in RULES:
        for tag, vr in tags_of(rule):
            source, betrayals = with_canaries(tag, vr, ExplicitVRLittleEndian)
            result = clean_file(source, order, identity=identity, recorder=recorder)
            assert isinstance(result, Cleaned), (rule.tag, result)
            for depth, betrayal in enumerate(betrayals):
                if vr in ("US", "SS") or betrayal not in result.content:
                    continue
                kept += 1
                if not may_stay(rule, vr, options):
                    leaks.append((rule.tag, rule.name, vr, depth))
    assert leaks == []
    assert kept > 100
