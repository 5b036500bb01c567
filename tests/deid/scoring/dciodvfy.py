"""What `dciodvfy` (David Clunie's dicom3tools) says of a file, without the values that it quotes."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

_DEFLATED = b"1.2.840.10008.1.2.1.99"
_QUOTED = re.compile(r"<[^<>]*>")
_NUMBERS = re.compile(r"\[\d+\]|\b\d+\b")


def lacking() -> str | None:
    """Return why nothing can be checked here; None if it can."""
    for program, package in (("dciodvfy", "dicom3tools"), ("dcmconv", "dcmtk")):
        if shutil.which(program) is None:
            return f"{program} is not installed: apt-get install {package}"
    return None


def errors(content: bytes) -> frozenset[str]:
    """Return the errors of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.dcm"
        path.write_bytes(content)
        if _DEFLATED in content[:1024]:
            # It reads the deflated bytes as elements, and says by chance this or that of them.
            inflated = path.with_name("inflated.dcm")
            subprocess.run(
                ["dcmconv", "+te", str(path), str(inflated)], capture_output=True, timeout=60, check=True
            )
            path = inflated
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, timeout=60, check=False)
    lines = (done.stdout + done.stderr).decode("latin-1").splitlines()
    return frozenset(_NUMBERS.sub("#", _QUOTED.sub("<>", line)) for line in lines if line.startswith("Error"))
