"""Conformance of a file as `dciodvfy` (David Clunie's dicom3tools) sees it, where that program is installed.

An error counts only if the file that an output was made of does not have it. What the program prints quotes values:
only the kind of the error and the element's name are kept.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

PROGRAM = "dciodvfy"
TIMEOUT_S = 60
# Values stand between angle brackets or quotes, or after an equals sign; numbers of items say nothing new.
# Names of elements and modules stand there too, behind a word that says so.
_VALUES = re.compile(
    r"(?<!Element=)(?<!Module=)(?<!ttribute )<[^>]*>|'[^']*'|\"[^\"]*\"|= .*$|\[\d+\]|(?<=Item )\d+|\b\d{3,}\b"
)
_ERROR = "Error - "


def is_installed() -> bool:
    """Return whether the program is there."""
    return shutil.which(PROGRAM) is not None


def errors_of(path: Path) -> Counter[str] | None:
    """Return how often which error is found in a file; None if the program is missing, fails or takes too long."""
    try:
        # Absolute, so that no name of a file reads as an option.
        run = subprocess.run(
            [PROGRAM, str(path.absolute())], capture_output=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if run.returncode < 0:
        return None
    lines = (run.stderr + run.stdout).decode("latin-1").splitlines()
    return Counter(_kind(line) for line in lines if line.startswith(_ERROR))


def new_errors(original: Path, output: Path) -> Counter[str] | None:
    """Return the errors that an output has and the file that it was made of has not; None if that cannot be told."""
    before, after = errors_of(original), errors_of(output)
    if before is None or after is None:
        return None
    return Counter({error: count for error, count in after.items() if error not in before})


def _kind(line: str) -> str:
    return re.sub(r"\s+", " ", _VALUES.sub("", line.removeprefix(_ERROR))).strip()
