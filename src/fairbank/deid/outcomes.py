"""What can become of one file: a status and a machine-readable reason; neither says anything about a person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from fairbank.deid.profiles import Profile


class Status(StrEnum):
    """How the work on one item ended."""

    OK = "ok"
    NOT_NEEDED = "notneeded"
    IMPOSSIBLE = "impossible"
    ERROR = "error"


class Reason(StrEnum):
    """Why an item was not cleaned. The table in docs/reference/deidentification.md explains each."""

    ALREADY_DONE = "already-done"
    ALREADY_DEIDENTIFIED = "already-deidentified"
    DISCARDED = "discarded"

    BURNED_IN = "burned-in-annotation"
    PIXELS_UNVERIFIED = "pixels-unverified"
    PIXELS_REVIEW = "pixels-review"
    PIXELS_UNREADABLE = "pixels-unreadable"
    TEXT_REMAINS = "text-remains"
    TEXT_TOOLS_MISSING = "text-tools-missing"
    IDENTIFIER_IN_PIXELS = "identifier-in-pixels"
    ENCAPSULATED_DOCUMENT = "encapsulated-document"
    STRUCTURED_REPORT = "structured-report"
    MEDIA_DIRECTORY = "media-directory"
    UNKNOWN_SOP_CLASS = "unknown-sop-class"
    UNKNOWN_TRANSFER_SYNTAX = "unknown-transfer-syntax"
    UNKNOWN_CHARACTER_SET = "unknown-character-set"
    UIDS_MISSING = "uids-missing"
    PIXELS_MISSING = "pixels-missing"
    OVERLAY_IN_PIXELS = "overlay-in-pixels"
    UNDECODABLE = "undecodable"
    IDENTIFIER_FOUND = "identifier-found"
    NOT_VERIFIED = "not-verified"
    SEEN_IDENTIFYING = "seen-identifying"
    FACE = "face"
    FACE_REMAINS = "face-remains"
    FACE_TOOLS_MISSING = "face-tools-missing"
    DUPLICATE_INSTANCE = "duplicate-instance"
    MIXED_SUBJECTS = "mixed-subjects"
    WITHDRAWN = "withdrawn"
    NO_CONSENT = "no-consent"

    EMPTY = "empty"
    NOT_DICOM = "not-dicom"
    TRUNCATED = "truncated"
    UNREADABLE = "unreadable"
    WORKER_LOST = "worker-lost"

    @property
    def status(self) -> Status:
        """Return the status that goes with this reason."""
        if self in _NOT_NEEDED:
            return Status.NOT_NEEDED
        return Status.ERROR if self in _ERRORS else Status.IMPOSSIBLE


_NOT_NEEDED = frozenset({Reason.ALREADY_DONE, Reason.ALREADY_DEIDENTIFIED, Reason.DISCARDED})
_ERRORS = frozenset({Reason.EMPTY, Reason.NOT_DICOM, Reason.TRUNCATED, Reason.UNREADABLE, Reason.WORKER_LOST})


class Refused(Exception):
    """A file cannot be cleaned; carries the reason and nothing of the file.

    Args:
        reason: why.
        group: under which name a curator decides of such files, where whoever refuses knows better than the header.
    """

    def __init__(self, reason: Reason, *, group: str | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.group = group


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item.

    `item` is the item's local reference ("file #17"), never its path. The UIDs and the subject are pseudonyms;
    `path` is relative to the research store. `quarantine` is the neutral name under which a held file is listed.
    """

    item: str
    status: Status
    profile: Profile
    reason: Reason | None = None
    subject: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    sop_uid: str | None = None
    path: PurePosixPath | None = None
    quarantine: str | None = None
