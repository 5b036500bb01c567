"""What an XNAT writes into the item of a session and of a scan when it files DICOM: paths of its data model, typed.

Values come from one instance and stand for the series, as XNAT has it. The maps follow the answers that XNAT's own
tests expect (NrgXnat/xnat-rest-tests, `dicom_extraction/*Attributes.json`).
"""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

Fields = dict[str, object]

# Path of the item: DICOM keyword.
_SCAN_TEXTS = {
    "scanner": "StationName",
    "scanner/manufacturer": "Manufacturer",
    "scanner/model": "ManufacturerModelName",
    "scanner/softwareVersion": "SoftwareVersions",
    "operator": "OperatorsName",
    "protocolName": "ProtocolName",
    "bodyPartExamined": "BodyPartExamined",
    "parameters/imageType": "ImageType",
}
_CT_TEXTS = {
    "parameters/convolutionKernel": "ConvolutionKernel",
    "parameters/filter": "FilterType",
    "parameters/options": "ScanOptions",
    "parameters/rotationDirection": "RotationDirection",
    "parameters/rescale/slope": "RescaleSlope",
    "parameters/rescale/intercept": "RescaleIntercept",
    "parameters/contrastBolus": "ContrastBolusAgent",
    "parameters/derivation": "DerivationDescription",
    "parameters/estimatedDoseSaving/modulation": "ExposureModulationType",
}
_CT_NUMBERS = {
    "parameters/kvp": "KVP",
    "parameters/gantryTilt": "GantryDetectorTilt",
    "parameters/tableHeight": "TableHeight",
    "parameters/xrayTubeCurrent": "XRayTubeCurrent",
    "parameters/exposureTime": "ExposureTime",
    "parameters/exposure": "Exposure",
    "parameters/ctDIvol": "CTDIvol",
    "parameters/collectionDiameter": "DataCollectionDiameter",
    "parameters/acquisitionNumber": "AcquisitionNumber",
    "parameters/distanceSourceToDetector": "DistanceSourceToDetector",
    "parameters/distanceSourceToPatient": "DistanceSourceToPatient",
    "parameters/generatorPower": "GeneratorPower",
    "parameters/pitchFactor": "SpiralPitchFactor",
    "parameters/tableSpeed": "TableSpeed",
    "parameters/tableFeedPerRotation": "TableFeedPerRotation",
    "parameters/collimationWidth/total": "TotalCollimationWidth",
    "parameters/collimationWidth/single": "SingleCollimationWidth",
    "parameters/estimatedDoseSaving": "EstimatedDoseSaving",
}
_MR_TEXTS = {
    "parameters/sequence": "SequenceName",
    "parameters/scanSequence": "ScanningSequence",
    "parameters/seqVariant": "SequenceVariant",
    "parameters/scanOptions": "ScanOptions",
    "parameters/acqType": "MRAcquisitionType",
    "coil": "ReceiveCoilName",
}
_MR_NUMBERS = {
    "parameters/tr": "RepetitionTime",
    "parameters/te": "EchoTime",
    "parameters/ti": "InversionTime",
    "parameters/flip": "FlipAngle",
    "parameters/pixelBandwidth": "PixelBandwidth",
    "parameters/diffusion/bValues": "DiffusionBValue",
}
_SESSION_TEXTS = {
    "scanner": "StationName",
    "scanner/manufacturer": "Manufacturer",
    "scanner/model": "ManufacturerModelName",
    "operator": "OperatorsName",
    "session_type": "StudyDescription",
    "acquisition_site": "InstitutionName",
    "studyComments": "StudyComments",
    # What identifies the patient is in an XNAT's item too.
    "dcmPatientName": "PatientName",
    "dcmPatientId": "PatientID",
    "dcmAccessionNumber": "AccessionNumber",
}
TAGS = (
    *_SCAN_TEXTS.values(),
    *_CT_TEXTS.values(),
    *_CT_NUMBERS.values(),
    *_MR_TEXTS.values(),
    *_MR_NUMBERS.values(),
    *_SESSION_TEXTS.values(),
    "MagneticFieldStrength",
    "PixelSpacing",
    "SliceThickness",
    "Rows",
    "Columns",
    "ImageOrientationPatient",
    "SeriesTime",
    "StudyTime",
    "PatientAge",
    "PatientBirthDate",
)


def scan_fields(header: Dataset, modality: str) -> Fields:
    """Return what the item of a scan says beside its ids."""
    fields: Fields = _texts(header, _SCAN_TEXTS) | {"startTime": _clock(_text(header, "SeriesTime"))}
    texts, numbers = {"CT": (_CT_TEXTS, _CT_NUMBERS), "MR": (_MR_TEXTS, _MR_NUMBERS)}.get(modality, ({}, {}))
    fields |= _texts(header, texts)
    fields |= {path: _number(header.get(keyword)) for path, keyword in numbers.items()}
    if modality == "MR":
        fields["fieldStrength"] = _strength(header)
    if modality in ("CT", "MR", "PT"):
        fields |= _grid(header)
    return {path: value for path, value in fields.items() if value not in ("", None)}


def session_fields(header: Dataset, modality: str) -> Fields:
    """Return what the item of a session says beside its ids; like XNAT's, it identifies the patient."""
    fields: Fields = _texts(header, _SESSION_TEXTS) | {
        "time": _clock(_text(header, "StudyTime")),
        "dcmPatientBirthDate": iso_date(_text(header, "PatientBirthDate")),
        "age": _years(_text(header, "PatientAge")),
    }
    if modality == "MR":
        fields["fieldStrength"] = _strength(header)
    return {path: value for path, value in fields.items() if value not in ("", None)}


def iso_date(text: str) -> str:
    """Return a DICOM date as XNAT writes it, empty if it is none.

    >>> iso_date("20260102"), iso_date("2026")
    ('2026-01-02', '')
    """
    whole = len(text) == 8 and text.isascii() and text.isdigit()
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if whole else ""


def _grid(header: Dataset) -> Fields:
    spacing = header.get("PixelSpacing") or (None, None)
    return {
        "parameters/voxelRes/x": _number(spacing[1]),
        "parameters/voxelRes/y": _number(spacing[0]),
        "parameters/voxelRes/z": _number(header.get("SliceThickness")),
        "parameters/fov/x": _number(header.get("Columns")),
        "parameters/fov/y": _number(header.get("Rows")),
        "parameters/orientation": _orientation(header.get("ImageOrientationPatient")),
    }


def _orientation(cosines: Any) -> str:
    """Return the plane that a slice lies nearest to: sagittal, coronal or transverse."""
    try:
        row, column = [float(each) for each in cosines[:3]], [float(each) for each in cosines[3:6]]
        normal = [
            abs(row[(i + 1) % 3] * column[(i + 2) % 3] - row[(i + 2) % 3] * column[(i + 1) % 3])
            for i in range(3)
        ]
    except (TypeError, ValueError, IndexError):
        return ""
    return ("Sag", "Cor", "Tra")[normal.index(max(normal))]


def _strength(header: Dataset) -> str:
    number = _number(header.get("MagneticFieldStrength"))
    return str(float(number)) if number is not None else ""


def _texts(header: Dataset, map_of: dict[str, str]) -> Fields:
    return {path: _text(header, keyword) for path, keyword in map_of.items()}


def _text(header: Dataset, keyword: str) -> str:
    value = header.get(keyword)
    if isinstance(value, MultiValue):
        return "\\".join(map(str, value))
    return "" if value is None else str(value).strip()


def _number(value: Any) -> int | float | None:
    """Return a number as JSON has it: whole ones without a point."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() else number


def _clock(text: str) -> str:
    digits = text[:6]
    return f"{digits[:2]}:{digits[2:4]}:{digits[4:6]}" if len(digits) == 6 and digits.isdigit() else ""


def _years(text: str) -> int | None:
    return int(text[:3]) if len(text) == 4 and text[:3].isdecimal() and text[3] == "Y" else None
