"""A mock twin: a synthetic cohort of the form that a selection has, to try a tool on before it is sent.

Everything in it is made here from a seed: simple bodies of ellipses and noise, with headers of the kind that the
selection asks for. No image and no value of a biobank went into it, so what a tool measures on it says that the tool
runs, and nothing else.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numpy.random import Generator, default_rng
from pydantic import JsonValue
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

from fairbank.federated_jobs.code import ROUNDS_OF_A_FIT, WorkerKind, tool_named
from fairbank.federated_jobs.errors import TwinRefused
from fairbank.ontology.signed_objects import Selector, Unit
from fairbank.signing import file_digest

PIXELS: Final = 64
SLICES: Final = 24
MOST_SLICES: Final = 400
_FIELD_MM: Final = 360.0
_SOP_CLASS: Final = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "PT": PositronEmissionTomographyImageStorage,
}
_KERNELS: Final = {"soft": "B30f", "sharp": "B70f", "unknown": ""}


@dataclass(frozen=True, slots=True)
class TwinSeries:
    """One synthetic series, in the columns by which a selection chooses.

    Attributes:
        unit: what the tool knows the series as.
        slice_thickness_mm: also the step between its slices.
        acquired: year.
    """

    unit: str
    subject: str
    modality: str
    body_part: str
    manufacturer: str
    slices: int
    slice_thickness_mm: float
    kernel: str
    contrast: str
    sex: str
    age_band: str
    acquired: int


def try_on_twin(
    tool: str,
    parameters: Mapping[str, JsonValue],
    selector: Selector,
    *,
    subjects: int,
    seed: int,
    folder: Path,
    model: Path | None = None,
) -> list[dict[str, Any]]:
    """Make a twin in a folder, run an analysis tool on it here, and return its rows.

    Args:
        model: the file of the model that the parameters name, if they name one.

    Raises:
        ModelMissing, ModelUnusable, BundleRefused: if the model that is named cannot be used.
        TwinRefused: if the tool trains a model, or no twin can be made of the selection.
        CodeUnknown: if there is no such tool.
        OptionRefused: if a parameter is unknown or out of range.
        RowsRefused: if the tool breaks its own contract.
    """
    found = tool_named(tool)
    if found.worker is WorkerKind.TRAINING:
        raise TwinRefused(
            f"The tool {tool!r} trains a model, and is not tried on a twin.",
            why="A twin shows which rows a tool makes; a model trained on synthetic bodies shows nothing.",
            todo="Send it with 'fairbank job submit'.",
        )
    from fairbank.analysis.networks import file_name
    from fairbank.analysis.run import run_tool

    checked = found.check_parameters(parameters)
    write_twin(twin_of(selector, subjects=subjects, seed=seed), folder / "inputs", seed=seed)
    into, models = folder / "measurements.json", folder / "models"
    models.mkdir()
    if model is not None:
        shutil.copyfile(model, models / file_name(file_digest(model)))
    run_tool(
        tool, digest=found.digest, parameters=checked, inputs=folder / "inputs", into=into, models=models
    )
    rows: list[dict[str, Any]] = json.loads(into.read_bytes())["rows"]
    return rows if found.worker is WorkerKind.ANALYSIS else _statistic(checked, rows)


def _statistic(parameters: Mapping[str, JsonValue], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a statistic over the twin as the only site, which tells of any number of subjects."""
    from fairbank.analysis.statistics.hub_part import combine
    from fairbank.analysis.statistics.site_part import shapes, site_sums
    from fairbank.analysis.statistics.site_rows import table_of
    from fairbank.analysis.statistics.sums import read_sums
    from fairbank.analysis.statistics_tool import SUBJECT, StatisticsParameters, columns_of
    from fairbank.release.tables import TableRules

    question = StatisticsParameters.model_validate_json(json.dumps(dict(parameters)))
    table, _ = table_of(rows, columns_of(question), subject=SUBJECT, known={})
    rules, message = TableRules(1), None
    for number in range(1, ROUNDS_OF_A_FIT + 1):
        told = site_sums(question, table, message, rules).to_json(question, number, rules)
        sites = {"twin": read_sums(told, question, shapes(question))}
        outcome = combine(question, sites, message, number=number, last=number == ROUNDS_OF_A_FIT)
        if outcome.result is not None:
            break
        message = outcome.message
    assert outcome.result is not None
    found: list[dict[str, Any]] = outcome.result["rows"]
    return found


def twin_of(selector: Selector, *, subjects: int, seed: int) -> list[TwinSeries]:
    """Return a cohort that a selection would take: two series of each subject, or one where the selection picks.

    Args:
        subjects: how many, >= 1.
        seed: the same seed makes the same cohort.

    Raises:
        TwinRefused: if the selection is of other than CT, MR or PT.

    >>> [one.modality for one in twin_of(Selector(modality=("MR",)), subjects=1, seed=0)]
    ['MR', 'MR']
    """
    rng = default_rng(seed)
    wanted = selector.modality or ("CT",)
    kinds = [word for word in wanted if word in _SOP_CLASS]
    if not kinds or selector.minimum_instances > MOST_SLICES:
        raise TwinRefused(
            "No twin can be made of this selection.",
            why=f"Twins are of {', '.join(_SOP_CLASS)}, and of at most {MOST_SLICES} slices.",
            todo="Send the job to one site first, or try another selection.",
        )
    each = 1 if selector.pick.value != "all" or selector.unit is Unit.SUBJECT else 2
    found: list[TwinSeries] = []
    for number in range(subjects):
        person = _person(selector, number, rng)
        for _ in range(each):
            kind = str(rng.choice(kinds))
            series = replace(person, modality=kind, kernel=_one(selector.kernel, ("soft", "sharp"), rng))
            thickness = _thickness(selector, rng)
            found.append(replace(series, unit=f"s{len(found) + 1:06d}-twin", slice_thickness_mm=thickness))
    return found


def write_twin(cohort: list[TwinSeries], folder: Path, *, seed: int) -> None:
    """Write the images of a twin as the staged inputs of a tool: `manifest.json`, and a folder of DICOM per series."""
    rng = default_rng((seed, 1))
    folder.mkdir(parents=True, exist_ok=True)
    units = []
    for series in cohort:
        (folder / series.unit).mkdir()
        names = []
        for number, (header, pixels) in enumerate(_images(series, rng), start=1):
            name = f"{number:04d}.dcm"
            header.PixelData = pixels.tobytes()
            header.save_as(folder / series.unit / name, enforce_file_format=True)
            names.append(name)
        units.append({"unit": series.unit, "subject": series.subject, "files": names})
    (folder / "manifest.json").write_text(json.dumps({"units": units}), encoding="utf-8")


def _person(selector: Selector, number: int, rng: Generator) -> TwinSeries:
    first = selector.acquired_from or (selector.acquired_to or 2020) - 5
    last = max(first, selector.acquired_to or first + 5)
    return TwinSeries(
        unit="",
        subject=f"p{number + 1:06d}-twin",
        modality="",
        body_part=_one(selector.body_part, ("CHEST",), rng),
        manufacturer=_one(selector.manufacturer, ("SIEMENS", "GE", "PHILIPS"), rng),
        slices=max(SLICES, selector.minimum_instances),
        slice_thickness_mm=0.0,
        kernel="",
        contrast=_one(selector.contrast, ("no", "yes"), rng),
        sex=_one(selector.sex, ("F", "M"), rng),
        age_band=_one(selector.age_band, ("50-54", "60-64", "70-74"), rng),
        acquired=int(rng.integers(first, last + 1)),
    )


def _one(said: tuple[str, ...] | None, otherwise: tuple[str, ...], rng: Generator) -> str:
    return str(rng.choice(said or otherwise))


def _thickness(selector: Selector, rng: Generator) -> float:
    least = float(selector.slice_thickness_min_mm or 0.0)
    most = float(selector.slice_thickness_max_mm or max(3.0, least))
    usual = [each for each in (0.625, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 5.0) if least <= each <= most]
    return float(rng.choice(usual)) if usual else (least + most) / 2


def _images(series: TwinSeries, rng: Generator) -> list[tuple[Dataset, npt.NDArray[np.int16]]]:
    volume = _BODIES[series.modality](series, rng)
    study, own, frame = _uid(rng), _uid(rng), _uid(rng)
    images = []
    for place, pixels in enumerate(volume):
        header = _header(series, place)
        header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = study, own, frame
        header.SOPInstanceUID = _uid(rng)
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        images.append((header, pixels))
    return images


def _header(series: TwinSeries, place: int) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = _SOP_CLASS[series.modality]
    header.PatientID, header.PatientName, header.PatientSex = (
        series.subject,
        "TWIN",
        series.sex.replace("unknown", ""),
    )
    header.PatientIdentityRemoved, header.BurnedInAnnotation = "YES", "NO"
    header.StudyDate, header.Modality = f"{series.acquired}0101", series.modality
    header.Manufacturer, header.BodyPartExamined = series.manufacturer, series.body_part
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.InstanceNumber = place + 1
    header.SliceThickness = series.slice_thickness_mm
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    corner = -_FIELD_MM / 2
    header.ImagePositionPatient = [corner, corner, round(place * series.slice_thickness_mm, 4)]
    header.PixelSpacing = [_FIELD_MM / PIXELS] * 2
    header.Rows = header.Columns = PIXELS
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 1
    if series.modality != "MR":
        header.RescaleSlope, header.RescaleIntercept = 1, 0
    if series.modality == "CT":
        header.RescaleType, header.ConvolutionKernel = "HU", _KERNELS[series.kernel]
        header.ContrastBolusAgent = {"yes": "AGENT", "no": "NONE"}.get(series.contrast, "")
    if series.modality == "PT":
        header.Units = "BQML"
    return header


def _uid(rng: Generator) -> str:
    return f"2.25.{uuid.UUID(bytes=rng.bytes(16), version=4).int}"


def _grid(slices: int) -> tuple[Any, Any, Any]:
    across = np.linspace(-1.0, 1.0, PIXELS)
    along = np.linspace(-1.0, 1.0, slices)
    z, y, x = np.meshgrid(along, across, across, indexing="ij")
    return z, y, x


def _chest(series: TwinSeries, rng: Generator) -> npt.NDArray[np.int16]:
    """Return a body of soft tissue with two lungs, in Hounsfield units, (n_slices, rows, columns) int16."""
    z, y, x = _grid(series.slices)
    noise_sd = 25.0 if series.kernel == "sharp" else 10.0
    volume = np.full(z.shape, -1000.0)
    volume[(x / 0.85) ** 2 + (y / 0.6) ** 2 < 1] = 45.0
    lung = -860.0 + 40.0 * rng.standard_normal()
    for side in (-0.4, 0.4):
        volume[((x - side) / 0.28) ** 2 + (y / 0.42) ** 2 + (z / 0.95) ** 2 < 1] = lung
    volume[(x / 0.1) ** 2 + ((y - 0.5) / 0.1) ** 2 < 1] = 400.0
    return (volume + noise_sd * rng.standard_normal(volume.shape)).round().clip(-1024, 3071).astype(np.int16)


def _bright(series: TwinSeries, rng: Generator) -> npt.NDArray[np.int16]:
    """Return an ellipsoid that is brighter than what is around it, (n_slices, rows, columns) int16, no unit."""
    z, y, x = _grid(series.slices)
    inside = (x / 0.7) ** 2 + (y / 0.8) ** 2 + (z / 1.1) ** 2 < 1
    volume = np.where(inside, 600.0 + 50.0 * rng.standard_normal(), 20.0)
    return (volume + 15.0 * rng.standard_normal(volume.shape)).round().clip(0, 4095).astype(np.int16)


_BODIES: Final[dict[str, Callable[[TwinSeries, Generator], npt.NDArray[np.int16]]]] = {
    "CT": _chest,
    "MR": _bright,
    "PT": _bright,
}
