"""An archive that says a lot of its sessions, behind the stand-in, and time that nobody waits for."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest

from fairbank.clock import FixedClock
from fairbank.errors import Sensitive
from fairbank.harvest.sources.pace import Machine
from fairbank.harvest.sources.xnat import Marks, SubjectName, XnatSource
from fairbank.harvest.xnat_standin.about import NAME, Script
from fairbank.harvest.xnat_standin.app import create_app
from fairbank.harvest.xnat_standin.faults import Faults
from fairbank.harvest.xnat_standin.site import Site, User

READER = User("reader", "reader")


class Time:
    """A clock that moves only when somebody sleeps, or is told to."""

    def __init__(self) -> None:
        self.clock = FixedClock(datetime(2026, 11, 29, 12, tzinfo=UTC))
        self.slept: list[float] = []
        self._s = 0.0

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self._s += seconds
        self.clock.advance(seconds)

    def machine(self) -> Machine:
        """Return what the source is given in the place of the machine."""
        return Machine(self.sleep, lambda: self._s, self.clock, random.Random(1))


class Xnat:
    """Stand-ins that a test opens, each with the source that reads it."""

    def __init__(
        self, root: Path, serve: Callable[[object], AbstractContextManager[str]], time: Time
    ) -> None:
        self.root = root
        self.time = time
        self.site = Site(users=(READER,), clock=time.clock)
        self.url = ""
        self._serve = serve
        self._open = ExitStack()

    def source(
        self,
        *,
        faults: Faults | None = None,
        user: User = READER,
        requests_per_s: float = 1000,
        subject: SubjectName = SubjectName.PATIENT_ID,
        marks: Marks = Marks.ITEM,
    ) -> XnatSource:
        """Serve the archive, and return a source that reads it as a user."""
        app = create_app(self.root, recheck_s=0, site=self.site, faults=faults)
        self.app = app
        self.url = self._open.enter_context(self._serve(app))
        return self.again(user=user, requests_per_s=requests_per_s, subject=subject, marks=marks)

    def serving(self, app: object) -> AbstractContextManager[str]:
        """Serve another application."""
        return self._serve(app)

    def again(
        self,
        *,
        url: str = "",
        user: User = READER,
        requests_per_s: float = 1000,
        subject: SubjectName = SubjectName.PATIENT_ID,
        marks: Marks = Marks.ITEM,
    ) -> XnatSource:
        """Return another source that reads the archive which is served."""
        source = XnatSource(
            url or self.url,
            user.name,
            Sensitive(user.password, reference="password"),
            name="archive",
            requests_per_s=requests_per_s,
            subject=subject,
            marks=marks,
            machine=self.time.machine(),
        )
        self._open.callback(source.close)
        return source

    def say(self, project: str, text: str) -> None:
        """Write what a project says of itself."""
        (self.root / project / NAME).write_text(text, encoding="utf-8")

    def headers(self, *projects: str) -> list[pydicom.Dataset]:
        """Return the headers of the files below some projects, read without the stand-in."""
        return [
            pydicom.dcmread(path, stop_before_pixels=True)
            for project in projects
            for path in sorted((self.root / project).rglob("*.dcm"))
        ]

    def asked(self) -> list[str]:
        """Return the paths asked for so far, and forget them."""
        paths = [each.path for each in self.site.log]
        self.site.log.clear()
        return paths

    def close(self) -> None:
        """Close sources and servers."""
        self._open.close()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def xnat(
    dicom_root: Path, serve: Callable[[object], AbstractContextManager[str]], time: Time
) -> Iterator[Xnat]:
    opened = Xnat(dicom_root, serve, time)
    yield opened
    opened.close()


@pytest.fixture
def add_structure_set() -> Callable[[Path, pydicom.Dataset], None]:
    """Put a structure set beside a study: pydicom's own, moved into it."""

    def add(path: Path, study: pydicom.Dataset) -> None:
        from pydicom.data import get_testdata_file

        shutil.copyfile(str(get_testdata_file("rtstruct.dcm", download=False)), path)
        dataset = pydicom.dcmread(path, force=True)
        dataset.PatientID, dataset.StudyInstanceUID = study.PatientID, study.StudyInstanceUID
        dataset.save_as(path)

    return add


@pytest.fixture
def scripts() -> Callable[..., Script]:
    return lambda text, *, enabled=True: Script(script=text, enabled=enabled)
