"""The measurement database: rows as sites released them, shown under a visa that covers them now and to nobody else."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from pyoxigraph import Store
from sqlalchemy import func, select
from tests.catalogue.granting import Someone, a_request, account_of, propose_and_vote, submit
from tests.federated_jobs.catalogue_rows import iri
from tests.federated_jobs.conftest import BASE
from tests.federated_jobs.test_from_request_to_revocation import World
from typer.testing import CliRunner

from fairbank import audit
from fairbank.analysis.errors import NothingToMerge
from fairbank.catalogue import accounts, blobs, projector
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.governance.store import GrantRow, LegRow
from fairbank.catalogue.measured import in_json
from fairbank.catalogue.store import ArtefactRow, DatasetRow
from fairbank.cli import job_commands, measurements_commands
from fairbank.cli.main import app
from fairbank.client import Client
from fairbank.database import reading, writing
from fairbank.errors import MissingExtra
from fairbank.events import HubEvent
from fairbank.federated_jobs.errors import OptionRefused
from fairbank.federated_jobs.hub import measurement_files, measurements
from fairbank.federated_jobs.hub.rounds import close_ready
from fairbank.federated_jobs.hub.store import MeasurementRow, UpdateRow
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Selector, Visa
from fairbank.signing import seal
from fairbank.web.api_client import HubApi
from fairbank.web.plotting import plot_job

TOOL = "lung-densitometry"
SITES = ("east", "north", "west")


class Reader:
    """Somebody with a token of her own, and perhaps a grant."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.who = world, Someone(world.hub, name, Role.RESEARCHER)
        with writing(world.hub.engine) as session:
            self.token = accounts.issue_token(session, world.hub, name=name, hours=24 * 365).token
        self.request = ""

    def granted(self, *names: str, terms: dict[str, Any] | None = None, **changes: Any) -> Reader:
        hub = self.world.hub
        asked = a_request(hub, self.who, [iri(name) for name in names], **changes)
        self.request = submit(hub, self.who, asked)
        with reading(hub.engine) as session:
            legs = session.scalars(select(LegRow).where(LegRow.request == self.request)).all()
        for leg in legs:
            name = next(one for one in SITES if iri(one) == leg.dataset)
            propose_and_vote(hub, account_of(hub, self.world.chairs[name]), leg.id, **(terms or {}))
        return self

    def get(self, path: str = "/v1/measurements", **asked: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        url = self.world.fed.url + path
        return httpx.get(url, headers=headers, params=asked, timeout=30, verify=False)

    def rows(self, **asked: Any) -> list[dict[str, Any]]:
        answer = self.get(**asked)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["measurements"])


class Ada(Reader):
    def __init__(self, world: World) -> None:
        self.world, self.token = world, world.fed.token


@pytest.fixture
def world(fed: Any) -> World:
    fed.request = partial(type(fed).request, fed, output_classes=(OutputClass.MEASUREMENTS,))
    made = World(fed)
    made.approve()
    return made


@pytest.fixture
def job(world: World) -> str:
    return measured(world)


def measured(world: World, tool: str = TOOL, **options: Any) -> str:
    fed = world.fed
    job = fed.submit(fed.manifest(world.visa(), tool, **options))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.settle()
    assert fed.state(job) == "completed"
    return str(job)


def released(world: World, job: str) -> dict[str, list[dict[str, Any]]]:
    """Return what each site released, as it lies at the hub byte for byte."""
    with reading(world.hub.engine) as session:
        rows = session.execute(select(UpdateRow.node, UpdateRow.digest).where(UpdateRow.job == job)).all()
    return {node: json.loads(blobs.path_of(world.hub, digest).read_bytes())["rows"] for node, digest in rows}


def test_the_requester_sees_each_row_exactly_as_its_site_released_it(world, job):
    found: dict[str, list[dict[str, Any]]] = {}
    for one in Ada(world).rows(limit=1000):
        values = {each["column"]: each["value"] for each in one["values"]}
        own = {name: one[name] for name in ("row", "status", "reason")}
        found.setdefault(one["node"], []).append({**own, **values})
        assert (one["datasets"], one["job"], one["tool"]) == ([iri(one["node"])], job, TOOL)
    assert found == released(world, job)
    assert set(found) == set(SITES)


def test_values_carry_code_and_unit_of_the_contract(world, job):
    by_column = {one["column"]: one for one in Ada(world).rows(limit=1)[0]["values"]}
    assert (by_column["mean_hu"]["biomarker"], by_column["mean_hu"]["unit"]) == ("DCM:112181", "[hnsf'U]")
    assert by_column["laa950_percent"]["unit"] == "%"


def test_who_holds_nothing_sees_nothing_and_is_not_told_that_there_is_any(world, job):
    bob = Reader(world, "bob")
    assert bob.rows() == bob.rows(job=job) == bob.rows(job="no-such-job") == []
    assert bob.get("/v1/measurements/export").text.splitlines() == [",".join(measurement_files.HEADER)]


def test_without_an_account_nothing_is_answered(world, job):
    assert httpx.get(world.fed.url + "/v1/measurements", verify=False).status_code == 401


def test_another_with_a_visa_of_her_own_sees_the_datasets_that_it_covers(world, job):
    bob = Reader(world, "bob").granted("east", "west")
    assert {row["node"] for row in bob.rows(limit=1000)} == {"east", "west"}
    assert bob.rows(dataset=iri("north")) == []


@pytest.mark.parametrize("command", ["revoke", "withdraw"])
def test_with_the_grant_the_sight_ends_also_of_what_one_measured_oneself(world, job, command):
    ada = Ada(world)
    assert ada.rows(dataset=iri("east"))
    if command == "revoke":
        world.give("east", "revoke")
    else:
        with writing(world.hub.engine) as session:
            row = session.scalars(select(DatasetRow).where(DatasetRow.iri == iri("east"))).one()
            row.withdrawn = world.fed.clock.now()
    assert ada.rows(dataset=iri("east")) == []
    assert {row["node"] for row in ada.rows(limit=1000)} == {"north", "west"}


def test_a_pause_hides_and_a_resumption_shows_again(world, job):
    ada = Ada(world)
    world.command("pause")
    assert ada.rows() == []
    world.command("resume")
    assert ada.rows()


def test_a_visa_that_is_over_shows_nothing(world, job):
    world.fed.clock.advance(timedelta(days=31).total_seconds())
    assert Ada(world).rows() == []


def test_a_visa_for_other_output_classes_does_not_cover_measurements(world, job):
    bob = Reader(world, "bob").granted("east", output_classes=(OutputClass.MODEL_UPDATE,))
    assert bob.rows() == []


def test_a_visa_over_a_part_of_a_dataset_does_not_cover_what_was_measured_in_all_of_it(world, job):
    bob = Reader(world, "bob").granted("east", terms={"selector": Selector(modality=("CT",))})
    assert bob.rows() == []


def test_a_visa_for_other_tools_does_not_cover_what_this_one_measured(world, job):
    assert Reader(world, "bob").granted("east", terms={"tool_families": ("radiomics",)}).rows() == []
    assert Reader(world, "eve").granted("east", terms={"tool_families": ("measurements",)}).rows()


def test_a_visa_of_an_older_form_opens_nothing(world, job):
    with writing(world.hub.engine) as session:
        for row in session.scalars(select(GrantRow)):
            row.envelope = seal(Visa.kind, {"schema": "visa/1", "id": "x"}, world.hub.key)
    assert Ada(world).rows() == []


def test_filters_narrow_and_a_biomarker_leaves_its_own_columns_only(world, job):
    other, ada = measured(world, "intensity-geometry"), Ada(world)
    assert {row["job"] for row in ada.rows(limit=1000)} == {job, other}
    assert {row["job"] for row in ada.rows(tool="intensity-geometry", limit=1000)} == {other}
    found = ada.rows(biomarker="DCM:112181", limit=1000)
    assert {row["job"] for row in found} == {job}
    assert {one["biomarker"] for row in found for one in row["values"]} == {"DCM:112181"}
    assert ada.rows(tool="radiomics") == ada.rows(biomarker="IBSI:LFYI") == []


def test_pages_come_to_the_same_rows_as_one_page_each_once(world, job):
    ada, paged, after = Ada(world), [], None
    while True:
        answer = ada.get(limit=4, **({"after": after} if after else {})).json()
        paged += answer["measurements"]
        after = answer["next"]
        if after is None:
            break
    assert paged == ada.rows(limit=1000)
    assert len(paged) > 8


@pytest.mark.parametrize(
    "asked", [{"after": "x"}, {"after": "1"}, {"biomarker": "heart"}, {"biomarker": "'; --"}]
)
def test_what_cannot_be_asked_is_refused_in_words(world, job, asked):
    answer = Ada(world).get(**asked)
    assert (answer.status_code, answer.json()["code"]) == (400, "FB-JOBS-250")


def test_csv_has_a_line_for_each_value(world, job):
    ada = Ada(world)
    lines = list(csv.DictReader(io.StringIO(ada.get("/v1/measurements/export").text)))
    expected = sum(one["value"] is not None for row in ada.rows(limit=1000) for one in row["values"])
    assert len(lines) == expected
    assert {line["unit"] for line in lines if line["column"] == "mean_hu"} == {"[hnsf'U]"}


def test_parquet_says_the_same_as_csv(world, job, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    ada, file = Ada(world), tmp_path / "m.parquet"
    answer = ada.get("/v1/measurements/export", format="parquet", biomarker="DCM:112181")
    file.write_bytes(answer.content)
    table = parquet.read_table(file).to_pylist()
    lines = csv.DictReader(io.StringIO(ada.get("/v1/measurements/export", biomarker="DCM:112181").text))
    assert [(one["node"], one["row"], one["number"]) for one in table] == [
        (one["node"], one["row"], float(one["number"])) for one in lines
    ]
    assert table
    assert not list((world.hub.blobs / "incoming").glob("measurements-*"))


def test_parquet_without_its_library_says_which_extra_to_install(monkeypatch):
    monkeypatch.setattr(measurement_files, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="parquet"):
        measurement_files.check_writable(measurement_files.FileFormat.PARQUET)


def test_who_asked_and_who_exported_is_in_the_audit_log(world, job):
    Ada(world).rows(job=job)
    Ada(world).get("/v1/measurements/export", job=job)
    with reading(world.hub.engine) as session:
        entries = session.scalars(
            select(audit.HubAudit)
            .where(audit.HubAudit.act.like("measurements.%"))
            .order_by(audit.HubAudit.seq)
        ).all()
    assert [(one.act, one.actor, one.target) for one in entries] == [
        ("measurements.query", "ada", job),
        ("measurements.export", "ada", job),
    ]


def test_rows_are_kept_once_however_often_a_round_is_closed(world, job):
    close_ready(world.hub)
    with reading(world.hub.engine) as session:
        kept = session.scalar(select(func.count()).select_from(MeasurementRow))
    assert kept == sum(len(rows) for rows in released(world, job).values())


def test_a_training_leaves_no_measurements(fed):
    world = World(fed)
    world.approve()
    world.started()
    fed.settle()
    with reading(fed.hub.engine) as session:
        assert session.scalar(select(func.count()).select_from(MeasurementRow)) == 0


def test_a_dataset_says_which_biomarkers_in_how_many_jobs_and_no_value(world, job):
    measured(world)
    with reading(world.hub.engine) as session:
        found = measurements.biomarkers_of(session, iri("east"))
        assert measurements.biomarkers_of(session, f"{BASE}/datasets/east/none") == []
    (density,) = [one for one in in_json(found) if one["code"] == "DCM:112181"]
    assert (density["tool"], density["jobs"]) == (TOOL, 2)
    assert density["label"].endswith("lung-densitometry, 2 jobs")
    assert set(density) == {"code", "iri", "label", "tool", "jobs"}


def test_the_rdf_view_leads_from_a_dataset_over_the_job_to_the_result_and_what_it_measured(world, job):
    with writing(world.hub.engine) as session:
        newest = session.scalar(select(func.max(HubEvent.seq))) or 0
        projector._enter_artefacts(session, world.hub, after=0, until=newest)
    store = Store()
    with reading(world.hub.engine) as session:
        for graph in session.scalars(select(ArtefactRow.graph)).all():
            store.extend(projector.graph_quads(session, world.hub.base_iri, graph))
    found = store.query(
        f"""
        PREFIX prov: <http://www.w3.org/ns/prov#> PREFIX dct: <http://purl.org/dc/terms/>
        PREFIX skos: <http://www.w3.org/2004/02/skos/core#>
        SELECT DISTINCT ?code ?job WHERE {{
          ?activity prov:used <{iri("east")}> ; dct:identifier ?job .
          ?result prov:wasGeneratedBy ?activity ; prov:wasDerivedFrom <{iri("east")}> ; dct:subject ?what .
          ?what skos:notation ?code ; skos:exactMatch ?term .
        }}""",
        use_default_graph_as_union=True,
    )
    assert ("DCM:112181", job) in {(one["code"].value, one["job"].value) for one in found}


def connected(world: World, home: Path) -> HubApi:
    return HubApi(world.fed.url, clock=world.fed.clock, home=home, token=world.fed.token)


def test_the_python_client_has_measurements_as_a_table_and_plots(world, job, tmp_path):
    pytest.importorskip("pandas")
    client = Client(api=connected(world, tmp_path))
    found = client.measurements(biomarker="DCM:112181")
    assert set(found["node"]) == set(SITES)
    assert set(found["biomarker"]) == {"DCM:112181"}
    assert "<svg" in client.plot(job, "forest", "mean_hu")
    client.close()


def test_an_export_is_written_for_its_owner_only(world, job, tmp_path):
    api = connected(world, tmp_path)
    file = api.save("/v1/measurements/export", tmp_path / "m.csv", job=job)
    assert file.read_text().startswith("datasets,node,job")
    assert file.stat().st_mode & 0o077 == 0
    api.close()


def test_plots_come_with_the_results_also_of_a_tool_without_a_mean(world, job, tmp_path):
    api = connected(world, tmp_path)
    files = {one["name"] for one in api.get(f"/v1/jobs/{job}/results", signed_in=True)["files"]}
    assert files == {"forest.svg", "plot.svg", "table.csv", "table.json"}
    with pytest.raises(OptionRefused, match="pie"):
        plot_job(api, job, "pie")
    with pytest.raises(NothingToMerge, match="same column"):
        plot_job(api, job, "bland-altman", "mean_hu")
    other = measured(world)
    # The same series has another name in every job.
    with pytest.raises(NothingToMerge, match="0 series"):
        plot_job(api, job, "bland-altman", "mean_hu", other=other)
    api.close()


def test_the_commands_show_and_write_what_may_be_seen(world, job, tmp_path, monkeypatch):
    monkeypatch.setattr(measurements_commands, "api", lambda ctx: connected(world, tmp_path))
    monkeypatch.setattr(job_commands, "api", lambda ctx: connected(world, tmp_path))
    runner, file, picture = CliRunner(), tmp_path / "m.csv", tmp_path / "f.svg"
    words = ["measurements", "query", "--biomarker", "DCM:112181", "--limit", "2", "--format", "json"]
    shown = runner.invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert {one["biomarker"] for one in json.loads(shown.stdout)} == {"DCM:112181"}
    assert "--after" in shown.stderr
    assert runner.invoke(app, ["measurements", "export", "--to", str(file)]).exit_code == 0
    lines = len(file.read_text().splitlines())
    assert lines > 10
    written = runner.invoke(app, ["measurements", "export", "--to", str(file)])
    assert f"({lines - 1} values)" in written.stderr
    assert runner.invoke(app, ["measurements", "export", "--to", str(tmp_path / "m.xlsx")]).exit_code == 2
    table = runner.invoke(app, ["measurements", "query", "--biomarker", "DCM:112181", "--limit", "2"]).stdout
    # Names that fit a screen: node and dataset, and the place of a row.
    assert "east/collection" in table and "s000001 " in table and "http" not in table
    drawn = runner.invoke(app, ["job", "plot", job, "--kind", "forest", "--to", str(picture)])
    assert drawn.exit_code == 0, drawn.output
    assert "<svg" in picture.read_text()
