"""Files that are not what they say: each is cleaned or refused, none carries a name out."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32
from tests.deid.conftest import as_file, ct_dataset

from fairbank.clock import FixedClock
from fairbank.deid import part10
from fairbank.deid.cleaning import Cleaned, Held, Order, clean_file
from fairbank.deid.facts import Recorder
from fairbank.deid.identity import IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.profiles import Profile

# A name that no list has; it is not the patient's own, so that only rules and lists can catch it, no sweep.
NAME = b"ZWACKELMANN"
WIDE, TAGS = (
    0xFFFFFFFF,
    (0x00081090, 0x00181210, 0x00080008, 0x00180015, 0x00102180, 0x00080104, 0x00189999, 0x00280030),
)
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityStore]:
    folder: Path = tmp_path_factory.mktemp("identity")
    yield IdentityStore.create(folder / "identity.db", clock=FixedClock())


def outcome(content: bytes, identities: IdentityStore, profile: Profile) -> Cleaned | Held:
    recorder = Recorder(agent="curator", at=FixedClock().now(), tool="fairbank test")
    return clean_file(content, Order("lung", Method(profile)), identity=identities, recorder=recorder)


class Writer:
    """Writes elements as a careless machine does: any VR, any length, any nesting."""

    def __init__(self, syntax: str) -> None:
        self.implicit, self.order = (
            syntax == ImplicitVRLittleEndian,
            ">" if syntax == ExplicitVRBigEndian else "<",
        )

    def element(
        self, tag: int, vr: str, value: bytes, *, undefined: bool = False, even: bool = True
    ) -> bytes:
        value += b" " * (even and len(value) % 2)
        length = WIDE if undefined else len(value)
        tail = self.delimiter(0xE0DD) if undefined else b""
        head = struct.pack(self.order + "HH", tag >> 16, tag & 0xFFFF)
        if self.implicit:
            return head + struct.pack(self.order + "L", length) + value + tail
        if vr in EXPLICIT_VR_LENGTH_32:
            return head + vr.encode() + b"\0\0" + struct.pack(self.order + "L", length) + value + tail
        return head + vr.encode() + struct.pack(self.order + "H", len(value)) + value

    def item(self, content: bytes, *, undefined: bool) -> bytes:
        length = WIDE if undefined else len(content)
        head = struct.pack(self.order + "HHL", 0xFFFE, 0xE000, length)
        return head + content + (self.delimiter(0xE00D) if undefined else b"")

    def delimiter(self, element: int) -> bytes:
        return struct.pack(self.order + "HHL", 0xFFFE, element, 0)


def spliced(syntax: str, elements: list[tuple[int, bytes]]) -> bytes:
    """Return a CT file with elements of any make put where their tags belong."""
    source = ct_dataset()
    pixels = source.PixelData
    del source.PixelData
    body = [(int(element.tag), plain(source, int(element.tag), syntax)) for element in source]
    writer = Writer(syntax)
    body += elements
    body.append((0x7FE00010, writer.element(0x7FE00010, "OW", pixels)))
    return as_file(Dataset(), syntax) + b"".join(
        content for _, content in sorted(body, key=lambda pair: pair[0])
    )


def plain(dataset: Dataset, tag: int, syntax: str) -> bytes:
    """Return one element of a dataset as a careful writer writes it."""
    one, body = Dataset(), DicomBytesIO()
    one[tag] = dataset[tag]
    body.is_implicit_VR = syntax == ImplicitVRLittleEndian
    body.is_little_endian = syntax != ExplicitVRBigEndian
    write_dataset(body, one)
    return body.getvalue()


VRS = [
    "AE",
    "CS",
    "DS",
    "IS",
    "LO",
    "LT",
    "OB",
    "OW",
    "PN",
    "SH",
    "SQ",
    "ST",
    "TM",
    "UC",
    "UI",
    "UN",
    "UR",
    "UT",
    "XX",
]


@st.composite
def hostile(draw: st.DrawFn, depth: int = 0) -> tuple[int, str, list[object] | bytes, bool, bool]:
    """Draw an element: its tag, VR, value or items, and whether its lengths are undefined or odd."""
    tag = draw(
        st.sampled_from([*TAGS, 0x00091001, 0x00090010, 0x00082218, 0x00082220, 0x00080110, 0x00181411])
    )
    vr = draw(st.sampled_from(VRS))
    if depth < 3 and draw(st.booleans()):
        items = draw(st.lists(st.lists(hostile(depth + 1), min_size=1, max_size=3), min_size=1, max_size=2))
        return tag, draw(st.sampled_from(["SQ", "UN"])), items, draw(st.booleans()), True
    prefix = draw(st.sampled_from([b"", b"by ", b"1.2.", b"3\\", b"\x1b$B", b"\xff\xfe\x00\xe0"]))
    return tag, vr, prefix + NAME, False, draw(st.booleans())


def encoded(writer: Writer, drawn: tuple[int, str, list[object] | bytes, bool, bool]) -> bytes:
    tag, vr, value, undefined, even = drawn
    if isinstance(value, bytes):
        return writer.element(tag, vr, value, even=even)
    items = b""
    for item in value:
        assert isinstance(item, list)
        content = b"".join(encoded(writer, one) for one in sorted(item, key=lambda one: one[0]))
        items += writer.item(content, undefined=undefined)
    return writer.element(tag, vr, items, undefined=undefined)


def check_hostile(
    drawn: list[tuple[int, str, list[object] | bytes, bool, bool]],
    syntax: str,
    profile: Profile,
    identities: IdentityStore,
) -> None:
    writer = Writer(syntax)
    by_tag = {one[0]: one for one in drawn}
    content = spliced(syntax, [(tag, encoded(writer, one)) for tag, one in by_tag.items()])
    assert NAME in content
    result = outcome(content, identities, profile)
    if isinstance(result, Cleaned):
        assert NAME not in result.content.upper()
        with part10.quiet_pydicom():
            part10.read(result.content)


HOSTILE = given(
    drawn=st.lists(hostile(), min_size=1, max_size=4),
    syntax=st.sampled_from(SYNTAXES),
    profile=st.sampled_from(list(Profile)),
)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@HOSTILE
def test_elements_that_lie_about_themselves_carry_no_name(drawn, syntax, profile, identities) -> None:
    check_hostile(drawn, syntax, profile, identities)


@pytest.mark.long
@settings(max_examples=20_000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@HOSTILE
def test_elements_that_lie_about_themselves_carry_no_name_at_length(
    drawn, syntax, profile, identities
) -> None:
    check_hostile(drawn, syntax, profile, identities)


def check_mutated(cuts: list[tuple[int, int]], syntax: str, identities: IdentityStore) -> None:
    source = ct_dataset()
    source.PatientName = "Zwackelmann^Q"
    source.SeriesDescription = "of ZWACKELMANN"
    content = bytearray(as_file(source, syntax))
    for place, value in cuts:
        content[place % (len(content) - 40)] = value
    result = outcome(bytes(content), identities, Profile.RESEARCH)
    if isinstance(result, Cleaned):
        assert b"ZWACKELMANN" not in result.content.upper()


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    cuts=st.lists(st.tuples(st.integers(132, 2000), st.integers(0, 255)), min_size=1, max_size=6),
    syntax=st.sampled_from(SYNTAXES),
)
def test_a_damaged_header_carries_no_name(cuts, syntax, identities) -> None:
    check_mutated(cuts, syntax, identities)


@pytest.mark.long
@settings(max_examples=20_000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    cuts=st.lists(st.tuples(st.integers(132, 2000), st.integers(0, 255)), min_size=1, max_size=6),
    syntax=st.sampled_from(SYNTAXES),
)
def test_a_damaged_header_carries_no_name_at_length(cuts, syntax, identities) -> None:
    check_mutated(cuts, syntax, identities)


@pytest.mark.parametrize("vr", VRS)
@pytest.mark.parametrize("tag", TAGS)
def test_a_wrong_vr_carries_no_name(tag: int, vr: str, identities: IdentityStore) -> None:
    writer = Writer(ExplicitVRLittleEndian)
    content = spliced(ExplicitVRLittleEndian, [(tag, writer.element(tag, vr, NAME))])
    result = outcome(content, identities, Profile.RESEARCH)
    assert not isinstance(result, Cleaned) or NAME not in result.content
    if dictionary_has_tag(tag) and vr == dictionary_VR(tag):
        assert isinstance(result, Cleaned)


@pytest.mark.parametrize("undefined", [False, True])
def test_a_private_sequence_in_unknown_vr_is_gone(undefined: bool, identities: IdentityStore) -> None:
    inner = Writer(ImplicitVRLittleEndian)  # what is in UN is in implicit VR
    items = inner.item(inner.element(0x00081090, "LO", NAME), undefined=undefined)
    outer = Writer(ExplicitVRLittleEndian)
    private = outer.element(0x00091001, "UN", items, undefined=undefined)
    public = outer.element(0x00082218, "UN", items, undefined=undefined)
    result = outcome(
        spliced(ExplicitVRLittleEndian, [(0x00091001, private), (0x00082218, public)]),
        identities,
        Profile.BASIC,
    )
    assert isinstance(result, Cleaned) and NAME not in result.content
    assert b"\x09\x00\x01\x10" not in result.content


def test_a_deflated_file_is_cleaned_inside(identities: IdentityStore) -> None:
    from tests.deid.test_large_files import deflated

    source = ct_dataset()
    source.ManufacturerModelName = "of ZWACKELMANN"
    result = outcome(deflated(source), identities, Profile.RESEARCH)
    assert isinstance(result, Cleaned)
    with part10.quiet_pydicom():
        again = part10.read(result.content)
    assert again.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    assert "ZWACKELMANN" not in str(again)


@pytest.mark.parametrize(
    "charset", ["ISO_IR 192", "ISO 2022 IR 87", "\\ISO 2022 IR 149", "GB18030", "ISO_IR 144"]
)
def test_a_wrong_character_set_carries_no_name(charset: str, identities: IdentityStore) -> None:
    writer = Writer(ExplicitVRLittleEndian)
    added = [
        (0x00080005, writer.element(0x00080005, "CS", charset.encode())),
        (0x0008103E, writer.element(0x0008103E, "LO", b"\xd6" + NAME + b"\xff\x1b$B")),
        (0x00181030, writer.element(0x00181030, "LO", NAME.lower() + "ß".encode())),
    ]
    result = outcome(spliced(ExplicitVRLittleEndian, added), identities, Profile.RESEARCH)
    assert not isinstance(result, Cleaned) or NAME not in result.content.upper()
