"""The planted corpus through the engine: nothing that identifies comes out, and what may stay does.

A part of the corpus in every run, under its public seed; the whole, under two more seeds, among the long tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from tests.deid.corpus.generate import PUBLIC_SEED, sample, whole
from tests.deid.corpus.planted import PROFILES, CorpusFile, Expect
from tests.deid.corpus.runner import Result, cleaned
from tests.deid.scoring import reading
from tests.deid.scoring.leaks import leaks, seen, value_at
from tests.deid.scoring.midi_b import is_hidden, pixels_of, score

_SEEDS = (PUBLIC_SEED, 1, 2)
_LEAST_SCORE = 99.99
_LEAST_RETAINED = 0.999
_MOST_WITHHELD = 0.02


@pytest.fixture(scope="module", params=PROFILES)
def profile(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def results(profile: str) -> list[Result]:
    return list(cleaned(sample(), profile))


def test_the_key_tells_what_is_in_the_files() -> None:
    assert _missing(sample()) == []


@pytest.mark.long
@pytest.mark.parametrize("seed", _SEEDS)
def test_the_key_tells_what_is_in_the_files_of_the_whole_corpus(seed: int) -> None:
    assert _missing(whole(seed)) == []


def _missing(files: Iterator[CorpusFile]) -> list[tuple[str, str]]:
    return [
        (file.name, one.place)
        for file in files
        for one in file.planted
        if one.encoded and file.kind != "damaged" and not _is_in(file, one.encoded)
    ]


def test_nothing_planted_is_in_an_output(results: list[Result], profile: str) -> None:
    assert _leaks(results, profile) == []


def test_what_may_stay_stays(results: list[Result], profile: str) -> None:
    _check_retention(results, profile)


def test_clean_files_are_not_withheld(results: list[Result]) -> None:
    _check_withheld(results)


def test_files_of_rules_are_cleaned_and_not_held(results: list[Result]) -> None:
    held = Counter(
        result.reason for result in results if result.file.kind == "rule" and result.output is None
    )
    assert sum(held.values()) <= 0.02 * sum(result.file.kind == "rule" for result in results), held


def test_drawn_text_is_gone_from_pixels(results: list[Result]) -> None:
    assert _shown(results) == []


def test_score_of_the_ten_categories(results: list[Result], profile: str) -> None:
    told = score(results, profile)
    assert told.percent >= _LEAST_SCORE, told.told()


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", _SEEDS)
def test_the_whole_corpus(seed: int, profile: str) -> None:
    results = list(cleaned(whole(seed), profile))
    told = score(results, profile)
    print(told.told())
    assert _leaks(results, profile) == []
    assert _shown(results) == []
    _check_retention(results, profile)
    _check_withheld(results)
    assert told.percent >= _LEAST_SCORE, told.told()


def _leaks(results: list[Result], profile: str) -> list[tuple[str, str, str]]:
    return [(result.file.name, one.place, one.value) for result in results for one in leaks(result, profile)]


def _check_retention(results: list[Result], profile: str) -> None:
    kept, lost = 0, []
    for result in results:
        wanted = [one for one in result.file.planted if one.expected(profile) is Expect.KEEP]
        if not wanted or (result.output is None and not result.file.clean):
            continue
        dataset = None if result.output is None else seen(result.output).dataset
        for one in wanted:
            value = None if dataset is None else value_at(dataset, one.place)
            is_text = result.file.kind == "text"
            if value is not None and (one.value in value if is_text else value == one.value):
                kept += 1
            else:
                lost.append((result.file.name, one.place, one.value, value))
    assert kept > 200
    assert len(lost) <= (1 - _LEAST_RETAINED) * (kept + len(lost)), lost[:40]


def _check_withheld(results: list[Result]) -> None:
    clean = [result for result in results if result.file.clean]
    held = [(result.file.name, result.reason) for result in clean if result.output is None]
    assert len(clean) > 20
    assert len(held) <= _MOST_WITHHELD * len(clean), held


def _shown(results: list[Result]) -> list[tuple[str, str]]:
    """Return the files in whose pixels text can be seen or read."""
    found = []
    for result in results:
        if result.output is None or not result.file.boxes:
            continue
        before, after = pixels_of(result.file.content), pixels_of(result.output)
        assert before is not None and after is not None, result.file.name
        for box in result.file.boxes:
            if not is_hidden(box, before, after):
                found.append((result.file.name, "seen"))
            elif reading.lacking() is None and reading.shows(box, after):
                found.append((result.file.name, "read"))
    return found


def _is_in(file: CorpusFile, encoded: tuple[bytes, ...]) -> bool:
    if any(one in file.content for one in encoded) or any(
        one.decode("latin-1") in file.name for one in encoded
    ):
        return True
    return any(one in seen(file.content).raw for one in encoded)
