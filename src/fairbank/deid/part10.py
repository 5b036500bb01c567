"""DICOM files as bytes (DICOM PS3.10): read without decoding values, written with nothing outside the dataset.

The preamble is zeroed, the file meta information rebuilt from four facts, and nothing follows the dataset.
"""

from __future__ import annotations

import logging
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from pydicom import config
from pydicom.charset import python_encoding
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from fairbank.deid.elements import made, put, text_of
from fairbank.deid.encoding import Encoding
from fairbank.deid.outcomes import Reason, Refused

PREAMBLE_BYTES = 128
# A fixed UID under 2.25, made once for this software.
IMPLEMENTATION_CLASS_UID = UID("2.25.214163520385846172364183750214687214395")
IMPLEMENTATION_VERSION_NAME = "FAIRBANK"
_SILENT = logging.CRITICAL + 1
_META_ENCODING = Encoding(implicit=False, little=True)


@dataclass(frozen=True, slots=True)
class Written:
    """A file's bytes, and its dataset's bytes before any deflating."""

    content: bytes
    body: bytes | memoryview


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from checking values and from printing them: its warnings quote what they complain about."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    # Each change of a level clears what every logger of the process remembers: it is made once for nested calls.
    if level != _SILENT:
        logger.setLevel(_SILENT)
    try:
        with warnings.catch_warnings(), config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        if level != _SILENT:
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
    return parsed(BytesIO(content))


def parsed(source: BinaryIO, *, stop: Callable[[BaseTag, str | None, int], bool] | None = None) -> Dataset:
    """Return what pydicom reads of an open file, up to the element that `stop` says yes to.

    Raises:
        Refused: as `read` does.
    """
    mode = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.RAISE  # else an early end of file goes unnoticed
    try:
        dataset = read_partial(source, stop_when=stop)
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
    syntax, head = UID(dataset.file_meta.TransferSyntaxUID), head_of(dataset)
    encoding = Encoding(syntax.is_implicit_VR, syntax.is_little_endian)
    if syntax == DeflatedExplicitVRLittleEndian:
        plain = encoding.dataset(dataset)
        return Written(head + _deflated(plain), plain)
    content = b"".join((head, *encoding.parts(dataset)))
    return Written(content, memoryview(content)[len(head) :])


def head_of(dataset: Dataset) -> bytes:
    """Return what stands before a cleaned dataset in its file: preamble, prefix and file meta information."""
    meta = Dataset()
    for tag, vr, value in (
        (0x00020001, "OB", b"\0\1"),
        (0x00020002, "UI", text_of(dataset, 0x00080016).encode("latin-1")),
        (0x00020003, "UI", text_of(dataset, 0x00080018).encode("latin-1")),
        (0x00020010, "UI", dataset.file_meta.TransferSyntaxUID.encode("latin-1")),
        (0x00020012, "UI", IMPLEMENTATION_CLASS_UID.encode()),
        (0x00020013, "SH", IMPLEMENTATION_VERSION_NAME.encode()),
    ):
        put(meta, made(tag, vr, value, like=meta))
    content = _META_ENCODING.dataset(meta)
    put(meta, made(0x00020000, "UL", len(content).to_bytes(4, "little"), like=meta))
    return b"\0" * PREAMBLE_BYTES + b"DICM" + _META_ENCODING.dataset(meta)


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
