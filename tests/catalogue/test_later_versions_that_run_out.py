"""A later version whose decided terms end before they are in force lapses by the clock; what is granted stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.catalogue.granting import (
    a_committee,
    a_request,
    account_of,
    grant_all,
    history,
    legs_by_name,
    state,
    submit,
    the_next,
)

from fairbank.audit import HubAudit
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import expiry, grants, legs, notices, requests
from fairbank.catalogue.governance.guards import RENEWABLE_DAYS
from fairbank.catalogue.governance.reminders import Reminders
from fairbank.catalogue.governance.store import GrantRow, LegRow
from fairbank.clock import FixedClock, iso
from fairbank.database import reading, writing
from fairbank.ontology.outputs import OutputClass

LUNGS = "http://hub.test/datasets/alpha/lungs"
MORE = (OutputClass.MEASUREMENTS, OutputClass.MODEL_UPDATE)
DAY = 86_400


@pytest.fixture
def rita(person_named: Callable[..., Any]) -> Any:
    return person_named("rita", Role.RESEARCHER)


@pytest.fixture
def carla(hub: Hub, person_named: Callable[..., Any], released: Callable[..., Any]) -> Any:
    released("lungs")
    made = person_named("carla", Role.COMMITTEE)
    a_committee(hub, ["alpha"], ["carla"])
    return made


@pytest.fixture
def granted(hub: Hub, rita: Any, carla: Any) -> str:
    """The id of rita's request for lungs, granted for 30 days."""
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS]))
    grant_all(hub, account_of(hub, carla), request_id)
    return request_id


def offered(hub: Hub, granted: str, rita: Any, carla: Any, *, days: int = 10, **asked: Any) -> LegRow:
    """Approve a later version on a condition, until some days from now; return the leg."""
    submit(hub, rita, the_next(hub, granted, **(asked or {"output_classes": MORE})))
    until = iso(hub.clock.now() + timedelta(days=days))
    grant_all(hub, account_of(hub, carla), granted, until=until, conditions=("Cite the biobank.",))
    leg = legs_by_name(hub, granted)["lungs"]
    assert leg.pending_state == "approved_with_conditions"
    return leg


def lapses(hub: Hub) -> list[tuple[str, str]]:
    """Return who let what become of a later version that ran out, as the hub's log has it."""
    with reading(hub.engine) as session:
        rows = session.scalars(select(HubAudit).where(HubAudit.act == "leg.run-out"))
        return [(row.actor, row.detail["state"]) for row in rows]


def test_a_later_version_that_nobody_accepted_lapses_with_its_clock(
    hub: Hub, clock: FixedClock, granted: str, rita: Any, carla: Any
) -> None:
    before = offered(hub, granted, rita, carla)
    clock.advance(10 * DAY - 1)
    assert (expiry.sweep(hub), lapses(hub)) == (0, [])
    clock.advance(1)
    assert (expiry.sweep(hub), expiry.sweep(hub)) == (1, 0)
    leg = legs_by_name(hub, granted)["lungs"]
    assert (leg.pending_state, leg.pending_version, leg.pending_terms) == (None, None, None)
    assert (leg.state, leg.version, leg.visa, leg.terms) == ("active", 1, before.visa, before.terms)
    assert lapses(hub) == [("hub", "expired")]
    with reading(hub.engine) as session:
        assert history(session, granted)[-1] == "run-out"
        assert session.get_one(GrantRow, leg.visa).ended is None
        assert grants.find_grant(session, session.get_one(GrantRow, leg.visa).digest, now=clock.now()).holds  # type: ignore[union-attr]  # it is there


def test_what_is_accepted_too_late_is_not_granted_before_the_next_sweep_either(
    hub: Hub, clock: FixedClock, granted: str, rita: Any, carla: Any
) -> None:
    leg = offered(hub, granted, rita, carla)
    clock.advance(10 * DAY)
    requests.leg_command(hub, account_of(hub, rita), granted, leg.id, "accept-conditions")
    leg = legs_by_name(hub, granted)["lungs"]
    assert (leg.state, leg.version, leg.pending_state) == ("active", 1, None)
    assert lapses(hub) == [("hub", "expired")]


@pytest.mark.parametrize("at", ["approved", "approved_with_conditions", "conditions_accepted"])
def test_it_lapses_however_far_it_has_come_short_of_being_in_force(
    hub: Hub, clock: FixedClock, granted: str, rita: Any, carla: Any, at: str
) -> None:
    leg = offered(hub, granted, rita, carla)
    with writing(hub.engine) as session:
        session.get_one(LegRow, leg.id).pending_state = at
    clock.advance(10 * DAY)
    expiry.sweep(hub)
    leg = legs_by_name(hub, granted)["lungs"]
    assert (leg.state, leg.version, leg.pending_state) == ("active", 1, None)


def test_a_renewal_that_nobody_accepted_keeps_no_request_open(
    hub: Hub, clock: FixedClock, granted: str, rita: Any, carla: Any
) -> None:
    clock.advance(31 * DAY)
    expiry.sweep(hub)
    offered(hub, granted, rita, carla, until=iso(clock.now() + timedelta(days=200)))
    clock.advance(RENEWABLE_DAYS * DAY)
    expiry.sweep(hub)
    assert (lapses(hub), state(hub, granted)) == ([("hub", "expired")], "closed")


def test_a_first_version_is_no_later_one(
    hub: Hub, clock: FixedClock, rita: Any, carla: Any, granted: str
) -> None:
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS]))
    grant_all(hub, account_of(hub, carla), request_id, conditions=("Cite the biobank.",))
    clock.advance(31 * DAY)
    expiry.sweep(hub)
    assert legs_by_name(hub, request_id)["lungs"].state == "expired"
    assert lapses(hub) == []


def test_the_requester_is_told(hub: Hub, clock: FixedClock, granted: str, rita: Any, carla: Any) -> None:
    offered(hub, granted, rita, carla)
    reminders = Reminders(hub)
    reminders.sweep()
    clock.advance(10 * DAY)
    expiry.sweep(hub)
    reminders.sweep()
    with reading(hub.engine) as session:
        told = notices.of_account(session, "rita")[0].text
    assert "keeps its earlier terms" in told


def test_it_can_be_asked_for_again(hub: Hub, clock: FixedClock, granted: str, rita: Any, carla: Any) -> None:
    offered(hub, granted, rita, carla)
    clock.advance(10 * DAY)
    expiry.sweep(hub)
    submit(hub, rita, the_next(hub, granted, title="Once more"))
    leg = legs_by_name(hub, granted)["lungs"]
    assert (legs.review_state(leg), leg.pending_version) == ("in_review", 3)
