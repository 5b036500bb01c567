"""Rows: how projects, subjects, sessions, scans, resources and files look in XNAT's REST tables."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from fairbank.harvest.xnat_standin.model import (
    Project,
    Resource,
    RoiCollection,
    Scan,
    Session,
    Subject,
)
from fairbank.harvest.xnat_standin.tables import Row

PROJECT_COLUMNS = ("ID", "secondary_ID", "name", "description", "pi_firstname", "pi_lastname", "URI")
SUBJECT_COLUMNS = ("ID", "project", "label", "insert_date", "insert_user", "URI")
SESSION_COLUMNS = ("ID", "project", "date", "xsiType", "label", "insert_date", "URI")
ASSESSOR_COLUMNS = (
    "ID",
    "date",
    "xsiType",
    "session_label",
    "session_ID",
    "xnat:imageassessordata/id",
    "label",
    "insert_date",
    "URI",
)
SCAN_COLUMNS = (
    "xnat_imagescandata_id",
    "ID",
    "type",
    "quality",
    "xsiType",
    "note",
    "series_description",
    "URI",
)
RESOURCE_COLUMNS = (
    "xnat_abstractresource_id",
    "label",
    "element_name",
    "category",
    "cat_id",
    "cat_desc",
    "file_count",
    "file_size",
    "tags",
    "content",
    "format",
)
FILE_COLUMNS = (
    "Name",
    "Size",
    "URI",
    "collection",
    "file_tags",
    "file_format",
    "file_content",
    "cat_ID",
    "digest",
)
PREARCHIVE_COLUMNS = (
    "project",
    "subject",
    "name",
    "folderName",
    "timestamp",
    "url",
    "status",
    "uploaded",
    "lastmod",
    "scan_date",
    "scan_time",
    "autoarchive",
    "tag",
    "prevent_anon",
)
# The projects through which a row may be read, with bars between; the table shows it to nobody.
THROUGH = "_through"


def stamp(modified_ns: int, zone: ZoneInfo) -> str:
    """Return a moment as XNAT writes it: server local time, no zone, one to three digits of a second."""
    moment = datetime.fromtimestamp(modified_ns / 1e9, zone)
    thousandths = f"{moment.microsecond // 1000:03d}".rstrip("0") or "0"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{thousandths}"


def project_row(project: Project) -> Row:
    """Return the row of a project."""
    return {
        "id": project.id,
        "secondary_id": project.id,
        "name": project.about.title or project.id,
        "description": project.about.description,
        "pi_firstname": project.about.pi.firstname if project.about.pi else "",
        "pi_lastname": project.about.pi.lastname if project.about.pi else "",
        "uri": f"/data/projects/{project.id}",
        THROUGH: project.id,
    }


def subject_row(project: Project, subject: Subject, zone: ZoneInfo) -> Row:
    """Return the row of a subject."""
    modified = stamp(max(session.modified_ns for session in subject.sessions), zone)
    born = next((str(each.fields.get("dcmPatientBirthDate", "")) for each in subject.sessions), "")
    return {
        "id": subject.id,
        "project": project.id,
        "label": subject.label,
        "gender": subject.gender,
        "dob": born,
        "yob": born[:4],
        "insert_date": modified,
        "insert_user": "standin",
        "last_modified": modified,
        "uri": f"/data/subjects/{subject.id}",
        THROUGH: project.id,
    }


def session_row(project: Project, subject: Subject, session: Session, zone: ZoneInfo) -> Row:
    """Return the row of a session as a project shows it: a shared one under that project's name and label."""
    modified = stamp(session.modified_ns, zone)
    fields = {path.lower(): str(value) for path, value in session.fields.items()}
    return fields | {
        "id": session.id,
        "project": project.id,
        "subject_id": subject.id,
        "subject_label": subject.label,
        "label": session.label,
        "session_label": session.label,
        "date": session.date,
        "uid": session.uid,
        "modality": session.modality,
        "xsitype": session.xsi_type,
        "note": session.said.note,
        "insert_date": modified,
        "last_modified": modified,
        "uri": f"/data/experiments/{session.id}",
        THROUGH: project.id,
    }


def scan_row(session: Session, scan: Scan, zone: ZoneInfo) -> Row:
    """Return the row of a scan."""
    return {path.lower(): str(value) for path, value in scan.fields.items()} | {
        "xnat_imagescandata_id": str(scan.number),
        "id": scan.id,
        "type": scan.kind,
        "quality": scan.said.quality,
        "note": scan.said.note,
        "series_description": scan.description,
        "uid": scan.uid,
        "modality": scan.modality,
        "frames": str(scan.frames),
        "last_modified": stamp(scan.modified_ns, zone),
        "insert_date": stamp(scan.modified_ns, zone),
        "xsitype": scan.xsi_type,
        "uri": f"/data/experiments/{session.id}/scans/{scan.id}",
    }


def joined_rows(project: Project, zone: ZoneInfo) -> list[Row]:
    """Return one row per resource of a project's scans, with the columns of its scan and session."""
    return [
        row
        for subject, session in project.sessions()
        for row in _of_session(session_row(project, subject, session, zone), session, zone)
    ]


def own_rows(project: Project, zone: ZoneInfo) -> list[Row]:
    """Return the rows of a project's own sessions, each readable also through the projects that it is shared into."""
    rows = []
    for subject in project.subjects:
        for session in subject.sessions:
            through = "|".join([project.id, *[share.into for share in session.shares]])
            of_session = session_row(project, subject, session, zone) | {THROUGH: through}
            rows += _of_session(of_session, session, zone)
    return rows


def _of_session(of_session: Row, session: Session, zone: ZoneInfo) -> list[Row]:
    rows = []
    for scan in session.scans:
        of_scan = {f"scan:{name}": value for name, value in scan_row(session, scan, zone).items()}
        for resource in scan.resources:
            of_file = {
                "scan:file/label": resource.label,
                "scan:file/file_count": str(len(resource.files)),
                "scan:file/file_size": str(resource.size),
                "scan:file/format": resource.format,
            }
            rows.append({**of_session, **of_scan, **of_file})
    # A session of which nothing but annotations came has a row of its own, without a scan.
    return rows or [of_session | {"scan:id": ""}]


def assessor_row(project: Project, session: Session, assessor: RoiCollection, zone: ZoneInfo) -> Row:
    """Return the row of an ROI collection."""
    return {
        "id": assessor.id,
        "project": project.id,
        "date": assessor.date,
        "xsitype": assessor.xsi_type,
        "label": assessor.label,
        "session_id": session.id,
        "session_label": session.label,
        "collectiontype": assessor.kind,
        "uid": assessor.uid,
        "name": assessor.name,
        "insert_date": stamp(assessor.modified_ns, zone),
        "last_modified": stamp(assessor.modified_ns, zone),
        "uri": f"/data/experiments/{assessor.id}",
        THROUGH: project.id,
    }


def resource_row(resource: Resource, *, category: str, of: str, description: str) -> Row:
    """Return the row of a resource."""
    return {
        "xnat_abstractresource_id": str(resource.number),
        "label": resource.label,
        "element_name": "xnat:resourceCatalog",
        "category": category,
        "cat_id": of,
        "cat_desc": description,
        "file_count": str(len(resource.files)),
        "file_size": str(resource.size),
        "tags": "",
        "content": resource.content,
        "format": resource.format,
    }


def file_rows(base: str, resource: Resource) -> list[Row]:
    """Return the rows of a resource's files; `base` is the address of what it belongs to."""
    return [
        {
            "name": file.name,
            "size": str(file.size),
            "uri": f"{base}/resources/{resource.number}/files/{file.name}",
            "collection": resource.label,
            "file_tags": "",
            "file_format": resource.format,
            "file_content": resource.content,
            "cat_id": str(resource.number),
            "digest": "",
        }
        for file in resource.files
    ]


def prearchive_rows(project: Project, zone: ZoneInfo) -> list[Row]:
    """Return the rows of what waits in the prearchive: not anonymised yet, and named after the patient."""
    return [
        {
            "project": project.id,
            "subject": waiting.subject,
            "name": waiting.name,
            "foldername": waiting.name,
            "timestamp": f"20260101_{number:09d}",
            "url": f"/prearchive/projects/{project.id}/20260101_{number:09d}/{waiting.name}",
            "status": waiting.status,
            "uploaded": stamp(0, zone),
            "lastmod": stamp(0, zone),
            "scan_date": "2026-01-01",
            "scan_time": "00:00:00",
            "autoarchive": "Manual",
            "tag": "",
            "prevent_anon": "false",
        }
        for number, waiting in enumerate(project.about.prearchive)
    ]
