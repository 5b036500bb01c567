"""No text for people calls an update, a model or a training private: it says from whom, by what, and at what price."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
_WHAT = r"(?:models?|updates?|trainings?|learning|gradients?|weights)"
_ALONE = re.compile(
    rf"\bprivate {_WHAT}\b|\b{_WHAT} (?:is|are|stays?|remains?|(?:is|are) kept) private\b"
    # With capitals it stands in titles of papers.
    r"|\b(?-i:privacy[- ]preserving)\b",
    re.I,
)
TEXTS = sorted(
    path
    for pattern in (
        "docs/**/*.md",
        "src/**/*.py",
        "src/**/*.html",
        "src/**/*.po",
        "changelog.d/*.md",
        "README.md",
    )
    for path in REPOSITORY.glob(pattern)
)


def alone(text: str) -> list[str]:
    """Return where a text uses the word alone."""
    return [found.group() for found in _ALONE.finditer(" ".join(text.split()))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Train a private\nmodel.", 1),
        ("The updates are private.", 1),
        ("privacy-preserving analysis", 1),
        ("Private layers stay at the site; the private key does too.", 0),
        ("Noise bounds what the model tells of one patient.", 0),
    ],
)
def test_the_word_is_found_where_it_stands_alone(text: str, found: int) -> None:
    assert len(alone(text)) == found


def test_no_text_uses_the_word_alone() -> None:
    assert len(TEXTS) > 500
    said = {str(path.relative_to(REPOSITORY)): alone(path.read_text()) for path in TEXTS}
    assert {path: found for path, found in said.items() if found} == {}
