"""What the tests of this room share: a site on a temporary folder, and DICOM files made to order."""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.data import download
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from fairbank.clock import FixedClock
from fairbank.database import NodeBase, connect
from fairbank.deid.cleaning import Cleaned, Held, Order, clean_file
from fairbank.deid.facts import Recorder
from fairbank.deid.identity import IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason
from fairbank.deid.part10 import quiet_pydicom
from fairbank.deid.pipeline import Site
from fairbank.deid.profiles import Profile
from fairbank.deid.research_store import ResearchStore
from fairbank.errors import Sensitive

# Or pydicom asks the network, in vain, for each of the 80 files that it names and does not bring along: 20 s.
download._SIMULATE_NETWORK_OUTAGE = True


@dataclass(frozen=True)
class MemoryInstance:
    """A source file that is in memory."""

    content: bytes
    number: int = 1

    @property
    def reference(self) -> Sensitive[str]:
        return Sensitive(f"/clinic/doe_jane/{self.number}.dcm", reference=f"file #{self.number}")

    def read(self) -> bytes:
        return self.content


def uid(*parts: object) -> str:
    """Return a UID that depends on the parts only."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return f"1.2.826.0.1.3680043.9.{int.from_bytes(digest[:12], 'big')}"


def ct_dataset(patient: str = "PAT-4711", study: int = 1, series: int = 1, instance: int = 1) -> Dataset:
    """Return a small CT image of a patient, with the identifiers that every file has."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = uid(patient, study, series, instance)
    dataset.StudyDate, dataset.StudyTime = "20190412", "101500"
    dataset.AccessionNumber = "ACC99817"
    dataset.Modality = "CT"
    dataset.Manufacturer = "ACME"
    dataset.PatientName = "Quarzfeld^Ottilie"
    dataset.PatientID = patient
    dataset.PatientBirthDate = "19420229"
    dataset.PatientSex = "F"
    dataset.PatientAge = "077Y"
    dataset.StudyInstanceUID = uid(patient, study)
    dataset.SeriesInstanceUID = uid(patient, study, series)
    dataset.FrameOfReferenceUID = uid(patient, study, "frame")
    dataset.InstanceNumber = instance
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = 4
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.add_new(0x7FE00010, "OW", bytes(range(32)))
    return dataset


def as_file(
    dataset: Dataset,
    syntax: str = ExplicitVRLittleEndian,
    *,
    preamble: bytes = b"\0" * 128,
    tail: bytes = b"",
) -> bytes:
    """Return a dataset as a DICOM file, without any of the checks that a careful writer makes."""
    meta = FileMetaDataset()
    meta.FileMetaInformationGroupLength = 0
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", "1.2")
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2")
    meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    meta.SourceApplicationEntityTitle = "OTTILIEPC"
    head, body = DicomBytesIO(), DicomBytesIO()
    body.is_implicit_VR = meta.TransferSyntaxUID.is_implicit_VR
    body.is_little_endian = meta.TransferSyntaxUID.is_little_endian
    with quiet_pydicom():
        write_file_meta_info(head, meta, enforce_standard=False)
        write_dataset(body, dataset)
    return preamble + b"DICM" + head.getvalue() + body.getvalue() + tail


@pytest.fixture(autouse=True)
def repeatable_salts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw keys and salts from a counter, so that a run can be repeated."""
    count = itertools.count()
    monkeypatch.setattr(
        "fairbank.deid.identity.secrets.token_bytes",
        lambda size: hashlib.sha256(str(next(count)).encode()).digest()[:size],
    )


_MISTAKES = (AttributeError, NameError, TypeError, ImportError)


@pytest.fixture(autouse=True)
def mistakes_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise what cleaning takes for a malformed file if it is a mistake of this software's own code."""

    def _held(reason: Reason, *rest: object, **more: object) -> Held:
        error = sys.exception()
        if isinstance(error, _MISTAKES) and _is_ours(error):
            raise error
        return Held(reason, *rest, **more)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr("fairbank.deid.cleaning.Held", _held)


def _is_ours(error: BaseException) -> bool:
    """Return whether an error was raised in a module of the package itself, and not in a library that it called."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place is not None and str(place.tb_frame.f_globals.get("__name__", "")).startswith("fairbank.")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def identity(tmp_path: Path, clock: FixedClock) -> IdentityStore:
    return IdentityStore.create(tmp_path / "identity.db", clock=clock)


@pytest.fixture
def site(tmp_path: Path, identity: IdentityStore, clock: FixedClock) -> Site:
    engine = connect(f"sqlite:///{tmp_path / 'node.db'}")
    NodeBase.metadata.create_all(engine)
    return Site(identity, ResearchStore(tmp_path / "store"), engine, clock)


@pytest.fixture
def recorder(clock: FixedClock) -> Recorder:
    return Recorder(agent="curator", at=clock.now(), tool="fairbank test")


Clean = Callable[..., tuple[bytes, Dataset]]


@pytest.fixture
def clean(identity: IdentityStore, recorder: Recorder) -> Clean:
    """Clean a dataset or a file; return the bytes that come out and the dataset in them."""

    def _clean(source: Dataset | bytes, profile: Profile = Profile.RESEARCH, project: str = "lung"):
        content = source if isinstance(source, bytes) else as_file(source)
        result = clean_file(content, Order(project, Method(profile)), identity=identity, recorder=recorder)
        assert isinstance(result, Cleaned), result
        return result.content, pydicom.dcmread(BytesIO(result.content))

    return _clean
