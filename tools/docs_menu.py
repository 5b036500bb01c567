"""Build the menu of the documentation, and its lists of pages, from its folders (an mkdocs hook).

A page appears by being written: nobody has to add it anywhere.
"""

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


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Put the list of a folder's pages where its index says `<!-- pages -->`."""
    if "<!-- pages -->" not in markdown:
        return markdown
    folder = Path(config["docs_dir"], page.file.src_uri).parent
    lines = [
        f"- [{_title(path)}]({path.name})"
        for path in sorted(folder.glob("*.md"))
        if path.name != page.file.name + ".md"
    ]
    return markdown.replace("<!-- pages -->", "\n".join(lines))


def _title(path: Path) -> str:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ").strip()
