"""Read what the node staged for a job: opaque units, opaque subjects, files in order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fairbank.analysis.errors import StagedInputsUnreadable

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class StagedAnnotation:
    """A series that describes a staged one.

    Args:
        kind: its modality, such as SEG or RTSTRUCT.
        files: its DICOM files.
    """

    kind: str
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class StagedSeries:
    """One staged series.

    Args:
        unit: opaque pseudonym of the series, of one job only.
        subject: opaque pseudonym of its subject, of one job only.
        files: its DICOM files.
        annotations: segmentations and structure sets of these images, where the job asks for them.
        facts: what the site knows of the series beside its files, as coded words (`kernel_class`, `contrast`,
            `respiratory_phase`); cleaning takes it from the headers.
        asked: what the site knows of the subject and the job asks for: `label`, and `sex` and `age_band` where the job
            has metrics by group.
    """

    unit: str
    subject: str
    files: tuple[Path, ...]
    annotations: tuple[StagedAnnotation, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)


def read_staged(inputs: Path) -> list[StagedSeries]:
    """Return the staged series, sorted by unit.

    Raises:
        StagedInputsUnreadable: if the list is missing or not of the expected form.
    """
    try:
        listing = json.loads((inputs / MANIFEST).read_bytes())
        series = [
            StagedSeries(
                unit=str(unit["unit"]),
                subject=str(unit["subject"]),
                files=tuple(inputs / str(unit["unit"]) / str(name) for name in unit["files"]),
                annotations=tuple(
                    StagedAnnotation(
                        kind=str(one["kind"]),
                        files=tuple(inputs / str(one["folder"]) / str(name) for name in one["files"]),
                    )
                    for one in unit.get("annotations", ())
                ),
                facts={str(name): str(word) for name, word in unit.get("facts", {}).items()},
                asked={str(name): str(word) for name, word in unit.get("asked", {}).items()},
            )
            for unit in listing["units"]
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise StagedInputsUnreadable(
            "The list of staged series cannot be read.",
            why=f"It is missing or damaged ({type(err).__name__}).",
            todo="Stage the job's series again.",
        ) from err
    return sorted(series, key=lambda one: one.unit)
