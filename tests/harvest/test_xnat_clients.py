"""Two independent XNAT clients must see in the stand-in exactly what the folder holds."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pydicom
import pytest

Listing = dict[str, dict[str, dict[str, dict[str, dict[str, str]]]]]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def truth(root: Path) -> Listing:
    """Read the folder without the stand-in: project > PatientID > study > series > digest of each file."""
    found: Listing = {}
    for path in sorted(root.rglob("*.dcm")):
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        files = (
            found.setdefault(path.relative_to(root).parts[0], {})
            .setdefault(str(header.PatientID).replace(" ", "_"), {})
            .setdefault(str(header.StudyInstanceUID), {})
            .setdefault(str(header.SeriesInstanceUID), {})
        )
        files[_digest(path.read_bytes())] = str(header.SOPInstanceUID)
    return found


def _instances(contents: list[bytes]) -> dict[str, str]:
    from io import BytesIO

    return {
        _digest(content): str(
            pydicom.dcmread(BytesIO(content), stop_before_pixels=True, force=True).SOPInstanceUID
        )
        for content in contents
    }


def test_xnatpy_sees_what_the_folder_holds(archive_url: str, dicom_root: Path, tmp_path: Path) -> None:
    import xnat

    seen: Listing = {}
    with xnat.connect(archive_url, user="reader", password="reader", loglevel=logging.ERROR) as connection:
        for project in connection.projects.values():
            subjects = seen.setdefault(project.id, {})
            for subject in project.subjects.values():
                sessions = subjects.setdefault(subject.label, {})
                for session in subject.experiments.values():
                    scans = sessions.setdefault(session.uid, {})
                    for scan in session.scans.values():
                        contents = []
                        for resource in scan.resources.values():
                            for number, file in enumerate(resource.files.values()):
                                target = tmp_path / f"{number}.dcm"
                                file.download(str(target), verbose=False)
                                contents.append(target.read_bytes())
                        scans[scan.uid] = _instances(contents)
    assert seen == truth(dicom_root)


def test_pyxnat_sees_what_the_folder_holds(archive_url: str, dicom_root: Path, tmp_path: Path) -> None:
    import pyxnat

    seen: Listing = {}
    interface = pyxnat.Interface(server=archive_url, user="reader", password="reader")
    for project in interface.select.projects():
        subjects = seen.setdefault(project.id(), {})
        for subject in project.subjects():
            sessions = subjects.setdefault(subject.label(), {})
            for session in subject.experiments():
                rows = interface.array.scans(
                    project_id=project.id(),
                    experiment_id=session.id(),
                    experiment_type=session.datatype(),
                    scan_type="xnat:imageScanData",
                    columns=["xnat:imageScanData/UID", "xnat:imageSessionData/UID"],
                ).data
                uids = {row["xnat:imagescandata/id"]: row["xnat:imagescandata/uid"] for row in rows}
                scans = sessions.setdefault(rows[0]["xnat:imagesessiondata/uid"], {})
                for scan in session.scans():
                    files = scan.resource("DICOM").files()
                    contents = [
                        Path(file.get(str(tmp_path / f"{number}.dcm"))).read_bytes()
                        for number, file in enumerate(files)
                    ]
                    scans[uids[scan.id()]] = _instances(contents)
    interface.disconnect()
    assert seen == truth(dicom_root)


def test_pyxnat_gets_one_row_per_scan_from_the_array_call(archive_url: str, dicom_root: Path) -> None:
    import pyxnat

    interface = pyxnat.Interface(server=archive_url, user="reader", password="reader")
    rows = interface.array.scans(
        project_id="LIVER", experiment_type="xnat:ctSessionData", scan_type="xnat:ctScanData"
    ).data
    interface.disconnect()
    headers = [
        pydicom.dcmread(path, stop_before_pixels=True) for path in (dicom_root / "LIVER").rglob("*.dcm")
    ]
    assert len(rows) == len({header.SeriesInstanceUID for header in headers if header.Modality == "CT"})
    assert all(row["xnat:ctscandata/id"] for row in rows)


def test_xnatpy_refuses_a_wrong_password(archive_url: str) -> None:
    import xnat
    from xnat.exceptions import XNATLoginFailedError

    with pytest.raises(XNATLoginFailedError):
        xnat.connect(archive_url, user="reader", password="wrong", loglevel=logging.CRITICAL)


ABOUT = """
title = "Leber – portal"
description = "CT of the abdomen"
keywords = "liver ct"
accessibility = "protected"
pi = { firstname = "Ada", lastname = "Pi" }
investigators = [{ title = "Dr", firstname = "Bo", lastname = "Vine" }]
"""


def test_xnatpy_reads_what_a_project_says_of_itself(archive_url: str, dicom_root: Path) -> None:
    import xnat

    (dicom_root / "LIVER" / "project.toml").write_text(ABOUT, encoding="utf-8")
    with xnat.connect(archive_url, user="reader", password="reader", loglevel=logging.ERROR) as connection:
        liver, brain = connection.projects["LIVER"], connection.projects["BRAIN"]
        assert (liver.name, liver.description, liver.keywords) == (
            "Leber – portal",
            "CT of the abdomen",
            "liver ct",
        )
        assert (liver.pi.firstname, liver.pi.lastname) == ("Ada", "Pi")
        assert [(person.title, person.lastname) for person in liver.investigators] == [("Dr", "Vine")]
        seen = {each.id: connection.get(f"{each.uri}/accessibility").text for each in (liver, brain)}
        assert seen == {"LIVER": "protected", "BRAIN": "private"}
        assert (brain.name, brain.description, brain.pi.lastname) == ("BRAIN", None, None)


def test_pyxnat_reads_what_a_project_says_of_itself(archive_url: str, dicom_root: Path) -> None:
    import pyxnat

    (dicom_root / "LIVER" / "project.toml").write_text(ABOUT, encoding="utf-8")
    interface = pyxnat.Interface(server=archive_url, user="reader", password="reader")
    project = interface.select.project("LIVER")
    assert project.accessibility() == b"protected"
    row = next(
        row for row in interface.get("/data/projects").json()["ResultSet"]["Result"] if row["ID"] == "LIVER"
    )
    assert (row["name"], row["description"], row["pi_lastname"]) == (
        "Leber – portal",
        "CT of the abdomen",
        "Pi",
    )
    interface.disconnect()
