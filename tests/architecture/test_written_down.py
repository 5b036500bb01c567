"""What is written down is what is there: every error, setting, command and route has its place in docs/."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import fairbank
from fairbank.errors import FairbankError, all_error_classes

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = DOCS / "errors"
CODE = re.compile(r"FB-(CORE|CLI|DEMO|WEB|JOBS|ANA|HARV|DEID|CAT|REL|ONT)-\d{3}")
# Modules that act when they are imported; none of them defines an error.
_PROGRAMS = {"__main__", "env"}


@cache
def error_classes() -> tuple[type[FairbankError], ...]:
    for module in pkgutil.walk_packages(fairbank.__path__, "fairbank."):
        if module.name.rpartition(".")[2] not in _PROGRAMS:
            importlib.import_module(module.name)
    return tuple(cls for cls in all_error_classes() if cls.__module__.startswith("fairbank"))


def test_each_error_class_has_a_code_of_its_own() -> None:
    codes = Counter(cls.code for cls in error_classes())
    shared = {
        code: [cls.__name__ for cls in error_classes() if cls.code == code]
        for code, uses in codes.items()
        if uses > 1
    }
    assert shared == {}


def test_each_code_has_the_form_that_people_can_search_for() -> None:
    assert [cls.code for cls in error_classes() if not CODE.fullmatch(cls.code)] == []


def test_each_error_class_has_a_page_and_each_page_a_class() -> None:
    codes = {cls.code for cls in error_classes()}
    pages = {path.stem for path in PAGES.glob("FB-*.md")}
    assert sorted(codes - pages) == [], "these codes have no page in docs/errors"
    assert sorted(pages - codes) == [], "these pages describe no error"


@pytest.mark.parametrize("page", sorted(PAGES.glob("FB-*.md")), ids=lambda page: page.stem)
def test_an_error_s_page_says_what_happened_why_and_what_to_do(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.match(rf"# {page.stem}: \S.+\n", text), "the first line is '# CODE: title'"
    for part in ("What happened", "Why", "What to do"):
        assert re.search(rf"^(\*\*{part}\.?\*\*|## {part}$)", text, re.M), f"{page.name} lacks '{part}'"


def test_the_page_of_settings_is_what_the_code_says() -> None:
    spec = importlib.util.spec_from_file_location("page", REPOSITORY / "tools" / "build_settings_page.py")
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    written = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    assert written == tool.settings_page(), "run: make docs"


def test_each_decision_has_a_number_and_is_in_the_index() -> None:
    folder = DOCS / "decisions"
    index = (folder / "0000-index.md").read_text(encoding="utf-8")
    pages = sorted(path.name for path in folder.glob("*.md"))
    assert all(re.match(r"\d{4}-[a-z0-9-]+\.md$", name) for name in pages)
    assert [name for name in pages if name != "0000-index.md" and name not in index] == []


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(DOCS)} → {target}")
    assert broken == []
