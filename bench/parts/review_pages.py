"""A node's sheets of held pictures in a browser: how long the next forty take, and how many bytes they are.

The node holds ultrasound pictures of a device that no list knows, each with speckle and a name burned in. A turn is
measured inside the page, from the click on the next sheet's link to the last of its pictures; the window is as tall as
a sheet, so that all forty load. Before each turn a second passes.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import uvicorn
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from fairbank.cli.listening import listen
from fairbank.clock import SystemClock
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.legal_basis import record_basis
from fairbank.release.node import init_node, open_node
from fairbank.settings import Settings
from fairbank.web.node.app import create_app
from fairbank.web.node.desk import Desk

SHEET, ROWS, COLUMNS = 40, 480, 640
# Somebody looks at a sheet of forty at least so long; the next one is made ready meanwhile.
LOOKED_AT_MS = 1_000
_ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
# From the click, which the page before has noted in its session storage, to the last picture.
_NOTE = """
document.addEventListener('click', () => sessionStorage.setItem('turned', String(Date.now())), true);
"""
_TURN = """async () => {
  const pictures = [...document.querySelectorAll('.sheet img')];
  await Promise.all(pictures.map((one) => one.complete ? null : new Promise((done) => {
    one.addEventListener('load', done, { once: true });
    one.addEventListener('error', done, { once: true });
  })));
  const small = performance.getEntriesByType('resource').filter((one) => one.initiatorType === 'img');
  return {
    ms: Date.now() - Number(sessionStorage.getItem('turned')),
    bytes: small.reduce((sum, one) => sum + one.transferSize, 0),
    pictures: pictures.filter((one) => one.naturalWidth > 0).length,
  };
}"""


def turns(browser: Any, folder: Path, *, count: int) -> list[dict[str, float]]:
    """Return milliseconds, bytes and number of the pictures of so many turns of a sheet."""
    home = _node(folder)
    found: list[dict[str, float]] = []
    with (
        _served(home) as (desk, address),
        browser.new_context(viewport={"width": 1280, "height": 5000}) as context,
    ):
        tab = context.new_page()
        tab.add_init_script(_NOTE)
        tab.goto(f"{address}/start/{desk.link()}")
        tab.click("main button")
        tab.goto(f"{address}/review")
        tab.click("main li a")
        tab.evaluate(_TURN)
        for _ in range(count):
            # There are two sheets: forth and back, each time from the node, whose pictures no browser keeps.
            tab.wait_for_timeout(LOOKED_AT_MS)
            tab.click("nav.row a")
            tab.wait_for_load_state("load")
            found.append(tab.evaluate(_TURN))
    return found


def _node(folder: Path) -> Path:
    home, scans = folder / "node", folder / "scans"
    node = init_node(replace(Settings(), home=home), SystemClock(), name="north")
    record_basis(node, "all", LegalBasis.ANONYMOUS_DATA, note="made for measuring", by="bench")
    scans.mkdir()
    for number in range(2 * SHEET):
        (scans / f"{number:03}.dcm").write_bytes(_picture(number))
    command = [
        sys.executable,
        "-m",
        "fairbank",
        "--home",
        str(home),
        "deid",
        "run",
        str(scans),
        "--project",
        "all",
    ]
    subprocess.run(command, check=True, capture_output=True)
    return home


def _picture(number: int) -> bytes:
    drawn = np.random.default_rng(number).rayleigh(28.0, (ROWS, COLUMNS)).clip(0, 200).astype(np.uint8)
    picture = Image.fromarray(drawn)
    ImageDraw.Draw(picture).text((20, 20), f"MILLER {number}", fill=250)
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = _ULTRASOUND, generate_uid(entropy_srcs=[f"instance {number}"])
    made.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    made.SeriesInstanceUID = generate_uid(entropy_srcs=["series"])
    made.StudyDate, made.StudyTime, made.InstanceNumber = "20190412", "101500", number + 1
    made.Modality, made.Manufacturer, made.PatientID, made.PatientName = (
        "US",
        "Nobody Knows",
        "P-1",
        "Miller^A",
    )
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    made.Rows, made.Columns = ROWS, COLUMNS
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit = 7
    made.add_new(0x7FE00010, "OB", np.asarray(picture).tobytes())
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = _ULTRASOUND
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, made, enforce_file_format=True)
    return buffer.getvalue()


@contextmanager
def _served(home: Path) -> Iterator[tuple[Desk, str]]:
    desk = Desk(open_node(replace(Settings(), home=home), SystemClock()), user="curator")
    with listen("127.0.0.1", 0, who="The node", todo="") as listening:
        port = int(listening.getsockname()[1])
        server = uvicorn.Server(
            uvicorn.Config(create_app(desk, port=port), log_level="critical", lifespan="off")
        )
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        serving.start()
        try:
            yield desk, f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            serving.join(timeout=10)
