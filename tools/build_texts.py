"""Bring the translations of the pages up to what templates and code say.

    .venv/bin/python tools/build_texts.py

Every text of a template (`_("…")`, `{% trans %}`) and of the code (`mark`, `say`, `say_many`), that of charts and
counts included, gets an entry in a file of each language, named after the template or module where it stands first; one
that is there keeps its translation, one that no page says any more goes. What is left to translate is printed, and the
exit status is then 1.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import write_po

REPOSITORY = Path(__file__).resolve().parents[1]
ROOMS = REPOSITORY / "src" / "fairbank"
WEB = ROOMS / "web"
# What says words of charts and counts; pages show them.
BELOW = (*sorted((ROOMS / "charts").glob("*.py")), ROOMS / "ontology" / "counts.py")
# Whose errors people meet on pages: they are said in every language.
ERRORS = (
    *(path for path in sorted(WEB.rglob("*.py")) if path.parent != WEB),
    ROOMS / "catalogue" / "accounts.py",
    *(WEB / f"{name}.py" for name in ("limits", "login_pages", "once", "own_origin", "problems", "static_files")),
    *(
        ROOMS / "catalogue" / "identity" / f"{name}.py"
        for name in ("logins", "page_keys", "passwords", "second_factors")
    ),
    *(
        ROOMS / "catalogue" / "governance" / f"{name}.py"
        for name in (
            "attachments", "casting", "document_types", "drafting", "drafts", "moves", "permitted", "requests",
        )
    ),
)  # fmt: skip
sys.path.insert(0, str(REPOSITORY / "src"))

from fairbank.ontology.counts import REASON_TEXTS  # noqa: E402
from fairbank.web.languages import LANGUAGES, SOURCE, TEXTS, messages_of  # noqa: E402

_OF_CODE = {"mark": None, "say": None, "say_many": (1, 2), "_": None}
_OF_TEMPLATES = {"_": None, "gettext": None, "ngettext": (1, 2)}
_OPTIONS = {"trimmed": "false", "newstyle_gettext": "true", "trim_blocks": "true", "lstrip_blocks": "true"}


def said() -> dict[Any, list[str]]:
    """Return every text that pages say (a pair where it has a plural), with the names of what says it, sorted."""
    found: dict[Any, list[str]] = {}
    for name, text in sorted(_everything(), key=lambda each: each[0]):
        found.setdefault(text, []).append(name)
    return found


def _everything() -> Iterator[tuple[str, Any]]:
    for path in sorted((WEB / "templates").glob("*.html")):
        # What several templates share belongs to the frame.
        name = "base" if path.stem.startswith("_") else path.stem
        for _, text, _, _ in extract_from_file(
            "jinja2.ext:babel_extract", path, keywords=_OF_TEMPLATES, options=_OPTIONS
        ):
            yield name, text
    for path in sorted(WEB.rglob("*.py")):
        for _, text, _, _ in extract_from_file("python", path, keywords=_OF_CODE):
            yield path.stem, text
    for path in BELOW:
        for _, text, _, _ in extract_from_file("python", path, keywords=_OF_CODE):
            yield "charts", text
    for path in ERRORS:
        for text in _errors(path):
            yield "errors", text
    for reason in REASON_TEXTS.values():
        yield "charts", reason


def _errors(path: Path) -> Iterator[str]:
    """Yield what errors that a module raises say, apart from sentences with parts that `told` does not keep."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call):
            continue
        named = {word.arg: word.value for word in call.keywords}
        is_told = isinstance(call.func, ast.Name) and call.func.id == "told"
        if is_told or named.keys() & {"why", "todo"}:
            for each in (*call.args[:1], *(named[word] for word in ("what", "why", "todo") if word in named)):
                yield from _constants(each)


def _constants(told: ast.expr) -> Iterator[str]:
    if isinstance(told, ast.IfExp):
        yield from _constants(told.body)
        yield from _constants(told.orelse)
    elif isinstance(told, ast.Constant) and isinstance(told.value, str) and told.value:
        yield told.value


def build(language: str) -> list[str]:
    """Write the files of a language and return the texts that it lacks."""
    known = {_key(message.id): (name, message.string) for name, message in messages_of(language)}
    files: dict[str, Catalog] = {}
    lacking = []
    for text, names in said().items():
        where, kept = known.get(_key(text), ("", None))
        # It stays where it is, so that two people who say the same in new places change no file of each other's.
        name = where if where in names else names[0]
        catalogue = files.setdefault(name, Catalog(locale=language, header_comment="# Texts of the pages."))
        catalogue.add(text, kept)
        if not kept or (isinstance(kept, tuple) and not all(kept)):
            lacking.append(str(text))
    folder = TEXTS / language
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.po"):
        if path.stem not in files:
            path.unlink()
    for name, catalogue in files.items():
        with (folder / f"{name}.po").open("wb") as file:
            write_po(file, catalogue, width=0, omit_header=True, sort_output=True, no_location=True)
    return lacking


def _key(text: Any) -> Any:
    return tuple(text) if isinstance(text, (list, tuple)) else text


def main() -> None:
    """Write the files and say what is left to translate."""
    missing = 0
    for language in sorted(set(LANGUAGES) - {SOURCE}):
        for text in build(language):
            missing += 1
            print(f"{language}: {text}")
    print(f"{missing} texts are left to translate in src/fairbank/web/texts/")
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
