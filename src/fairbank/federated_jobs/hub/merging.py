"""Merge what the sites of one round released: average models, or collect rows into a table and a plot.

Sites are merged in the order of their names, so the same updates always give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fairbank.federated_jobs.code import MEASUREMENTS, UPDATE
from fairbank.federated_jobs.update_notes import N_TRAIN, notes_of
from fairbank.ontology.signed_objects import Manifest

if TYPE_CHECKING:
    from fairbank.federated_jobs.aggregation import TensorShape

MODEL = "model"
METRICS = "metrics"
MODEL_TYPE = "application/vnd.safetensors"


@dataclass(frozen=True, slots=True)
class Arrived:
    """One accepted output of one site."""

    node: str
    output: str
    digest: str
    path: Path


@dataclass(frozen=True, slots=True)
class Closing:
    """All that the merging of one round depends on.

    Attributes:
        arrived: sorted by node, then output.
        form: the tensors that all updates were just found to have; None if nobody has looked.
    """

    manifest: Manifest
    round: int
    arrived: tuple[Arrived, ...]
    form: tuple[TensorShape, ...] | None = None

    def outputs(self, name: str) -> dict[str, Path]:
        """Return the files of one output by node, in the order of their names."""
        return {item.node: item.path for item in self.arrived if item.output == name}


@dataclass(frozen=True, slots=True)
class MergedFile:
    """One file that came of merging; `digest` where it is known already."""

    name: str
    media_type: str
    path: Path
    digest: str | None = None


Merge = Callable[[Closing, Path], list[MergedFile]]


def merge(closing: Closing, folder: Path) -> list[MergedFile]:
    """Merge one round into files in a folder; the first is the model where there is one.

    Raises:
        UpdateError: if updates do not fit together.
    """
    return _MERGES[closing.manifest.plan.aggregator](closing, folder)


@dataclass(frozen=True, slots=True)
class Examined:
    """The sites whose update cannot be merged with the others, and the form of all other updates."""

    unfit: tuple[str, ...] = ()
    form: tuple[TensorShape, ...] | None = None


def examine(closing: Closing, base: Path | None) -> Examined:
    """Look through the updates of a round before they are merged.

    Args:
        base: the global model that the round started from; in the first round the first sound update stands in for it.
    """
    if closing.manifest.plan.aggregator != "fedavg":
        return Examined()
    from fairbank.federated_jobs.aggregation import check_update, form_of
    from fairbank.federated_jobs.algorithms.errors import UpdateUnfit

    limit = _limit(closing, UPDATE)
    form = form_of(base) if base is not None else None
    unfit = []
    for node, path in closing.outputs(UPDATE).items():
        try:
            form = check_update(path, like=form, max_bytes=limit)
        except UpdateUnfit:
            unfit.append(node)
    return Examined(tuple(unfit), form)


def average(closing: Closing, folder: Path) -> list[MergedFile]:
    """Average the sites' models, weighted by training samples.

    Where a site does not tell how many, all sites weigh the same.
    """
    from fairbank.federated_jobs.aggregation import FedAvg, SiteUpdate

    updates = closing.outputs(UPDATE)
    notes = {node: notes_of(path) for node, path in updates.items()}
    samples = {node: int(note.get(N_TRAIN, 0)) for node, note in notes.items()}
    if any(count < 1 for count in samples.values()):
        samples = dict.fromkeys(updates, 1)
    target = folder / f"{MODEL}.safetensors"
    parts = [SiteUpdate(node, path, samples[node]) for node, path in updates.items()]
    made = FedAvg().reduce(parts, into=target, max_bytes=_limit(closing, UPDATE), checked=closing.form)
    files = [MergedFile(MODEL, MODEL_TYPE, target, made.digest)]
    if any(notes.values()):
        metrics = folder / "metrics.json"
        body = {"schema": "round-metrics/1", "round": closing.round, "sites": notes}
        metrics.write_text(json.dumps(body, sort_keys=True))
        files.append(MergedFile(METRICS, "application/json", metrics))
    return files


def collect(closing: Closing, folder: Path) -> list[MergedFile]:
    """Put the sites' rows together into a table and a plot."""
    from fairbank.analysis.errors import NothingToMerge
    from fairbank.analysis.merge import merge_rows

    manifest = closing.manifest
    rows = {
        node: json.loads(path.read_bytes())["rows"] for node, path in closing.outputs(MEASUREMENTS).items()
    }
    table = merge_rows(manifest.code.name, parameters=manifest.parameters, rows_by_site=rows)
    made = [("table.csv", "text/csv", table.to_csv()), ("table.json", "application/json", table.to_json())]
    # A job that measured only geometry has no mean to plot; its table stands alone.
    with suppress(NothingToMerge):
        made.append(("plot.svg", "image/svg+xml", table.to_svg()))
    files = []
    for name, media_type, text in made:
        (folder / name).write_text(text, encoding="utf-8")
        files.append(MergedFile(name, media_type, folder / name))
    return files


def _limit(closing: Closing, name: str) -> int:
    return next(output.maximum_bytes for output in closing.manifest.outputs if output.name == name)


_MERGES: Mapping[str, Merge] = {"fedavg": average, "collect": collect}
