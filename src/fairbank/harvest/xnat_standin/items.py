"""Rows and items: how the stand-in's projects, subjects, sessions, scans and files look in XNAT's REST answers."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from fairbank.harvest.xnat_standin.about import Investigator
from fairbank.harvest.xnat_standin.archive import Project, Scan, Session, StoredFile, Subject
from fairbank.harvest.xnat_standin.tables import Row

PROJECT_COLUMNS = ("ID", "secondary_ID", "name", "description", "pi_firstname", "pi_lastname", "URI")
SUBJECT_COLUMNS = ("ID", "project", "label", "insert_date", "insert_user", "URI")
SESSION_COLUMNS = ("ID", "project", "date", "xsiType", "label", "insert_date", "URI")
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
RESOURCE = "DICOM"

Item = dict[str, object]


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
    }


def subject_row(project: Project, subject: Subject, zone: ZoneInfo) -> Row:
    """Return the row of a subject."""
    modified = stamp(max(session.modified_ns for session in subject.sessions), zone)
    return {
        "id": subject.id,
        "project": project.id,
        "label": subject.label,
        "gender": subject.gender,
        "insert_date": modified,
        "insert_user": "standin",
        "last_modified": modified,
        "uri": f"/data/subjects/{subject.id}",
    }


def session_row(project: Project, subject: Subject, session: Session, zone: ZoneInfo) -> Row:
    """Return the row of a session."""
    modified = stamp(session.modified_ns, zone)
    return {
        "id": session.id,
        "project": project.id,
        "subject_id": subject.id,
        "subject_label": subject.label,
        "label": session.label,
        "session_label": session.label,
        "session_type": "",
        "date": session.date,
        "uid": session.uid,
        "modality": session.modality,
        "xsitype": session.xsi_type,
        "insert_date": modified,
        "last_modified": modified,
        "uri": f"/data/experiments/{session.id}",
    }


def scan_row(session: Session, scan: Scan, zone: ZoneInfo) -> Row:
    """Return the row of a scan."""
    return {
        "xnat_imagescandata_id": str(scan.number),
        "id": scan.id,
        "type": scan.description,
        "quality": "usable",
        "note": "",
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
    """Return one row per scan of a project, with its session's columns: what a joined table call gives."""
    rows = []
    for subject, session in project.sessions():
        of_session = session_row(project, subject, session, zone)
        for scan in session.scans:
            of_scan = {f"scan:{name}": value for name, value in scan_row(session, scan, zone).items()}
            of_file = {
                "scan:file/label": RESOURCE,
                "scan:file/file_count": str(len(scan.files)),
                "scan:file/file_size": str(sum(file.size for file in scan.files)),
            }
            rows.append({**of_session, **of_scan, **of_file})
    return rows


def resource_row(scan: Scan) -> Row:
    """Return the row of a scan's one resource."""
    return {
        "xnat_abstractresource_id": str(scan.number),
        "label": RESOURCE,
        "element_name": "xnat:resourceCatalog",
        "category": "scans",
        "cat_id": scan.id,
        "cat_desc": scan.description,
        "file_count": str(len(scan.files)),
        "file_size": str(sum(file.size for file in scan.files)),
        "tags": "",
        "content": "RAW",
        "format": "DICOM",
    }


def file_row(session: Session, scan: Scan, file: StoredFile) -> Row:
    """Return the row of a file."""
    return {
        "name": file.name,
        "size": str(file.size),
        "uri": f"/data/experiments/{session.id}/scans/{scan.id}/resources/{scan.number}/files/{file.name}",
        "collection": RESOURCE,
        "file_tags": "",
        "file_format": "DICOM",
        "file_content": "RAW",
        "cat_id": str(scan.number),
        "digest": "",
    }


def item(xsi_type: str, fields: dict[str, object], children: list[Item] | None = None) -> Item:
    """Return one item as the JSON of an item address holds it."""
    return {
        "children": children or [],
        "meta": {"create_event_id": 1, "xsi:type": xsi_type, "isHistory": False},
        "data_fields": fields,
    }


def scan_item(session: Session, scan: Scan) -> Item:
    """Return the item of a scan; numbers are numbers here."""
    resource: dict[str, object] = {
        "xnat_abstractresource_id": scan.number,
        "label": RESOURCE,
        "file_count": len(scan.files),
        "file_size": sum(file.size for file in scan.files),
        "format": "DICOM",
        "content": "RAW",
    }
    fields: dict[str, object] = {
        "ID": scan.id,
        "UID": scan.uid,
        "type": scan.description,
        "series_description": scan.description,
        "modality": scan.modality,
        "quality": "usable",
        "frames": scan.frames,
        "image_session_ID": session.id,
        "xnat_imagescandata_id": scan.number,
    }
    return item(
        scan.xsi_type,
        fields,
        [{"field": "file", "items": [item("xnat:resourceCatalog", resource)]}],
    )


def session_item(project: Project, subject: Subject, session: Session) -> Item:
    """Return the item of a session with its scans; like XNAT's, it holds what identifies the patient."""
    fields: dict[str, object] = {
        "ID": session.id,
        "id": session.id,
        "project": project.id,
        "label": session.label,
        "date": session.date,
        "UID": session.uid,
        "modality": session.modality,
        "subject_ID": subject.id,
        "dcmPatientId": subject.label,
    }
    scans: list[object] = [scan_item(session, scan) for scan in session.scans]
    return item(session.xsi_type, fields, [{"field": "scans/scan", "items": scans}])


def subject_item(project: Project, subject: Subject) -> Item:
    """Return the item of a subject with its sessions."""
    demographics = item("xnat:demographicData", {"gender": subject.gender})
    sessions: list[object] = [session_item(project, subject, session) for session in subject.sessions]
    return item(
        "xnat:subjectData",
        {"ID": subject.id, "project": project.id, "label": subject.label},
        [
            {"field": "demographics", "items": [demographics]},
            {"field": "experiments/experiment", "items": sessions},
        ],
    )


def project_item(project: Project) -> Item:
    """Return the item of a project; what it does not say of itself is left out."""
    about = project.about
    fields: dict[str, object] = {
        "ID": project.id,
        "id": project.id,
        "name": about.title or project.id,
        "secondary_ID": project.id,
    }
    fields |= {name: text for name in ("description", "keywords") if (text := getattr(about, name))}
    children: list[Item] = []
    if about.pi:
        children.append({"field": "PI", "items": [_investigator(about.pi)]})
    if about.investigators:
        persons: list[object] = [_investigator(each) for each in about.investigators]
        children.append({"field": "investigators/investigator", "items": persons})
    return item("xnat:projectData", fields, children)


def _investigator(person: Investigator) -> Item:
    names = {name: text for name, text in person.model_dump().items() if text}
    return item("xnat:investigatorData", names)
