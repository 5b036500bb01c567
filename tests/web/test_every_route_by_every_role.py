"""Every route by every role: each has a line in the table of who may, and is refused to all others.

What the routes answer, and to whom they show what, is tried by `test_calls_from_the_description`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi import APIRouter, Depends
from starlette.routing import Route
from starlette.testclient import TestClient
from tests.web.conftest import BASE, PASSWORD

from fairbank.catalogue import accounts, permissions
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub, init_hub
from fairbank.catalogue.identity import tokens
from fairbank.catalogue.identity.errors import NoRuleForRoute
from fairbank.catalogue.identity.model import TokenScope
from fairbank.catalogue.permissions import Action
from fairbank.clock import FixedClock
from fairbank.database import writing
from fairbank.settings import Settings
from fairbank.web import login_pages
from fairbank.web.hub_app import create_app
from fairbank.web.openapi_bodies import bodies

CALLERS = ("nobody", *(role.value for role in Role), "no-role", "reading-token")
# The dependencies that decide; whatever is not public has to have one of them.
GUARDS = {"account", "signed_node", "_reader", "visitor", "_needing_no_enrolment", "guest"}
# Plain routes that ask for a node's signature in their own body, to save time.
SIGNED_INSIDE = {
    ("POST", "/v1/jobs/{job_id}/sites/{node}/state"),
    ("POST", "/v1/nodes/{node}/claim"),
    ("PUT", "/v1/releases/{release_id}"),
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    home = tmp_path_factory.mktemp("every-route") / "hub"
    unlimited = replace(
        Settings(home=home), limits_account_requests=0, limits_origin_requests=0, limits_node_requests=0
    )
    made = init_hub(unlimited, FixedClock(), public_base_iri=BASE)
    yield made
    made.queries.close()
    made.engine.dispose()


@pytest.fixture(scope="module")
def app(hub: Hub) -> Any:
    return create_app(hub)


@pytest.fixture(scope="module")
def callers(hub: Hub) -> dict[str, dict[str, str]]:
    """The headers of each caller."""
    shown: dict[str, str] = {}
    with writing(hub.engine) as session:
        for name in CALLERS[1:]:
            roles = [Role(name)] if name in set(Role) else []
            if name == "reading-token":
                roles = [Role.ADMIN]
            accounts.create_account(session, hub, name=name, password=PASSWORD, roles=roles)
            shown[name] = accounts.issue_token(session, hub, name=name, hours=24 * 365).token
        wish = tokens.NewToken(name="reads", scopes=(TokenScope.READ,), days=300)
        shown["reading-token"] = tokens.make(session, hub, account="reading-token", wish=wish)[1]
    return {"nobody": {}, **{name: {"Authorization": f"Bearer {token}"} for name, token in shown.items()}}


def leaves(app: Any) -> list[Route]:
    return [route for route in app.routes if isinstance(route, Route)]


def guards_of(route: Any) -> set[str]:
    found: set[str] = set()

    def walk(dependant: Any) -> None:
        if dependant.call is not None:
            found.add(dependant.call.__qualname__.partition(".<locals>")[0])
        for each in dependant.dependencies:
            walk(each)

    for each in getattr(getattr(route, "dependant", None), "dependencies", ()):
        walk(each)
    return found & GUARDS


# -- the table -----------------------------------------------------------------------------------------------------


def test_every_route_names_its_action(app: Any) -> None:
    assert len(leaves(app)) == len(app.routes) > 150
    permissions.check_routes(app.routes)


def test_what_the_table_calls_a_node_s_asks_for_a_signature_and_nothing_else_does(app: Any) -> None:
    wrong = []
    for route in leaves(app):
        for method in route.methods or ():
            named = permissions.action_of(method, route.path) is Action.NODE
            asks = guards_of(route) == {"signed_node"} or (method, route.path) in SIGNED_INSIDE
            if named is not asks:
                wrong.append((method, route.path))
    assert wrong == []


def with_a_route(monkeypatch: pytest.MonkeyPatch, hub: Hub) -> None:
    """Let the application have one route more, which no line of the table is about."""
    usual = login_pages.router

    def router(hub: Hub) -> APIRouter:
        routes = usual(hub)
        known: Any = Depends(accounts.account(hub))
        routes.add_api_route("/v1/brand-new", lambda who=known: {"who": who.name}, methods=["GET"])
        return routes

    monkeypatch.setattr(login_pages, "router", router)


def test_a_hub_does_not_begin_with_a_route_that_no_line_is_about(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_route(monkeypatch, hub)
    with pytest.raises(NoRuleForRoute, match="/v1/brand-new"):
        create_app(hub)


@pytest.mark.parametrize("caller", CALLERS)
def test_a_route_that_no_line_is_about_is_refused_to_everybody(
    hub: Hub, callers: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch, caller: str
) -> None:
    with_a_route(monkeypatch, hub)
    monkeypatch.setattr(permissions, "check_routes", lambda routes: None)
    client = TestClient(create_app(hub), base_url=BASE)
    answer = client.get("/v1/brand-new", headers=callers[caller])
    assert (answer.status_code, "who" in answer.json()) == (403, False)


def test_what_is_not_public_is_guarded(app: Any) -> None:
    open_doors = [
        (method, route.path)
        for route in leaves(app)
        for method in route.methods or ()
        if permissions.action_of(method, route.path) is not Action.PUBLIC
        and not guards_of(route)
        and (method, route.path) not in SIGNED_INSIDE
    ]
    assert open_doors == []


@pytest.mark.parametrize(("method", "path"), sorted(SIGNED_INSIDE))
def test_what_asks_for_a_signature_inside_is_refused_without(app: Any, method: str, path: str) -> None:
    client = TestClient(app, base_url=BASE)
    answer = client.request(method, re.sub(r"\{[^}]*\}", "alpha", path), content=b"{}")
    assert answer.status_code == 401


def test_every_line_of_the_table_is_about_some_route(app: Any) -> None:
    used = set()
    for route in leaves(app):
        for method in route.methods or ():
            for command in ("vote", "pause", "accept"):
                path = route.path.replace("{command}", command)
                used.add(
                    next(
                        (
                            line
                            for line in permissions.ROUTES
                            if re.fullmatch(line[0], method) and re.fullmatch(line[1], path)
                        ),
                        None,
                    )
                )
    assert [line for line in permissions.ROUTES if line not in used] == []


def test_every_body_that_is_described_is_of_a_route(app: Any) -> None:
    there = {
        (method, re.sub(r":\w+\}", "}", route.path))
        for route in leaves(app)
        for method in route.methods or ()
    }
    assert sorted(set(bodies()) - there) == []


@pytest.mark.parametrize("caller", CALLERS)
def test_what_the_table_refuses_is_refused_over_the_wire(
    hub: Hub, app: Any, callers: dict[str, dict[str, str]], caller: str
) -> None:
    client = TestClient(app, base_url=BASE, follow_redirects=False)
    who = None
    if caller != "nobody":
        who = accounts.by_token(hub, callers[caller]["Authorization"].removeprefix("Bearer "))
        assert who is not None
    let_in = []
    for route in leaves(app):
        if "account" not in guards_of(route):
            continue
        for method in sorted(route.methods or ()):
            path = route.path.replace("{command}", "vote")
            action = permissions.action_of(method, path)
            assert action is not None
            if permissions.allow(who, action):
                continue
            address = re.sub(r"\{[^}]*:uuid\}", "00000000-0000-4000-8000-000000000000", path)
            answer = client.request(method, re.sub(r"\{[^}]*\}", "none", address), headers=callers[caller])
            if answer.status_code not in (401, 403):
                let_in.append((method, path, answer.status_code))
    assert let_in == []
