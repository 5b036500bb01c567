"""The pictures that README.md shows: each is there, is small, and is said in words as well."""

from __future__ import annotations

import re
import struct
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PICTURES = REPOSITORY / "docs" / "pictures"
MOST_BYTES = 60_000
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def test_the_readme_shows_four_pages_below_its_first_screen_and_their_pictures_are_small() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[([^\]]*)\]\((docs/pictures/[a-z-]+\.png)\)", text)
    assert len(shown) == 4 and text.index("docs/pictures/") > text.index("```text")
    for words, name in shown:
        content = (REPOSITORY / name).read_bytes()
        assert len(words) > 30, f"{name} is not said in words"
        assert content.startswith(SIGNATURE) and len(content) <= MOST_BYTES, name
        width, height = struct.unpack(">II", content[16:24])
        assert 600 <= width <= 1600 and 400 <= height <= 1600
    assert {path.name for path in PICTURES.iterdir()} == {Path(name).name for _, name in shown}
