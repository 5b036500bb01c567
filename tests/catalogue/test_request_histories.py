"""Any history of a request, its votes, versions, pauses and ends: a model simple enough to be believed says what holds.

The model knows two datasets, a committee of three with a quorum of two whose first member presides, and whole days.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.catalogue.granting import (
    Someone,
    a_committee,
    a_request,
    account_of,
    propose_and_vote,
    submit,
    the_next,
)

from fairbank import audit
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub, open_hub
from fairbank.catalogue.errors import WrongState
from fairbank.catalogue.governance import expiry, grants, legs, requests
from fairbank.catalogue.governance.store import RequestRow
from fairbank.catalogue.governance.workflow_errors import GuardFails
from fairbank.clock import FixedClock, iso
from fairbank.database import reading
from fairbank.errors import FairbankError
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Visa

NAMES = ("brains", "lungs")
IRIS = {name: f"http://hub.test/datasets/alpha/{name}" for name in NAMES}
MEMBERS = ("chair", "second", "third")
ENDED = {"declined", "revoked", "withdrawn", "completed"}
RENEWABLE_DAYS = 90
names, members = st.sampled_from(NAMES), st.sampled_from(MEMBERS)


@dataclass(frozen=True)
class Asked:
    """What a version asks for: until which day, and how many of the output classes."""

    until: int
    classes: int

    def exceeds(self, other: Asked) -> bool:
        return self.until > other.until or self.classes > other.classes


@dataclass
class Review:
    """A version of a leg before its committee."""

    asked: Asked
    state: str = "in_review"
    until: int | None = None
    conditional: bool = False
    votes: dict[str, str] = field(default_factory=dict)

    def outcome(self) -> str | None:
        """Return the word that has been decided, if any."""
        words = Counter(self.votes.values())
        if sum(words.values()) < 2:
            return None
        most, number = words.most_common(1)[0]
        if 2 * number > sum(words.values()):
            return most
        return self.votes["chair"] if len(self.votes) == len(MEMBERS) else None


@dataclass
class Leg:
    """A dataset: `state` is what is granted, or the review's own while nothing ever was."""

    review: Review | None
    state: str = "in_review"
    asked: Asked | None = None
    until: int | None = None
    ended_on: int = 0

    @property
    def granted_before(self) -> bool:
        return self.state in ("active", "expired")

    def shown(self) -> tuple[str, str | None]:
        """Return the state and that of a review beside it."""
        return (self.state, self.review.state if self.review else None) if self.granted_before else (
            (self.review.state if self.review else self.state), None
        )  # fmt: skip


class Model:
    """What should be."""

    def __init__(self) -> None:
        self.request = "open"
        self.day = 0
        self.paused_by = ""
        self.asked = Asked(60, 1)
        self.legs = {name: Leg(Review(self.asked)) for name in NAMES}

    @property
    def running(self) -> bool:
        return self.request in ("open", "paused")

    def settle(self) -> None:
        for leg in self.legs.values():
            waits = leg.review if not leg.granted_before else None
            if leg.state == "active" and leg.until is not None and leg.until <= self.day:
                leg.state, leg.ended_on = "expired", self.day
            elif waits and waits.state == "approved_with_conditions" and (waits.until or 0) <= self.day:
                leg.state, leg.review, leg.ended_on = "expired", None, self.day
            later = leg.review if leg.granted_before else None
            if later and later.state == "approved_with_conditions" and (later.until or 0) <= self.day:
                leg.review = None
        if self.running and all(self._over(leg) for leg in self.legs.values()):
            self.request = "closed"

    def _over(self, leg: Leg) -> bool:
        if leg.state == "expired":
            return leg.review is None and leg.ended_on + RENEWABLE_DAYS <= self.day
        return leg.state in ENDED

    def vote(self, leg: Leg, member: str, word: str, *, until: int, conditional: bool) -> None:
        review = leg.review
        assert review is not None
        if review.until is None:
            review.until, review.conditional = until, conditional
        review.votes[member] = word
        match review.outcome():
            case "approve" if review.conditional:
                review.state = "approved_with_conditions"
            case "approve":
                self.activate(leg)
            case "decline":
                self._refused(leg, "declined")
            case "return":
                self.send_back(leg)
        self.settle()

    def activate(self, leg: Leg) -> None:
        review = leg.review
        assert review is not None and review.until is not None
        leg.state, leg.asked, leg.until, leg.review = "active", review.asked, review.until, None
        if not self.asked.exceeds(leg.asked):
            leg.asked, leg.until = self.asked, min(leg.until, self.asked.until)

    def _refused(self, leg: Leg, state: str) -> None:
        if not leg.granted_before:
            leg.state = state
        leg.review = None

    def send_back(self, leg: Leg) -> None:
        assert leg.review is not None
        leg.review = Review(leg.review.asked, "returned")

    def take(self, asked: Asked) -> None:
        """Take a further version."""
        self.asked = asked
        for leg in self.legs.values():
            if leg.state == "active" and leg.asked is not None and not asked.exceeds(leg.asked):
                assert leg.until is not None
                leg.asked, leg.until, leg.review = asked, min(leg.until, asked.until), None
            elif leg.granted_before or (leg.review and leg.review.state in ("in_review", "returned")):
                leg.review = Review(asked)
        self.settle()

    def takes_versions(self) -> bool:
        returned = any(
            leg.review is not None and leg.review.state == "returned" and not leg.granted_before
            for leg in self.legs.values()
        )
        return returned or any(leg.granted_before for leg in self.legs.values())

    def end(self, leg: Leg, state: str) -> None:
        leg.state, leg.review = state, None


class Histories(RuleBasedStateMachine):
    """A requester, a committee, an administrator and the clock, in any order."""

    template: Path
    keys: dict[str, Any]

    def __init__(self) -> None:
        super().__init__()
        Histories.number += 1
        home = self.template.parent / f"history-{Histories.number}"
        shutil.copytree(self.template, home)
        self.home, self.clock = home, FixedClock(self.begun)
        self.hub: Hub = open_hub(
            replace(self.settings, home=home, hub_database=f"sqlite:///{home}/hub.db"), self.clock
        )
        self.model = Model()
        asked = a_request(self.hub, self.keys["rita"], list(IRIS.values()), until=self.moment(60))
        self.request_id = submit(self.hub, self.keys["rita"], asked)

    number = 0
    begun: Any
    settings: Any

    def teardown(self) -> None:
        with reading(self.hub.engine) as session:
            audit.verify(session, audit.HubAudit)
        self.hub.queries.close()
        self.hub.engine.dispose()
        shutil.rmtree(self.home)

    def moment(self, day: int) -> str:
        return iso(self.begun + timedelta(days=day))

    def who(self, name: str) -> Any:
        return account_of(self.hub, self.keys[name])

    def legs_now(self) -> dict[str, Any]:
        with reading(self.hub.engine) as session:
            found = legs.legs_of(session, session.get_one(RequestRow, self.request_id))
        return {leg.dataset.rpartition("/")[2]: leg for leg in found}

    def gives(self, expected: type[FairbankError] | None, act: Callable[[], Any]) -> bool:
        """Do something; tell whether it was done, and check that it was refused exactly when it should be."""
        if expected is None:
            act()
            return True
        with pytest.raises(expected):
            act()
        return False

    def of_leg(self, name: str, who: str, word: str) -> Callable[[], Any]:
        leg = self.legs_now()[name]
        return lambda: requests.leg_command(self.hub, self.who(who), self.request_id, leg.id, word)

    # -- what people do ----------------------------------------------------------------------------------------

    @rule(name=names, member=members, word=st.sampled_from(["approve", "approve", "approve", "decline", "return"]),
          days=st.integers(5, 30), conditional=st.booleans())  # fmt: skip
    def vote(self, name: str, member: str, word: str, days: int, conditional: bool) -> None:
        leg = self.model.legs[name]
        row, until = self.legs_now()[name], self.model.day + days
        if leg.review is not None and leg.review.state == "in_review":
            until = min(until, leg.review.asked.until)
            if until <= self.model.day:
                return  # What was asked for is over: nobody can propose an end that is yet to come.
        conditions = ("Cite the biobank.",) if conditional else ()
        allowed = leg.review is not None and leg.review.state == "in_review"
        done = self.gives(
            None if allowed else WrongState,
            lambda: propose_and_vote(
                self.hub, self.who(member), row.id, word, until=self.moment(until), conditions=conditions
            ),
        )
        if done:
            self.model.vote(leg, member, word, until=until, conditional=conditional)

    @rule(name=names, accept=st.booleans())
    def answer_conditions(self, name: str, accept: bool) -> None:
        leg = self.model.legs[name]
        open_ones = leg.review is not None and leg.review.state == "approved_with_conditions"
        word = "accept-conditions" if accept else "refuse-conditions"
        if self.gives(None if open_ones else WrongState, self.of_leg(name, "rita", word)):
            if accept:
                self.model.activate(leg)
            else:
                self.model._refused(leg, "withdrawn")
            self.model.settle()

    @rule(name=names)
    def return_it(self, name: str) -> None:
        leg = self.model.legs[name]
        under_review = leg.review is not None and leg.review.state == "in_review"
        if self.gives(None if under_review else WrongState, self.of_leg(name, "chair", "return")):
            self.model.send_back(leg)
            self.model.settle()

    @rule(name=names)
    def revoke(self, name: str) -> None:
        leg = self.model.legs[name]
        decided = leg.review is not None and leg.review.state == "approved_with_conditions"
        revocable = leg.state == "active" or (decided and not leg.granted_before)
        if self.gives(None if revocable else WrongState, self.of_leg(name, "chair", "revoke")):
            self.model.end(leg, "revoked")
            self.model.settle()

    @rule(who=st.sampled_from(["rita", "anna"]))
    def pause_or_resume(self, who: str) -> None:
        word = "resume" if self.model.request == "paused" else "pause"
        expected: type[FairbankError] | None = None if self.model.running else WrongState
        if word == "resume" and who == "rita" != self.model.paused_by:
            expected = GuardFails
        if self.gives(expected, lambda: requests.command(self.hub, self.who(who), self.request_id, word)):
            self.model.request = "paused" if word == "pause" else "open"
            self.model.paused_by = who
            self.model.settle()

    @precondition(lambda self: self.model.day > 3)
    @rule()
    def withdraw(self) -> None:
        expected = None if self.model.running else WrongState
        if self.gives(
            expected, lambda: requests.command(self.hub, self.who("rita"), self.request_id, "withdraw")
        ):
            self.model.request = "withdrawn"
            for leg in self.model.legs.values():
                leg.review = None
                if leg.state not in ENDED | {"expired"}:
                    leg.state = "withdrawn"

    @rule(longer=st.sampled_from([-20, 0, 30, 90]), classes=st.integers(1, 2))
    def further_version(self, longer: int, classes: int) -> None:
        asked = Asked(self.model.asked.until + longer, classes)
        if asked.until <= self.model.day:
            return
        wanted = (OutputClass.MEASUREMENTS, OutputClass.MODEL_UPDATE)[:classes]
        version = the_next(self.hub, self.request_id, until=self.moment(asked.until), output_classes=wanted)
        expected: type[FairbankError] | None = None
        if self.model.request != "open":
            expected = WrongState
        elif not self.model.takes_versions():
            expected = GuardFails
        if self.gives(expected, lambda: submit(self.hub, self.keys["rita"], version)):
            self.model.take(asked)

    @rule(days=st.sampled_from([1, 3, 10, 40]))
    def time_passes(self, days: int) -> None:
        self.clock.advance(days * 86_400)
        self.model.day += days
        # Whether something holds is a matter of the clock, before anybody has looked.
        self.what_holds()
        expiry.sweep(self.hub)
        if self.model.running:
            self.model.settle()

    # -- what has to be ----------------------------------------------------------------------------------------

    @invariant()
    def states_are_as_the_model_says(self) -> None:
        with reading(self.hub.engine) as session:
            assert session.get_one(RequestRow, self.request_id).state == self.model.request
        assert {name: (leg.state, leg.pending_state) for name, leg in self.legs_now().items()} == {
            name: leg.shown() for name, leg in self.model.legs.items()
        }

    @invariant()
    def what_holds(self) -> None:
        now = self.clock.now()
        with reading(self.hub.engine) as session:
            found = grants.grants_of(session, session.get_one(RequestRow, self.request_id), now=now)
        granted = {
            IRIS[name]: leg.until
            for name, leg in self.model.legs.items()
            if leg.state == "active" and leg.until is not None and leg.until > self.model.day
        }
        named = [iri for grant in found for iri in grant.datasets]
        assert sorted(named) == sorted(granted), "each dataset is granted under exactly one visa"
        for grant in found:
            assert grant.holds == (bool(grant.datasets) and self.model.request == "open")
            assert grant.still_granted >= grant.datasets
            visa, _ = Visa.open(grant.envelope, trusted=[self.hub.key.key_id])
            for iri in grant.datasets:
                terms = visa.terms_of(iri)
                assert terms is not None and terms.expires == self.moment(granted[iri])
                assert len(terms.output_classes) <= 2


def _template(released: Callable[..., Any], hub: Hub) -> dict[str, Any]:
    for name in NAMES:
        released(name)
    people = {name: Someone(hub, name, Role.COMMITTEE) for name in MEMBERS}
    people |= {"rita": Someone(hub, "rita", Role.RESEARCHER), "anna": Someone(hub, "anna", Role.ADMIN)}
    a_committee(hub, ["alpha"], MEMBERS, quorum=2)
    return people


@pytest.fixture
def histories(
    tmp_path: Path, settings: Any, hub: Hub, clock: FixedClock, released: Callable[..., Any]
) -> Iterator[type[Histories]]:
    """The machine, on copies of a hub that holds two datasets and their committee."""
    keys = _template(released, hub)
    hub.engine.dispose()
    template = tmp_path / "template"
    shutil.copytree(settings.home, template)
    database = Path(str(settings.hub_database_url).removeprefix("sqlite:///"))
    if not (template / "hub.db").exists():
        shutil.copy(database, template / "hub.db")
    made = type(
        "TheseHistories",
        (Histories,),
        {"template": template, "keys": keys, "begun": clock.now(), "settings": settings},
    )
    yield made


QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]


# A history begins on a copy of the hub's file.
on_sqlite = pytest.mark.parametrize("hub_database", ["sqlite"], indirect=True)


@on_sqlite
def test_any_history_leads_to_what_the_model_says(histories: type[Histories]) -> None:
    run_state_machine_as_test(
        histories,
        settings=settings(
            max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=QUIET
        ),
    )


@pytest.mark.long
@pytest.mark.timeout(3600)
@on_sqlite
def test_very_many_histories_lead_to_what_the_model_says(histories: type[Histories]) -> None:
    run_state_machine_as_test(
        histories,
        settings=settings(
            max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=QUIET
        ),
    )
