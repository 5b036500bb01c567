"""What each person sees of a request: the committee's own words and acts never reach the requester, by no way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.testclient import TestClient
from tests.catalogue.requesting import BRAINS, LUNGS, Asking

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import conflicts
from fairbank.catalogue.governance.store import RequestHistoryRow, RequestRow
from fairbank.catalogue.governance.workflow import LEG, REQUEST
from fairbank.clock import FixedClock
from fairbank.database import reading, writing

Make = Callable[..., Any]
SECRET = "SECRET of the committee"
# Every address at which a requester can look at her request, its lists and its pages.
LOOKS = (
    "/v1/requests/{id}",
    "/v1/requests/{id}/progress",
    "/v1/requests/{id}/versions",
    "/v1/requests",
    "/v1/lists/requests",
    "/v1/lists/legs",
    "/v1/lists/grants",
    "/v1/grants",
    "/requests",
    "/requests/{id}",
)


@pytest.fixture
def asking(client: TestClient, hub: Hub, released: Make, person_named: Make) -> Asking:
    released("lungs")
    released("brains")
    members = [person_named(name, Role.COMMITTEE) for name in ("carla", "dora")]
    asking = Asking(hub, client, person_named("rita", Role.RESEARCHER), members)
    asking.committee()
    return asking


def comment(asking: Asking, request_id: str, who: Any, text: str, **more: Any) -> Any:
    return asking.post(
        f"/v1/requests/{request_id}/comments", {"schema": "comment/1", "text": text} | more, who
    )


def looks(asking: Asking, request_id: str, who: Any) -> str:
    return "\n".join(asking.get(path.replace("{id}", request_id), who).text for path in LOOKS)


def progress(asking: Asking, request_id: str, who: Any = None) -> dict[str, Any]:
    found: dict[str, Any] = asking.get(f"/v1/requests/{request_id}/progress", who).json()
    return found


@pytest.mark.parametrize("word", ["approve", "decline", "return"])
def test_what_the_committee_says_and_does_among_itself_never_reaches_the_requester(
    asking: Asking, word: str
) -> None:
    carla, dora = asking.members
    request_id = asking.submitted(datasets=(BRAINS, LUNGS))
    for about in ({}, {"leg": LUNGS}):
        assert comment(asking, request_id, carla, SECRET, audience="committee", **about).status_code == 201
    assert comment(asking, request_id, dora, "Open to all.", audience="everybody").status_code == 201
    asking.decide(request_id, word)
    hers = looks(asking, request_id, asking.rita)
    assert "SECRET" not in hers
    assert "Open to all." in hers
    told = progress(asking, request_id)["history"]
    assert not {each["command"] for each in told} & {"vote", "propose", "appoint", "declare-conflict"}
    assert not {each["actor"] for each in told} & {"carla", "dora"}
    theirs = progress(asking, request_id, dora)
    assert [each["text"] for each in theirs["comments"]].count(SECRET) == 2
    assert "vote" in {each["command"] for each in theirs["history"]}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.lists(
        st.tuples(
            st.sampled_from(["rita", "carla", "dora"]),
            st.sampled_from(["everybody", "committee"]),
            st.sampled_from([None, LUNGS, BRAINS]),
        ),
        max_size=6,
    )
)
def test_whatever_is_said_the_requester_reads_what_was_said_to_everybody_and_no_more(
    asking: Asking, said: list[tuple[str, str, str | None]]
) -> None:
    people = {each.name: each for each in (asking.rita, *asking.members)}
    request_id = asking.submitted(datasets=(BRAINS, LUNGS))
    taken = []
    for place, (name, audience, leg) in enumerate(said):
        more = {"leg": leg} if leg else {}
        sent = comment(asking, request_id, people[name], f"word-{place}-", audience=audience, **more)
        assert (sent.status_code == 201) == (name != "rita" or audience == "everybody")
        if sent.status_code == 201:
            taken.append((f"word-{place}-", audience))
    for name, who in people.items():
        seen = looks(asking, request_id, who)
        for word, audience in taken:
            assert (word in seen) == (audience == "everybody" or name != "rita")


def test_an_administrator_does_not_read_the_committee_s_words_about_her_own_request(
    asking: Asking, person_named: Make
) -> None:
    asking.rita = person_named("ada", Role.ADMIN, Role.COMMITTEE)
    request_id = asking.submitted()
    comment(asking, request_id, asking.members[0], SECRET, audience="committee")
    assert "SECRET" not in looks(asking, request_id, asking.rita)
    assert "SECRET" in looks(asking, request_id, person_named("eve", Role.ADMIN))


def test_who_has_a_conflict_reads_what_everybody_reads(asking: Asking, hub: Hub) -> None:
    carla, dora = asking.members
    request_id = asking.submitted()
    comment(asking, request_id, carla, SECRET, audience="committee")
    with writing(hub.engine) as session:
        row = session.get_one(RequestRow, request_id)
        conflicts.declare(session, hub, request=row, account="dora", reason="I advise the project.")
    assert "SECRET" not in looks(asking, request_id, dora)
    assert comment(asking, request_id, dora, "psst", audience="committee").status_code == 403
    assert "SECRET" in looks(asking, request_id, carla)


def test_the_requester_writes_to_everybody_only(asking: Asking) -> None:
    request_id = asking.submitted()
    refused = comment(asking, request_id, asking.rita, "psst", audience="committee")
    assert (refused.status_code, refused.json()["code"]) == (403, "FB-CAT-155")
    assert comment(asking, request_id, asking.rita, "Hello.").status_code == 201


def test_strangers_see_nothing_and_say_nothing(asking: Asking, person_named: Make) -> None:
    request_id, bob = asking.submitted(), person_named("bob", Role.RESEARCHER)
    comment(asking, request_id, asking.rita, "Hello.")
    assert comment(asking, request_id, bob, "Hi.").status_code == 404
    seen = looks(asking, request_id, bob)
    assert "Nodules" not in seen and "Hello." not in seen


def test_a_view_tells_who_is_awaited_since_when(asking: Asking, clock: FixedClock) -> None:
    request_id = asking.submitted()
    leg = progress(asking, request_id)["legs"][0]
    assert leg["next"]["awaited"] == "member"
    assert leg["next"]["due"] is not None
    assert leg["dataset_title"] == "Lung screening CT"
    clock.advance(3600)
    asking.decide(request_id)
    view = progress(asking, request_id)
    assert view["legs"][0]["words"] == "granted"
    assert view["minimum"]["word"] == "met"
    assert view["next"]["awaited"] == "requester"


def test_two_datasets_of_which_one_is_declined_leave_the_minimum_out_of_reach(asking: Asking) -> None:
    request_id = asking.submitted(datasets=(BRAINS, LUNGS), minimum_datasets=2)
    asking.decide(request_id, "decline")
    assert progress(asking, request_id)["minimum"]["word"] == "unreachable"


def test_each_command_that_is_offered_is_in_the_table(asking: Asking) -> None:
    request_id = asking.submitted()
    for who in (asking.rita, *asking.members):
        view = progress(asking, request_id, who)
        assert set(view["commands"]) <= set(REQUEST.commands())
        assert set(view["legs"][0]["commands"]) <= set(LEG.commands())
    assert "vote" not in progress(asking, request_id)["legs"][0]["commands"]


def test_versions_are_told_with_what_changed(asking: Asking) -> None:
    request_id = asking.submitted()
    asking.decide(request_id)
    first = asking.get(f"/v1/requests/{request_id}/versions").json()["versions"][0]
    again = asking.request(
        id=request_id, version=2, amends=first["digest"], datasets=(BRAINS, LUNGS), title="Nodules"
    )
    answer = asking.post("/v1/requests", again.seal(asking.rita.key))
    assert answer.status_code == 201, answer.text
    told = asking.get(f"/v1/requests/{request_id}/versions").json()["versions"]
    assert told[1]["changes"] == [f"asks also for {BRAINS}"]
    assert told[1]["concerned"] == [BRAINS]


def test_comments_are_audited_without_their_text(asking: Asking, hub: Hub) -> None:
    request_id = asking.submitted()
    comment(asking, request_id, asking.members[0], SECRET, audience="committee")
    from fairbank.audit import HubAudit

    with reading(hub.engine) as session:
        entry = session.scalars(select(HubAudit).order_by(HubAudit.seq.desc())).first()
        notes = session.scalars(select(RequestHistoryRow.note)).all()
    assert entry is not None and entry.act == "request.comment"
    assert "SECRET" not in str(entry.detail) + str(notes)
