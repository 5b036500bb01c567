"""Pictures with planted text: names, numbers and dates, in letters that Pillow draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from scipy import ndimage
from tests.deid.conftest import as_file, ct_dataset

from fairbank.deid import part10
from fairbank.deid.pixels.work import Box

TEXTS = ("HARTMANN^LENA", "ID 48213077", "12.03.1961", "Dr. O. Vasquez", "MRN:0098-221", "J. Smith 54Y F")
Picture = NDArray[np.uint8]


def black(side: int = 512) -> Picture:
    return np.zeros((side, side), np.uint8)


def noise(seed: int = 0, side: int = 512) -> Picture:
    """Return smooth noise over slow shading, as in tissue."""
    rng = np.random.default_rng(seed)
    fine = ndimage.gaussian_filter(rng.normal(size=(side, side)), 1.2)
    coarse = ndimage.gaussian_filter(rng.normal(size=(side, side)), side / 20)
    return np.clip(110 + fine / fine.std() * 14 + coarse / coarse.std() * 40, 0, 255).astype(np.uint8)


def anatomy(name: str, *, seed: int = 0) -> Picture:
    """Return a real image: `CT_small.dcm` and `MR_small.dcm` enlarged with a little noise, `RG1_UNCI.dcm` cut."""
    import pydicom

    pixels = pydicom.dcmread(get_testdata_file(name)).pixel_array.astype(float)
    grey = ((pixels - pixels.min()) / np.ptp(pixels) * 255).astype(np.uint8)
    if min(grey.shape) > 800:
        middle = [side // 2 for side in grey.shape]
        return grey[middle[0] - 400 : middle[0] + 400, middle[1] - 400 : middle[1] + 400]
    large = np.asarray(Image.fromarray(grey).resize((512, 512), Image.Resampling.BICUBIC), float)
    return np.clip(large + np.random.default_rng(seed).normal(size=large.shape) * 6, 0, 255).astype(np.uint8)


def planted(
    picture: Picture, size: int, grey: int, *, texts: Sequence[str] = TEXTS, turned: bool = False
) -> tuple[Picture, list[Box]]:
    """Return a picture with texts drawn into it, one below the other, and where they are."""
    image = Image.fromarray(np.rot90(picture) if turned else picture)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    rng = np.random.default_rng(size * 1000 + grey)
    places = []
    for number, text in enumerate(texts):
        left = int(rng.integers(5, max(6, image.width - 14 * size)))
        top = int(10 + number * (image.height - 60) / max(1, len(texts)))
        draw.text((left, top), text, fill=grey, font=font)
        x0, y0, x1, y1 = (int(edge) for edge in draw.textbbox((left, top), text, font=font))
        places.append(Box(left=x0, top=y0, width=x1 - x0, height=y1 - y0))
    drawn = np.asarray(image)
    return (np.ascontiguousarray(np.rot90(drawn, -1)) if turned else drawn.copy()), places


def covered(place: Box, boxes: Sequence[Box]) -> float:
    """Return which share of a place lies in boxes."""
    mask = np.zeros((place.height, place.width), bool)
    for box in boxes:
        top, left = box.top - place.top, box.left - place.left
        mask[max(0, top) : max(0, top + box.height), max(0, left) : max(0, left + box.width)] = True
    return float(mask.mean())


def image_file(frames: NDArray[np.generic], *, modality: str = "OT", **changes: object) -> Dataset:
    """Return a dataset as it is read from a file: frames (n, rows, columns[, 3]) uint8 or uint16."""
    dataset = ct_dataset()
    dataset.SOPClassUID, dataset.Modality = SecondaryCaptureImageStorage, modality
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape[0], frames.shape[1], frames.shape[2]
    bits = frames.dtype.itemsize * 8
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    if frames.ndim == 4:
        dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
        dataset.PhotometricInterpretation = "RGB"
    content = frames.tobytes()
    dataset.add_new(0x7FE00010, "OB" if bits == 8 else "OW", content + b"\0" * (len(content) % 2))
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return reread(dataset, ExplicitVRLittleEndian)


def reread(dataset: Dataset, syntax: str) -> Dataset:
    with part10.quiet_pydicom():
        return part10.read(as_file(dataset, syntax))
