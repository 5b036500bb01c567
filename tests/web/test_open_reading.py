"""Pages of other origins may read the public catalogue, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fairbank.catalogue.context import init_hub
from fairbank.clock import FixedClock
from fairbank.settings import Settings
from fairbank.web.hub_app import create_app

ORIGIN = "https://app.example.org"
OPEN = [
    "/sparql",
    "/sparql?query=ASK%7B%7D",
    "/search",
    "/search?q=lung",
    "/datasets",
    "/datasets/alpha/lungs",
    "/",
    "/catalog",
    "/catalog/alpha",
    "/profile/fdp-1.2",
    "/profiles/fdp-1.2",
    "/spec",
    "/expanded",
    "/meta",
]
CLOSED = ["/healthz", "/nodes", "/openapi.json", "/v1/hub", "/v1/nodes", "/v1/whoami", "/v1/datasets/a/visibility",
          "/v1/login", "/v1/requests", "/v1/audit", "/datasets-of-mine", "/sparql/",
          "http://hub.test//sparql"]  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    home = tmp_path_factory.mktemp("open") / "hub"
    hub = init_hub(Settings(home=Path(home)), FixedClock(), public_base_iri="http://hub.test")
    yield TestClient(create_app(hub), base_url="http://hub.test", raise_server_exceptions=False)
    hub.queries.close()
    hub.engine.dispose()


def preflight(client: TestClient, path: str, method: str = "GET", **headers: str) -> Any:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": method, **headers}
    return client.options(path, headers=asked)


def grants(answer: Any) -> list[str]:
    return [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", OPEN)
def test_any_origin_may_read_the_public_catalogue(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"Origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert "Fairbank-Rows" in answer.headers["access-control-expose-headers"]


def test_an_error_can_be_read_as_well(client: TestClient) -> None:
    answer = client.get("/sparql", params={"query": "SELECT"}, headers={"Origin": ORIGIN})
    assert answer.status_code in (400, 503)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert client.get("/datasets/no/such", headers={"Origin": ORIGIN}).status_code == 404


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_preflight_is_answered(client: TestClient, path: str, method: str) -> None:
    answer = preflight(client, path, method, **{"Access-Control-Request-Headers": "content-type, accept"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert method in answer.headers["access-control-allow-methods"]
    assert "Content-Type" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("header", ["authorization", "signature", "x-anything"])
def test_no_page_may_send_credentials(client: TestClient, header: str) -> None:
    answer = preflight(client, "/sparql", **{"Access-Control-Request-Headers": header})
    assert answer.status_code == 400
    assert header not in answer.headers["access-control-allow-headers"].lower()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_no_page_may_change_anything(client: TestClient, method: str) -> None:
    answer = preflight(client, "/datasets/alpha/lungs", method)
    assert answer.status_code == 400
    assert method not in answer.headers["access-control-allow-methods"]


def test_a_cookie_makes_no_difference_to_what_may_be_read(client: TestClient) -> None:
    answer = client.get("/datasets", headers={"Origin": ORIGIN, "Cookie": "session=1"})
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", CLOSED)
def test_nothing_else_is_open(client: TestClient, path: str) -> None:
    assert grants(client.get(path, headers={"Origin": ORIGIN})) == []
    answer = preflight(client, path)
    assert grants(answer) == []
    assert answer.status_code in (404, 405)


def test_without_an_origin_nothing_is_added(client: TestClient) -> None:
    assert grants(client.get("/datasets")) == []
