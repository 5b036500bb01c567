"""Committees decide about the datasets of requests: who may vote, on what, and what follows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.catalogue.committee_board import DAY_S, LUNGS, Board

from fairbank import audit
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance.reminders import Reminders
from fairbank.catalogue.governance.store import VoteRow
from fairbank.catalogue.store import AccountRow
from fairbank.clock import FixedClock, iso
from fairbank.database import reading, writing
from fairbank.ontology.signed_objects import Person
from fairbank.signing import canonical, sha256_digest

Make = Callable[..., Any]


@pytest.fixture
def board(hub: Hub, client: TestClient, person_named: Make, released: Make) -> Board:
    released("lungs")
    return Board(hub, client, person_named)


def test_a_proposal_that_is_carried_grants_the_dataset(board: Board) -> None:
    board.committee("carla", "carl", quorum=2)
    leg = board.request()
    board.propose("carla", leg)
    assert board.vote("carla", leg)["outcome"] == "open"
    assert board.vote("carl", leg)["state"] == "active"


def test_a_member_s_later_vote_replaces_her_earlier_one(board: Board) -> None:
    board.committee("carla", "carl", "cora", quorum=3)
    leg = board.request()
    board.propose("carla", leg)
    board.vote("carla", leg, "decline")
    board.vote("carla", leg, "approve")
    assert board.seen("carl", leg)["votes"] == {"approve": 1, "decline": 0, "return": 0, "abstain": 0}


def test_other_terms_begin_the_vote_anew(board: Board) -> None:
    board.committee("carla", "carl", quorum=2)
    leg = board.request()
    first = board.propose("carla", leg)
    board.vote("carla", leg)
    board.propose("carl", leg, days=10)
    assert board.seen("carl", leg)["votes"]["approve"] == 0
    assert board.error_of(board.vote("carl", leg, proposal=first)) == "FB-CAT-138"


def test_nothing_is_approved_before_terms_are_written(board: Board) -> None:
    board.committee("carla")
    leg = board.request()
    assert board.error_of(board.vote("carla", leg)) == "FB-CAT-138"
    assert board.vote("carla", leg, "decline")["state"] == "declined"


@pytest.mark.parametrize(
    "terms", [{"days": 91}, {"days": -1}, {"output_classes": ["model-update"]}], ids=["late", "past", "more"]
)
def test_terms_give_no_more_than_was_asked_for(board: Board, terms: dict[str, Any]) -> None:
    board.committee("carla")
    leg = board.request()
    body = {"schema": "proposal/1", "terms": board.terms(**terms)}
    answer = board.call("carla", "POST", f"/v1/reviews/{leg}/proposal", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "FB-CAT-137")


def test_four_eyes_need_two_who_approve_whatever_the_quorum(board: Board) -> None:
    board.committee("carla", "carl", quorum=1, four_eyes=True)
    leg = board.request()
    board.propose("carla", leg)
    assert board.vote("carla", leg)["outcome"] == "open"
    assert board.vote("carl", leg)["state"] == "active"


def test_a_tie_is_decided_by_the_chair_when_all_have_voted(board: Board) -> None:
    board.committee("carla", "carl", quorum=2)
    leg = board.request()
    board.propose("carl", leg)
    board.vote("carla", leg, "decline")
    assert board.vote("carl", leg, "approve")["state"] == "declined"


def test_the_stages_follow_one_another_and_the_due_date_moves(board: Board, clock: FixedClock) -> None:
    board.committee("edda", stage="ethics", due_days=7)
    board.committee("carla", stage="data", due_days=14)
    leg = board.request()
    assert board.seen("edda", leg)["due"] == iso(clock.now() + timedelta(days=7))
    assert board.call("carla", "GET", f"/v1/reviews/{leg}").status_code == 404
    clock.advance(2 * DAY_S)
    board.propose("edda", leg, conditions=["Cite the biobank."])
    assert board.vote("edda", leg)["state"] == "in_review"
    seen = board.seen("carla", leg)
    assert (seen["stage"], seen["due"]) == ("data", iso(clock.now() + timedelta(days=14)))
    assert seen["carried_before"][0]["terms"]["conditions"] == ["Cite the biobank."]
    assert board.error_of(board.vote("edda", leg, "decline")) in ("FB-CAT-139", "FB-CAT-023")
    board.propose("carla", leg)
    assert board.vote("carla", leg)["state"] == "approved_with_conditions"


def test_without_a_committee_nobody_can_decide_and_the_administrator_hears_it(board: Board) -> None:
    leg = board.request()
    assert board.seen("ada", leg)["outcome"] == "unreachable"
    Reminders(board.hub).sweep()
    assert board.subjects("ada") == ["Nobody can decide: Nodules"]
    board.committee("carla")
    assert board.seen("carla", leg)["state"] == "in_review"


def test_a_quorum_out_of_reach_is_announced_at_once(board: Board) -> None:
    committee = board.committee("carla", "carl", quorum=2)
    leg = board.request()
    board.leave(committee, "carl")
    assert board.seen("carla", leg)["outcome"] == "unreachable"
    for responsible in ("carla", "ada"):
        assert board.subjects(responsible)[-1] == "Nobody can decide: Nodules"


def test_a_quorum_that_a_shut_account_or_a_lost_role_takes_away_is_announced_at_once(board: Board) -> None:
    board.committee("carla", "carl", "cora", quorum=2)
    board.request()
    role = {"schema": "role/1", "role": "committee", "held": False}
    board.done("ada", "PUT", "/v1/accounts/cora/roles", role)
    assert not [subject for subject in board.subjects("ada") if subject.startswith("Nobody")]
    board.done("ada", "DELETE", "/v1/accounts/carl")
    for responsible in ("carla", "ada"):
        assert "Nobody can decide: Nodules" in board.subjects(responsible)


def test_a_committee_emptied_after_a_vote_keeps_no_vote(board: Board) -> None:
    committee = board.committee("carla", "carl", quorum=2)
    leg = board.request()
    board.propose("carla", leg)
    board.vote("carla", leg)
    board.leave(committee, "carla")
    board.leave(committee, "carl")
    seen = board.seen("ada", leg)
    assert (seen["outcome"], seen["votes"]["approve"]) == ("unreachable", 0)
    board.join(committee, "cora", chair=True)
    board.join(committee, "carl")
    seen = board.seen("cora", leg)
    assert (seen["outcome"], seen["votes"]["approve"]) == ("open", 0)


def test_the_chair_appoints_a_substitute_for_a_member_who_is_barred(board: Board) -> None:
    board.committee("carla", "carl", quorum=2)
    leg = board.request()
    board.done("carl", "POST", f"/v1/reviews/{leg}/conflict", {"schema": "conflict/1", "reason": "A friend."})
    assert board.seen("carla", leg)["outcome"] == "unreachable"
    assert board.error_of(board.vote("carl", leg, "decline")) == "FB-CAT-140"
    board.person("sue")
    body = {"schema": "committee-substitute/1", "account": "sue", "stands_for": "carl"}
    board.done("carla", "POST", f"/v1/reviews/{leg}/substitutes", body)
    board.propose("sue", leg)
    board.vote("carla", leg)
    assert board.vote("sue", leg)["state"] == "active"


def test_only_the_chair_or_an_administrator_appoints(board: Board) -> None:
    board.committee("carla", "carl")
    leg = board.request()
    board.person("sue")
    body = {"schema": "committee-substitute/1", "account": "sue"}
    assert board.call("carl", "POST", f"/v1/reviews/{leg}/substitutes", body).status_code == 403


@pytest.mark.parametrize("who", ["carl", "rita", "otto"], ids=["a member", "barred", "no role"])
def test_not_everybody_can_be_a_substitute(board: Board, who: str) -> None:
    board.committee("carla", "carl")
    leg = board.request()
    board.person("otto", Role.RESEARCHER)
    body = {"schema": "committee-substitute/1", "account": who}
    answer = board.call("carla", "POST", f"/v1/reviews/{leg}/substitutes", body)
    assert answer.json()["code"] == "FB-CAT-144"


def test_a_delegate_votes_in_the_period_and_not_before_or_after(board: Board, clock: FixedClock) -> None:
    committee = board.committee("carla", "carl", quorum=2)
    board.person("dora")
    leg = board.request()
    board.propose("carla", leg)
    period = {
        "schema": "committee-delegation/1",
        "account": "dora",
        "since": iso(clock.now() + timedelta(days=1)),
        "until": iso(clock.now() + timedelta(days=3)),
    }
    board.done("carl", "POST", f"/v1/committees/{committee}/delegations", period)
    assert board.error_of(board.vote("dora", leg)) == "FB-CAT-139"
    clock.advance(2 * DAY_S)
    assert board.vote("dora", leg)["status"] == "ok"
    assert board.seen("carla", leg)["votes"]["approve"] == 1
    clock.advance(2 * DAY_S)
    assert board.error_of(board.vote("dora", leg, "decline")) == "FB-CAT-139"
    assert board.seen("carla", leg)["votes"]["approve"] == 1, "what was cast in time counts"


def test_a_member_s_own_vote_goes_before_her_delegate_s(board: Board, clock: FixedClock) -> None:
    committee = board.committee("carla", "carl", "cora", quorum=3)
    board.person("dora")
    leg = board.request()
    board.propose("carla", leg)
    until = iso(clock.now() + timedelta(days=3))
    body = {"schema": "committee-delegation/1", "account": "dora", "until": until}
    board.done("carl", "POST", f"/v1/committees/{committee}/delegations", body)
    board.vote("carl", leg, "decline")
    board.vote("dora", leg, "approve")
    assert board.seen("carla", leg)["votes"] == {"approve": 0, "decline": 1, "return": 0, "abstain": 0}


def test_one_person_has_one_vote_for_however_many_she_stands_in(board: Board, clock: FixedClock) -> None:
    committee = board.committee("carla", "carl", quorum=2)
    board.person("dora")
    leg = board.request()
    until = iso(clock.now() + timedelta(days=3))
    for member in ("carla", "carl"):
        body = {"schema": "committee-delegation/1", "account": "dora", "until": until}
        board.done(member, "POST", f"/v1/committees/{committee}/delegations", body)
    board.propose("dora", leg)
    assert board.vote("dora", leg)["outcome"] == "open"
    assert board.vote("dora", leg)["outcome"] == "open"


def test_a_barred_member_does_not_choose_who_votes_for_her(board: Board, clock: FixedClock) -> None:
    committee = board.committee("carla", "carl", quorum=1)
    board.person("dora")
    until = iso(clock.now() + timedelta(days=3))
    body = {"schema": "committee-delegation/1", "account": "dora", "until": until}
    board.done("carl", "POST", f"/v1/committees/{committee}/delegations", body)
    leg = board.request()
    board.done("carl", "POST", f"/v1/reviews/{leg}/conflict", {"schema": "conflict/1", "reason": "A friend."})
    assert board.vote("dora", leg, "decline")["status"] == "error"


def test_who_is_named_among_the_people_is_barred(board: Board) -> None:
    board.committee("carla", "carl", quorum=1)
    people = (Person(name="Carl", organisation="Elsewhere", role="advisor", account="carl"),)
    leg = board.request(people=people)
    assert board.error_of(board.vote("carl", leg, "decline")) == "FB-CAT-140"
    assert "votes" not in board.seen("carl", leg) or board.seen("carl", leg)["votes"] is None


def test_the_same_project_bars(board: Board) -> None:
    board.committee("carla", "carl", quorum=1)
    board.request(who="carl", project=" lung-1")
    leg = board.request(project="LUNG-1")
    assert board.error_of(board.vote("carl", leg, "decline")) == "FB-CAT-140"
    assert board.vote("carla", leg, "decline")["status"] == "ok"


def test_the_same_institution_is_shown_and_noted_and_bars_nobody(board: Board) -> None:
    board.committee("carla", "carl", quorum=2)
    with writing(board.hub.engine) as session:
        session.get_one(AccountRow, "carl").organisation = "  UNIVERSITY "
    leg = board.request()
    board.propose("carl", leg)
    assert board.vote("carl", leg)["status"] == "ok"
    seats = {seat["member"]: seat for seat in board.seen("carla", leg)["seats"]}
    assert seats["carl"]["same_institution"] and not seats["carla"]["same_institution"]
    with reading(board.hub.engine) as session:
        cast = session.query(audit.HubAudit).filter_by(act="vote.cast").one()
    assert cast.detail["same_institution"] is True


def test_the_log_commits_to_a_vote_and_does_not_say_it(board: Board) -> None:
    board.committee("carla", "carl", quorum=2)
    leg = board.request(who="ada")
    board.vote("carla", leg, "decline", comment="Too broad.")
    log = board.call("ada", "GET", "/v1/audit?act=vote.cast").text
    assert "carla" in log and "decline" not in log and "Too broad." not in log
    with reading(board.hub.engine) as session:
        row = session.query(VoteRow).one()
        cast = session.query(audit.HubAudit).filter_by(act="vote.cast").one()
    said = {"vote": row.id, "word": "decline", "comment": "Too broad."}
    assert cast.detail["said"] == sha256_digest(canonical(said)) and row.id not in log


def test_a_conflict_that_is_declared_after_the_vote_takes_the_vote_away(board: Board) -> None:
    board.committee("carla", "carl", "cora", quorum=2)
    leg = board.request()
    board.propose("carl", leg)
    board.vote("carl", leg)
    board.done("carl", "POST", f"/v1/reviews/{leg}/conflict", {"schema": "conflict/1", "reason": "A friend."})
    assert board.seen("carla", leg)["votes"]["approve"] == 0


def test_two_votes_at_the_same_moment_are_both_counted_and_settle_once(board: Board) -> None:
    board.committee("carla", "carl", quorum=2)
    leg = board.request()
    board.propose("carla", leg)
    ready = threading.Barrier(2)
    results: dict[str, dict[str, Any]] = {}

    def cast(name: str) -> None:
        ready.wait()
        results[name] = board.vote(name, leg)

    threads = [threading.Thread(target=cast, args=(name,)) for name in ("carla", "carl")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result["state"] for result in results.values()) == ["active", "in_review"]
    history = board.done("rita", "GET", f"/v1/requests/{board.seen('carla', leg)['request']}")["history"]
    assert [row["command"] for row in history].count("approve") == 1


def test_one_bad_id_does_not_stop_the_rest(board: Board) -> None:
    board.committee("carla")
    good, unknown = board.request(), board.hub.clock.new_id()
    body = {"schema": "votes/1", "ids": [unknown, good], "word": "decline"}
    results = board.done("carla", "POST", "/v1/reviews/votes", body)["results"]
    assert [(each["id"], each["status"]) for each in results] == [(unknown, "error"), (good, "ok")]
    assert results[0]["error"]["code"] == "FB-CAT-141"


def test_the_short_way_proposes_and_approves_all_that_one_may_vote_on(board: Board, released: Make) -> None:
    released("brains")
    board.committee("carla")
    leg = board.request(datasets=(LUNGS, LUNGS.replace("lungs", "brains")))
    request = board.seen("carla", leg)["request"]
    body = {"schema": "approval/1", "request": request, "terms": board.terms(maximum_runs=5)}
    results = board.done("carla", "POST", "/v1/reviews/approvals", body)["results"]
    assert [each["state"] for each in results] == ["active", "active"]


def test_the_short_way_does_not_approve_what_somebody_else_wrote(board: Board) -> None:
    board.committee("carla", "carl")
    leg = board.request()
    board.propose("carl", leg, maximum_runs=1000)
    body = {"schema": "approval/1", "request": board.seen("carla", leg)["request"], "terms": board.terms()}
    results = board.done("carla", "POST", "/v1/reviews/approvals", body)["results"]
    assert board.error_of(results[0]) == "FB-CAT-138"


def test_the_list_is_sorted_by_due_date_and_says_what_waits_for_me(board: Board, clock: FixedClock) -> None:
    board.committee("carla", "carl", quorum=2)
    first = board.request()
    clock.advance(DAY_S)
    second = board.request()
    board.propose("carla", first)
    board.vote("carla", first)
    rows = board.done("carla", "GET", "/v1/reviews")["reviews"]
    assert [row["id"] for row in rows] == [first, second]
    assert [(row["gap"], row["awaits_me"]) for row in rows] == [(1, False), (2, True)]
    assert [row["id"] for row in board.done("carla", "GET", "/v1/reviews?mine=true")["reviews"]] == [second]
    clock.advance(60 * DAY_S)
    assert len(board.done("carl", "GET", "/v1/reviews?overdue=true")["reviews"]) == 2


def test_who_does_not_sit_on_the_committee_sees_nothing(board: Board) -> None:
    committee = board.committee("carla")
    leg = board.request()
    board.person("cora")
    for who in ("cora", "rita"):
        assert board.done(who, "GET", "/v1/reviews")["reviews"] == []
        assert board.call(who, "GET", f"/v1/reviews/{leg}").status_code == 404
        assert board.call(who, "GET", f"/v1/committees/{committee}").status_code == 404
        assert board.call(who, "GET", f"/v1/committees/{committee}/packet").status_code == 404
    assert board.vote("cora", leg, "decline")["status"] == "error"


def test_the_requester_does_not_read_how_members_voted(board: Board) -> None:
    board.committee("carla", "carl", quorum=2)
    leg = board.request()
    board.propose("carla", leg)
    board.vote("carla", leg, "decline", comment="Not yet.")
    view = board.call("rita", "GET", f"/v1/requests/{board.seen('carla', leg)['request']}").text
    assert "Not yet." not in view
    assert '"note":"decline"' not in view


def test_a_dataset_has_one_committee_per_stage(board: Board) -> None:
    board.committee("carla")
    second = board.committee("carl", scope=None)
    body = {"schema": "committee-scope/1", "node": "alpha"}
    answer = board.call("ada", "POST", f"/v1/committees/{second}/scopes", body)
    assert answer.json()["code"] == "FB-CAT-136"
    board.done("ada", "POST", f"/v1/committees/{second}/scopes", {**body, "dataset": LUNGS})
    leg = board.request()
    assert board.seen("carl", leg)["committee"] == second, "the dataset's own goes before its node's"


def test_a_dissolved_committee_hands_over_and_its_votes_do_not(board: Board) -> None:
    old = board.committee("carla", "carl", quorum=2)
    leg = board.request()
    board.propose("carla", leg)
    board.vote("carla", leg)
    board.done("ada", "POST", f"/v1/committees/{old}/dissolve", {})
    assert board.seen("ada", leg)["outcome"] == "unreachable"
    board.committee("carla", "cora", quorum=2)
    seen = board.seen("cora", leg)
    assert (seen["outcome"], seen["votes"]["approve"], seen["proposal"]) == ("open", 0, None)


def test_only_administrators_set_committees_up(board: Board) -> None:
    committee = board.committee("carla")
    wish = {"schema": "committee/1", "title": "Mine"}
    assert board.call("carla", "POST", "/v1/committees", wish).status_code == 403
    body = {"schema": "committee-member/1"}
    assert board.call("carla", "PUT", f"/v1/committees/{committee}/members/carla", body).status_code == 403
    assert board.call("carla", "POST", f"/v1/committees/{committee}/dissolve", {}).status_code == 403


def test_the_chair_returns_without_a_vote(board: Board) -> None:
    board.committee("carla", "carl")
    leg = board.request()
    request = board.seen("carla", leg)["request"]
    path = f"/v1/requests/{request}/legs/{leg}/commands/return"
    body = {"schema": "command/1", "note": "Name the ethics approval."}
    assert board.call("carl", "POST", path, body).status_code == 403
    assert board.done("carla", "POST", path, body)["state"] == "returned"


def test_one_person_has_one_vote_though_she_stands_in_for_one_after_the_other(
    board: Board, clock: FixedClock
) -> None:
    committee = board.committee("carla", "carl", "cora", quorum=2)
    board.person("dora")
    leg = board.request()
    board.propose("cora", leg)
    body = {
        "schema": "committee-delegation/1",
        "account": "dora",
        "until": iso(clock.now() + timedelta(days=3)),
    }
    board.done("carla", "POST", f"/v1/committees/{committee}/delegations", body)
    board.vote("dora", leg)
    board.done("carla", "DELETE", f"/v1/committees/{committee}/delegations")
    board.done("carl", "POST", f"/v1/committees/{committee}/delegations", body)
    clock.advance(60)
    result = board.vote("dora", leg)
    assert (result["state"], result["outcome"]) == ("in_review", "open")
    assert board.seen("cora", leg)["votes"]["approve"] == 1
    assert board.vote("carla", leg)["state"] == "active"
    numbers = board.done("rita", "GET", f"/v1/reviews/{leg}/letter")["votes"][0]["numbers"]
    assert numbers == {"approve": 2}


def test_who_is_barred_is_not_told_how_many_have_voted(board: Board) -> None:
    board.committee("carla", "carl", "cora", quorum=3)
    leg = board.request()
    board.propose("carla", leg)
    board.vote("carla", leg)
    board.done("carl", "POST", f"/v1/reviews/{leg}/conflict", {"schema": "conflict/1", "reason": "A friend."})
    seen = board.seen("carl", leg)
    assert seen["conflict"] and not seen["awaits_me"]
    assert (seen["outcome"], seen["votes"], seen["gap"]) == (None, None, None)
    assert board.seen("carla", leg)["gap"] == 2


def test_that_nobody_can_decide_is_told_with_the_submission(board: Board) -> None:
    board.request()
    assert [subject.split(":")[0] for subject in board.subjects("ada")] == ["Nobody can decide"]
    board.committee("carla", scope="alpha")
    board.request(title="Lobes")
    assert "Your vote is awaited: Lobes" in board.subjects("carla")


def test_two_stages_with_an_agreement_each_grant_nothing(board: Board) -> None:
    board.committee("edda", stage="ethics")
    board.committee("carla")
    board.person("lena")
    leg = board.request()
    board.propose("edda", leg, agreement={"countersigner": "lena", "title": "Of the board"})
    board.vote("edda", leg)
    board.propose("carla", leg, agreement={"countersigner": "lena", "title": "Of the clinic"})
    assert "agreement" in str(board.vote("carla", leg)["error"])
    board.propose("carla", leg)
    assert board.vote("carla", leg)["state"] == "approved_with_conditions"
