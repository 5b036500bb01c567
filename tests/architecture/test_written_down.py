"""What is written down is what is there: every error, setting, command and route has its place in docs/."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
import subprocess
import sys
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


@pytest.mark.parametrize("page", ["settings", "profiles", "ontology", "training"])
def test_a_generated_page_is_what_the_code_says(page: str) -> None:
    spec = importlib.util.spec_from_file_location("page", REPOSITORY / "tools" / f"build_{page}_page.py")
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    written = (DOCS / "reference" / f"{page}.md").read_text(encoding="utf-8")
    assert written == getattr(tool, f"{page}_page")(), "run: make docs"


def test_the_page_of_training_results_is_made_from_the_results() -> None:
    spec = importlib.util.spec_from_file_location(
        "page", REPOSITORY / "tools" / "build_training_results_page.py"
    )
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    results = tool.read_results()
    written = tool.TARGET.read_text(encoding="utf-8")
    drawn = {file.name: file.read_text(encoding="utf-8") for file in tool.PICTURES.glob("*.svg")}
    assert written == tool.results_page(results, written), "run: make docs"
    assert drawn == tool.pictures(results), "run: make docs"
    assert all(f"({tool.PICTURES.name}/{name})" in written for name in drawn)


@pytest.mark.parametrize("page", sorted((DOCS / "decisions").glob("*.md")), ids=lambda page: page.stem)
def test_a_decision_has_a_number_of_its_own_and_a_title(page: Path) -> None:
    number = page.name[:4]
    assert re.match(r"\d{4}-[a-z0-9-]+\.md$", page.name)
    assert [other.name for other in page.parent.glob(f"{number}-*.md")] == [page.name]
    assert page.read_text(encoding="utf-8").startswith("# ")


def test_every_page_has_a_place_in_the_menu() -> None:
    menu = (REPOSITORY / "tools" / "docs_menu.py").read_text(encoding="utf-8")
    folders = {page.relative_to(DOCS).parts[0] for page in DOCS.rglob("*.md") if page.parent != DOCS}
    assert [folder for folder in sorted(folders) if f'"{folder}"' not in menu] == []


def test_the_documentation_builds_and_needs_no_other_host(tmp_path: Path) -> None:
    build = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    assert build.returncode == 0, build.stderr[-3000:]
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"https?://[^\"]+\"", page) == []


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(DOCS)} → {target}")
    assert broken == []
