"""Reading the stand-in's folder: `<root>/<project>/<anything>/*.dcm`.

Within a project PatientID makes a subject, StudyInstanceUID a session and SeriesInstanceUID a scan; modalities that
`project.toml` names become ROI collections of their session. Ids derive from those values, so they stay the same when
files are added.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from fairbank.harvest.xnat_standin import dicom_fields
from fairbank.harvest.xnat_standin.about import About, ScanSaid, read_about
from fairbank.harvest.xnat_standin.imports import IMPORTED
from fairbank.harvest.xnat_standin.modalities import session_modality
from fairbank.harvest.xnat_standin.model import (
    IMAGES,
    Project,
    Resource,
    RoiCollection,
    Scan,
    Session,
    StoredFile,
    Subject,
)

_TAGS = [
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "Modality",
    "SeriesNumber",
    "SeriesDescription",
    "StudyDate",
    "SeriesDate",
    "PatientSex",
    "NumberOfFrames",
    "StructureSetLabel",
    *dicom_fields.TAGS,
]


@dataclass(frozen=True, slots=True)
class _Header:
    file: StoredFile
    patient: str
    study: str
    series: str
    instance: str
    modality: str
    number: int
    description: str
    date: str
    sex: str
    frames: int
    dataset: Dataset


class Archive:
    """The projects under a root folder; files that come, change or go are noticed within `recheck_s`."""

    def __init__(self, root: Path, *, recheck_s: float) -> None:
        self._root = root
        self._recheck_s = recheck_s
        self._headers: dict[tuple[Path, int, int], _Header | None] = {}
        self._projects: dict[str, Project] = {}
        self._checked = 0.0
        self._lock = threading.Lock()

    def projects(self) -> list[Project]:
        """Return all projects, sorted by id."""
        with self._lock:
            if time.monotonic() - self._checked > self._recheck_s or not self._projects:
                self._reread()
                self._checked = time.monotonic()
            return list(self._projects.values())

    def project(self, project_id: str) -> Project | None:
        """Return one project."""
        return next((project for project in self.projects() if project.id == project_id), None)

    def _reread(self) -> None:
        headers: dict[tuple[Path, int, int], _Header | None] = {}
        projects: dict[str, Project] = {}
        for folder in sorted(path for path in self._root.iterdir() if path.is_dir()):
            read: list[_Header] = []
            for path in sorted(folder.rglob("*.dcm")):
                status = path.stat()
                key = (path, status.st_size, status.st_mtime_ns)
                headers[key] = self._headers[key] if key in self._headers else _read(*key)
                if (header := headers[key]) is not None:
                    read.append(header)
            about = read_about(folder)
            projects[folder.name] = Project(folder.name, _Filing(folder, about).subjects(read), about)
        self._headers, self._projects = headers, _with_shares(projects)


def _with_shares(projects: dict[str, Project]) -> dict[str, Project]:
    """Return projects with what others share into them: the same ids, under the label of the destination."""
    shared: dict[str, list[Subject]] = {}
    for project in projects.values():
        for subject in project.subjects:
            into: dict[str, list[Session]] = {}
            for session in subject.sessions:
                for share in session.shares:
                    into.setdefault(share.into, []).append(
                        replace(session, label=share.label or session.label)
                    )
            for destination, sessions in into.items():
                shared.setdefault(destination, []).append(replace(subject, sessions=tuple(sessions)))
    return {name: replace(project, shared=tuple(shared.get(name, ()))) for name, project in projects.items()}


def _read(path: Path, size: int, modified_ns: int) -> _Header | None:
    """Return the header of a file, or None if an archive could not have filed it."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS, force=True)
        number = header.get("SeriesNumber")
        frames = header.get("NumberOfFrames")
        found = _Header(
            file=StoredFile(path.name, path, size, modified_ns),
            patient=str(header.get("PatientID") or ""),
            study=str(header.get("StudyInstanceUID") or ""),
            series=str(header.get("SeriesInstanceUID") or ""),
            instance=str(header.get("SOPInstanceUID") or ""),
            modality=str(header.get("Modality") or "OT"),
            number=int(number) if number is not None else 0,
            description=str(header.get("SeriesDescription") or ""),
            date=str(header.get("StudyDate") or ""),
            sex=str(header.get("PatientSex") or ""),
            frames=int(frames) if frames else 1,
            dataset=header,
        )
    except (InvalidDicomError, OSError, ValueError, TypeError, AttributeError, KeyError, EOFError):
        return None
    return found if found.study and found.series and found.instance else None


@dataclass(frozen=True, slots=True)
class _Filing:
    """Turns the headers of one project's folder into subjects."""

    folder: Path
    about: About

    def subjects(self, headers: list[_Header]) -> tuple[Subject, ...]:
        subjects = []
        for patient, group in _grouped(headers, "patient"):
            label = _label(patient)
            counts: dict[str, int] = {}
            sessions = [self._session(label, counts, of_study) for _, of_study in _grouped(group, "study")]
            gender = {"M": "male", "F": "female", "O": "other"}.get(group[0].sex, "unknown")
            said = self.about.of_subject(patient)
            identity = _accession("S", self.folder.name, patient)
            subjects.append(Subject(identity, label, gender, said, tuple(sessions)))
        return tuple(subjects)

    def _session(self, subject_label: str, counts: dict[str, int], headers: list[_Header]) -> Session:
        first = headers[0]
        beside = [header for header in headers if header.modality in self.about.assessors]
        scanned = [header for header in headers if header.modality not in self.about.assessors]
        modality = session_modality(sorted({header.modality for header in scanned or headers}))
        counts[modality] = counts.get(modality, 0) + 1
        label = _given_label(first.file.path) or f"{subject_label}_{modality}{counts[modality]}"
        identity = _accession("E", self.folder.name, first.patient, first.study)
        return Session(
            id=identity,
            owner=self.folder.name,
            label=label,
            owner_label=label,
            uid=first.study,
            modality=modality,
            date=dicom_fields.iso_date(first.date),
            fields=dicom_fields.session_fields(first.dataset, modality),
            said=self.about.of_session(first.study),
            scans=self._scans(scanned),
            assessors=tuple(_roi_collection(identity, header) for header in beside),
            shares=tuple(share for share in self.about.shares if share.study == first.study),
        )

    def _scans(self, headers: list[_Header]) -> tuple[Scan, ...]:
        scans: list[Scan] = []
        taken: set[str] = set()
        for series, group in _grouped(headers, "series"):
            first = group[0]
            scan_id, twin = str(first.number), 0
            while scan_id in taken:
                twin += 1
                scan_id = f"{first.number}-{first.modality}{twin}"
            taken.add(scan_id)
            said = self.about.of_scan(series)
            images = Resource(
                _number(series), IMAGES, "DICOM", "RAW", _files(header.file for header in group)
            )
            scans.append(
                Scan(
                    id=scan_id,
                    number=_number(series),
                    uid=series,
                    modality=first.modality,
                    description=first.description,
                    frames=sum(header.frames for header in group),
                    fields=dicom_fields.scan_fields(first.dataset, first.modality),
                    said=said,
                    resources=(images, *self._others(series, said)),
                )
            )
        return tuple(scans)

    def _others(self, series: str, said: ScanSaid) -> list[Resource]:
        """Return the resources of a scan that are not its images."""
        found = []
        for each in said.resources:
            paths = [path for name in each.files if (path := self.folder / name).is_file()]
            stored = [StoredFile(p.name, p, p.stat().st_size, p.stat().st_mtime_ns) for p in paths]
            number = _number(f"{series}/{each.label}")
            found.append(Resource(number, each.label, each.format, each.content, _files(stored)))
        return found


def _roi_collection(session: str, header: _Header) -> RoiCollection:
    kind = "SEG" if header.modality == "SEG" else header.modality
    date = str(header.dataset.get("SeriesDate") or header.date)
    number = _number(header.instance)
    return RoiCollection(
        id=_accession("A", session, header.instance),
        label=f"{kind}_{date}_{number % 10**6:06d}",
        uid=header.instance,
        kind=kind,
        name=str(header.dataset.get("StructureSetLabel") or header.description),
        date=dicom_fields.iso_date(date),
        resource=Resource(number, kind, "DICOM", "EXTERNAL", (header.file,)),
    )


def _files(stored: Iterable[StoredFile]) -> tuple[StoredFile, ...]:
    files: list[StoredFile] = []
    taken: set[str] = set()
    for file in stored:
        name = file.name
        if name in taken:
            name = f"{Path(name).stem}-{_digest(str(file.path))[:8]}{Path(name).suffix}"
        taken.add(name)
        files.append(replace(file, name=name))
    return tuple(files)


def _given_label(path: Path) -> str:
    """Return what an import called the session of a file; empty for files that lay there."""
    return path.parent.name if path.parent.parent.parent.name == IMPORTED else ""


def _grouped(headers: list[_Header], field: str) -> list[tuple[str, list[_Header]]]:
    def key(header: _Header) -> str:
        return str(getattr(header, field))

    return [(value, list(group)) for value, group in groupby(sorted(headers, key=key), key=key)]


def _accession(kind: str, *parts: str) -> str:
    return f"STANDIN_{kind}{int(_digest('/'.join(parts))[:10], 16) % 10**9:09d}"


def _number(text: str) -> int:
    return int(_digest(text)[:8], 16)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _label(patient: str) -> str:
    return re.sub(r"\W+", "_", patient) or "unnamed"
