"""The stand-in answers as an XNAT does where that has broken harvesters: rights, pages, shares, forms, scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pydicom
import pytest
from fastapi.testclient import TestClient
from pydicom.dataset import Dataset

from fairbank.clock import FixedClock
from fairbank.harvest.xnat_standin.about import Script
from fairbank.harvest.xnat_standin.app import create_app
from fairbank.harvest.xnat_standin.dicom_fields import scan_fields, session_fields
from fairbank.harvest.xnat_standin.faults import Fault, Faults, Trouble
from fairbank.harvest.xnat_standin.rows import stamp
from fairbank.harvest.xnat_standin.site import Site, User

LOGIN = ("reader", "reader")
READER = User(*LOGIN)
HEAD = "1.3.6.1.4.1.5962.1.2.0.977067310.6001.0"


class Asking:
    """A client of a stand-in that serves one folder."""

    def __init__(self, root: Path, site: Site, faults: Faults | None = None) -> None:
        self.site = site
        self.client = TestClient(create_app(root, site=site, recheck_s=0, faults=faults))

    def get(self, path: str, login: tuple[str, str] = LOGIN, **query: str) -> Any:
        return self.client.get(path, params=query, auth=login)

    def rows(self, path: str, login: tuple[str, str] = LOGIN, **query: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.get(path, login, format="json", **query).json()["ResultSet"][
            "Result"
        ]
        return found

    def item(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(path, format="json").json()["items"][0]
        return found

    def session(self, project: str, modality: str) -> dict[str, str]:
        columns = "ID,label,xnat:imageSessionData/UID,xnat:imageSessionData/modality"
        rows = self.rows("/data/experiments", project=project, columns=columns)
        return next(row for row in rows if row["xnat:imagesessiondata/modality"] == modality)


@pytest.fixture
def asking(dicom_root: Path) -> Asking:
    return Asking(dicom_root, Site(users=(READER, User("guest", "guest", projects=frozenset({"BRAIN"})))))


def _say(root: Path, project: str, text: str) -> None:
    (root / project / "project.toml").write_text(text, encoding="utf-8")


def _ids(rows: list[dict[str, str]]) -> list[str]:
    return [row["ID"] for row in rows]


def test_pages_of_one_listing_overlap_and_leave_rows_out(asking: Asking) -> None:
    asking.site.seed = 3
    everything = set(_ids(asking.rows("/data/experiments", columns="ID")))
    pages = [
        _ids(asking.rows("/data/experiments", columns="ID", limit="2", offset=str(at))) for at in (0, 2, 4, 6)
    ]
    together = [each for page in pages for each in page]
    assert len(together) == len(everything) == 8
    assert set(together) < everything


def test_what_a_user_may_not_read_is_taken_out_after_the_page_was_cut(asking: Asking) -> None:
    guest = ("guest", "guest")
    pages = [
        _ids(asking.rows("/data/experiments", guest, columns="ID", limit="1", offset=str(at)))
        for at in range(8)
    ]
    assert sorted(each for page in pages for each in page) == sorted(
        _ids(asking.rows("/data/projects/BRAIN/experiments", guest, columns="ID"))
    )
    assert [] in pages[:-1]


def test_a_page_is_sorted_after_it_was_cut(asking: Asking) -> None:
    asking.site.seed = 5
    pages = [
        [
            row["label"]
            for row in asking.rows("/data/experiments", columns="ID,label", sortBy="label", limit="3")
        ]
        for _ in range(4)
    ]
    assert all(page == sorted(page) for page in pages)
    assert len({tuple(page) for page in pages}) > 1


def test_an_offset_without_a_limit_gives_a_hundred_rows_and_a_star_all(asking: Asking) -> None:
    offset = asking.get("/data/experiments", format="json", columns="ID", offset="1").json()["ResultSet"]
    star = asking.get("/data/experiments", format="json", columns="ID", limit="*").json()["ResultSet"]
    assert ("totalRecords" in offset, len(offset["Result"])) == (False, 7)
    assert (star["totalRecords"], len(star["Result"])) == ("8", 8)


def test_a_range_of_days_is_american_and_an_iso_date_breaks(asking: Asking) -> None:
    rows = asking.rows("/data/experiments", columns="ID,date", date="01/01/2004-12/31/2004")
    assert [row["date"][:4] for row in rows] == ["2004", "2004"]
    assert asking.rows("/data/experiments", columns="ID", date="01/19/2004") != []
    assert asking.get("/data/experiments", columns="ID", date="2004-01-19").status_code == 500


@pytest.mark.parametrize(
    ("status", "path"), [(404, "/data/projects/LIVER"), (403, "/data/projects/LIVER/subjects")]
)
def test_a_project_that_became_private_looks_as_if_it_were_not_there(
    asking: Asking, status: int, path: str
) -> None:
    asking.site.hidden_status = status
    before = len(asking.rows("/data/experiments", columns="ID"))
    asking.site.make_private("LIVER")
    assert asking.get(path).status_code == status
    assert len(asking.rows("/data/experiments", columns="ID")) < before
    asking.site.open_again("LIVER")
    assert asking.get(path).status_code == 200


def test_a_protected_project_is_listed_and_not_read(asking: Asking, dicom_root: Path) -> None:
    _say(dicom_root, "LIVER", 'accessibility = "protected"')
    guest = ("guest", "guest")
    assert _ids(asking.rows("/data/projects", guest)) == ["BRAIN", "LIVER"]
    assert asking.get("/data/projects/LIVER", guest).status_code == 404


def test_a_role_hides_the_sessions_of_a_type(dicom_root: Path) -> None:
    site = Site(users=(User(*LOGIN, hidden_types=frozenset({"xnat:crSessionData"})),))
    asking = Asking(dicom_root, site)
    kinds = {row["xsiType"] for row in asking.rows("/data/projects/LIVER/experiments")}
    assert kinds == {"xnat:ctSessionData"}


def test_a_shared_session_has_one_id_and_the_label_of_where_it_is_shown(
    asking: Asking, dicom_root: Path
) -> None:
    mine = asking.session("LIVER", "CR")
    study = mine["xnat:imagesessiondata/uid"]
    _say(dicom_root, "LIVER", f'shares = [{{ study = "{study}", into = "BRAIN", label = "borrowed" }}]')
    there = {row["ID"]: row for row in asking.rows("/data/projects/BRAIN/experiments")}
    assert (there[mine["ID"]]["label"], there[mine["ID"]]["project"]) == ("borrowed", "BRAIN")
    assert len(_ids(asking.rows("/data/experiments", columns="ID"))) == 8
    item = asking.item(f"/data/projects/BRAIN/experiments/{mine['ID']}")
    share = next(child for child in item["children"] if child["field"] == "sharing/share")["items"][0]
    assert (item["data_fields"]["project"], share["data_fields"]["project"]) == ("LIVER", "BRAIN")
    assert asking.get(f"/data/experiments/{mine['ID']}", ("guest", "guest")).status_code == 200


def test_a_scan_has_several_resources_and_a_join_one_row_for_each(asking: Asking, dicom_root: Path) -> None:
    series = pydicom.dcmread(dicom_root / "LIVER" / "in0" / "0.dcm").SeriesInstanceUID
    (dicom_root / "LIVER" / "one.gif").write_bytes(b"GIF89a")
    picture = '{ label = "SNAPSHOTS", format = "GIF", files = ["one.gif"] }'
    _say(
        dicom_root,
        "LIVER",
        f'scans = [{{ series = "{series}", quality = "unusable", resources = [{picture}] }}]',
    )
    columns = "ID,xnat:imageScanData/UID,xnat:imageScanData/quality,xnat:imageScanData/file/label"
    rows = asking.rows("/data/experiments", project="LIVER", columns=columns)
    mine = [row for row in rows if row["xnat:imagescandata/uid"] == series]
    assert {row["xnat:imagescandata/file/label"] for row in mine} == {"DICOM", "SNAPSHOTS"}
    assert {row["xnat:imagescandata/quality"] for row in mine} == {"unusable"}
    files = asking.rows(f"/data/experiments/{mine[0]['ID']}/scans/ALL/resources/SNAPSHOTS/files")
    assert [(row["Name"], row["Size"]) for row in files] == [("one.gif", "6")]


def test_a_structure_set_is_an_assessor_of_its_session(
    asking: Asking, dicom_root: Path, add_structure_set: Callable[[Path, Dataset], None]
) -> None:
    study = pydicom.dcmread(dicom_root / "LIVER" / "in0" / "0.dcm")
    add_structure_set(dicom_root / "LIVER" / "contours.dcm", study)
    _say(dicom_root, "LIVER", 'assessors = ["RTSTRUCT"]')
    [row] = asking.rows("/data/projects/LIVER/experiments", xsiType="icr:roiCollectionData")
    assert re.match(r"RTSTRUCT_", row["label"])
    [below] = asking.rows(f"/data/experiments/{row['session_ID']}/assessors")
    assert below["ID"] == row["ID"]
    assert asking.item(f"/data/experiments/{row['ID']}")["data_fields"]["collectionType"] == "RTSTRUCT"
    files = f"/data/experiments/{row['session_ID']}/assessors/{row['ID']}/resources/RTSTRUCT/files"
    assert [each["Name"] for each in asking.rows(files)] == ["contours.dcm"]


def test_an_item_tells_who_the_patient_is(asking: Asking) -> None:
    fields = asking.item(f"/data/experiments/{asking.session('LIVER', 'CR')['ID']}")["data_fields"]
    assert (fields["dcmPatientName"], fields["dcmPatientId"]) == ("Doe^Archibald", "77654033")
    assert "prearchivePath" in fields


def test_custom_variables_and_forms_are_where_xnat_has_them(asking: Asking, dicom_root: Path) -> None:
    said = 'patient = "77654033", fields = { Smoker = "yes" }, forms = { f1 = { packs = 12 } }'
    _say(dicom_root, "LIVER", f"subjects = [{{ {said} }}]")
    children = asking.item("/data/projects/LIVER/subjects/77654033")["children"]
    variables = next(child for child in children if child["field"] == "fields/field")["items"]
    assert [each["data_fields"] for each in variables] == [{"name": "smoker", "field": "yes"}]
    form = asking.get("/xapi/custom-fields/projects/LIVER/subjects/77654033/fields")
    assert form.json() == {"f1": {"packs": 12}}


def test_a_switched_off_project_script_looks_like_none(asking: Asking, dicom_root: Path) -> None:
    asking.site.anonymisation = Script(script='version "6.1"', enabled=True)
    _say(dicom_root, "LIVER", '[anonymisation]\nscript = "x"\nenabled = false')
    assert asking.get("/xapi/anonymize/site").text == 'version "6.1"'
    assert asking.get("/xapi/anonymize/site/enabled").text == "true"
    assert asking.get("/xapi/anonymize/projects/LIVER").status_code == 204
    assert asking.get("/xapi/anonymize/projects/LIVER/enabled").text == "false"
    assert asking.get("/xapi/anonymize/projects/NOSUCH").status_code == 500


def test_the_prearchive_names_patients_that_are_not_anonymised_yet(asking: Asking, dicom_root: Path) -> None:
    _say(dicom_root, "LIVER", 'prearchive = [{ subject = "Doe^Jane", name = "1.2.9", status = "RECEIVING" }]')
    [row] = asking.rows("/data/prearchive/projects/LIVER")
    assert (row["subject"], row["status"]) == ("Doe^Jane", "RECEIVING")


def test_a_header_can_be_read_without_its_file(asking: Asking) -> None:
    session = asking.session("LIVER", "CR")["ID"]
    scan = asking.rows(f"/data/experiments/{session}/scans")[0]["ID"]
    src = f"/archive/projects/LIVER/experiments/{session}/scans/{scan}"
    [row] = asking.rows("/data/services/dicomdump", src=src, field="00080060")
    assert (row["tag1"], row["vr"], row["value"]) == ("(0008,0060)", "CS", "CR")


def test_a_token_stands_for_its_user_for_two_days(dicom_root: Path) -> None:
    clock = FixedClock()
    asking = Asking(dicom_root, Site(users=(READER,), clock=clock))
    token = asking.get("/data/services/tokens/issue").json()
    login = (token["alias"], token["secret"])
    assert _ids(asking.rows("/data/projects", login)) == ["BRAIN", "LIVER"]
    clock.advance(49 * 3600)
    assert asking.get("/data/projects", login).status_code == 401


def test_nothing_can_be_written_and_a_browser_must_prove_itself_first(asking: Asking) -> None:
    browser = {"user-agent": "Mozilla/5.0"}
    told = asking.get("/data/JSESSION", CSRF="true").text
    session, proof = told.split("; XNAT_CSRF=")
    asking.client.cookies.set("JSESSIONID", session)
    unproven = asking.client.put("/data/projects/NEW", headers=browser)
    proven = asking.client.put("/data/projects/NEW", params={"XNAT_CSRF": proof}, headers=browser)
    assert (unproven.status_code, proven.status_code) == (400, 403)
    assert asking.client.delete("/data/JSESSION", headers=browser).status_code == 400
    assert asking.client.delete("/data/JSESSION").status_code == 200


def test_a_guest_is_answered_with_what_is_public_and_a_session_of_its_own(dicom_root: Path) -> None:
    _say(dicom_root, "BRAIN", 'accessibility = "public"')
    client = TestClient(create_app(dicom_root, site=Site(users=(READER,), guests=True)))
    answer = client.get("/data/projects", params={"format": "json"})
    assert [row["ID"] for row in answer.json()["ResultSet"]["Result"]] == ["BRAIN"]
    assert answer.cookies["JSESSIONID"]


@pytest.mark.parametrize(
    ("trouble", "status", "text"),
    [
        (Trouble.BAD_GATEWAY, 502, "<html>"),
        (Trouble.BUSY, 503, ""),
        (Trouble.UNAUTHORIZED, 401, "<!DOCTYPE"),
        (Trouble.LOGIN_PAGE, 200, "<!DOCTYPE"),
        (Trouble.ERROR_PAGE, 200, "<html>"),
        (Trouble.TRUNCATED, 200, '{"Result'),
        (Trouble.VANISHING_ROW, 200, '"totalRecords": "1"'),
    ],
)
def test_answers_are_spoilt_on_demand(dicom_root: Path, trouble: Trouble, status: int, text: str) -> None:
    faults = Faults(Fault(trouble, where="/projects", after=1, times=1))
    asking = Asking(dicom_root, Site(users=(READER,)), faults)
    whole = asking.get("/data/projects", format="json").text
    spoilt = asking.get("/data/projects", format="json")
    assert (spoilt.status_code, text in spoilt.text) == (status, True)
    assert asking.get("/data/projects", format="json").text == whole


def test_a_slow_answer_comes_after_its_time(dicom_root: Path) -> None:
    slept: list[float] = []
    faults = Faults(Fault(Trouble.SLOW, where="/projects"), sleep=slept.append)
    assert Asking(dicom_root, Site(users=(READER,)), faults).get("/data/projects").status_code == 200
    assert slept == [30.0]


def test_a_stamp_of_the_hour_that_comes_twice_names_two_moments() -> None:
    zone = ZoneInfo("Europe/Berlin")
    early, late = (datetime(2026, 10, 25, hour, 30, 0, 500_000, tzinfo=UTC) for hour in (0, 1))
    stamps = {stamp(int(moment.timestamp() * 1e9), zone) for moment in (early, late)}
    assert stamps == {"2026-10-25 02:30:00.5"}


def _dataset(**elements: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def test_ct_headers_become_the_paths_that_xnat_writes() -> None:
    header = _dataset(
        Manufacturer="GE MEDICAL SYSTEMS",
        ManufacturerModelName="LightSpeed16",
        KVP="120",
        ConvolutionKernel="STANDARD",
        GantryDetectorTilt="0",
        PixelSpacing=["0.5", "0.75"],
        SliceThickness="1.25",
        Rows=256,
        Columns=512,
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
        RescaleSlope="1",
        CTDIvol=3.25,
    )
    assert scan_fields(header, "CT") == {
        "scanner/manufacturer": "GE MEDICAL SYSTEMS",
        "scanner/model": "LightSpeed16",
        "parameters/kvp": 120,
        "parameters/convolutionKernel": "STANDARD",
        "parameters/gantryTilt": 0,
        "parameters/voxelRes/x": 0.75,
        "parameters/voxelRes/y": 0.5,
        "parameters/voxelRes/z": 1.25,
        "parameters/fov/x": 512,
        "parameters/fov/y": 256,
        "parameters/imageType": "ORIGINAL\\PRIMARY\\AXIAL",
        "parameters/orientation": "Tra",
        "parameters/rescale/slope": "1",
        "parameters/ctDIvol": 3.25,
    }


def test_mr_headers_become_the_paths_that_xnat_writes() -> None:
    header = _dataset(
        StationName="MEDPC",
        MagneticFieldStrength="3",
        RepetitionTime="2400",
        EchoTime="3.08",
        InversionTime="1000",
        FlipAngle="8",
        ImageOrientationPatient=["0", "1", "0", "0", "0", "-1"],
        SeriesTime="093711.25",
        StudyDescription="head",
        OperatorsName="FIRST^OPERATOR",
        PatientBirthDate="19751231",
        PatientAge="030Y",
    )
    assert scan_fields(header, "MR") == {
        "scanner": "MEDPC",
        "operator": "FIRST^OPERATOR",
        "startTime": "09:37:11",
        "fieldStrength": "3.0",
        "parameters/tr": 2400,
        "parameters/te": 3.08,
        "parameters/ti": 1000,
        "parameters/flip": 8,
        "parameters/orientation": "Sag",
    }
    assert session_fields(header, "MR") == {
        "scanner": "MEDPC",
        "operator": "FIRST^OPERATOR",
        "session_type": "head",
        "dcmPatientBirthDate": "1975-12-31",
        "age": 30,
        "fieldStrength": "3.0",
    }
