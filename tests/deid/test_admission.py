"""What is held back, and why: every reason has a file that gets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000
from tests.deid.conftest import as_file, ct_dataset

from fairbank.deid.cleaning import Cleaned, Held, Order, clean_file
from fairbank.deid.facts import Recorder
from fairbank.deid.identity import IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason
from fairbank.deid.policies import PixelTrust
from fairbank.deid.profiles import Profile

US, SC = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.7"


def changed(**values: object) -> Dataset:
    dataset = ct_dataset()
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def overlay_in_pixels() -> Dataset:
    dataset = ct_dataset()
    dataset.add_new(0x60000100, "US", 16)
    dataset.add_new(0x60000102, "US", 12)
    return dataset


Result = Callable[..., Cleaned | Held]


@pytest.fixture
def result(identity: IdentityStore, recorder: Recorder) -> Result:
    def _result(content: bytes, trust: PixelTrust = PixelTrust.STRICT) -> Cleaned | Held:
        return clean_file(
            content,
            Order("lung", Method(Profile.RESEARCH, trust=trust)),
            identity=identity,
            recorder=recorder,
        )

    return _result


GOOD = as_file(ct_dataset())
CASES = [
    (Reason.EMPTY, b""),
    (Reason.NOT_DICOM, b"%PDF-1.4 nothing of the kind" * 20),
    (Reason.NOT_DICOM, GOOD[:100]),
    (Reason.TRUNCATED, GOOD[:-7]),
    (Reason.BURNED_IN, as_file(changed(BurnedInAnnotation="YES"))),
    (Reason.PIXELS_UNVERIFIED, as_file(changed(SOPClassUID=SC))),
    (Reason.PIXELS_UNVERIFIED, as_file(changed(SOPClassUID=US, Modality="US"))),
    (Reason.PIXELS_UNVERIFIED, as_file(changed(ConversionType="WSD"))),
    (Reason.PIXELS_UNVERIFIED, as_file(changed(ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]))),
    (Reason.PIXELS_UNVERIFIED, as_file(changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.4"))),
    (Reason.ENCAPSULATED_DOCUMENT, as_file(changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1"))),
    (Reason.ENCAPSULATED_DOCUMENT, as_file(changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.2"))),
    (Reason.STRUCTURED_REPORT, as_file(changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11"))),
    (Reason.STRUCTURED_REPORT, as_file(changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.59"))),
    (Reason.MEDIA_DIRECTORY, as_file(changed(SOPClassUID="1.2.840.10008.1.3.10"))),
    (Reason.UNKNOWN_SOP_CLASS, as_file(changed(SOPClassUID="1.2.840.113619.4.26"))),
    (Reason.UNKNOWN_SOP_CLASS, as_file(changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.66"))),  # raw data
    (Reason.UNKNOWN_TRANSFER_SYNTAX, GOOD.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.113619.5.2\0\0")),
    (Reason.UNKNOWN_CHARACTER_SET, as_file(changed(SpecificCharacterSet="ISO_IR 4711"))),
    (Reason.UIDS_MISSING, as_file(changed(SeriesInstanceUID=None))),
    (Reason.PIXELS_MISSING, as_file(changed(PixelData=None))),
    (Reason.TRUNCATED, as_file(changed(PixelData=b"\0" * 30))),
    (Reason.OVERLAY_IN_PIXELS, as_file(overlay_in_pixels())),
    (Reason.UNDECODABLE, as_file(changed(Rows=None))),
    (Reason.UNDECODABLE, as_file(ct_dataset(), JPEG2000)),
    (Reason.IDENTIFIER_FOUND, as_file(changed(PatientID="47114711", InstanceNumber="47114711"))),
    (Reason.IDENTIFIER_FOUND, as_file(changed(PixelData=b"\0" * 20 + b"PAT-4711" + b"\0" * 4))),
]


@pytest.mark.parametrize(
    ("reason", "content"), CASES, ids=[f"{n}-{r.value}" for n, (r, _) in enumerate(CASES)]
)
def test_what_cannot_be_vouched_for_is_held(reason: Reason, content: bytes, result: Result) -> None:
    held = result(content)
    assert isinstance(held, Held)
    assert held.reason is reason
    assert "4711" not in repr(held)


def test_a_statement_of_clean_pixels_admits_an_ultrasound(result: Result) -> None:
    source = changed(SOPClassUID=US, Modality="US", BurnedInAnnotation="NO")
    assert isinstance(result(as_file(source)), Cleaned)


def test_trust_admits_what_it_says_and_no_more(result: Result) -> None:
    ultrasound = as_file(changed(SOPClassUID=US, Modality="US"))
    capture = as_file(changed(SOPClassUID=SC))
    burned_in = as_file(changed(BurnedInAnnotation="YES"))
    admitted = {
        trust: [isinstance(result(one, trust), Cleaned) for one in (ultrasound, capture, burned_in)]
        for trust in PixelTrust
    }
    assert admitted == {
        PixelTrust.STRICT: [False, False, False],
        PixelTrust.ULTRASOUND: [True, False, False],
        PixelTrust.REVIEWED: [True, True, False],
    }


def test_surplus_pixel_bytes_are_cut_off(result: Result) -> None:
    cleaned = result(as_file(changed(PixelData=bytes(range(32)) + b"hidden message!!")))
    assert isinstance(cleaned, Cleaned)
    assert b"hidden" not in cleaned.content
    assert cleaned.content.endswith(bytes(range(32)))


@pytest.mark.parametrize("value", [b"\0\0Quarzfeld\0", b"\0ACC99817\0"])
def test_a_name_in_a_palette_of_a_grey_image_goes(value: bytes, result: Result) -> None:
    cleaned = result(as_file(changed(RedPaletteColorLookupTableData=value)))
    assert isinstance(cleaned, Cleaned)
    assert value.strip(b"\0") not in cleaned.content


def test_any_cut_of_a_file_is_held_or_clean(result: Result) -> None:
    for end in range(0, len(GOOD), 13):
        held = result(GOOD[:end])
        assert isinstance(held, Held)


def test_any_flipped_byte_is_held_or_clean(result: Result) -> None:
    names = (b"Quarzfeld", b"Ottilie", b"PAT-4711", b"ACC99817")
    leaks, cleaned = [], 0
    for place in range(132, len(GOOD) - 32):
        damaged = GOOD[:place] + bytes([GOOD[place] ^ 0x21]) + GOOD[place + 1 :]
        one = result(damaged)
        if isinstance(one, Cleaned):
            cleaned += 1
            leaks += [(place, name) for name in names if name in damaged and name in one.content]
    assert leaks == []
    assert cleaned > 100


def test_every_reason_is_explained_in_the_reference_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "deidentification.md").read_text("utf-8")
    missing = [reason for reason in Reason if f"| `{reason.value}` | {reason.status.value} |" not in page]
    assert missing == []
