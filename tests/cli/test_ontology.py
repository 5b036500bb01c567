"""`fairbank ontology`: the terms, without a hub and without a home."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rdflib import Graph

from fairbank.ontology.model.listing import CONCEPTS, SCHEMES, TERMS
from fairbank.ontology.model.triples import triples

Make = Callable[..., Any]


@pytest.fixture
def ontology(fairbank: Make, tmp_path: Path) -> Make:
    return lambda *words: fairbank("ontology", *words, home=tmp_path / "nowhere")


def test_all_terms_and_lists_are_shown(ontology: Make) -> None:
    shown = json.loads(ontology("show", "--format", "json").ok().out)
    assert [row["name"] for row in shown] == [*TERMS, *SCHEMES]


def test_a_list_shows_its_words(ontology: Make) -> None:
    shown = json.loads(ontology("show", "conditions", "--format", "json").ok().out)
    assert len(shown) == len(SCHEMES["conditions"].concepts)
    lung = next(row for row in shown if row["word"] == "small-cell-lung-cancer")
    assert lung["broader"] == "lung-cancer, carcinoma" and lung["same_as"] == "obo:MONDO_0008433"


@pytest.mark.parametrize("name", ["modality", "Stratum", "condition-copd", "bodyPart-110517009"])
def test_a_term_is_shown_field_by_field(ontology: Make, name: str) -> None:
    shown = json.loads(ontology("show", name, "--format", "json").ok().out)
    assert shown["iri"].endswith(f"#{name}") and shown["label (en)"]


def test_a_name_in_another_language_is_looked_up(ontology: Make) -> None:
    found = json.loads(ontology("lookup", "kanker", "--format", "json").ok().out)
    assert found == [{"name": "condition-cancer", "is": "word", "label": "Cancer", "found_by": "label (nl)"}]


@pytest.mark.parametrize("words", [("show", "nothing"), ("lookup", "house fire")])
def test_what_is_not_there_is_refused(ontology: Make, words: tuple[str, str]) -> None:
    ontology(*words).refused("FB-ONT-011", code=1)


@pytest.mark.parametrize(
    ("name", "form"), [("turtle", "turtle"), ("ntriples", "nt"), ("jsonld", "json-ld"), ("rdfxml", "xml")]
)
def test_the_whole_is_written_in_every_format(ontology: Make, name: str, form: str) -> None:
    assert len(Graph().parse(data=ontology("export", "--format", name).ok().out, format=form)) == len(
        triples()
    )


def test_there_are_words_for_the_tests() -> None:
    assert {"condition-copd", "bodyPart-110517009", "condition-cancer"} <= set(CONCEPTS)
