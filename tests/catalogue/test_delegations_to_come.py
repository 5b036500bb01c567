"""Who will stand in for a member reads what the committee reads from the first moment of the period to its last."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.catalogue.committee_board import DAY_S, LUNGS, Board

from fairbank.catalogue import records
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import expiry
from fairbank.clock import FixedClock, iso
from fairbank.database import writing

LISTS = (
    "/v1/requests",
    "/v1/grants",
    "/v1/reviews",
    "/v1/committees",
    "/v1/lists/requests",
    "/v1/lists/legs",
)


@pytest.fixture
def board(
    hub: Hub, client: TestClient, person_named: Callable[..., Any], released: Callable[..., Any]
) -> Board:
    """A committee whose member carl lets dora stand in for him, tomorrow and the day after."""
    released("lungs")
    made = Board(hub, client, person_named)
    committee = made.committee("carla", "carl", quorum=2)
    made.person("dora")
    tomorrow = hub.clock.now() + timedelta(days=1)
    period = {
        "schema": "committee-delegation/1",
        "account": "dora",
        "since": iso(tomorrow),
        "until": iso(tomorrow + timedelta(days=2)),
    }
    made.done("carl", "POST", f"/v1/committees/{committee}/delegations", period)
    return made


def papers(board: Board, leg: str) -> list[str]:
    """Return where the papers of a leg are, for who may read them."""
    seen = board.seen("carla", leg)
    request = f"/v1/requests/{seen['request']}"
    return [
        request,
        f"{request}/progress",
        f"{request}/versions",
        f"/v1/reviews/{leg}",
        f"/v1/committees/{seen['committee']}",
        f"/v1/committees/{seen['committee']}/packet",
    ]


def reads(board: Board, leg: str) -> set[int]:
    return {board.call("dora", "GET", path).status_code for path in papers(board, leg)}


def listed(board: Board) -> list[int]:
    """Return how many entries each list has for dora."""
    answers = [board.done("dora", "GET", path) for path in LISTS]
    return [sum(len(each) for each in answer.values() if isinstance(each, list)) for answer in answers]


def test_nothing_is_read_before_the_delegation_begins_and_all_from_then_on(
    board: Board, hub: Hub, clock: FixedClock
) -> None:
    leg = board.request()
    board.propose("carla", leg)
    for wait in (0, DAY_S - 1):
        clock.advance(wait)
        expiry.sweep(hub)
        assert reads(board, leg) == {404}
        assert listed(board) == [0] * len(LISTS)
    clock.advance(1)
    expiry.sweep(hub)
    assert reads(board, leg) == {200}
    assert listed(board) == [1, 0, 1, 1, 1, 1]
    clock.advance(2 * DAY_S)
    expiry.sweep(hub)
    assert reads(board, leg) == {404}
    assert listed(board) == [0] * len(LISTS)


def test_nothing_is_said_before_it_begins(board: Board) -> None:
    leg = board.request()
    request = board.seen("carla", leg)["request"]
    comment = {"schema": "comment/1", "text": "Let me in.", "audience": "committee"}
    answer = board.call("dora", "POST", f"/v1/requests/{request}/comments", comment)
    assert answer.status_code == 404
    body = {"schema": "conflict/1", "reason": "We write together."}
    assert board.call("dora", "POST", f"/v1/reviews/{leg}/conflict", body).status_code == 404


def test_a_hidden_dataset_is_shown_from_the_first_moment_on(
    board: Board, hub: Hub, client: TestClient, clock: FixedClock
) -> None:
    with writing(hub.engine) as session:
        records.set_visibility(session, hub, iri=LUNGS, visibility=records.Visibility.HIDDEN, actor="admin")

    def shown() -> int:
        return client.get("/datasets/alpha/lungs", headers=board.person("dora").headers).status_code

    assert shown() == 404
    clock.advance(DAY_S)
    expiry.sweep(hub)
    assert shown() == 200
    clock.advance(2 * DAY_S)
    expiry.sweep(hub)
    assert shown() == 404


def test_one_that_was_taken_back_before_it_began_never_begins(
    board: Board, hub: Hub, clock: FixedClock
) -> None:
    leg = board.request()
    committee = board.seen("carla", leg)["committee"]
    board.done("carl", "DELETE", f"/v1/committees/{committee}/delegations")
    clock.advance(DAY_S)
    expiry.sweep(hub)
    assert reads(board, leg) == {404}


def test_one_whose_whole_period_no_sweep_saw_never_begins(board: Board, hub: Hub, clock: FixedClock) -> None:
    leg = board.request()
    clock.advance(4 * DAY_S)
    expiry.sweep(hub)
    assert reads(board, leg) == {404}


def test_she_is_told_when_it_begins_once_and_not_before(board: Board, hub: Hub, clock: FixedClock) -> None:
    for wait in (0, DAY_S - 1):
        clock.advance(wait)
        expiry.sweep(hub)
        assert board.subjects("dora") == []
    clock.advance(1)
    for _ in range(2):
        expiry.sweep(hub)
        assert board.subjects("dora") == ["You stand in for carl"]
    (notice,) = board.done("dora", "GET", "/v1/notices")["notices"]
    until = hub.clock.now() + timedelta(days=2)
    assert f"until {until:%Y-%m-%d %H:%M} UTC" in notice["text"]
    assert "Data access committee" in notice["text"]


def test_she_is_told_at_once_of_one_that_begins_at_once(board: Board, hub: Hub) -> None:
    board.person("emma")
    (committee,) = board.done("carla", "GET", "/v1/committees")["committees"]
    period = {
        "schema": "committee-delegation/1",
        "account": "emma",
        "until": iso(hub.clock.now() + timedelta(days=2)),
    }
    board.done("carla", "POST", f"/v1/committees/{committee['id']}/delegations", period)
    assert board.subjects("emma") == ["You stand in for carla"]


def test_one_that_is_over_before_the_hub_looks_is_told_to_nobody(
    board: Board, hub: Hub, clock: FixedClock
) -> None:
    clock.advance(4 * DAY_S)
    expiry.sweep(hub)
    assert board.subjects("dora") == []
