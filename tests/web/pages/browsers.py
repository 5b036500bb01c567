"""The browser that the tests open: the system's chromium, driven without a download of another."""

from __future__ import annotations

import base64
import importlib.util
import os
from pathlib import Path
from typing import Any

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


def take_picture(tab: Any, name: str) -> None:
    """Take a picture of a whole page if somebody wants them.

    It is asked of the browser itself, which has it in a third of the time that `screenshot` takes: nothing here moves
    and no letters are awaited.
    """
    folder = picture_folder()
    if folder is None:
        return
    asked = tab.context.new_cdp_session(tab)
    size = asked.send("Page.getLayoutMetrics")["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
    how = {"format": "png", "optimizeForSpeed": True, "captureBeyondViewport": True, "clip": clip}
    (folder / f"{name}.png").write_bytes(base64.b64decode(asked.send("Page.captureScreenshot", how)["data"]))
    asked.detach()
