"""A node that runs follows the hub to a new root key, goes on with its work, and follows to no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from tests.federated_jobs.conftest import BASE, Federation

from fairbank.audit import NodeAudit
from fairbank.catalogue import hub_keys as hub_side
from fairbank.catalogue import routes as catalogue_routes
from fairbank.catalogue.context import Hub
from fairbank.catalogue.route_parts import join
from fairbank.catalogue.store import HubIdentity, HubKeyRow
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.ontology.key_succession import KeySuccession, sealed_by_both
from fairbank.release import hub_keys
from fairbank.signing import SigningKey

DEADLINE_S = 120


class Describing(Federation):
    """A federation whose hub also describes itself, as hubs do: with its key and its successions."""

    def app(self, hub: Hub) -> FastAPI:
        app = super().app(hub)
        join(app.router, catalogue_routes.router(hub))
        return app


class Running:
    """The federation of one site, whose agent works in a thread of its own the whole time."""

    def __init__(self, fed: Federation) -> None:
        self.fed, self.site = fed, fed.add("east")
        self.stop = threading.Event()
        self.thread = self.start()

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self.site.agent.run, args=(self.stop,), daemon=True)
        thread.start()
        return thread

    def ends(self) -> None:
        self.stop.set()
        self.thread.join(DEADLINE_S)
        self.stop.clear()

    def starts_anew(self) -> None:
        self.ends()
        self.site.restart()
        self.thread = self.start()

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that the agent brings about, while the hub closes its rounds."""
        deadline, pause = time.monotonic() + DEADLINE_S, threading.Event()
        while not holds():
            assert time.monotonic() < deadline, "the agent did not get there"
            self.fed.close_rounds()
            pause.wait(0.02)

    def brought(self, job: str) -> str:
        """Wait until the site has judged a job, and return what it said."""

        def state() -> str:
            with reading(self.site.node.engine) as session:
                row = session.get(ReviewRow, job)
                return row.state if row is not None else ""

        self.until(lambda: bool(state()))
        return state()

    def runs(self, visa: Any, *, rounds: int = 1) -> None:
        """Run a job under a visa from submission to result: review, approval, claims, uploads."""
        job = self.fed.submit(self.fed.manifest(visa, rounds=rounds))
        assert self.brought(job) == "pending_review"
        self.site.approve(job)
        self.until(lambda: self.fed.state(job) == "completed")

    def refuses(self, visa: Any) -> None:
        """Bring a job past the hub's own checks, and see the site refuse the visa."""
        job = self.fed.smuggle(self.fed.manifest(visa))
        self.fed.hub.notifier.notify()
        assert self.brought(job) == "rejected"
        self.until(lambda: self.fed.site_state(job, "east") == ("rejected", "visa_invalid"))

    def followed(self) -> list[str]:
        """Return the hub keys that the node went on to, as its log has it."""
        with reading(self.site.node.engine) as session:
            acts = session.scalars(select(NodeAudit).where(NodeAudit.act == "hub.key-succession"))
            return [entry.target for entry in acts]

    @property
    def newest(self) -> str:
        with reading(self.site.node.engine) as session:
            return hub_keys.newest(session, self.site.node.enrolment)


@pytest.fixture
def live(tmp_path, clock) -> Iterator[Running]:
    fed = Describing(tmp_path / "fed", clock)
    running = Running(fed)
    yield running
    running.ends()
    fed.close()


def test_a_running_node_follows_the_hub_s_key_and_works_on(live):
    fed, pinned = live.fed, live.newest
    before = fed.visa()
    live.runs(before)
    new = hub_side.rotate(fed.hub, actor="operator")
    fed.clock.advance(60)
    # What the old key sealed in its time is good until its end, before the node knows of the new key and after.
    live.runs(before)
    assert (live.followed(), live.newest) == ([], pinned)
    live.runs(fed.visa(key=new))
    assert (live.followed(), live.newest) == ([new.key_id], new.key_id)
    live.runs(before)
    assert live.site.node.enrolment.hub_key == pinned
    # Whoever has the old key now seals nothing more with it.
    live.refuses(fed.visa(key=fed.hub.key))
    live.starts_anew()
    live.runs(fed.visa(key=new))
    assert live.followed() == [new.key_id]


def test_a_key_that_is_replaced_while_a_round_is_computed_holds_nothing_up(live):
    fed, rotated = live.fed, list[SigningKey]()

    def rotates(task: Any) -> None:
        if not rotated:
            rotated.append(hub_side.rotate(fed.hub, actor="operator"))

    live.site.runner.before = rotates
    live.runs(fed.visa(), rounds=3)
    fed.clock.advance(60)
    live.runs(fed.visa(key=rotated[0]))
    assert live.newest == rotated[0].key_id


def test_two_replaced_keys_are_followed_one_by_one(live):
    fed, visas = live.fed, [live.fed.visa()]
    for _ in range(2):
        fed.clock.advance(60)
        visas.append(fed.visa(key=hub_side.rotate(fed.hub, actor="operator")))
    for visa in reversed(visas):
        live.runs(visa)
    assert len(live.followed()) == 2


@pytest.mark.parametrize("sealed_by", ["the new key twice", "another key"])
def test_a_key_that_the_old_one_did_not_seal_is_not_followed_and_nothing_else_stops(live, sealed_by):
    fed, pinned, lawful = live.fed, live.newest, live.fed.visa()
    thief, other = SigningKey.generate(), SigningKey.generate()
    words = KeySuccession(
        id=fed.clock.new_id(), of="hub", name=BASE, old=pinned, new=thief.key_id, created=iso(fed.clock.now())
    )
    forged = sealed_by_both(words, other if sealed_by == "another key" else thief, thief)
    with writing(fed.hub.engine) as session:
        session.add(
            HubKeyRow(old=pinned, new=thief.key_id, succession=forged.to_bytes(), made=fed.clock.now())
        )
        session.get_one(HubIdentity, 1).key_id = thief.key_id
    fed.clock.advance(60)
    live.refuses(fed.visa(key=thief))
    assert (live.followed(), live.newest) == ([], pinned)
    live.runs(lawful)
    live.starts_anew()
    live.refuses(fed.visa(key=thief))
    live.runs(lawful)
