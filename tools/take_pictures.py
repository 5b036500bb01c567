"""Take the pictures of pages that README.md shows, of a demo that was left running.

    .venv/bin/fairbank demo --keep 2> demo.log        # in another terminal; it is ready when demo.log says so
    .venv/bin/python tools/take_pictures.py demo.log

The addresses and passwords are read from what the demo has printed. Its researcher sends one more job, so that a node
has something to decide about. Four pages are opened in the system's chromium and kept in docs/pictures/, as PNG files
of at most 60 KB each. Links of node pages work once: a second run needs new ones, hence another demo.
"""

from __future__ import annotations

import io
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
TARGET = REPOSITORY / "docs" / "pictures"
sys.path.insert(0, str(REPOSITORY / "src"))

from fairbank.clock import SystemClock  # noqa: E402
from fairbank.settings import load  # noqa: E402
from fairbank.web.acts import grant, send_job  # noqa: E402
from fairbank.web.api_client import HubApi  # noqa: E402

BROWSER = os.environ.get("FAIRBANK_BROWSER", "/usr/bin/chromium")
RESEARCHER = "ada"
# As wide as README.md shows it twice over; what is further down is cut off.
VIEW = {"width": 1000, "height": 760}
MOST_BYTES = 60_000
COLOURS = (128, 64, 32, 16)
WAIT_S = 180


@dataclass(frozen=True, slots=True)
class Kept:
    """What a demo that was left running has printed; `node` is the link of the first node's pages."""

    hub: str
    password: str
    home: Path
    node: str
    curator: str
    passphrase: str


def main() -> None:
    """Read what the demo has printed, take the pictures, and say how large they are."""
    from playwright.sync_api import sync_playwright

    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    kept = read(Path(sys.argv[1]).read_text(encoding="utf-8"))
    TARGET.mkdir(exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER)
        of_the_hub(kept, browser)
        of_a_node(kept, browser)
        browser.close()


def read(text: str) -> Kept:
    """Return what a demo has printed."""
    home = _one(rf"--home (\S+)/{RESEARCHER} whoami", text)
    node = re.search(r"(http://127\.0\.0\.1:\d+/start/\S+)\s+you are (\S+), passphrase (\S+)", text)
    if node is None:
        raise SystemExit("The demo has not printed the link of a node's pages yet.")
    return Kept(
        _one(r"Pages of the hub: (\S+)", text),
        _one(rf"sign in as {RESEARCHER} [^,]*, password (\S+)", text),
        Path(home),
        *node.groups(),
    )


def of_the_hub(kept: Kept, browser: Any) -> None:
    """Keep the pages of collections, of one, and of the request that the demo's researcher made."""
    with _tab(browser, kept.hub) as tab:
        tab.goto("/login")
        tab.fill("#name", RESEARCHER)
        tab.fill("#password", kept.password)
        tab.click("main button")
        tab.goto("/collections")
        _keep(tab, "collections")
        tab.goto("/collections/northfield/northfield-ct")
        _keep(tab, "collection")
        tab.goto("/requests?show=mine")
        tab.click("main a[href^='/requests/']:not([href*='new'])")
        _keep(tab, "request")


def of_a_node(kept: Kept, browser: Any) -> None:
    """Send one more job, and keep the page on which a node's curator decides about it."""
    given = load(flags={"home": kept.home / RESEARCHER}, environ={})[0]
    api = HubApi.from_home(given, SystemClock())
    asked = api.get("/v1/requests", signed_in=True)["requests"][0]["id"]
    title = "Intensity once more"
    send_job(api, grant(api, asked), "intensity-geometry", {}, title=title)
    with _tab(browser) as tab:
        tab.goto(kept.node)
        tab.fill("#open-person", kept.curator)
        tab.fill("#open-passphrase", kept.passphrase)
        tab.click("main button")
        ends = time.monotonic() + WAIT_S
        while not tab.get_by_role("link", name=title).count():
            if time.monotonic() > ends:
                raise SystemExit("The job has not reached the node.")
            tab.wait_for_timeout(1000)
            tab.reload()
        tab.get_by_role("link", name=title).click()
        _keep(tab, "node-job")


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"This is not what a demo that was left running prints: there is no {pattern!r}.")
    return found[1]


@contextmanager
def _tab(browser: Any, base: str | None = None) -> Iterator[Any]:
    context = browser.new_context(base_url=base, viewport=VIEW, color_scheme="light", locale="en-GB")
    try:
        yield context.new_page()
    finally:
        context.close()


def _keep(tab: Any, name: str) -> None:
    """Keep what is seen of a page, with as many colours as fit."""
    from PIL import Image

    tab.wait_for_load_state("networkidle")
    whole = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
    for colours in COLOURS:
        written = io.BytesIO()
        whole.quantize(colours, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
        if written.tell() <= MOST_BYTES:
            break
    else:
        raise SystemExit(
            f"{name}: {written.tell()} bytes with {COLOURS[-1]} colours; {MOST_BYTES} are the most."
        )
    (TARGET / f"{name}.png").write_bytes(written.getvalue())
    print(f"{name}.png: {written.tell()} bytes, {colours} colours")


if __name__ == "__main__":
    main()
