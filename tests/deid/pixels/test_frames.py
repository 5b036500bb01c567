"""Frames in every transfer syntax: blanked where they should be, unchanged everywhere else."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import UID, ExplicitVRBigEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless
from tests.deid.pixels.pictures import image_file, noise, reread

from fairbank.deid import part10
from fairbank.deid.outcomes import Refused
from fairbank.deid.pixels.frames import frames_of
from fairbank.deid.pixels.work import Box

BOX = Box(left=4, top=6, width=11, height=8)
FILES = (
    "CT_small.dcm",  # explicit little endian, signed
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "JPEG2000.dcm",
    "JPEG-LL.dcm",
    "image_dfl.dcm",  # deflated
    "SC_rgb.dcm",
    "SC_rgb_2frame.dcm",
    "SC_rgb_16bit.dcm",
    "SC_rgb_expb_2frame.dcm",
    "SC_rgb_expb_16bit_2frame.dcm",
    "SC_rgb_rle_2frame.dcm",
    "SC_rgb_rle_16bit_2frame.dcm",
    "SC_rgb_gdcm_KY.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "examples_ybr_color.dcm",
    "examples_palette.dcm",
    "examples_rgb_color.dcm",
    "examples_jpeg2k.dcm",
    "emri_small.dcm",
    "emri_small_jpeg_ls_lossless.dcm",
    "liver.dcm",  # one bit per pixel
    "explicit_VR-UN.dcm",
)


def read(name: str) -> Dataset:
    with part10.quiet_pydicom(), open(get_testdata_file(name), "rb") as file:
        return part10.read(file.read())


def blanked(dataset: Dataset, box: Box, numbers: list[int]) -> Dataset:
    """Return the file after a box of some frames was blanked, written and read again."""
    with part10.quiet_pydicom():
        frames = frames_of(dataset)
        for number in numbers:
            frames.blank(number, [box])
        frames.put_back(dataset)
        return part10.read(part10.write(dataset).content)


@pytest.mark.parametrize("name", FILES)
def test_only_the_box_changes(name: str) -> None:
    dataset = read(name)
    with part10.quiet_pydicom():
        before = frames_of(dataset)
        box = Box(1, 1, 1, 2) if before.form.rows < 20 else BOX
        last = before.form.frames - 1
        shown = [before.shown(number).copy() for number in {0, last}]
        after = frames_of(blanked(dataset, box, [last]))
        again = [after.shown(number) for number in {0, last}]
    mask = np.zeros(shown[0].shape[:2], bool)
    mask[box.top : box.top + box.height, box.left : box.left + box.width] = True
    if "422" in before.form.photometric and not UID(dataset.file_meta.TransferSyntaxUID).is_encapsulated:
        mask[:, 1:] |= mask[:, :-1]
    assert np.array_equal(shown[-1][~mask], again[-1][~mask])
    if last:
        assert np.array_equal(shown[0], again[0])
    assert len(np.unique(again[-1][box.top : box.top + box.height, box.left : box.left + box.width])) == 1


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_frames_that_are_not_blanked_keep_their_bytes(syntax: UID) -> None:
    pixels = np.stack([noise(seed, 64) for seed in range(3)])
    plain = image_file(pixels)
    plain.compress(syntax, generate_instance_uid=False)
    dataset = reread(plain, syntax)
    before = list(generate_frames(dataset.get_item(0x7FE00010).value, number_of_frames=3))
    after = blanked(dataset, BOX, [1])
    frames = list(generate_frames(after.get_item(0x7FE00010).value, number_of_frames=3))
    assert after.file_meta.TransferSyntaxUID == syntax
    assert (frames[0], frames[2]) == (before[0], before[2])
    assert frames[1] != before[1]


def test_a_lossy_file_says_so_after_it_became_rle() -> None:
    after = blanked(read("SC_rgb_jpeg_dcmtk.dcm"), BOX, [0])
    assert after.file_meta.TransferSyntaxUID == RLELossless
    assert (after.LossyImageCompression, after.PhotometricInterpretation) == ("01", "RGB")


def test_a_file_that_is_not_blanked_stays_as_it_is() -> None:
    dataset = read("JPEG2000.dcm")
    before = dataset.get_item(0x7FE00010).value
    assert blanked(dataset, BOX, []).get_item(0x7FE00010).value == before


def test_monochrome1_is_blanked_with_its_black() -> None:
    dataset = image_file(noise(1, 64)[None], PhotometricInterpretation="MONOCHROME1")
    brightest = dataset.pixel_array.max()
    after = blanked(reread(dataset, "1.2.840.10008.1.2.1"), BOX, [0]).pixel_array
    assert np.all(after[BOX.top : BOX.top + BOX.height, BOX.left : BOX.left + BOX.width] == brightest)


def test_eight_bit_words_in_big_endian_keep_their_order() -> None:
    pixels = noise(2, 64)[None]
    dataset = image_file(pixels)
    swapped = np.frombuffer(pixels.tobytes(), "<u2").byteswap().tobytes()
    del dataset[0x7FE00010]
    dataset.add_new(0x7FE00010, "OW", swapped)
    after = blanked(reread(dataset, ExplicitVRBigEndian), BOX, [0])
    with part10.quiet_pydicom():
        shown = frames_of(after).shown(0)
    expected = pixels[0].copy()
    expected[BOX.top : BOX.top + BOX.height, BOX.left : BOX.left + BOX.width] = pixels.min()
    assert np.array_equal(shown, expected)


@pytest.mark.parametrize("name", ["JPEG-lossy.dcm", "JPGExtended.dcm"])
def test_twelve_bit_jpeg_has_no_decoder_and_is_refused(name: str) -> None:
    dataset = read(name)
    with part10.quiet_pydicom(), pytest.raises(Refused):
        frames_of(dataset).shown(0)


def test_damaged_frames_are_refused() -> None:
    dataset = read("JPEG2000.dcm")
    element = dataset.get_item(0x7FE00010)
    dataset[0x7FE00010] = element._replace(value=element.value[:16] + b"\0" * (len(element.value) - 16))
    with part10.quiet_pydicom(), pytest.raises(Refused):
        frames_of(dataset).shown(0)


def test_what_was_written_is_a_file_that_pydicom_reads_itself(tmp_path: object) -> None:
    from io import BytesIO

    dataset = read("SC_rgb_rle_2frame.dcm")
    with part10.quiet_pydicom():
        frames = frames_of(dataset)
        frames.blank(1, [BOX])
        frames.put_back(dataset)
        content = part10.write(dataset).content
    assert pydicom.dcmread(BytesIO(content)).pixel_array.shape[0] == 2
