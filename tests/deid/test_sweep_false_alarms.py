"""The sweep and the second look hold next to nothing that is clean: measured on the files that come with pydicom."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path

import pydicom.data
import pytest

from fairbank.clock import FixedClock
from fairbank.deid.cleaning import Cleaned, Held, Order, clean_file
from fairbank.deid.facts import Recorder
from fairbank.deid.identifiers import Identifiers
from fairbank.deid.key_file import KeyFile
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason
from fairbank.deid.policies import PixelTrust
from fairbank.deid.profiles import Profile
from fairbank.deid.verification.output import Output

LARGEST_BYTES = 150_000
DRAWS = 20
ALLOWED_SHARE = 0.005
_FAMILY = """
Smith Mueller Schmidt Li Wang Ng An Lee Kim Park Garcia Rossi Martin Young Long Rose Field King Page Gray
White Head Hand Hart Bell Ward Hall Ray Day May Max Lang Klein Gross Kurz Weiss Koch Wolf Stein Berg Otto
Ernst Roth Alt Nguyen Le Vo Khan Ali Cohen Sato Ito Abe Ono Mori Chen Liu Wu Xu Sun Ma Hu Guo Lin He Gao Luo
Cruz Diaz Gil Vega Paz Leon Sol Rey
"""
_GIVEN = """
Anna Max Li Na Jo Tim Eva Ida Kai Uwe Ben Sam Ann Amy Art Leo Mia Noah Paul John Jane Wei Min Jun Ken Omar
"""
FAMILY, GIVEN = _FAMILY.split(), _GIVEN.split()


def bundled() -> list[Path]:
    folder = Path(pydicom.data.__file__).parent
    return [
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size < LARGEST_BYTES
    ]


@pytest.fixture(scope="module")
def results() -> list[tuple[Method, Cleaned | Held]]:
    key, recorder = KeyFile(b"k" * 32), Recorder(agent="x", at=FixedClock().now(), tool="test")
    found = []
    for profile in Profile:
        method = Method(profile, trust=PixelTrust.REVIEWED)
        for path in bundled():
            found.append(
                (method, clean_file(path.read_bytes(), Order("p", method), identity=key, recorder=recorder))
            )
    return found


def test_no_bundled_file_is_held_by_the_second_look(results: list[tuple[Method, Cleaned | Held]]) -> None:
    reasons = [one.reason for _, one in results if isinstance(one, Held)]
    assert not {Reason.IDENTIFIER_FOUND, Reason.NOT_VERIFIED} & set(reasons)
    assert len(results) - len(reasons) >= 100


def test_chance_holds_one_file_in_two_hundred_at_most(results: list[tuple[Method, Cleaned | Held]]) -> None:
    """Seek people whom no file can know in every output: short names and numbers among them."""
    draw, tried, held = random.Random(7), 0, 0
    for method, one in results:
        if isinstance(one, Held):
            continue
        areas = Output.read(one.content).areas
        for _ in range(DRAWS):
            tried += 1
            held += bool(somebody(draw).kinds_in(areas, method.options))
    assert tried >= 2000
    assert held <= ALLOWED_SHARE * tried


def somebody(draw: random.Random) -> Identifiers:
    digits = draw.choice([4, 5, 6, 7, 8])
    day = date(2000, 1, 1) + timedelta(draw.randrange(8000))
    return Identifiers(
        names=frozenset({f"{draw.choice(FAMILY)}^{draw.choice(GIVEN)}"}),
        numbers=frozenset(
            {draw.choice(["", "", "P", "MRN"]) + str(draw.randrange(10 ** (digits - 1), 10**digits))}
        ),
        orders=frozenset({str(draw.randrange(1, 99_999)), f"A{draw.randrange(10**6, 10**8)}"}),
        birth=frozenset({date(1930, 1, 1) + timedelta(draw.randrange(30_000))}),
        days=frozenset({day, day + timedelta(1)}),
    )
