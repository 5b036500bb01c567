"""One table says what each role may do; what is not in it is refused; tokens never reach further than accounts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from fairbank.catalogue import permissions
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import NotAllowed, NotLoggedIn
from fairbank.catalogue.identity import roles, tokens
from fairbank.catalogue.identity.errors import NoRuleForRoute, RoleRefused, TokenTooNarrow
from fairbank.catalogue.identity.model import OF_TOKENS, TokenScope
from fairbank.catalogue.identity.tokens import NewToken
from fairbank.catalogue.permissions import RULES, Action, allow, check
from fairbank.clock import FixedClock
from fairbank.database import writing

Make = Callable[..., Any]
CHANGING = {
    Action.REQUEST_ACT, Action.REVIEW, Action.GRANT_END, Action.COMMITTEE_ACT, Action.JOB_SUBMIT, Action.JOB_CANCEL,
    Action.NODE_MANAGE, Action.DATASET_MANAGE, Action.DESCRIBE, Action.ACCOUNT_MANAGE,
}  # fmt: skip


def account(
    *held: Role, limited_to: frozenset[TokenScope] | None = None, nodes: tuple[str, ...] = ()
) -> Account:
    return Account("rita", frozenset(held), None, scopes=frozenset(nodes), limited_to=limited_to)


def test_every_action_but_the_public_one_has_a_rule() -> None:
    assert set(RULES) == set(Action) - {Action.PUBLIC}


@pytest.mark.parametrize("action", sorted(RULES))
def test_somebody_unknown_may_do_nothing_but_what_is_public(action: Action) -> None:
    assert not allow(None, action)
    with pytest.raises(NotLoggedIn):
        check(None, action)


def test_what_no_rule_is_about_nobody_may() -> None:
    assert permissions.action_of("POST", "/v1/nothing-of-the-kind") is None
    with pytest.raises(NoRuleForRoute):
        check(account(*Role), None)


@pytest.mark.parametrize("action", sorted(CHANGING))
def test_an_auditor_changes_nothing(action: Action) -> None:
    assert not allow(account(Role.AUDITOR), action, node="alpha")


def test_an_auditor_reads_the_log() -> None:
    readers = [role for role in Role if allow(account(role), Action.AUDIT_READ)]
    assert readers == [Role.ADMIN, Role.AUDITOR]


def test_an_administrator_submits_no_jobs_by_being_one() -> None:
    assert [role for role in Role if allow(account(role), Action.JOB_SUBMIT)] == [Role.RESEARCHER]


def test_a_curator_manages_datasets_of_her_node_only() -> None:
    curator = account(Role.CURATOR, nodes=("alpha",))
    assert allow(curator, Action.DATASET_MANAGE, node="alpha")
    assert not allow(curator, Action.DATASET_MANAGE, node="beta")
    assert not allow(curator, Action.DATASET_MANAGE)


def test_a_node_without_the_role_is_worth_nothing() -> None:
    assert not allow(account(Role.RESEARCHER, nodes=("alpha",)), Action.DATASET_MANAGE, node="alpha")


@given(
    held=st.frozensets(st.sampled_from(list(Role))),
    more=st.frozensets(st.sampled_from(list(Role))),
    scopes=st.frozensets(st.sampled_from(list(TokenScope))),
    action=st.sampled_from(sorted(RULES)),
)
def test_a_token_never_reaches_further_than_its_account_nor_fewer_roles_than_more(
    held: frozenset[Role], more: frozenset[Role], scopes: frozenset[TokenScope], action: Action
) -> None:
    limited, whole = account(*held, limited_to=scopes), account(*held)
    assert allow(whole, action) or not allow(limited, action)
    assert allow(account(*held, *more), action) or not allow(whole, action)


def test_what_nodes_do_no_account_may() -> None:
    everything = account(*Role, nodes=("alpha",))
    assert not allow(everything, Action.NODE, node="alpha")
    with pytest.raises(NotAllowed, match="signatures"):
        check(everything, Action.NODE)


@pytest.mark.parametrize(
    ("scope", "action"), [*itertools.product(sorted(OF_TOKENS), sorted(set(RULES) - {Action.NODE}))]
)
def test_a_token_is_good_for_what_it_says(scope: TokenScope, action: Action) -> None:
    everything = account(*Role, limited_to=frozenset({scope}))
    if RULES[action].token is scope:
        check(everything, action)
    else:
        with pytest.raises(TokenTooNarrow):
            check(everything, action)


# -- over the wire -------------------------------------------------------------------------------------------------


def make_token(hub: Hub, name: str, *scopes: TokenScope, days: int = 30) -> dict[str, str]:
    with writing(hub.engine) as session:
        _, secret = tokens.make(
            session, hub, account=name, wish=NewToken(name="for a test", scopes=scopes, days=days)
        )
    return {"Authorization": f"Bearer {secret}"}


def test_a_token_reads_and_does_nothing_else(hub: Hub, client: TestClient, person_named: Make) -> None:
    person_named("anna", Role.ADMIN)
    headers = make_token(hub, "anna", TokenScope.READ)
    assert client.get("/v1/whoami", headers=headers).json()["limited_to"] == ["read"]
    assert client.get("/v1/audit", headers=headers).status_code == 200
    invited = client.post("/v1/invitations", content=b'{"schema":"invitation/1"}', headers=headers)
    assert (invited.status_code, invited.json()["code"]) == (403, "FB-CAT-168")


def test_nobody_makes_tokens_with_a_token(hub: Hub, client: TestClient, person_named: Make) -> None:
    person_named("anna", Role.ADMIN)
    headers = make_token(hub, "anna", *OF_TOKENS)
    body = json.dumps({"schema": "new-token/1", "name": "another", "scopes": ["read"]})
    assert client.post("/v1/account/tokens", content=body, headers=headers).json()["code"] == "FB-CAT-168"


def test_a_token_ends_by_time_and_with_its_account(
    hub: Hub, client: TestClient, clock: FixedClock, person_named: Make
) -> None:
    person_named("rita")
    short, long = make_token(hub, "rita", TokenScope.READ, days=1), make_token(hub, "rita", TokenScope.READ)
    clock.advance(timedelta(days=1).total_seconds())
    statuses = [client.get("/v1/whoami", headers=each).status_code for each in (short, long)]
    assert statuses == [401, 200]


def test_a_token_is_listed_with_its_last_use_and_revoked(
    hub: Hub, client: TestClient, person_named: Make
) -> None:
    rita = person_named("rita")
    body = json.dumps({"schema": "new-token/1", "name": "nightly", "scopes": ["read", "jobs"], "days": 7})
    made = client.post("/v1/account/tokens", content=body, headers=rita.headers).json()
    (listed,) = client.get("/v1/account/tokens", headers=rita.headers).json()["tokens"]
    assert (listed["name"], listed["scopes"], listed["last_used"]) == ("nightly", ["jobs", "read"], None)
    assert "token" not in listed
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert client.get("/v1/whoami", headers=bearer).status_code == 200
    (listed,) = client.get("/v1/account/tokens", headers=rita.headers).json()["tokens"]
    assert listed["last_used"] is not None
    assert client.delete(f"/v1/account/tokens/{made['id']}", headers=rita.headers).status_code == 204
    assert client.get("/v1/whoami", headers=bearer).status_code == 401


def test_nobody_revokes_another_s_token(hub: Hub, client: TestClient, person_named: Make) -> None:
    rita, otto = person_named("rita"), person_named("otto")
    body = json.dumps({"schema": "new-token/1", "name": "nightly", "scopes": ["read"]})
    made = client.post("/v1/account/tokens", content=body, headers=rita.headers).json()
    assert client.delete(f"/v1/account/tokens/{made['id']}", headers=otto.headers).status_code == 404
    assert client.get("/v1/account/tokens", headers=otto.headers).json()["tokens"] == []


@pytest.mark.parametrize(
    "changes", [{"days": 366}, {"scopes": ["account"]}, {"scopes": []}, {"scopes": ["everything"]}]
)
def test_a_token_that_reaches_too_far_is_not_made(
    client: TestClient, person_named: Make, changes: dict[str, Any]
) -> None:
    body = {"schema": "new-token/1", "name": "nightly", "scopes": ["read"], "days": 7, **changes}
    answer = client.post("/v1/account/tokens", content=json.dumps(body), headers=person_named("rita").headers)
    assert answer.status_code in (400, 422)


def test_roles_are_given_and_taken_and_work_from_the_next_request_on(
    hub: Hub, client: TestClient, person_named: Make, node_named: Make
) -> None:
    node_named("alpha")
    rita, anna = person_named("rita", Role.RESEARCHER), person_named("anna", Role.ADMIN)

    def change(**wish: Any) -> Any:
        content = json.dumps({"schema": "role/1", **wish})
        return client.put("/v1/accounts/rita/roles", content=content, headers=anna.headers)

    given = change(role="curator", held=True, node="alpha").json()
    assert (given["roles"], given["nodes"]) == (["curator", "researcher"], ["alpha"])
    assert client.get("/v1/whoami", headers=rita.headers).json()["nodes"] == ["alpha"]
    assert change(role="curator", held=False, node="alpha").json()["roles"] == ["researcher"]
    assert change(role="curator", held=False).json()["code"] == "FB-CAT-170"
    assert change(role="curator", held=True).json()["code"] == "FB-CAT-170"
    assert change(role="curator", held=True, node="nowhere").json()["code"] == "FB-CAT-170"
    assert change(role="researcher", held=True, node="alpha").json()["code"] == "FB-CAT-170"


def test_an_auditor_has_no_other_role(hub: Hub, person_named: Make) -> None:
    person_named("ursula", Role.AUDITOR)
    person_named("rita", Role.RESEARCHER)
    for name, role in (("ursula", Role.ADMIN), ("rita", Role.AUDITOR)):
        with pytest.raises(RoleRefused), writing(hub.engine) as session:
            roles.give(session, hub, account=name, role=role, actor="operator")


def test_a_role_asked_for_by_a_route_is_needed_beside_the_table(hub: Hub, person_named: Make) -> None:
    with pytest.raises(NotAllowed):
        check(account(Role.RESEARCHER), Action.ACCOUNT_MANAGE)
