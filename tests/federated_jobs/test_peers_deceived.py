"""Peers deceived: by a hub that changes, swaps or forges what it keeps, and by a peer that sends nonsense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from sqlalchemy import select, update
from tests.federated_jobs.conftest import FakeRunner, refusal
from tests.federated_jobs.peers_at_work import (
    SITES,
    STEPS,
    approved,
    final,
    left_out,
    peers_of,
)

from fairbank.catalogue import blobs
from fairbank.database import reading, writing
from fairbank.federated_jobs.hub.store import RoundRow, SealingKeyRow, UpdateRow
from fairbank.federated_jobs.node import peers
from fairbank.federated_jobs.node import rounds as site_rounds
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow
from fairbank.federated_jobs.parcels import head_of, new_key, public_key
from fairbank.federated_jobs.protocol import SealingKeyReport
from fairbank.federated_jobs.update_notes import annotate
from fairbank.ontology.parcels import SealingKey
from fairbank.release import tensors
from fairbank.release.store import ReleaseRow
from fairbank.signing import SigningKey, file_digest


@pytest.fixture
def fed(start):
    return peers_of(start)


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
    policy.write_text(policy.read_text() + "".join(lines))


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
    monkeypatch.setattr(tensors, "problems", lambda path, expected, **options: [])
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
