"""The stand-in is unfriendly where XNAT is, and runs as a process of its own."""

from __future__ import annotations

import csv
import io
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from fairbank.clock import FixedClock
from fairbank.harvest.xnat_standin.about import read_about
from fairbank.harvest.xnat_standin.app import create_app
from fairbank.harvest.xnat_standin.modalities import scan_type, session_modality, session_type

LOGIN = ("reader", "reader")


@pytest.fixture
def client(dicom_root: Path) -> TestClient:
    return TestClient(create_app(dicom_root))


def _rows(client: TestClient, path: str, **query: str) -> list[dict[str, str]]:
    answer = client.get(path, params={"format": "json", **query}, auth=LOGIN)
    found: list[dict[str, str]] = answer.json()["ResultSet"]["Result"]
    return found


def test_without_a_login_a_page_comes_as_if_all_were_well(client: TestClient) -> None:
    answer = client.get("/data/projects")
    assert (answer.status_code, answer.text[:9]) == (200, "<!DOCTYPE")


def test_a_wrong_password_is_unauthorized(client: TestClient) -> None:
    assert client.get("/data/projects", auth=("reader", "wrong")).status_code == 401


def test_a_session_ends_after_fifteen_idle_minutes(dicom_root: Path) -> None:
    clock = FixedClock()
    client = TestClient(create_app(dicom_root, clock=clock))
    client.get("/data/JSESSION", auth=LOGIN)
    clock.advance(14 * 60)
    inside = client.get("/data/projects").headers["content-type"]
    clock.advance(15 * 60 + 1)
    outside = client.get("/data/projects").headers["content-type"]
    assert ("json" in inside, "html" in outside) == (True, True)


def test_every_value_of_a_table_is_text(client: TestClient) -> None:
    rows = _rows(client, "/data/experiments", project="LIVER", columns="ID,xnat:imageScanData/frames")
    assert rows
    assert all(isinstance(value, str) for row in rows for value in row.values())


def test_json_and_csv_hold_the_same_rows(client: TestClient) -> None:
    query = {"project": "LIVER", "columns": "ID,xnat:imageScanData/ID"}
    answer = client.get("/data/experiments", params={"format": "csv", **query}, auth=LOGIN)
    assert list(csv.DictReader(io.StringIO(answer.text))) == _rows(client, "/data/experiments", **query)


def test_an_unknown_column_vanishes_without_a_word(client: TestClient) -> None:
    row = _rows(client, "/data/projects", columns="ID,nonsense")[0]
    assert "ID" in row
    assert "nonsense" not in row


def test_a_column_asked_for_by_its_path_comes_back_in_lower_case(client: TestClient) -> None:
    assert "xnat:imagescandata/id" in _rows(client, "/data/experiments", columns="xnat:imageScanData/ID")[0]


def test_a_column_of_one_kind_of_session_hides_all_others(client: TestClient) -> None:
    everything = _rows(client, "/data/experiments", columns="ID")
    narrowed = _rows(client, "/data/experiments", columns="ID,xnat:mrSessionData/date")
    assert 0 < len(narrowed) < len(everything)


def test_a_paged_answer_counts_no_total(client: TestClient) -> None:
    query = {"format": "json", "columns": "ID", "limit": "2"}
    result = client.get("/data/experiments", params=query, auth=LOGIN).json()["ResultSet"]
    assert len(result["Result"]) == 2
    assert "totalRecords" not in result


def test_stamps_are_local_time_without_a_zone(client: TestClient) -> None:
    row = _rows(client, "/data/experiments", columns="ID,last_modified")[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{1,3}", row["last_modified"])


def test_an_unknown_project_is_not_found_in_html(client: TestClient) -> None:
    answer = client.get("/data/projects/NOSUCH", auth=LOGIN)
    assert (answer.status_code, "html" in answer.headers["content-type"]) == (404, True)


@pytest.mark.parametrize("text", ["accessibility = 'secret'", "colour = 'red'", "title ="])
def test_a_project_s_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "project.toml").write_text(text)
    with pytest.raises(ValueError):
        read_about(tmp_path)


def test_ids_stay_when_another_patient_is_added(dicom_root: Path) -> None:
    client = TestClient(create_app(dicom_root, recheck_s=0))
    before = {row["ID"] for row in _rows(client, "/data/projects/LIVER/subjects")}
    (dicom_root / "LIVER" / "new.dcm").write_bytes((dicom_root / "BRAIN" / "in0" / "0.dcm").read_bytes())
    after = {row["ID"] for row in _rows(client, "/data/projects/LIVER/subjects")}
    assert before < after
    assert len(after) == len(before) + 1


@pytest.mark.parametrize(
    ("modality", "session", "scan"),
    [
        ("CT", "xnat:ctSessionData", "xnat:ctScanData"),
        ("PT", "xnat:petSessionData", "xnat:petScanData"),
        ("SC", "xnat:otherDicomSessionData", "xnat:scScanData"),
        ("SEG", "xnat:otherDicomSessionData", "xnat:otherDicomScanData"),
    ],
)
def test_modalities_become_xnat_types(modality: str, session: str, scan: str) -> None:
    assert (session_type(modality), scan_type(modality)) == (session, scan)


def test_a_pet_ct_is_a_pet_session() -> None:
    assert session_modality(["CT", "PT"]) == "PT"


def test_the_stand_in_runs_as_a_process(dicom_root: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "fairbank.harvest.xnat_standin",
        "--root",
        str(dicom_root),
        "--port",
        str(port),
    ]
    process = subprocess.Popen(command)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=LOGIN) as client:
            for _ in range(600):
                try:
                    client.get("/")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            assert client.get("/data/version").text == "1.9.3.6"
    finally:
        process.terminate()
        process.wait(10)
