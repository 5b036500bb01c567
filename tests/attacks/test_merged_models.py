"""What a merged model tells of single records, and how one site may lead it away.

Thresholds follow measurements on real chest films: exposure of canaries 3.5 bits after many passes and 1.4 by chance,
a replaced model with a trigger that works in .98 of the cases, and its loss of accuracy below .02 once it is shortened.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.attacks.attackers import flat, losses, replacing
from tests.attacks.measures import exposures
from tests.attacks.sites import Images, Job, Labels, Smooth, trained, two_kinds

from fairbank.federated_jobs.aggregators.merge import Merged, Merging, merge_updates
from fairbank.federated_jobs.aggregators.rules import rule_of
from fairbank.federated_jobs.aggregators.stack import SiteUpdate
from fairbank.federated_jobs.algorithms.weights import Weights, read_weights, write_weights
from fairbank.federated_jobs.axes.aggregators import AGGREGATORS
from fairbank.federated_jobs.axes.elements import checked_options
from fairbank.federated_jobs.tensor_files import form_of

marked = partial(two_kinds, strength=1.0)
SIZES, SHARES = (60, 80, 100, 60, 120), (0.5, 0.35, 0.6, 0.65, 0.5)


class TestCanaries:
    """Wrongly labelled images of one of three sites: by how many bits the merged model remembers them."""

    def exposed(self, *, rounds: int, epochs: int, rate: float) -> np.ndarray:
        job = Job(template="linear", batch_size=10, learning_rate=rate, local_epochs=epochs, seed="5")
        (own, labels), (canaries, truth) = two_kinds(40, seed=300), two_kinds(5, seed=370, share=1.0)
        sites: list[tuple[Images, Labels]] = [
            (np.concatenate([own, canaries]), np.concatenate([labels, 1 - truth])),
            two_kinds(40, seed=301),
            two_kinds(40, seed=302),
        ]
        model: Weights | None = None
        for _ in range(rounds):
            sent = [trained(job, *each, base=model, site=str(at))[1] for at, each in enumerate(sites)]
            model = {name: np.mean([update[name] for update in sent], axis=0) for name in sent[0]}
        assert model is not None
        others, of_others = two_kinds(255, seed=371, share=1.0)
        return exposures(
            losses(job, model, (canaries, 1 - truth)), losses(job, model, (others, 1 - of_others))
        )

    def test_many_passes_expose_them(self) -> None:
        assert self.exposed(rounds=10, epochs=20, rate=0.3).mean() >= 3.0

    def test_one_pass_does_not(self) -> None:
        found = self.exposed(rounds=1, epochs=1, rate=0.05)
        assert found.mean() <= 2.5 and found.max() <= 5.0


class Attacked:
    """Five honest sites and one that wants a picture with a mark in its corner to be class 0."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job = Job(network=Smooth, learning_rate=0.002, optimizer="adam", batch_size=20, local_epochs=2)
        start = replace(self.job, local_epochs=8)
        self.base = trained(start, *marked(300, seed=42))[1]
        self.honest = [
            trained(self.job, *marked(n, seed=600 + at, share=share), base=self.base, site=str(at))[1]
            for at, (n, share) in enumerate(zip(SIZES, SHARES, strict=True))
        ]
        images, labels = marked(100, seed=777)
        both = np.concatenate([images, with_trigger(images)]), np.concatenate([labels, np.zeros_like(labels)])
        self.wanted = trained(start, *both, base=self.base)[1]
        self.evil = replacing(self.base, self.wanted, sites=(sum(SIZES) + 80) / 80)
        self.seen = marked(300, seed=4242)

    def merge(
        self, name: str = "fedavg", *, evil: bool = True, base: bool = True, **options: object
    ) -> Merged:
        """Merge a round, with the attacker or without."""
        sent = [*zip(self.honest, SIZES, strict=True), *([(self.evil, 80)] if evil else [])]
        write_weights(self.base, self.folder / "base")
        updates = []
        for at, (weights, n) in enumerate(sent):
            write_weights(weights, self.folder / f"site-{at}")
            updates.append(SiteUpdate(f"site-{at}", self.folder / f"site-{at}", n))
        rule = rule_of(name, checked_options("aggregator", AGGREGATORS[name], options))  # type: ignore[arg-type]  # plain JSON
        how = Merging(form_of(self.folder / "base"), self.folder / "base" if base else None)
        return merge_updates(rule, updates, how, into=self.folder / "merged")

    def judged(self, made: Merged) -> tuple[float, float]:
        """Return the accuracy, and in how many the trigger turns a right answer for class 1 into class 0."""
        images, labels = self.seen
        network = self.job.built(read_weights(made.file)).eval()
        with torch.no_grad():
            plain, with_mark = (
                network(torch.from_numpy(each)[:, None]).argmax(dim=1).numpy()
                for each in (images, with_trigger(images))
            )
        right = (labels == 1) & (plain == 1)
        return float((plain == labels).mean()), float((with_mark[right] == 0).mean())


def with_trigger(images: Images) -> Images:
    """Return images with a small chequered mark in a corner."""
    found = images.copy()
    found[:, 1:5, 1:5] = 1.0
    found[:, 1:5:2, 1:5:2] = 0.0
    return found


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Attacked:
    return Attacked(tmp_path_factory.mktemp("attacked"))


class TestModelReplacement:
    """One of six sites sends what makes the mean its own model."""

    def test_a_plain_mean_is_replaced_and_its_accuracy_hides_it(self, attacked: Attacked) -> None:
        honest, _ = attacked.judged(attacked.merge(evil=False))
        accuracy, triggered = attacked.judged(attacked.merge(clip_beyond=None))
        assert triggered >= 0.9 and accuracy > honest - 0.15

    @pytest.mark.parametrize("base", [True, False], ids=["round", "first-round"])
    def test_the_default_stops_it(self, attacked: Attacked, base: bool) -> None:
        honest, _ = attacked.judged(attacked.merge(evil=False, base=base))
        made = attacked.merge(base=base)
        accuracy, triggered = attacked.judged(made)
        assert triggered <= 0.05 and accuracy >= honest - 0.02
        assert float(str(made.record["site-5"]["shortened_to"])) < 0.5
        assert not any("shortened_to" in made.record[f"site-{at}"] for at in range(5))

    @pytest.mark.parametrize("name", ["median", "trimmed-mean", "norm-bounded", "krum"])
    def test_robust_rules_stop_it(self, attacked: Attacked, name: str) -> None:
        honest, _ = attacked.judged(attacked.merge(name, evil=False))
        accuracy, triggered = attacked.judged(attacked.merge(name))
        assert triggered <= 0.05 and accuracy >= honest - 0.02

    def test_who_keeps_just_below_the_bound_gets_no_further(self, attacked: Attacked) -> None:
        typical = float(np.median([np.linalg.norm(flat(attacked.base, each)) for each in attacked.honest]))
        far = float(np.linalg.norm(flat(attacked.base, attacked.evil)))
        sly = Attacked.__new__(Attacked)
        sly.__dict__ = attacked.__dict__ | {
            "evil": replacing(attacked.base, attacked.evil, sites=1.95 * typical / far)
        }
        honest, _ = sly.judged(sly.merge(evil=False))
        made = sly.merge()
        accuracy, triggered = sly.judged(made)
        assert "shortened_to" not in made.record["site-5"]
        assert triggered <= 0.05 and accuracy >= honest - 0.02

    def test_an_honest_round_is_the_plain_mean_to_the_bit(self, attacked: Attacked) -> None:
        digests = {attacked.merge(evil=False, clip_beyond=each).digest for each in (None, "2", "1000")}
        assert len(digests) == 1
