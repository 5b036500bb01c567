"""`fairbank committee` and `fairbank review` against a hub: a committee from its making to its letters."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.catalogue.committee_board import Board

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.settings import Settings
from fairbank.web.api_client import HubApi

Make = Callable[..., Any]


@pytest.fixture
def board(hub: Hub, client: TestClient, person_named: Make, released: Make) -> Board:
    released("lungs")
    return Board(hub, client, person_named)


@pytest.fixture
def as_(board: Board, fairbank: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Run a command as somebody: the home folder has her name, and the way to the hub is the one of these tests."""

    def from_home(settings: Settings, clock: Any) -> HubApi:
        who = settings.home.name
        made = HubApi("http://hub.test", clock=clock, home=settings.home, token=board.person(who).token)
        made._client = board.client
        return made

    monkeypatch.setattr(HubApi, "from_home", from_home)
    return lambda who, *words: fairbank(*words, home=tmp_path / who)


@pytest.fixture
def day(board: Board) -> str:
    return f"{board.hub.clock.now() + timedelta(days=30):%Y-%m-%d}"


def _id(ran: Any) -> str:
    made: str = json.loads(ran.ok().out)["id"]
    return made


@pytest.fixture
def committee(board: Board, as_: Make) -> str:
    for name in ("carla", "carl", "sue"):
        board.person(name, Role.COMMITTEE)
    made = _id(as_("ada", "committee", "create", "Alpha", "--quorum", "2", "--format", "json"))
    as_("ada", "committee", "scope", made, "alpha").ok()
    as_("ada", "committee", "add-member", made, "carla", "--chair").ok()
    as_("ada", "committee", "add-member", made, "carl").ok()
    return made


def _first(as_: Make, who: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(as_(who, "review", "list", "--format", "json").ok().out)[0]
    return found


def test_a_committee_is_set_up_and_shown(as_: Make, committee: str) -> None:
    listed = json.loads(as_("carla", "committee", "list", "--format", "json").ok().out)
    assert [(row["id"], row["chair"], row["decides_about"]) for row in listed] == [
        (committee, "carla", ["all of alpha"])
    ]
    assert "carl" in as_("carl", "committee", "members").ok().out
    assert "quorum" in as_("carl", "committee", "show", committee).ok().out


def test_terms_are_proposed_voted_on_and_told_in_a_letter(
    board: Board, as_: Make, committee: str, day: str, tmp_path: Path
) -> None:
    leg = board.request()
    condition = ("--condition", "Cite the biobank.")
    as_("carla", "review", "propose", leg, "--until", day, "--runs", "5", *condition).ok()
    as_("carla", "review", "vote", leg, "approve", "--comment", "A sound plan.").ok()
    row = _first(as_, "carl")
    assert (row["votes"], row["gap"], row["awaits_me"]) == (
        {"approve": 1, "decline": 0, "return": 0, "abstain": 0},
        1,
        True,
    )
    shown = as_("carl", "review", "show", leg).ok()
    assert "carla" in shown.out and "DUO:0000006" in shown.err
    as_("carl", "review", "packet", committee, "--to", tmp_path / "meeting.html").ok()
    assert "Cite the biobank." in (tmp_path / "meeting.html").read_text()
    as_("carl", "review", "vote", leg, "approve").ok()
    letter = as_("rita", "review", "letter", leg).ok().out
    assert "granted on conditions" in letter and "A sound plan." in letter


def test_a_vote_says_which_of_several_failed_and_why(board: Board, as_: Make, committee: str) -> None:
    leg, unknown = board.request(), board.hub.clock.new_id()
    ran = as_("carla", "review", "vote", unknown, leg, "decline", "--format", "json")
    assert ran.code == 1
    assert [(row["id"], row["status"]) for row in json.loads(ran.out)] == [(unknown, "error"), (leg, "ok")]
    assert json.loads(ran.out)[0]["why"].startswith("FB-CAT-141")


@pytest.mark.parametrize("words", [("approve",), ("a-b-c",), ("a-b-c", "maybe")])
def test_a_vote_without_ids_or_a_word_is_misuse(as_: Make, committee: str, words: tuple[str, ...]) -> None:
    assert as_("carla", "review", "vote", *words).code == 2


def test_the_short_way_approves_a_request(board: Board, as_: Make, committee: str, day: str) -> None:
    request = board.seen("carla", board.request())["request"]
    as_("carla", "review", "approve", request, "--until", day).ok()
    as_("carl", "review", "approve", request, "--until", day).ok()
    assert "granted" in board.done("rita", "GET", f"/v1/requests/{request}")["standing"]


def test_conflict_substitute_return_and_comment(board: Board, as_: Make, committee: str) -> None:
    leg = board.request()
    as_("carl", "review", "conflict", leg, "--reason", "I advise this project.").ok()
    assert _first(as_, "carla")["outcome"] == "unreachable"
    as_("carla", "review", "appoint", leg, "sue", "--stands-for", "carl").ok()
    assert _first(as_, "sue")["awaits_me"] is True
    as_("sue", "review", "comment", leg, "Is the cohort large enough?").ok()
    as_("carla", "review", "return", leg, "--comment", "Name the ethics approval.").ok()
    assert board.seen("carla", leg)["state"] == "returned"


def test_delegation_notices_and_addresses(board: Board, as_: Make, committee: str, day: str) -> None:
    board.request()
    as_("carl", "committee", "delegate", committee, "sue", "--until", day).ok()
    assert _first(as_, "sue")["awaits_me"] is True
    as_("carl", "committee", "delegate", committee, "--end").ok()
    assert "Nothing waits" in as_("sue", "review", "list").ok().err
    as_("carl", "committee", "address", "carl@alpha.example.org").ok()
    assert "ok" in as_("carla", "committee", "test-notice", committee).ok().out
    assert "A test" in as_("carl", "committee", "notices").ok().out


def test_whoever_runs_the_hub_sets_a_committee_up_without_logging_in(
    board: Board, fairbank: Make, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.person("carla", Role.COMMITTEE)
    home = hub.settings.home
    monkeypatch.setenv("FAIRBANK_HUB_DATABASE", hub.settings.hub_database)
    made = _id(fairbank("committee", "create", "Alpha", "--format", "json", home=home))
    fairbank("committee", "scope", made, "alpha", home=home).ok()
    fairbank("committee", "add-member", made, "carla", "--chair", home=home).ok()
    assert "carla" in fairbank("committee", "members", home=home).ok().out
    assert "all of alpha" in fairbank("committee", "list", home=home).ok().out
    assert "carla" in fairbank("committee", "show", made, home=home).ok().out
    assert "ok" in fairbank("committee", "test-notice", made, home=home).ok().out
    leg = board.request()
    assert board.vote("carla", leg, "decline")["state"] == "declined"


def test_members_leave_and_a_committee_ends(board: Board, as_: Make, committee: str) -> None:
    leg = board.request()
    as_("ada", "committee", "remove-member", committee, "carl").ok()
    assert board.seen("carla", leg)["outcome"] == "unreachable"
    as_("ada", "committee", "scope", committee, "alpha", "--remove").ok()
    as_("ada", "committee", "dissolve", committee).ok()
    assert json.loads(as_("ada", "committee", "list", "--format", "json").ok().out) == []
