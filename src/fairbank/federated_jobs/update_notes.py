"""Numbers that travel with a model update: sample counts and held-out metrics, in the metadata of the safetensors file.

The release gate allows numbers there and no text. Equal weights and equal notes give equal bytes, whatever wrote them.

Source: safetensors, README, section "Format": 8 bytes of little-endian header length, JSON header, tensors.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fairbank.federated_jobs.errors import NotesUnreadable
from fairbank.zstd_frames import FrameRefused, reader

N_TRAIN = "n_train"
N_HELDOUT = "n_heldout"
N_STEPS = "n_steps"
N_UNLABELLED = "n_unlabelled"
_METADATA = "__metadata__"
_LARGEST_HEADER_BYTES = 8 << 20
_ALIGNMENT = 8


def annotate(update: Path, notes: Mapping[str, int | float], *, to: Path) -> Path:
    """Copy an update to a new file with notes in place of whatever metadata it had.

    Args:
        notes: finite numbers by name.

    Raises:
        NotesUnreadable: if the update is not a safetensors file.
    """
    with update.open("rb") as source, to.open("wb") as target:
        target.write(noted_head(source.read, notes))
        shutil.copyfileobj(source, target, 1 << 20)
    return to


def noted_head(read: Callable[[int], bytes], notes: Mapping[str, int | float]) -> bytes:
    """Read the head of an update, and return the head with notes that takes its place before the same tensors.

    Args:
        read: returns the next bytes of the update, at most as many as asked for.
        notes: finite numbers by name.

    Raises:
        NotesUnreadable: if the update is not a safetensors file.
    """
    header = _header(read)
    header.pop(_METADATA, None)
    words = {name: _word(notes[name]) for name in sorted(notes)}
    ordered = {_METADATA: words, **{name: header[name] for name in sorted(header)}}
    body = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False).encode()
    body += b" " * (-len(body) % _ALIGNMENT)
    return len(body).to_bytes(8, "little") + body


def notes_of(update: Path) -> dict[str, float]:
    """Return the notes of an update, compressed or not; what is not a finite number is left out.

    Raises:
        NotesUnreadable: if the update is not a safetensors file.
    """
    try:
        with update.open("rb") as opened:
            metadata = _header(reader(opened)).get(_METADATA, {})
    except FrameRefused as err:
        raise _unreadable() from err
    notes = {}
    for name, word in metadata.items() if isinstance(metadata, dict) else ():
        try:
            number = float(word)
        except (TypeError, ValueError):
            continue
        if math.isfinite(number):
            notes[str(name)] = number
    return notes


def words_of(update: Path) -> dict[str, str]:
    """Return the notes of an update exactly as they are written there.

    Raises:
        NotesUnreadable: if the update is not a safetensors file.
    """
    with update.open("rb") as opened:
        metadata = _header(opened.read).get(_METADATA, {})
    return {str(name): str(word) for name, word in metadata.items()} if isinstance(metadata, dict) else {}


def _word(number: int | float) -> str:
    if not math.isfinite(number):
        raise ValueError("a note is a finite number")
    # Nine digits are what a float32 holds; more would only be noise, and a longer text than the gate takes.
    return str(number) if isinstance(number, int) else format(number, ".9g")


def _header(read: Callable[[int], bytes]) -> dict[str, Any]:
    length = int.from_bytes(read(8), "little")
    if not 2 <= length <= _LARGEST_HEADER_BYTES:
        raise _unreadable()
    try:
        header = json.loads(read(length))
    except ValueError as err:
        raise _unreadable() from err
    if not isinstance(header, dict):
        raise _unreadable()
    return header


def _unreadable() -> NotesUnreadable:
    return NotesUnreadable(
        "A model update has no readable header.",
        why="It is not a safetensors file.",
        todo="Both sides must run the same version of the algorithm.",
    )
