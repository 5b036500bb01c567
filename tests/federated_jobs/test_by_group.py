"""Metrics by group from the worker to the card: told where a site may, withheld where few would be told of."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.federated_jobs.test_model_registry import OverHttp, evaluation_of

from fairbank.database import reading
from fairbank.federated_jobs.algorithms.by_group import by_group
from fairbank.federated_jobs.code import UPDATE, tool_named
from fairbank.federated_jobs.evaluating import evaluates, evaluation_file
from fairbank.federated_jobs.hub.store import UpdateRow
from fairbank.federated_jobs.manifest import check_code
from fairbank.federated_jobs.node.runner import Product, _grouped
from fairbank.federated_jobs.node.what_leaves import leaves
from fairbank.federated_jobs.reports.card import markdown
from fairbank.federated_jobs.training_errors import GroupMetricsRefused
from fairbank.federated_jobs.training_record import TrainingRecord
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import PlanName
from fairbank.release.errors import HubUnreachable
from fairbank.release.store import ReleaseRow
from fairbank.web.model_files import card_of
from fairbank.web.trainings import report

CLASSES = {"label": "clinical_finding", "classes": ["healthy", "ill"]}
# Of each held-out subject: sex, maker, class. With k = 3, as in these tests, two of one maker are too few.
K = 3
SUBJECTS = (
    [("F", "GE", 0)] * 4 + [("M", "GE", 1)] * 4 + [("M", "Philips", 1)] * (K - 1) + [("F", "Siemens", 0)] * 4
)
TELLTALE = 0.123456


def measuring(site: Any, accuracy: float) -> None:
    """Have a site's worker measure the model by group, with a number of the small group that nobody may see."""
    train = site.runner.run
    makers = [maker for _, maker, _ in SUBJECTS]

    def of(places: Any) -> dict[str, float]:
        small = {makers[place] for place in places} == {"Philips"}
        return {"accuracy": TELLTALE if small else accuracy, "sensitivity": 0.5}

    def run(task: Any) -> list[Product]:
        names = [f"s{place}" for place in range(len(SUBJECTS))]
        known = [{"sex": sex, "manufacturer": maker} for sex, maker, _ in SUBJECTS]
        found = by_group(names, known, [number for _, _, number in SUBJECTS], of)
        if evaluates(task.manifest):
            task.folder.mkdir(parents=True, exist_ok=True)
            made = [Product(UPDATE, evaluation_file({"accuracy": 0.7}, 14, into=task.folder), subjects=3)]
        else:
            made = train(task)
        return [*made, *_grouped(site.node, task, found)]

    site.runner.run = run


@pytest.fixture
def fed(start: Any) -> Any:
    fed = start()
    for name, accuracy in {"east": 0.75, "west": 0.5}.items():
        measuring(fed.add(name, release_minimum_count=K), accuracy)
    asked = fed.request
    classes = (OutputClass.AGGREGATE, OutputClass.MODEL_UPDATE)
    fed.request = lambda **changes: asked(**{"output_classes": classes, **changes})
    return fed


def test_they_reach_report_results_and_card_without_what_tells_of_few(fed: Any) -> None:
    job = fed.run("classification", parameters=CLASSES, rounds=2, by_group=True)
    assert fed.state(job) == "completed"

    record = TrainingRecord.parse(fed.get(f"/v1/jobs/{job}/training").json())
    told = record.by_group()
    assert told is not None and told[1] == 1 and sorted(told[0]) == ["east", "west"]
    groups = {(each.kind, each.group): each for each in told[0]["east"] if each.metric == "accuracy"}
    # Philips has too few, and Siemens is withheld with it, the smallest other one.
    assert set(groups) == {("sex", "F"), ("sex", "M"), ("manufacturer", "GE")}
    assert groups["manufacturer", "GE"].n_subjects == 8 and groups["manufacturer", "GE"].value == 0.75
    # No group has enough of both classes but one; alone it would tell the others.
    assert all(each.metric == "accuracy" for each in told[0]["east"])

    names = {file["name"] for file in fed.get(f"/v1/jobs/{job}/results").json()["files"]}
    assert "groups.csv" in names
    digest = fed.model(job)
    card, _ = card_of(OverHttp(fed), digest)  # type: ignore[arg-type]
    assert {each.group for each in card.sites[0].groups or ()} == {"F", "M", "GE"}
    assert "How it does by group" in markdown(
        card
    ) and "| east | maker | GE | 8 | accuracy | 0.75 | – |" in markdown(card)
    page = report(OverHttp(fed), job)  # type: ignore[arg-type]
    assert "By sex, age and maker" in page and "accuracy by group" in page and "Philips" not in page

    # Nothing of the small group is in any byte that has left, nor of the one that would tell it.
    sent = [file.read_bytes() for file in fed.sites["east"].node.outbox_path.rglob("*") if file.is_file()]
    assert any(b"metrics-by-group/1" in body for body in sent)
    for body in sent:
        assert b"Philips" not in body and b"Siemens" not in body and b"0.123" not in body
    with reading(fed.sites["east"].node.engine) as session:
        rows = session.query(ReleaseRow).all()
    assert {(row.output, row.door_class) for row in rows} == {
        ("update", "update"),
        ("metrics-by-group", "count"),
    }


def test_an_evaluation_tells_them_too(fed: Any) -> None:
    model = fed.model(fed.run("classification", parameters=CLASSES))
    job = fed.run("classification", parameters=CLASSES, training=evaluation_of(model), by_group=True)
    assert fed.state(job) == "completed"
    record = TrainingRecord.parse(fed.get(f"/v1/jobs/{job}/training").json())
    told = record.by_group()
    assert told is not None and {each.group for each in told[0]["west"]} == {"F", "M", "GE"}


def test_a_job_that_does_not_ask_gets_none(fed: Any) -> None:
    job = fed.run("classification", parameters=CLASSES)
    record = TrainingRecord.parse(fed.get(f"/v1/jobs/{job}/training").json())
    assert fed.state(job) == "completed" and record.by_group() is None


def test_a_table_that_is_none_puts_its_site_out_and_nobody_else(fed: Any) -> None:
    job = fed.submit(fed.manifest(fed.visa(), "classification", parameters=CLASSES, quorum=1, by_group=True))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.sites["east"].agent.step()
    fed.sites["west"].agent.step()
    with reading(fed.hub.engine) as session:
        paths = {
            row.node: row.path for row in session.query(UpdateRow).all() if row.output == "metrics-by-group"
        }
    assert "west" in paths
    Path(paths["west"]).write_text(json.dumps({"schema": "metrics-by-group/1", "round": 1, "rows": [{}]}))
    fed.settle()
    assert fed.site_state(job, "west") == ("failed", "update_refused")
    assert fed.state(job) == "completed"


def test_a_site_that_has_sent_half_of_a_round_does_not_count_for_its_quorum(fed: Any) -> None:
    measuring(fed.add("north", release_minimum_count=K), 0.5)
    options = {"close_at_quorum": True}
    manifest = fed.manifest(
        fed.visa(), "classification", parameters=CLASSES, quorum=2, by_group=True, plan_options=options
    )
    job = fed.submit(manifest)
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.close_rounds()
    west = fed.sites["west"].agent._site.outbox
    send = west.send

    def half(release: str) -> Any:
        if west.release(release).output == "metrics-by-group":
            raise HubUnreachable("The line is down.")
        return send(release)

    west.send = half
    with suppress(HubUnreachable):
        fed.sites["west"].agent.step()
    fed.settle("east")
    assert fed.state(job) == "running" and fed.job(job)["history"][0]["state"] == "open"
    west.send = send
    fed.settle("east", "west")
    assert fed.state(job) == "completed"


def test_who_approves_reads_that_they_leave(fed: Any) -> None:
    manifest = fed.manifest(fed.visa(), "classification", parameters=CLASSES, by_group=True)
    shown = [str(one) for one in leaves(manifest, at_least=5)]
    assert any("metrics-by-group: aggregate" in line and "group, n_subjects" in line for line in shown)


def test_they_are_refused_where_nobody_could_bring_them(fed: Any) -> None:
    with pytest.raises(GroupMetricsRefused, match="noop"):
        fed.manifest(fed.visa(), "noop", by_group=True)
    for plan in (PlanName.BUFFERED, PlanName.ENSEMBLE, PlanName.PEER_TO_PEER):
        manifest = fed.manifest(
            fed.visa(), "classification", parameters=CLASSES, by_group=True, plan_name=plan,
            rounds=2 if plan is PlanName.PEER_TO_PEER else None,
        )  # fmt: skip
        with pytest.raises(GroupMetricsRefused):
            check_code(manifest)
    assert tool_named("segmentation").on_request and not tool_named("sklearn-sgd").on_request
