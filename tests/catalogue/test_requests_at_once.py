"""Two people act at the same moment: both are counted, what follows happens once, and nothing is left half done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.catalogue.granting import (
    Someone,
    a_committee,
    a_request,
    account_of,
    legs_by_name,
    propose_and_vote,
    submit,
    the_next,
)

from fairbank import audit, events
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import WrongState
from fairbank.catalogue.governance import expiry, requests
from fairbank.catalogue.governance.store import GrantRow, RequestHistoryRow, VoteRow
from fairbank.clock import FixedClock
from fairbank.database import reading
from fairbank.errors import FairbankError

LUNGS = "http://hub.test/datasets/alpha/lungs"
MEMBERS = ("chair", "second", "third")


def at_once(*acts: Callable[[], Any]) -> list[FairbankError | None]:
    """Do several things at the same moment and return what each was refused with, if it was."""
    together = threading.Barrier(len(acts))
    refused: list[FairbankError | None] = [None] * len(acts)
    broken: list[BaseException] = []

    def run(place: int, act: Callable[[], Any]) -> None:
        together.wait()
        try:
            act()
        except FairbankError as err:
            refused[place] = err
        except BaseException as err:
            broken.append(err)

    threads = [threading.Thread(target=run, args=(place, act)) for place, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert broken == []
    return refused


@pytest.fixture
def asked(hub: Hub, released: Callable[..., Any]) -> tuple[Any, str, str]:
    """Who asked for lungs, the id of her request, and that of its leg, before a committee of three."""
    released("lungs")
    for name in MEMBERS:
        Someone(hub, name, Role.COMMITTEE)
    rita = Someone(hub, "rita", Role.RESEARCHER)
    a_committee(hub, ["alpha"], MEMBERS, quorum=2)
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS]))
    return rita, request_id, legs_by_name(hub, request_id)["lungs"].id


def named(hub: Hub, name: str) -> Any:
    return account_of(hub, type("Named", (), {"name": name}))


def count(hub: Hub, row: Any, *conditions: Any) -> int:
    with reading(hub.engine) as session:
        audit.verify(session, audit.HubAudit)
        return session.scalar(select(func.count()).select_from(row).where(*conditions)) or 0


def test_two_votes_at_once_are_both_counted_and_one_visa_is_made(
    hub: Hub, asked: tuple[Any, str, str]
) -> None:
    _, request_id, leg = asked
    chair, second = named(hub, "chair"), named(hub, "second")
    propose_and_vote(hub, named(hub, "third"), leg, "return")
    refused = at_once(
        lambda: propose_and_vote(hub, chair, leg),
        lambda: propose_and_vote(hub, second, leg),
    )
    assert refused == [None, None]
    assert legs_by_name(hub, request_id)["lungs"].state == "active"
    assert (count(hub, VoteRow), count(hub, GrantRow)) == (3, 1)
    assert count(hub, RequestHistoryRow, RequestHistoryRow.command == "activate") == 1


def test_what_is_revoked_while_more_of_it_is_voted_on_stays_revoked(
    hub: Hub, clock: FixedClock, asked: tuple[Any, str, str]
) -> None:
    rita, request_id, leg = asked
    chair, second, third = (named(hub, name) for name in MEMBERS)
    for member in (chair, second):
        propose_and_vote(hub, member, leg)
    submit(hub, rita, the_next(hub, request_id, organisation="Another university"))
    propose_and_vote(hub, second, leg)
    revoked, voted = at_once(
        lambda: requests.leg_command(hub, chair, request_id, leg, "revoke", note="Consent withdrawn."),
        lambda: propose_and_vote(hub, third, leg),
    )
    assert revoked is None and (voted is None or isinstance(voted, WrongState))
    found = legs_by_name(hub, request_id)["lungs"]
    assert (found.state, found.pending_state, found.visa) == ("revoked", None, None)
    assert count(hub, GrantRow, GrantRow.ended.is_(None)) == 0
    assert count(hub, events.HubEvent, events.HubEvent.kind == "grant.revoked") == 1


def test_a_grant_that_is_revoked_and_expires_at_once_ends_once(
    hub: Hub, clock: FixedClock, asked: tuple[Any, str, str]
) -> None:
    _, request_id, leg = asked
    chair, second, _ = (named(hub, name) for name in MEMBERS)
    for member in (chair, second):
        propose_and_vote(hub, member, leg)
    clock.advance(31 * 86_400)
    refused, _ = at_once(
        lambda: requests.leg_command(hub, chair, request_id, leg, "revoke"), lambda: expiry.sweep(hub)
    )
    assert refused is None or isinstance(refused, WrongState)
    told = events.HubEvent.kind.in_(["grant.revoked", "grant.expired"])
    assert count(hub, events.HubEvent, told) == 1
    assert count(hub, GrantRow, GrantRow.ended.is_(None)) == 0


def test_of_two_versions_sealed_at_once_one_is_taken(hub: Hub, asked: tuple[Any, str, str]) -> None:
    rita, request_id, leg = asked
    requests.leg_command(hub, named(hub, "chair"), request_id, leg, "return")
    versions = [the_next(hub, request_id, title=title) for title in ("One", "Another")]
    refused = at_once(*(lambda version=version: submit(hub, rita, version) for version in versions))  # type: ignore[misc]
    assert sorted(error.code for error in refused if error is not None) == ["FB-CAT-123"]
    assert legs_by_name(hub, request_id)["lungs"].version == 2
