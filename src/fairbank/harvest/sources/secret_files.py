"""Passwords of archives: read from a file that only its owner can read, and kept nowhere else."""

from __future__ import annotations

import stat
from pathlib import Path

from fairbank.errors import Sensitive
from fairbank.harvest.errors import UnsafeSecret


def read_secret(path: Path) -> Sensitive[str]:
    """Return the first line of a password file.

    Raises:
        UnsafeSecret: if the file is missing, empty, or readable by others.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").split("\n", 1)[0].strip()
    except (OSError, UnicodeDecodeError) as err:
        raise UnsafeSecret(
            f"The password file {path.name} cannot be read.",
            why="The archive's password is taken from it each time; fairbank stores it nowhere else.",
            todo="Write the password into the file, and run chmod 600 on it.",
        ) from err
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UnsafeSecret(
            f"The password file {path.name} can be read by others (mode {stat.S_IMODE(mode):04o}).",
            why="Who reads it can read the archive.",
            todo=f"Run chmod 600 on {path.name}, and change the password if others had access.",
        )
    if not text:
        raise UnsafeSecret(
            f"The password file {path.name} is empty.", todo="Write the password into its first line."
        )
    return Sensitive(text, reference="password")
