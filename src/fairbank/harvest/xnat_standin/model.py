"""What an archive holds: projects, subjects, sessions, scans, ROI collections, resources and files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairbank.harvest.xnat_standin.about import About, ScanSaid, SessionSaid, Share, SubjectSaid
from fairbank.harvest.xnat_standin.dicom_fields import Fields
from fairbank.harvest.xnat_standin.modalities import scan_type, session_type

IMAGES = "DICOM"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a resource."""

    name: str
    path: Path
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Resource:
    """Files under one label: the images of a scan, its snapshots, converted images."""

    number: int
    label: str
    format: str
    content: str
    files: tuple[StoredFile, ...]

    @property
    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Scan:
    """One series; `fields` is what the archive read from its headers, `said` what people say of it."""

    id: str
    number: int
    uid: str
    modality: str
    description: str
    frames: int
    fields: Fields
    said: ScanSaid
    resources: tuple[Resource, ...]

    @property
    def xsi_type(self) -> str:
        """Return the XNAT type of the scan."""
        return scan_type(self.modality)

    @property
    def kind(self) -> str:
        """Return what XNAT calls its type: the description, where there is one."""
        return self.description or "unknown"

    @property
    def images(self) -> Resource:
        """Return the resource of its images."""
        return self.resources[0]

    @property
    def modified_ns(self) -> int:
        """Return when the newest image of the scan changed, in nanoseconds since 1970."""
        return max(file.modified_ns for file in self.images.files)


@dataclass(frozen=True, slots=True)
class RoiCollection:
    """An annotation that is filed beside the scans: a segmentation or a structure set."""

    id: str
    label: str
    uid: str
    kind: str
    name: str
    date: str
    resource: Resource

    xsi_type = "icr:roiCollectionData"

    @property
    def modified_ns(self) -> int:
        """Return when it changed, in nanoseconds since 1970."""
        return max(file.modified_ns for file in self.resource.files)


@dataclass(frozen=True, slots=True)
class Session:
    """One study.

    Attributes:
        owner: the project that it belongs to.
        label: what it is called in the project that shows it.
        owner_label: what it is called in the project that it belongs to.
        shares: where else it is shown.
    """

    id: str
    owner: str
    label: str
    owner_label: str
    uid: str
    modality: str
    date: str
    fields: Fields
    said: SessionSaid
    scans: tuple[Scan, ...]
    assessors: tuple[RoiCollection, ...]
    shares: tuple[Share, ...]

    @property
    def xsi_type(self) -> str:
        """Return the XNAT type of the session."""
        return session_type(self.modality)

    @property
    def modified_ns(self) -> int:
        """Return when what came first into the session changed: a later scan does not move it, as in an XNAT."""
        return min(
            [*(each.modified_ns for each in self.scans), *(each.modified_ns for each in self.assessors)]
        )

    def scan(self, scan_id: str) -> Scan | None:
        """Return a scan by its id."""
        return next((scan for scan in self.scans if scan.id == scan_id), None)


@dataclass(frozen=True, slots=True)
class Subject:
    """One patient of a project."""

    id: str
    label: str
    gender: str
    said: SubjectSaid
    sessions: tuple[Session, ...]


@dataclass(frozen=True, slots=True)
class Project:
    """One project: a folder of the root; `shared` is what other projects share into it, as this one calls it."""

    id: str
    subjects: tuple[Subject, ...]
    about: About
    shared: tuple[Subject, ...] = ()

    @property
    def shown(self) -> tuple[Subject, ...]:
        """Return all subjects that the project shows: its own and those shared into it."""
        return (*self.subjects, *self.shared)

    def subject(self, key: str) -> Subject | None:
        """Return a subject by id or label."""
        return next((subject for subject in self.shown if key in (subject.id, subject.label)), None)

    def sessions(self) -> Iterator[tuple[Subject, Session]]:
        """Yield each session that the project shows, with its subject."""
        for subject in self.shown:
            for session in subject.sessions:
                yield subject, session
