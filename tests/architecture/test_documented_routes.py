"""Every route that the hub answers has a line in the documentation, and every line a route."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.routing import Route

from fairbank.catalogue.context import init_hub
from fairbank.clock import FixedClock
from fairbank.settings import Settings
from fairbank.web.hub_app import create_app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "rest.md"
# `GET /v1/jobs`, `GET`, `POST /sparql`: methods, then the path up to a query.
_WRITTEN = re.compile(r"((?:`?(?:GET|HEAD|POST|PUT|DELETE)`?,? )+)`?(/[^`\s?]*)")


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[tuple[str, str]]]:
    hub = init_hub(
        replace(Settings(), home=tmp_path_factory.mktemp("hub") / "hub"),
        FixedClock(),
        public_base_iri="http://hub.test",
    )
    yield {
        (method, _named(route.path))
        for route in _leaves(create_app(hub).routes)
        for method in (route.methods or set())
        # A server answers HEAD wherever it answers GET; only a route that says so is one of its own.
        if method != "HEAD" or route.methods == {"HEAD"}
    }
    hub.queries.close()
    hub.engine.dispose()


def test_each_route_of_the_hub_is_in_the_page(routes: set[tuple[str, str]]) -> None:
    assert sorted(routes - _written()) == []


def test_each_route_in_the_page_is_the_hub_s(routes: set[tuple[str, str]]) -> None:
    assert sorted(_written() - routes) == []


def test_the_page_of_permissions_is_what_the_table_says() -> None:
    path = Path(__file__).resolve().parents[2] / "tools" / "build_permissions_page.py"
    spec = importlib.util.spec_from_file_location("build_permissions_page", path)
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.TARGET.read_text(encoding="utf-8") == tool.page()


def _leaves(routes: Iterable[object]) -> Iterator[Route]:
    for route in routes:
        if isinstance(route, Route):
            yield route
        else:
            yield from _leaves(getattr(route, "original_router", route).routes)  # type: ignore[attr-defined]


def _written() -> set[tuple[str, str]]:
    found = _WRITTEN.findall(PAGE.read_text(encoding="utf-8"))
    return {(method, _named(path)) for methods, path in found for method in re.findall(r"[A-Z]{3,}", methods)}


def _named(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)
