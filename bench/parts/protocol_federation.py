"""A training through a whole federation: real processes, TLS, signatures, databases, the release gate, the sandbox.

What is measured is the time between trainings: from the moment at which a worker has answered with its model to the
moment at which the next one is asked to train. Signing, checking, the gate, both databases, the upload, the merging or
handing on, the claim and the download lie in it.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

from fairbank.demo.processes import Processes
from fairbank.federated_jobs.axes.words import Chosen
from fairbank.ontology.signed_objects import PlanName
from fairbank.signing import Sealed
from fairbank.web.acts import send_job
from fairbank.web.api_client import HubApi
from parts.federation import Federation, Holding, Interval

LOOK_EVERY_S = 1.0
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class JobWish:
    """One training as it is submitted."""

    title: str
    parameters: Mapping[str, Any]
    plan: PlanName
    seed: str
    rounds: int | None = None
    plan_options: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """How long nobody trained before a round.

    Attributes:
        starts: whether a site trained for the first time, so that its worker had to start and to read all images.
    """

    round: int
    seconds: float
    starts: bool


@dataclass(frozen=True, slots=True)
class Through:
    """What a training through a federation gave.

    Attributes:
        models: the model after each round, by its number.
        gaps: between one round's end of training and the next one's begin.
        import_s: seconds each site took for its images.
    """

    models: Mapping[int, Path]
    gaps: tuple[Gap, ...]
    training_s: tuple[float, ...]
    wall_s: float
    wire_bytes: int
    import_s: Mapping[str, float]

    def costs(self) -> dict[str, Any]:
        """Return seconds and bytes as the results keep them; there are at least two rounds."""
        return {
            "wall_s": round(self.wall_s, 1),
            "training_s_per_visit": round(statistics.mean(self.training_s), 2),
            "visits": len(self.training_s),
            **between(self.gaps),
            "wire_mb": round(self.wire_bytes / 1e6, 1),
            "import_s": {site: round(value, 1) for site, value in sorted(self.import_s.items())},
        }


@dataclass(frozen=True, slots=True)
class Started:
    """A federation that waits for jobs."""

    federation: Federation
    researcher: HubApi
    visa: Sealed
    tool: str

    def train(
        self,
        wish: JobWish,
        into: Path,
        *,
        told: Told,
        seen: Callable[[Through], None] = lambda so_far: None,
        until: float = inf,
    ) -> Through:
        """Have one job trained; its models are fetched into a folder.

        Args:
            seen: is handed what there is so far whenever another round has begun.
            until: second of the monotonic clock from which on it is waited for no longer; what there is then counts.

        Raises:
            RuntimeError: if it ends otherwise than completed.
        """
        sites = self.federation.sites
        shutil.rmtree(into, ignore_errors=True)
        old = [len(site.observed()) for site in sites]
        carried = sum(site.wire_bytes() for site in sites)
        begun = time.monotonic()
        _, sent = send_job(
            self.researcher,
            self.visa,
            self.tool,
            dict(wish.parameters),
            title=wish.title,
            rounds=wish.rounds,
            seed=wish.seed,
            training=Chosen(plan=wish.plan, plan_options=wish.plan_options),
        )
        job = sent["id"]

        def so_far() -> Through:
            trained = {site.node.name: site.trained(since) for site, since in zip(sites, old, strict=True)}
            return Through(
                self._models(job, into),
                tuple(gaps_of(trained)),
                tuple(one.ended - one.begun for each in trained.values() for one in each),
                time.monotonic() - begun,
                sum(site.wire_bytes() for site in sites) - carried,
                {site.node.name: site.import_s for site in sites},
            )

        self._follow(job, told, until, lambda: seen(so_far()))
        return so_far()

    def _follow(self, job: str, told: Told, until: float, seen: Callable[[], None]) -> None:
        at = 0
        while time.monotonic() < until:
            view = self.researcher.get(f"/v1/jobs/{job}", signed_in=True)
            if view["state"] == "completed":
                return
            if view["state"] != "running":
                raise RuntimeError(f"the job is {view['state']}: {view['sites']}")
            if view["round"] != at:
                at = view["round"]
                told(f"round {at} of {view['rounds']}")
                seen()
            time.sleep(LOOK_EVERY_S)

    def _models(self, job: str, into: Path) -> dict[int, Path]:
        into.mkdir(parents=True, exist_ok=True)
        files = self.researcher.get(f"/v1/jobs/{job}/results", signed_in=True)["files"]
        found = {}
        for file in files:
            if file["name"] == "model":
                found[file["round"]] = into / f"model-{file['round']}.safetensors"
                if not found[file["round"]].exists():
                    self.researcher.download(file["digest"], found[file["round"]])
        return found


@contextmanager
def started(holding: Holding, *, told: Told) -> Iterator[Started]:
    """Start a federation whose sites hold what is asked, in a folder that is removed at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="fairbank-bench-") as folder,
        Processes(Path(folder) / "logs") as processes,
    ):
        federation = Federation(Path(folder), processes, holding=holding, told=told)
        researcher, visa = federation.start()
        yield Started(federation, researcher, visa, holding.tool)


def gaps_of(trained: Mapping[str, Sequence[Interval]]) -> list[Gap]:
    """Return for each round but the first how long nobody trained before it.

    Args:
        trained: when each site trained.

    >>> gaps_of({"a": [Interval(1, 0.0, 5.0), Interval(3, 10.0, 12.0)], "b": [Interval(2, 6.5, 9.0)]})
    [Gap(round=2, seconds=1.5, starts=True), Gap(round=3, seconds=1.0, starts=False)]
    """
    rounds: dict[int, list[Interval]] = defaultdict(list)
    first = set()
    for intervals in trained.values():
        first |= {min((one.round for one in intervals), default=0)}
        for each in intervals:
            rounds[each.round].append(each)
    numbers = sorted(rounds)
    return [
        Gap(
            after,
            min(one.begun for one in rounds[after]) - max(one.ended for one in rounds[before]),
            after in first,
        )
        for before, after in pairwise(numbers)
    ]


def between(gaps: Sequence[Gap]) -> dict[str, Any]:
    """Return the seconds between trainings as the results keep them: those with a start apart."""
    warm = sorted(one.seconds for one in gaps if not one.starts) or [one.seconds for one in gaps]
    return {
        "orchestration_s_median": round(statistics.median(warm), 3),
        "orchestration_s_mean": round(statistics.mean(warm), 3),
        "orchestration_s_most": round(warm[-1], 3),
        "starts_s": [round(one.seconds, 1) for one in gaps if one.starts],
    }
