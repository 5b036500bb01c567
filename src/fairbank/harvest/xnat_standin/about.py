"""What a project says of itself: a file `project.toml` in its folder; without one it is private and says nothing.

title = "Liver, portal venous phase"
description = "CT of the abdomen, with contrast."
keywords = "liver ct"
accessibility = "protected"          # private, protected or public
assessors = ["SEG", "RTSTRUCT"]      # modalities that are filed as ROI collections, not as scans

[pi]
firstname = "Ada"
lastname = "Pi"

[[investigators]]
title = "Dr"
firstname = "Bo"
lastname = "Vine"

[anonymisation]                      # the project's own script
script = "version \"6.1\"\n(0010,0010) := subject"
enabled = true

[[subjects]]                         # one patient: custom variables and the answers of custom forms
patient = "77654033"
fields = { smoker = "yes" }
forms = { b1f0 = { pack_years = 12 } }

[[sessions]]                         # one study
study = "1.2.3"
note = "seen by Dr Vine"
acquisition_site = "Ward 7"
fields = { dose = "low" }
validation = { status = "Passed", method = "visual", notes = "good" }

[[scans]]                            # one series
series = "1.2.3.4"
quality = "questionable"
note = "moved"
resources = [{ label = "SNAPSHOTS", format = "GIF", content = "THUMBNAIL", files = ["pictures/one.gif"] }]

[[shares]]                           # a session of this project that is shared into another one
study = "1.2.3"
into = "OTHER"
label = "other_label"

[[prearchive]]                       # a session that waits, not yet anonymised
subject = "Doe^Jane"
name = "1.2.9"
status = "READY"
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

NAME = "project.toml"


class Accessibility(StrEnum):
    """Who sees a project in an archive: its members, all see that it is there, or all see everything."""

    PRIVATE = "private"
    PROTECTED = "protected"
    PUBLIC = "public"


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Investigator(_Said):
    """Somebody who is responsible for a project."""

    title: str = ""
    firstname: str = ""
    lastname: str = ""


class Script(_Said):
    """An anonymisation script, and whether the archive applies it."""

    script: str = ""
    enabled: bool = False


class SubjectSaid(_Said):
    """What is said of one patient: custom variables by name, and answers of custom forms."""

    patient: str
    fields: dict[str, str] = {}
    forms: dict[str, Any] = {}


class Validation(_Said):
    """What somebody found who looked at a session or a scan."""

    status: str = ""
    method: str = ""
    notes: str = ""
    validated_by: str = ""


class SessionSaid(_Said):
    """What is said of one study."""

    study: str
    note: str = ""
    acquisition_site: str = ""
    fields: dict[str, str] = {}
    forms: dict[str, Any] = {}
    validation: Validation | None = None


class ResourceSaid(_Said):
    """Files that belong to a scan and are not its images; their paths are below the project's folder."""

    label: str
    format: str = ""
    content: str = ""
    files: tuple[str, ...] = ()


class ScanSaid(_Said):
    """What is said of one series."""

    series: str
    quality: str = "usable"
    note: str = ""
    validation: Validation | None = None
    resources: tuple[ResourceSaid, ...] = ()


class Share(_Said):
    """A session that is also shown in another project, under another label."""

    study: str
    into: str
    label: str = ""


class Waiting(_Said):
    """A session in the prearchive."""

    subject: str
    name: str
    status: str = "READY"


class About(_Said):
    """The file's content; an archive knows keywords as one text with spaces between."""

    title: str = ""
    description: str = ""
    keywords: str = ""
    accessibility: Accessibility = Accessibility.PRIVATE
    assessors: tuple[str, ...] = ()
    pi: Investigator | None = None
    investigators: tuple[Investigator, ...] = ()
    anonymisation: Script | None = None
    subjects: tuple[SubjectSaid, ...] = ()
    sessions: tuple[SessionSaid, ...] = ()
    scans: tuple[ScanSaid, ...] = ()
    shares: tuple[Share, ...] = ()
    prearchive: tuple[Waiting, ...] = ()

    def of_subject(self, patient: str) -> SubjectSaid:
        """Return what is said of a patient, which may be nothing."""
        return next((said for said in self.subjects if said.patient == patient), SubjectSaid(patient=patient))

    def of_session(self, study: str) -> SessionSaid:
        """Return what is said of a study, which may be nothing."""
        return next((said for said in self.sessions if said.study == study), SessionSaid(study=study))

    def of_scan(self, series: str) -> ScanSaid:
        """Return what is said of a series, which may be nothing."""
        return next((said for said in self.scans if said.series == series), ScanSaid(series=series))


def read_about(folder: Path) -> About:
    """Return what a project's folder says of it.

    Raises:
        ValueError: if its file is not of this form.
    """
    file = folder / NAME
    return About(**tomllib.loads(file.read_text(encoding="utf-8"))) if file.exists() else About()
