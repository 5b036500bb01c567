"""What is read of an XNAT item: a list of what may be read, and nothing else.

An item holds the patient's name and birth date, operators, notes and paths of the server. Only the paths below are
ever looked up; they become the elements of a small DICOM header, so that a series is described as from its files.

Source: XNAT's data model (xnat.xsd) and what its own tests expect of DICOM (NrgXnat/xnat-rest-tests,
`dicom_extraction/*Attributes.json`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from fairbank.deid.part10 import quiet_pydicom

# XNAT files images of a scan under these labels; snapshots, previews and converted files lie under others.
IMAGE_RESOURCES = frozenset({"DICOM", "SECONDARY"})
_LONGEST_TEXT = 256
# Path in the item: keyword of the element that it came from.
_TEXTS: Final = {
    "modality": "Modality",
    "series_description": "SeriesDescription",
    "bodyPartExamined": "BodyPartExamined",
    "scanner/manufacturer": "Manufacturer",
    "scanner/model": "ManufacturerModelName",
    "parameters/imageType": "ImageType",
    "parameters/convolutionKernel": "ConvolutionKernel",
    "parameters/contrastBolus": "ContrastBolusAgent",
    "parameters/scanSequence": "ScanningSequence",
    "parameters/seqVariant": "SequenceVariant",
    "parameters/acqType": "MRAcquisitionType",
}
_NUMBERS: Final = {
    "fieldStrength": "MagneticFieldStrength",
    "parameters/kvp": "KVP",
    "parameters/gantryTilt": "GantryDetectorTilt",
    "parameters/tr": "RepetitionTime",
    "parameters/te": "EchoTime",
    "parameters/ti": "InversionTime",
    "parameters/flip": "FlipAngle",
    "parameters/voxelRes/z": "SliceThickness",
}
_WHOLE: Final = {"parameters/fov/x": "Columns", "parameters/fov/y": "Rows"}
_SPACING: Final = ("parameters/voxelRes/y", "parameters/voxelRes/x")
# Looked at for whether something stands there; what it is, is never read.
_IDENTIFYING: Final = {
    "dcmPatientBirthDate": "PatientBirthDate",
    "dcmAccessionNumber": "AccessionNumber",
    "operator": "OperatorsName",
    "acquisition_site": "InstitutionName",
}
# The elements by which a header says how it was de-identified, as `dicomdump` is asked for them.
MARKS: Final = {
    "(0012,0062)": "PatientIdentityRemoved",
    "(0012,0063)": "DeidentificationMethod",
    "(0028,0301)": "BurnedInAnnotation",
}
_SEXES: Final = {"male": "M", "female": "F", "m": "M", "f": "F", "other": "O"}
_QUALITIES: Final = frozenset({"usable", "questionable", "unusable"})
_VALIDATIONS: Final = {
    "passed": "passed",
    "pass": "passed",
    "passed with warnings": "passed-with-warnings",
    "failed": "failed",
    "fail": "failed",
    "in progress": "in-progress",
}
OTHER = "other"


@dataclass(frozen=True, slots=True)
class ScanItem:
    """What an item says of one scan; `repr` shows none of it.

    Attributes:
        quality: XNAT's word for it: usable, questionable, unusable; `other` for a word of the site's own.
        validation: passed, passed-with-warnings, failed, in-progress or `other`; None where nobody validated it.
        files: image files by the label of their resource.
        stamps: when each was last written, as far as the item tells; opaque.
        identifying: keywords of elements that name a person or a place and still hold a value in the item.
    """

    id: str = field(repr=False)
    header: Dataset = field(repr=False)
    frames: int | None
    quality: str | None
    validation: str | None
    files: Mapping[str, int] = field(repr=False)
    stamps: str = field(repr=False)
    identifying: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionItem:
    """What an item says of a session.

    Attributes:
        owner: the project that the session belongs to.
        subject: XNAT's id of the subject.
        shared_into: the other projects that show it.
    """

    owner: str = field(repr=False)
    subject: str = field(repr=False)
    patient_id: str = field(repr=False)
    shared_into: frozenset[str] = field(repr=False)
    scans: Mapping[str, ScanItem] = field(repr=False)


def session_item(answer: Any) -> SessionItem:
    """Read the item of a session.

    Raises:
        ValueError, KeyError, TypeError: if it is no such item.
    """
    item = answer["items"][0]
    fields = dict(item["data_fields"])
    validation = _validation(item)
    with quiet_pydicom():
        scans = [_scan(scan, fields, validation) for scan in children(item, "scans/scan")]
    return SessionItem(
        owner=_text(fields, "project"),
        subject=_text(fields, "subject_ID"),
        patient_id=_text(fields, "dcmPatientId"),
        shared_into=frozenset(
            _text(share["data_fields"], "project") for share in children(item, "sharing/share")
        ),
        scans={scan.id: scan for scan in scans},
    )


def children(item: Any, name: str) -> Iterator[Any]:
    """Yield the items that an item has below a field."""
    for child in item.get("children") or ():
        if child.get("field") == name:
            yield from child.get("items") or ()


def custom_variables(item: Any) -> dict[str, str]:
    """Return the custom variables of an item, by name."""
    found = {}
    for each in children(item, "fields/field"):
        fields = each["data_fields"]
        if (name := _text(fields, "name")) and (value := _text(fields, "field")):
            found[name] = value
    return found


def form_answers(answer: Any) -> dict[str, str]:
    """Return what custom forms hold, by the name of the question, and of the form where two ask the same."""
    found: dict[str, str] = {}
    for name, value in dict(answer or {}).items():
        questions = value if isinstance(value, dict) else {name: value}
        for question, said in questions.items():
            text = _joined(said)
            if text is not None:
                found[str(question) if question not in found else f"{name}/{question}"] = text
    return found


def header_marks(answer: Any) -> dict[str, str]:
    """Return what the rows of a header's dump say of its de-identification, by keyword; other elements are not read.

    Raises:
        ValueError, KeyError, TypeError: if it is no such table.
    """
    found = {}
    for row in answer["ResultSet"]["Result"]:
        keyword = MARKS.get(_text(row, "tag1"))
        if keyword is not None and not _text(row, "tag2") and (value := _text(row, "value")):
            found[keyword] = value
    return found


def sex_of(word: str) -> str:
    """Return the DICOM code of XNAT's word for a sex, empty if it says nothing.

    >>> sex_of("female"), sex_of("unknown")
    ('F', '')
    """
    return _SEXES.get(word.strip().lower(), "")


def _scan(item: Any, session: dict[str, Any], of_session: str | None) -> ScanItem:
    fields = dict(item["data_fields"])
    resources = [dict(each["data_fields"]) for each in children(item, "file")]
    images = [each for each in resources if str(each.get("label", "")).upper() in IMAGE_RESOURCES]
    quality = _text(fields, "quality").lower()
    return ScanItem(
        id=_text(fields, "ID"),
        header=_header(fields, session),
        frames=_whole(fields.get("frames")),
        quality=(quality if quality in _QUALITIES else OTHER) if quality else None,
        validation=_validation(item) or of_session,
        files={str(each["label"]): _whole(each.get("file_count")) or 0 for each in images},
        identifying=tuple(
            keyword for path, keyword in _IDENTIFYING.items() if _text(session, path) or _text(fields, path)
        ),
        stamps="\n".join(
            [
                str(item.get("meta", {}).get("start_date", "")),
                *sorted(f"{e.get('file_size')}" for e in images),
            ]
        ),
    )


def _header(fields: dict[str, Any], session: dict[str, Any]) -> Dataset:
    """Return the header that an item's allowed fields make; what a scan leaves out its session may say."""
    header = Dataset()
    header.SeriesInstanceUID = _text(fields, "UID")
    header.StudyInstanceUID = _text(session, "UID")
    for path, keyword in _TEXTS.items():
        if text := _text(fields, path) or (_text(session, path) if path.startswith("scanner/") else ""):
            setattr(header, keyword, text.split("\\") if "\\" in text else text)
    for path, keyword in _NUMBERS.items():
        number = _number(fields.get(path, session.get(path) if path == "fieldStrength" else None))
        if number is not None:
            setattr(header, keyword, DSfloat(number, auto_format=True))
    for path, keyword in _WHOLE.items():
        if (whole := _whole(fields.get(path))) is not None and 0 < whole < 2**16:
            setattr(header, keyword, whole)
    spacing = [_number(fields.get(path)) for path in _SPACING]
    if None not in spacing:
        header.PixelSpacing = [DSfloat(each, auto_format=True) for each in spacing if each is not None]
    if re.fullmatch(r"\d{4}-\d\d-\d\d", day := _text(session, "date")):
        header.StudyDate = day.replace("-", "")
    if (years := _number(session.get("age"))) is not None and 0 <= years < 1000:
        header.PatientAge = f"{int(years):03d}Y"
    return header


def _validation(item: Any) -> str | None:
    said = [_text(each["data_fields"], "status") for each in children(item, "validation")]
    word = said[0].lower() if said else ""
    return _VALIDATIONS.get(word, OTHER) if word else None


def _text(fields: Mapping[str, Any], path: str) -> str:
    value = fields.get(path)
    return str(value).strip()[:_LONGEST_TEXT] if isinstance(value, str | int | float) else ""


def _number(value: Any) -> float | None:
    """Return a number that an item has as a number, or as the text of one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) < 1e9 else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _joined(said: Any) -> str | None:
    if isinstance(said, str | int | float):
        return str(said)
    if isinstance(said, list) and all(isinstance(each, str | int | float) for each in said):
        return ";".join(map(str, said))
    return None
