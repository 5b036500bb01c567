"""What the stand-in holds: projects, subjects, sessions, scans and files, read from a folder of DICOM.

The layout is `<root>/<project>/<anything>/*.dcm`. Within a project PatientID makes a subject, StudyInstanceUID a
session and SeriesInstanceUID a scan. Ids derive from those values, so they stay the same when files are added.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from fairbank.harvest.xnat_standin.about import About, read_about
from fairbank.harvest.xnat_standin.modalities import scan_type, session_modality, session_type

_TAGS = [
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "Modality",
    "SeriesNumber",
    "SeriesDescription",
    "StudyDate",
    "PatientSex",
    "NumberOfFrames",
]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One DICOM file of a scan."""

    name: str
    path: Path
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Scan:
    """One series."""

    id: str
    number: int
    uid: str
    modality: str
    description: str
    frames: int
    files: tuple[StoredFile, ...]

    @property
    def xsi_type(self) -> str:
        """Return the XNAT type of the scan."""
        return scan_type(self.modality)

    @property
    def modified_ns(self) -> int:
        """Return when the newest file of the scan changed, in nanoseconds since 1970."""
        return max(file.modified_ns for file in self.files)


@dataclass(frozen=True, slots=True)
class Session:
    """One study."""

    id: str
    label: str
    uid: str
    modality: str
    date: str
    scans: tuple[Scan, ...]

    @property
    def xsi_type(self) -> str:
        """Return the XNAT type of the session."""
        return session_type(self.modality)

    @property
    def modified_ns(self) -> int:
        """Return when the newest scan of the session changed, in nanoseconds since 1970."""
        return max(scan.modified_ns for scan in self.scans)

    def scan(self, scan_id: str) -> Scan | None:
        """Return a scan by its id."""
        return next((scan for scan in self.scans if scan.id == scan_id), None)


@dataclass(frozen=True, slots=True)
class Subject:
    """One patient of a project."""

    id: str
    label: str
    gender: str
    sessions: tuple[Session, ...]


@dataclass(frozen=True, slots=True)
class Project:
    """One project: a folder of the root."""

    id: str
    subjects: tuple[Subject, ...]
    about: About

    def subject(self, key: str) -> Subject | None:
        """Return a subject by id or label."""
        return next((subject for subject in self.subjects if key in (subject.id, subject.label)), None)

    def sessions(self) -> Iterator[tuple[Subject, Session]]:
        """Yield each session with its subject."""
        for subject in self.subjects:
            for session in subject.sessions:
                yield subject, session


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
            projects[folder.name] = Project(folder.name, _subjects(folder.name, read), read_about(folder))
        self._headers, self._projects = headers, projects


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
        )
    except (InvalidDicomError, OSError, ValueError, TypeError, AttributeError, KeyError, EOFError):
        return None
    return found if found.study and found.series and found.instance else None


def _subjects(project: str, headers: list[_Header]) -> tuple[Subject, ...]:
    subjects = []
    for patient, group in _grouped(headers, "patient"):
        label = _label(patient)
        sessions = []
        counts: dict[str, int] = {}
        for study, of_study in _grouped(group, "study"):
            modality = session_modality(sorted({header.modality for header in of_study}))
            counts[modality] = counts.get(modality, 0) + 1
            sessions.append(
                Session(
                    id=_accession("E", project, patient, study),
                    label=f"{label}_{modality}{counts[modality]}",
                    uid=study,
                    modality=modality,
                    date=_iso_date(of_study[0].date),
                    scans=_scans(of_study),
                )
            )
        gender = {"M": "male", "F": "female"}.get(group[0].sex, "unknown")
        subjects.append(Subject(_accession("S", project, patient), label, gender, tuple(sessions)))
    return tuple(subjects)


def _scans(headers: list[_Header]) -> tuple[Scan, ...]:
    scans: list[Scan] = []
    taken: set[str] = set()
    for series, group in _grouped(headers, "series"):
        first = group[0]
        scan_id, twin = str(first.number), 0
        while scan_id in taken:
            twin += 1
            scan_id = f"{first.number}-{first.modality}{twin}"
        taken.add(scan_id)
        scans.append(
            Scan(
                id=scan_id,
                number=int(_digest(series)[:8], 16),
                uid=series,
                modality=first.modality,
                description=first.description,
                frames=sum(header.frames for header in group),
                files=_files(group),
            )
        )
    return tuple(scans)


def _files(headers: list[_Header]) -> tuple[StoredFile, ...]:
    files: list[StoredFile] = []
    taken: set[str] = set()
    for header in headers:
        name = header.file.name
        if name in taken:
            name = f"{Path(name).stem}-{_digest(str(header.file.path))[:8]}.dcm"
        taken.add(name)
        files.append(StoredFile(name, header.file.path, header.file.size, header.file.modified_ns))
    return tuple(files)


def _grouped(headers: list[_Header], field: str) -> list[tuple[str, list[_Header]]]:
    def key(header: _Header) -> str:
        return str(getattr(header, field))

    return [(value, list(group)) for value, group in groupby(sorted(headers, key=key), key=key)]


def _accession(kind: str, *parts: str) -> str:
    return f"STANDIN_{kind}{int(_digest('/'.join(parts))[:10], 16) % 10**9:09d}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _label(patient: str) -> str:
    return re.sub(r"\W+", "_", patient) or "unnamed"


def _iso_date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if re.fullmatch(r"\d{8}", text) else ""
