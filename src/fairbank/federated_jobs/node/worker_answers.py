"""What a worker answers, as the node's own code reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fairbank.federated_jobs.algorithms.by_group import ByGroup

Metrics = dict[str, float]


@dataclass(frozen=True, slots=True)
class AnalysisOutcome:
    """The rows of one site.

    Args:
        file: the rows, `{"schema": "rows/1", …}`, in a file that only the node owns.
        digest: `sha256:…` of that file.
        statuses: number of series by status; for the node's people, not for release.
        subjects: how many different subjects have a series that was measured; for the gate.
    """

    file: Path
    digest: str
    statuses: dict[str, int]
    subjects: int


@dataclass(frozen=True, slots=True)
class Initial:
    """The initial model: every site of a job makes the same one from the job seed.

    Args:
        digest: `sha256:…` of the safetensors file.
        bytes: its size.
        parameters: number of weights.
    """

    digest: str
    bytes: int
    parameters: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The metrics of a model on this site's held-out samples; the others as in `RoundOutcome`."""

    metrics: Metrics
    n_heldout: int
    subjects: tuple[int, int] | None = None
    by_group: ByGroup = field(default_factory=ByGroup)
    classes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RoundOutcome:
    """One site's part of one round.

    Args:
        file: the update (safetensors) in a file that only the node owns.
        digest, bytes: of the update as the job wrote it, before it was given notes.
        base_digest: of the global model that training started from.
        n_train: number of training samples; the weight of the update.
        before, after: held-out metrics of the global model and of the local one.
        subjects: how many different subjects were used, and held out; None if all were used and none held out.
        n_steps: how many steps the optimizer made; 0 if the algorithm makes none.
        images: how many distinct samples the steps were made of; 0 if the algorithm does not count them.
        unlabelled: how many subjects were left out because the site knows no label of them.
        groups: held-out metrics of the local model by group and word, for the node's people.
        by_group: those of the global model, with whose they are, for the gate; nothing unless asked for.
        classes: how many held-out subjects each class has that occurs; nothing if none are classified.
    """

    file: Path
    digest: str
    bytes: int
    base_digest: str
    n_train: int
    n_heldout: int
    before: Metrics
    after: Metrics
    subjects: tuple[int, int] | None = None
    n_steps: int = 0
    images: int = 0
    unlabelled: int = 0
    groups: dict[str, dict[str, Metrics]] = field(default_factory=dict)
    by_group: ByGroup = field(default_factory=ByGroup)
    classes: tuple[int, ...] = ()
