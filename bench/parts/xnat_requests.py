"""How many requests a session of an XNAT costs: a client that walks through everything, and our table calls.

Both list the same: projects, subjects, sessions, scans and what headers say of each, and how many files there are. The
archive is the stand-in, filled with small images; it counts the requests itself, on the same addresses as a real one.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from fairbank.errors import Sensitive
from fairbank.harvest.sources.xnat import XnatSource
from fairbank.harvest.xnat_standin.app import create_app
from fairbank.harvest.xnat_standin.site import Site, User

PROJECT = "BENCH"
READER = User("reader", "reader")
GOAL = 20


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests per session, and whether both saw the same scans."""

    sessions: int
    scans: int
    naive: float
    ours: float
    same: bool

    @property
    def times_fewer(self) -> float:
        """Return by which factor ours are fewer."""
        return self.naive / self.ours


def requests_per_session(
    *, subjects: int = 30, sessions: int = 2, scans: int = 6, files: int = 2
) -> Requests:
    """Count the requests of naive iteration with pyxnat and of our snapshot and description, on the same archive."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _fill(root / PROJECT, subjects=subjects, sessions=sessions, scans=scans, files=files)
        site = Site(users=(READER,))
        with _served(create_app(root, site=site, recheck_s=3600)) as url:
            naive_scans = _walk_with_pyxnat(url)
            naive = _taken(site)
            our_scans = _harvest(url)
            ours = _taken(site)
    count = subjects * sessions
    return Requests(count, len(our_scans), naive / count, ours / count, naive_scans == our_scans)


def _walk_with_pyxnat(url: str) -> set[str]:
    """Go through everything one by one, and return the series that it saw; their UIDs come by session, not by scan."""
    import pyxnat

    seen: set[str] = set()
    interface = pyxnat.Interface(server=url, user=READER.name, password=READER.password)
    for project in interface.select.projects():
        for subject in project.subjects():
            subject.label()
            for session in subject.experiments():
                rows = interface.array.scans(
                    project_id=project.id(),
                    experiment_id=session.id(),
                    experiment_type=session.datatype(),
                    scan_type="xnat:imageScanData",
                    columns=["xnat:imageScanData/UID"],
                ).data
                seen |= {row["xnat:imagescandata/uid"] for row in rows}
                for scan in session.scans():
                    for resource in scan.resources():
                        list(resource.files())
    interface.disconnect()
    return seen


def _harvest(url: str) -> set[str]:
    source = XnatSource(
        url, READER.name, Sensitive(READER.password, reference="password"), requests_per_s=10_000
    )
    with contextlib.closing(source):
        containers = source.list_containers()
        found = [
            each.description
            for container in containers
            for each in source.describe(container.id, source.snapshot(container.id).items)
        ]
    return {each.series_uid.reveal() for each in found if each is not None}


def _taken(site: Site) -> int:
    count = len(site.log)
    site.log.clear()
    return count


def _fill(folder: Path, *, subjects: int, sessions: int, scans: int, files: int) -> None:
    for subject in range(subjects):
        for session in range(sessions):
            for scan in range(scans):
                for file in range(files):
                    numbers = (subject + 1, session + 1, scan + 1, file + 1)
                    path = folder / "/".join(map(str, numbers[:3])) / f"{numbers[3]}.dcm"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    _image(*numbers).save_as(path, enforce_file_format=True)


def _image(subject: int, session: int, scan: int, file: int) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = CTImageStorage
    study = f"2.25.{subject}.{session}"
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{study}.{scan}.{file}"
    image.StudyInstanceUID, image.SeriesInstanceUID = study, f"{study}.{scan}"
    image.PatientID, image.Modality = f"P{subject:04d}", "CT"
    image.SeriesNumber, image.StudyDate = str(scan), "20260102"
    image.Manufacturer = "SIEMENS"
    return image


@contextlib.contextmanager
def _served(app: object) -> Iterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))  # type: ignore[arg-type]  # an ASGI application
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


if __name__ == "__main__":
    counted = requests_per_session()
    print(counted, f"{counted.times_fewer:.1f} times fewer (goal: {GOAL})")
