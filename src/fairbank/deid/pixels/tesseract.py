"""Tesseract, run as a program: pictures go in through a pipe, words come out through one; nothing touches a disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from fairbank.deid.errors import TextToolsMissing
from fairbank.deid.pixels.picture import Grey
from fairbank.deid.pixels.work import Box

PROGRAM = "tesseract"
_SPARSE_TEXT = 11  # page segmentation mode: as much text as there is, in no order
_TIMEOUT_S = 120
_REMEMBERED = 256
_COLUMNS = 12
# Confidence from which a word of so many letters counts as located (measured; docs/reference/deidentification.md).
_SURE = 70.0
_LETTERS = 3
_FLATTEST = 0.25


@dataclass(frozen=True, slots=True)
class Word:
    """A word that was located; its text may identify and is never printed."""

    box: Box
    text: str = field(repr=False)
    confidence: float

    @property
    def is_located(self) -> bool:
        """Tell whether it is so surely a word that its place counts as text."""
        letters = sum(letter.isalnum() for letter in self.text)
        wide = self.box.width >= _FLATTEST * letters * self.box.height
        return wide and letters >= _LETTERS and self.confidence >= _SURE


def program() -> str:
    """Return where Tesseract is.

    Raises:
        TextToolsMissing: if it is not installed.
    """
    found = shutil.which(PROGRAM)
    if found is None:
        raise TextToolsMissing(
            "Text in images cannot be looked for.",
            why="the program tesseract is not installed",
            todo="Install it (Debian: apt install tesseract-ocr).",
        )
    return found


@lru_cache(maxsize=1)
def version() -> str:
    """Return Tesseract's version, such as `5.3.0`.

    Raises:
        TextToolsMissing: if it is not installed.
    """
    told = subprocess.run([program(), "--version"], capture_output=True, timeout=_TIMEOUT_S, check=True)
    return told.stdout.decode("ascii", "replace").split()[1]


def words_in(picture: Grey) -> list[Word]:
    """Return all that Tesseract takes for a word in a picture, wherever it stands in it.

    The last pictures are remembered, so that the same text is not read for every frame of a series.

    Args:
        picture: (rows, columns), 0 to 255.

    Raises:
        TextToolsMissing: if Tesseract is missing.
        subprocess.SubprocessError: if it fails or takes longer than two minutes.
    """
    digest = hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).digest()
    if digest in _memory:
        _memory.move_to_end(digest)
        return list(_memory[digest])
    found = list(_words(_read(picture)))
    _memory[digest] = tuple(found)
    if len(_memory) > _REMEMBERED:
        _memory.popitem(last=False)
    return found


_memory: OrderedDict[bytes, tuple[Word, ...]] = OrderedDict()


def _read(picture: Grey) -> str:
    rows, columns = picture.shape
    content = b"P5 %d %d 255\n" % (columns, rows) + np.ascontiguousarray(picture).tobytes()
    done = subprocess.run(
        [program(), "stdin", "stdout", "--psm", str(_SPARSE_TEXT), "--dpi", "96", "-l", "eng", "tsv"],
        input=content,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_TIMEOUT_S,
        check=True,
        env={**os.environ, "OMP_THREAD_LIMIT": "1", "LC_ALL": "C.UTF-8"},
    )
    return done.stdout.decode("utf-8", "replace")


def _words(table: str) -> Iterator[Word]:
    for line in table.splitlines()[1:]:
        cells = line.split("\t")
        if len(cells) != _COLUMNS or not cells[11].strip():
            continue
        left, top, width, height = (int(cell) for cell in cells[6:10])
        yield Word(Box(left, top, width, height), cells[11].strip(), float(cells[10]))
