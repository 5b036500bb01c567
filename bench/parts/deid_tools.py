"""De-identification tools over the same files: how many a second one core does, by its own processor time."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pydicom

# Tools that are measured where they are installed, with the module that each is.
PEERS = {
    "dcmanon": "dcmanon",
    "dicom_anonymizer": "dicomanonymizer",
    "dicognito": "dicognito",
    "deid": "deid",
}
Work = Callable[[Path], object]
ROUNDS = 3


def files_per_s(contents: Sequence[bytes], tools: Sequence[str]) -> dict[str, float]:
    """Return files per second of processor time for each tool: the best of some rounds, taken in turns."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    best = dict.fromkeys(tools, 0.0)
    with tempfile.TemporaryDirectory(prefix="fairbank-bench-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = []
        for number, content in enumerate(contents):
            paths.append(Path(folder) / f"{number:05d}.dcm")
            paths[-1].write_bytes(content)
        for _ in range(ROUNDS):
            for tool in tools:
                with TOOLS[tool]() as work:
                    work(paths[0])  # what is read once for all files
                    begun = time.process_time()
                    for path in paths:
                        work(path)
                    best[tool] = max(best[tool], len(paths) / (time.process_time() - begun))
    return best


def here() -> list[str]:
    """Return the tools that can be measured here."""
    with _installed_only():
        return [tool for tool in TOOLS if tool not in PEERS or importlib.util.find_spec(PEERS[tool])]


@contextlib.contextmanager
def _ours(profile: str, *, verified: bool) -> Iterator[Work]:
    from fairbank.deid import cleaning
    from fairbank.deid.facts import Recorder
    from fairbank.deid.key_file import KeyFile
    from fairbank.deid.method import Method
    from fairbank.deid.profiles import Profile

    order = cleaning.Order("bench", Method(Profile(profile)))
    identity = KeyFile(hashlib.sha256(b"bench").digest())
    recorder = Recorder(agent="bench", at=datetime(2026, 1, 1, tzinfo=UTC), tool="bench")

    def work(path: Path) -> object:
        result = cleaning.clean_file(path.read_bytes(), order, identity=identity, recorder=recorder)
        if not isinstance(result, cleaning.Cleaned):
            raise RuntimeError(f"held: {result.reason}")
        return result

    # Headers only: all but the second look at what was written.
    without = (
        contextlib.nullcontext() if verified else mock.patch.object(cleaning, "problems", return_value=())
    )
    with without:
        yield work


@contextlib.contextmanager
def _pydicom() -> Iterator[Work]:
    """What every tool on pydicom pays at least: the file read and written."""

    def work(path: Path) -> object:
        buffer = io.BytesIO()
        pydicom.dcmread(path).save_as(buffer)
        return buffer

    yield work


@contextlib.contextmanager
def _dicom_anonymizer() -> Iterator[Work]:
    from dicomanonymizer import anonymize_dicom_file

    yield lambda path: anonymize_dicom_file(path, io.BytesIO())


@contextlib.contextmanager
def _installed_only() -> Iterator[None]:
    """Leave this folder out of what is imported: its `deid.py` is not the tool of that name."""
    bench = Path(__file__).parent.parent
    path = [place for place in sys.path if Path(place).resolve() != bench]
    with mock.patch.object(sys, "path", path):
        yield


@contextlib.contextmanager
def _deid() -> Iterator[Work]:
    with _installed_only():
        from deid.dicom import replace_identifiers
        from deid.logger import bot

    bot.level = -99

    def work(path: Path) -> object:
        buffer = io.BytesIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            dataset = replace_identifiers([str(path)], save=False, remove_private=True)[0]
        dataset.save_as(buffer, enforce_file_format=False)
        return buffer

    yield work


@contextlib.contextmanager
def _dcmanon() -> Iterator[Work]:
    from dcmanon import Anonymizer

    anonymizer = Anonymizer()
    yield lambda path: anonymizer.anonymize(str(path))


@contextlib.contextmanager
def _dicognito() -> Iterator[Work]:
    from dicognito.anonymizer import Anonymizer

    anonymizer = Anonymizer(seed="bench")

    def work(path: Path) -> object:
        buffer = io.BytesIO()
        dataset = pydicom.dcmread(path)
        anonymizer.anonymize(dataset)
        dataset.save_as(buffer)
        return buffer

    yield work


TOOLS: dict[str, Callable[[], contextlib.AbstractContextManager[Work]]] = {
    "headers_research": lambda: _ours("research", verified=False),
    "headers_basic": lambda: _ours("basic", verified=False),
    "verified_research": lambda: _ours("research", verified=True),
    "verified_basic": lambda: _ours("basic", verified=True),
    "pydicom_read_and_save": _pydicom,
    "dcmanon": _dcmanon,
    "dicom_anonymizer": _dicom_anonymizer,
    "dicognito": _dicognito,
    "deid": _deid,
}
