"""`dataset describe` asks a curator: each answer is checked at once, and Ctrl-C keeps what was answered."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairbank.clock import SystemClock
from fairbank.harvest.datasets import Description, define_dataset, stewardship_of
from fairbank.ontology.profiles import asking
from fairbank.ontology.profiles.listing import PROFILES, profile_named
from fairbank.ontology.record import CollectionKind
from fairbank.ontology.stewardship import Stewardship
from fairbank.release.node import Node, init_node
from fairbank.settings import load

Run = Callable[..., Any]
PROFILE = "healthdcat-ap-r8-non-public"


class Keyboard(io.StringIO):
    """Standard input that says it is a terminal; after its lines comes Ctrl-D."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def site(tmp_path: Path) -> Node:
    node = init_node(load(flags={"home": tmp_path / "home"}, environ={})[0], SystemClock(), name="alpha")
    define_dataset(node, "lungs", project="p", description=Description("Lungs", "CT.", CollectionKind.TEST))
    return node


@pytest.fixture
def type_in(fairbank: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    def answer(lines: dict[str, str], *words: str, until: str | None = None) -> Any:
        chosen = (
            [profile_named(words[words.index("--profile") + 1])]
            if "--profile" in words
            else PROFILES.values()
        )
        asked = asking.questions(list(chosen), optional="--optional" in words)
        fields = [
            f"{one.field}.{part}" if part else one.field for one in asked for part in one.parts or ("",)
        ]
        if until is not None:
            fields = fields[: fields.index(until)]
        typed = "".join(lines.get(field, "") + "\n" for field in fields)
        monkeypatch.setattr("sys.stdin", Keyboard(typed))
        return fairbank("dataset", "describe", "lungs", *words)

    return answer


def test_what_a_profile_needs_is_asked_first_and_kept(type_in: Run, site: Node) -> None:
    lines = {
        "contact_email": "data@alpha.test",
        "languages": "https://a.test/DEU; https://a.test/ENG",
        "hdab.name": "Access body",
        "hdab.page": "https://hdab.test",
    }
    said = type_in(lines, "--profile", PROFILE).ok().err
    assert "is kept" in said and "several with ';' between them" in said
    kept = stewardship_of(site, "lungs")
    assert kept.contact_email == "data@alpha.test"
    assert kept.languages == ("https://a.test/DEU", "https://a.test/ENG")
    assert kept.hdab is not None and (kept.hdab.name, kept.hdab.email) == ("Access body", None)


def test_enter_keeps_and_a_hyphen_empties(type_in: Run, site: Node) -> None:
    type_in({"contact_email": "data@alpha.test", "contact_page": "https://alpha.test"}, "--optional").ok()
    type_in({"contact_page": "-", "omics_held": "no", "planned_time_points": "3"}, "--optional").ok()
    kept = stewardship_of(site, "lungs")
    assert (kept.contact_email, kept.contact_page) == ("data@alpha.test", None)
    assert (kept.omics_held, kept.planned_time_points) == (False, 3)


def test_what_does_not_fit_is_asked_again(fairbank: Run, site: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    first = asking.questions([profile_named(PROFILE)])[0]
    assert first.field == "contact_email"
    monkeypatch.setattr("sys.stdin", Keyboard("Dr. Doe, ward 3\n" * 2 + "data@alpha.test\n"))
    said = fairbank("dataset", "describe", "lungs", "--profile", PROFILE).ok().err
    assert said.count("FB-ONT-002") == 2 and "What was answered so far is kept." in said
    assert stewardship_of(site, "lungs").model_dump(mode="json") == {"contact_email": "data@alpha.test"}


def test_a_word_that_is_in_no_list_is_asked_again_with_the_nearest(type_in: Run, site: Node) -> None:
    type_in({"conditions": "Lungenkrebs; MONDO:0008433"}, "--optional").ok()
    assert stewardship_of(site, "lungs").conditions == ("lung-cancer", "small-cell-lung-cancer")


def test_ctrl_c_keeps_what_was_answered(type_in: Run, site: Node) -> None:
    said = type_in({"contact_email": "data@alpha.test"}, "--optional", until="omics_held").ok().err
    assert "What was answered so far is kept." in said
    assert stewardship_of(site, "lungs") == Stewardship(contact_email="data@alpha.test")


def test_nobody_is_asked_without_a_terminal(fairbank: Run, site: Node) -> None:
    fairbank("dataset", "describe", "lungs").refused("FB-CLI-007", "--from FILE", code=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none"], "FB-HARV-009"),
        (["lungs", "--profile", "dublin-core"], "FB-ONT-003"),
        (["lungs", "--from", "x.toml", "--optional"], "nothing is asked"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(
    fairbank: Run, site: Node, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.setattr("sys.stdin", Keyboard(""))
    ran = fairbank("dataset", "describe", *words)
    assert ran.code != 0 and said in ran.err
