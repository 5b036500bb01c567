"""Values where the VR promises a number, a UID or a term, and in the names that treatment, masks and slides carry."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.deid.corpus.images import as_file, code, dataset_of
from tests.deid.corpus.people import identity_key, patient
from tests.deid.corpus.planted import CorpusFile, Expect, Planted
from tests.deid.corpus.values import Values

from fairbank.deid.elements import made

_GONE = (Expect.REMOVE, Expect.REMOVE)
_MASKED = (Expect.REMOVE, Expect.MASK)
# Bytes of a name where numbers belong: tag, VR, and how many bytes the attribute has (0: as many as the name).
_NUMBERS = (
    (0x00189089, "FD", 24), (0x00181166, "CS", 0), (0x00280009, "AT", 12), (0x00281101, "US", 6),
    (0x00283002, "US", 6), (0x00209157, "UL", 16), (0x00540010, "US", 16), (0x00189098, "FD", 16),
    (0x00280106, "US", 0), (0x00189461, "FL", 8), (0x00186060, "FL", 24), (0x00209309, "FD", 128),
    (0x00283006, "OW", 0), (0x54001010, "OW", 0), (0x54000110, "OW", 0), (0x00281221, "OW", 0), (0x00160062, "OB", 0),
    (0x00660016, "OF", 0), (0x7FE00002, "OV", 0), (0x7FE00008, "OF", 0), (0x7FE00010, "OB", 0), (0x00081161, "UL", 16),
    (0x00200032, "DS", 0), (0x00200013, "IS", 0), (0x00181063, "DS", 0), (0x00080008, "CS", 0), (0x00041500, "CS", 0),
    (0x00081155, "UI", 0), (0x00200052, "UI", 0), (0x00081150, "UI", 0), (0x0020000E, "UI", 0),
)  # fmt: skip
# Names in the words of each kind of object: kind, sequences on the way, tag and VR.
_NAMED: tuple[tuple[str, tuple[int, ...], int, str], ...] = (
    ("seg", (0x00620002,), 0x00620005, "LO"), ("seg", (0x00620002,), 0x00620006, "ST"),
    ("seg", (0x00620002,), 0x00620020, "UT"), ("seg", (), 0x00700084, "PN"), ("seg", (), 0x00700081, "LO"),
    ("seg", (), 0x00700080, "CS"), ("seg", (0x00620002,), 0x00620009, "LO"),
    ("seg", (0x00620002, 0x00620003, 0x00082218), 0x00080104, "LO"),
    ("rtstruct", (), 0x30060002, "SH"), ("rtstruct", (), 0x30060004, "LO"), ("rtstruct", (), 0x30060006, "ST"),
    ("rtstruct", (0x30060020,), 0x30060026, "LO"), ("rtstruct", (0x30060020,), 0x30060028, "ST"),
    ("rtstruct", (0x30060020,), 0x30060038, "LO"), ("rtstruct", (0x30060080,), 0x30060085, "SH"),
    ("rtstruct", (0x30060080,), 0x300600A6, "PN"), ("rtstruct", (0x30060080,), 0x30060088, "ST"),
    ("rtplan", (), 0x300A0002, "SH"), ("rtplan", (), 0x300A0003, "LO"), ("rtplan", (), 0x300A0004, "ST"),
    ("rtplan", (), 0x300A000E, "ST"), ("rtplan", (0x300A00B0,), 0x300A00C2, "LO"),
    ("rtplan", (0x300A00B0,), 0x300A00C3, "ST"), ("rtplan", (0x300A00B0,), 0x300A00B2, "SH"),
    ("rtplan", (0x300A0010,), 0x300A0016, "LO"), ("rtplan", (0x300A0070,), 0x300A0072, "LO"),
    ("rtplan", (0x300A0180,), 0x300A0183, "LO"), ("rtplan", (0x300A0180,), 0x300A01B2, "ST"),
    ("rtplan", (0x300A0040,), 0x300A0043, "SH"), ("rtdose", (), 0x30040006, "LO"),
    ("enhanced-mr", (0x52009230, 0x00209111), 0x00209158, "LT"),
    ("enhanced-mr", (0x52009230, 0x00209111), 0x00209453, "LO"),
    ("enhanced-mr", (0x52009230, 0x00209111), 0x00209056, "SH"),
    ("enhanced-mr", (0x52009229, 0x00209222), 0x00209421, "LO"),
    ("enhanced-mr", (0x52009229, 0x00289145), 0x00281055, "LO"),
    ("enhanced-ct", (0x52009229, 0x00189314), 0x00181210, "SH"),
    ("enhanced-ct", (0x52009230, 0x00209111), 0x00204000, "LT"),
    ("enhanced-ct", (0x52009230, 0x00209111), 0x00104000, "LT"),
    ("enhanced-ct", (0x52009230, 0x00209071, 0x00082218, 0x00082220), 0x00080104, "LO"),
    ("ct", (0x00082218, 0x00082220, 0x00082220, 0x00082220), 0x00080104, "LO"),
    ("ct", (0x00082218, 0x00082220, 0x00082220, 0x00082220), 0x00080100, "SH"),
    ("ct", (0x00082218, 0x00082220, 0x00080121), 0x00080104, "LO"), ("ct", (0x00082112,), 0x0040A170, "LO"),
    ("ct", (0x00081140, 0x0040A170), 0x00080104, "LO"), ("ct", (0x00081140,), 0x00041500, "CS"),
    ("ct", (), 0x00400512, "LO"), ("ct", (0x00400560,), 0x00400551, "LO"), ("ct", (0x00400560,), 0x00400600, "LO"),
    ("ct", (0x00400560,), 0x00400602, "UT"), ("ct", (), 0x00200027, "LO"), ("ct", (), 0x00480106, "SH"),
    ("ct", (0x00480105,), 0x00480107, "ST"), ("ct", (), 0x22000002, "UT"), ("ct", (), 0x22000005, "LT"),
    ("ct", (0x00400555,), 0x0040A160, "UT"), ("ct", (0x00400555, 0x0040A168), 0x00080104, "LO"),
    ("ct", (0x00182046,), 0x00100010, "PN"), ("ct", (0x0018A001,), 0x00081090, "LO"),
    ("ct", (0x0018A001,), 0x0018A003, "ST"),
    ("ct", (0x00189346,), 0x00080117, "UI"), ("pr", (0x00700001,), 0x00700002, "CS"), ("pr", (), 0x00700082, "DA"),
    ("pr", (0x00081115, 0x00081140), 0x00081155, "UI"), ("dx", (0x00540220,), 0x00080119, "UC"),
    ("dx", (0x00540220,), 0x00080120, "UR"), ("us", (0x00186011,), 0x00186012, "LO"), ("us", (), 0x00082124, "IS"),
    ("pt", (0x00540016,), 0x00180031, "LO"), ("pt", (0x00540016, 0x00540304), 0x00080104, "LO"),
    ("mr", (0x00181250,), 0x00080104, "LO"), ("mr", (), 0x00181250, "SH"), ("mr", (), 0x00181251, "SH"),
    ("mr", (), 0x00180085, "SH"), ("mr", (), 0x00189005, "SH"), ("mr", (), 0x00200100, "IS"),
)  # fmt: skip
_CLEANED = frozenset({"LO", "SH", "ST", "LT", "UT", "UC"})
# What the research profile keeps as the device's identity (Table E.1-1, K).
_OF_THE_DEVICE = frozenset({0x300A00B2})
_PLACES_OF_PIXELS = frozenset({0x7FE00002, 0x7FE00008, 0x7FE00010})
_LONGEST = {"SH": 14, "CS": 12, "IS": 12, "DS": 14, "DA": 8}


def hidden(seed: int) -> Iterator[CorpusFile]:
    """Yield a file for each place, at the top and in a sequence where numbers are, and those of each kind of object."""
    for number, (tag, vr, length) in enumerate(_NUMBERS):
        for nested in (False, True):
            if tag in _PLACES_OF_PIXELS and (not nested or tag == 0x7FE00008):
                continue
            yield _number(seed, f"number-{number:03d}-{int(nested)}", tag, vr, length, nested=nested)
    for number, (kind, way, tag, vr) in enumerate(_NAMED):
        yield _name(seed, f"{number:03d}-{kind}-{tag:08X}", kind, way, tag, vr)
    yield from _tables(seed)


def _number(seed: int, name: str, tag: int, vr: str, length: int, *, nested: bool) -> CorpusFile:
    values = Values(seed, f"hidden/{name}")
    who = patient(values)
    dataset = dataset_of(values.rng.choice(("ct", "mr", "pt")), who, values)
    level, place = dataset, ""
    if nested:
        level, place = code("113100", "DCM", "REGION"), "00082218.0/"
        dataset.AnatomicRegionSequence = Sequence([level])
    word = values.surname()
    word = word.upper()[: _LONGEST[vr]] if vr in ("CS", "IS", "DS") else word
    raw = word.encode()
    if length:
        raw = raw[:length]
        word = raw.decode()
        raw = raw.ljust(length, b" ")
    raw += b" " * (-len(raw) % 8) if vr.startswith("O") or not length else b""
    level[tag] = made(tag, vr, raw, like=_explicit())
    key = [one for one in identity_key(dataset) if one.place != f"{place}{tag:08X}"]
    key.append(Planted(f"{place}{tag:08X}", word, *_GONE, (word.encode(),)))
    return CorpusFile(f"hidden/{name}.dcm", "hidden", as_file(dataset), who.number, tuple(key))


def _name(seed: int, name: str, kind: str, way: tuple[int, ...], tag: int, vr: str) -> CorpusFile:
    values = Values(seed, f"hidden/{name}")
    who = patient(values)
    dataset = dataset_of(kind, who, values)
    level, place = dataset, ""
    for step in way:
        if step not in level:
            level[step] = made_sequence(step)
        level, place = level[step].value[0], f"{place}{step:08X}.0/"
    text = values.surname()[: _LONGEST.get(vr, 64)]
    if vr == "CS":
        text = text.upper()
    level[tag] = made(tag, vr, text, like=_explicit())
    key = [one for one in identity_key(dataset) if one.place != f"{place}{tag:08X}"]
    does = _MASKED if vr in _CLEANED else _GONE
    if tag in _OF_THE_DEVICE:
        does = (Expect.REMOVE, Expect.MAY_STAY)
    key.append(Planted(f"{place}{tag:08X}", text, *does, (text.encode(),)))
    return CorpusFile(f"hidden/{name}.dcm", "hidden", as_file(dataset), who.number, tuple(key))


def _tables(seed: int) -> Iterator[CorpusFile]:
    """Names in tables that are as long as they have to be, and in the texts of a colour profile."""
    for way in ("palette", "lut", "segmented", "profile", "alpha"):
        values = Values(seed, f"hidden/table/{way}")
        who = patient(values)
        dataset = dataset_of(values.rng.choice(("ct", "mr")), who, values)
        word = f"{values.surname()}{values.surname().lower()}"
        raw = word.encode() + b"\0" * (len(word) % 2)
        entries = len(raw) // 2
        level, tag, place = dataset, 0x00281201, ""
        if way == "lut":
            level, tag, place = Dataset(), 0x00283006, "00283010.0/"
            dataset[0x00283010] = made_sequence(0x00283010, level)
            level[0x00283002] = made(0x00283002, "US", struct.pack("<3H", entries, 0, 16), like=_explicit())
        elif way == "profile":
            tag, raw = 0x00282000, profile_with(word)
        elif way == "segmented":
            tag = 0x00281221
            raw = struct.pack("<2H", 0, entries) + raw
        elif way == "alpha":
            tag = 0x00281204
        if way != "lut" and way != "profile":
            for low in range(1, 5):
                level[0x00281100 + low] = made(
                    0x00281100 + low, "US", struct.pack("<3H", entries, 0, 16), like=_explicit()
                )
            level.PixelPresentation = "COLOR"
        level[tag] = made(tag, "OB" if way == "profile" else "OW", raw, like=_explicit())
        one = Planted(f"{place}{tag:08X}", word, *_GONE, (word.encode(),))
        key = (*identity_key(dataset), one)
        yield CorpusFile(f"hidden/table-{way}.dcm", "hidden", as_file(dataset), who.number, key)


def profile_with(word: str) -> bytes:
    """Return a colour profile of sRGB with a word in its texts, its header and its own tag."""
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    text = b"text\0\0\0\0" + word.encode() + b"\0"
    entry = profile.index(b"cprt", 128)
    profile[entry + 4 : entry + 12] = struct.pack(">LL", len(profile), len(text))
    maker = word.encode()[:28]
    profile[100 : 100 + len(maker)] = maker
    whole = bytes(profile) + text
    return struct.pack(">L", len(whole)) + whole[4:]


def made_sequence(tag: int, *items: Dataset):
    """Return a sequence element with items, one empty one where none is given."""
    from pydicom.dataelem import DataElement

    return DataElement(tag, "SQ", Sequence(items or [Dataset()]))


def _explicit() -> Dataset:
    dataset = Dataset()
    dataset.set_original_encoding(False, True)
    return dataset
