"""A training as plain rows: by round, and by round, site and metric; DataFrames and event files are made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from fairbank.clock import parse_iso
from fairbank.federated_jobs.training_record import RoundOfTraining, TrainingRecord


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One round: times in seconds, None while it is open.

    Attributes:
        until_last_update_s: from its opening until the last update came: what the sites took, and the way.
        merging_s: from then until it was closed: what the hub took.
        longest_wait_s: between the first update and the last: how long the fastest site waited for the slowest.
    """

    round: int
    state: str
    updates: int
    wall_s: float | None
    until_last_update_s: float | None
    merging_s: float | None
    longest_wait_s: float | None
    cpu_s: int
    bytes_up: int
    bytes_down: int


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One number: which model was measured, where, and of how many samples.

    Attributes:
        round: after which the model was made; 0 for the first model.
        model: `merged`, or `local` for the site's own after its training.
    """

    round: int
    site: str
    model: str
    metric: str
    value: float
    n_heldout: float | None


def round_rows(record: TrainingRecord) -> list[RoundRow]:
    """Return one row per round."""
    return [_round(one) for one in record.done]


def metric_rows(record: TrainingRecord) -> list[MetricRow]:
    """Return one row per round, site, model and metric, in that order."""
    rows = [*_measured(record, "before_", "merged", -1), *_measured(record, "after_", "local", 0)]
    return sorted(rows, key=lambda row: (row.round, row.site, row.model, row.metric))


def _measured(record: TrainingRecord, head: str, model: str, shift: int) -> Iterator[MetricRow]:
    for one in record.done:
        for site in one.sites:
            for name, value in site.notes.items():
                if name.startswith(head):
                    yield MetricRow(
                        one.round + shift,
                        site.node,
                        model,
                        name.removeprefix(head),
                        value,
                        site.notes.get("n_heldout"),
                    )


def _round(one: RoundOfTraining) -> RoundRow:
    opened = parse_iso(one.opened)
    closed = parse_iso(one.closed) if one.closed is not None else None
    arrived = sorted(parse_iso(site.arrived) for site in one.sites if site.arrived is not None)
    second = timedelta(seconds=1)
    last = arrived[-1] if arrived else None
    return RoundRow(
        round=one.round,
        state=one.state.value,
        updates=len(arrived),
        wall_s=(closed - opened) / second if closed is not None else None,
        until_last_update_s=(last - opened) / second if last is not None else None,
        merging_s=(closed - last) / second if closed is not None and last is not None else None,
        longest_wait_s=(arrived[-1] - arrived[0]) / second if arrived else None,
        cpu_s=sum(site.cpu_s for site in one.sites),
        bytes_up=sum(site.bytes_up for site in one.sites),
        bytes_down=sum(site.bytes_down for site in one.sites),
    )
