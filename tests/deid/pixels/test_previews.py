"""Thumbnails show what was done and nothing that can be read."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from tests.deid.pixels.pictures import TEXTS, anatomy, black, image_file, planted

from fairbank.deid.errors import NoPreview
from fairbank.deid.pixels.previews import COARSE, LARGEST_THUMBNAIL, full_pictures, thumbnails
from fairbank.deid.pixels.reading import words_of_frame
from fairbank.deid.pixels.work import Box


def opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content))


@pytest.mark.parametrize("side", [100, 256, 512])
@pytest.mark.parametrize("size", [14, 28, 60])
def test_no_text_can_be_read_in_a_thumbnail_even_where_it_was_missed(side: int, size: int) -> None:
    picture, _ = planted(black(side), size, 255, texts=TEXTS[: max(1, side // (2 * size))])
    pair = thumbnails(image_file(picture[None]), [])
    for content in (pair.before, pair.after):
        shown = np.asarray(opened(content).convert("L"))
        assert max(shown.shape) <= LARGEST_THUMBNAIL
        for factor in (1, 4):
            large = np.asarray(opened(content).convert("L").resize((shown.shape[1] * factor,) * 2))
            read = [word.text for word in words_of_frame(large) if word.is_located]
            assert not any(part in text for text in read for part in ("HART", "LENA", "4821", "1961"))


def test_even_letters_of_a_fifth_of_the_picture_cannot_be_read_in_a_coarse_one() -> None:
    picture, _ = planted(black(400), 110, 255, texts=["LENA", "HART"])
    pair = thumbnails(image_file(picture[None]), [], patches=COARSE)
    shown = opened(pair.before).convert("L")
    for factor in (1, 3, 6):
        large = np.asarray(shown.resize((shown.width * factor, shown.height * factor)))
        read = [word.text.upper() for word in words_of_frame(large)]
        assert not any(part in text for text in read for part in ("LENA", "HART", "LEN", "HAR"))


def test_a_thumbnail_outlines_what_was_blanked() -> None:
    pair = thumbnails(image_file(anatomy("CT_small.dcm")[None]), [Box(100, 100, 200, 100)])
    before, after = (np.asarray(opened(content)).astype(int) for content in (pair.before, pair.after))
    assert np.any((before[..., 0] - before[..., 1]) > 100)
    assert after[37, 50].max() < 32


def test_full_pictures_show_the_frame_and_the_frame_without_its_boxes() -> None:
    picture, places = planted(black(), 20, 255)
    pair = full_pictures(image_file(picture[None]), places)
    before, after = (np.asarray(opened(content).convert("L")) for content in (pair.before, pair.after))
    assert before.shape == after.shape == picture.shape
    assert np.count_nonzero(before) > 500
    assert np.count_nonzero(after) == 0


def test_boxes_of_other_frames_are_not_drawn() -> None:
    frames = np.stack([black(128), black(128) + 200])
    pair = full_pictures(image_file(frames), [Box(10, 10, 30, 30, frame=1)], frame=0)
    assert np.asarray(opened(pair.before)).max() == 0


def test_pixels_that_cannot_be_decoded_are_no_preview() -> None:
    dataset = image_file(black(64)[None])
    element = dataset.get_item(0x7FE00010)
    dataset[0x7FE00010] = element._replace(value=b"")
    with pytest.raises(NoPreview):
        thumbnails(dataset, [])


def test_a_pair_prints_nothing_of_the_pictures() -> None:
    assert "PNG" not in repr(thumbnails(image_file(black(32)[None]), []))
