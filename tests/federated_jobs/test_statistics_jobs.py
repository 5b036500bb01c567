"""Statistics as jobs: rounds over the wire, through the gates of three sites, to the statistic of all subjects."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.federated_jobs.conftest import FakeSeries

from fairbank.database import reading, writing
from fairbank.federated_jobs.code import tool_named
from fairbank.federated_jobs.errors import OptionRefused
from fairbank.federated_jobs.manifest import check_code, draft
from fairbank.federated_jobs.node.clinical_columns import as_number
from fairbank.federated_jobs.node.runner import Product, RoundTask
from fairbank.federated_jobs.node.summing import Asked, sum_up
from fairbank.federated_jobs.node.what_leaves import leaves
from fairbank.harvest.clinical.store import VariableDefinitionRow, VariableRow
from fairbank.harvest.store import DatasetRow
from fairbank.ontology.outputs import DoorClass, OutputClass
from fairbank.ontology.signed_objects import PlanName, Selector
from fairbank.release import ledger
from fairbank.release.ledger import EntryState
from fairbank.release.node import Node
from fairbank.web.acts import parameters_from
from fairbank.web.api_client import HubApi
from fairbank.web.plotting import plot_job

K = 5
GRANTED = {
    "output_classes": (OutputClass.AGGREGATE,),
    "tool_families": ("statistics",),
    "maximum_runs": 50,
}


@dataclass
class MadeUpRows:
    """Makes rows of lungs in this process, as the worker would; all after that is the node's own."""

    node: Node
    values: dict[str, dict[str, Any]]

    def run(self, task: RoundTask) -> list[Product]:
        task.folder.mkdir(parents=True, exist_ok=True)
        rows = task.folder / "rows.json"
        listed = [
            {"row": f"s{place:06d}-{'a' * 32}", "status": "ok", "reason": None, **self.values[member.subject]}
            for place, member in enumerate(task.members, 1)
        ]
        rows.write_text(json.dumps({"rows": listed}))
        target = task.folder / "sums.json"
        asked = Asked(task.manifest, task.members, task.round, task.global_model)
        sums = sum_up(self.node, asked, rows, into=target)
        return [Product("sums", target, subjects=len(sums.everybody), sums=sums)]

    def jobs(self) -> list[str]:
        return []

    def cancel(self, job: str) -> None: ...

    def forget(self, job: str) -> None: ...

    def rest(self) -> None: ...

    def close(self) -> None: ...


def lungs(seed: int, subjects: int) -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    sex = rng.choice(["F", "M"], subjects)
    volume = 4.5 + 1.2 * (sex == "M") + rng.normal(0, 0.5 + 0.1 * seed, subjects)
    laa = 8 + 3 * volume + 2 * seed + rng.normal(0, 4, subjects)
    return {
        f"subject-{place}": {
            "sex": str(sex[place]), "laa950_percent": float(laa[place]), "volume_l": float(volume[place]),
            "slice_thickness_mm": 1.0 + seed / 4,
        }
        for place in range(subjects)
    }  # fmt: skip


@pytest.fixture
def fed(start, tmp_path):
    fed = start()
    for place, (name, subjects) in enumerate((("east", 40), ("north", 60), ("west", 35))):
        site = fed.add(name, subjects=subjects)
        object.__setattr__(site.node.settings, "release_minimum_count", K)
        site.index.series["collection"] = [
            FakeSeries(f"9.{n}", f"subject-{n}", f"sha256:{n:064x}", tmp_path) for n in range(subjects)
        ]
        site.runner = MadeUpRows(site.node, lungs(place, subjects))
        site.restart()
    return fed


def granted(fed: Any, **options: Any) -> Any:
    fed.request = partial(type(fed).request, fed, output_classes=(OutputClass.AGGREGATE,))
    return fed.visa(terms=GRANTED, **options)


def send(fed: Any, selector: Selector | None = None, **parameters: Any) -> str:
    visa = granted(fed, selector=selector)
    job = fed.submit(
        fed.manifest(visa, "statistics", parameters={"measure": "lung-densitometry", **parameters})
    )
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.settle()
    return str(job)


def outcome(fed: Any, job: str) -> tuple[dict[str, Any], str]:
    assert fed.state(job) == "completed", [fed.site_state(job, name) for name in fed.sites]
    files = {file["name"]: file["digest"] for file in fed.get(f"/v1/jobs/{job}/results").json()["files"]}
    return fed.get(f"/v1/blobs/{files['result.json']}").json(), fed.get(
        f"/v1/blobs/{files['table.csv']}"
    ).text


def everybody(fed: Any, name: str) -> np.ndarray:
    rows = [row for site in fed.sites.values() for row in site.runner.values.values()]
    return np.array([row[name] for row in rows])


def test_a_description_of_measurements_equals_that_of_all_rows(fed):
    result, table = outcome(
        fed, send(fed, statistic="describe", variables=["laa950_percent"], groups=["sex"])
    )
    sex, laa = everybody(fed, "sex"), everybody(fed, "laa950_percent")
    for row in result["rows"]:
        mine = laa[sex == row["group"][0]]
        np.testing.assert_allclose([row["mean"], row["variance"]], [mine.mean(), mine.var(ddof=1)], rtol=1e-8)
        assert row["subjects"] == mine.size
    assert {name: each["subjects"] for name, each in result["sites"].items()} == {
        "east": 40, "north": 60, "west": 35,
    }  # fmt: skip
    shown = list(csv.DictReader(io.StringIO(table)))
    assert [row["group"] for row in shown] == ["F", "M"]
    assert shown[0]["mean"] == f"{laa[sex == 'F'].mean():.6g}"


def test_a_statistic_comes_with_a_plot_and_is_drawn_again_when_asked(fed, tmp_path):
    job = send(fed, statistic="describe", variables=["laa950_percent"], groups=["sex"])
    files = {one["name"]: one["digest"] for one in fed.get(f"/v1/jobs/{job}/results").json()["files"]}
    api = HubApi(fed.url, clock=fed.clock, home=tmp_path, token=fed.token)
    drawn = plot_job(api, job)
    assert drawn == fed.get(f"/v1/blobs/{files['plot.svg']}").text
    assert "LAA-950" in drawn or "below -950" in drawn
    with pytest.raises(OptionRefused, match="no options"):
        plot_job(api, job, "forest")
    api.close()


def test_a_linear_model_over_three_sites_equals_that_of_all_rows(fed):
    result, _ = outcome(fed, send(fed, statistic="linear", variables=["volume_l"], outcome="laa950_percent"))
    expected = stats.linregress(everybody(fed, "volume_l"), everybody(fed, "laa950_percent"))
    slope = next(row for row in result["rows"] if row["variable"] == "volume_l")
    np.testing.assert_allclose(
        [slope["coefficient"], slope["standard_error"], slope["p"]],
        [expected.slope, expected.stderr, expected.pvalue],
        rtol=1e-8,
    )


def test_a_logistic_model_takes_the_rounds_that_it_needs_and_each_is_charged(fed):
    job = send(fed, statistic="logistic", variables=["volume_l"], outcome="sex=M")
    result, _ = outcome(fed, job)
    assert result["totals"]["converged"]
    assert 3 < result["rounds"] < 15
    y, x = everybody(fed, "sex") == "M", everybody(fed, "volume_l")
    beta = np.array([row["coefficient"] for row in result["rows"]])
    design = np.column_stack([np.ones(y.size), x])
    np.testing.assert_allclose(design.T @ (y - 1 / (1 + np.exp(-design @ beta))), 0, atol=1e-7)
    for site in fed.sites.values():
        with reading(site.node.engine) as session:
            sent = [
                e for e in ledger.entries(session, door_class=DoorClass.COUNT) if e.state is EntryState.SENT
            ]
        assert [entry.round for entry in sent] == list(range(result["rounds"], 0, -1))


def test_no_row_and_no_name_of_a_subject_leaves_a_site(fed):
    send(fed, statistic="describe", variables=["laa950_percent"], groups=["sex"])
    for site in fed.sites.values():
        with reading(site.node.engine) as session:
            bodies = [
                ledger.content(each, site.node.outbox_path)
                for each in ledger.entries(session, door_class=DoorClass.COUNT)
            ]
        values = [str(row["laa950_percent"]) for row in site.runner.values.values()]
        assert len(bodies) == 1
        assert not any(text.encode() in bodies[0] for text in (*values, "subject-", "s000001", "collection"))


def test_a_second_job_over_one_subject_fewer_is_refused_by_the_ledger(fed):
    outcome(fed, send(fed, statistic="describe", variables=["laa950_percent"]))
    fed.sites["east"].runner.values["subject-7"]["laa950_percent"] = None
    job = send(fed, statistic="describe", variables=["laa950_percent"])
    assert fed.state(job) == "failed"
    assert fed.site_state(job, "east") == ("withheld", "gate_refused")


def test_a_site_with_too_few_for_the_model_says_no_more_than_that(fed):
    for number in range(10, 35):
        fed.sites["west"].runner.values[f"subject-{number}"]["volume_l"] = None
    names = ["volume_l", "slice_thickness_mm", "laa950_percent"]
    job = send(fed, statistic="pca", variables=names)
    assert fed.site_state(job, "west") == ("withheld", "gate_refused")


def test_variables_that_depend_on_each_other_end_the_job_with_a_word_for_it(fed):
    for site in fed.sites.values():
        for row in site.runner.values.values():
            row["slice_thickness_mm"] = 2 * row["volume_l"] + 1
    names = ["volume_l", "slice_thickness_mm"]
    job = send(fed, statistic="linear", variables=names, outcome="laa950_percent")
    view = fed.job(job)
    assert (view["state"], view["reason"]) == ("failed", "statistic_undetermined")


def test_sites_whose_sums_are_of_another_form_are_left_out(fed, monkeypatch):
    from fairbank.federated_jobs.hub import merging

    monkeypatch.setattr(
        merging, "_unfit_sums", lambda closing: tuple(n for n in closing.outputs("sums") if n == "west")
    )
    visa = granted(fed)
    parameters = {"statistic": "count"}
    job = fed.submit(fed.manifest(visa, "statistics", parameters=parameters, quorum=2))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.settle()
    result, _ = outcome(fed, job)
    assert set(result["sites"]) == {"east", "north"}


@pytest.mark.parametrize(
    "parameters",
    [
        {"statistic": "describe", "variables": ["laa950_percent"]},
        {"statistic": "describe", "variables": ["sex"]},
        {"statistic": "count", "groups": ["slice_thickness_mm"]},
        {"statistic": "describe", "variables": ["sex=female"]},
        {"statistic": "describe", "variables": ["laa950_percent"], "measure": "lung"},
        {"statistic": "count", "measure": "image-quality", "measure_with": {"no_such": 1}},
        {"statistic": "count", "spy": 1},
        {"statistic": "histogram", "variables": "slice_thickness_mm", "edges": "1,two"},
        {"statistic": "count", "measure": "image-quality", "measure_with": "{"},
    ],
    ids=str,
)
def test_a_question_of_columns_that_there_are_not_is_refused_before_it_is_sent(parameters):
    with pytest.raises(OptionRefused):
        tool_named("statistics").check_parameters(parameters)


def test_lists_can_be_given_in_one_text_as_a_command_line_has_them():
    tool = tool_named("statistics")
    said = tool.check_parameters(
        parameters_from(
            [
                "statistic=cox", "variables=slice_thickness_mm,sex=M", "time=clinical_years", "edges=1,2.5",
                "event=clinical_died=yes", "measure=lung-densitometry", 'measure_with={"significant_digits": 3}',
            ]
        )
    )  # fmt: skip
    assert said["variables"] == ["slice_thickness_mm", "sex=M"]
    assert (said["edges"], said["measure_with"]) == (["1", "2.5"], {"significant_digits": 3})
    assert tool.check_parameters(said) == said


def test_a_fit_has_rounds_to_spare_and_everything_else_has_one(start):
    fed = start("east")
    visa, tool = granted(fed), tool_named("statistics")
    fit = {"statistic": "logistic", "variables": ["slice_thickness_mm"], "outcome": "sex=M"}
    for parameters, rounds in ((fit, 25), ({"statistic": "count"}, 1)):
        manifest = draft(visa, tool, parameters, clock=fed.clock, title="x")
        assert (manifest.plan.name, manifest.plan.rounds) == (PlanName.AGGREGATION, rounds)
        assert check_code(manifest) is tool


def test_a_site_reads_what_a_statistic_would_tell(start):
    fed = start("east")
    parameters = {"statistic": "linear", "variables": ["slice_thickness_mm"], "outcome": "sex=M"}
    manifest = draft(granted(fed), tool_named("statistics"), parameters, clock=fed.clock, title="x")
    (leaving,) = leaves(manifest, at_least=10)
    assert leaving.columns == (
        "linear over slice_thickness_mm, sex=M",
        "subjects of each group",
        "products (3 × 3)",
    )


def test_a_statistic_can_be_tried_on_a_twin(tmp_path: Path):
    from fairbank.federated_jobs.twin import try_on_twin

    parameters = {"statistic": "describe", "variables": ["slice_thickness_mm"], "groups": ["sex"]}
    rows = try_on_twin(
        "statistics", parameters, Selector(modality=("CT",)), subjects=24, seed=3, folder=tmp_path
    )
    assert sum(row["subjects"] for row in rows) == 24
    assert all(0.3 < row["mean"] < 6 for row in rows)


# -- clinical variables of the sites ------------------------------------------------------------------------------

YEARS = ("<1", "1-3", "3-5", ">=5")


def follow_up(fed: Any) -> dict[str, list[tuple[str, str]]]:
    """Give each subject a time in bands and whether the event came; who was followed to the end had none."""
    rng = np.random.default_rng(11)
    said = {}
    for name, site in fed.sites.items():
        bands = rng.choice(4, len(site.runner.values), p=[0.3, 0.2, 0.2, 0.3])
        said[name] = [(YEARS[band], "no" if band == 3 else "yes") for band in bands]
        now = fed.clock.now()
        with writing(site.node.engine) as session:
            session.add(
                DatasetRow(
                    slug="collection", project="p", title="", description="", keywords=[], publisher="",
                    contact=None, licence=None, access_rights="", collection_kind="", data_use=[],
                    stewardship=None, version=0, published_digest=None, created=now, updated=now,
                )
            )  # fmt: skip
            for place, (variable, codes) in enumerate((("followed-years", YEARS), ("died", ("yes", "no")))):
                session.add(
                    VariableDefinitionRow(
                        project="p", name=variable, place=place, source="s", mapping="", run="",
                        definition={"values": [{"code": code} for code in codes]},
                    )
                )  # fmt: skip
                for number, values in enumerate(said[name]):
                    session.add(
                        VariableRow(
                            project="p", subject=f"subject-{number}", variable=variable, value=values[place],
                            source="s", run="",
                        )
                    )  # fmt: skip
    return said


def test_a_survival_curve_of_clinical_variables_equals_that_of_all_rows(fed):
    said = [each for site in follow_up(fed).values() for each in site]
    result, _ = outcome(
        fed,
        send(
            fed,
            statistic="kaplan-meier",
            time="clinical_followed_years",
            event="clinical_died=yes",
            edges=["1", "3", "5"],
        ),
    )
    survival, left = 1.0, len(said)
    for row, band in zip(result["rows"], YEARS, strict=True):
        here = [died for time, died in said if time == band]
        assert (row["at_risk"], row["events"]) == (left, here.count("yes"))
        survival *= 1 - here.count("yes") / left
        left -= len(here)
        assert row["survival"] == pytest.approx(survival, rel=1e-12, abs=1e-12)


def test_a_clinical_variable_that_a_site_does_not_have_is_refused_there(fed):
    job = send(fed, statistic="count", groups=["clinical_smoker"])
    assert fed.site_state(job, "east") == ("failed", "option_refused")


@pytest.mark.parametrize(
    ("value", "number"), [("1998", 1998.0), ("90+", 90.0), ("20-24", 20.0), ("C61", None), ("yes", None)]
)
def test_a_band_is_its_lower_edge_and_a_code_is_no_number(value: str, number: float | None):
    assert as_number(value) == number
