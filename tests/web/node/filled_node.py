"""A node as it is after some months: held images, jobs and outputs that wait, a ledger, a collection to publish."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.deid.conftest import as_file, ct_dataset
from tests.federated_jobs.conftest import Federation
from tests.web.node.conftest import PHRASE, PORT, AtTheDesk

from fairbank.cli.main import main
from fairbank.clock import FixedClock
from fairbank.federated_jobs.node.approval import Consent, approve
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.index import index_store
from fairbank.harvest.legal_basis import LegalBasis, record_basis
from fairbank.harvest.runs import PullOrder, pull
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.ontology.record import CollectionKind
from fairbank.ontology.signed_objects import Purpose
from fairbank.release.people import add_person
from fairbank.web.node.app import create_app
from fairbank.web.node.desk import Desk

_ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
_PRIVATE = (0x0011, 0x0010), (0x0011, 0x1001)
# Says a text in place of one, such as a hostile one; the second number is how long it may be.
Wording = Callable[[str, int], str]


def plain(text: str, most: int) -> str:
    return text


def empty(folder: Path) -> AtTheDesk:
    """Return a node at which nothing has happened and nobody is named."""
    fed = Federation(folder, FixedClock())
    site = fed.add("east")
    desk = Desk(site.node, source=site.index, user="curator")
    return AtTheDesk(fed, site, desk, create_app(desk, port=PORT))


def fill(folder: Path, say: Wording = plain) -> AtTheDesk:
    """Return a node with two persons and something in each of its queues."""
    at = empty(folder)
    node = at.site.node
    signer = at.site.person("ada")
    add_person(node, "ben", PHRASE, by=signer)
    at.fed.request = functools.partial(  # type: ignore[method-assign]
        at.fed.request,
        organisation=say("University", 200),
        purpose=Purpose(data_use=("DUO:0000042",), statement=say("Research into lungs.", 4_000)),
        title=say("A question", 200),
    )
    _images(at, folder, say)
    job(at, say("An older job", 200))
    at.held_job(signer)
    finished = job(at, say("A job whose output has left", 200))
    approve(node, finished, Consent("-", hold_outputs=False, signer=signer), source=at.site.index)
    at.fed.settle()
    job(at, say("A job that waits", 200), rounds=2)
    return at


def job(at: AtTheDesk, title: str, **options: Any) -> str:
    """Submit a job that then waits at the node."""
    visa = at.fed.visa(terms={"conditions": (title,)})
    made: str = at.fed.submit(at.fed.manifest(visa, **options).model_copy(update={"title": title}))
    at.fed.settle()
    return made


def ultrasound(instance: int, device: str, say: Wording) -> bytes:
    """Return a picture of a device that no list knows, with a name in it and in its header."""
    made = ct_dataset("PAT-US", 9, 9, instance)
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.Modality = _ULTRASOUND, "US"
    made.Manufacturer = device
    made.PatientName = say("Quarzfeld^Ottilie", 60)
    made.StudyDescription = say("Abdomen", 60)
    made.PatientComments = say("none", 4_000)
    made.add_new(_PRIVATE[0], "LO", "MAKER")
    made.add_new(_PRIVATE[1], "LT", say("a private word", 4_000))
    picture = Image.new("L", (96, 64), 30)
    ImageDraw.Draw(picture).text((20, 20), "MILLER", fill=250)
    made.Rows, made.Columns = 64, 96
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit = 7
    made.add_new(0x7FE00010, "OB", np.asarray(picture).tobytes())
    return as_file(made)


def command(home: Path, *words: str | Path) -> None:
    """Run a command of the command line in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fairbank", "--home", str(home), *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
    assert not end.value.code, words


def _images(at: AtTheDesk, folder: Path, say: Wording) -> None:
    node, archive = at.site.node, folder / "archive"
    place = archive / "all" / say("ward 3", 100).replace("/", "_")
    place.mkdir(parents=True)
    for number in range(1, 4):
        (place / f"ct-{number}.dcm").write_bytes(as_file(ct_dataset(f"PAT-{number}", number)))
    scans = folder / "scans"
    scans.mkdir()
    device = say("Nobody Knows", 60)
    for number in range(1, 4):
        name = say("sonography", 100).replace("/", "_")
        (scans / f"{number} {name}.dcm").write_bytes(ultrasound(number, device, say))
    add_source(node, "images", kind=SourceKind.FOLDER, location=str(archive))
    record_basis(node, "all", LegalBasis.ANONYMOUS_DATA, note=say("Made for a test.", 200), by="curator")
    pull(node, PullOrder(source="images", container="all", project="all", agent="curator"))
    command(node.settings.home, "deid", "run", scans, "--project", "all", "--workers", "1")
    about = Description(
        say("Tiny images", 180),
        say("Some tiny images.", 4_000),
        CollectionKind.TEST,
        data_use=("DUO:0000042",),
    )
    define_dataset(node, "tiny", project="all", description=about)
    index_store(node, "tiny")
