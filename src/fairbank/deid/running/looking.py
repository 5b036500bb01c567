"""Held files as pictures and text for a curator's eyes: into a folder that only its owner may read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from fairbank.deid import part10
from fairbank.deid.elements import whole_of
from fairbank.deid.running.place import writing_errors

FRAMES_AT_MOST = 5
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600


def write_views(files: Sequence[Path], folder: Path) -> int:
    """Write each file's frames as PNG, or its elements as text where there is no picture; return how many were written.

    Of many frames the first, the last and some between are shown. Names are those of the files.

    Raises:
        StoreNotWritable: if the folder cannot be written.
    """
    with writing_errors():
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        folder.chmod(_PRIVATE_FOLDER)
    return sum(_write_view(path, folder) for path in files)


def _write_view(path: Path, folder: Path) -> int:
    try:
        with part10.quiet_pydicom():
            dataset = dcmread(path)
            pictures = _pictures(dataset)
            contents = pictures or {"txt": str(dataset).encode("utf-8", "replace")}
    except Exception:  # noqa: BLE001 - what cannot be decoded cannot be shown; the next file may be
        return 0
    for ending, content in contents.items():
        target = folder / f"{path.stem}{ending if ending.startswith('-') else '.' + ending}"
        with writing_errors():
            target.touch(mode=_PRIVATE_FILE)
            target.write_bytes(content)
    return len(contents)


def _pictures(dataset: Dataset) -> dict[str, bytes]:
    from fairbank.deid.pixels.previews import full_picture  # Pillow, numpy

    if "PixelData" not in dataset:
        return {}
    frames = whole_of(dataset, 0x00280008) or 1
    step = max(1, (frames - 1) // (FRAMES_AT_MOST - 1))
    chosen = sorted({*range(0, frames, step), frames - 1}) if frames > FRAMES_AT_MOST else range(frames)
    return {f"-{frame + 1:04d}.png": full_picture(dataset, frame) for frame in chosen}
