"""The subject's own identifiers are found however they are written, and little else is."""

# ruff: noqa: RUF001 - letters that look like Latin ones are what this is about

from __future__ import annotations

import struct
from datetime import date

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from tests.deid.conftest import ct_dataset, uid

from fairbank.deid.identifiers import Identifiers, identifiers_of
from fairbank.deid.part10 import quiet_pydicom
from fairbank.deid.rules import Option
from fairbank.deid.sweep.areas import Areas
from fairbank.deid.sweep.days import days_in
from fairbank.deid.sweep.grams import Grams
from fairbank.deid.sweep.net import person_net
from fairbank.deid.sweep.spellings import spellings
from fairbank.deid.sweep.vocabulary import terms
from fairbank.deid.sweep.walk import walk


def element(tag: int, vr: str, value: bytes) -> bytes:
    """Return one element in explicit VR, little endian, whatever its value."""
    value += b" " * (len(value) % 2)
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in ("UT", "UN", "OB", "OW", "UC"):
        return head + struct.pack("<HL", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def areas(value: bytes, vr: str = "LO", charset: str = "", *, pixels: bytes = b"\1\2" * 40) -> Areas:
    body = element(0x00080005, "CS", charset.encode()) if charset else b""
    body += element(0x00081030, vr, value) + element(0x00280002, "US", b"\1\0")
    return Areas.of(walk(body + element(0x7FE00010, "OW", pixels), implicit=False, little=True))


def named(name: str, **more: frozenset[str]) -> Identifiers:
    return Identifiers(names=frozenset({name}), **more)


def found(own: Identifiers, value: bytes | str, vr: str = "LO", charset: str = "") -> tuple[str, ...]:
    content = value.encode("latin-1") if isinstance(value, str) else value
    return own.kinds_in(areas(content, vr, charset))


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Quarzfeld^Ottilie", "QUARZFELD"),
        ("Quarzfeld^Ottilie", "seen by ottiliequarzfeld"),
        ("Quarzfeld^Ottilie", "Q u a r z f e l d"),
        ("Müller^Jörg", "Mueller"),
        ("Müller^Jörg", "MULLER"),
        ("Mueller^Joerg", "M\xfcller"),
        ("Groß^Änne", "Gross Aenne"),
        ("Strauss^Eva", "Strau\xdf"),
        ("Sørensen^Åge", "Soerensen"),
        ("Sørensen^Åge", "sorensen"),
        ("Ångström^Bo", "Aangstroem"),
        ("Núñez^Iñigo", "NUNEZ"),
        ("Wałęsa^Łukasz", "walesa"),
        ("Wałęsa^Łukasz", "Lukasz"),
        ("O'Brien^Siobhan", "OBrien"),
        ("O'Brien^Siobhan", "O Brien"),
        ("OBrien^Siobhan", "O'Brien"),
        ("Smith-Jones^Amy", "SmithJones"),
        ("Smith-Jones^Amy", "Smith Jones"),
        ("van den Bergh^Piet", "vandenBergh"),
        ("Doe^Jane", "Jane Doe"),
        ("Doe^Jane", "doe.jane"),
        ("Doe^Jane", "for DOE today"),
        ("Doe^Jane", "jdoe"),
        ("Li^Na", "Na Li"),
        ("Li^Na", "LI^NA"),
        ("Wu^Xiaoming", "wuxiaoming"),
        ("Иванов^Пётр", "Ivanov"),
        ("Щербаков^Юрий", "Shcherbakov"),
        ("Παπαδόπουλος^Γιώργος", "Papadopoulos"),
        ("さとう^ゆきこ", "Satou"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "yamada"),
        ("김^민준", "minjun"),
        ("Head^Quentine", "quentine head"),
    ],
)
def test_a_name_is_found_in_every_spelling_and_order(name: str, written: str) -> None:
    assert found(named(name), written) == ("name-or-number",)


CHARSETS = [
    ("Müller^Jörg", "latin_1"),
    ("Kovařík^Jiří", "iso8859_2"),
    ("Ġużeppi^Ħal", "iso8859_3"),
    ("Bērziņš^Jānis", "iso8859_4"),
    ("Yılmaz^Gülşah", "iso8859_9"),
    ("Œuvrard^Zoé", "iso8859_15"),
    ("Люксембург^Роза", "iso8859_5"),
    ("Люксембург^Роза", "cp1251"),
    ("Люксембург^Роза", "koi8_r"),
    ("Διονυσιος^Νικος", "iso8859_7"),
    ("قباني^لنزار", "iso8859_6"),
    ("שרון^דבורה", "iso8859_8"),
    ("นามสกุล^ชื่อ", "tis_620"),
    ("ヤマダ^タロウ", "shift_jis"),
    ("山田^太郎", "shift_jis"),
    ("山田^太郎", "iso2022_jp"),
    ("山田^太郎", "euc_jp"),
    ("김희중^희중", "euc_kr"),
    ("张三^小东", "gb18030"),
    ("张三^小东", "gbk"),
    ("張三丰^君寶", "big5"),
]


@pytest.mark.parametrize(("name", "charset"), CHARSETS)
@pytest.mark.parametrize("case", [str, str.upper, str.lower])
@pytest.mark.parametrize("as_written", [None, "utf_8", "utf_16_le", "utf_16_be"])
def test_a_name_is_found_in_the_bytes_of_every_charset(name: str, charset: str, case, as_written) -> None:
    own = named(name)
    for word in name.split("^"):
        if len(word) < 2:
            continue
        try:
            content = case(word).encode(as_written or charset)
        except UnicodeEncodeError:
            continue
        assert found(own, b"seen " + content + b" today", "UN") == ("name-or-number",), word


def test_a_name_is_found_by_decoding_too() -> None:
    assert found(named("Muller^Jorg"), "Müller".encode(), charset="ISO_IR 192") == ("name-or-number",)
    assert found(named("Dvorak^Jiri"), "Dvořák".encode("iso8859_2"), charset="ISO_IR 101")


@pytest.mark.parametrize(
    "written",
    [
        "PAT-4711-9", "pat47119", "PAT 4711 9", "PAT_4711_9", "xPAT47119x",
    ],
)  # fmt: skip
def test_a_code_is_found_with_and_without_its_separators(written: str) -> None:
    assert found(Identifiers(numbers=frozenset({"PAT-4711-9"})), written)


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("0012345678", "12345678"),
        ("12345678", "0012345678"),
        ("12345678", "12-345-678"),
        ("12345678", "123 456 78"),
        ("12345678", "12.345.678"),
        ("12-345-678", "12345678"),
        ("12/345/678", "id:12345678,"),
        ("4711", "case 4711"),
        ("4711", "ID4711"),
        ("0004711", "4711"),
    ],
)
def test_a_number_is_found_with_and_without_separators_and_zeros(number: str, written: str) -> None:
    assert found(Identifiers(numbers=frozenset({number})), written) == ("name-or-number",)


def test_a_number_among_numbers_is_found_if_it_is_long() -> None:
    own = Identifiers(numbers=frozenset({"12345678", "4711"}))
    assert found(own, "12345678", "IS") == ("name-or-number",)
    assert found(own, "4711", "IS") == ()


@pytest.mark.parametrize(
    "written", ["+49 731 500-12345", "073150012345", "(0731) 500 12345", "0731/50012345"]
)
def test_a_telephone_number_is_found(written: str) -> None:
    assert found(Identifiers(phones=frozenset({"+49 (0)731 / 500-12345"})), written)


def test_words_of_an_address_and_a_mail_address_are_found() -> None:
    own = Identifiers(places=frozenset({"Zwetschgenweg 7, 89073 Ulm ottilie.q@example.org"}))
    assert found(own, "lives at zwetschgenweg") == ("name-or-number",)
    assert found(own, "OTTILIE.Q@EXAMPLE.ORG")


DAY = date(2019, 4, 12)
FORMS = """
20190412 2019-04-12 2019/04/12 2019.04.12 12.04.2019 12/04/2019 04/12/2019 4/12/2019 12.4.2019 12-04-2019 12042019
04122019 12.04.19 04/12/19 19-04-12 190412 120419 041219 20190412101500 12apr2019 12-Apr-2019 2019-apr-12 12avr2019
"""
LONG_FORMS = [
    "12 Apr 2019", "12 April 2019", "12. April 2019", "April 12, 2019", "Apr 12 2019", "12th of April 2019",
    "12 avril 2019", "12 de abril de 2019", "12 aprile 2019", "2019 April 12", "12 APR 19", "12. 4. 2019",
]  # fmt: skip


@pytest.mark.parametrize("form", [*FORMS.split(), *LONG_FORMS])
def test_a_day_is_found_in_every_form(form: str) -> None:
    assert DAY in set(days_in(f"on {form} at".lower().encode()))
    assert found(Identifiers(birth=frozenset({DAY})), f"born {form}") == ("date",)


@pytest.mark.parametrize(
    "text", ["12 März 2019", "12 Mär 2019", "12 mars 2019", "12 Maerz 2019", "12. mrz 2019"]
)
@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_months_with_marks_are_read(text: str, charset: str) -> None:
    assert date(2019, 3, 12) in set(days_in(text.lower().encode(charset)))


@given(
    st.dates(date(1900, 1, 2), date(2039, 12, 31)),
    st.sampled_from(["%Y%m%d", "%d.%m.%Y", "%m/%d/%Y", "%d %b %Y"]),
)
def test_any_day_is_found_in_a_text(day: date, form: str) -> None:
    assert day in set(days_in(f"x {day.strftime(form)}, y".lower().encode()))


@pytest.mark.parametrize("text", ["1.2.840.20190412.3", "3.20190412", "0.190412"])
def test_digits_of_uids_and_fractions_are_no_days(text: str) -> None:
    assert DAY not in set(days_in(text.encode()))


def test_days_that_may_stay_are_not_sought_but_the_day_of_birth_is() -> None:
    own = Identifiers(days=frozenset({DAY}), birth=frozenset({date(1942, 2, 28)}))
    kept = frozenset({Option.RETAIN_FULL_DATES})
    assert own.kinds_in(areas(b"12.04.2019"), kept) == ()
    assert own.kinds_in(areas(b"28.02.1942"), kept) == ("date",)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Li^An", "an axial line in linear mode"),
        ("Ng^Ed", "scanning edge"),
        ("Doe^Jane", "does"),
        ("Head^Hand", "HEAD and hand"),
        ("Anonymous^Patient", "anonymous patient"),
        ("Test^Phantom", "phantom test"),
        ("Siemens", "SIEMENS"),
        ("Field^Spin", "spin echo field"),
    ],
)
def test_short_names_and_words_of_the_trade_are_not_found_in_others(name: str, written: str) -> None:
    assert found(named(name), written) == ()


def test_words_of_the_trade_are_masked_though_they_are_not_sought() -> None:
    assert {"head", "hand"} <= named("Head^Hand").own_words


def test_short_and_common_numbers_are_not_sought() -> None:
    own = Identifiers(numbers=frozenset({"1", "12", "123", "2019"}), orders=frozenset({"4711"}))
    assert found(own, "1 12 123 2019 4711") == ()


def test_pixels_are_searched_for_what_is_long(clean_pixels: bytes = bytes(range(256)) * 64) -> None:
    own = named("Quarzfeld^Doe")
    for offset in range(4):
        hidden = clean_pixels[: 1000 + offset] + b"QuarzFeld" + clean_pixels[1009 + offset :]
        assert own.kinds_in(areas(b"", pixels=hidden)) == ("name-or-number",)
    short = clean_pixels[:1000] + b" DOE " + clean_pixels[1005:]
    assert own.kinds_in(areas(b"", pixels=short)) == ()


def test_an_original_uid_is_found_as_a_value_in_text_and_in_pixels() -> None:
    own = Identifiers(uids=frozenset({uid("one")}))
    assert found(own, uid("one"), "UI") == ("uid",)
    assert found(own, f"see {uid('one')}") == ("uid",)
    assert own.kinds_in(areas(b"", pixels=b"\1" * 7 + uid("one").encode() + b"\1" * 9)) == ("uid",)
    assert found(own, uid("two"), "UI") == ()
    assert own.kinds_in(areas(uid("one").encode(), "UI"), frozenset({Option.RETAIN_UIDS})) == ()


def test_device_names_are_sought_unless_they_are_retained() -> None:
    own = Identifiers(devices=frozenset({"SN-98177", "SOMATOM"}), models=frozenset({"Somatom Force"}))
    assert found(own, "sn98177") == ("device",)
    assert found(own, "somatom") == ()
    assert own.kinds_in(areas(b"SN-98177"), frozenset({Option.RETAIN_DEVICE_IDENTITY})) == ()


def test_comments_of_compressed_frames_are_read() -> None:
    frame = b"\xff\xd8\xff\xfe\x00\x0a" + b"Doe^Jan " + b"\xff\xda" + b"\1" * 20
    items = struct.pack("<HHL", 0xFFFE, 0xE000, 0) + struct.pack("<HHL", 0xFFFE, 0xE000, len(frame)) + frame
    head = struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
    body = head + items + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    seen = Areas.of(walk(body, implicit=False, little=True))
    assert named("Doe^Jane").kinds_in(seen) == ("name-or-number",)
    assert named("Roe^Jane").kinds_in(seen) == ()


def test_identifiers_are_taken_from_every_depth() -> None:
    inner, outer = Dataset(), Dataset()
    inner.PatientName, inner.PatientID, inner.StudyDate = "Verborgen^Vera", "HID-99812", "20110309"
    inner.ReferencedSOPInstanceUID = uid("deep")
    for undefined in (True, False):
        outer[0x00209071] = DataElement(0x00209071, "SQ", Sequence([inner]), is_undefined_length=undefined)
        dataset = ct_dataset()
        dataset[0x52009229] = DataElement(0x52009229, "SQ", Sequence([outer]), is_undefined_length=undefined)
        own = identifiers_of(reread(dataset))
        assert found(own, "VERBORGEN") and found(own, "hid99812") and found(own, "9.3.2011")
        assert uid("deep") in own.uids


def test_identifiers_of_two_files_are_merged() -> None:
    both = named("Quarzfeld^Ottilie").merged(named("Ehemals^Ottilie"))
    assert found(both, "ehemals") and found(both, "quarzfeld")


def test_nothing_of_a_person_is_printed() -> None:
    own = identifiers_of(reread(ct_dataset()))
    assert repr(own) == "Identifiers(…)" and "Quarz" not in repr(own._person)


@pytest.mark.parametrize(
    "text",
    ["QUARZFE1D OTTI1IE", "0uarzfeId", "ID: PAT-47I1", "PAT 4711", "DOB 29/02/1940", "Quarzfe1d,O"],
)
def test_recognised_text_is_compared_with_errors_of_recognition(text: str) -> None:
    dataset = ct_dataset()
    dataset.PatientBirthDate = "19400229"
    assert identifiers_of(reread(dataset)).looks_like_own(text)


@pytest.mark.parametrize(
    "text", ["CHEST 3MM B30F", "L", "A R P", "W 400 L 40", "5.0 cm", "SIEMENS", "kV 120 mA 211"]
)
def test_recognised_text_of_the_scanner_is_nobody_s(text: str) -> None:
    assert not identifiers_of(reread(ct_dataset())).looks_like_own(text)


_LETTERS = st.text(st.characters(codec="latin-1", categories=["Lu", "Ll"]), min_size=6, max_size=14)


@settings(max_examples=60, deadline=None)
@given(
    _LETTERS,
    _LETTERS,
    st.sampled_from(["latin_1", "utf_8", "utf_16_le", "utf_16_be", "cp1252", "gb18030"]),
    st.data(),
)
def test_any_latin_name_is_found_in_any_charset(
    family: str, given_name: str, charset: str, data: st.DataObject
) -> None:
    assume(not spellings(family) & terms())
    own = named(f"{family}^{given_name}")
    case = data.draw(st.sampled_from([str, str.lower, str.upper, str.capitalize]))
    try:
        content = case(family).encode(charset)
    except UnicodeEncodeError:
        return
    assert found(own, b"by " + content + b" on", "UN")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(min_size=4, max_size=12), min_size=1, max_size=20), st.binary(max_size=400), st.data()
)
def test_grams_find_what_a_plain_search_finds(tokens: list[bytes], noise: bytes, data: st.DataObject) -> None:
    tokens = [token.lower() for token in tokens]
    planted = data.draw(st.booleans())
    token = data.draw(st.sampled_from(tokens))
    body = noise + token.upper() + noise if planted else noise
    expected = any(one in body.lower() for one in tokens)
    assert Grams(tokens).found_in(body) is expected
    long = [one for one in tokens if len(one) >= 7]
    assert Grams(long, aligned=True).found_in(body) is any(one in body.lower() for one in long)


def test_a_net_is_made_once_per_subject() -> None:
    one, two = ct_dataset(instance=1), ct_dataset(instance=2)
    assert identifiers_of(reread(one))._person is identifiers_of(reread(two))._person
    assert person_net.cache_info().maxsize


def reread(dataset: Dataset) -> Dataset:
    """Return a dataset as it comes out of a file: nothing in it decoded."""
    from io import BytesIO

    import pydicom

    body = DicomBytesIO()
    body.is_implicit_VR, body.is_little_endian = False, True
    with quiet_pydicom():
        write_dataset(body, dataset)
        return pydicom.dcmread(BytesIO(body.getvalue()), force=True)
