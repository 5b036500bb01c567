"""What a reader of pixels makes out: Tesseract, on the place where text was drawn."""

from __future__ import annotations

import re
import shutil
import subprocess
from io import BytesIO

import numpy as np
from PIL import Image
from tests.deid.corpus.planted import Box

_MARGIN = 8
_LEAST = 5


def lacking() -> str | None:
    """Return why nothing can be read here; None if it can."""
    return None if shutil.which("tesseract") else "Tesseract is not installed: apt-get install tesseract-ocr"


def shows(box: Box, pixels: np.ndarray) -> bool:
    """Return whether a word of what was drawn can be read in pixels, (frames, rows, columns)."""
    frame = pixels[box.frame].astype(float)
    top, left = max(0, box.top - _MARGIN), max(0, box.left - _MARGIN)
    part = frame[top : box.top + box.height + _MARGIN, left : box.left + box.width + _MARGIN]
    part = (part - part.min()) / max(1.0, np.ptp(part)) * 255
    image = Image.fromarray(part.astype("uint8")).resize((part.shape[1] * 3, part.shape[0] * 3))
    return any(
        _has_word(box.text, read(each)) for each in (image, Image.eval(image, lambda value: 255 - value))
    )


def read(image: Image.Image) -> str:
    """Return the text that is read in an image."""
    buffer = BytesIO()
    image.save(buffer, "PNG")
    done = subprocess.run(
        ["tesseract", "-", "-", "--psm", "7"],
        input=buffer.getvalue(),
        capture_output=True,
        timeout=60,
        check=False,
        env={"OMP_THREAD_LIMIT": "1", "PATH": "/usr/bin:/bin"},
    )
    return done.stdout.decode("utf-8", "replace")


def _has_word(drawn: str, found: str) -> bool:
    words = [re.sub(r"\W", "", word).lower() for word in drawn.split()]
    text = re.sub(r"[^\w]", "", found).lower()
    return any(word in text for word in words if len(word) >= _LEAST)
