"""Letters about decisions and meeting files: complete, without names unless the rules say so, and harmless to open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.catalogue.committee_board import DAY_S, LUNGS, Board
from tests.catalogue.granting import the_next

from fairbank.catalogue.context import Hub
from fairbank.clock import FixedClock, iso
from fairbank.ontology.signed_objects import Evidence, EvidenceKind, Person, Purpose

Make = Callable[..., Any]
NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture
def board(hub: Hub, client: TestClient, person_named: Make, released: Make) -> Board:
    released("lungs")
    return Board(hub, client, person_named)


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)


def _harmless(page: str) -> bool:
    read = _Elements()
    read.feed(page)
    fetching = {"script", "img", "iframe", "link", "object", "embed", "form", "base"} & read.names
    acting = {name for name in read.attributes if name.startswith("on") or name in ("src", "href")}
    return not fetching and not acting


def _letter(board: Board, who: str, leg: str, format: str = "json") -> Any:
    return board.call(who, "GET", f"/v1/reviews/{leg}/letter?format={format}")


def test_a_letter_says_terms_reasons_numbers_and_how_to_object(board: Board) -> None:
    board.committee("carla", "carl", quorum=2, title="Alpha committee")
    leg = board.request()
    board.propose("carla", leg, conditions=["Cite the biobank."])
    board.vote("carla", leg, comment="A sound plan.")
    board.vote("carl", leg)
    said = _letter(board, "rita", leg, "text").text
    for part in ("Cite the biobank.", "A sound plan.", "Alpha committee (data)", "2 approve", "object"):
        assert part in said
    assert "carl" not in said, "who voted how stays with the committee"


def test_a_letter_names_voters_where_the_committee_s_rules_say_so(board: Board) -> None:
    board.committee("carla", names_voters=True)
    leg = board.request()
    board.vote("carla", leg, "decline", comment="No ethics approval.")
    said = _letter(board, "rita", leg, "text").text
    assert "carla: decline" in said and "Access was declined." in said and "No ethics approval." in said


def test_a_letter_keeps_its_numbers_when_members_leave_later(board: Board, clock: FixedClock) -> None:
    committee = board.committee("carla", "carl", quorum=2)
    leg = board.request()
    board.propose("carla", leg)
    board.vote("carla", leg)
    board.vote("carl", leg)
    before = _letter(board, "rita", leg).json()["votes"]
    clock.advance(DAY_S)
    board.leave(committee, "carl")
    assert _letter(board, "rita", leg).json()["votes"] == before
    assert before[0]["numbers"] == {"approve": 2}


def test_a_letter_has_each_stage(board: Board, clock: FixedClock) -> None:
    board.committee("edda", stage="ethics", title="Ethics")
    board.committee("carla", "carl", quorum=2, title="Data")
    leg = board.request()
    board.propose("edda", leg)
    board.vote("edda", leg)
    clock.advance(60)
    board.propose("carla", leg)
    board.vote("carla", leg, "decline")
    board.vote("carl", leg, "decline")
    votes = _letter(board, "rita", leg).json()["votes"]
    assert [(each["committee"], each["numbers"]) for each in votes] == [
        ("Ethics", {"approve": 1}),
        ("Data", {"decline": 2}),
    ]


def test_a_letter_about_a_later_version_has_its_own_stages_and_terms(board: Board, clock: FixedClock) -> None:
    board.committee("edda", stage="ethics", title="Ethics")
    board.committee("carla", title="Data")
    leg = board.request()
    for member in ("edda", "carla"):
        board.propose(member, leg, conditions=["Cite."])
        board.vote(member, leg)
        clock.advance(60)
    request = board.seen("carla", leg)["request"]
    command = f"/v1/requests/{request}/legs/{leg}/commands"
    board.done("rita", "POST", f"{command}/accept-conditions", {"schema": "command/1"})
    rita = board.person("rita")
    later = the_next(board.hub, request, until=iso(clock.now() + timedelta(days=200)))
    assert (
        board.client.post("/v1/requests", content=later.seal(rita.key), headers=rita.headers).status_code
        == 201
    )
    for member in ("edda", "carla"):
        clock.advance(60)
        board.propose(member, leg, days=100, conditions=["Share the code."])
        board.vote(member, leg)
    clock.advance(60)
    board.done("rita", "POST", f"{command}/refuse-conditions", {"schema": "command/1"})
    said = _letter(board, "rita", leg).json()
    assert said["terms"]["conditions"] == ["Share the code."]
    assert [(each["committee"], each["numbers"]) for each in said["votes"]] == [
        ("Ethics", {"approve": 1}),
        ("Data", {"approve": 1}),
    ]


def test_there_is_no_letter_before_a_decision_and_none_for_strangers(board: Board) -> None:
    board.committee("carla")
    leg = board.request()
    assert _letter(board, "rita", leg).json()["code"] == "FB-CAT-142"
    board.vote("carla", leg, "decline")
    board.person("otto")
    assert _letter(board, "otto", leg).status_code == 404


@pytest.fixture
def nasty(board: Board) -> tuple[Board, str, str]:
    committee = board.committee("carla", "carl", quorum=2, title=f"Committee {NASTY}"[:200])
    leg = board.request(
        title=NASTY,
        organisation=NASTY,
        purpose=Purpose(data_use=("DUO:0000006",), statement=NASTY),
        people=(Person(name=NASTY, organisation=NASTY, role=NASTY),),
        evidence=(Evidence(kind=EvidenceKind.FUNDING, title=NASTY, reference=NASTY),),
        publication_plan=NASTY,
    )
    board.propose("carla", leg, conditions=[NASTY])
    board.vote("carla", leg, comment=NASTY)
    return board, committee, leg


def test_html_in_names_stays_text_in_the_meeting_file(nasty: tuple[Board, str, str]) -> None:
    board, committee, _ = nasty
    answer = board.call("carl", "GET", f"/v1/committees/{committee}/packet?format=html")
    assert answer.status_code == 200, answer.text
    assert _harmless(answer.text)
    assert "&lt;script&gt;" in answer.text
    assert "sandbox" in answer.headers["content-security-policy"]


def test_html_in_names_stays_text_in_a_letter(nasty: tuple[Board, str, str]) -> None:
    board, _, leg = nasty
    board.vote("carl", leg, comment=NASTY)
    answer = _letter(board, "rita", leg, "html")
    assert answer.status_code == 200, answer.text
    assert _harmless(answer.text) and "&lt;script&gt;" in answer.text


def test_the_meeting_file_holds_all_that_a_member_needs(board: Board) -> None:
    committee = board.committee("carla", "carl", "cora", quorum=2)
    request, digest = board.document()
    leg = board.request(
        id=request,
        evidence=(Evidence(kind=EvidenceKind.ETHICS_APPROVAL, title="Vote of the IRB", digest=digest),),
    )
    board.propose("carla", leg, maximum_runs=7)
    board.vote("carla", leg, comment="Fine with me.")
    page = board.call("carl", "GET", f"/v1/committees/{committee}/packet?format=html").text
    for part in (
        "Nodule detection.",
        "Vote of the IRB",
        "vote.pdf",
        digest,
        "DUO:0000006",
        "at most 7 runs",
        "1 approve",
        "Fine with me.",
        "1 missing to the quorum of 2",
    ):
        assert part in page, part


def test_the_meeting_file_leaves_out_what_its_reader_may_not_decide(board: Board) -> None:
    committee = board.committee("carla", "carl", quorum=1)
    leg = board.request()
    board.done("carl", "POST", f"/v1/reviews/{leg}/conflict", {"schema": "conflict/1", "reason": "A friend."})
    packet = board.done("carl", "GET", f"/v1/committees/{committee}/packet")
    assert (packet["entries"], packet["left_out"]) == ([], 1)
    assert len(board.done("carla", "GET", f"/v1/committees/{committee}/packet")["entries"]) == 1


def test_the_meeting_file_is_sorted_by_due_date(board: Board, clock: FixedClock, released: Make) -> None:
    released("brains")
    committee = board.committee("carla")
    first = board.request()
    clock.advance(DAY_S)
    second = board.request(datasets=(LUNGS.replace("lungs", "brains"),))
    packet = board.done("carla", "GET", f"/v1/committees/{committee}/packet")
    assert [entry["id"] for entry in packet["entries"]] == [first, second]
