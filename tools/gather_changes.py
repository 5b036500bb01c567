"""Write the section "Unreleased" of CHANGELOG.md from the lines of changelog.d/.

    .venv/bin/python tools/gather_changes.py

At a release: run it, give the section the version and the date, and empty changelog.d/.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHANGES = ROOT / "CHANGELOG.md"
HEADING = "## Unreleased\n"


def section() -> str:
    """Return the section: one list per room, in the order of the rooms' names."""
    parts = [HEADING]
    for path in sorted((ROOT / "changelog.d").glob("*.md")):
        title = path.stem.replace("_", " ").replace("-", " ")
        parts.append(f"\n### {title.capitalize()}\n\n{path.read_text(encoding='utf-8').strip()}\n")
    return "".join(parts)


def main() -> None:
    """Replace what stands between the heading and the next version."""
    text = CHANGES.read_text(encoding="utf-8")
    before, heading, after = text.partition(HEADING)
    assert heading, f"CHANGELOG.md has no line {HEADING!r}"
    released = re.search(r"^## ", after, re.M)
    rest = "\n" + after[released.start() :] if released else ""
    CHANGES.write_text(before + section() + rest, encoding="utf-8")


if __name__ == "__main__":
    main()
