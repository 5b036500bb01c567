"""Text as pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_FONTS = sorted(Path("/usr/share/fonts").rglob("DejaVuSans*.ttf"))


def drawn(text: str, size: int, *, font: int = 0) -> np.ndarray:
    """Return text as (rows, columns) bool, trimmed to what is drawn.

    Args:
        text: what to draw.
        size: height of the font in pixels.
        font: which of the fonts that are installed; the one that Pillow brings, if there are none.
    """
    chosen = ImageFont.truetype(_FONTS[font % len(_FONTS)], size) if _FONTS else ImageFont.load_default(size)
    canvas = Image.new("L", (size * (len(text) + 2), size * 3))
    ImageDraw.Draw(canvas).text((size, size // 2), text, fill=255, font=chosen)
    shape = np.asarray(canvas) > 100
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    return shape[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def overlay_bits(text: str, rows: int, columns: int) -> bytes:
    """Return an overlay plane that shows text (DICOM PS3.5, section 8.1.2)."""
    plane = np.zeros((rows, columns), bool)
    shape = drawn(text, 18)[:rows, :columns]
    plane[rows // 4 : rows // 4 + shape.shape[0], 2 : 2 + shape.shape[1]] = shape[
        : rows - rows // 4, : columns - 2
    ]
    return np.packbits(plane.ravel(), bitorder="little").tobytes()
