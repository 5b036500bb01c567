"""Build the menu of the documentation from its folders (an mkdocs hook): a page appears by being written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SECTIONS = {
    "Tutorial": "tutorial",
    "How to": "how-to",
    "Reference": "reference",
    "Explanation": "explanation",
    "Decisions": "decisions",
    "Errors": "errors",
}


def on_config(config: Any) -> Any:
    """Set the menu: the first page, then each section's index and pages in the order of their names."""
    docs = Path(config["docs_dir"])
    menu: list[Any] = [{"Home": "index.md"}]
    for title, folder in SECTIONS.items():
        pages = sorted((docs / folder).rglob("*.md"), key=lambda page: (page.stem != "index", str(page)))
        if pages:
            menu.append({title: [str(page.relative_to(docs)) for page in pages]})
    config["nav"] = menu
    return config
