"""Rounds that a node computes at the same time: how many, what they may need together, and what is free.

With one lane, the default, a round is computed by the agent's own thread, as nothing else would go on meanwhile. With
several, each round has a thread; the agent goes on asking for work that fits beside it.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from fairbank.errors import FairbankError
from fairbank.federated_jobs.errors import NoRoom
from fairbank.federated_jobs.protocol import Room
from fairbank.ontology.signed_objects import Resources
from fairbank.settings import Settings

log = logging.getLogger(__name__)

# After a failure a lane stays closed for so long, doubled each time: the hub would give the same round again at once.
FIRST_REST_S = 1.0
LONGEST_REST_S = 60.0


@dataclass(frozen=True, slots=True)
class Held:
    """What one round holds: its lease, and the memory and GPUs that its worker may use."""

    job: str
    lease: str
    memory_bytes: int
    gpus: int


class Lanes:
    """The rounds under way at a node, and the room beside them; used by the agent's thread, told by its lanes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held: dict[str, Held] = {}
        self._failed: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._closing = threading.Event()

    @property
    def several(self) -> bool:
        """Tell whether this node computes more than one round at a time."""
        return self._settings.jobs_at_once > 1

    def room(self) -> Room:
        """Return what is free now."""
        settings = self._settings
        with self._changed:
            held = list(self._held.values())
        whole = settings.jobs_memory_bytes or settings.jobs_at_once * settings.sandbox_memory_bytes
        return Room(
            jobs=max(0, settings.jobs_at_once - len(held)),
            memory_bytes=max(0, whole - sum(one.memory_bytes for one in held)),
            # A worker gets no more than all of them together.
            worker_bytes=min(settings.sandbox_memory_bytes, whole),
            gpus=max(0, settings.jobs_gpus - sum(one.gpus for one in held)),
        )

    def jobs(self) -> frozenset[str]:
        """Return the jobs that have a lane now."""
        with self._changed:
            return frozenset(self._held)

    def leases(self) -> tuple[str, ...]:
        """Return the leases that are being worked on, sorted."""
        with self._changed:
            return tuple(sorted(one.lease for one in self._held.values()))

    def start(self, job: str, lease: str, resources: Resources, work: Callable[[], None]) -> None:
        """Do the work of a round in a lane of its own; what it raises is logged, and its lane rests then."""
        memory = min(resources.memory_bytes, self.room().worker_bytes)
        with self._changed:
            self._held[job] = Held(job, lease, memory, resources.gpus)
        threading.Thread(target=self._run, args=(job, work), name=f"lane {job}", daemon=True).start()

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until a lane is free, at most so long; return whether one is."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._held) < self._settings.jobs_at_once, timeout_s)

    def close(self) -> None:
        """Wait until all rounds under way are done; none rests any more."""
        self._closing.set()
        with self._changed:
            self._changed.wait_for(lambda: not self._held)

    def _run(self, job: str, work: Callable[[], None]) -> None:
        try:
            try:
                work()
                self._failed.pop(job, None)
            except FairbankError as err:
                log.warning("%s %s", err.code, err)
                self._rest(job)
            except Exception as err:  # noqa: BLE001 - an outermost edge: one job must not end the node
                log.error("unexpected %s", type(err).__name__)
                self._rest(job)
        finally:
            with self._changed:
                del self._held[job]
                self._changed.notify_all()

    def _rest(self, job: str) -> None:
        self._failed[job] += 1
        self._closing.wait(min(FIRST_REST_S * 2.0 ** (self._failed[job] - 1), LONGEST_REST_S))


def check_room(settings: Settings, resources: Resources) -> None:
    """Refuse a job that would wait for ever, because it needs more than this node has when it is idle.

    Raises:
        NoRoom: if it asks for more GPUs than jobs may use here.
    """
    if resources.gpus > settings.jobs_gpus:
        raise NoRoom(
            f"The job asks for {resources.gpus} GPUs at once, and jobs may use {settings.jobs_gpus} here.",
            why="It would wait for ever for room.",
            todo="Draft it with fewer GPUs, or raise the setting jobs_gpus if this machine has more.",
        )
