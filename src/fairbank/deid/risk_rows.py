"""What fact sheets, and the headers of a folder of de-identified files, tell of series, for the assessment of risk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.deid.dates import age_years, parse_da
from fairbank.deid.elements import text_of
from fairbank.deid.facts import age_band
from fairbank.deid.part10 import quiet_pydicom
from fairbank.deid.risk import UNKNOWN, Row
from fairbank.deid.store import FactRow

_READ = [
    0x00080005,
    0x00080020,
    0x00080060,
    0x00080070,
    0x00081090,
    0x00100020,
    0x00100040,
    0x00101010,
    0x00180015,
    0x0020000E,
]
_LEFT_OUT = frozenset({"quarantine", "report"})


def rows_of_facts(session: Session, project: str) -> dict[str, Row]:
    """Return what the fact sheets of a project say, by series UID."""
    columns = (
        FactRow.series_uid,
        FactRow.subject,
        FactRow.age_band,
        FactRow.sex,
        FactRow.body_region,
        FactRow.modality,
        FactRow.contrast,
        FactRow.acquisition_year,
    )
    found = {}
    for uid, subject, age, sex, region, modality, contrast, year in session.execute(
        select(*columns).where(FactRow.project == project)
    ):
        values = {
            "age-band": age,
            "sex": sex,
            "body-region": region or UNKNOWN,
            "modality": modality,
            "contrast": contrast,
            "study-year": str(year or UNKNOWN),
        }
        found[uid] = Row(subject, values)
    return found


def rows_of_folder(folder: Path) -> Iterator[Row]:
    """Yield one row per series of a folder's DICOM files; other files, and what is held, are passed over.

    The month of the study is that of the file: moved, where dates were moved.
    """
    seen: set[str] = set()
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or _LEFT_OUT & set(path.relative_to(folder).parts[:-1]):
            continue
        try:
            with quiet_pydicom():
                dataset = dcmread(path, stop_before_pixels=True, specific_tags=_READ)
                subject, series = text_of(dataset, 0x00100020), text_of(dataset, 0x0020000E)
                values = _values(dataset)
        except Exception:  # noqa: BLE001, S112 - pydicom answers malformed bytes with any exception; no image, no row
            continue
        if subject and series and series not in seen:
            seen.add(series)
            yield Row(subject, values)


def _values(dataset: Dataset) -> dict[str, str]:
    age, day = age_years(text_of(dataset, 0x00101010)), parse_da(text_of(dataset, 0x00080020))
    return {
        "age-band": UNKNOWN if age is None else age_band(age),
        "sex": text_of(dataset, 0x00100040) or UNKNOWN,
        "body-region": text_of(dataset, 0x00180015).casefold() or UNKNOWN,
        "modality": text_of(dataset, 0x00080060) or UNKNOWN,
        "manufacturer": text_of(dataset, 0x00080070) or UNKNOWN,
        "model": text_of(dataset, 0x00081090) or UNKNOWN,
        "study-year": UNKNOWN if day is None else str(day.year),
        "study-month": UNKNOWN if day is None else f"{day:%Y-%m}",
    }
