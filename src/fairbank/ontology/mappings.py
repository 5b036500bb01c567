"""From DICOM to the RDF view: which attribute of a header becomes which property, and by which rule.

The table is what the reference page shows and what harvest follows; a value that its rule does not understand becomes
`unknown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fairbank.ontology import terms


@dataclass(frozen=True, slots=True)
class Mapping:
    """One attribute and the property that it becomes.

    Attributes:
        tag: DICOM tag, `GGGG,EEEE`.
        keyword: its keyword (PS3.6).
        property: IRI of the property of an observation of the cube, or of a row of a distribution.
        rule: how a value becomes a word or a number.
        distribution: the attribute's name in a distribution; None for an axis of the cube or a count.
    """

    tag: str
    keyword: str
    property: str
    rule: str
    distribution: str | None = None


MAPPINGS: Final = (
    Mapping(
        "0008,0060", "Modality", terms.MODALITY, "code of CID 29 or CID 32; retired codes by their successor"
    ),
    Mapping("0018,0015", "BodyPartExamined", terms.BODY_PART, "defined term of PS3.16, table L-1"),
    Mapping(
        "0008,0070", "Manufacturer", terms.MANUFACTURER, "one name per manufacturer; `other` if not listed"
    ),
    Mapping("0018,0050", "SliceThickness", terms.SLICE_THICKNESS, "half-open band in millimetres"),
    Mapping("0020,000E", "SeriesInstanceUID", terms.SERIES_COUNT, "number of different values"),
    Mapping("0020,000D", "StudyInstanceUID", terms.STUDY_COUNT, "number of different values"),
    Mapping("0010,0020", "PatientID", terms.SUBJECT_COUNT, "number of different pseudonyms"),
    Mapping("0008,0018", "SOPInstanceUID", terms.INSTANCE_COUNT, "number of files"),
    Mapping("0010,0040", "PatientSex", terms.ATTRIBUTE_VALUE, "F, M, O or unknown; before cleaning", "sex"),
    Mapping("0010,1010", "PatientAge", terms.ATTRIBUTE_VALUE, "five-year band; before cleaning", "age-band"),
    Mapping(
        "0008,0022", "AcquisitionDate", terms.ATTRIBUTE_VALUE, "year; before cleaning", "acquisition-year"
    ),
)


def property_of(keyword: str) -> str | None:
    """Return the property that an attribute becomes, None for one that never leaves a node.

    >>> property_of("Modality"), property_of("PatientName")
    ('https://w3id.org/fairbank/terms#modality', None)
    """
    return next((each.property for each in MAPPINGS if each.keyword == keyword), None)
