"""The process of a hub: what is loaded when it begins is no work for the garbage collector any more."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: what is frozen in this one would never be collected.
BEGUN = """
import asyncio, gc, sys, uvicorn
from sqlalchemy import create_engine
from fairbank.catalogue.notifier import Notifier
from fairbank.web.hub_server import HubServer

async def app(scope, receive, send):
    pass

async def main():
    server = HubServer(
        uvicorn.Config(app, port=0, lifespan="off", log_level="critical"), notifier=Notifier(create_engine("sqlite://"))
    )
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    loaded = len(gc.get_objects())
    await server.startup()
    print(loaded, gc.get_freeze_count(), len(gc.get_objects()))
    await server.shutdown()

asyncio.run(main())
"""


def test_a_collection_looks_at_nothing_that_was_loaded_at_the_start() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", BEGUN], capture_output=True, text=True, timeout=60, check=True
    )
    loaded, frozen, looked_at = map(int, ran.stdout.split())
    assert frozen > 0.9 * loaded
    assert looked_at < 0.1 * loaded
