"""Lists of requests, of what waits and of grants: page by page, each row once, nothing of others, few queries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient
from tests.catalogue.requesting import BRAINS, LUNGS, Asking

from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import listing
from fairbank.clock import FixedClock
from fairbank.database import reading

Make = Callable[..., Any]


@pytest.fixture
def asking(client: TestClient, hub: Hub, released: Make, person_named: Make) -> Asking:
    released("lungs")
    released("brains")
    asking = Asking(
        hub, client, person_named("rita", Role.RESEARCHER), [person_named("carla", Role.COMMITTEE)]
    )
    asking.committee()
    return asking


def rows(asking: Asking, what: str, who: Any = None, **query: Any) -> list[dict[str, Any]]:
    """Return all rows of a list, page by page."""
    found: list[dict[str, Any]] = []
    after: str | None = None
    for _ in range(20):
        wanted = {"limit": 2, **query, **({"after": after} if after else {})}
        answer = asking.client.get(f"/v1/lists/{what}", params=wanted, headers=(who or asking.rita).headers)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found += body[what]
        after = body["next"]
        if after is None:
            return found
    raise AssertionError("the list does not end")


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_every_request_stands_on_one_page(asking: Asking, clock: FixedClock, number: int) -> None:
    made = []
    for place in range(number):
        # Pairs at the same moment: the id decides between them.
        clock.advance(60 * (place % 2))
        made.append(asking.submitted(title=f"Study {place}"))
    for who in (asking.rita, asking.members[0]):
        listed = [row["id"] for row in rows(asking, "requests", who)]
        assert sorted(listed) == sorted(made)
        assert len(rows(asking, "legs", who)) == number


def test_what_is_added_meanwhile_hides_and_repeats_nothing(asking: Asking, clock: FixedClock) -> None:
    made = [asking.submitted() for _ in range(3)]
    first = asking.get("/v1/lists/requests?limit=2").json()
    clock.advance(60)
    asking.submitted()
    second = asking.get(f"/v1/lists/requests?limit=2&after={first['next']}").json()
    assert sorted(row["id"] for row in first["requests"] + second["requests"]) == sorted(made)


def test_filters_narrow_the_list(asking: Asking) -> None:
    lungs = asking.submitted(title="Nodules 100%")
    both = asking.submitted(title="Vessels", datasets=(BRAINS, LUNGS))
    asking.decide(both)
    draft = asking.post("/v1/requests/drafts", {"schema": "request-draft/1", "title": "Later"}).json()["id"]

    def ids(**query: Any) -> set[str]:
        return {row["id"] for row in rows(asking, "requests", **query)}

    assert ids(state="draft") == {draft}
    assert ids(state="open") == {lungs, both}
    assert ids(state="active") == {both}
    assert ids(state="in_review") == {lungs}
    assert ids(dataset=BRAINS) == {both}
    assert ids(q="nodules") == {lungs}
    assert ids(q="%") == {lungs}
    assert ids(q="") == {draft, lungs, both}
    committee = asking.legs(lungs)[0].committee
    assert {row["request"] for row in rows(asking, "legs", committee=committee)} == {lungs, both}


def test_a_row_says_how_its_datasets_stand_and_whether_they_suffice(asking: Asking) -> None:
    asking.decide(asking.submitted(datasets=(BRAINS, LUNGS), minimum_datasets=2))
    row = rows(asking, "requests")[0]
    assert (row["datasets"], row["legs"], row["minimum"]) == (2, {"active": 2}, "met")


def test_counts_are_of_what_one_may_see(asking: Asking, person_named: Make) -> None:
    asking.submitted()
    asking.post("/v1/requests/drafts", {"schema": "request-draft/1"})
    assert asking.get("/v1/lists/requests?counts=true").json()["counts"] == {"open": 1, "draft": 1}
    assert asking.get("/v1/lists/requests?counts=true", asking.members[0]).json()["counts"] == {"open": 1}
    assert (
        asking.get("/v1/lists/requests?counts=true", person_named("bob", Role.RESEARCHER)).json()["counts"]
        == {}
    )


def test_what_is_due_first_comes_first(asking: Asking, clock: FixedClock) -> None:
    first = asking.submitted()
    clock.advance(3600)
    second = asking.submitted()
    third = asking.submitted()
    asking.decide(third)
    listed = rows(asking, "legs", asking.members[0])
    assert [row["request"] for row in listed] == [first, second, third]
    assert listed[-1]["due"] is None


def test_a_grant_tells_what_it_opens_until_when(asking: Asking, clock: FixedClock) -> None:
    request_id = asking.submitted(datasets=(BRAINS, LUNGS))
    asking.decide(request_id, maximum_runs=7)
    granted = [row for row in rows(asking, "grants") if row["state"] == "holds"]
    assert [(one["dataset"], one["maximum_runs"]) for one in granted[0]["datasets"]] == [
        (BRAINS, 7),
        (LUNGS, 7),
    ]
    assert {one["runs_left"] for one in granted[0]["datasets"]} == {None}, "nobody here counts runs"
    asking.hub.runs.count = lambda session, requests: {(request_id, BRAINS): 3, (request_id, LUNGS): 9}
    granted = [row for row in rows(asking, "grants") if row["state"] == "holds"]
    assert [one["runs_left"] for one in granted[0]["datasets"]] == [4, 0]
    clock.advance(31 * 86_400)
    # Her log-in is over by now as well.
    who = Account("rita", frozenset({Role.RESEARCHER}), None)
    with reading(asking.hub.engine) as session:
        page = listing.grants(session, who, now=clock.now())
    assert {row["state"] for row in page.rows} <= {"expired", "superseded"}


def test_a_grant_is_called_by_names(asking: Asking) -> None:
    request_id = asking.submitted(datasets=(BRAINS, LUNGS))
    asking.decide(request_id)
    granted = next(row for row in rows(asking, "grants") if row["state"] == "holds")
    assert {one["title"] for one in granted["datasets"]} == {"Lung screening CT"}
    assert granted["purpose"]["words"] == "health or medical or biomedical research"
    assert granted["organisation"] == "not stated"
    assert granted["not_before"] < granted["expires"]
    (whole,) = [each for each in asking.get("/v1/grants").json()["grants"] if each["state"] == "holds"]
    assert (set(whole["titles"]), set(whole["titles"].values())) == ({BRAINS, LUNGS}, {"Lung screening CT"})
    assert whole["purpose"] == granted["purpose"]
    asking.post(f"/v1/requests/{request_id}/withdraw", {})
    ended = next(row for row in rows(asking, "grants") if row["id"] == granted["id"])
    assert (ended["datasets"], len(ended["sealed_over"])) == ([], 2)


@pytest.mark.parametrize("mark", ["x", "W10", "WyJ4IiwieSJd", "WyIyMDI2LTAxLTAxIiwieCJd", "%00", "e30"])
def test_a_mark_that_this_hub_did_not_give_is_refused(asking: Asking, mark: str) -> None:
    for what in ("requests", "legs", "grants"):
        answer = asking.get(f"/v1/lists/{what}?after={mark}")
        assert (answer.status_code, answer.json()["code"]) == (400, "FB-CAT-159")


@pytest.mark.parametrize("query", ["state=lost", "q=a%00b", "dataset=%00"])
def test_a_filter_that_nothing_can_match_is_refused_in_words(asking: Asking, query: str) -> None:
    assert asking.get(f"/v1/lists/requests?{query}").json()["code"] == "FB-CAT-159"


def statements_of(hub: Hub, act: Callable[[], object]) -> list[str]:
    """Return what the hub's database is asked meanwhile."""
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        asked.append(statement)

    event.listen(hub.engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(hub.engine, "before_cursor_execute", note)
    return asked


def test_a_page_takes_the_same_queries_however_long_it_is(asking: Asking, hub: Hub) -> None:
    def statements(limit: int) -> int:
        def ask() -> None:
            for what in ("requests", "legs", "grants"):
                asking.get(f"/v1/lists/{what}?limit={limit}")

        return len(statements_of(hub, ask))

    for _ in range(4):
        asking.decide(asking.submitted(datasets=(BRAINS, LUNGS)))
    assert statements(1) == statements(4)


@pytest.mark.parametrize("what", ["requests", "grants"])
def test_the_lists_in_full_come_by_page_too_and_each_row_once(asking: Asking, what: str) -> None:
    for _ in range(5):
        asking.decide(asking.submitted(datasets=(LUNGS,)))
    whole = asking.get(f"/v1/{what}").json()
    assert (len(whole[what]), whole["next"]) == (5, None)
    found, mark, sizes = [], "", []
    while mark is not None:
        page = asking.get(f"/v1/{what}?limit=2" + (f"&after={mark}" if mark else "")).json()
        sizes.append(len(page[what]))
        found += page[what]
        mark = page["next"]
    assert sizes == [2, 2, 1]
    assert found == whole[what]
    assert asking.get(f"/v1/{what}?limit=201").status_code == 422
    assert asking.get(f"/v1/{what}?after=x").json()["code"] == "FB-CAT-159"


def test_the_whole_list_takes_the_same_queries_however_long_it_is(asking: Asking, hub: Hub) -> None:
    def statements() -> int:
        return len(statements_of(hub, lambda: asking.get("/v1/requests")))

    asking.submitted(datasets=(BRAINS, LUNGS))
    before = statements()
    for _ in range(2):
        asking.submitted(datasets=(BRAINS,))
    assert statements() == before
    listed = asking.get("/v1/requests").json()["requests"]
    assert [sorted(each["datasets"]) for each in listed] == [[BRAINS], [BRAINS], sorted((BRAINS, LUNGS))]
    assert all(each["digest"] and each["until"] for each in listed)
