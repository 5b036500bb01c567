"""`catalogue import-idc`: what an operator sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.catalogue.idc_files import BRAINS, LUNGS, series, write_index

Run = Callable[..., Any]


@pytest.fixture
def hub(fairbank: Run, tmp_path: Path) -> Path:
    home = tmp_path / "hub"
    fairbank("hub", "init", "--public-base-iri", "https://hub.test", home=home).ok()
    return home


def test_the_report_says_what_was_published_left_out_and_not_understood(
    fairbank: Run, hub: Path, tmp_path: Path
) -> None:
    bad = [series(30, PatientID=None), series(31, PatientSex="?")]
    index = write_index(tmp_path / "index", [*LUNGS, *BRAINS, *bad])
    ran = fairbank("catalogue", "import-idc", "--parquet", index, "--format", "json", home=hub).ok()
    assert json.loads(ran.out) == {
        "index": "v3 (25.0.5)",
        "rows": 16,
        "series described": 15,
        "collections": {"new": 2},
        "rows left out": {"PatientID: missing or not usable": 1},
        "values not understood": {"PatientSex": 1},
    }
    exported = fairbank("catalogue", "export", home=hub).ok().out
    assert "<https://hub.test/datasets/idc/lung-ct>" in exported


def test_the_same_again_changes_nothing_and_says_so(fairbank: Run, hub: Path, tmp_path: Path) -> None:
    index = write_index(tmp_path / "index", LUNGS)
    fairbank("catalogue", "import-idc", "--parquet", index, home=hub).ok()
    again = fairbank("catalogue", "import-idc", "--parquet", index, home=hub).ok()
    assert "Nothing has changed." in again.err
    assert "unchanged 1" in again.out


def test_the_rdf_view_follows_where_no_hub_runs(fairbank: Run, hub: Path, tmp_path: Path) -> None:
    from pyoxigraph import Store

    fairbank("catalogue", "import-idc", "--parquet", write_index(tmp_path / "index", LUNGS), home=hub).ok()
    view = Store.read_only(str((hub / "rdf" / "current").resolve()))
    found = view.query(
        "ASK { ?d <http://purl.org/dc/terms/identifier> 'idc/lung-ct' }", use_default_graph_as_union=True
    )
    assert bool(found)


def test_what_is_gone_is_named_and_withdrawn_only_when_asked(
    fairbank: Run, hub: Path, tmp_path: Path
) -> None:
    fairbank(
        "catalogue", "import-idc", "--parquet", write_index(tmp_path / "old", [*LUNGS, *BRAINS]), home=hub
    ).ok()
    newer = write_index(tmp_path / "new", LUNGS)
    told = fairbank("catalogue", "import-idc", "--parquet", newer, home=hub).ok()
    assert "No longer in the index, still published: brain-mr" in told.err
    ended = fairbank("catalogue", "import-idc", "--parquet", newer, "--withdraw-missing", home=hub).ok()
    assert "withdrawn 1" in ended.out
    assert "idc/brain-mr" not in fairbank("catalogue", "export", home=hub).ok().out


@pytest.mark.parametrize("part", [("--limit", "1"), ("--collections", "lung_ct")])
def test_a_part_of_the_index_cannot_withdraw_the_rest(
    fairbank: Run, hub: Path, tmp_path: Path, part: tuple[str, str]
) -> None:
    index = write_index(tmp_path / "index", LUNGS)
    fairbank("catalogue", "import-idc", "--parquet", index, *part, "--withdraw-missing", home=hub).refused(
        "FB-CLI-001", "needs the whole index", code=2
    )


def test_a_file_that_is_no_index_is_refused_with_its_code(fairbank: Run, hub: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    other.write_text("no parquet")
    fairbank("catalogue", "import-idc", "--parquet", other, home=hub).refused("FB-CAT-090", code=2)
