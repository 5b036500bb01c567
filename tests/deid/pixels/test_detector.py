"""The detector finds planted text and leaves anatomy alone."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from tests.deid.pixels.pictures import Picture, anatomy, black, covered, noise, planted

from fairbank.deid.pixels.detector import text_boxes
from fairbank.deid.pixels.picture import planes_of
from fairbank.deid.pixels.work import Box


def found_in(picture: Picture) -> list[Box]:
    return [box for plane in planes_of(picture) for box in text_boxes(plane)]


def located(picture: Picture, places: list[Box]) -> int:
    boxes = found_in(picture)
    return sum(covered(place, boxes) > 0.5 for place in places)


def as_jpeg(picture: Picture) -> Picture:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=85)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("size", [10, 12, 14, 20, 28, 48])
@pytest.mark.parametrize("grey", [255, 128])
def test_all_text_on_black_is_located(size: int, grey: int) -> None:
    picture, places = planted(black(), size, grey)
    assert located(picture, places) == len(places)
    assert located(as_jpeg(picture), places) == len(places)


@pytest.mark.parametrize("size", [10, 14, 28])
def test_dark_text_on_white_is_located(size: int) -> None:
    picture, places = planted(black(), size, 255)
    assert located(255 - picture, places) == len(places)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "RG1_UNCI.dcm"])
def test_most_text_over_anatomy_is_located(name: str) -> None:
    ground = anatomy(name)
    hits = total = 0
    for size in (10, 14, 20, 28):
        for grey in (255, 200):
            picture, places = planted(ground, size, grey)
            hits, total = hits + located(picture, places), total + len(places)
    assert hits / total >= 0.9


def test_text_in_colour_on_grey_of_the_same_brightness_is_located() -> None:
    ground = np.repeat(noise()[..., None] // 2 + 40, 3, axis=2)
    letters, places = planted(black(), 16, 255)
    ground[letters > 128] = (200, 60, 40)
    assert located(ground, places) == len(places)


def test_text_that_runs_upwards_is_located() -> None:
    picture, _ = planted(black(), 16, 255, turned=True)
    blank = picture.copy()
    for box in found_in(picture):
        blank[box.top : box.top + box.height, box.left : box.left + box.width] = 0
    assert np.count_nonzero(blank) < 0.02 * np.count_nonzero(picture)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "RG1_UNCI.dcm"])
def test_anatomy_without_text_is_left_alone(name: str) -> None:
    assert found_in(anatomy(name)) == []


def test_noise_is_left_alone() -> None:
    withheld = sum(bool(found_in(noise(seed, 256))) for seed in range(50))
    assert withheld <= 1  # 2 %


def test_twelve_bit_pixels_are_looked_at_in_their_own_units() -> None:
    ground = noise().astype(np.uint16) * 4 + 200
    letters, places = planted(black(), 14, 255)
    picture = np.where(letters > 128, 4095, ground).astype(np.uint16)
    boxes = [box for plane in planes_of(picture) for box in text_boxes(plane)]
    assert sum(covered(place, boxes) > 0.5 for place in places) == len(places)


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (9, 300), (300, 9)])
def test_tiny_and_flat_pictures_hold_nothing(shape: tuple[int, int]) -> None:
    assert text_boxes(np.zeros(shape, np.float32)) == []
