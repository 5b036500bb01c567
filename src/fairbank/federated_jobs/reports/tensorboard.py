"""A training as event files: one folder per site, and one for the federation as a whole."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from fairbank.clock import parse_iso
from fairbank.federated_jobs.objectives import verdict
from fairbank.federated_jobs.reports.event_files import Scalar, write_events
from fairbank.federated_jobs.reports.rows import metric_rows, round_rows
from fairbank.federated_jobs.training_record import N_HELDOUT, TrainingRecord

FEDERATION = "federation"
# TensorBoard looks for this word in the name of a file.
_FILE = "events.out.tfevents.fairbank"


def export(record: TrainingRecord, folder: Path) -> list[Path]:
    """Write event files below a folder and return them; those of an earlier export are replaced.

    Tags are `merged/METRIC` and `local/METRIC`; the steps are rounds, 0 for the first model.
    """
    times = {one.round: parse_iso(one.closed or one.opened).timestamp() for one in record.done}
    begun = parse_iso(record.started or record.created).timestamp()
    by_run: dict[str, list[Scalar]] = defaultdict(list)
    for row in metric_rows(record):
        at = times.get(row.round, begun)
        by_run[row.site].append(Scalar(f"{row.model}/{row.metric}", row.round, row.value, at))
    by_run[FEDERATION] += _as_a_whole(record, times, begun)
    written = []
    for run, scalars in sorted(by_run.items()):
        target = folder / run
        target.mkdir(parents=True, exist_ok=True)
        written.append(write_events(scalars, target / _FILE, begun=begun))
    return written


def _as_a_whole(record: TrainingRecord, times: dict[int, float], begun: float) -> list[Scalar]:
    made = []
    for one in record.done:
        for metric in record.metrics():
            found = verdict(record.objective, metric, one.values(f"before_{metric}"), one.values(N_HELDOUT))
            if found is not None:
                at = times.get(one.round - 1, begun)
                made.append(
                    Scalar(f"objective/{record.objective.value}/{metric}", one.round - 1, found.value, at)
                )
    for row in round_rows(record):
        at = times[row.round]
        made.append(Scalar("round/updates", row.round, row.updates, at))
        made.append(Scalar("round/megabytes_up", row.round, row.bytes_up / 1e6, at))
        made.append(Scalar("round/megabytes_down", row.round, row.bytes_down / 1e6, at))
        if row.wall_s is not None:
            made.append(Scalar("round/seconds", row.round, row.wall_s, at))
    return made
