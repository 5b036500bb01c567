"""Patients who do not exist, with the identifiers that a file has of one."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset
from tests.deid.corpus.planted import Expect, Planted
from tests.deid.corpus.values import Values


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient and one study of theirs; dates are DA."""

    family: str
    given: str
    number: str
    birth_date: str
    sex: str
    age: str
    accession: str
    study_date: str
    study_uid: str
    frame_uid: str


def patient(values: Values) -> Patient:
    """Draw a patient."""
    year = values.rng.randrange(1935, 2001)
    studied = values.rng.randrange(2012, 2025)
    prefix = values.rng.choice(("", "MRN", "PID-", "KH", "00"))
    return Patient(
        family=values.surname(),
        given=values.surname(),
        number=f"{prefix}{values.digits(8)}",
        birth_date=values.date(around=year),
        sex=values.rng.choice("FM"),
        age=f"{min(studied - year, 88):03d}Y",
        accession=f"A{values.digits(9)}",
        study_date=values.date(around=studied),
        study_uid=values.uid(),
        frame_uid=values.uid(),
    )


def identify(dataset: Dataset, who: Patient, values: Values, *, series: str = "", instance: str = "") -> None:
    """Write a patient's identifiers into a dataset."""
    dataset.PatientName = f"{who.family}^{who.given}"
    dataset.PatientID = who.number
    dataset.PatientBirthDate = who.birth_date
    dataset.PatientSex = who.sex
    dataset.PatientAge = who.age
    dataset.AccessionNumber = who.accession
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = dataset.AcquisitionDate = who.study_date
    dataset.StudyTime, dataset.ContentTime = "101530", "102233.120000"
    dataset.StudyID = values.digits(6)
    dataset.ReferringPhysicianName = f"{values.surname()}^{values.surname()}"
    dataset.InstitutionName = f"Klinik {values.surname()}"
    dataset.StudyInstanceUID = who.study_uid
    dataset.SeriesInstanceUID = series or values.uid()
    dataset.SOPInstanceUID = instance or values.uid()
    dataset.FrameOfReferenceUID = who.frame_uid


def identity_key(dataset: Dataset) -> tuple[Planted, ...]:
    """Return the answer key of what `identify` wrote."""
    gone = [
        ("00100010", str(dataset.PatientName), Expect.PSEUDONYM, str(dataset.PatientName).split("^")),
        ("00100020", dataset.PatientID, Expect.PSEUDONYM, [dataset.PatientID]),
        ("00080050", dataset.AccessionNumber, Expect.REMOVE, [dataset.AccessionNumber]),
        ("00200010", dataset.StudyID, Expect.REMOVE, []),
        (
            "00080090",
            str(dataset.ReferringPhysicianName),
            Expect.REMOVE,
            str(dataset.ReferringPhysicianName).split("^"),
        ),
        ("00080080", dataset.InstitutionName, Expect.REMOVE, [dataset.InstitutionName.split()[-1]]),
        ("0020000D", dataset.StudyInstanceUID, Expect.PSEUDONYM, [dataset.StudyInstanceUID]),
        ("0020000E", dataset.SeriesInstanceUID, Expect.PSEUDONYM, [dataset.SeriesInstanceUID]),
        ("00080018", dataset.SOPInstanceUID, Expect.PSEUDONYM, [dataset.SOPInstanceUID]),
        ("00200052", dataset.FrameOfReferenceUID, Expect.PSEUDONYM, [dataset.FrameOfReferenceUID]),
    ]
    key = [
        Planted(place, value, does, does, tuple(part.encode() for part in parts))
        for place, value, does, parts in gone
    ]
    key.append(
        Planted(
            "00100030",
            dataset.PatientBirthDate,
            Expect.REMOVE,
            Expect.REMOVE,
            (dataset.PatientBirthDate.encode(),),
        )
    )
    for place in ("00080020", "00080021", "00080023", "00080022"):
        date = dataset.StudyDate
        key.append(Planted(place, date, Expect.REMOVE, Expect.SHIFT, (date.encode(),)))
    return tuple(key)
