"""Real ultrasound frames through run, review, decision, run and report: nobody can read anything in its pictures."""

from __future__ import annotations

import base64
import re
import shutil
from contextlib import closing
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from tests.deid.running.conftest import Bench
from tests.deid.running.test_review import decide, groups

from fairbank.deid.decisions import Verdict
from fairbank.deid.pixels.reading import words_of_frame
from fairbank.deid.reports.folder import folder_summary
from fairbank.deid.reports.summary import Summary
from fairbank.deid.reports.writing import write_report
from fairbank.deid.running.looking import write_views
from fairbank.deid.running.place import Place

pytest.importorskip("deid_data")
pytestmark = pytest.mark.skipif(shutil.which("tesseract") is None, reason="Tesseract is not installed")
FRAMES = ("GREYSCALE_IMAGE.dcm", "RGB_IMAGE.dcm")


def told(bench: Bench) -> Summary:
    with closing(bench.journal()) as journal:
        return folder_summary(Place(bench.target), journal, bench.target / "report")


def legible(content: bytes) -> set[str]:
    """Return the words of three letters or digits and more that Tesseract reads in a picture, at three sizes."""
    found: set[str] = set()
    picture = Image.open(BytesIO(content)).convert("L")
    for factor in (1, 3, 5):
        large = picture.resize((picture.width * factor, picture.height * factor))
        for word in words_of_frame(np.asarray(large)):
            found |= {part.lower() for part in re.findall(r"[A-Za-z]{3,}|[0-9]{3,}", word.text)}
    return found


def identifying(path: Path) -> set[str]:
    dataset = dcmread(path, stop_before_pixels=True)
    names = (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "AccessionNumber",
        "StudyDate",
        "InstitutionName",
    )
    stated = " ".join(str(dataset.get(name, "")) for name in names)
    burned_in = legible_in_original(path)
    return {part.lower() for part in re.findall(r"[A-Za-z]{3,}|[0-9]{3,}", stated)} | burned_in


def legible_in_original(path: Path) -> set[str]:
    frame = dcmread(path).pixel_array
    grey = frame if frame.ndim == 2 else frame[..., :3].mean(axis=2).astype(np.uint8)
    found = {
        part.lower()
        for word in words_of_frame(grey)
        for part in re.findall(r"[A-Za-z]{4,}|[0-9]{4,}", word.text)
    }
    return found


def test_ultrasound_is_reviewed_and_its_pictures_tell_nothing(bench: Bench, tmp_path: Path) -> None:
    folder = files("deid_data") / "data" / "ultrasounds"
    secrets: set[str] = set()
    for name in FRAMES:
        path = Path(str(folder / name))
        bench.put(name, path.read_bytes())
        secrets |= identifying(path)
    assert len(secrets) >= 5, "the frames show text, or the test shows nothing"
    bench.run()
    waiting = told(bench)
    assert {line.reason for line in waiting.held} == {"pixels-review"} and bench.outputs() == {}
    assert len(waiting.thumbnails) == 2 and all(one.after_png is None for one in waiting.thumbnails)
    with closing(bench.journal()) as journal:
        held = [bench.target / str(row.quarantine) for row in journal.held()]
    assert write_views(held, tmp_path / "views") == 2
    for group in groups(bench):
        decide(bench, group, Verdict.RELEASE)
    bench.run()
    out = told(bench)
    assert len(bench.outputs()) == 2 and out.pixels["files with blanked boxes"] == 2
    assert len(out.thumbnails) == 2 and all(one.boxes and one.after_png for one in out.thumbnails)
    pictures = [
        base64.b64decode(content)
        for one in [*waiting.thumbnails, *out.thumbnails]
        for content in (one.before_png, one.after_png)
        if content
    ]
    assert len(pictures) == 6
    for content in pictures:
        assert not legible(content) & secrets
    write_report(out, bench.target / "report")
    page = (bench.target / "report" / "report.html").read_text()
    assert page.count("<figure>") == 2 and "data:image/png;base64," in page
