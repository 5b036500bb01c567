"""Searches that a researcher keeps under a name: a JSON file in the home folder; the hub knows nothing of them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fairbank.catalogue.criteria import FACETS
from fairbank.cli.errors import SavedSearchRefused

FILE_NAME: Final = "searches.json"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_MOST_BYTES: Final = 2**20

_PARAMETERS: Final = frozenset(
    [
        *(facet.name for facet in FACETS),
        "q",
        "slice_thickness_max",
        "holds",
        "exact",
        "min_subjects",
        "min_sites",
    ]
)

Question = dict[str, Any]


def saved(home: Path, name: str) -> Question:
    """Return the search that is kept under a name.

    Raises:
        SavedSearchRefused: if there is none, or the file is not one of saved searches.
    """
    return _named(_read(home), name)


def save(home: Path, name: str, question: Mapping[str, object]) -> None:
    """Keep a search under a name, in the place of what was kept under it before.

    Args:
        question: its parameters; those that are None or empty are not kept.

    Raises:
        SavedSearchRefused: if the name cannot be used, or the file is not one of saved searches.
    """
    if not _NAME.fullmatch(name):
        raise SavedSearchRefused(
            f"A search cannot be saved as {name[:70]!r}.",
            why="A name has 1 to 64 lower-case letters, digits and hyphens, and begins with a letter or digit.",
            todo="Choose another name, such as lung-ct.",
        )
    searches = _read(home)
    searches[name] = _checked({key: value for key, value in question.items() if value})
    _write(home, searches)


def forget(home: Path, name: str) -> None:
    """Keep a search no longer.

    Raises:
        SavedSearchRefused: if there is none of that name, or the file is not one of saved searches.
    """
    searches = _read(home)
    _named(searches, name)
    del searches[name]
    _write(home, searches)


def _named(searches: dict[str, Question], name: str) -> Question:
    if name in searches:
        return searches[name]
    names = ", ".join(sorted(searches)) or "none"
    raise SavedSearchRefused(
        f"There is no saved search {name[:70]!r}.",
        why=f"Searches are kept in the home folder, each under its name; here: {names}.",
        todo="Take one of these, or keep one with 'fairbank search WORDS --save NAME'.",
    )


def _read(home: Path) -> dict[str, Question]:
    path = home / FILE_NAME
    if not path.exists():
        return {}
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("too large")
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): _checked(question) for name, question in dict(kept["searches"]).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise SavedSearchRefused(
            f"The file {FILE_NAME} in the home folder cannot be read as saved searches.",
            why="It was damaged or changed by hand; nothing was written to it.",
            todo="Correct it, or move it away and save the searches again.",
        ) from err


def _checked(question: Mapping[str, object]) -> Question:
    kept: Question = {}
    for key, value in question.items():
        if key not in _PARAMETERS:
            raise TypeError(f"{key} is no parameter of a search")
        if isinstance(value, (str, int)):
            kept[key] = value
        elif isinstance(value, list) and all(isinstance(each, str) for each in value):
            kept[key] = [str(each) for each in value]
        else:
            raise TypeError(f"{key} has no value of a search")
    return kept


def _write(home: Path, searches: dict[str, Question]) -> None:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    path, part = home / FILE_NAME, home / f"{FILE_NAME}.part"
    text = json.dumps({"searches": searches}, ensure_ascii=False, indent=2, sort_keys=True)
    # What somebody looks for is theirs alone; and a write that is cut off leaves the old file whole.
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as to:
        to.write(text + "\n")
    part.replace(path)
