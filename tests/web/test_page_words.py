"""Every text of the pages passes the language of its reader, German is whole, and every state has its words."""

from __future__ import annotations

import importlib
import importlib.util
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jinja2 import nodes as tree
from starlette.testclient import TestClient

from fairbank.catalogue.context import init_hub
from fairbank.clock import FixedClock
from fairbank.settings import Settings
from fairbank.web.hub_app import create_app
from fairbank.web.languages import LANGUAGES, SOURCE, TEXTS, Tongue, messages_of, pseudo
from fairbank.web.pages.registry import pages
from fairbank.web.rendering import TEMPLATES, environment
from fairbank.web.state_table import STATES

REPOSITORY = Path(__file__).resolve().parents[2]
OTHERS = sorted(set(LANGUAGES) - {SOURCE})
TEMPLATE_FILES = sorted(TEMPLATES.glob("*.html"))
# What is the same in every language.
NAMES = {
    "fairbank",
    "fairbank audit export",
    "fairbank hub accounts",
    "fairbank job report",
    "fairbank job results --to results",
    "fairbank job show",
    "fairbank job try job.json",
    "fairbank login",
    "fairbank node enrol --token-file token.txt",
    "fairbank request attach vote.pdf --kind ethics-approval",
    "fairbank request submit",
    "fairbank request submit --to request.json",
    "job.json",
    "request.approve",
    "· fairbank",
}
SHOWN = ("aria-label", "alt", "title", "placeholder", "data-say")
_PLACEHOLDER = re.compile(r"%\((\w+)\)s")
# Every machine of states, by its name in the table.
MACHINES = {
    "request": "catalogue.governance.workflow.RequestState",
    "leg": "catalogue.governance.workflow.LegState",
    "job": "federated_jobs.states.JobState",
    "site": "federated_jobs.states.SiteState",
    "round": "federated_jobs.states.RoundState",
    "output": "release.releases.ReleaseState",
    "ledger": "release.ledger.EntryState",
    "model": "ontology.model_cards.ModelState",
    "tool": "federated_jobs.tool_review.ToolState",
    "count": "federated_jobs.node.live_counts.CountState",
    "overlap": "federated_jobs.node.overlaps.OverlapState",
    "described": "catalogue.described.State",
    "harvest": "harvest.reports.RunState",
    "item": "harvest.states.State",
}
# Words that end in "State" and are no state of something that people follow.
NO_MACHINES = {
    "federated_jobs.algorithms.training_parameters.OptimizerState",
    "federated_jobs.algorithms.parameters.OptimizerState",
    "harvest.pushing.push.State",
    "deid.verification.safe_harbor.State",
    "ontology.profiles.judging.State",
}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_texts", REPOSITORY / "tools" / "build_texts.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Plain(HTMLParser):
    """Collects the words of a template that no language passes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attributes if name in SHOWN]

    def handle_data(self, text: str) -> None:
        self.found.append(text)


@pytest.mark.parametrize("path", TEMPLATE_FILES, ids=[path.stem for path in TEMPLATE_FILES])
def test_every_text_of_a_template_passes_the_reader_s_language(path: Path) -> None:
    text = re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.S)
    text = re.sub(r"\{% trans\b.*?%\}.*?\{% endtrans %\}", "", text, flags=re.S)
    text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", text, flags=re.S)
    parser = _Plain()
    parser.feed(text)
    words = {" ".join(each.split()) for each in parser.found}
    assert {each for each in words if re.search(r"[A-Za-z]{2}", each)} <= NAMES


@pytest.mark.parametrize("path", TEMPLATE_FILES, ids=[path.stem for path in TEMPLATE_FILES])
def test_a_template_has_neither_scripts_nor_styles_in_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"\|\s*safe\b|<style|\bstyle=|\bon[a-z]+=|javascript:|Markup\(", text) == []
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))


def test_a_template_asks_of_its_page_what_its_context_has() -> None:
    for page in pages():
        text = (TEMPLATES / f"{page.name}.html").read_text(encoding="utf-8")
        asked = {
            each.attr
            for each in environment(SOURCE).parse(text).find_all(tree.Getattr)
            if isinstance(each.node, tree.Name) and each.node.name == "page"
        }
        there = set(page.context.__dataclass_fields__)
        assert asked <= there, page.name
        assert asked, f"{page.name}.html shows nothing of its context"


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_is_whole_and_says_nothing_that_is_gone(tool: ModuleType, language: str) -> None:
    messages = [message for _, message in messages_of(language)]
    said = {tool._key(text) for text in tool.said()}
    known = {tool._key(message.id) for message in messages}
    assert (sorted(map(str, said - known)), sorted(map(str, known - said))) == ([], []), (
        "run tools/build_texts.py"
    )
    for message in messages:
        strings = message.string if isinstance(message.string, tuple) else (message.string,)
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        assert all(strings), f"{message.id!r} is not translated"
        assert not message.fuzzy
        wanted = {name for each in ids for name in _PLACEHOLDER.findall(each)}
        assert {name for each in strings for name in _PLACEHOLDER.findall(each)} == wanted, message.id


def test_no_text_is_in_two_files() -> None:
    for language in OTHERS:
        ids = [str(message.id) for _, message in messages_of(language)]
        assert len(ids) == len(set(ids))
        assert list((TEXTS / language).glob("*.po"))


def test_the_pseudo_language_keeps_what_is_put_in() -> None:
    said = Tongue("xx").say("%(count)s collections", count=3)
    assert "3" in said and "%(" not in said
    assert len(pseudo("a" * 100)) >= 140


def test_numbers_and_days_are_written_as_the_language_does() -> None:
    from datetime import UTC, datetime

    moment = datetime(2026, 1, 31, 9, 5, tzinfo=UTC)
    assert (Tongue("de").number(1234.5), Tongue("en").number(1234.5)) == ("1.234,5", "1,234.5")
    assert "Januar" in Tongue("de").day(moment) and "January" in Tongue("en").day(moment)
    for code in ("en", "de"):
        assert "UTC" in Tongue(code).moment(moment) and "05" in Tongue(code).moment(moment)


def test_every_state_of_every_machine_has_its_words() -> None:
    assert set(MACHINES) == set(STATES)
    for machine, name in MACHINES.items():
        module, _, cls = f"fairbank.{name}".rpartition(".")
        states: Any = getattr(importlib.import_module(module), cls)
        assert {state.value for state in states} == set(STATES[machine]), machine


def test_every_state_stands_on_a_page_with_whom_it_waits_for(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "hub")
    hub = init_hub(settings, FixedClock(), public_base_iri="http://hub.test")
    text = unescape(TestClient(create_app(hub)).get("/help", headers={"Accept": "text/html"}).text)
    for machine, states in STATES.items():
        (section,) = re.findall(rf'<details id="{machine}">.*?</details>', text, flags=re.S)
        rows = re.findall(r"<tr><td>.*?</tr>", section, flags=re.S)
        assert len(rows) == len(states), machine
        for said, row in zip(states.values(), rows, strict=True):
            for word in (said.name, said.sentence, said.owner or "nobody", said.next, said.usual or "–"):
                assert f">{word}<" in row, (machine, said.name)
    hub.queries.close()
    hub.engine.dispose()


def test_every_machine_is_in_the_table() -> None:
    found = set()
    source = REPOSITORY / "src" / "fairbank"
    for path in source.rglob("*.py"):
        for cls in re.findall(r"^class (\w*State)\((?:Str)?Enum\)", path.read_text(encoding="utf-8"), re.M):
            found.add(f"{'.'.join(path.relative_to(source).with_suffix('').parts)}.{cls}")
    assert found == set(MACHINES.values()) | NO_MACHINES


def test_what_waits_for_nobody_has_no_usual_time_and_what_waits_says_what_comes_next() -> None:
    for machine, states in STATES.items():
        for state, said in states.items():
            assert said.name and said.sentence.endswith(".") and said.next, (machine, state)
            assert not (said.usual and not said.owner), (machine, state)
            assert "_" not in said.name and said.name[0].isupper()
