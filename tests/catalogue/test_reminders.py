"""The clock of a review: each reminder once, only to those who are awaited, and a word to those responsible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.catalogue.committee_board import DAY_S, LUNGS, Board
from tests.catalogue.granting import the_next

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance.reminders import Reminders
from fairbank.clock import FixedClock
from fairbank.ontology.outputs import OutputClass

Make = Callable[..., Any]
AWAITED = "Your vote is awaited: Nodules"
REMINDER, OVERDUE = "Reminder: Nodules", "Overdue: Nodules"


@pytest.fixture
def board(hub: Hub, client: TestClient, person_named: Make, released: Make) -> Board:
    released("lungs")
    return Board(hub, client, person_named)


def test_a_request_before_a_committee_is_told_once_to_each_member(board: Board) -> None:
    board.committee("carla", "carl", quorum=2)
    board.request()
    for _ in range(3):
        Reminders(board.hub).sweep()
    assert board.subjects("carla") == board.subjects("carl") == [AWAITED]
    assert board.subjects("ada") == []


def test_many_datasets_of_a_request_are_one_notice(board: Board, released: Make) -> None:
    released("brains")
    board.committee("carla")
    board.request(datasets=(LUNGS, LUNGS.replace("lungs", "brains")))
    Reminders(board.hub).sweep()
    assert board.subjects("carla") == [AWAITED]


def test_reminders_come_before_and_after_the_due_date_each_once(board: Board, clock: FixedClock) -> None:
    board.committee("carla", "carl", quorum=2, due_days=14, remind_days=[-7, 7, 14])
    board.request()
    reminders = Reminders(board.hub)
    # Who is awaited hears it with the submission, and not again from the clock.
    assert board.subjects("carl") == [AWAITED]
    told: dict[int, list[str]] = {}
    for day in range(32):
        before = len(board.subjects("carl"))
        reminders.sweep()
        # A hub that is started anew has forgotten what it has seen to, and writes nothing twice.
        Reminders(board.hub).sweep()
        if new := board.subjects("carl")[before:]:
            told[day] = new
        clock.advance(DAY_S)
    assert told == {7: [REMINDER], 21: [OVERDUE], 28: [OVERDUE]}


def test_who_has_voted_is_not_reminded(board: Board, clock: FixedClock) -> None:
    board.committee("carla", "carl", quorum=2, due_days=14, remind_days=[-7])
    leg = board.request()
    board.propose("carla", leg)
    board.vote("carla", leg)
    clock.advance(8 * DAY_S)
    Reminders(board.hub).sweep()
    assert REMINDER not in board.subjects("carla")
    assert board.subjects("carl")[-1] == REMINDER


def test_what_is_overdue_goes_to_chair_and_administrators_once(board: Board, clock: FixedClock) -> None:
    board.committee("carla", "carl", quorum=2, due_days=14, remind_days=[7])
    board.request()
    Reminders(board.hub).sweep()
    clock.advance(14 * DAY_S)
    for _ in range(3):
        Reminders(board.hub).sweep()
        clock.advance(DAY_S)
    assert board.subjects("ada") == [OVERDUE]
    assert board.subjects("carla") == [AWAITED, OVERDUE]
    assert board.subjects("carl") == [AWAITED]


def test_after_a_long_pause_only_the_newest_reminder_is_sent(board: Board, clock: FixedClock) -> None:
    board.committee("carla", "carl", quorum=2, due_days=14, remind_days=[-7, -2, 7, 14])
    board.request()
    clock.advance(40 * DAY_S)
    Reminders(board.hub).sweep()
    assert board.subjects("carl") == [AWAITED, OVERDUE]


def test_the_requester_hears_what_was_decided_once(board: Board) -> None:
    board.committee("carla")
    leg = board.request()
    board.propose("carla", leg)
    board.vote("carla", leg)
    for _ in range(2):
        Reminders(board.hub).sweep()
    notices = board.done("rita", "GET", "/v1/notices")["notices"]
    assert [notice["subject"] for notice in notices] == ["Your request: Nodules"]
    assert "was granted" in notices[0]["text"]


def test_a_quorum_out_of_reach_for_another_reason_is_told_again(board: Board) -> None:
    committee = board.committee("carla", "carl", "cora", quorum=3)
    board.request()
    board.leave(committee, "cora")
    board.leave(committee, "carl")
    out_of_reach = [subject for subject in board.subjects("ada") if subject.startswith("Nobody")]
    assert len(out_of_reach) == 2


def test_a_test_notice_says_to_whom_it_went(board: Board) -> None:
    committee = board.committee("carla", "carl")
    sent = board.done("carla", "POST", f"/v1/committees/{committee}/test-notice", {})["sent"]
    assert [(each["account"], each["status"]) for each in sent] == [("carl", "ok"), ("carla", "ok")]
    assert board.call("carl", "POST", f"/v1/committees/{committee}/test-notice", {}).status_code == 403


def test_votes_about_a_later_version_are_not_told_as_a_grant(board: Board, clock: FixedClock) -> None:
    board.committee("carla", "carl", quorum=1)
    leg = board.request()
    board.propose("carla", leg)
    board.vote("carla", leg)
    Reminders(board.hub).sweep()
    request = board.seen("carla", leg)["request"]
    amended(board, request)
    Reminders(board.hub).sweep()
    board.propose("carl", leg)
    Reminders(board.hub).sweep()
    assert board.subjects("rita") == ["Your request: Nodules"]
    board.vote("carl", leg, "return")
    Reminders(board.hub).sweep()
    told = board.done("rita", "GET", "/v1/notices")["notices"]
    assert len(told) == 2 and "was returned" in told[0]["text"] and "granted" not in told[0]["text"]


def test_an_agreement_about_a_later_version_is_told_to_whom_it_waits_for(board: Board) -> None:
    board.committee("carla")
    board.person("lena", Role.RESEARCHER)
    leg = board.request()
    board.propose("carla", leg)
    board.vote("carla", leg)
    request = board.seen("carla", leg)["request"]
    amended(board, request)
    board.propose("carla", leg, agreement={"countersigner": "lena", "title": "Of the clinic"})
    assert board.vote("carla", leg)["state"] == "approved_with_conditions"
    offered = board.done("rita", "GET", f"/v1/requests/{request}")["legs"][0]["commands"]
    assert {"accept-conditions", "refuse-conditions"} <= set(offered)
    board.done(
        "rita",
        "POST",
        f"/v1/requests/{request}/legs/{leg}/commands/accept-conditions",
        {"schema": "command/1"},
    )
    Reminders(board.hub).sweep()
    assert board.subjects("lena") == ["An agreement waits for you: Nodules"]


def amended(board: Board, request: str) -> None:
    """Submit a further version that asks for more."""
    wanted = (OutputClass.MEASUREMENTS, OutputClass.MODEL_UPDATE)
    later = the_next(board.hub, request, output_classes=wanted)
    rita = board.person("rita")
    answer = board.client.post("/v1/requests", content=later.seal(rita.key), headers=rita.headers)
    assert answer.status_code == 201, answer.text
