"""A folder of real DICOM in the stand-in's layout, and the stand-in on a free loopback port."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from pydicom.data import get_testdata_file
from tests.harvest.servers import Orthanc, running_orthanc

from fairbank.clock import FixedClock
from fairbank.database import writing
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.consent_store import BasisRow
from fairbank.harvest.xnat_standin.app import create_app
from fairbank.release.node import Node, init_node
from fairbank.settings import Settings

# Real DICOM that pydicom ships in its wheel: several patients, modalities and a study of several series.
FILES = {
    "LIVER": [
        "CT_small.dcm",
        *[f"dicomdirtests/77654033/CT2/{name}" for name in ("17106", "17136", "17166", "17196")],
        "dicomdirtests/77654033/CR1/6154",
        *[f"dicomdirtests/98892001/CT5N/{name}" for name in ("2062", "2392", "2693", "3023", "3353")],
    ],
    "BRAIN": [
        "MR_small.dcm",
        *[f"dicomdirtests/98892003/MR2/{name}" for name in ("4950", "4981", "5011", "6273", "6605", "6935")],
        "dicomdirtests/98892003/MR1/4919",
        "rtplan.dcm",
    ],
}


# The projects into which tests pull; those that need consent use `bare_node`.
PROJECTS = ("liver", "brain", "brains", "lung", "lungs", "thorax", "nothing", "other", "all", "p", "a", "b")


@contextlib.contextmanager
def served(app: object) -> Iterator[str]:
    """Serve an application on a free loopback port and give its address."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))  # type: ignore[arg-type]
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


def bundled(name: str) -> Path:
    """Return the path of a DICOM file in pydicom's wheel."""
    root = Path(get_testdata_file("CT_small.dcm", download=False)).parent
    return root / name


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc that tests fill and clear; mark the test with `@pytest.mark.orthanc`."""
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


@pytest.fixture
def serve() -> Callable[[object], contextlib.AbstractContextManager[str]]:
    return served


@pytest.fixture
def dicom_root(tmp_path: Path) -> Path:
    root = tmp_path / "archive"
    for project, names in FILES.items():
        for number, name in enumerate(names):
            target = root / project / f"in{number}" / f"{number}.dcm"
            target.parent.mkdir(parents=True)
            shutil.copyfile(bundled(name), target)
    return root


@pytest.fixture
def archive_url(dicom_root: Path) -> Iterator[str]:
    with served(create_app(dicom_root)) as url:
        yield url


@pytest.fixture
def bare_node(tmp_path: Path) -> Node:
    """A node that has no legal ground for anything yet."""
    settings = dataclasses.replace(
        Settings(), home=tmp_path / "home", release_minimum_count=2, harvest_requests_per_s=1000
    )
    return init_node(settings, FixedClock(), name="biobank-a")


@pytest.fixture
def node(bare_node: Node) -> Node:
    """A node whose projects hold public test images."""
    with writing(bare_node.engine) as session:
        for project in PROJECTS:
            basis = LegalBasis.ANONYMOUS_DATA.value
            now = bare_node.clock.now()
            session.add(
                BasisRow(project=project, basis=basis, note="test images", recorded_by="tests", recorded=now)
            )
    return bare_node


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("reader\n")
    path.chmod(0o600)
    return path
