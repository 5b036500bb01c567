"""The outbox folder: bytes under their digest, mode 0600, on disk for good before anybody relies on them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from fairbank.release.errors import ReleaseBytesLost
from fairbank.signing import Digest, file_digest

_BLOCK: Final = 1 << 20
_ARRIVING: Final = "arriving-"


def keep(content: bytes | Path, folder: Path, *, name: str, move: bool = False) -> tuple[Path, Digest]:
    """Put content into the folder under its digest and return where it lies.

    Args:
        content: the bytes, or a file; a link is refused.
        folder: the outbox folder, made if it is not there (mode 0700).
        name: a name that no other copy under way has.
        move: take the file itself instead of a copy, where both lie on one disk; only for one that nobody but the node
            could write.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest = hashlib.sha256()
    if move and isinstance(content, Path) and content.lstat().st_dev == folder.stat().st_dev:
        handle = os.open(content, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as opened:
            os.fchmod(handle, 0o600)
            while block := opened.read(_BLOCK):
                digest.update(block)
            os.fsync(handle)
        return _named(content, folder, digest.hexdigest())
    arriving = folder / f"{_ARRIVING}{name}"
    handle = os.open(arriving, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as opened:
        for block in _blocks(content):
            digest.update(block)
            opened.write(block)
        opened.flush()
        os.fsync(opened.fileno())
    return _named(arriving, folder, digest.hexdigest())


def keep_sealed(
    path: Path, folder: Path, *, name: str, seal: Callable[[Path, Path], None]
) -> tuple[Path, Digest]:
    """Put the sealed form of a file into the folder, under its own digest, and return where it lies.

    Args:
        seal: writes it from the file of the one into the new file of the other.
    """
    arriving = folder / f"{_ARRIVING}{name}"
    seal(path, arriving)
    return keep(arriving, folder, name=name, move=True)


def digest_of_name(path: Path) -> Digest:
    """Return the digest that a file of the outbox folder is named by."""
    return Digest(f"sha256:{path.name}")


def stored(folder: Path, digest: str) -> Path:
    """Return the file that holds the bytes of a digest, after checking it.

    Raises:
        ReleaseBytesLost: if the file is missing or was changed.
    """
    path = folder / digest.removeprefix("sha256:")
    try:
        found = file_digest(path)
    except FileNotFoundError as err:
        raise lost("a release", "Its file is not in the outbox folder.") from err
    if found != digest:
        raise lost("a release", "Its file in the outbox folder was changed after the gate had judged it.")
    return path


def sweep(folder: Path, *, in_use: frozenset[str]) -> int:
    """Remove what an interrupted staging left behind, and return how many files.

    Call it only while nothing is being staged.

    Args:
        folder: the outbox folder.
        in_use: the digests of all releases.
    """
    removed = 0
    kept = {digest.removeprefix("sha256:") for digest in in_use}
    for path in folder.glob("*") if folder.is_dir() else ():
        if path.is_file() and path.name not in kept:
            path.unlink()
            removed += 1
    return removed


def lost(name: str, why: str) -> ReleaseBytesLost:
    """Return the error that says why some bytes cannot be shown or sent."""
    return ReleaseBytesLost(
        f"The bytes of {name} cannot be shown or sent.",
        why=why,
        todo="Restore the outbox folder from its backup; nothing else is sent in their place.",
    )


def _named(file: Path, folder: Path, digest: str) -> tuple[Path, Digest]:
    path = file.replace(folder / digest)
    _sync_folder(folder)
    return path, digest_of_name(path)


def _blocks(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    # Never through a link: a worker could point one at a file of the node.
    handle = os.open(content, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as opened:
        while block := opened.read(_BLOCK):
            yield block


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
