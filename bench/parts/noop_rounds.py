"""One job that trains nothing, on a federation of real processes: when each site trained, and what went over the wire.

One hub and three nodes on loopback, with everything on that a federation has: TLS, signed requests, databases that
flush every commit, the release gate, the sandbox. The job is `noop`, whose step takes no time; a rule that each site
pinned approves it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from fairbank.demo.processes import Processes
from fairbank.federated_jobs.axes.words import chosen_in_words
from fairbank.signing import Sealed
from fairbank.web.acts import send_job
from fairbank.web.api_client import HubApi
from parts.federation import SITES, Federation, Interval

LOOK_EVERY_S = 0.3


@dataclass(frozen=True, slots=True)
class Trained:
    """What one job did.

    Attributes:
        submitted: second of the monotonic clock at which it was sent.
        wall_s: from then to its end.
        wire_bytes, payload_bytes: what the nodes sent and received, and the models that had to travel.
        cpu_s: processor seconds a round of the hub and of each node, from the second round on.
        hub_peak_bytes: the most memory that the hub's process held at any time since its start.
    """

    submitted: float
    wall_s: float
    wire_bytes: int
    payload_bytes: int
    intervals: tuple[Interval, ...]
    rounds: int
    cpu_s: tuple[float, ...]
    hub_peak_bytes: int

    @property
    def gaps(self) -> list[float]:
        """Return for each round after the first how long nobody trained after the one before."""
        return [
            min(one.begun for one in self._of(number + 1)) - max(one.ended for one in self._of(number))
            for number in range(1, self.rounds)
        ]

    @property
    def periods(self) -> list[float]:
        """Return for each round after the first the seconds since the end of the one before."""
        ends = [max(one.ended for one in self._of(number)) for number in range(1, self.rounds + 1)]
        return [after - before for before, after in pairwise(ends)]

    def first(self) -> list[Interval]:
        """Return the first round at each site."""
        return self._of(1)

    def _of(self, number: int) -> list[Interval]:
        found = [one for one in self.intervals if one.round == number]
        if len(found) != len(SITES):
            raise RuntimeError(f"round {number} was trained {len(found)} times")
        return found


@dataclass(frozen=True, slots=True)
class Running:
    """A federation whose processes run, with the researcher and her visa."""

    federation: Federation
    processes: Processes
    researcher: HubApi
    visa: Sealed

    def train(self, *, weights: int, rounds: int, secure_aggregation: bool = False) -> Trained:
        """Have one job of so many weights trained for so many rounds.

        Raises:
            RuntimeError: if the job does not complete, or fewer bytes were seen than the models have.
        """
        sites = self.federation.sites
        before, seen = sum(site.wire_bytes() for site in sites), [len(site.observed()) for site in sites]
        submitted = time.monotonic()
        _, sent = send_job(
            self.researcher,
            self.visa,
            "noop",
            {"weights": weights},
            title="noop",
            rounds=rounds,
            training=chosen_in_words(secure_aggregation=secure_aggregation),
        )
        names = ("hub", *(f"node-{name}" for name in SITES))
        cpu_s = _follow(self.researcher, sent["id"], [self.processes.pid(name) for name in names])
        wall_s = time.monotonic() - submitted
        wire = sum(site.wire_bytes() for site in sites) - before
        # The first round has no download: every site makes the same first model from the job's seed.
        payload = (2 * rounds - 1) * len(sites) * 4 * weights
        if wire < payload:
            raise RuntimeError(f"{wire} bytes were seen on the wire, fewer than the {payload} of the models")
        intervals = [each for site, old in zip(sites, seen, strict=True) for each in site.trained(old)]
        peak = _peak_bytes(self.processes.pid("hub"))
        return Trained(submitted, wall_s, wire, payload, tuple(intervals), rounds, tuple(cpu_s), peak)


@contextmanager
def running() -> Iterator[Running]:
    """Start a federation in a folder that is removed at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="fairbank-bench-") as folder,
        Processes(Path(folder) / "logs") as processes,
    ):
        federation = Federation(Path(folder), processes)
        researcher, visa = federation.start()
        yield Running(federation, processes, researcher, visa)


def _follow(researcher: HubApi, job: str, pids: list[int]) -> list[float]:
    """Wait for the end of a job; return the processor seconds per round of each process from the second round on."""
    # Asked now and then instead of watched: a long-poll would have the hub answer at every step of every site.
    first, used = 0, [0.0] * len(pids)
    while True:
        view = researcher.get(f"/v1/jobs/{job}", signed_in=True)
        now = [_processor_s(pid) for pid in pids]
        if view["state"] == "completed":
            rounds = view["rounds"] - first
            return [(after - before) / rounds for before, after in zip(used, now, strict=True)]
        if view["state"] != "running":
            raise RuntimeError(f"the job is {view['state']}: {view['sites']}")
        if view["round"] >= 2 and not first:
            first, used = view["round"] - 1, now
        time.sleep(LOOK_EVERY_S)


def _processor_s(pid: int) -> float:
    # Fields 14 and 15 of proc_pid_stat(5), ticks of user and system time; field 2, a name, ends with the last ')'.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_bytes(pid: int) -> int:
    # proc_pid_status(5): VmHWM, the peak resident set size, in KiB.
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
