"""Numbers, tables, signals and colour profiles: what they are stays, what reads as text or has no right length goes."""

from __future__ import annotations

import struct
import sys

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.deid.conftest import Clean, ct_dataset
from tests.deid.corpus.hidden_part import profile_with

from fairbank.deid.binary_values import fixed_length, is_sound, reads_as_text
from fairbank.deid.cleaning import Held
from fairbank.deid.elements import made, put
from fairbank.deid.icc_profiles import cleaned_profile, srgb_profile
from fairbank.deid.identity import IdentityStore
from fairbank.deid.outcomes import Reason

NAME = b"Zwackelmannsen"


def explicit() -> Dataset:
    dataset = Dataset()
    dataset.set_original_encoding(False, True)
    return dataset


def palette_image(entries: int, data: bytes, *, photometric: str = "PALETTE COLOR") -> Dataset:
    dataset = ct_dataset()
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.4", "MR"
    dataset.PhotometricInterpretation = photometric
    for low in (1, 2, 3):
        put(
            dataset,
            made(0x00281100 + low, "US", struct.pack("<3H", entries % 65536, 0, 16), like=explicit()),
        )
        put(dataset, made(0x00281200 + low, "OW", data, like=explicit()))
    return dataset


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (0x00280009, struct.pack("<2H", 0x0018, 0x1063)),
        (0x00540010, struct.pack("<3H", 1, 2, 3)),
        (0x00189309, struct.pack("<d", 17.25)),
        (0x00209157, struct.pack("<2L", 1, 40)),
        (0x00660016, struct.pack("<6f", *(12.5, -7.0, 130.25) * 2)),
    ],
)
def test_numbers_are_sound(tag: int, value: bytes) -> None:
    assert is_sound(explicit(), tag, value)


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (0x00280009, NAME[:12]),
        (0x00280009, struct.pack("<2H", 0x0018, 0x9998)),
        (0x00540010, NAME),
        (0x00540010, b"\1\0\2"),
        (0x00209157, NAME[:12]),
        (0x00660016, struct.pack("<f", 1.5) * 80 + NAME + b"  "),
        (0x54001010, b"\0" * 32),
        (0x00160062, b"01000"),
    ],
)
def test_what_is_no_number_is_not(tag: int, value: bytes) -> None:
    assert not is_sound(explicit(), tag, value)


def test_a_ramp_through_the_letters_is_no_text() -> None:
    assert not reads_as_text(struct.pack("<256H", *(257 * step for step in range(256))), 2)
    assert not reads_as_text(struct.pack("<4096H", *range(0x3000, 0x7000, 4)), 2)
    assert reads_as_text(struct.pack("<256H", *range(256)) + NAME, 2)


def test_lengths_of_fixed_values() -> None:
    assert [
        fixed_length(0x00280011, "US"),
        fixed_length(0x00200032, "DS"),
        fixed_length(0x7FE00010, "OB or OW"),
    ] == [
        2,
        0,
        0,
    ]


def test_a_palette_stays_where_colours_are_and_fits_its_descriptor(clean: Clean) -> None:
    colours = struct.pack("<256H", *(257 * step for step in range(256)))
    _, kept = clean(palette_image(256, colours))
    assert kept[0x00281201].value == colours
    _, grey = clean(palette_image(256, colours, photometric="MONOCHROME2"))
    assert not {0x00281201, 0x00281202, 0x00281203} & {int(tag) for tag in grey.keys()}  # noqa: SIM118
    assert is_sound(palette_image(256, colours), 0x00281201, colours)
    assert not is_sound(palette_image(256, colours), 0x00281201, colours[:-2])


def test_a_signal_has_the_samples_that_it_says(clean: Clean) -> None:
    for surplus in (b"", NAME):
        dataset, group = ct_dataset(), explicit()
        dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.9.1.1", "ECG"
        del dataset.PixelData
        group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = 2, 8
        group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
        put(group, made(0x54001010, "OW", bytes(range(32)) + surplus, like=group))
        dataset.WaveformSequence = Sequence([group])
        _, output = clean(dataset)
        assert ("WaveformData" in output.WaveformSequence[0]) is (not surplus)


def test_a_profile_keeps_its_colours_and_loses_its_words(clean: Clean) -> None:
    from io import BytesIO

    from PIL import ImageCms

    before = profile_with(NAME.decode())
    dataset = ct_dataset()
    put(dataset, made(0x00282000, "OB", before, like=explicit()))
    content, output = clean(dataset)
    assert NAME not in content and b"acsp" in content
    after = output[0x00282000].value
    size = int.from_bytes(after[:4], "big")
    colours = [ImageCms.ImageCmsProfile(BytesIO(one)).profile for one in (before, after[:size])]
    for attribute in ("red_colorant", "green_colorant", "blue_colorant", "media_white_point"):
        assert getattr(colours[0], attribute) == getattr(colours[1], attribute)
    assert cleaned_profile(after[:size]) == after[:size]


def test_no_profile_is_made_where_there_was_none(clean: Clean) -> None:
    from io import BytesIO

    from PIL import ImageCms

    for space in (None, "SRGB"):
        dataset = ct_dataset()
        put(dataset, made(0x00282000, "OB", NAME, like=explicit()))
        if space is not None:
            dataset.ColorSpace = space
        content, output = clean(dataset)
        assert NAME not in content
        assert (0x00282000 in output) is (space is not None)
    assert ImageCms.ImageCmsProfile(BytesIO(srgb_profile())).profile.xcolor_space == "RGB "


@pytest.mark.parametrize("cut", range(0, 700, 23))
def test_a_damaged_profile_is_cleaned_or_dropped(cut: int) -> None:
    whole = profile_with(NAME.decode())
    for broken in (whole[:cut], whole[:cut] + NAME + whole[cut + len(NAME) :]):
        assert NAME not in (cleaned_profile(broken) or b"")


def test_mistakes_of_our_own_do_not_pass_for_malformed_files(
    clean: Clean, identity: IdentityStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairbank.deid.admission.PIXEL_TAGS", None)
    with pytest.raises(TypeError):
        clean(ct_dataset())
    assert sys.exception() is None
    assert Held(Reason.UNDECODABLE).reason is Reason.UNDECODABLE
