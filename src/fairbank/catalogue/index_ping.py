"""Telling indexes of FAIR Data Points that the hub is there: at the start, and once a day.

An index then reads the hub as any harvester does. It is told the address of the root and nothing else; an index that
cannot be reached costs a line in the log.

Source: the reference implementation's index (FAIRDataTeam/FAIRDataPoint): `POST` of `{"clientUrl": …}`, answered 204.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from fairbank.catalogue.context import Hub
from fairbank.settings import Settings, SettingsError

log = logging.getLogger("fairbank.catalogue")
DAY_S: Final = 86_400.0
# The index may read the hub at once, so the hub has to listen before it is told.
FIRST_S: Final = 5.0
_TIMEOUT_S: Final = 20.0
# No proxy of the environment stands before these.
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Told:
    """What an index answered.

    Attributes:
        status: the status of its answer; None if there was none.
        problem: why it has not taken the hub in; empty if it has.
    """

    url: str
    status: int | None
    problem: str


def index_urls(settings: Settings) -> tuple[str, ...]:
    """Return the addresses of the indexes to tell, each once.

    Raises:
        SettingsError: if one is no http or https address.
    """
    urls = tuple(dict.fromkeys(settings.fdp_index_urls.replace(",", " ").split()))
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(
                f"The setting fdp_index_urls cannot hold {url[:200]!r}.",
                why="An index of FAIR Data Points has an http or https address.",
                todo="Write the addresses with a space between them.",
            )
    return urls


def tell(hub: Hub, url: str) -> Told:
    """Tell one index that the hub is there."""
    import httpx

    message = {"clientUrl": f"{hub.base_iri}/"}
    try:
        # What an index says besides the status is not read: it may be of any length.
        with (
            httpx.Client(timeout=_TIMEOUT_S, trust_env=urlsplit(url).hostname not in _LOOPBACK) as client,
            client.stream("POST", url, json=message) as answer,
        ):
            status = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as err:
        return Told(url, None, f"it cannot be reached ({type(err).__name__})")
    return Told(url, status, "" if 200 <= status < 300 else f"it answered {status}")


def tell_all(hub: Hub) -> list[Told]:
    """Tell every index of the settings, and log those that have not taken the hub in."""
    found = [tell(hub, url) for url in index_urls(hub.settings)]
    for each in found:
        if each.problem:
            log.warning("the index %s was not told of this hub: %s", each.url, each.problem)
        else:
            log.info("the index %s was told of this hub", each.url)
    return found


async def run(hub: Hub, *, first_s: float = FIRST_S, every_s: float = DAY_S) -> None:
    """Tell the indexes of the settings now and then, until cancelled; without any there is nothing to do."""
    if not hub.settings.fdp_index_urls.strip():
        return
    await asyncio.sleep(first_s)
    while True:
        try:
            await asyncio.to_thread(tell_all, hub)
        except Exception:
            # Being in an index is a courtesy: nothing else of the hub depends on it.
            log.exception("the indexes could not be told of this hub")
        await asyncio.sleep(every_s)
