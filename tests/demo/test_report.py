"""What the demo reports, leaves behind, and says has left each site."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import select

from fairbank import audit
from fairbank.database import connect, reading
from fairbank.ontology.outputs import DoorClass
from fairbank.release import ledger
from fairbank.release.ledger import Entry, EntryState
from fairbank.release.store import DecisionRow
from fairbank.signing import sha256_digest

SITES = ["harbour", "northfield", "southvale"]


@pytest.fixture
def report(told: Any, tmp_path: Path) -> dict[str, Any]:
    """The report as it is written to a file."""
    told.report.write(tmp_path / "report.json")
    written: dict[str, Any] = json.loads((tmp_path / "report.json").read_text())
    return written


def test_three_biobanks_publish_what_they_hold(report: dict[str, Any]) -> None:
    assert report["nodes"] == 3 and report["datasets"] >= 3
    assert report["series"] >= 29 and report["subjects"] > 0
    assert 0 < report["held"] < report["files"]
    assert report["k"] == 2 and report["cells"] > 0


def test_the_catalogue_answers_and_access_is_granted(report: dict[str, Any]) -> None:
    assert report["sparql_rows"] > 0
    assert report["request_state"] == "granted"


@pytest.mark.parametrize("name", SITES)
def test_a_person_of_each_site_signed_its_record_and_both_jobs(told: Any, name: str) -> None:
    site = next(site for site in told.federation.sites if site.biobank.name == name)
    with reading(site.node.engine) as session:
        signed = [(row.act, row.person) for row in session.scalars(select(DecisionRow))]
    assert ("record.approve", site.biobank.curator) in signed
    assert signed.count(("job.approve", site.biobank.curator)) >= 2


def test_the_analysis_brings_rows_of_all_sites(report: dict[str, Any]) -> None:
    analysis = report["analysis"]
    # Of each site, but not those that were left out for a reason of few subjects.
    assert analysis["sites"] == 3 and 20 <= analysis["rows"] < 29
    with Path(analysis["table"]).open() as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) == analysis["rows"]
    with (Path(analysis["table"]).parent / "exclusions.csv").open() as opened:
        left_out = list(csv.DictReader(opened))
    assert {one["site"] for one in left_out} == set(SITES)
    assert all(int(one["subjects"]) >= 2 for one in left_out if one["subjects"] != "<2")


def test_the_training_is_measured_against_pooled_data(report: dict[str, Any]) -> None:
    training = report["training"]
    assert training["rounds"] >= 3
    assert training["federated_metric"] > training["untrained_metric"]
    assert training["centralised_metric"] > training["untrained_metric"]
    assert training["seconds_per_round"] > 0 and training["seconds_training"] > 0
    assert training["model"].startswith("sha256:")


def test_the_model_leads_back_to_what_it_was_trained_on(report: dict[str, Any]) -> None:
    assert report["provenance_models"] >= 1


def test_the_time_it_took_is_told(report: dict[str, Any]) -> None:
    assert 0 < report["seconds_to_first_result"] < report["seconds_total"]


def test_the_model_that_was_fetched_is_the_one_reported(told: Any, report: dict[str, Any]) -> None:
    fetched = (told.home / "results" / "model.safetensors").read_bytes()
    assert sha256_digest(fetched) == report["training"]["model"]


def test_the_plot_is_a_picture_that_says_what_it_shows(report: dict[str, Any]) -> None:
    root = ElementTree.parse(report["analysis"]["plot"]).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    title = root.find("{http://www.w3.org/2000/svg}title")
    assert title is not None and (title.text or "").strip()


# -- what left the sites -----------------------------------------------------------------------------------------


def entries(told: Any, name: str) -> list[Entry]:
    site = next(site for site in told.federation.sites if site.biobank.name == name)
    with reading(site.node.engine) as session:
        return ledger.entries(session, limit=1_000_000)


def seen(told: Any, name: str) -> list[tuple[DoorClass, bytes]]:
    """Return the bodies that the relay saw from a node, with the class that they went as."""
    site = next(site for site in told.federation.sites if site.biobank.name == name)
    return [
        (DoorClass(one.headers.get("fairbank-class", DoorClass.CONTROL)), bytes(one.body))
        for one in list(told.relay.sent)
        if one.key == site.node.key.key_id and one.body
    ]


@pytest.mark.parametrize("name", SITES)
def test_what_left_a_site_is_reported_by_class(report: dict[str, Any], name: str) -> None:
    assert set(report["released"][name]) == {"control", "record", "result", "update"}
    assert all(size > 0 for size in report["released"][name].values())


@pytest.mark.parametrize("name", SITES)
def test_every_body_that_a_site_sent_is_in_its_ledger(told: Any, name: str) -> None:
    bodies = seen(told, name)
    # Read after the relay: a line is written before its body leaves.
    written = {(entry.door_class, entry.digest) for entry in entries(told, name)}
    assert bodies and {(door, sha256_digest(body)) for door, body in bodies} <= written


@pytest.mark.parametrize("name", SITES)
def test_what_the_ledger_says_has_left_is_what_was_seen(told: Any, name: str) -> None:
    left = [entry for entry in entries(told, name) if entry.state is EntryState.SENT]
    bodies = seen(told, name)
    assert Counter((entry.door_class, entry.digest) for entry in left) <= Counter(
        (door, sha256_digest(body)) for door, body in bodies
    )
    for door in (DoorClass.RECORD, DoorClass.RESULT, DoorClass.UPDATE):
        # A piece that is sent again counts once.
        arrived = sum(len(body) for body in {body for where, body in bodies if where is door})
        assert arrived == sum(entry.size_bytes for entry in left if entry.door_class is door)
        in_the_demo = (entry for entry in left if entry.door_class is door and entry.noted <= told.ended)
        assert told.report.released[name][door.value] == sum(entry.size_bytes for entry in in_the_demo)


def test_nobody_but_the_three_sites_and_people_sent_anything(told: Any) -> None:
    keys = {site.node.key.key_id for site in told.federation.sites}
    assert {one.key for one in told.relay.sent} == keys | {""}
    unsigned = {one.path.split("?")[0] for one in told.relay.sent if not one.key and one.body}
    assert not any(path.startswith(("/v1/releases", "/v1/nodes", "/v1/leases")) for path in unsigned)


# -- what can be checked afterwards ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hub", *SITES])
def test_the_audit_log_holds_together(told: Any, name: str) -> None:
    file, table = ("hub.db", audit.HubAudit) if name == "hub" else ("node.db", audit.NodeAudit)
    engine = connect(f"sqlite:///{told.home / name / file}")
    with reading(engine) as session:
        assert audit.verify(session, table).seq > 5
    engine.dispose()


def test_every_home_and_key_is_private(told: Any) -> None:
    for name in ("hub", *SITES, "ada", "grace"):
        assert (told.home / name).stat().st_mode & 0o077 == 0
        for key in (told.home / name / "keys").glob("*.pem"):
            assert key.stat().st_mode & 0o077 == 0


def test_results_that_moved_are_named_where_they_are(told: Any) -> None:
    moved = replace(told.report, analysis=replace(told.report.analysis))
    moved.move_results(Path("/elsewhere"))
    assert moved.analysis.plot == "/elsewhere/plot.svg" and moved.analysis.table == "/elsewhere/table.csv"


def test_a_home_that_holds_something_is_refused(told: Any) -> None:
    from fairbank.demo.biobanks import DemoError
    from fairbank.demo.run import check_home

    with pytest.raises(DemoError, match="is not empty") as caught:
        check_home(told.home)
    assert caught.value.todo
