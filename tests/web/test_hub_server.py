"""The process of a hub: what it loads when it begins, and that the garbage collector leaves that alone."""

from __future__ import annotations

import subprocess
import sys

from fairbank.catalogue.ontology_view import ontology_quads
from fairbank.web.hub_server import forget_what_was_for_the_beginning

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

# Large, and needed for some requests, or by nodes, only.
LATER = (
    "torch", "monai", "dask", "matplotlib", "pandas", "scipy", "pydicom", "PIL", "rdflib", "safetensors",
)  # fmt: skip


def test_a_hub_begins_without_what_few_of_its_requests_need() -> None:
    source = (
        f"import sys; import fairbank.web.hub_app; print([name for name in {LATER!r} if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.strip() == "[]"


def test_a_collection_looks_at_nothing_that_was_loaded_at_the_start() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", BEGUN], capture_output=True, text=True, timeout=60, check=True
    )
    loaded, frozen, looked_at = map(int, ran.stdout.split())
    assert frozen > 0.9 * loaded
    assert looked_at < 0.1 * loaded


def test_the_ontology_is_not_kept_as_statements_once_the_hub_has_begun() -> None:
    base = "https://hub.example.org"
    assert ontology_quads(base) is ontology_quads(base)
    forget_what_was_for_the_beginning()
    assert ontology_quads.cache_info().currsize == 0
    assert len(ontology_quads(base)) > 1000
