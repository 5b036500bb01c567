"""The browser that the tests open: the system's chromium, driven without a download of another."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

BROWSER = os.environ.get("FAIRBANK_BROWSER", "/usr/bin/chromium")


def lacking_browser() -> str | None:
    """Return why no browser can be opened here, None if one can; where one is named it has to be there."""
    if "FAIRBANK_BROWSER" in os.environ:
        return None
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: make setup"
    if not Path(BROWSER).exists():
        return "there is no browser: apt-get install chromium fonts-dejavu-core"
    return None


def picture_folder() -> Path | None:
    """Return where pictures of pages are kept for somebody to look at, None where nobody asks for them."""
    named = os.environ.get("FAIRBANK_PICTURES")
    if not named:
        return None
    folder = Path(named)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
