"""Items: how projects, subjects, sessions and scans look at their own addresses, with all that belongs to them.

Numbers are numbers here. Like XNAT's own, the items of sessions and scans hold what identifies the patient.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from fairbank.harvest.xnat_standin.about import Investigator, Validation
from fairbank.harvest.xnat_standin.model import Project, Resource, RoiCollection, Scan, Session, Subject

Item = dict[str, object]


class Items:
    """Writes items with the archive's clock: a day, a time, and a short name of the zone that may mean two."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    def item(
        self, xsi_type: str, fields: dict[str, object], children: list[Item] | None = None, *, at_ns: int = 0
    ) -> Item:
        """Return one item as the JSON of an item address holds it."""
        meta = {
            "create_event_id": 1,
            "xsi:type": xsi_type,
            "isHistory": False,
            "start_date": f"{datetime.fromtimestamp(at_ns / 1e9, self._zone):%a %b %d %H:%M:%S %Z %Y}",
        }
        return {"children": children or [], "meta": meta, "data_fields": fields}

    def resource(self, resource: Resource) -> Item:
        """Return the item of a resource; its path on the server's disk is in it."""
        number = resource.number
        fields: dict[str, object] = {
            "xnat_abstractresource_id": number,
            "xnat_abstractResource_id": number,
            "label": resource.label,
            "URI": f"/data/xnat/archive/arc001/{number}/{resource.label}/{number}_catalog.xml",
            "file_count": len(resource.files),
            "file_size": resource.size,
            "format": resource.format,
            "content": resource.content,
        }
        return self.item("xnat:resourceCatalog", fields)

    def scan(self, session: Session, scan: Scan) -> Item:
        """Return the item of a scan."""
        fields: dict[str, object] = scan.fields | {
            "ID": scan.id,
            "UID": scan.uid,
            "type": scan.kind,
            "modality": scan.modality,
            "quality": scan.said.quality,
            "frames": scan.frames,
            "image_session_ID": session.id,
            "xnat_imagescandata_id": scan.number,
        }
        fields |= dict(_texts(note=scan.said.note, series_description=scan.description))
        resources: list[object] = [self.resource(resource) for resource in scan.resources]
        children: list[Item] = [{"field": "file", "items": resources}]
        return self.item(
            scan.xsi_type,
            fields,
            [*children, *self._validation(scan.said.validation)],
            at_ns=scan.modified_ns,
        )

    def assessor(self, session: Session, assessor: RoiCollection) -> Item:
        """Return the item of an ROI collection."""
        fields: dict[str, object] = {
            "ID": assessor.id,
            "id": assessor.id,
            "UID": assessor.uid,
            "project": session.owner,
            "label": assessor.label,
            "date": assessor.date,
            "collectionType": assessor.kind,
            "name": assessor.name,
            "imageSession_ID": session.id,
        }
        children: list[Item] = [{"field": "out/file", "items": [self.resource(assessor.resource)]}]
        return self.item(assessor.xsi_type, fields, children, at_ns=assessor.modified_ns)

    def session(self, subject: Subject, session: Session) -> Item:
        """Return the item of a session with its scans: what its own project says, whoever asks."""
        fields: dict[str, object] = session.fields | {
            "ID": session.id,
            "id": session.id,
            "project": session.owner,
            "label": session.owner_label,
            "date": session.date,
            "UID": session.uid,
            "modality": session.modality,
            "subject_ID": subject.id,
            "prearchivePath": f"/data/xnat/prearchive/{session.owner}/20260101_000000000/{subject.label}",
        }
        fields |= dict(_texts(note=session.said.note, acquisition_site=session.said.acquisition_site))
        scans: list[object] = [self.scan(session, scan) for scan in session.scans]
        children: list[Item] = [{"field": "scans/scan", "items": scans}]
        children += self._named("xnat:experimentData_field", session.said.fields)
        if session.shares:
            shares: list[object] = [
                self.item("xnat:experimentData_share", {"project": share.into, "label": share.label})
                for share in session.shares
            ]
            children.append({"field": "sharing/share", "items": shares})
        if session.assessors:
            assessors: list[object] = [self.assessor(session, each) for each in session.assessors]
            children.append({"field": "assessors/assessor", "items": assessors})
        children += self._validation(session.said.validation)
        return self.item(session.xsi_type, fields, children, at_ns=session.modified_ns)

    def subject(self, project: Project, subject: Subject) -> Item:
        """Return the item of a subject with its sessions."""
        demographics = self.item("xnat:demographicData", {"gender": subject.gender})
        sessions: list[object] = [self.session(subject, session) for session in subject.sessions]
        return self.item(
            "xnat:subjectData",
            {"ID": subject.id, "project": project.id, "label": subject.label},
            [
                {"field": "demographics", "items": [demographics]},
                {"field": "experiments/experiment", "items": sessions},
                *self._named("xnat:subjectData_field", subject.said.fields),
            ],
        )

    def project(self, project: Project) -> Item:
        """Return the item of a project; what it does not say of itself is left out."""
        about = project.about
        fields: dict[str, object] = {
            "ID": project.id,
            "id": project.id,
            "name": about.title or project.id,
            "secondary_ID": project.id,
        }
        fields |= dict(_texts(description=about.description, keywords=about.keywords))
        children: list[Item] = []
        if about.pi:
            children.append({"field": "PI", "items": [self._investigator(about.pi)]})
        if about.investigators:
            persons: list[object] = [self._investigator(each) for each in about.investigators]
            children.append({"field": "investigators/investigator", "items": persons})
        return self.item("xnat:projectData", fields, children)

    def _investigator(self, person: Investigator) -> Item:
        return self.item("xnat:investigatorData", dict(_texts(**person.model_dump())))

    def _validation(self, said: Validation | None) -> list[Item]:
        if said is None:
            return []
        found = self.item("xnat:validationData", dict(_texts(**said.model_dump())))
        return [{"field": "validation", "items": [found]}]

    def _named(self, xsi_type: str, values: dict[str, str]) -> list[Item]:
        """Return custom variables: one item each, its name in lower case, as XNAT has it."""
        if not values:
            return []
        each: list[object] = [
            self.item(xsi_type, {"name": name.lower(), "field": value}) for name, value in values.items()
        ]
        return [{"field": "fields/field", "items": each}]


def _texts(**said: str) -> list[tuple[str, str]]:
    return [(name, text) for name, text in said.items() if text]
