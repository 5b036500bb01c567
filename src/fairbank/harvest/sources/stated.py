"""A series that a table, a sidecar or a FHIR resource states, in the terms of DICOM: described by the rules of headers.

What is stated passes through the same normalisation as what headers say, so that one word means one thing, wherever it
comes from. No image is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn

from pydicom.dataset import Dataset

from fairbank import __version__
from fairbank.clock import SystemClock
from fairbank.deid.facts import Recorder
from fairbank.deid.part10 import quiet_pydicom
from fairbank.deid.pseudonyms import subject_value
from fairbank.errors import Sensitive
from fairbank.harvest.described import SeriesDescription, describe_datasets
from fairbank.harvest.errors import BadRow, NotInSource
from fairbank.harvest.sources.protocol import Instance, Item

NUMBERS: Final = frozenset(
    {"MagneticFieldStrength", "SliceThickness", "SpacingBetweenSlices", "Rows", "Columns"}
)
_WHOLE: Final = frozenset({"Rows", "Columns"})
DATES: Final = frozenset({"StudyDate", "PatientBirthDate"})
TEXTS: Final = frozenset(
    {
        "Modality", "BodyPartExamined", "Manufacturer", "ManufacturerModelName", "ConvolutionKernel", "Laterality",
        "PatientSex", "PatientAge", "ContrastBolusAgent", "BurnedInAnnotation", "LossyImageCompression",
        "PatientIdentityRemoved", "DeidentificationMethod", "LongitudinalTemporalInformationModified",
        "SeriesDescription",
    }
)  # fmt: skip
KEYWORDS: Final = NUMBERS | DATES | TEXTS
_LARGEST: Final = 1e7


@dataclass(frozen=True, slots=True, repr=False)
class Stated:
    """What is stated of one series; it has no repr, because it holds ids.

    Attributes:
        where: what messages call it, such as "Row 7 of the table"; never an id.
        values: by DICOM keyword, one of `KEYWORDS`; numbers with a point, dates as ISO 8601 or as DICOM has them.
        instances: how many images it has, if that is stated.
        issuer: Issuer of Patient ID (0010,0021), so that the subject is the same as that of other sources.
    """

    where: str
    subject: str
    study: str
    series: str
    values: Mapping[str, str]
    instances: int | None = None
    issuer: str = ""


def described(stated: Stated) -> SeriesDescription:
    """Return the description of a series by what is stated of it.

    Raises:
        BadRow: if it lacks an id, or a value cannot stand where it does.
    """
    for name in ("subject", "study", "series"):
        if not getattr(stated, name).strip():
            _refuse(stated, f"it names no {name}")
    dataset = Dataset()
    # The ids are put in at the end: they need not have the form of DICOM.
    dataset.PatientID = dataset.StudyInstanceUID = dataset.SeriesInstanceUID = dataset.SOPInstanceUID = "1"
    recorder = Recorder(agent="harvest", at=SystemClock().now(), tool=f"fairbank {__version__}")
    # Its warnings would quote the values.
    with quiet_pydicom():
        for keyword, text in stated.values.items():
            if text.strip():
                setattr(dataset, keyword, _value(stated, keyword, text.strip()))
        found = describe_datasets([dataset], recorder=recorder, expected_instances=stated.instances)
    images = 0 if stated.instances is None else stated.instances
    return replace(
        found,
        subject=Sensitive(subject_value(stated.subject, stated.issuer), reference="a subject"),
        study_uid=Sensitive(stated.study.strip(), reference="a study"),
        series_uid=Sensitive(stated.series.strip(), reference="a series"),
        facts=replace(found.facts, instances=images, frames=images),
    )


def no_images(source: str, container: str, item: Item, into: Path) -> Iterator[Instance]:
    """Refuse to fetch from a source that only describes.

    Raises:
        NotInSource: always.
    """
    raise NotInSource(
        f"The source {source} describes series and gives no image.",
        why="A table, a BIDS dataset or a FHIR server holds no DICOM files.",
        todo="Index it; pull the images from the archive that holds them.",
    )


def date_of(text: str) -> str | None:
    """Return a date as DICOM writes it, from ISO 8601 or from DICOM's own form; None if it is no date.

    >>> date_of("2020-03-01T10:00:00Z"), date_of("20200301"), date_of("2020"), date_of("01/03/2020")
    ('20200301', '20200301', None, None)
    """
    day = text.strip()[:10]
    digits = day.replace("-", "") if len(day) == 10 and day[4] == day[7] == "-" else day
    if len(digits) != 8 or not digits.isdigit():
        return None
    try:
        datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return digits


def _value(stated: Stated, keyword: str, text: str) -> object:
    if keyword in DATES:
        day = date_of(text)
        return day if day is not None else _refuse(stated, f"its {keyword} is no date")
    if keyword not in NUMBERS:
        return text[:64]
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= _LARGEST or (keyword in _WHOLE and not number.is_integer()):
        _refuse(stated, f"its {keyword} is no number that it can have")
    return int(number) if keyword in _WHOLE else f"{number:.8g}"


def _refuse(stated: Stated, reason: str) -> NoReturn:
    raise BadRow(
        f"{stated.where} describes no series: {reason}.",
        why="It is left out; the others are not affected.",
        todo="Correct it, and run again.",
    ) from None
