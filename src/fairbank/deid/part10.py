"""DICOM files as bytes (DICOM PS3.10): read without decoding values, written with nothing outside the dataset.

The preamble is zeroed, the file meta information rebuilt from four facts, and nothing follows the dataset.
"""

from __future__ import annotations

import logging
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

from pydicom import config, dcmread
from pydicom.charset import python_encoding
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from fairbank.deid.elements import text_of
from fairbank.deid.encoding import Encoding
from fairbank.deid.outcomes import Reason, Refused

PREAMBLE_BYTES = 128
# A fixed UID under 2.25, made once for this software.
IMPLEMENTATION_CLASS_UID = UID("2.25.214163520385846172364183750214687214395")
IMPLEMENTATION_VERSION_NAME = "FAIRBANK"


@dataclass(frozen=True, slots=True)
class Written:
    """A file's bytes, and its dataset's bytes before any deflating."""

    content: bytes
    body: bytes


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from checking values and from printing them: its warnings quote what they complain about."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def read(content: bytes) -> Dataset:
    """Return the dataset of a DICOM file, its elements still as they are in the file.

    Call inside `quiet_pydicom`.

    Raises:
        Refused: if the bytes are empty, no DICOM file, truncated, or in an unknown transfer syntax or character set.
    """
    if not content:
        raise Refused(Reason.EMPTY)
    if content[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] != b"DICM":
        raise Refused(Reason.NOT_DICOM)
    mode = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.RAISE  # else an early end of file goes unnoticed
    try:
        dataset = dcmread(BytesIO(content))
    except EOFError as err:
        raise Refused(Reason.TRUNCATED) from err
    except InvalidDicomError as err:
        raise Refused(Reason.NOT_DICOM) from err
    except LookupError as err:
        if type(err) is not LookupError:
            raise
        raise Refused(
            Reason.UNKNOWN_CHARACTER_SET
        ) from err  # only pydicom's charset module raises the bare class
    finally:
        config.settings.reading_validation_mode = mode
    _check_syntax(dataset)
    return dataset


def write(dataset: Dataset) -> Written:
    """Return a cleaned dataset as a DICOM file in the transfer syntax that it was read in."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    plain = Encoding(syntax.is_implicit_VR, syntax.is_little_endian).dataset(dataset)
    head = DicomBytesIO()
    write_file_meta_info(head, _meta(dataset, syntax), enforce_standard=False)
    packed = _deflated(plain) if syntax == DeflatedExplicitVRLittleEndian else plain
    return Written(b"".join((b"\0" * PREAMBLE_BYTES, b"DICM", head.getvalue(), packed)), plain)


def _meta(dataset: Dataset, syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationGroupLength = 0  # worked out while writing
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(text_of(dataset, 0x00080016))
    meta.MediaStorageSOPInstanceUID = UID(text_of(dataset, 0x00080018))
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta


def _check_syntax(dataset: Dataset) -> None:
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None or UID(syntax).type != "Transfer Syntax":
        raise Refused(Reason.UNKNOWN_TRANSFER_SYNTAX)
    for name in text_of(dataset, 0x00080005).split("\\"):
        if name.strip() not in python_encoding:
            raise Refused(Reason.UNKNOWN_CHARACTER_SET)


def _deflated(plain: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(plain) + packer.flush()
    return packed + b"\0" * (len(packed) % 2)
