"""Two tools that everybody knows, over the same corpus: what they leave is known, so the scorer has to find it."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset
from tests.deid.corpus.planted import CorpusFile
from tests.deid.corpus.runner import Result

from fairbank.deid.part10 import quiet_pydicom

FAILED = "failed"


def pydicom_deid(files: Iterable[CorpusFile], folder: Path) -> Iterator[Result]:
    """Run `deid` with the recipe that it takes when none is named."""
    from deid.dicom import replace_identifiers
    from deid.logger import bot

    bot.level = -99
    yield from _each(files, folder, lambda path: replace_identifiers([str(path)], save=False)[0])


def dicom_anonymizer(files: Iterable[CorpusFile], folder: Path) -> Iterator[Result]:
    """Run `dicom-anonymizer` with the rules that it takes when none are named."""
    import pydicom
    from dicomanonymizer import anonymize_dataset

    def run(path: Path) -> Dataset:
        dataset = pydicom.dcmread(path)
        anonymize_dataset(dataset)
        return dataset

    yield from _each(files, folder, run)


def _each(files: Iterable[CorpusFile], folder: Path, run: Callable[[Path], Dataset]) -> Iterator[Result]:
    """Run a tool over files one by one; a file that it cannot do has no output."""
    path = folder / "one.dcm"
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    for file in files:
        path.write_bytes(file.content)
        try:
            with warnings.catch_warnings(), quiet_pydicom(), contextlib.redirect_stdout(None):
                warnings.simplefilter("ignore")
                buffer = BytesIO()
                run(path).save_as(buffer, enforce_file_format=False)
            yield Result(file, buffer.getvalue())
        except Exception:  # whatever: it is not ours, and it has no output
            yield Result(file, None, FAILED)
