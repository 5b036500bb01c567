"""Three biobanks for the demo, each with real DICOM files of its own: those that come with pydicom and pydicom-data."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairbank.errors import FairbankError, Kind, MissingExtra


class DemoError(FairbankError):
    """The demo cannot go on."""

    code = "FB-DEMO-001"
    kind = Kind.FAILED


@dataclass(frozen=True, slots=True)
class Biobank:
    """A biobank of the demo and the collection it describes.

    Attributes:
        name: the node's name.
        curator: the person who decides there.
        project: the project in its archive.
        modalities: DICOM modalities whose files it holds; None holds what no other biobank takes.
        reviewed_project: the project of files whose pixels a person has looked at for burned-in text, if it has one.
    """

    name: str
    title: str
    curator: str
    project: str
    dataset: str
    dataset_title: str
    description: str
    modalities: frozenset[str] | None
    reviewed_project: str | None = None


# Ultrasound frames of the bundled files that were looked at and show no name, number or date. The others do show some
# (hospital, examination number, date): they stay where strict rules put them, in quarantine.
LOOKED_AT = frozenset(
    {
        "ExplVR_BigEnd.dcm",
        "color-pl.dcm",
        "color-px.dcm",
        "examples_ybr_color.dcm",
        "color3d_jpeg_baseline.dcm",
    }
)
BIOBANKS = (
    Biobank(
        "northfield",
        "Northfield Imaging Biobank",
        "wilma",
        "THORAX",
        "northfield-ct",
        "Northfield CT collection",
        "Computed tomography of several vendors, some of it compressed; a demonstration collection.",
        frozenset({"CT"}),
    ),
    Biobank(
        "harbour",
        "Harbour University Hospital",
        "joost",
        "NEURO",
        "harbour-mr",
        "Harbour MR collection",
        "Magnetic resonance of several vendors, single- and multi-frame; a demonstration collection.",
        frozenset({"MR"}),
    ),
    Biobank(
        "southvale",
        "Southvale Radiology",
        "femke",
        "MIXED",
        "southvale-mixed",
        "Southvale mixed collection",
        "Radiography, ultrasound, radiotherapy objects and what else a department keeps; a demonstration collection.",
        None,
        "SONOGRAPHY",
    ),
)


def fill_archives(root: Path) -> dict[str, int]:
    """Copy the bundled files into one archive folder per biobank; return how many each got.

    The folders are `<root>/<biobank>/<project>/NNN.dcm`. The files are taken as they are, names, dates and all: the
    demo shows what happens to them. Files that are not DICOM images or objects with a subject go to nobody.

    Raises:
        MissingExtra: if pydicom-data is not installed.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    counts = {biobank.name: 0 for biobank in BIOBANKS}
    for path in bundled_files():
        try:
            header = dcmread(
                path, stop_before_pixels=True, specific_tags=["Modality", "PatientID", "SeriesInstanceUID"]
            )
        except (InvalidDicomError, OSError, ValueError, EOFError, AttributeError, NotImplementedError):
            continue
        if "SeriesInstanceUID" not in header or "PatientID" not in header:
            continue
        biobank = _home_of(str(header.get("Modality", "")))
        reviewed = biobank.reviewed_project if path.name in LOOKED_AT else None
        folder = root / biobank.name / (reviewed or biobank.project)
        folder.mkdir(parents=True, exist_ok=True)
        counts[biobank.name] += 1
        shutil.copyfile(path, folder / f"{counts[biobank.name]:03}.dcm")
    if not all(counts.values()):
        raise DemoError(
            "The bundled DICOM files of pydicom are not all there.",
            why="The demo gives each biobank real files from pydicom and pydicom-data.",
            todo="Reinstall: pip install --force-reinstall pydicom pydicom-data.",
        )
    return counts


def bundled_files() -> Iterator[Path]:
    """Yield the files that come with pydicom and pydicom-data, in a fixed order.

    Raises:
        MissingExtra: if pydicom-data is not installed.
    """
    for package in ("pydicom", "data_store"):
        found = importlib.util.find_spec(package)
        if found is None or not found.submodule_search_locations:
            raise MissingExtra.named("demo", needed_for="The demo")
        folder = Path(found.submodule_search_locations[0])
        files = (folder / "data" if package == "pydicom" else folder).rglob("*")
        yield from sorted(
            path for path in files if path.is_file() and path.suffix not in (".py", ".pyc", ".json")
        )


def _home_of(modality: str) -> Biobank:
    for biobank in BIOBANKS:
        if biobank.modalities is not None and modality in biobank.modalities:
            return biobank
    return next(biobank for biobank in BIOBANKS if biobank.modalities is None)
