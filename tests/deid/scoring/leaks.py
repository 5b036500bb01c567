"""Which planted values an output still shows: in its bytes, in its decoded texts, or at their place."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import pydicom
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from tests.deid.corpus.planted import Planted
from tests.deid.corpus.runner import Result

from fairbank.deid.part10 import quiet_pydicom

_DEFLATED = "1.2.840.10008.1.2.1.99"
_TEXTS = frozenset(
    ["AE", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"]
)


@dataclass(frozen=True, slots=True)
class Seen:
    """An output, with all that can be read in it."""

    dataset: Dataset
    raw: bytes
    text: str


def seen(output: bytes) -> Seen:
    """Read an output: its bytes, unpacked if they are deflated, and its texts, in small letters, without accents."""
    with quiet_pydicom():
        dataset = pydicom.dcmread(BytesIO(output), force=True)
        raw = output
        if str(getattr(dataset.file_meta, "TransferSyntaxUID", "")) == _DEFLATED:
            raw = output + zlib.decompress(output[_body_start(output) :], -zlib.MAX_WBITS)
        return Seen(dataset, raw, plain("\n".join(_texts(dataset))))


def plain(text: str) -> str:
    """Return a text in small letters without accents."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()


def leaks(result: Result, profile: str, output: Seen | None = None) -> list[Planted]:
    """Return the values of the answer key that must go and are in a file's output."""
    if result.output is None:
        return []
    output = output or seen(result.output)
    return [
        one
        for one in result.file.planted
        if one.expected(profile).must_go and is_seen(one, output, result.file.planted)
    ]


def is_seen(planted: Planted, output: Seen, key: tuple[Planted, ...] = ()) -> bool:
    """Return whether a value of the answer key is in an output."""
    if not planted.encoded:
        return value_at(output.dataset, planted.place) == planted.value
    if any(one in output.raw for one in planted.encoded):
        return True
    words = [plain(one.decode("latin-1")) for one in planted.encoded if one.isascii()]
    return any(len(word) > 5 and word in output.text for word in words)


def value_at(dataset: Dataset, place: str) -> str | None:
    """Return the value at a place as text; None if there is none."""
    if place.startswith("#"):
        return None
    level = dataset
    *above, last = place.split("/")
    with quiet_pydicom():
        for step in above:
            tag, _, number = step.partition(".")
            element = level.get(Tag(int(tag, 16)))
            if element is None or element.VR != "SQ" or len(element.value) <= int(number or 0):
                return None
            level = element.value[int(number or 0)]
        try:
            element = level.get(Tag(int(last, 16)))
        except Exception:  # what cannot be decoded is compared by its bytes elsewhere
            return None
    return None if element is None else as_text(element)


def as_text(element: DataElement) -> str:
    """Return an element's value as text, as the answer key writes it."""
    value = element.value
    if element.VM > 1 and not isinstance(value, str | bytes):
        return "\\".join(str(each) for each in value)
    if isinstance(value, bytes):
        return value.decode("latin-1").rstrip(" \0")
    return "" if value is None else str(value)


def _texts(dataset: Dataset) -> Iterator[str]:
    for tag in list(dataset.keys()):
        raw = dataset.get_item(tag)
        if isinstance(raw, RawDataElement) and raw.VR not in _TEXTS | {"SQ", "UN", None}:
            continue
        try:
            element = dataset[tag]
        except Exception:  # its bytes are searched all the same
            continue
        if element.VR == "SQ":
            for item in element.value:
                yield from _texts(item)
        elif element.VR in _TEXTS:
            yield as_text(element)


def _body_start(output: bytes) -> int:
    """Return where the dataset begins: file meta information says how long it is."""
    return 144 + int.from_bytes(output[140:144], "little")
