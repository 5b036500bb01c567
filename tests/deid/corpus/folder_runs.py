"""The corpus through `fairbank deid run IN OUT`: in a process of its own, with all that it says, writes and leaves."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.deid.corpus.planted import CorpusFile
from tests.deid.corpus.runner import Result

_QUARANTINE, _STAGING = "quarantine", ".staging"


@dataclass(frozen=True, slots=True)
class FolderRun:
    """A run that ended.

    Attributes:
        out: the folder of its outputs.
        said: all that it said and wrote beside the outputs, by a name for each.
    """

    out: Path
    said: dict[str, bytes]
    results: list[Result]

    @property
    def outputs(self) -> dict[str, bytes]:
        """Return the cleaned files by their path."""
        return outputs_of(self.out)


def write_in(files: Sequence[CorpusFile], folder: Path) -> Path:
    """Write files of the corpus, and return their folder."""
    for file in files:
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    return folder


def run_folder(
    files: Sequence[CorpusFile],
    source: Path,
    out: Path,
    *,
    profile: str,
    workers: int = 1,
    secret: str = "corpus",
) -> FolderRun:
    """Run over a folder that `write_in` has filled; the exit code 1 says that files were held."""
    done = subprocess.run(
        _command(source, out, profile, workers, secret), capture_output=True, timeout=900, env=_env(out)
    )
    assert done.returncode in (0, 1), (done.returncode, len(done.stderr))
    report = out.parent / f"{out.name}-report"
    said = {"stdout": done.stdout, "stderr": done.stderr}
    for folder in (report, out / ".fairbank", _home(out)):
        said |= {
            f"{folder.name}/{path.name}": path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
    said["names"] = "\n".join(_names(out)).encode()
    return FolderRun(out, said, _results(files, out, json.loads((report / "files.json").read_bytes())))


def kill_while_running(
    source: Path, out: Path, *, profile: str, workers: int, after_files: int, secret: str = "corpus"
) -> bool:
    """Start a run and kill it, with all its processes, once it has so many outputs; return whether it was caught."""
    command = _command(source, out, profile, workers, secret)
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, env=_env(out)
    )
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if out.is_dir() and _count(out) >= after_files:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.002)
    process.wait()
    return False


def _count(out: Path) -> int:
    """Return how many cleaned files there are, of a folder that is being written."""
    count = 0
    for _, folders, names in os.walk(out):
        folders[:] = [name for name in folders if name not in (_QUARANTINE, _STAGING)]
        count += sum(name.endswith(".dcm") for name in names)
    return count


def outputs_of(out: Path) -> dict[str, bytes]:
    """Return the cleaned files under a folder by their path; what is staged or held is none."""
    found = {}
    for path in out.rglob("*.dcm"):
        name = path.relative_to(out)
        if not {_QUARANTINE, _STAGING}.intersection(name.parts):
            found[name.as_posix()] = path.read_bytes()
    return found


def _command(source: Path, out: Path, profile: str, workers: int, secret: str) -> list[str]:
    key = out.parent / "secret.key"
    if not key.exists():
        key.write_text(hashlib.sha256(secret.encode()).hexdigest())
        key.chmod(0o600)
    command = [
        sys.executable,
        "-m",
        "fairbank",
        "--home",
        str(_home(out)),
        "deid",
        "run",
        str(source),
        str(out),
    ]
    command += ["--profile", profile, "--key-file", str(key), "--workers", str(workers)]
    return [*command, "--report", str(out.parent / f"{out.name}-report")]


def _home(out: Path) -> Path:
    return out.parent / f"{out.name}-home"


def _env(out: Path) -> dict[str, str]:
    return os.environ | {"HOME": str(out.parent), "OMP_NUM_THREADS": "1"}


def _names(out: Path) -> list[str]:
    """Return the names of all files and folders under a folder; those of held files too."""
    return [part for path in out.rglob("*") for part in path.relative_to(out).parts]


def _results(files: Sequence[CorpusFile], out: Path, listed: dict[str, dict[str, object]]) -> list[Result]:
    results = []
    for file in files:
        row = listed[f"sha256:{hashlib.sha256(file.content).hexdigest()}"]
        output, reasons = row["output"], row["reasons"]
        if output is None:
            assert isinstance(reasons, list)
            results.append(Result(file, None, str(reasons[0])))
        else:
            results.append(Result(file, (out / str(output)).read_bytes()))
    return results
