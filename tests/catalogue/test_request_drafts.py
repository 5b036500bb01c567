"""Drafts: written piece by piece, told what they lack, sealed by their author only, seen by nobody else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.catalogue.requesting import LUNGS, Asking

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import drafts
from fairbank.catalogue.governance.request_errors import DraftIncomplete
from fairbank.clock import iso
from fairbank.ontology.signed_objects import Request

Make = Callable[..., Any]
SCHEMA = {"schema": "request-draft/1"}


@pytest.fixture
def asking(client: TestClient, hub: Hub, released: Make, person_named: Make) -> Asking:
    released("lungs")
    return Asking(hub, client, person_named("rita", Role.RESEARCHER), [person_named("carla", Role.COMMITTEE)])


def begun(asking: Asking, **pieces: Any) -> dict[str, Any]:
    answer = asking.post("/v1/requests/drafts", SCHEMA | pieces)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def edited(asking: Asking, request_id: str, **pieces: Any) -> Any:
    return asking.post(f"/v1/requests/{request_id}/draft", SCHEMA | pieces)


def whole(asking: Asking) -> dict[str, Any]:
    return {
        "title": "Nodules",
        "datasets": [LUNGS],
        "data_use": ["DUO:0000006"],
        "statement": "Nodule detection.",
        "output_classes": ["measurements"],
        "until": iso(asking.hub.clock.now() + timedelta(days=60)),
    }


def needed(view: dict[str, Any]) -> set[str]:
    return {each["field"] for each in view["missing"] if each["needed"]}


def test_an_empty_draft_says_all_that_is_missing(asking: Asking) -> None:
    view = begun(asking)
    assert needed(view) == {"title", "datasets", "data_use", "statement", "output_classes", "until"}


def test_pieces_are_added_one_by_one_and_what_is_missing_shrinks(asking: Asking) -> None:
    view = begun(asking, title="Nodules")
    for name, value in whole(asking).items():
        answer = edited(asking, view["id"], **{name: value})
        assert answer.status_code == 200, answer.text
        assert name not in needed(answer.json())
    assert needed(answer.json()) == set()
    assert answer.json()["draft"]["title"] == "Nodules"


def test_a_piece_that_is_null_is_taken_out_and_others_stay(asking: Asking) -> None:
    view = begun(asking, **whole(asking))
    after = edited(asking, view["id"], statement=None).json()
    assert needed(after) == {"statement"}
    assert after["draft"]["datasets"] == [LUNGS]


@pytest.mark.parametrize(
    "piece",
    [{"colour": "red"}, {"data_use": ["GRU"]}, {"until": "soon"}, {"minimum_datasets": 0}, {"title": "a\0b"}],
)
def test_a_piece_without_its_form_changes_nothing(asking: Asking, piece: dict[str, Any]) -> None:
    view = begun(asking, **whole(asking))
    answer = edited(asking, view["id"], **piece)
    assert (answer.status_code, answer.json()["code"]) == (422, "FB-CAT-150")
    assert asking.get(f"/v1/requests/{view['id']}/draft").json()["draft"] == view["draft"]


def test_terms_of_the_datasets_say_what_else_is_asked_for() -> None:
    lacks = drafts.lacking(drafts.Draft(), ["DUO:0000021", "DUO:0000022"])
    told = {each.field: each.sentence for each in lacks if not each.needed}
    assert "DUO:0000021" in told["ethics document"]
    assert "DUO:0000022" in told["country"]


def test_nobody_else_sees_or_edits_a_draft(asking: Asking, person_named: Make) -> None:
    view = begun(asking, **whole(asking))
    for other in (asking.members[0], person_named("ada", Role.ADMIN), person_named("bob", Role.RESEARCHER)):
        for path in ("draft", "progress", "versions"):
            assert asking.get(f"/v1/requests/{view['id']}/{path}", other).status_code == 404
        assert asking.post(f"/v1/requests/{view['id']}/draft", SCHEMA, other).status_code == 404
        assert asking.get("/v1/lists/requests", other).json()["requests"] == []


def test_a_draft_becomes_the_request_that_its_author_seals(asking: Asking) -> None:
    view = begun(asking, **whole(asking))
    draft = drafts.Draft.parse(view["draft"])
    request = sealed(asking, draft, view["id"])
    answer = asking.post("/v1/requests", request.seal(asking.rita.key))
    assert answer.status_code == 201, answer.text
    assert answer.json()["state"] == "open"
    assert edited(asking, view["id"], title="Other").status_code == 409


def test_a_draft_that_lacks_something_cannot_be_sealed(asking: Asking) -> None:
    with pytest.raises(DraftIncomplete, match="statement"):
        sealed(asking, drafts.Draft.parse(SCHEMA | whole(asking) | {"statement": None}), "x")


def test_an_amendment_starts_from_what_was_sealed(asking: Asking) -> None:
    request = asking.request()
    again = sealed(asking, drafts.of_request(request), request.id)
    assert again == request


def test_a_discarded_draft_keeps_nothing_but_that_there_was_one(asking: Asking) -> None:
    view = begun(asking, **whole(asking))
    answer = asking.client.delete(f"/v1/requests/{view['id']}/draft", headers=asking.rita.headers)
    assert answer.json()["state"] == "withdrawn"
    after = asking.get(f"/v1/requests/{view['id']}/progress").json()
    assert "Nodules" not in str(after)
    assert [each["command"] for each in after["history"]] == ["create", "discard"]


def test_a_discarded_draft_is_nobody_else_s(asking: Asking, person_named: Make) -> None:
    view = begun(asking, **whole(asking))
    asking.client.delete(f"/v1/requests/{view['id']}/draft", headers=asking.rita.headers)
    for role in (Role.ADMIN, Role.AUDITOR):
        other = person_named(f"other-{role.value}", role)
        assert asking.get(f"/v1/requests/{view['id']}", other).status_code == 404
        assert view["id"] not in asking.get("/v1/requests", other).text


def test_an_account_has_so_many_drafts_and_no_more(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairbank.catalogue.governance.drafting.MOST_DRAFTS", 2)
    begun(asking), begun(asking)
    assert asking.post("/v1/requests/drafts", SCHEMA).json()["code"] == "FB-CAT-150"


def sealed(asking: Asking, draft: drafts.Draft, request_id: str) -> Request:
    return drafts.as_request(
        draft,
        request_id=request_id,
        account="rita",
        organisation="University",
        key=asking.rita.key.key_id,
        version=1,
        amends=None,
        created=asking.hub.clock.now(),
    )
