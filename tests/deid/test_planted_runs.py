"""The planted corpus through the command line: nothing planted in outputs, reports or names, and always the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.deid.corpus.damaged_part import clean_controls, series_of_studies
from tests.deid.corpus.folder_runs import FolderRun, kill_while_running, outputs_of, run_folder, write_in
from tests.deid.corpus.generate import PUBLIC_SEED, sample, whole
from tests.deid.corpus.places_part import free_texts
from tests.deid.corpus.planted import RESEARCH, CorpusFile
from tests.deid.scoring.leaks import leaks
from tests.deid.scoring.midi_b import score

# Shorter ones are found by chance in digests and pseudonyms.
_TELLING = 10
_TELLING_WORD = 6


@pytest.fixture(scope="module")
def files() -> list[CorpusFile]:
    return list(sample())


@pytest.fixture(scope="module")
def run(files: list[CorpusFile], tmp_path_factory: pytest.TempPathFactory) -> FolderRun:
    folder = tmp_path_factory.mktemp("run")
    source = write_in(files, folder / "Export_of_Quarzfeld_Ottilie")
    return run_folder(files, source, folder / "out", profile=RESEARCH, workers=2)


def test_nothing_planted_is_in_an_output_of_a_run(run: FolderRun) -> None:
    found = [
        (result.file.name, one.place, one.value) for result in run.results for one in leaks(result, RESEARCH)
    ]
    assert found == []


def test_every_file_is_accounted_for_and_nothing_else_is_there(
    run: FolderRun, files: list[CorpusFile]
) -> None:
    assert len(run.results) == len(files)
    cleaned = [result.output for result in run.results if result.output is not None]
    assert sorted(run.outputs.values()) == sorted(cleaned)


def test_nothing_planted_is_in_what_a_run_says(run: FolderRun, files: list[CorpusFile]) -> None:
    telling = _telling(files) | {b"Quarzfeld", b"Ottilie"}
    assert len(telling) > 3000
    found = {(name, one) for name, content in run.said.items() for one in telling if one in content}
    assert {name.split("/")[-1] for name in run.said} >= {"stdout", "stderr", "files.json", "names"}
    assert found == set()


def test_nothing_of_one_file_is_in_the_output_of_another(run: FolderRun, files: list[CorpusFile]) -> None:
    everything = b"\0".join(run.outputs.values())
    permitted = {
        part
        for file in files
        for one in file.planted
        if not one.expected(RESEARCH).must_go
        for part in one.encoded
    }
    assert [one for one in _telling(files) - permitted if one in everything] == []


def test_score_of_a_run(run: FolderRun) -> None:
    told = score(run.results, RESEARCH)
    assert told.percent >= 99.99, told.told()


@pytest.fixture(scope="module")
def steady() -> list[CorpusFile]:
    return [*series_of_studies(PUBLIC_SEED, 2, 2), *clean_controls(PUBLIC_SEED, 11), *free_texts(PUBLIC_SEED)]


@pytest.fixture(scope="module")
def first(steady: list[CorpusFile], tmp_path_factory: pytest.TempPathFactory) -> FolderRun:
    folder = tmp_path_factory.mktemp("first")
    return run_folder(steady, write_in(steady, folder / "in"), folder / "out", profile=RESEARCH)


@pytest.mark.long
def test_two_processes_write_the_bytes_of_one(
    first: FolderRun, steady: list[CorpusFile], tmp_path: Path
) -> None:
    second = run_folder(
        steady, write_in(steady, tmp_path / "in"), tmp_path / "out", profile=RESEARCH, workers=2
    )
    assert len(first.outputs) > 40
    assert second.outputs == first.outputs


@pytest.mark.long
def test_running_again_changes_nothing(first: FolderRun, steady: list[CorpusFile]) -> None:
    before = first.outputs
    again = run_folder(steady, first.out.parent / "in", first.out, profile=RESEARCH)
    assert again.outputs == before


def test_a_run_that_is_killed_leaves_nothing_half_clean_and_ends_alike(
    first: FolderRun, steady: list[CorpusFile], tmp_path: Path
) -> None:
    source, out = write_in(steady, tmp_path / "in"), tmp_path / "out"
    for after in (1, len(first.outputs) // 2):
        assert kill_while_running(source, out, profile=RESEARCH, workers=2, after_files=after)
        there = outputs_of(out)
        assert there.items() <= first.outputs.items()
    assert run_folder(steady, source, out, profile=RESEARCH, workers=2).outputs == first.outputs


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("profile", ["basic", "research"])
def test_the_whole_corpus_through_a_run(profile: str, tmp_path: Path) -> None:
    files = list(whole())
    run = run_folder(files, write_in(files, tmp_path / "in"), tmp_path / "out", profile=profile, workers=2)
    assert [(result.file.name, one.place) for result in run.results for one in leaks(result, profile)] == []
    told = score(run.results, profile)
    assert told.percent >= 99.99, told.told()
    telling = _telling(files)
    assert {(name, one) for name, content in run.said.items() for one in telling if one in content} == set()


def _telling(files: list[CorpusFile]) -> set[bytes]:
    """Return what betrays a planted value wherever it stands."""
    found = {
        part
        for file in files
        for one in file.planted
        if one.expected(RESEARCH).must_go
        for part in one.encoded
        if len(part) >= _TELLING or (len(part) >= _TELLING_WORD and not part.isdigit())
    }
    return found | {file.subject.encode() for file in files if len(file.subject) >= _TELLING}
