"""The questions that are ready to ask: each is answered by a hub, and each is in the documentation as it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fairbank.catalogue.context import Hub
from fairbank.catalogue.query_examples import EXAMPLES, Example, find
from fairbank.web.hub_app import create_app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "ask-in-sparql.md"
BASE = "http://hub.test"
LUNGS, BRAINS = f"{BASE}/datasets/alpha/lungs", f"{BASE}/datasets/alpha/brains"
MODEL = f"{BASE}/models/sha256:" + "a" * 64
FB = "https://w3id.org/fairbank/terms#"
TITLE = "Lung screening CT"
BEGAN, CLEANED, COUNTED = "2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z", "2026-01-01T12:00:00Z"


def of_both(*cells: str) -> list[tuple[str, ...]]:
    """Return a row for each of the two datasets, which are alike."""
    return [(dataset, *cells) for dataset in (BRAINS, LUNGS)]


# What each question has to be answered with, in the order of its columns. The records are those of conftest.py: per
# dataset 40 series of CT by Siemens from 20 subjects, 80 by GE from 30, and a cell of MR with fewer than 10.
EXPECTED: dict[str, list[tuple[str, ...]]] = {
    "datasets-with-ct": of_both(TITLE, "120"),
    "thin-chest-ct": [*of_both("GE", "1-1.5", "30"), *of_both("Siemens", "1-1.5", "20")],
    "vendors": [("CT", "GE", "2", "160"), ("CT", "Siemens", "2", "80"), ("MR", "Siemens", "2", "0")],
    "biobanks": [("Alpha", BRAINS, "60"), ("Alpha", LUNGS, "60")],
    "data-use": of_both("DUO:0000006", "CC BY 4.0"),
    "open-to-health-research": of_both(TITLE),
    "provenance": [
        row
        for dataset in (BRAINS, LUNGS)
        for row in (
            (dataset, FB + "Deidentification", "fairbank deid", "0.1.0", BEGAN, CLEANED),
            (dataset, FB + "Harvest", "fairbank harvest", "0.1.0", CLEANED, COUNTED),
        )
    ],
    "deidentification": of_both("basic", "sha256:" + "0" * 64),
    "models": of_both(MODEL, "slice-autoencoder", "3"),
    "settings-of-models": [
        (dataset, MODEL, "aggregation", "fedavg", "plain", "mean", name, value)
        for dataset in (BRAINS, LUNGS)
        for name, value in (("learning_rate", '"0.003"'), ("width", "8"))
    ],
    "updates-of-models": [(MODEL, "1", f"{BASE}/nodes/alpha", "sha256:" + "d" * 64)],
    "sites-of-models": [(MODEL, "1", "Alpha")],
    "withheld": of_both("10", "1"),
    "quality": of_both("burned-in-text", "false", ""),
    "clinical-variables": of_both("Creatinine in serum", "mg/dL", "40"),
    "sex": of_both("F", "31", "header"),
}


@pytest.fixture(scope="module")
def client(two_datasets: Hub) -> TestClient:
    return TestClient(create_app(two_datasets), base_url=BASE)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.name)
def test_each_question_is_answered(client: TestClient, example: Example) -> None:
    answer: Any = client.post("/sparql", data={"query": example.query})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    rows = [
        tuple(row.get(name, {}).get("value", "") for name in found["head"]["vars"])
        for row in found["results"]["bindings"]
    ]
    assert rows == EXPECTED[example.name]


def test_each_question_has_a_name_of_its_own() -> None:
    names = [one.name for one in EXAMPLES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z-]+", name) and find(name) for name in names)
    assert find("nothing") is None


def test_the_page_shows_each_question_with_its_query() -> None:
    shown = re.findall(
        r"^### ([^\n]+)\n\n    fairbank sparql --example (\S+)\n\n```sparql\n(.*?)\n```$",
        PAGE.read_text(encoding="utf-8"),
        re.M | re.S,
    )
    assert shown == [(one.question, one.name, one.query) for one in EXAMPLES]
