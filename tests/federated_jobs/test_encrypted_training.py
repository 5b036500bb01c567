"""Training with updates that the hub adds up and cannot read: through hub and nodes, with ciphertexts that are real."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from sqlalchemy import select
from tests.federated_jobs.conftest import FakeRunner, Federation

from fairbank.catalogue import blobs
from fairbank.database import reading, writing
from fairbank.errors import MissingExtra
from fairbank.federated_jobs.algorithms.errors import UpdateUnfit
from fairbank.federated_jobs.algorithms.weights import Weights, write_weights
from fairbank.federated_jobs.axes.validator import check_mix
from fairbank.federated_jobs.filters import encrypting
from fairbank.federated_jobs.filters.errors import EncryptionUnfit
from fairbank.federated_jobs.hub.store import RoundRow, SealingKeyRow, SharedKeyRow, UpdateRow
from fairbank.federated_jobs.node.filtering import Training, filtered_round
from fairbank.federated_jobs.node.peers import shared_key_file
from fairbank.federated_jobs.node.runner import Product, RoundTask
from fairbank.federated_jobs.node.what_leaves import warnings
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.training_errors import GroupMetricsRefused, PlanRefused
from fairbank.federated_jobs.update_notes import annotate, notes_of
from fairbank.ontology.model_cards import ModelCard
from fairbank.ontology.signed_objects import Element, Manifest, Plan, PlanName
from fairbank.ontology.signed_objects import Training as Asked

CKKS = Asked(filters=(Element(name="ckks"),))
# A number whose bytes cannot be overlooked.
MARK = np.frombuffer(b"P\x11V\x41", dtype="<f4")[0]
SITES = {"east": (2, 0.7310585), "north": (3, -1.3862944), "west": (5, 2.2360680)}


def first() -> Weights:
    rng = np.random.default_rng(5)
    return {
        "body": rng.standard_normal((40, 60)).astype(np.float32),
        "head.weight": np.full(40, MARK, dtype=np.float32),
        "bn.num_batches_tracked": np.array(7, dtype=np.int64),
    }


def trained(weights: Weights, step: float) -> Weights:
    moved = np.float32(step) * np.linspace(-1, 1, 2400, dtype=np.float32).reshape(40, 60)
    return {**weights, "body": weights["body"] + moved, "head.weight": weights["head.weight"]}


@dataclass
class EncryptingRunner(FakeRunner):
    """Computes in this process, and lets leave what a node would."""

    samples: int = 2

    def run(self, task: RoundTask) -> list[Product]:
        self.calls.append((task.manifest.id, task.round))
        task.folder.mkdir(parents=True, exist_ok=True)

        def train(model: Path | None, to: Path) -> None:
            begun = load_file(model) if model is not None else first()
            plain = to.with_name("made")
            write_weights(trained(begun, self.step), plain)
            annotate(plain, {"n_train": self.samples, "after_loss": 0.5}, to=to)

        left = filtered_round(
            task,
            Training(train, lambda to: write_weights(first(), to) and None),
            folder=task.folder.parent,
            into=task.folder / "update.safetensors",
        )
        return [Product("update", left.path, form=left.form, encoded=left.encoded, packed=left.packed)]


def federation(start: Callable[..., Federation]) -> Federation:
    fed = start()
    for name, (subjects, step) in SITES.items():
        site = fed.add(name, subjects=subjects, step=step)
        site.runner = EncryptingRunner(step=step, samples=subjects)
        site.restart()
    return fed


def by_hand(rounds: int) -> Weights:
    """Return the model that so many trained rounds of a mean by samples make."""
    model = first()
    total = sum(subjects for subjects, _ in SITES.values())
    for _ in range(rounds):
        made = {name: trained(model, step) for name, (_, step) in SITES.items()}
        model = {
            key: np.asarray(
                sum(SITES[name][0] * made[name][key].astype(np.float64) for name in SITES) / total,
                dtype=model[key].dtype,
            )
            for key in model
        }
    return model


def on_disk(fed: Federation) -> bytes:
    """Return all that the hub keeps: its database and its blobs."""
    home = fed.hub.settings.home
    return b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())


def test_an_encrypted_job_ends_with_the_mean_and_the_hub_never_reads_an_update(
    start: Callable[..., Federation],
) -> None:
    fed = federation(start)
    job = fed.run(rounds=3, quorum=3, training=CKKS)
    assert fed.state(job) == "completed", fed.job(job)
    with reading(fed.hub.engine) as session:
        rows = session.scalars(select(UpdateRow).order_by(UpdateRow.round, UpdateRow.node)).all()
        models = session.scalars(select(RoundRow.global_digest).where(RoundRow.job == job)).all()
        key = session.get_one(SharedKeyRow, job)
    sent = {(row.round, row.node): load_file(row.path) for row in rows}
    for number in (1, 2):
        for name in SITES:
            assert set(sent[number, name]) == {encrypting.CIPHERTEXTS, encrypting.LAYOUT}
            assert MARK.tobytes() not in sent[number, name][encrypting.CIPHERTEXTS].tobytes()
    # The last round opens what the two before have made: the same numbers at every site, within the bound.
    expected = by_hand(2)
    final = load_file(blobs.path_of(fed.hub, fed.model(job)))
    for name in ("body", "head.weight"):
        assert np.abs(final[name] - expected[name]).max() < 2 * encrypting.ERROR_BOUND
        for other in SITES:
            np.testing.assert_array_equal(sent[3, other][name], final[name])
    assert final["bn.num_batches_tracked"] == 7
    assert [site.runner.calls for site in fed.sites.values()] == [[(job, 1), (job, 2), (job, 3)]] * 3
    # The model's card tells of what it was trained on, and that no update was read.
    content = fed.get(f"/v1/models/{fed.model(job)}/card").content
    card, _ = ModelCard.open(content, trusted=[fed.hub.key.key_id])
    assert "encryption against the hub" in {one.name for one in card.protections if one.on}
    assert all("could read them" not in one.meaning for one in card.protections)
    for row in rows:
        assert notes_of(Path(row.path))["n_train"] == SITES[row.node][0]
    # What the sites opened the models with is nowhere at the hub, and gone at the sites when the job is over.
    assert len(models) == 3 and key.node in SITES
    for site in fed.sites.values():
        site.agent.step()
        assert not shared_key_file(site.node, job).exists()


def test_a_mean_under_encryption_is_within_its_bound(tmp_path: Path) -> None:
    key, rng = encrypting.new_key(), np.random.default_rng(3)
    for samples, size in (((2, 3, 1), 1.0), ((900, 40_000, 7), 3.0)):
        updates = [
            {"a": size * rng.standard_normal((70, 60)).astype(np.float32), "b": np.zeros(0, dtype=np.float32)}
            for _ in samples
        ]
        files = []
        for number, (update, count) in enumerate(zip(updates, samples, strict=True)):
            sent = encrypting.encrypt(update, samples=count, sites=3, key=key)
            path = tmp_path / f"update-{number}"
            write_weights(sent, path)
            files.append(path)
            assert sum(each.nbytes for each in sent.values()) < 12 * update["a"].nbytes
        sums = [encrypting.add(files, tmp_path / name) for name in ("sum", "again")]
        assert sums[0] == sums[1], "the same updates make the same bytes"
        mean = encrypting.decrypt(tmp_path / "sum", like=updates[0], key=key, at_least=3)
        total = sum(samples)
        expected = sum(n * u["a"].astype(np.float64) for n, u in zip(samples, updates, strict=True)) / total
        assert np.abs(mean["a"] - expected).max() < encrypting.ERROR_BOUND / 2
        shown = encrypting.blurred(mean, key, job="a")["a"]
        assert 0 < np.abs(shown - mean["a"]).max() < encrypting.ERROR_BOUND
        with pytest.raises(EncryptionUnfit, match="cannot be encrypted or opened"):
            encrypting.decrypt(tmp_path / "sum", like=updates[0], key=encrypting.new_key(), at_least=3)
        with pytest.raises(EncryptionUnfit) as fewer:
            encrypting.decrypt(files[0], like=updates[0], key=key, at_least=3)
        assert "1 updates" in (fewer.value.why or "")


def test_what_cannot_be_held_or_read_is_refused(tmp_path: Path) -> None:
    key = encrypting.new_key()
    for bad in (np.array([np.nan]), np.array([np.inf]), np.array([1e6])):
        with pytest.raises(EncryptionUnfit):
            encrypting.encrypt({"a": bad.astype(np.float32)}, samples=1, sites=3, key=key)
    with pytest.raises(EncryptionUnfit):
        encrypting.check_key(b"no key")
    good = encrypting.encrypt({"a": np.ones(3, dtype=np.float32)}, samples=1, sites=3, key=key)
    write_weights(good, tmp_path / "good")
    encrypting.check_file(tmp_path / "good", values=True)
    spoilt = {**good, encrypting.CIPHERTEXTS: good[encrypting.CIPHERTEXTS].copy()}
    spoilt[encrypting.CIPHERTEXTS][0, 4:400] ^= 0xFF
    write_weights(spoilt, tmp_path / "spoilt")
    with pytest.raises(UpdateUnfit):
        encrypting.check_file(tmp_path / "spoilt", values=True)
    write_weights({"a": np.ones(3, dtype=np.float32)}, tmp_path / "plain")
    with pytest.raises(UpdateUnfit):
        encrypting.check_file(tmp_path / "plain")
    other = encrypting.encrypt({"b": np.ones(3, dtype=np.float32)}, samples=1, sites=3, key=key)
    write_weights(other, tmp_path / "other")
    with pytest.raises(UpdateUnfit):
        encrypting.add([tmp_path / "good", tmp_path / "other"], tmp_path / "sum")


def approved(fed: Federation) -> str:
    job = fed.submit(fed.manifest(fed.visa(), rounds=3, quorum=2, training=CKKS))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.close_rounds()
    return job


def test_a_site_that_sends_no_ciphertext_is_left_out_and_the_others_go_on(
    start: Callable[..., Federation],
) -> None:
    fed = federation(start)
    job = approved(fed)

    class Plain(EncryptingRunner):
        def run(self, task: RoundTask) -> list[Product]:
            made = super().run(task)
            if task.round < 3:
                write_weights(first(), made[0].path)
                made = [replace(made[0], form=None, encoded=False)]
            return made

    fed.sites["west"].runner = Plain(step=1.0)
    fed.sites["west"].restart()
    fed.settle()
    assert fed.state(job) == "completed"
    assert fed.site_state(job, "west") == ("failed", Reason.UPDATE_REFUSED.value)
    assert fed.site_state(job, "east")[0] == "released"


def test_a_site_that_has_no_key_drops_out_before_it_trains(start: Callable[..., Federation]) -> None:
    fed = federation(start)
    job = approved(fed)
    fed.settle("east")
    with writing(fed.hub.engine) as session:
        kept = session.get_one(SharedKeyRow, job)
        # Made by a site that nobody here knows, as a hub that lies could.
        kept.parcel = base64.b64decode("A" * 400)
    fed.settle()
    assert fed.site_state(job, "north") == ("failed", Reason.PEERS_UNKNOWN.value)
    assert fed.sites["north"].runner.calls == []


def test_the_hub_cannot_open_the_parcel_of_the_key(start: Callable[..., Federation]) -> None:
    fed = federation(start)
    job = approved(fed)
    fed.settle("east")
    key = shared_key_file(fed.sites["east"].node, job).read_bytes()
    assert shared_key_file(fed.sites["east"].node, job).stat().st_mode & 0o077 == 0
    kept = on_disk(fed)
    assert len(key) > 50_000
    # Any stretch of the key would do; the hub has none of it, neither as bytes nor as text.
    for start_at in range(0, len(key) - 64, 997):
        stretch = key[start_at : start_at + 48]
        assert stretch not in kept and base64.b64encode(stretch) not in kept
    with reading(fed.hub.engine) as session:
        assert len(session.scalars(select(SealingKeyRow).where(SealingKeyRow.job == job)).all()) == 3


def test_the_hub_says_what_it_lacks_before_it_takes_such_a_job(
    start: Callable[..., Federation], monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = federation(start)

    def missing(needed_for: str) -> None:
        raise MissingExtra.named("he", needed_for=needed_for)

    monkeypatch.setattr(encrypting, "require_library", missing)
    manifest = fed.manifest(fed.visa(), rounds=3, quorum=3, training=CKKS)
    answer = fed.post("/v1/jobs", manifest.seal(fed.requester))
    assert answer.status_code >= 400 and "'he'" in answer.text


def plan(**changes: Any) -> Plan:
    usual = {
        "name": PlanName.AGGREGATION,
        "aggregator": "fedavg",
        "rounds": 3,
        "quorum": 3,
        "approval_deadline": "2030-01-01T00:00:00.000Z",
    }
    return Plan.model_validate({**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "filters", "clash"),
    [
        ({"aggregator": "median"}, ("ckks",), "add updates up"),
        ({"aggregator": "fedadam"}, ("ckks",), "add updates up"),
        ({"aggregator_options": {"refuse_unchanged": True}}, ("ckks",), "odd update"),
        ({"rounds": 1}, ("ckks",), "only opened"),
        ({"quorum": 1}, ("ckks",), "sums of 2 sites"),
        ({"options": {"measure_last": True}}, ("ckks",), "measure_last"),
        ({"options": {"patience": 2}}, ("ckks",), "before its last round"),
        ({}, ("int8", "ckks"), "'int8'"),
        ({}, ("difference", "ckks"), "'difference'"),
    ],
)
def test_what_an_encrypted_job_cannot_have_is_refused(
    changes: dict[str, Any], filters: tuple[str, ...], clash: str
) -> None:
    asked = Asked(filters=tuple(Element(name=name) for name in filters))
    with pytest.raises(PlanRefused, match=clash):
        check_mix(plan(**changes), asked, sites=3)
    check_mix(plan(), CKKS, sites=3)


def test_people_read_who_can_open_what_before_they_approve(start: Callable[..., Federation]) -> None:
    fed = federation(start)
    manifest: Manifest = fed.manifest(fed.visa(), rounds=3, quorum=3, training=CKKS)
    said = " ".join(warnings(manifest))
    assert "any site that gets hold of another's encrypted update can open it" in said
    (off,) = (line for line in warnings(manifest) if line.startswith("Not in place"))
    assert "encryption against the hub" not in off
    with pytest.raises(GroupMetricsRefused):
        fed.manifest(fed.visa(), rounds=3, quorum=3, training=CKKS, by_group=True)
