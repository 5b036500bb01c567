"""Take the pictures of pages that README.md shows, of a demo that this starts and stops.

    .venv/bin/python tools/take_pictures.py

The demo runs as `fairbank demo` does, some minutes; then its researcher sends one more job, so that a node has
something to decide about. Four pages are opened in the system's chromium and kept as PNG files of at most 60 KB each in
docs/pictures/. Needs the extras `demo` and `dev`, and a sandbox (see `make demo`).
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
TARGET = REPOSITORY / "docs" / "pictures"
sys.path.insert(0, str(REPOSITORY / "src"))

from fairbank.clock import SystemClock  # noqa: E402
from fairbank.demo.federation import RESEARCHER  # noqa: E402
from fairbank.demo.run import DemoRun  # noqa: E402
from fairbank.web.acts import grant, send_job  # noqa: E402

BROWSER = os.environ.get("FAIRBANK_BROWSER", "/usr/bin/chromium")
# As wide as README.md is shown; a page is cut where a reader has seen enough of it.
VIEW = {"width": 1000, "height": 760}
MOST_BYTES = 60_000
COLOURS = (128, 64, 32, 16)
WAIT_S = 120


def main() -> None:
    """Start the demo, take the pictures, and say how large they are."""
    from playwright.sync_api import sync_playwright

    TARGET.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="fairbank-pictures-") as home,
        DemoRun(Path(home), clock=SystemClock(), rounds=2) as run,
    ):
        run.tell()
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=BROWSER)
            _of_the_hub(run, browser)
            _of_a_node(run, browser)
            browser.close()


def _of_the_hub(run: DemoRun, browser: Any) -> None:
    federation = run.story.federation
    with _tab(browser, federation.hub_url) as tab:
        tab.goto("/login")
        tab.fill("#name", RESEARCHER)
        tab.fill("#password", federation.passwords[RESEARCHER])
        tab.click("main button")
        tab.goto("/collections")
        _keep(tab, "collections")
        tab.click("main .card h2 a, main .card h3 a")
        tab.wait_for_url("**/collections/*/*")
        _keep(tab, "collection")
        tab.goto("/requests")
        tab.click("main a[href^='/requests/']:not([href*='new'])")
        _keep(tab, "request")


def _of_a_node(run: DemoRun, browser: Any) -> None:
    federation = run.story.federation
    site = federation.sites[0]
    researcher = federation.person(RESEARCHER)
    asked = researcher.get("/v1/requests", signed_in=True)["requests"][0]["id"]
    send_job(researcher, grant(researcher, asked), "intensity-geometry", {}, title="Intensity once more")
    name = site.biobank.name
    with _tab(browser, "") as tab:
        tab.goto(federation.open_pages(name))
        tab.fill("#open-person", site.biobank.curator)
        tab.fill("#open-passphrase", federation.passphrase_file(site.biobank).read_text())
        tab.click("main button")
        ends = time.monotonic() + WAIT_S
        while not tab.locator("main a[href^='/jobs/']").count() and time.monotonic() < ends:
            time.sleep(1)
            tab.reload()
        tab.locator("main a[href^='/jobs/']").first.click()
        _keep(tab, "node-job")


@contextmanager
def _tab(browser: Any, base: str) -> Iterator[Any]:
    context = browser.new_context(
        **({"base_url": base} if base else {}), viewport=VIEW, color_scheme="light", locale="en-GB"
    )
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
            f"{name}: {written.tell()} bytes with {COLOURS[-1]} colours, {MOST_BYTES} are the most"
        )
    (TARGET / f"{name}.png").write_bytes(written.getvalue())
    print(f"{name}.png: {written.tell()} bytes, {colours} colours")


if __name__ == "__main__":
    main()
