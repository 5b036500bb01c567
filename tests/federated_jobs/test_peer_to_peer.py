"""Peers send each other their models through a hub that cannot open them: four topologies, losses, kill -9."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from sqlalchemy import select
from tests.federated_jobs.conftest import refusal
from tests.federated_jobs.peers_at_work import (
    SITES,
    STEPS,
    SUBJECTS,
    approved,
    final,
    peers_of,
    told,
)

from fairbank.database import reading
from fairbank.federated_jobs.algorithms.seeds import derive_seed
from fairbank.federated_jobs.axes.plan_options import PeerOptions
from fairbank.federated_jobs.hub import rounds as hub_rounds
from fairbank.federated_jobs.hub.rounds import close_ready
from fairbank.federated_jobs.hub.store import UpdateRow
from fairbank.federated_jobs.node.errors import WorkerOutOfMemory
from fairbank.federated_jobs.node.what_leaves import warnings
from fairbank.federated_jobs.plans.machine import Closed, Done, Parcel, Setting
from fairbank.federated_jobs.plans.peer_to_peer import PeerToPeer
from fairbank.ontology.signed_objects import PlanName
from fairbank.release import ledger, outbox_review
from fairbank.release.hub_client import HubClient
from fairbank.release.outbox import Outbox
from fairbank.release.store import ReleaseRow

# More than one cycle of three sites.
ROUNDS = 5
TOPOLOGIES = ("brain-torrent", "random-order", "all-to-all", "ring")
SEED = "0"


class Killed(BaseException):
    """Stands for kill -9: nothing in the product catches it."""


def _killed(*args: object, **options: object) -> None:
    raise Killed


def _fails(task: object) -> None:
    raise WorkerOutOfMemory("too much")


@pytest.fixture
def fed(start):
    return peers_of(start)


# -- the oracle: what the papers say, with numbers in one process ----------------------------------------------------


def trained(model: np.ndarray, site: str, number: int) -> np.ndarray:
    """What the fake of a worker does."""
    return (model + np.float32(STEPS[site] * number)).astype(np.float32)


def mean(models: dict[str, np.ndarray]) -> np.ndarray:
    """The mean by samples, in float64 and in the order of the sites' names; two series of each subject."""
    total = sum(2 * SUBJECTS[site] for site in models)
    summed = np.zeros(4)
    for site in sorted(models):
        summed += models[site].astype(np.float64) * (2 * SUBJECTS[site])
    return (summed / total).astype(np.float32)


def drawn(number: int, purpose: str, sites: tuple[str, ...] = SITES) -> list[str]:
    def draw(site: str) -> tuple[int, str]:
        return derive_seed(SEED, site=site, round_number=number, purpose=purpose), site

    return sorted(sites, key=draw)


def oracle(topology: str, rounds: int) -> np.ndarray:
    zero = np.zeros(4, dtype=np.float32)
    if topology == "all-to-all":
        models = dict.fromkeys(SITES, zero)
        for number in range(1, rounds):
            base = mean(models) if number > 1 else zero
            models = {site: trained(base, site, number) for site in SITES}
        return mean(models)
    if topology == "brain-torrent":
        models = {site: trained(zero, site, 1) for site in SITES}
        version = dict.fromkeys(SITES, 1)
        seen: dict[str, dict[str, int]] = {site: {} for site in SITES}
        for number in range(2, rounds + 1):
            site = drawn(number, "turn")[0]
            newer = {peer for peer in SITES if peer == site or version[peer] > seen[site].get(peer, 0)}
            seen[site] = dict(version)
            models[site] = trained(mean({peer: models[peer] for peer in newer}), site, number)
            version[site] = number
        return models[site]
    model = zero
    for number in range(1, rounds + 1):
        cycle, turn = divmod(number - 1, len(SITES))
        order = list(SITES) if topology == "ring" else drawn(cycle + 1, "order")
        model = trained(model, order[turn], number)
    return model


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_peers_come_to_the_model_of_the_paper(fed, topology):
    # The fake's steps nearly cancel out at times, which no trained model does.
    job = approved(fed, topology, ROUNDS, options={"most_times_norm": "1000"})
    fed.settle()
    assert final(fed, job).tobytes() == oracle(topology, ROUNDS).tobytes()
    assert told(fed, job, "merging") == ["sealed"] * (ROUNDS - 1) + ["hand-on"]
    # One site brings it in the open; what was told beside the parcels is there for every round.
    names = [file["name"] for file in fed.get(f"/v1/jobs/{job}/results").json()["files"]]
    assert (names.count("model"), names.count("metrics")) == (1, ROUNDS)
    assert not any(list((site.node.settings.keys_path / "sealing").iterdir()) for site in fed.sites.values())


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_peers_train_a_tiny_problem_to_a_twentieth_of_its_error(topology):
    rounds, true = 12, np.array([1.0, -2.0, 0.5, 3.0])
    points = {site: np.random.default_rng(place).normal(size=(20, 4)) for place, site in enumerate(SITES)}

    def error(weights: np.ndarray) -> float:
        return float(np.mean([np.mean((points[site] @ (weights - true)) ** 2) for site in SITES]))

    options = PeerOptions(topology=topology)
    setting = Setting(SITES, rounds, quorum=3, seed="7", options=options)
    machine, number, models = PeerToPeer(), 1, {}
    step = machine.first(setting)
    while True:
        assert step.mail is not None
        made = {}
        for site in step.participants:
            takes = [models[parcel] for parcel in step.mail.takes[site]]
            base = np.zeros(4) if not takes else takes[0] if step.mail.first_only else np.mean(takes, axis=0)
            for _ in range(5 if step.mail.trains else 0):
                base = base - 0.1 * points[site].T @ points[site] @ (base - true) / len(points[site])
            made[Parcel(site, number)] = base
        models.update(made)
        closed = Closed(number, step.base, None, step.participants)
        after = machine.next(setting, json.loads(json.dumps(step.state)), closed)
        if isinstance(after, Done):
            assert (number, len(made)) == (rounds, 1)
            assert error(*made.values()) < 0.05 * error(np.zeros(4))
            return
        step, number = after, number + 1


# -- losses ----------------------------------------------------------------------------------------------------------


def test_a_ring_closes_over_a_lost_and_a_late_peer_and_the_record_says_so(fed):
    fed.sites["north"].runner.before = _fails
    job = approved(fed, "ring", 6, quorum=2, round_deadline_s=600)
    fed.settle("east", "north")
    # East has trained, north has failed, west does not answer.
    fed.clock.advance(601)
    fed.settle("east")
    fed.settle()
    expected = np.zeros(4, dtype=np.float32)
    for site, number in (("east", 1), ("east", 4), ("west", 5), ("east", 6)):
        expected = trained(expected, site, number)
    assert final(fed, job).tobytes() == expected.tobytes()
    asked = told(fed, job, "asked")
    assert asked == [["east"], ["north"], ["west"], ["east"], ["west"], ["east"]]
    assert (told(fed, job, "lost")[1], told(fed, job, "late")[2]) == (["north"], ["west"])


@pytest.mark.long
def test_a_late_peer_is_left_behind_for_a_round_and_takes_part_again(fed):
    job = approved(fed, "all-to-all", 4, quorum=2, round_deadline_s=600)
    for name in ("east", "north"):
        fed.sites[name].agent.step()
    fed.clock.advance(601)
    fed.close_rounds()
    fed.settle()
    zero = np.zeros(4, dtype=np.float32)
    first = mean({site: trained(zero, site, 1) for site in ("east", "north")})
    second = mean({site: trained(first, site, 2) for site in SITES})
    third = mean({site: trained(second, site, 3) for site in SITES})
    assert final(fed, job).tobytes() == third.tobytes()
    assert told(fed, job, "late")[0] == ["west"]


def test_the_last_round_is_tried_at_another_site_if_its_site_is_lost(fed):
    job = approved(fed, "ring", 3, quorum=1)
    fed.sites["west"].runner.before = _fails
    fed.settle()
    zero = np.zeros(4, dtype=np.float32)
    expected = trained(trained(trained(zero, "east", 1), "north", 2), "east", 4)
    assert final(fed, job).tobytes() == expected.tobytes()
    assert told(fed, job, "lost") == [[], [], ["west"], []]


# -- what the hub sees -------------------------------------------------------------------------------------------------


def test_the_hub_neither_gets_nor_keeps_a_byte_of_a_model_before_the_last_round(fed, monkeypatch):
    bodies: list[bytes] = []
    deliver = HubClient.deliver

    def noted(self, method, path, **options):
        bodies.append(options.get("body", b""))
        return deliver(self, method, path, **options)

    monkeypatch.setattr(HubClient, "deliver", noted)
    job = approved(fed, "all-to-all", 3)
    for number in (1, 2):
        assert fed.job(job)["round"] == number
        for site in fed.sites.values():
            site.agent.step()
        fed.close_rounds()
    marks = []
    for site in fed.sites.values():
        with reading(site.node.engine) as session:
            rows = session.scalars(select(ReleaseRow).where(ReleaseRow.job == job)).all()
        assert len(rows) == 2
        for row in rows:
            assert row.plain_digest is not None
            plain = (site.node.outbox_path / row.plain_digest.removeprefix("sha256:")).read_bytes()
            # The header with the tensors' names, their numbers, and the digest of it all.
            marks += [b'"w":{"dtype"', plain[-16:], row.plain_digest.encode()]
    kept = [path.read_bytes() for path in fed.hub.settings.home.rglob("*") if path.is_file()]
    assert sum(map(len, bodies)) > 0 and len(kept) > 10
    assert not [mark for mark in marks for content in (*kept, *bodies) if mark in content]


def test_people_of_a_site_see_the_model_and_exactly_the_bytes_that_left(fed):
    job = approved(fed, "ring", 3)
    fed.settle("east")
    node = fed.sites["east"].node
    with reading(node.engine) as session:
        (row,) = session.scalars(select(ReleaseRow).where(ReleaseRow.job == job)).all()
        (entry,) = [one for one in ledger.entries(session, limit=50) if one.release == row.id]
    release = Outbox(node).release(row.id)
    plain = Path(node.settings.home / "looked.safetensors")
    plain.write_bytes(outbox_review.content(node, release))
    assert load_file(plain)["w"].tobytes() == trained(np.zeros(4, np.float32), "east", 1).tobytes()
    with reading(fed.hub.engine) as session:
        (arrived,) = session.scalars(select(UpdateRow).where(UpdateRow.job == job)).all()
    assert ledger.content(entry, node.outbox_path) == Path(arrived.path).read_bytes()
    assert entry.digest == arrived.digest != row.plain_digest


def test_a_node_may_fetch_what_the_plan_names_for_it_and_nothing_else(fed):
    job = approved(fed, "ring", 4)
    fed.settle("east")
    with reading(fed.hub.engine) as session:
        (row,) = session.scalars(select(UpdateRow).where(UpdateRow.job == job)).all()
    target = fed.folder / "fetched"
    assert refusal(lambda: fed.sites["west"].client().download(row.digest, target)) is not None
    assert fed.sites["north"].client().download(row.digest, target).exists()


def test_people_are_told_who_sees_their_model(fed):
    manifest = fed.manifest(
        fed.visa(), rounds=3, plan_name=PlanName.PEER_TO_PEER, plan_options={"topology": "ring"}
    )
    said = " ".join(warnings(manifest))
    assert "cannot open it" in said and "[[peer]]" in said and "last round" in said


# -- kill -9 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topology", ["all-to-all", pytest.param("brain-torrent", marks=pytest.mark.long)])
def test_hub_and_nodes_that_are_killed_come_to_the_same_bits(fed, monkeypatch, topology):
    job = approved(fed, topology, 4, options={"most_times_norm": "1000"})
    places = iter(["run", "stage", "send", "sent", "sealed"])
    hub_places = iter(["_merged", "_commit", "open_round"])
    while fed.state(job) == "running":
        for site in fed.sites.values():
            place = next(places, None)
            with monkeypatch.context() as patch:
                _kill_at(patch, site, place)
                try:
                    while site.agent.step():
                        pass
                    continue
                except Killed:
                    pass
            site.runner.before = lambda task: None
            site.restart().resume()
        if (place := next(hub_places, None)) is not None:
            with monkeypatch.context() as patch:
                patch.setattr(hub_rounds, place, _killed)
                try:
                    close_ready(fed.hub)
                except Killed:
                    fed.restart_hub()
        fed.close_rounds()
    assert next(places, None) is None or topology != "all-to-all"
    assert final(fed, job).tobytes() == oracle(topology, 4).tobytes()
    for site in fed.sites.values():
        with reading(site.node.engine) as session:
            rows = session.scalars(select(ReleaseRow).where(ReleaseRow.job == job)).all()
        assert all(row.state == "sent" for row in rows)


def _kill_at(patch, site, place: str | None) -> None:
    if place == "run":
        site.runner.before = lambda task: _killed()
    elif place == "stage":
        patch.setattr(Outbox, "stage", _killed)
    elif place == "send":
        patch.setattr(Outbox, "send", _killed)
    elif place == "sent":
        patch.setattr(Outbox, "_complete", _killed)
    elif place == "sealed":
        patch.setattr(Outbox, "_debit", _killed)
