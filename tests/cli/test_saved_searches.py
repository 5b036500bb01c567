"""`fairbank search --save`, `--saved`, `--forget`: what is kept, what is asked, and what is refused."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairbank.cli import saved_searches
from fairbank.cli.errors import SavedSearchRefused

Run = Callable[..., Any]
ANSWER: dict[str, Any] = {"count": 0, "datasets": [], "facets": {}, "totals": {}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the hub is asked; it finds nothing."""
    from fairbank.web.api_client import HubApi

    questions: list[dict[str, Any]] = []

    def get(self: HubApi, path: str, **parameters: Any) -> dict[str, Any]:
        questions.append(parameters)
        return ANSWER

    monkeypatch.setattr(HubApi, "get", get)
    return questions


@pytest.fixture
def run(fairbank: Run, tmp_path: Path) -> Run:
    return lambda *words: fairbank("--home", tmp_path / "me", *words)


def test_a_saved_search_is_asked_again(run: Run, asked: list[dict[str, Any]]) -> None:
    run("search", "Zürich", "--modality", "CT", "--exact", "--min-subjects", "5", "--save", "lung-ct").ok()
    run("search", "--saved", "lung-ct").ok()
    assert asked[0] == asked[1] == {"q": "Zürich", "modality": ["CT"], "exact": True, "min_subjects": 5}


def test_what_is_given_beside_it_replaces_its_own(run: Run, asked: list[dict[str, Any]]) -> None:
    run("search", "lung", "--modality", "CT", "--save", "lung").ok()
    run("search", "--saved", "lung", "--modality", "MR", "--node", "alpha").ok()
    run("search", "--saved", "lung").ok()
    assert asked[1] == {"q": "lung", "modality": ["MR"], "node": ["alpha"]}
    assert asked[2] == {"q": "lung", "modality": ["CT"]}


def test_a_forgotten_search_is_gone(run: Run, asked: list[dict[str, Any]]) -> None:
    run("search", "lung", "--save", "one").ok()
    run("search", "heart", "--save", "two").ok()
    run("search", "--forget", "one").ok()
    run("search", "--saved", "one").refused("FB-CLI-006", "no saved search 'one'", "here: two", code=2)
    run("search", "--forget", "one").refused("FB-CLI-006", code=2)
    assert len(asked) == 2


@pytest.mark.parametrize("name", ["", "Lung", "a b", "../x", "-a", "x" * 65, "a\n", "lúng"])
def test_a_name_that_cannot_be_used_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SavedSearchRefused):
        saved_searches.save(tmp_path, name, {"q": "lung"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "[]",
        "{}",
        '{"searches": 3}',
        '{"searches": {"a": {"q": {}}}}',
        '{"searches": {"a": {"signed_in": true}}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_told_and_left_as_it_is(tmp_path: Path, damaged: str) -> None:
    path = tmp_path / saved_searches.FILE_NAME
    path.write_text(damaged, encoding="utf-8")
    with pytest.raises(SavedSearchRefused, match="cannot be read"):
        saved_searches.save(tmp_path, "lung", {"q": "lung"})
    assert path.read_text(encoding="utf-8") == damaged


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    saved_searches.save(tmp_path, "lung", {"q": "lung", "node": None, "exact": False})
    path = tmp_path / saved_searches.FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text(encoding="utf-8")) == {"searches": {"lung": {"q": "lung"}}}


def test_a_facet_of_the_table_is_an_option_and_is_kept(run: Run, asked: list[dict[str, Any]]) -> None:
    run("search", "--sex", "F", "--age-band", "60-64", "--slice-thickness-max", "1.50", "--save", "thin").ok()
    run("search", "--saved", "thin").ok()
    assert asked[0] == asked[1] == {"sex": ["F"], "age_band": ["60-64"], "slice_thickness_max": "1.5"}


def test_what_was_shown_instead_of_a_misspelt_word_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from fairbank.web.api_client import HubApi

    answer = {**ANSWER, "spelling": {"no_result_for": "lungen", "showing": "lung"}}
    monkeypatch.setattr(HubApi, "get", lambda self, path, **parameters: answer)
    assert "No result for lungen; showing lung." in run("search", "lungen").ok().err
