"""Where what a site computes may go: its rule is checked before approval, before each round and each release."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from fairbank.catalogue import nodes
from fairbank.catalogue.store import NodeRow
from fairbank.database import reading, writing
from fairbank.errors import FairbankError
from fairbank.federated_jobs.node.approval import Consent, approve, leaving
from fairbank.federated_jobs.node.output_review import let_go
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow
from fairbank.ontology.errors import MalformedObject
from fairbank.ontology.places import ADEQUATE, EEA, place_rule
from fairbank.release.node import place_of
from fairbank.release.outbox import Outbox
from fairbank.release.store import ReleaseRow
from fairbank.settings import Settings, SettingsError

COUNTRIES = st.sampled_from(["DE", "NL", "CH", "US", "CA", "JP", "IN"])


# -- the rule ----------------------------------------------------------------------------------------------------------


def test_the_european_economic_area_has_thirty_states_and_not_its_neighbours():
    assert len(EEA) == 30
    assert not EEA & {"CH", "GB", "US", "EL", "UK"}


def test_countries_with_a_decision_for_some_recipients_only_are_not_adequate():
    assert EEA < ADEQUATE
    assert not ADEQUATE & {"US", "CA"}


@pytest.mark.parametrize(
    ("rule", "country", "allowed"),
    [
        ("any", None, True),
        ("any", "US", True),
        ("EEA", "DE", True),
        ("EEA", "CH", False),
        ("EEA", None, False),
        ("adequate", "CH", True),
        ("EEA US", "US", True),
        ("own", "NL", True),
        ("own", "DE", False),
        ("NL DE", "DE", True),
    ],
)
def test_a_rule_allows_what_it_names(rule, country, allowed):
    assert place_rule(rule).allows(country, own="NL") is allowed


def test_own_allows_nothing_while_the_site_s_country_is_not_set():
    assert not place_rule("own").allows("NL", own=None)
    assert not place_rule("own").allows(None, own=None)


@given(
    st.lists(st.sampled_from(["EEA", "adequate", "own", "US", "IN", "JP"]), min_size=1, max_size=4),
    st.sampled_from(["EEA", "adequate", "own", "CA"]),
    COUNTRIES,
)
def test_a_word_more_never_allows_less(words, more, country):
    narrow, wide = place_rule(" ".join(words)), place_rule(" ".join([*words, more]))
    assert wide.allows(country, own="IN") or not narrow.allows(country, own="IN")


@pytest.mark.parametrize("rule", ["", " ", "europe", "eea", "any EEA", "NLD", "nl", "EEA,CH", "*"])
def test_a_rule_that_cannot_be_read_is_none(rule):
    with pytest.raises(MalformedObject):
        place_rule(rule)
    with pytest.raises(SettingsError):
        place_of(replace(Settings(), node_updates_may_go=rule))


def test_a_country_that_is_no_code_is_refused():
    with pytest.raises(SettingsError):
        place_of(replace(Settings(), node_country="Netherlands"))


# -- in a federation ---------------------------------------------------------------------------------------------------


@pytest.fixture
def fed(start: Any) -> Any:
    return start("east", "north")


def rule(fed: Any, name: str = "east", **settings: str) -> Any:
    """Give a site other settings, as its people do by its file of settings, and start its agent anew."""
    site = fed.sites[name]
    site.node = replace(site.node, settings=replace(site.node.settings, **settings))
    site.restart()
    return site


def located(fed: Any, *, hub: str | None = None, requester: str | None = None, **sites: str) -> None:
    """Say where the hub, the requester and the sites are."""
    object.__setattr__(fed.hub, "settings", replace(fed.hub.settings, hub_country=hub or ""))
    with writing(fed.hub.engine) as session:
        for name, country in sites.items():
            place = place_of(replace(Settings(), node_country=country))
            nodes.tell_place(fed.hub, session, node=name, place=place)
    make = fed.request
    fed.request = lambda **changes: make(**{"country": requester, **changes})


def brought(fed: Any, tool: str = "noop", **options: Any) -> str:
    return fed.submit(fed.manifest(fed.visa(), tool, **options))


def stopped(fed: Any, job: str, name: str = "east") -> tuple[str, str, str | None]:
    with reading(fed.sites[name].node.engine) as session:
        row = session.get_one(ReviewRow, job)
        return row.state, row.reason, row.stopped_by


REFUSED = ("rejected", "transfer_not_allowed", "transfer")


@pytest.mark.parametrize(
    ("hub", "requester", "expected"),
    [
        ("NL", "DE", "pending_review"),
        ("US", "DE", "rejected"),
        ("NL", "US", "rejected"),
        (None, "DE", "rejected"),
        ("NL", None, "rejected"),
    ],
)
def test_updates_go_to_hub_and_requester_only_where_the_site_lets_them(fed, hub, requester, expected):
    located(fed, hub=hub, requester=requester)
    rule(fed, node_updates_may_go="EEA")
    job = brought(fed)
    fed.settle()
    assert stopped(fed, job)[0] == expected
    assert fed.site_state(job, "north") == ("pending_review", "none")
    if expected == "rejected":
        assert stopped(fed, job) == REFUSED
        assert fed.site_state(job, "east") == ("rejected", "transfer_not_allowed")


def test_the_rule_of_results_does_not_concern_updates(fed):
    located(fed, hub="US", requester="US")
    rule(fed, node_results_may_go="EEA")
    job = brought(fed)
    fed.settle()
    assert stopped(fed, job)[0] == "pending_review"


@pytest.mark.parametrize(
    ("north", "expected"), [("DE", "pending_review"), ("US", "rejected"), (None, "rejected")]
)
def test_the_other_sites_of_a_training_job_have_to_be_where_the_site_allows(fed, north, expected):
    located(fed, east="NL", **({"north": north} if north else {}))
    rule(fed, node_country="NL", node_peers_may_be="EEA")
    job = brought(fed)
    fed.settle()
    assert stopped(fed, job)[0] == expected


def test_a_rule_that_cannot_be_read_lets_nothing_be_approved(fed):
    rule(fed, node_updates_may_go="europe")
    job = brought(fed)
    fed.settle("north")
    site = fed.sites["east"]
    site.agent.step()
    with reading(site.node.engine) as session:
        row = session.get_one(ReviewRow, job)
        assert (row.state, row.error, row.stopped_by) == ("rejected", "FB-JOBS-053", "transfer")


def test_a_rule_that_was_narrowed_before_the_approval_is_the_one_that_counts(fed):
    located(fed, hub="US", requester="US")
    job = brought(fed)
    fed.settle()
    site = rule(fed, node_updates_may_go="EEA")
    with pytest.raises(FairbankError) as caught:
        approve(site.node, job, Consent(by="curator"), source=site.index)
    assert caught.value.code == "FB-JOBS-052"
    with reading(site.node.engine) as session:
        assert session.get(ApprovalRow, job) is None


def test_a_rule_that_was_narrowed_before_a_round_stops_it(fed):
    located(fed, hub="US", requester="US")
    job = approved(fed)
    site = rule(fed, node_updates_may_go="EEA")
    fed.settle()
    assert site.runner.calls == []
    assert stopped(fed, job) == ("failed", "transfer_not_allowed", "transfer")
    assert fed.site_state(job, "east") == ("failed", "transfer_not_allowed")


def test_a_peer_that_moves_between_two_rounds_stops_the_site(fed):
    located(fed, east="NL", north="DE")
    rule(fed, node_country="NL", node_peers_may_be="EEA")
    job = approved(fed, rounds=2)
    for site in fed.sites.values():
        site.agent.step()
    with writing(fed.hub.engine) as session:
        place = place_of(replace(Settings(), node_country="US"))
        nodes.tell_place(fed.hub, session, node="north", place=place)
    fed.settle()
    assert [number for _, number in fed.sites["east"].runner.calls] == [1]
    assert stopped(fed, job) == ("failed", "transfer_not_allowed", "transfer")


@pytest.mark.parametrize("way", ["let go by a person", "sent by the agent", "sent by hand"])
def test_an_output_that_is_computed_does_not_leave_once_the_rule_forbids_it(fed, way):
    located(fed, hub="US", requester="US")
    job = approved(fed, hold=True)
    fed.settle()
    site = fed.sites["east"]
    if way != "let go by a person":
        let_go(site.node, site.outbox, job, by="curator")
    site = rule(fed, node_updates_may_go="EEA")
    outbox = Outbox(site.node, site.client(), may_leave=leaving(site.node))
    if way == "let go by a person":
        with pytest.raises(FairbankError) as caught:
            let_go(site.node, outbox, job, by="curator")
        assert caught.value.code == "FB-JOBS-052"
        return
    if way == "sent by hand":
        assert [sending.error.code for sending in outbox.send_pending() if sending.error] == ["FB-JOBS-052"]
    fed.settle()
    with reading(site.node.engine) as session:
        assert list(session.scalars(select(ReleaseRow.state).where(ReleaseRow.job == job))) == ["withheld"]
    # What is kept back is told when the site claims again.
    fed.settle()
    assert fed.site_state(job, "east") == ("withheld", "transfer_not_allowed")


def approved(fed: Any, *, rounds: int = 1, hold: bool = False) -> str:
    job = brought(fed, rounds=rounds)
    fed.settle()
    for site in fed.sites.values():
        site.approve(job, hold_outputs=hold)
    fed.close_rounds()
    return job


# -- what a node tells of itself ---------------------------------------------------------------------------------------


def test_an_agent_that_starts_tells_where_its_node_is_and_what_it_lets_go_where(fed):
    site = rule(fed, node_country="NL", node_results_may_go="EEA CH", node_peers_may_be="own")
    site.agent.resume()
    with reading(fed.hub.engine) as session:
        entry = next(one for one in nodes.listing(session) if one.name == "east")
    assert entry.country == "NL"
    assert entry.transfers == {"results": ["EEA", "CH"], "updates": ["any"], "peers": ["own"]}


def test_the_place_of_a_node_goes_with_its_enrolment(fed):
    wish = nodes.Enrolment(
        node="south",
        key="ed25519:" + "A" * 43,
        token="x",
        title="South",
        place=place_of(replace(Settings(), node_country="FR")),
    )
    with writing(fed.hub.engine) as session:
        token = nodes.invite(session, fed.hub, actor="admin")
    nodes.enrol(fed.hub, nodes.Enrolment.parse({**wish.payload(), "token": token}))
    with reading(fed.hub.engine) as session:
        assert nodes.countries_of(session, ["south"]) == {"south": "FR"}


def test_a_node_speaks_of_its_own_place_only(fed):
    from fairbank.federated_jobs.protocol import PlaceReport

    message = PlaceReport(place=place_of(Settings()))
    with pytest.raises(FairbankError):
        fed.sites["east"].outbox.control("PUT", "/v1/nodes/north/place", message)
    with reading(fed.hub.engine) as session:
        assert session.get_one(NodeRow, "north").place is None


def test_what_the_hub_hears_of_a_refusal_names_no_country(fed):
    from fairbank.federated_jobs.node.reporting import _message

    located(fed, hub="US", requester="IN")
    site = rule(fed, node_updates_may_go="EEA")
    job = brought(fed)
    fed.settle()
    with reading(site.node.engine) as session:
        told = json.loads(_message(session.get_one(ReviewRow, job), None).to_bytes())
    assert told["reason"] == "transfer_not_allowed"
    assert not {"US", "IN", "EEA"} & set(json.dumps(told).replace('"', " ").split())
