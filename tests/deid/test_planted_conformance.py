"""What comes out is no less conformant than what went in, by `dciodvfy`."""

from __future__ import annotations

from itertools import islice

import pytest
from tests.deid.corpus.damaged_part import clean_controls
from tests.deid.corpus.generate import PUBLIC_SEED, whole
from tests.deid.corpus.planted import PROFILES
from tests.deid.corpus.runner import Result, cleaned
from tests.deid.scoring import dciodvfy

pytestmark = pytest.mark.skipif(dciodvfy.lacking() is not None, reason=str(dciodvfy.lacking()))


@pytest.mark.parametrize("profile", PROFILES)
def test_clean_files_get_no_new_errors(profile: str) -> None:
    assert _new_errors(cleaned(clean_controls(PUBLIC_SEED, 22), profile)) == {}


@pytest.mark.long
@pytest.mark.parametrize("profile", PROFILES)
def test_planted_files_get_no_new_errors(profile: str) -> None:
    files = islice((file for file in whole() if file.kind != "damaged"), 0, None, 4)
    assert _new_errors(cleaned(files, profile)) == {}


def _new_errors(results) -> dict[str, list[str]]:
    found = {}
    for result in results:
        assert isinstance(result, Result)
        if result.output is None:
            continue
        new = dciodvfy.errors(result.output) - dciodvfy.errors(result.file.content)
        if new:
            found[result.file.name] = sorted(new)
    return found
