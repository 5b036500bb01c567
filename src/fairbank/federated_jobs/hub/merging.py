"""Merge what the sites of one round released: average models, or collect rows into a table and a plot.

Sites are merged in the order of their names, so the same updates always give the same bytes.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbank.errors import FairbankError
from fairbank.federated_jobs.code import GROUP_METRICS, MEASUREMENTS, SUMS, UPDATE
from fairbank.federated_jobs.container_tools import contract_of_columns
from fairbank.federated_jobs.errors import NotesUnreadable
from fairbank.federated_jobs.evaluating import STAND_IN, measures_only
from fairbank.federated_jobs.objectives import BEFORE
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.update_notes import notes_of
from fairbank.ontology.group_metrics import COLUMNS, read_table
from fairbank.ontology.signed_objects import Manifest
from fairbank.ontology.tools import OutputColumn

if TYPE_CHECKING:
    from fairbank.analysis.merge import MergedTable
    from fairbank.analysis.statistics.question import Question
    from fairbank.federated_jobs.aggregators.merge import Merged
    from fairbank.federated_jobs.tensor_files import Form

MODEL = "model"
METRICS = "metrics"
# What a training hands to its next round where more than a model travels; it stays in the federation.
CARRIED = "carried"
# Under which name the metrics of a round hold what the aggregator says of each site's update.
RECORD = "record"
# Under which name they hold what sites told by groups of their held-out subjects.
GROUPS = "groups"
# What a statistic that goes on hands to its next round.
STATE = "state"
# What the aggregator of a training keeps from round to round; it stays at the hub.
SERVER_STATE = "server-state"
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
        base: what the round started from: a global model, or the message of a statistic; None in the first.
        state: what the aggregator kept after the last round that was closed; None if there is none.
        bases: the model that a site's update started from, where that is not `base`.
        staleness: how many rounds that one is older, by node.
        columns: of the rows, where the tool is a container.
        previous: the model that the round before started from; None if the hub does not have it.
        lengths: of the differences that were merged in the rounds just before.
        repeated: the sites whose update is, to the byte, one that they sent for an earlier round.
    """

    manifest: Manifest
    round: int
    arrived: tuple[Arrived, ...]
    form: Form | None = None
    base: Path | None = None
    state: Path | None = None
    bases: Mapping[str, Path] = field(default_factory=dict)
    staleness: Mapping[str, int] = field(default_factory=dict)
    columns: tuple[OutputColumn, ...] = ()
    previous: Path | None = None
    lengths: tuple[float, ...] = ()
    repeated: frozenset[str] = frozenset()

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
    if measures_only(closing.manifest, closing.round):
        return evaluations(closing, folder)
    return _MERGES.get(closing.manifest.plan.aggregator, train)(closing, folder)


def read_metrics(merged: Sequence[MergedFile]) -> dict[str, Any]:
    """Return the metrics that came of a merging: what each site told, and what the aggregator says of it."""
    path = next((file.path for file in merged if file.name == METRICS), None)
    told: dict[str, Any] = json.loads(path.read_bytes()) if path is not None else {}
    return told


@dataclass(frozen=True, slots=True)
class Examined:
    """The sites whose output cannot be merged with the others, and the form of all other updates.

    Attributes:
        reasons: the word for each unfit site.
    """

    unfit: tuple[str, ...] = ()
    form: Form | None = None
    reasons: Mapping[str, Reason] = field(default_factory=dict)


def examine(
    closing: Closing, base: Path | None, *, values: bool = False, scratch: Path | None = None
) -> Examined:
    """Look through the outputs of a round before they are merged.

    Args:
        values: look at every value of the updates, to find whose make the mean not finite.
        base: the global model that the round started from; in the first round the form that most sites have stands in
            for it, and of equally many that of the site whose name comes first.
        scratch: a folder for what has to be unpacked meanwhile.
    """
    if closing.manifest.plan.aggregator == "collect":
        return Examined(_unfit_rows(closing))
    if closing.manifest.plan.aggregator == "statistic":
        return Examined(_unfit_sums(closing))
    if measures_only(closing.manifest, closing.round):
        return Examined(tuple(sorted({*_unfit_evaluations(closing), *_unfit_groups(closing)})))
    if odd := _unfit_groups(closing):
        return Examined(odd)
    from fairbank.federated_jobs.hub.merging_updates import examine_updates

    reasons, form = examine_updates(closing, base, values=values, scratch=scratch)
    return Examined(tuple(sorted(reasons)), form, reasons)


def _unfit_evaluations(closing: Closing) -> tuple[str, ...]:
    """Return the sites that sent anything but the one number that stands in for weights."""
    from fairbank.federated_jobs.aggregation import check_update
    from fairbank.federated_jobs.algorithms.errors import UpdateUnfit
    from fairbank.federated_jobs.tensor_files import TensorShape

    limit = next(each.maximum_bytes for each in closing.manifest.outputs if each.name == UPDATE)
    unfit = []
    for node, path in closing.outputs(UPDATE).items():
        try:
            check_update(path, like=[TensorShape(STAND_IN, "F32", (1,))], max_bytes=limit)
            notes_of(path)
        except (UpdateUnfit, NotesUnreadable):
            unfit.append(node)
    return tuple(unfit)


def _unfit_groups(closing: Closing) -> tuple[str, ...]:
    """Return the sites whose metrics by group are no such table."""
    unfit = []
    for node, path in closing.outputs(GROUP_METRICS).items():
        try:
            _groups_in(path, closing.round)
        except (ValueError, RecursionError):
            unfit.append(node)
    return tuple(unfit)


def _groups_in(path: Path, number: int) -> list[dict[str, Any]]:
    return read_table(path.read_bytes(), number=number)


def _groups(closing: Closing, folder: Path) -> tuple[dict[str, Any], list[MergedFile]]:
    """Return what sites told by group, as a part of the metrics of the round and as a table; nothing if none did."""
    told = {node: _groups_in(path, closing.round) for node, path in closing.outputs(GROUP_METRICS).items()}
    if not told:
        return {}, []
    target = folder / "groups.csv"
    with target.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(["site", *COLUMNS])
        for node, rows in told.items():
            for row in rows:
                writer.writerow([node, *("" if row[name] is None else row[name] for name in COLUMNS)])
    return {GROUPS: told}, [MergedFile("groups.csv", "text/csv", target)]


def _unfit_rows(closing: Closing) -> tuple[str, ...]:
    """Return the sites whose rows are no table of the tool's contract, each looked at by itself."""
    unfit = []
    for node, path in closing.outputs(MEASUREMENTS).items():
        try:
            _table({node: path}, closing).to_json()
        except (
            FairbankError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ):
            unfit.append(node)
    return tuple(unfit)


def train(closing: Closing, folder: Path) -> list[MergedFile]:
    """Merge the sites' updates: the model comes first, then its metrics, then what the aggregator keeps."""
    from fairbank.federated_jobs.hub.merging_updates import merge_round

    target, metrics = folder / f"{MODEL}.safetensors", folder / "metrics.json"
    merged = merge_round(closing, folder, into=target)
    body = {
        "schema": "round-metrics/1",
        "round": closing.round,
        "sites": merged.notes,
        "aggregator": merged.aggregator,
        RECORD: merged.made.record,
    }
    by_group, tables = _groups(closing, folder)
    body |= by_group
    metrics.write_text(json.dumps(body, sort_keys=True))
    files = [
        *_models(merged.made, folder / "bare.safetensors"),
        MergedFile(METRICS, "application/json", metrics),
        *tables,
    ]
    if merged.made.state is not None:
        files.append(MergedFile(SERVER_STATE, MODEL_TYPE, *merged.made.state))
    return files


def _models(made: Merged, bare: Path) -> list[MergedFile]:
    """Return the merged model, and beside it what the next round starts from, if that has more than the model's own."""
    from fairbank.federated_jobs.tensor_files import copy_tensors, form_of
    from fairbank.federated_jobs.tensor_roles import is_extra

    whole = MergedFile(MODEL, MODEL_TYPE, made.file, made.digest)
    if not any(is_extra(tensor.name) for tensor in form_of(made.file)):
        return [whole]
    digest = copy_tensors(made.file, bare, lambda name: None if is_extra(name) else name)
    return [MergedFile(MODEL, MODEL_TYPE, bare, digest), replace(whole, name=CARRIED)]


def evaluations(closing: Closing, folder: Path) -> list[MergedFile]:
    """Put what the sites measured of a model together: as the metrics of the round, and as a table."""
    notes = {node: notes_of(path) for node, path in closing.outputs(UPDATE).items()}
    by_group, tables = _groups(closing, folder)
    body = {"schema": "round-metrics/1", "round": closing.round, "sites": notes, **by_group}
    metrics, table = folder / "metrics.json", folder / "table.csv"
    metrics.write_text(json.dumps(body, sort_keys=True), encoding="utf-8")
    names = sorted({name for told in notes.values() for name in told})
    with table.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(["site", *(name.removeprefix(BEFORE) for name in names)])
        for node, told in notes.items():
            writer.writerow([node, *(format(told[name], ".9g") if name in told else "" for name in names)])
    return [
        MergedFile(METRICS, "application/json", metrics),
        MergedFile("table.csv", "text/csv", table),
        *tables,
    ]


def collect(closing: Closing, folder: Path) -> list[MergedFile]:
    """Put the sites' rows together into a table and plots, with what was left out."""
    from fairbank.analysis.errors import NothingToMerge
    from fairbank.analysis.plots import PlotKind, draw

    table = _table(closing.outputs(MEASUREMENTS), closing)
    made = [("table.csv", "text/csv", table.to_csv()), ("table.json", "application/json", table.to_json())]
    # A job in which no series could be measured has nothing to plot; its table stands alone.
    if table.exclusions:
        made.append(("exclusions.csv", "text/csv", table.exclusions_csv()))
    plots = (
        ("plot.svg", PlotKind.DISTRIBUTION),
        ("forest.svg", PlotKind.FOREST),
        ("exclusions.svg", PlotKind.EXCLUSIONS),
    )
    for name, kind in plots:
        with suppress(NothingToMerge):
            made.append((name, "image/svg+xml", draw(kind, table)))
    files = []
    for name, media_type, text in made:
        (folder / name).write_text(text, encoding="utf-8")
        files.append(MergedFile(name, media_type, folder / name))
    return files


def statistic(closing: Closing, folder: Path) -> list[MergedFile]:
    """Add the sums of all sites up: to the message of the next round, or to the statistic as JSON, table and plot."""
    from fairbank.analysis.errors import NothingToMerge
    from fairbank.analysis.statistic_plots import axes_of, draw_statistic
    from fairbank.analysis.statistics.hub_part import combine, to_csv
    from fairbank.analysis.statistics.sums import read_sums

    question, form = _question(closing.manifest)
    told = {
        node: read_sums(path.read_bytes(), question, form) for node, path in closing.outputs(SUMS).items()
    }
    message = json.loads(closing.base.read_bytes()) if closing.base is not None else None
    last = closing.round >= closing.manifest.plan.rounds
    outcome = combine(question, told, message, number=closing.round, last=last)
    if outcome.result is None:
        made = [(STATE, "application/json", json.dumps(outcome.message, sort_keys=True))]
    else:
        result = json.dumps(outcome.result, indent=1, allow_nan=False)
        made = [
            ("result.json", "application/json", result),
            ("table.csv", "text/csv", to_csv(outcome.result)),
        ]
        with suppress(NothingToMerge):
            made.append(
                ("plot.svg", "image/svg+xml", draw_statistic(outcome.result, axes_of(outcome.result)))
            )
    for name, _, text in made:
        (folder / name).write_text(text, encoding="utf-8")
    return [MergedFile(name, media_type, folder / name) for name, media_type, _ in made]


def _question(manifest: Manifest) -> tuple[Question, dict[str, tuple[int, ...]]]:
    from fairbank.analysis.statistics.question import Question
    from fairbank.analysis.statistics.site_part import shapes
    from fairbank.analysis.tool import tool_parameters

    question = tool_parameters(manifest.code.name, manifest.parameters)
    assert isinstance(question, Question)
    return question, shapes(question)


def _unfit_sums(closing: Closing) -> tuple[str, ...]:
    """Return the sites whose sums are not those of the statistic."""
    from fairbank.analysis.errors import SumsUnreadable
    from fairbank.analysis.statistics.sums import read_sums

    question, form = _question(closing.manifest)
    unfit = []
    for node, path in closing.outputs(SUMS).items():
        try:
            read_sums(path.read_bytes(), question, form)
        except SumsUnreadable:
            unfit.append(node)
    return tuple(unfit)


def _table(outputs: Mapping[str, Path], closing: Closing) -> MergedTable:
    from fairbank.analysis.merge import Known, merge_rows

    manifest, known = closing.manifest, None
    if closing.columns:
        known = Known(manifest.code.version, contract_of_columns(closing.columns))
    told = {node: json.loads(path.read_bytes()) for node, path in outputs.items()}
    return merge_rows(
        manifest.code.name,
        parameters=manifest.parameters,
        rows_by_site={node: each["rows"] for node, each in told.items()},
        known=known,
        exclusions={node: each["exclusions"] for node, each in told.items() if "exclusions" in each},
    )


_MERGES: Mapping[str, Merge] = {"collect": collect, "statistic": statistic}
