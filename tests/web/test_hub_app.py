"""The hub's application as a whole: pages for people, problems for programs, one mapping for every error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fairbank.catalogue.context import Hub, init_hub
from fairbank.clock import FixedClock
from fairbank.errors import FairbankError, Kind
from fairbank.settings import Settings
from fairbank.web.hub_app import create_app

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
PROBLEM = "application/problem+json"


@pytest.fixture
def hub(tmp_path: Path, clock: FixedClock) -> Iterator[Hub]:
    made = init_hub(Settings(home=tmp_path / "hub"), clock, public_base_iri="http://hub.test")
    yield made
    made.queries.close()
    made.engine.dispose()


@pytest.fixture
def app(hub: Hub) -> Any:
    return create_app(hub)


@pytest.fixture
def client(app: Any) -> TestClient:
    """The application without what it runs in the background."""
    return TestClient(app, base_url="http://hub.test", raise_server_exceptions=False)


# -- programs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing/here", 404, "FB-WEB-002"),
        ("GET", "/v1/nothing", 404, "FB-WEB-002"),
        ("DELETE", "/healthz", 405, "FB-WEB-002"),
        ("DELETE", "/", 405, "FB-WEB-002"),
        ("GET", "/search?limit=many", 422, "FB-CAT-073"),
        ("GET", "/v1/whoami", 401, "FB-CAT-020"),
    ],
)
def test_an_error_is_a_problem(client: TestClient, method: str, path: str, status: int, code: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"urn:fairbank:error:{code}"
    assert problem["title"] and problem["todo"]
    assert answer.headers["cache-control"] == "no-store"


def test_a_parameter_of_another_kind_is_a_problem(app: Any, client: TestClient) -> None:
    @app.get("/numbered")
    def numbered(number: int) -> int:
        return number

    answer = client.get("/numbered?number=many")
    assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)
    assert answer.json()["code"] == "FB-WEB-001"


def test_who_has_to_log_in_is_told_how(client: TestClient) -> None:
    assert client.get("/v1/whoami").headers["www-authenticate"] == "Bearer"


def test_a_method_that_is_not_taken_names_those_that_are(client: TestClient) -> None:
    answer = client.delete("/healthz")
    assert "DELETE" in answer.json()["title"]
    assert "GET" in answer.headers["allow"]


def test_a_failure_that_nobody_foresaw_says_nothing_of_the_inside(app: Any) -> None:
    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("DOE^JANE 19500112")

    answer = TestClient(app, raise_server_exceptions=False).get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "FB-WEB-003")
    assert "DOE" not in answer.text and "RuntimeError" not in answer.text


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name)
def test_each_kind_of_error_has_its_status(app: Any, kind: Kind) -> None:
    class Made(FairbankError):
        code = "FB-CORE-000"

    Made.kind = kind

    @app.get("/made")
    def made() -> None:
        raise Made("It happened.", why="So.", todo="Do this.")

    answer = TestClient(app).get("/made")
    assert answer.status_code == kind.http_status == answer.json()["status"]
    assert answer.json()["detail"] == "So. Do this."
    assert ("retry-after" in answer.headers) == (kind.http_status in (429, 503, 504))


# -- people --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "status"), [("/nothing/here", 404), ("/datasets/no/such", 404)])
def test_a_browser_gets_a_page_that_says_what_to_do(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path, headers=HTML)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert '<html lang="en"' in answer.text and answer.text.count("<h1") == 1
    assert re.search(r"<code>FB-[A-Z]+-[0-9]+</code>", answer.text)
    assert '<a class="button" href="/">' in answer.text


def test_what_somebody_typed_is_shown_as_text(client: TestClient) -> None:
    typed = client.get("/search", params={"limit": "<script>alert(1)</script>"}, headers=HTML)
    assert typed.headers["content-type"].startswith("text/html")
    assert "<script>" not in typed.text


def test_programs_of_the_wire_never_get_a_page(client: TestClient) -> None:
    assert client.get("/v1/nothing", headers=HTML).headers["content-type"] == PROBLEM


def test_programs_get_the_first_page_as_json(client: TestClient) -> None:
    answer = client.get("/", headers={"Accept": "application/json"}).json()
    assert answer["name"] == "fairbank" and answer["base_iri"] == "http://hub.test"


# -- what there is -------------------------------------------------------------------------------------------------


def test_the_routes_are_described(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.")
    paths = set(described["paths"])
    assert {"/healthz", "/v1/hub", "/search", "/sparql", "/v1/jobs", "/v1/releases/{release_id}"} <= paths


def test_no_described_route_fails_at_an_odd_request(client: TestClient) -> None:
    failed = []
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        odd = re.sub(r"\{[^}]*\}", "none", path.replace("{digest}", "sha256:" + "0" * 64))
        for method in methods:
            answer = client.request(method.upper(), odd)
            # 503: without its background the application has no RDF view yet.
            if answer.status_code >= 500 and answer.status_code != 503:
                failed.append((method, path, answer.text[:200]))
    assert failed == []


def test_the_hub_says_who_it_is_and_that_it_lives(client: TestClient) -> None:
    assert client.get("/healthz").status_code == 200
    hub = client.get("/v1/hub").json()
    assert hub["base_iri"] == "http://hub.test" and hub["protocol"] == [1]


def test_the_background_starts_and_ends_with_the_application(app: Any) -> None:
    with TestClient(app) as client:
        assert client.get("/healthz").status_code == 200
