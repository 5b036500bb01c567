"""The runners of a site: containers by the engine that it chose, everything else in the sandbox."""

from __future__ import annotations

from fairbank.federated_jobs.code import WorkerKind
from fairbank.federated_jobs.node.container_runner import ContainerRunner
from fairbank.federated_jobs.node.runner import ConfinedRunner, Product, RoundTask, Runner
from fairbank.release.node import Node


class SiteRunner:
    """Runs each job by the runner that its tool needs."""

    def __init__(self, node: Node, *, containers: Runner | None = None) -> None:
        self._confined: Runner = ConfinedRunner(node)
        self._containers: Runner = containers or ContainerRunner(node)

    def run(self, task: RoundTask) -> list[Product]:
        """Compute one round."""
        in_container = task.tool.worker is WorkerKind.CONTAINER
        return (self._containers if in_container else self._confined).run(task)

    def jobs(self) -> list[str]:
        """Return the jobs that something is kept for."""
        return sorted({*self._confined.jobs(), *self._containers.jobs()})

    def cancel(self, job: str) -> None:
        """End what a job computes now, whichever runner has it."""
        for each in (self._confined, self._containers):
            each.cancel(job)

    def forget(self, job: str) -> None:
        """End a job and remove all that was kept for it."""
        # Containers first: theirs is found by the job's folder.
        for each in (self._containers, self._confined):
            each.forget(job)

    def rest(self) -> None:
        """Let each runner get ready for its next job."""
        for each in (self._confined, self._containers):
            each.rest()

    def close(self) -> None:
        """End everything that computes."""
        for each in (self._confined, self._containers):
            each.close()
