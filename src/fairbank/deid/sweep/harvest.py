"""What a file says about its own subject, taken from every depth before anything is cleaned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from pydicom._dicom_dict import DicomDictionary
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from fairbank.deid.elements import raw_bytes
from fairbank.deid.rules import Option, rule_for
from fairbank.deid.sweep.walk import Malformed, Walked, walk_items


class Kind(Enum):
    """What an element says of the subject or of the device."""

    NAME = "name"
    NUMBER = "number"
    ORDER = "order"
    PHONE = "phone"
    PLACE = "place"
    DEVICE = "device"
    MODEL = "model"


# DICOM PS3.6; what says who the patient is, and by which numbers somebody else knows the patient and the examination.
TAGS: dict[int, Kind] = dict.fromkeys(
    (
        0x00100010,  # Patient's Name
        0x00100012,  # Name to Use
        0x00101001,  # Other Patient Names
        0x00101005,  # Patient's Birth Name
        0x00101060,  # Patient's Mother's Birth Name
        0x00102297,  # Responsible Person
    ),
    Kind.NAME,
)
TAGS |= dict.fromkeys(
    (
        0x00080050,  # Accession Number
        0x00100020,  # Patient ID
        0x00101000,  # Other Patient IDs
        0x00101090,  # Medical Record Locator
        0x00120040,  # Clinical Trial Subject ID
        0x00120042,  # Clinical Trial Subject Reading ID
    ),
    Kind.NUMBER,
)
TAGS |= dict.fromkeys(
    (
        0x00101050,  # Insurance Plan Identification
        0x00200010,  # Study ID
        0x00380010,  # Admission ID
        0x00380060,  # Service Episode ID
        0x00400009,  # Scheduled Procedure Step ID
        0x00400253,  # Performed Procedure Step ID
        0x00401001,  # Requested Procedure ID
        0x00402016,  # Placer Order Number / Imaging Service Request
        0x00402017,  # Filler Order Number / Imaging Service Request
    ),
    Kind.ORDER,
)
TAGS |= {0x00102154: Kind.PHONE, 0x00102155: Kind.PLACE, 0x00101040: Kind.PLACE}
TAGS |= dict.fromkeys((0x00181000, 0x00081010, 0x00189367), Kind.DEVICE)
TAGS |= dict.fromkeys((0x00080070, 0x00081090), Kind.MODEL)
_BIRTH_DATE = 0x00100030
# Versions of vocabularies, not days of anybody (DICOM PS3.3, Table 8.8-1).
_NO_DATES = frozenset({0x00080106, 0x00080107, 0x00440104})
_UID_TAGS = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "UI")
_DATE_TAGS = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] in ("DA", "DT")) - _NO_DATES
_DEVICE_UIDS = frozenset(
    tag for tag in _UID_TAGS if (rule := rule_for(tag)) and Option.RETAIN_DEVICE_IDENTITY in rule.options
)
_CHARSET = 0x00080005
_WANTED = _UID_TAGS | _DATE_TAGS | TAGS.keys()


@dataclass(slots=True)
class Harvest:
    """Values as they are in a file, one set per kind."""

    texts: dict[Kind, set[str]] = field(default_factory=dict)
    uids: set[str] = field(default_factory=set)
    device_uids: set[str] = field(default_factory=set)
    dates: set[str] = field(default_factory=set)
    birth: set[str] = field(default_factory=set)

    def take(self, tag: int, vr: str | None, value: bytes, charset: str) -> None:
        """Take an element if it identifies."""
        if tag in _UID_TAGS or vr == "UI":
            uids = self.device_uids if tag in _DEVICE_UIDS else self.uids
            uids.update(one.strip(" \0") for one in value.decode("latin-1").split("\\"))
        elif tag == _BIRTH_DATE:
            self.birth.add(value.decode("latin-1"))
        elif tag in _DATE_TAGS or (vr in ("DA", "DT") and tag not in _NO_DATES):
            self.dates.add(value.decode("latin-1"))
        elif tag in TAGS:
            self.texts.setdefault(TAGS[tag], set()).update(readings(value, charset))


def harvest(dataset: Dataset) -> Harvest:
    """Return what a dataset says at every depth; it stays as it was."""
    found = Harvest()
    _take_level(dataset, found, "")
    return found


def harvest_walked(walked: Walked) -> Harvest:
    """Return what a dataset says, from its elements in bytes."""
    found = Harvest()
    _take_walked(walked, found, "")
    return found


def _take_level(dataset: Dataset, found: Harvest, charset: str) -> None:
    items = dataset._dict
    own = items.get(_CHARSET)  # type: ignore[call-overload]  # tags are numbers
    charset = raw_bytes(own).decode("latin-1") if own is not None else charset
    for tag, element in items.items():
        vr = element.VR
        if int(tag) in _WANTED or vr in ("UI", "DA", "DT"):
            if isinstance(element, RawDataElement) or vr != "SQ":
                found.take(int(tag), vr, raw_bytes(element), charset)
        elif vr == "SQ" or (vr is None and _may_be_sequence(int(tag))) or vr == "UN":
            _take_sequence(element, found, charset)


def _take_sequence(element: DataElement | RawDataElement, found: Harvest, charset: str) -> None:
    if isinstance(element, RawDataElement):
        value = element.value or b""
        if len(value) < 8:
            return
        implicit = element.is_implicit_VR or element.VR == "UN"
        try:
            walked = walk_items(value, implicit=implicit, little=element.is_little_endian)
        except Malformed:
            return
        _take_walked(walked, found, charset)
        return
    if element.VR == "SQ":
        for item in element.value or ():
            _take_level(item, found, charset)


def _take_walked(walked: Walked, found: Harvest, charset: str) -> None:
    charsets = {
        element.path: walked.value(element).decode("latin-1")
        for element in walked.elements
        if element.tag == _CHARSET
    }
    for element in walked.elements:
        if element.tag in _WANTED or element.vr in ("UI", "DA", "DT"):
            found.take(
                element.tag, element.vr, walked.value(element), _charset_at(element.path, charsets, charset)
            )


def _charset_at(
    path: tuple[tuple[int, int], ...], charsets: dict[tuple[tuple[int, int], ...], str], outer: str
) -> str:
    for length in range(len(path), -1, -1):
        if path[:length] in charsets:
            return charsets[path[:length]]
    return outer


@lru_cache(maxsize=8192)
def _may_be_sequence(tag: int) -> bool:
    entry = DicomDictionary.get(tag)
    return entry is not None and entry[0] == "SQ"


@lru_cache(maxsize=1024)
def readings(value: bytes, charset: str) -> tuple[str, ...]:
    """Return what a value can say: in the character set that is declared, in UTF-8, and byte by byte."""
    value = value.strip(b" \0")
    if not value:
        return ()
    if value.isascii() and b"\x1b" not in value and "ISO_IR 13" not in charset:
        return (value.decode("ascii"),)
    return tuple(dict.fromkeys(_readings(value, charset)))


def _readings(value: bytes, charset: str) -> Iterator[str]:
    try:
        encodings = convert_encodings([one.strip(" \0") for one in charset.split("\\")])
        yield decode_bytes(value, encodings, {0x0D, 0x0A, 0x09, 0x0C, 0x5E, 0x3D})
    except (LookupError, UnicodeError, ValueError, TypeError):
        pass
    try:
        yield value.decode("utf-8")
    except UnicodeDecodeError:
        yield value.decode("latin-1")
