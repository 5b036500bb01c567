"""Trainings at the requester: rounds are fetched once, reports and tables are made of them, sites are grouped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.federated_jobs.training_records import JOB, made_up

from fairbank.errors import RemoteError
from fairbank.federated_jobs.site_groups import distance, groups, mix_of
from fairbank.federated_jobs.training_record import TrainingRecord
from fairbank.web.trainings import follow, report, training_of


class Told:
    """A hub that tells a training as far as it is; `closed` rounds of four."""

    def __init__(self, *states: int) -> None:
        self.states, self.closed = states, states[0]
        self.asked: list[int] = []

    def get(self, path: str, *, signed_in: bool = False, **parameters: Any) -> Any:
        if path.endswith("/settings"):
            raise RemoteError.from_problem({"title": "Gone.", "status": 404, "code": "FB-CAT-001"})
        first = parameters["rounds_from"]
        self.asked.append(first)
        told = made_up(rounds=4, closed=self.closed)
        done = tuple(one for one in told.done if one.round >= first)
        return told.model_copy(update={"done": done, "rounds_from": first}).payload()

    def watch_job(self, job: str) -> Iterator[dict[str, Any]]:
        for closed in self.states:
            self.closed = closed
            yield {"state": "running"}


def test_rounds_that_are_closed_are_asked_for_once_more_at_most() -> None:
    hub = Told(1, 3, 4)
    records = list(follow(hub, JOB))  # type: ignore[arg-type]
    assert [len([one for one in record.done if one.closed]) for record in records] == [1, 3, 4]
    assert records[-1] == made_up(rounds=4, closed=4)
    assert hub.asked == [1, 1, 3]


def test_a_report_is_written_also_where_the_hub_tells_no_settings() -> None:
    text = report(Told(4), JOB)  # type: ignore[arg-type]
    assert "No site has signed its settings." in text and "north (worst)" in text


def test_a_training_comes_as_dataframes() -> None:
    pytest.importorskip("pandas")
    from fairbank.client import Client

    client = Client(api=Told(2))  # type: ignore[arg-type]
    rounds = client.rounds(JOB)
    assert list(rounds["round"]) == [1, 2, 3] and list(rounds["updates"]) == [3, 3, 0]
    metrics = client.metrics(JOB)
    assert len(metrics) == 2 * 3 * 4
    merged = metrics[(metrics.model == "merged") & (metrics.metric == "mse") & (metrics.site == "north")]
    curve = made_up(rounds=4, closed=2).merged_curve("mse")["north"]
    assert dict(zip(merged["round"], merged["value"], strict=True)) == curve
    assert client.training_report(JOB).startswith("<!doctype html>")


def test_what_is_told_survives_the_way() -> None:
    record = training_of(Told(3), JOB)  # type: ignore[arg-type]
    assert TrainingRecord.parse(record.to_bytes()) == record


# -- groups of sites -------------------------------------------------------------------------------------------------


def cell(modality: str, manufacturer: str, series: int | None) -> dict[str, Any]:
    count = {"kind": "exact", "value": series} if series is not None else {"kind": "below-k", "k": 10}
    return {"modality": modality, "manufacturer": manufacturer, "slice_thickness": "1-1.5", "series": count}


def test_a_mix_is_of_what_is_told() -> None:
    mix = mix_of([cell("CT", "GE", 30), cell("CT", "Siemens", 10), cell("MR", "GE", None)])
    assert mix == {"CT, GE, 1-1.5": 0.75, "CT, Siemens, 1-1.5": 0.25}
    assert mix_of([]) == {}


def test_sites_with_alike_images_are_one_group_whatever_their_order() -> None:
    mixes = {
        "a": {"CT": 1.0},
        "b": {"CT": 0.8, "MR": 0.2},
        "c": {"MR": 1.0},
        "d": {"CT": 0.1, "MR": 0.9},
        "e": {},
    }
    expected = [["a", "b"], ["c", "d"], ["e"]]
    assert groups(mixes) == expected
    assert groups(dict(reversed(mixes.items()))) == expected
    assert groups(mixes, limit=1.0) == [["a", "b", "c", "d"], ["e"]]


def test_a_distance_is_symmetric_and_between_nothing_and_all() -> None:
    one, other = {"CT": 0.6, "MR": 0.4}, {"CT": 0.1, "US": 0.9}
    assert distance(one, other) == distance(other, one) == pytest.approx(0.9)
    assert distance(one, one) == 0.0 and distance({"CT": 1.0}, {"MR": 1.0}) == 1.0
