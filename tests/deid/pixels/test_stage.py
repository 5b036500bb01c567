"""Files through the stage: which are looked at, blanked, held for a person, or let go by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UltrasoundImageStorage
from tests.deid.conftest import as_file, ct_dataset
from tests.deid.pixels.pictures import anatomy, black, covered, image_file, noise, planted, reread

from fairbank.deid import part10
from fairbank.deid.decisions import NO_DECISIONS, DecisionTable, ItemDecision, Verdict
from fairbank.deid.errors import TextToolsMissing
from fairbank.deid.groups import group_of
from fairbank.deid.identifiers import identifiers_of
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason, Refused
from fairbank.deid.pixels.boxes import mask_of
from fairbank.deid.pixels.kinds import Look, look_at
from fairbank.deid.pixels.stage import treat
from fairbank.deid.pixels.work import UNTOUCHED, Box, PixelWork
from fairbank.deid.policies import PixelTrust

PLAIN = "1.2.840.10008.1.2.1"


def treated(dataset: Dataset, *, release: tuple[str, ...] = (), method: Method | None = None) -> PixelWork:
    decisions = DecisionTable(dict.fromkeys(release, Verdict.RELEASE)) if release else NO_DECISIONS
    with part10.quiet_pydicom():
        return treat(
            dataset, method=method or Method(), decisions=decisions, identifiers=identifiers_of(dataset)
        )


def refused(dataset: Dataset, **how: object) -> Refused:
    with pytest.raises(Refused) as caught:
        treated(dataset, **how)  # type: ignore[arg-type]  # passed through
    return caught.value


def with_text(**changes: object) -> Dataset:
    picture, _ = planted(black(256), 14, 255, texts=("DOE JOHN", "ID 99887766"))
    return image_file(picture[None], **changes)


def regions(*corners: tuple[int, int, int, int]) -> Sequence:
    items = []
    for left, top, right, bottom in corners:
        item = Dataset()
        item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
        item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
        items.append(item)
    return Sequence(items)


def test_text_is_held_for_a_person_then_blanked_and_marked() -> None:
    first = refused(with_text())
    assert first.reason is Reason.PIXELS_REVIEW
    assert first.group == "pixels-review|OT|~822b||256x256"
    dataset = with_text()
    work = treated(dataset, release=(first.group,))
    assert (work.cleaned, work.burned_in, work.group) == (True, "NO", first.group)
    assert np.count_nonzero(dataset.pixel_array) == 0
    assert dataset.DerivationCodeSequence[0].CodeValue == "113047"


def test_text_that_names_the_subject_is_gone_from_the_written_file() -> None:
    picture, _ = planted(black(256), 18, 255, texts=("QUARZFELD OTTILIE",))
    group = refused(image_file(picture[None])).group
    dataset = image_file(picture[None])
    treated(dataset, release=(str(group),))
    assert dataset.pixel_array.max() == 0


def test_no_text_in_a_kind_that_carries_it_waits_for_a_person() -> None:
    held = refused(image_file(noise(1, 128)[None]))
    assert held.reason is Reason.PIXELS_UNVERIFIED
    work = treated(image_file(noise(1, 128)[None]), release=(str(held.group),))
    assert (work.cleaned, work.burned_in, work.boxes) == (False, None, ())


def test_a_flag_without_text_waits_for_a_person_who_may_overrule_it() -> None:
    held = refused(image_file(noise(1, 128)[None], BurnedInAnnotation="YES"))
    assert held.reason is Reason.BURNED_IN
    work = treated(image_file(noise(1, 128)[None], BurnedInAnnotation="YES"), release=(str(held.group),))
    assert (work.cleaned, work.burned_in) == (False, "NO")


def test_text_outside_the_regions_of_the_device_goes_without_a_person() -> None:
    picture = np.zeros((256, 384), np.uint8)
    picture[48:, :] = noise(3, 384)[:208]
    picture[:40] = planted(black(384), 14, 255, texts=("DOE JOHN 99887766",))[0][:40]

    def ultrasound() -> Dataset:
        return image_file(
            picture[None],
            modality="US",
            SOPClassUID=UltrasoundImageStorage,
            SequenceOfUltrasoundRegions=regions((0, 48, 384, 256)),
        )

    dataset = ultrasound()
    work = treated(dataset)
    assert (work.cleaned, work.burned_in, work.group) == (True, "NO", None)
    assert "ultrasound-region" in work.found_by
    assert dataset.pixel_array[:48].max() <= picture[48:].min()
    assert np.array_equal(dataset.pixel_array[48:], picture[48:])


def test_regions_that_leave_nothing_out_prove_nothing() -> None:
    dataset = image_file(
        noise(3, 128)[None],
        modality="US",
        SOPClassUID=UltrasoundImageStorage,
        SequenceOfUltrasoundRegions=regions((0, 0, 128, 128)),
    )
    assert refused(dataset).reason is Reason.PIXELS_UNVERIFIED


def test_text_in_one_frame_of_many_is_found_in_that_frame() -> None:
    frames = np.stack([anatomy("MR_small.dcm", seed=seed)[:256, :256] for seed in range(12)])
    frames[7], places = planted(frames[7], 16, 255, texts=("HARTMANN^LENA",))
    group = refused(image_file(frames)).group
    dataset = image_file(frames)
    work = treated(dataset, release=(str(group),))
    assert covered(places[0], [box for box in work.boxes if box.frame in (7, None)]) > 0.9
    after = dataset.pixel_array
    kept = ~mask_of([box for box in work.boxes if box.frame in (3, None)], 256, 256)
    assert np.array_equal(after[3][kept], frames[3][kept])
    assert kept.mean() > 0.9


def test_an_identifier_that_is_still_read_is_never_released(monkeypatch: pytest.MonkeyPatch) -> None:
    from fairbank.deid.pixels import blanking
    from fairbank.deid.pixels.search import Finding

    monkeypatch.setattr(blanking, "search", lambda frames, **how: Finding((), (), ("QUARZFELD",)))
    group = group_of(image_file(noise(1, 64)[None]), Reason.PIXELS_UNVERIFIED)
    held = refused(image_file(noise(1, 64)[None]), release=(group,))
    assert held.reason is Reason.IDENTIFIER_IN_PIXELS


def test_text_that_never_goes_is_held_whatever_was_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    from fairbank.deid.pixels import blanking
    from fairbank.deid.pixels.search import Finding
    from fairbank.deid.pixels.work import Box

    monkeypatch.setattr(blanking, "search", lambda frames, **how: Finding((Box(0, 0, 9, 9),), ("ocr",), ()))
    group = group_of(image_file(noise(1, 64)[None]), Reason.PIXELS_REVIEW)
    assert refused(image_file(noise(1, 64)[None]), release=(group,)).reason is Reason.TEXT_REMAINS


def test_one_look_is_enough_as_long_as_nobody_has_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    from fairbank.deid.pixels import blanking
    from fairbank.deid.pixels.search import Finding
    from fairbank.deid.pixels.work import Box

    looks = []

    def once(frames: object, *, light: bool, enough: bool = False) -> Finding:
        looks.append(enough)
        return Finding((Box(0, 0, 9, 9),), ("ocr",), ())

    monkeypatch.setattr(blanking, "search", once)
    assert refused(image_file(noise(1, 64)[None])).reason is Reason.PIXELS_REVIEW
    assert looks == [True]


def test_without_tesseract_the_file_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert refused(with_text()).reason is Reason.TEXT_TOOLS_MISSING


def test_tesseract_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from fairbank.deid.pixels import tesseract

    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(TextToolsMissing, match="tesseract-ocr"):
        tesseract.program()


def ct(**changes: object) -> Dataset:
    dataset = ct_dataset()
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return reread(dataset, PLAIN)


LOOKS: tuple[tuple[dict[str, object], Look], ...] = (
    ({}, Look.NOT),
    ({"BurnedInAnnotation": "NO"}, Look.NOT),
    ({"BurnedInAnnotation": "YES"}, Look.FULL),
    ({"ImageType": ["DERIVED", "PRIMARY", "MPR"]}, Look.LIGHT),
    ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, Look.LIGHT),
    ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, Look.FULL),
    ({"Modality": "DX"}, Look.FULL),
    ({"Modality": "MG", "BurnedInAnnotation": "NO"}, Look.NOT),
    ({"Modality": "US"}, Look.FULL),
    ({"Modality": "SEG", "ImageType": ["DERIVED", "PRIMARY"]}, Look.NOT),
)


@pytest.mark.parametrize(("changes", "look"), LOOKS)
def test_tags_decide_how_closely_a_file_is_looked_at(changes: dict[str, object], look: Look) -> None:
    assert look_at(ct(**changes), Method(look_at_one_in=0)) is look


def test_trust_spares_what_a_person_has_looked_at() -> None:
    us = ct(Modality="US")
    assert look_at(us, Method(trust=PixelTrust.ULTRASOUND, look_at_one_in=0)) is Look.NOT
    assert look_at(us, Method(trust=PixelTrust.REVIEWED, look_at_one_in=0)) is Look.NOT
    flagged = ct(Modality="US", BurnedInAnnotation="YES")
    assert look_at(flagged, Method(trust=PixelTrust.REVIEWED)) is Look.FULL


def test_the_sample_is_one_in_so_many_and_always_the_same() -> None:
    method = Method(look_at_one_in=20)
    files = [ct(SOPInstanceUID=f"1.2.3.{number}") for number in range(600)]
    first = [look_at(file, method) for file in files]
    assert first == [look_at(file, method) for file in files]
    assert 12 <= first.count(Look.SAMPLE) <= 60


def test_a_ct_slice_is_decided_on_without_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith("fairbank.deid.pixels.frames")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert treated(ct(), method=Method(look_at_one_in=0)) == UNTOUCHED


@pytest.mark.parametrize(
    ("maker", "model"), [("Quarzfeld Clinic", "Ottilie"), ("Dr. Hartmann", "LENA"), ("ACME", "PAT-4711")]
)
def test_a_group_holds_no_name(maker: str, model: str) -> None:
    group = group_of(ct(Manufacturer=maker, ManufacturerModelName=model), Reason.PIXELS_REVIEW)
    parts = group.split("|")
    assert parts[0:2] == ["pixels-review", "CT"]
    assert all(part.startswith("~") and len(part) == 5 for part in parts[2:4])


def test_a_group_names_listed_makers_and_models() -> None:
    dataset = ct(Manufacturer="Philips Medical Systems", ManufacturerModelName="EPIQ 5G")
    assert group_of(dataset, Reason.PIXELS_REVIEW) == "pixels-review|CT|Philips Medical Systems|EPIQ 5G|4x4"


@pytest.fixture(scope="module")
def ultrasound_file() -> Callable[[str], Dataset]:
    import deid_data

    folder = Path(deid_data.__file__).parent / "data" / "ultrasounds"

    def read(name: str) -> Dataset:
        with part10.quiet_pydicom():
            return part10.read((folder / name).read_bytes())

    return read


@pytest.mark.parametrize("name", ["GREYSCALE_IMAGE.dcm", "RGB_IMAGE.dcm"])
def test_real_ultrasound_is_reviewed_then_nothing_of_the_name_can_be_read(
    name: str, ultrasound_file: Callable[[str], Dataset]
) -> None:
    from fairbank.deid.pixels.frames import frames_of
    from fairbank.deid.pixels.reading import words_of_frame

    held = refused(ultrasound_file(name))
    assert held.reason is Reason.PIXELS_REVIEW
    dataset = ultrasound_file(name)
    work = treated(dataset, release=(str(held.group),))
    assert (work.cleaned, work.burned_in) == (True, "NO")
    with part10.quiet_pydicom():
        read = " ".join(word.text for word in words_of_frame(frames_of(dataset).shown(0))).upper()
    for told in ("ZZZ", "PATIENT", "MARY", "DOWNTIME", "00079241539", "120907058", "1951", "CLEVELAND"):
        assert told not in read
    assert as_file(dataset)  # can be written


def test_areas_that_a_person_named_are_blanked_and_the_file_goes() -> None:
    held = refused(with_text(Modality="US"))
    one = ItemDecision(str(held.group), Verdict.RELEASE, (Box(0, 200, 256, 20),))
    fresh = with_text(Modality="US")
    with part10.quiet_pydicom():
        work = treat(
            fresh,
            method=Method(),
            decisions=DecisionTable(one=one),
            identifiers=identifiers_of(fresh),
        )
    assert one.areas[0] in work.boxes and "person" in work.found_by and work.group == held.group
    assert not fresh.pixel_array[..., 200:220, :].any()
    with pytest.raises(Refused):
        treated(with_text(Modality="US"))


def test_what_a_person_keeps_back_stays_held_whatever_areas_there_are() -> None:
    held = refused(with_text(Modality="US"))
    one = ItemDecision(str(held.group), Verdict.KEEP_HELD, (Box(0, 0, 256, 256),))
    table = DecisionTable({str(held.group): Verdict.RELEASE}, one=one)
    fresh = with_text(Modality="US")
    with pytest.raises(Refused), part10.quiet_pydicom():
        treat(fresh, method=Method(), decisions=table, identifiers=identifiers_of(fresh))
