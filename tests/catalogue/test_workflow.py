"""The table is kept everywhere: every state, part and command is tried, at requests and at legs.

What the table allows follows; anything else is refused with the right error and writes nothing. The table is read
here a second time, by other means, so that the code is not compared with itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.resources import files
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from tests.catalogue.granting import Someone, a_committee, a_request

from fairbank import audit, events
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import NotAllowed, WrongState
from fairbank.catalogue.governance import guards, legs, moves
from fairbank.catalogue.governance.store import (
    CommitteeRow,
    GrantRow,
    LegRow,
    ProposalRow,
    RequestHistoryRow,
    RequestRow,
    VersionRow,
)
from fairbank.catalogue.governance.terms import Terms
from fairbank.catalogue.governance.workflow import GUARDS, LEG, LegState, Part, RequestState
from fairbank.catalogue.governance.workflow_errors import GuardFails, UnknownCommand
from fairbank.clock import iso, parse_iso
from fairbank.database import writing
from fairbank.errors import FairbankError

LUNGS = "http://hub.test/datasets/alpha/lungs"
TABLE = yaml.safe_load(files("fairbank.catalogue.governance").joinpath("workflow.yaml").read_text("utf-8"))
PARTS = tuple(Part)
Line = tuple[str, str, str]


@dataclass
class Expected:
    """The table, line by line, read by this test alone."""

    name: str
    lines: dict[Line, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for line in TABLE[self.name]["commands"]:
            for place in itertools.product(line["from"], line["by"]):
                self.lines[(*place, line["command"])] = line

    @property
    def commands(self) -> list[str]:
        return sorted({command for _, _, command in self.lines})

    def outcome(self, state: str, parts: frozenset[str], command: str) -> str | type[FairbankError]:
        """Return the state afterwards, or the error."""
        for part in PARTS:
            line = self.lines.get((state, part.value, command))
            if part in parts and line is not None:
                return str(line.get("to", state))
        ever = any(by in parts and each == command for _, by, each in self.lines)
        return WrongState if ever else NotAllowed


REQUESTS, LEGS = Expected("request"), Expected("leg")
# Both the state that people see and the review of a later version beside it.
KEPT = [column.key for column in LegRow.__table__.columns]


@pytest.fixture
def easy(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Let every guard say what the test wants, yes to begin with."""
    says = dict.fromkeys(GUARDS, True)
    for name in GUARDS:
        monkeypatch.setitem(guards.GUARDS_BY_NAME, name, lambda *_, name=name: says[name])
    return says


@dataclass
class Desk:
    """One request with one leg, put into any state by force."""

    hub: Hub
    session: Session
    request: RequestRow
    leg: LegRow
    terms: dict[str, Any]

    def put(self, state: str, *, pending: str | None = None) -> None:
        """Make the leg what it would be in a state."""
        self.leg.state, self.leg.version, self.leg.terms = state, 1, self.terms
        self.leg.pending_state, self.leg.pending_version = pending, 1 if pending else None
        self.leg.pending_terms = self.terms if pending else None
        self.leg.proposal = self.session.scalar(select(ProposalRow.id))
        self.leg.stage, self.leg.visa = "data", None
        self.leg.committee = self.session.scalar(select(CommitteeRow.id))
        self.leg.expires = self.hub.clock.now() + timedelta(days=30)
        self.session.flush()

    def written(self) -> tuple[Any, ...]:
        """Return everything that a refusal must leave as it is."""
        self.session.flush()
        counted = (
            select(func.count()).select_from(table).scalar_subquery()
            for table in (RequestHistoryRow, audit.HubAudit, events.HubEvent, GrantRow)
        )
        return (
            *self.session.execute(select(*counted)).one(),
            self.request.state,
            self.request.paused_by,
            *(getattr(self.leg, key) for key in KEPT),
        )


@pytest.fixture
def desk(hub: Hub, released: Callable[..., Any]) -> Iterator[Desk]:
    released("lungs")
    rita, _ = Someone(hub, "rita", Role.RESEARCHER), Someone(hub, "carla", Role.COMMITTEE)
    committee = a_committee(hub, ["alpha"], ["carla"])
    asked, now = a_request(hub, rita, [LUNGS]), hub.clock.now()
    envelope = asked.seal(rita.key)
    terms = Terms(until=iso(now + timedelta(days=30))).model_dump(mode="json")
    with writing(hub.engine) as session:
        request = RequestRow(
            id=asked.id, account="rita", title="Nodules", state="open", version=1, draft={},
            minimum_datasets=1, created=now, changed=now,
        )  # fmt: skip
        leg = LegRow(
            id=hub.clock.new_id(), request=asked.id, dataset=LUNGS, node="alpha", state="draft", version=1,
            since=now, verdict="", match=[], committee=committee, stage="data",
        )  # fmt: skip
        session.add(request)
        session.flush()
        session.add_all(
            [
                VersionRow(
                    request=asked.id, version=1, digest="sha256:" + "1" * 64, envelope=envelope,
                    until=parse_iso(asked.until), received=now,
                ),
                leg,
            ]
        )  # fmt: skip
        session.flush()
        session.add(
            ProposalRow(
                id=hub.clock.new_id(),
                leg=leg.id,
                stage="data",
                version=1,
                terms=terms,
                made_by="carla",
                at=now,
            )
        )
        session.flush()
        yield Desk(hub, session, request, leg, terms)
        session.rollback()


def tried(desk: Desk, give: Callable[[], None]) -> tuple[type[FairbankError] | None, Any, Any]:
    """Give a command within a savepoint that is taken back; return the error, and what was written before and after."""
    before = desk.written()
    with desk.session.begin_nested() as point:
        try:
            give()
        except FairbankError as err:
            return type(err), before, desk.written()
        after = desk.written()
        point.rollback()
    desk.session.expire_all()
    return None, before, after


def test_every_command_of_a_leg_is_allowed_where_the_table_says_and_refused_elsewhere(
    desk: Desk, easy: dict[str, bool]
) -> None:
    # A dataset has one stage here, so the table's own `next-stage` has nowhere to go.
    for state, part, command in itertools.product(LegState, PARTS, LEGS.commands):
        if command == "next-stage" and part is Part.HUB:
            continue
        desk.put(state.value)
        expected = LEGS.outcome(state.value, frozenset({part.value}), command)
        error, before, after = tried(desk, lambda part=part, command=command: _give_leg(desk, command, part))  # type: ignore[misc]
        place = (state.value, part.value, command)
        if isinstance(expected, str):
            assert error is None, place
            assert after[6 + KEPT.index("state")] == expected, place
            assert (after[0], after[1] > before[1]) == (before[0] + 1, True), place
        else:
            assert error is expected, place
            assert after == before, place


def test_every_command_of_a_request_is_allowed_where_the_table_says_and_refused_elsewhere(
    desk: Desk, easy: dict[str, bool]
) -> None:
    for state, part, command in itertools.product(RequestState, PARTS, REQUESTS.commands):
        desk.request.state = state.value
        expected = REQUESTS.outcome(state.value, frozenset({part.value}), command)
        error, before, after = tried(
            desk,
            lambda part=part, command=command: _give_request(desk, command, part),  # type: ignore[misc]
        )
        place = (state.value, part.value, command)
        if isinstance(expected, str):
            assert (error, after[4], after[0], after[1]) == (None, expected, before[0] + 1, before[1] + 1), (
                place
            )
        else:
            assert error is expected, place
            assert after == before, place


def test_a_guard_that_says_no_stops_its_command_and_nothing_is_written(
    desk: Desk, easy: dict[str, bool]
) -> None:
    guarded = [(place, line) for place, line in LEGS.lines.items() if line.get("guards")]
    for (state, part, command), line in guarded:
        for guard in line["guards"]:
            desk.put(state)
            easy[guard] = False
            error, before, after = tried(
                desk,
                lambda part=part, command=command: _give_leg(desk, command, Part(part)),  # type: ignore[misc]
            )
            easy[guard] = True
            assert (error, after) == (GuardFails, before), (state, part, command, guard)
    for (state, part, command), line in REQUESTS.lines.items():
        for guard in line.get("guards", ()):
            desk.request.state = state
            easy[guard] = False
            error, before, after = tried(
                desk,
                lambda part=part, command=command: _give_request(desk, command, Part(part)),  # type: ignore[misc]
            )
            easy[guard] = True
            assert (error, after) == (GuardFails, before), (state, part, command, guard)


def test_beside_what_is_granted_the_review_of_a_later_version_moves_by_the_same_table(
    desk: Desk, easy: dict[str, bool]
) -> None:
    of_what_is_granted = {"suspend", "resume", "amend", "revoke", "expire", "complete", "lapse", "withdraw"}
    under_review = ("submitted", "triage", "in_review", "returned", "approved_with_conditions", "approved",
                    "conditions_accepted")  # fmt: skip
    for state, part, command in itertools.product(under_review, PARTS, LEGS.commands):
        if command == "next-stage" and part is Part.HUB:
            continue
        desk.put("active", pending=state)
        about = "active" if command in of_what_is_granted else state
        expected = LEGS.outcome(about, frozenset({part.value}), command)
        error, before, after = tried(desk, lambda part=part, command=command: _give_leg(desk, command, part))  # type: ignore[misc]
        place = (state, part.value, command)
        if not isinstance(expected, str):
            assert (error, after) == (expected, before), place
            continue
        assert error is None, place
        kept = dict(zip(KEPT, after[6:], strict=True))
        # Whatever becomes of the review, what is granted stays, unless the command is about that.
        assert kept["state"] == (expected if command in of_what_is_granted else "active"), place


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    state=st.sampled_from(LegState),
    parts=st.frozensets(st.sampled_from(PARTS), max_size=4),
    command=st.sampled_from(LEGS.commands),
)
def test_whoever_is_several_may_do_what_one_of_them_may(
    state: LegState, parts: frozenset[Part], command: str
) -> None:
    expected = LEGS.outcome(state.value, frozenset(part.value for part in parts), command)
    try:
        found: str | type[FairbankError] = moves.allowed(LEG, state.value, command, parts)[1].to
    except FairbankError as err:
        found = type(err)
    assert found == expected


def test_a_command_that_is_not_in_the_table_is_unknown(desk: Desk) -> None:
    for part in PARTS:
        error, before, after = tried(desk, lambda part=part: _give_leg(desk, "bless", part))  # type: ignore[misc]
        assert (error, after) == (UnknownCommand, before)


def test_what_has_ended_stays_ended() -> None:
    leaving = {
        (state, command)
        for (state, _, command), line in LEGS.lines.items()
        if state in TABLE["leg"]["last"] and line.get("to", state) != state
    }
    # An expired grant can be completed; its renewal is reviewed beside it. And a biobank can withdraw anything.
    assert leaving == {("expired", "complete"), ("expired", "lapse")}


def test_every_state_can_be_reached_and_left() -> None:
    for table in (TABLE["leg"], TABLE["request"]):
        reached, lines = {table["first"]}, table["commands"]
        for _ in table["states"]:
            reached |= {line.get("to", "") for line in lines if reached & set(line["from"])} & set(
                table["states"]
            )
        if table is TABLE["request"]:
            reached |= {"paused"}
        assert reached == set(table["states"])
        stuck = set(table["states"]) - {state for line in lines if "to" in line for state in line["from"]}
        assert stuck <= set(table["last"])


def _give_leg(desk: Desk, command: str, part: Part) -> None:
    legs.give(desk.hub, desk.session, desk.leg, command, actor="rita", parts=frozenset({part}))
    desk.session.flush()


def _give_request(desk: Desk, command: str, part: Part) -> None:
    moves.move_request(desk.hub, desk.session, desk.request, command, actor="rita", parts=frozenset({part}))
