"""Real DICOM servers on free loopback ports: Orthanc, and dcmtk's dcmqrscp. They end with the test session."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

USER, PASSWORD = "reader", "reader"
ORTHANC_AE, DCMTK_AE, NODE_AE, MOVE_AE = "ORTHANC", "ARCHIVE", "FAIRBANK", "FAIRBANK_IN"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
# Debian puts servers where a user's PATH need not lead.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
_START_S = 20


def program(name: str) -> str | None:
    """Return the path of a program, None if it is not installed."""
    return shutil.which(name, path=_PATH)


def lacking_orthanc() -> str | None:
    """Return why no Orthanc can be started here, None if one can."""
    if program("Orthanc") is None or not PLUGIN.exists():
        return "Orthanc with its DICOMweb plugin is not installed: apt-get install orthanc orthanc-dicomweb"
    return None


def lacking_dcmtk() -> str | None:
    """Return why dcmtk's tools cannot be run here, None if they can."""
    if any(program(name) is None for name in ("dcmqrscp", "dcmqridx", "findscu")):
        return "dcmtk is not installed: apt-get install dcmtk"
    return None


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc; what the tests ask it themselves goes through its own REST interface."""

    url: str
    dicom_port: int
    move_port: int

    @property
    def dicomweb(self) -> str:
        return f"{self.url}/dicom-web"

    def get(self, path: str) -> Any:
        with self._client() as client:
            return client.get(path).raise_for_status().json()

    def load(self, paths: Iterable[Path]) -> list[Path]:
        """Send files, and return those that it took."""
        taken = []
        with self._client() as client:
            for path in paths:
                headers = {"Content-Type": "application/dicom"}
                if client.post("/instances", content=path.read_bytes(), headers=headers).status_code == 200:
                    taken.append(path)
        return taken

    def delete_series(self, series_uid: str) -> None:
        with self._client() as client:
            found = client.post("/tools/lookup", content=series_uid).json()
            for series in found:
                client.delete(series["Path"]).raise_for_status()

    def clear(self) -> None:
        with self._client() as client:
            for patient in client.get("/patients").json():
                client.delete(f"/patients/{patient}").raise_for_status()
            client.delete("/changes").raise_for_status()

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, auth=(USER, PASSWORD), timeout=30, trust_env=False)


@dataclass(frozen=True)
class Dcmtk:
    """A running dcmqrscp and the folder that it serves."""

    port: int
    folder: Path

    def load(self, paths: Iterable[Path]) -> None:
        """Copy files into its folder and enter them in its index."""
        first = len(list(self.folder.iterdir()))
        copies = []
        for number, path in enumerate(paths, start=first):
            copies.append(self.folder / f"{number:04d}.dcm")
            shutil.copyfile(path, copies[-1])
        tool = program("dcmqridx")
        assert tool
        subprocess.run([tool, self.folder, *copies], check=True, capture_output=True)


@contextlib.contextmanager
def running_orthanc(folder: Path) -> Iterator[Orthanc]:
    """Start an Orthanc whose database is in a folder."""
    http, dicom, move = free_ports(3)
    configuration = {
        "Name": "test",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "Plugins": [str(PLUGIN)],
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "DicomPort": dicom,
        "DicomAet": ORTHANC_AE,
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {"in": [MOVE_AE, "127.0.0.1", move]},
        "StableAge": 1,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "SeriesMetadata": "Full"},
    }
    file = folder / "orthanc.json"
    file.write_text(json.dumps(configuration))
    server = Orthanc(f"http://127.0.0.1:{http}", dicom, move)
    with _running(["Orthanc", str(file)], folder / "orthanc.log", http):
        _until(lambda: server.get("/system"))
        yield server


@contextlib.contextmanager
def running_dcmtk(folder: Path, *, move_port: int = 0) -> Iterator[Dcmtk]:
    """Start a dcmqrscp over an empty folder."""
    (port,) = free_ports(1)
    images = folder / "images"
    images.mkdir()
    file = folder / "dcmqrscp.cfg"
    file.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\nnode = ({MOVE_AE}, 127.0.0.1, {move_port})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\n{DCMTK_AE} {images} RW (500, 1024mb) ANY\nAETable END\n"
    )
    with _running(["dcmqrscp", "-c", str(file)], folder / "dcmqrscp.log", port):
        yield Dcmtk(port, images)


def free_ports(count: int) -> list[int]:
    """Return TCP ports on loopback that were free a moment ago."""
    with contextlib.ExitStack() as probes:
        opened = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in opened:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in opened]


@contextlib.contextmanager
def _running(command: list[str], log: Path, port: int) -> Iterator[None]:
    path = program(command[0])
    assert path
    with log.open("wb") as written:
        # dcmtk's word for not waiting to fill packets: 40 ms less with each message.
        surroundings = os.environ | {"TCP_NODELAY": "1"}
        process = subprocess.Popen([path, *command[1:]], stdout=written, stderr=written, env=surroundings)
    try:
        _until(lambda: _answers(process, port, log))
        yield
    finally:
        # Nothing of it is kept, and stopping in good order takes Orthanc two seconds.
        process.kill()
        process.wait()


def _answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    if process.poll() is not None:
        raise RuntimeError(f"the server has ended: {log.read_text()[-2000:]}")
    socket.create_connection(("127.0.0.1", port), 1).close()


def _until(works: Any) -> None:
    """Wait until a server that is starting answers."""
    deadline = time.monotonic() + _START_S
    while True:
        try:
            works()
            return
        except (OSError, httpx.HTTPError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
