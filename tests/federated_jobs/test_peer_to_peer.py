"""Peers send each other their models through a hub that cannot open them: four topologies, losses, and a lying hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sqlalchemy import select, update
from tests.federated_jobs.conftest import FakeRunner, refusal

from fairbank.catalogue import blobs
from fairbank.database import reading, writing
from fairbank.federated_jobs.algorithms.seeds import derive_seed
from fairbank.federated_jobs.axes.plan_options import PeerOptions
from fairbank.federated_jobs.hub import rounds as hub_rounds
from fairbank.federated_jobs.hub.rounds import close_ready
from fairbank.federated_jobs.hub.store import ModelRow, RoundRow, SealingKeyRow, UpdateRow
from fairbank.federated_jobs.node import peers
from fairbank.federated_jobs.node import rounds as site_rounds
from fairbank.federated_jobs.node.errors import WorkerOutOfMemory
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow
from fairbank.federated_jobs.node.what_leaves import warnings
from fairbank.federated_jobs.parcels import head_of, new_key, public_key
from fairbank.federated_jobs.plans.machine import Closed, Done, Parcel, Setting
from fairbank.federated_jobs.plans.peer_to_peer import PeerToPeer
from fairbank.federated_jobs.protocol import SealingKeyReport
from fairbank.federated_jobs.update_notes import annotate
from fairbank.ontology.parcels import SealingKey
from fairbank.ontology.signed_objects import PlanName
from fairbank.release import ledger, outbox_review, tensors
from fairbank.release.hub_client import HubClient
from fairbank.release.outbox import Outbox
from fairbank.release.store import ReleaseRow
from fairbank.signing import SigningKey, file_digest

# More than one cycle of three sites.
ROUNDS = 5
TOPOLOGIES = ("brain-torrent", "random-order", "all-to-all", "ring")
SITES = ("east", "north", "west")
# Subjects differ, so that a mean by samples is another than a plain one.
SUBJECTS = {"east": 2, "north": 3, "west": 5}
STEPS = {"east": 0.7310585, "north": -1.3862944, "west": 2.2360680}
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


def peers_of(start, folder: str = "fed") -> Any:
    fed = start(folder=folder)
    for name in SITES:
        fed.add(name, subjects=SUBJECTS[name], step=STEPS[name])
    return fed


def approved(fed, topology: str, rounds: int, **options: Any) -> str:
    plan = {"topology": topology, **options.pop("options", {})}
    manifest = fed.manifest(
        fed.visa(), rounds=rounds, plan_name=PlanName.PEER_TO_PEER, plan_options=plan, **options
    )
    job = fed.submit(manifest)
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.close_rounds()
    return job


def final(fed, job: str) -> np.ndarray:
    assert fed.state(job) == "completed", fed.job(job)
    with reading(fed.hub.engine) as session:
        (row,) = session.scalars(select(ModelRow).where(ModelRow.job == job)).all()
    return load_file(blobs.path_of(fed.hub, row.digest))["w"]


def told(fed, job: str, name: str) -> list[Any]:
    return [each[name] for each in fed.job(job)["history"]]


def left_out(fed, job: str) -> set[tuple[str, str, str]]:
    return {(one["by"], one["sender"], one["fault"]) for each in told(fed, job, "left_out") for one in each}


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


# -- a hub that lies ---------------------------------------------------------------------------------------------------


def second_round(fed, topology: str = "all-to-all", rounds: int = 3, **options: Any) -> str:
    """Return a job whose first round is closed; nobody has taken the models of the peers yet."""
    job = approved(fed, topology, rounds, quorum=1, **options)
    for site in fed.sites.values():
        site.agent.step()
    fed.close_rounds()
    assert fed.job(job)["round"] == 2
    return job


def changed_update(fed, job: str, node: str, number: int = 1, **values: Any) -> None:
    with writing(fed.hub.engine) as session:
        place = (UpdateRow.job == job, UpdateRow.node == node, UpdateRow.round == number)
        session.execute(update(UpdateRow).where(*place).values(**values))


def update_of(fed, job: str, node: str, number: int = 1) -> UpdateRow:
    with reading(fed.hub.engine) as session:
        return session.get_one(UpdateRow, (job, number, node, "update"))


@pytest.mark.parametrize("renamed", [pytest.param(False, marks=pytest.mark.long), True], ids=["same", "new"])
def test_a_parcel_that_the_hub_changed_is_left_out_and_the_record_says_so(fed, renamed):
    job = second_round(fed)
    row = update_of(fed, job, "west")
    raw = bytearray(Path(row.path).read_bytes())
    raw[-1] ^= 1
    if renamed:
        part = fed.hub.blobs / "incoming" / "changed"
        part.write_bytes(raw)
        digest = file_digest(part)
        path = blobs.settle(fed.hub, part, digest)
        with writing(fed.hub.engine) as session:
            blobs.remember(fed.hub, session, digest, media_type="application/octet-stream")
        changed_update(fed, job, "west", digest=digest, path=str(path))
    else:
        Path(row.path).chmod(0o600)
        Path(row.path).write_bytes(raw)
    fed.settle()
    found = left_out(fed, job)
    assert {("east", "west", "damaged"), ("north", "west", "damaged")} <= found
    assert fed.state(job) == "completed"


def test_parcels_that_the_hub_passes_off_as_others_are_left_out(fed):
    job = second_round(fed, rounds=4)
    # Each is said to be the other's; and one of the first round comes again as that of the second.
    east, west = update_of(fed, job, "east"), update_of(fed, job, "west")
    changed_update(fed, job, "east", digest=west.digest, path=west.path)
    changed_update(fed, job, "west", digest=east.digest, path=east.path)
    fed.sites["north"].agent.step()
    assert fed.site_state(job, "north")[0] == "released"
    changed_update(fed, job, "east", digest=east.digest, path=east.path)
    changed_update(fed, job, "west", digest=west.digest, path=west.path)
    for name in ("east", "west"):
        fed.sites[name].agent.step()
    fed.close_rounds()
    changed_update(fed, job, "east", number=2, digest=east.digest, path=east.path)
    fed.settle()
    found = left_out(fed, job)
    assert {("north", "east", "untrusted"), ("north", "west", "untrusted")} <= found
    assert {("north", "east", "another"), ("west", "east", "another")} <= found


@pytest.mark.long
def test_a_parcel_of_another_job_is_left_out(fed):
    earlier = second_round(fed)
    fed.settle()
    job = second_round(fed)
    old = update_of(fed, earlier, "west")
    changed_update(fed, job, "west", digest=old.digest, path=old.path)
    fed.settle()
    assert ("east", "west", "another") in left_out(fed, job)


def forged(fed, job: str, node: str) -> None:
    """Let the hub put itself in a peer's place: with a key of its own, under an identity key of its own."""
    liar = SigningKey.generate()
    with writing(fed.hub.engine) as session:
        row = session.get_one(SealingKeyRow, (job, node))
        said, _ = SealingKey.open(row.envelope, trusted=None)
        row.envelope = said.model_copy(update={"key": public_key(new_key())}).seal(liar)
        row.signer = liar.key_id


def pin(site, **keys: str) -> None:
    lines = [f'[[peer]]\nnode = "{node}"\nkey = "{key}"\n' for node, key in keys.items()]
    policy = site.node.settings.home / "policy.toml"
    policy.write_text('schema = "site-policy/1"\n' + "".join(lines))
    policy.chmod(0o600)


def recipients(fed, job: str, node: str, number: int) -> set[str]:
    head = head_of(Path(update_of(fed, job, node, number).path), trusted=None)
    return {one.node for one in head.recipients}


def test_a_key_that_the_hub_forges_counts_nothing_where_peers_are_pinned(fed):
    keys = {name: site.node.key.key_id for name, site in fed.sites.items()}
    pin(fed.sites["east"], north=keys["north"], west=keys["west"])
    job = approved(fed, "all-to-all", 3, quorum=1)
    forged(fed, job, "west")
    fed.settle()
    assert recipients(fed, job, "east", 1) == {"north"}
    # Who has pinned nobody believes the hub's directory: that is said before anybody approves.
    assert recipients(fed, job, "north", 1) == {"east", "west"}
    assert ("east", "west", "untrusted") in left_out(fed, job)


def test_a_key_that_changes_in_the_middle_of_a_job_counts_nothing(fed):
    job = second_round(fed)
    forged(fed, job, "west")
    fed.settle("east", "north")
    assert recipients(fed, job, "east", 2) == {"north"}
    with reading(fed.hub.engine) as session:
        assert session.get_one(RoundRow, (job, 2)).state == "open"
    fed.settle()
    assert ("east", "west", "untrusted") in left_out(fed, job)


@pytest.mark.long
def test_who_is_no_site_of_the_job_gets_nothing(fed):
    spy = fed.add("spy")
    del fed.sites["spy"]
    job = approved(fed, "all-to-all", 2)
    with writing(fed.hub.engine) as session:
        row = session.get_one(SealingKeyRow, (job, "west"))
        said, _ = SealingKey.open(row.envelope, trusted=None)
        row.envelope = said.model_copy(update={"node": "spy"}).seal(spy.node.key)
        row.signer = spy.node.key.key_id
    fed.sites["east"].agent.step()
    assert recipients(fed, job, "east", 1) == {"north"}
    spy.close()


def test_a_site_lets_no_model_out_in_the_open_before_the_last_round(fed):
    job = approved(fed, "ring", 4, quorum=1)
    with writing(fed.hub.engine) as session:
        row = session.get_one(RoundRow, (job, 1))
        assert row.step is not None
        row.step = {**row.step, "merging": "hand-on", "mail": {**row.step["mail"], "plain": True}}
    fed.sites["east"].agent.step()
    assert fed.site_state(job, "east")[0] == "failed"
    with reading(fed.sites["east"].node.engine) as session:
        assert session.scalars(select(ReleaseRow).where(ReleaseRow.job == job)).all() == []
        assert session.get_one(ReviewRow, job).stopped_by == "plan"


@pytest.mark.long
def test_the_mean_of_too_few_is_not_given_out_as_that_of_all(fed):
    job = approved(fed, "all-to-all", 2, quorum=3)
    for site in fed.sites.values():
        site.agent.step()
    fed.close_rounds()
    for name in SITES:
        row = update_of(fed, job, name)
        raw = bytearray(Path(row.path).read_bytes())
        raw[-1] ^= 1
        Path(row.path).chmod(0o600)
        Path(row.path).write_bytes(raw)
    fed.settle()
    assert fed.state(job) == "failed"
    assert "peer_models_missing" in {reason for _, reason in (fed.site_state(job, name) for name in SITES)}


# -- a peer that sends what nobody can use -----------------------------------------------------------------------------


class BadPeer(FakeRunner):
    """A site whose code, or whose people, send something else than a model that was trained."""

    def __init__(self, step: float, values: np.ndarray) -> None:
        super().__init__(step=step)
        self.values = values

    def run(self, task):
        (product,) = super().run(task)
        if task.round == 2:
            raw = task.folder / "bad"
            save_file({"w": self.values.astype(np.float32)}, raw)
            annotate(raw, {"n_train": 2}, to=product.path)
        return [product]


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (np.array([0, np.nan, 0, 0]), "not-finite"),
        pytest.param(np.zeros(5), "other-form", marks=pytest.mark.long),
        pytest.param(np.full(4, -1e4), "too-large", marks=pytest.mark.long),
    ],
    ids=["nan", "shape", "norm"],
)
def test_a_peers_model_that_cannot_be_used_is_left_out(fed, monkeypatch, values, fault):
    # An honest node's gate would keep most of this in.
    monkeypatch.setattr(tensors, "problems", lambda path, expected: [])
    fed.sites["west"].runner = BadPeer(STEPS["west"], values)
    fed.sites["west"].restart()
    job = approved(fed, "all-to-all", 4, quorum=2)
    fed.settle()
    assert {("east", "west", fault), ("north", "west", fault)} <= left_out(fed, job)
    assert fed.state(job) == "completed" and np.abs(final(fed, job)).max() < 100


@pytest.mark.long
def test_something_else_than_a_parcel_takes_its_site_out_of_the_job(fed, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(site_rounds, "sealer", lambda *args: None)
        job = approved(fed, "all-to-all", 3, quorum=2)
        fed.sites["west"].agent.step()
    fed.settle()
    assert fed.site_state(job, "west") == ("failed", "update_refused")
    assert fed.state(job) == "completed"


# -- keys --------------------------------------------------------------------------------------------------------------


def test_the_hub_takes_one_key_of_each_node_and_only_if_the_node_signed_it(fed):
    job = approved(fed, "ring", 3)
    site = fed.sites["east"]
    with reading(site.node.engine) as session:
        row, approval = session.get_one(ReviewRow, job), session.get_one(ApprovalRow, job)
    peers.tell_key(site.node, site.outbox, row, approval)
    other = SealingKey(
        job=job,
        node="east",
        key=public_key(new_key()),
        created="2026-01-01T00:00:00.000Z",
        expires="2026-12-31T00:00:00.000Z",
    )
    for key in (site.node.key, SigningKey.generate()):
        report = SealingKeyReport(
            key=other.key,
            created=other.created,
            expires=other.expires,
            signer=key.key_id,
            signature=json.loads(other.seal(key))["signatures"][0]["sig"],
        )
        path = f"/v1/jobs/{job}/sites/east/sealing-key"
        refused = refusal(lambda report=report, path=path: site.outbox.control("PUT", path, report))
        assert refused.remote_code == "FB-JOBS-363"


@pytest.mark.long
def test_a_policy_that_cannot_be_read_lets_no_model_go_to_peers(fed):
    job = approved(fed, "ring", 3, quorum=1)
    policy = fed.sites["east"].node.settings.home / "policy.toml"
    policy.write_text("schema = ")
    policy.chmod(0o600)
    fed.settle()
    assert fed.site_state(job, "east") == ("failed", "peers_unknown")


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
