"""The coded fact sheet of a series: what a catalogue is asked for and cleaning takes away, recorded before cleaning.

It stays at the node. Everything in it is a code, a band or a year; each fact that can be known in more than one way
says how. Where a file was de-identified elsewhere, the facts come from what is left, and the sheet says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum

from pydicom.dataset import Dataset

from fairbank.deid.annotations import Annotations, annotations_of
from fairbank.deid.annotators import KnownAs
from fairbank.deid.body_regions import Region, region_in_text, region_of_term
from fairbank.deid.dates import OLDEST_AGE_YEARS, age_years, parse_da
from fairbank.deid.elements import items_of, text_of, words_of
from fairbank.ontology.sex_and_side import Sex, sex

BAND_YEARS = 5
# What de-identification writes where a date is required; nobody was imaged digitally then.
_NO_YEAR = 1900
_SERIES_TEXTS = (0x0008103E, 0x00181030)
_STUDY_TEXTS = (0x00081030,)
_DATE_TAGS = (0x00080022, 0x00080021, 0x00080020, 0x00080023)
_NOT_TRUE = frozenset({"MODIFIED", "REMOVED"})
# DCM: "Retain Longitudinal Temporal Information Modified Dates Option".
_DATES_MODIFIED = "113107"


class Contrast(StrEnum):
    """Whether a contrast agent was given."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class RespiratoryPhase(StrEnum):
    """The phase of breathing."""

    INSPIRATION = "inspiration"
    EXPIRATION = "expiration"
    FREE = "free-breathing"
    UNKNOWN = "unknown"


class KernelClass(StrEnum):
    """How a CT reconstruction kernel treats edges."""

    SHARP = "sharp"
    SOFT = "soft"
    UNKNOWN = "unknown"


class HowKnown(StrEnum):
    """Where a fact comes from: a coded attribute, words of a descriptor, or nowhere."""

    HEADER = "header"
    COMPUTED = "computed"
    NOT_KNOWN = "not-known"


@dataclass(frozen=True, slots=True)
class FactSheet:
    """Facts of one series, under its pseudonymous UID.

    `age_band` is "0-4" … "85-89", "90+" or "unknown"; `body_region_code` is SNOMED CT; `acquisition_year` is the
    original year, None where the file came in with dates that are marked as modified. `study_day` is the day of the
    study, counted from the year 1, moved as all dates of the subject are in the research store: distances between the
    days of a subject are true, the days are not. `annotations` says what a segmentation or structure set shows, who
    made it and from what, as pseudonyms. `deidentified_before` tells that the source had been de-identified elsewhere.
    """

    series_uid: str
    subject: str
    modality: str
    sex: Sex
    age_band: str
    body_region_code: str | None
    body_region: str | None
    body_region_known: HowKnown
    contrast: Contrast
    respiratory_phase: RespiratoryPhase
    kernel_class: KernelClass
    acquisition_year: int | None
    study_day: int | None
    annotations: Annotations
    deidentified_before: bool
    recorded_by: str
    recorded_at: datetime
    tool: str

    def merged(self, other: FactSheet) -> FactSheet:
        """Return this sheet with its unknown facts filled in from another file of the same series."""
        gaps: dict[str, object] = {
            field.name: getattr(other, field.name)
            for field in fields(self)
            if getattr(self, field.name) in (None, "unknown", "")
        }
        gaps["annotations"] = self.annotations.merged(other.annotations)
        if self.body_region_code is None:
            gaps["body_region_known"] = other.body_region_known
        return replace(self, **gaps)  # type: ignore[arg-type]  # the names are this class's own fields


@dataclass(frozen=True, slots=True)
class Recorder:
    """Who records facts, when and with what."""

    agent: str
    at: datetime
    tool: str


def fact_sheet(
    dataset: Dataset,
    *,
    series_uid: str,
    subject: str,
    shift_days: int,
    recorder: Recorder,
    known_as: KnownAs | None = None,
) -> FactSheet:
    """Return the facts of a file's series, read from the dataset as it came in.

    Args:
        dataset: the file, before cleaning.
        series_uid: pseudonym of the series.
        subject: pseudonym of the subject.
        shift_days: by how many days the subject's dates are moved into the past.
        recorder: who records, when and with what.
        known_as: how ids and people in annotations are written down; without it both are left out.
    """
    region, known = _body_region(dataset)
    return FactSheet(
        series_uid=series_uid,
        subject=subject,
        modality=_modality(dataset),
        sex=sex(words_of(dataset, 0x00100040)),
        age_band=_age_band(dataset),
        body_region_code=region.code if region else None,
        body_region=region.meaning if region else None,
        body_region_known=known,
        contrast=contrast_of(dataset),
        respiratory_phase=respiratory_phase_of(dataset),
        kernel_class=kernel_class(text_of(dataset, 0x00181210)),
        acquisition_year=_year(dataset),
        study_day=study_day(dataset, shift_days=shift_days),
        annotations=annotations_of(dataset, known_as),
        deidentified_before=words_of(dataset, 0x00120062) == "YES",
        recorded_by=recorder.agent,
        recorded_at=recorder.at,
        tool=recorder.tool,
    )


def age_band(years: float) -> str:
    """Return the five-year band of an age; 90 and more are one band.

    >>> age_band(62.3), age_band(4.99), age_band(93)
    ('60-64', '0-4', '90+')
    """
    if years >= OLDEST_AGE_YEARS:
        return f"{OLDEST_AGE_YEARS}+"
    low = int(years // BAND_YEARS) * BAND_YEARS
    return f"{low}-{low + BAND_YEARS - 1}"


def study_day(dataset: Dataset, *, shift_days: int) -> int | None:
    """Return the day of a study, counted from the year 1 and moved into the past; None if it is not known.

    A date that stands for none (of 1900 or earlier), or that its maker says was removed, is not known.

    Source: DICOM PS3.3, C.12.1.1.7, for Longitudinal Temporal Information Modified (0028,0303).
    """
    return day_number(text_of(dataset, 0x00080020), words_of(dataset, 0x00280303), shift_days=shift_days)


def day_number(study_date: str, mark: str, *, shift_days: int) -> int | None:
    """Return the day of a study by the texts of its date and of (0028,0303); see `study_day`."""
    if mark == "REMOVED":
        return None
    day = parse_da(study_date)
    if day is None or day.year <= _NO_YEAR:
        return None
    return max(1, day.toordinal() - shift_days)


def kernel_class(kernel: str) -> KernelClass:
    r"""Return whether a reconstruction kernel is sharp or soft, by the makers' naming.

    Siemens letters with a sharpness number (B30f, Br40, Bl57: 50 and more is sharp), GE names, Canon FC numbers
    (FC01-FC29 soft, FC30 and more sharp), Philips letters.

    >>> [kernel_class(name).value for name in ("B30f", r"Bl57d\3", "LUNG", "FC08", "X9")]
    ['soft', 'sharp', 'sharp', 'soft', 'unknown']
    """
    name = kernel.split("\\")[0].strip().upper()
    if name in _SHARP_NAMES:
        return KernelClass.SHARP
    if name in _SOFT_NAMES:
        return KernelClass.SOFT
    siemens = re.fullmatch(r"[BHIJUTQ][RLVFCP]?(\d{2})[A-Z]?", name)
    if siemens is not None:
        return KernelClass.SHARP if int(siemens[1]) >= _SIEMENS_SHARP_FROM else KernelClass.SOFT
    canon = re.fullmatch(r"FC(\d{2})", name)
    if canon is not None:
        return KernelClass.SHARP if int(canon[1]) >= _CANON_SHARP_FROM else KernelClass.SOFT
    return KernelClass.UNKNOWN


_SIEMENS_SHARP_FROM = 50
_CANON_SHARP_FROM = 30
_SHARP_NAMES = frozenset(
    {"LUNG", "BONE", "BONEPLUS", "EDGE", "ULTRA", "DETAIL", "SHARP", "D", "L", "YC", "YD", "E"}
)
_SOFT_NAMES = frozenset({"STANDARD", "SOFT", "SMOOTH", "STD", "A", "B", "C", "UA", "UB"})
_INSPIRATION = re.compile(r"\b(insp|inspiration|inspiratory|einatmung)\b", re.IGNORECASE)
_EXPIRATION = re.compile(r"\b(exp|expiration|expiratory|ausatmung)\b", re.IGNORECASE)
_FREE = re.compile(r"\bfree[ _-]?breathing\b", re.IGNORECASE)
# Defined terms of Modality (0008,0060), DICOM PS3.3, section C.7.3.1.1.1.
_MODALITY_LIST = """
ANN AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD IO IOL IVOCT IVUS KER
KO LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE
RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA XAPROTOCOL XC
"""
_MODALITIES = frozenset(_MODALITY_LIST.split())
_NO_AGENT = frozenset({"NO", "NONE", "N", "WITHOUT", "WO", "NATIVE", "NATIV"})


def _modality(dataset: Dataset) -> str:
    modality = words_of(dataset, 0x00080060)
    return modality if modality in _MODALITIES else "unknown"


def _age_band(dataset: Dataset) -> str:
    stated = age_years(text_of(dataset, 0x00101010))
    if stated:
        return age_band(stated)
    birth, study = parse_da(text_of(dataset, 0x00100030)), parse_da(text_of(dataset, 0x00080020))
    if birth is None or study is None or study < birth:
        return "unknown"
    had_birthday = (study.month, study.day) >= (birth.month, birth.day)
    return age_band(study.year - birth.year - (not had_birthday))


def _body_region(dataset: Dataset) -> tuple[Region | None, HowKnown]:
    stated = region_of_term(text_of(dataset, 0x00180015)) or _anatomic_region(dataset)
    if stated is not None:
        return stated, HowKnown.HEADER
    for tags in (_SERIES_TEXTS, _STUDY_TEXTS):
        guessed = region_in_text(" ".join(text_of(dataset, tag).replace("_", " ") for tag in tags))
        if guessed is not None:
            return guessed, HowKnown.COMPUTED
    return None, HowKnown.NOT_KNOWN


def _anatomic_region(dataset: Dataset) -> Region | None:
    for item in items_of(dataset, 0x00082218):
        region = region_of_term(text_of(item, 0x00080104))
        if region is not None:
            return region
    return None


def contrast_of(dataset: Dataset) -> Contrast:
    """Return whether a contrast agent was given, by (0018,0010) and (0018,0012)."""
    agent = words_of(dataset, 0x00180010)
    if agent in _NO_AGENT:
        return Contrast.NO
    return Contrast.YES if agent or items_of(dataset, 0x00180012) else Contrast.UNKNOWN


def respiratory_phase_of(dataset: Dataset) -> RespiratoryPhase:
    """Return the phase of breathing, by words of the series' description and protocol."""
    text = " ".join(text_of(dataset, tag).replace("_", " ") for tag in _SERIES_TEXTS)
    found = [
        phase
        for pattern, phase in (
            (_INSPIRATION, RespiratoryPhase.INSPIRATION),
            (_EXPIRATION, RespiratoryPhase.EXPIRATION),
            (_FREE, RespiratoryPhase.FREE),
        )
        if pattern.search(text)
    ]
    return found[0] if len(found) == 1 else RespiratoryPhase.UNKNOWN


def _year(dataset: Dataset) -> int | None:
    """Return the year of acquisition; None where the dates are not, or need not be, the true ones.

    Source: DICOM PS3.3, C.12.1.1.7, for Longitudinal Temporal Information Modified (0028,0303), and PS3.16, CID 7050,
    for the code of the option that modifies dates.
    """
    options = {text_of(item, 0x00080100) for item in items_of(dataset, 0x00120064)}
    if words_of(dataset, 0x00280303) in _NOT_TRUE or _DATES_MODIFIED in options:
        return None
    for tag in _DATE_TAGS:
        day = parse_da(text_of(dataset, tag)[:10])
        if day is not None:
            return day.year
    return None
