"""How far the round of a job is here: in percent for the site, for the hub in steps that hide small counts.

A percent says how many series are done to whoever knows or guesses how many there are, and its steps come in the time
that the series between them take. So what leaves comes in one of two fixed steps, of which each stands for at least k
subjects' worth of series; of a smaller cohort nothing is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fairbank.federated_jobs.node.cohort import Cohort
from fairbank.release.node import Node

# Where a site keeps what belongs to each of its jobs, below its home.
FOLDER = "jobs"
_FILE = "progress"
# Percent; the first that is wide enough for the cohort is taken.
STEPS = (5, 25)


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known of a round under way.

    Args:
        percent: how much of it is computed, 0 to 100.
        step: in which steps the hub may be told, in percent; 0 if it is told nothing.
    """

    percent: int
    step: int

    @property
    def told(self) -> int | None:
        """Return what the hub is told, None for nothing.

        >>> Progress(47, 5).told, Progress(47, 25).told, Progress(47, 0).told
        (45, 25, None)
        """
        return self.percent // self.step * self.step if self.step else None


def step_for(subjects: int, *, k: int) -> int:
    """Return the narrowest step that stands for at least k subjects of a cohort, 0 if there is none.

    >>> step_for(200, k=10), step_for(40, k=10), step_for(39, k=10)
    (5, 25, 0)
    """
    return next((step for step in STEPS if subjects * step >= 100 * max(k, 1)), 0)


def job_folder(node: Node, job: str) -> Path:
    """Return the folder of a job at this node."""
    return node.settings.home / FOLDER / job


def forget(node: Node, job: str) -> None:
    """Know nothing of a job's progress any more: what is known is of a round before."""
    (job_folder(node, job) / _FILE).unlink(missing_ok=True)


def begin(node: Node, job: str, cohort: Cohort) -> None:
    """Note that a round begins, and in which steps it may be told of."""
    settings = node.settings
    tells = settings.node_tells_progress == "yes"
    step = step_for(cohort.subjects, k=settings.release_minimum_count) if tells else 0
    job_folder(node, job).mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(node, job, Progress(0, step))


def note(node: Node, job: str, percent: int) -> None:
    """Write down how much of a round is computed, for other threads and processes of the node."""
    known = progress_of(node, job)
    _write(node, job, Progress(percent, 0 if known is None else known.step))


def progress_of(node: Node, job: str) -> Progress | None:
    """Return how far a job's round is at this node; None where nothing tells it."""
    try:
        percent, step = (job_folder(node, job) / _FILE).read_text().split()
        return Progress(int(percent), int(step))
    except (OSError, ValueError):
        return None


def _write(node: Node, job: str, progress: Progress) -> None:
    file = job_folder(node, job) / _FILE
    fresh = file.with_suffix(".part")
    fresh.write_text(f"{progress.percent} {progress.step}")
    fresh.replace(file)
