"""A series as its source describes it, before its ids become pseudonyms: it stays in memory, in this room.

Sources that give DICOM headers describe with `describe_datasets`; others (tables, FHIR) fill in what they know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pydicom.dataset import Dataset

from fairbank.deid.annotations import ANNOTATION_MODALITIES, Annotations, annotations_of
from fairbank.deid.annotators import KnownAs
from fairbank.deid.cleaning import subject_of
from fairbank.deid.facts import FactSheet, Recorder, fact_sheet
from fairbank.errors import Sensitive
from fairbank.harvest.aspects import Aspect
from fairbank.harvest.errors import UnreadableHeader
from fairbank.harvest.header_texts import Wanted
from fairbank.harvest.headers import TAGS, header_of
from fairbank.harvest.quality import Known, archive_word
from fairbank.harvest.series import SeriesFacts, describe


@dataclass(frozen=True, slots=True)
class DeidMark:
    """What the headers of a series say of its de-identification.

    Attributes:
        identity_removed: Patient Identity Removed (0012,0062), upper case; `MIXED` if instances differ.
        methods: what the method attributes name: (0012,0063) and the codes of (0012,0064).
        burned_in: Burned In Annotation (0028,0301), upper case; `MIXED` if instances differ.
        identifying: keywords of elements that name a person or a place and still hold a value.
    """

    identity_removed: str = ""
    methods: tuple[str, ...] = ()
    burned_in: str = ""
    identifying: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SeriesDescription:
    """What a source says of one series.

    The ids in it are the source's own. `facts` and `sheet` carry none: their id fields are empty until the index fills
    in pseudonyms.

    Attributes:
        subject: what names the subject at this site; see `deid.pseudonyms.subject_value`.
        expected_instances: how many instances the source says the series has, if it does.
        archive_quality: what somebody at the archive said of its quality: usable, questionable, unusable or other.
        archive_validation: what came of its validation there: passed, passed-with-warnings, failed, in-progress, other.
        shared: whether it belongs to another container, which shares it into this one.
        annotated: for a series of annotations, what they say with ids and people as pseudonyms; the index calls it
            when it knows the pseudonyms, because `facts` and `sheet` hold no id.
    """

    subject: Sensitive[str]
    study_uid: Sensitive[str]
    series_uid: Sensitive[str]
    facts: SeriesFacts
    sheet: FactSheet
    mark: DeidMark
    expected_instances: int | None = None
    archive_quality: str | None = None
    archive_validation: str | None = None
    shared: bool = False
    annotated: Callable[[KnownAs], Annotations] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.archive_quality is not None or self.archive_validation is not None:
            said = {Aspect.LOW_QUALITY: archive_word(self.archive_quality, self.archive_validation)}
            rated = replace(self.facts, quality={**self.facts.quality, **said})
            object.__setattr__(self, "facts", rated)


# Elements that name a person, a place or an order, and that de-identification empties or replaces by a pseudonym
# (DICOM PS3.15, table E.1-1). Patient ID is not among them, because it may be a pseudonym and always has a value; the
# Patient's Name is added where it looks like a person's.
IDENTIFYING = (
    "PatientBirthDate",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientMotherBirthName",
    "InstitutionName",
    "InstitutionAddress",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "RequestingPhysician",
    "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy",
    "AccessionNumber",
    "PatientComments",
)
MARK_TAGS = (
    "PatientName",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "BurnedInAnnotation",
    "IssuerOfPatientID",
    *IDENTIFYING,
)
# What the fact sheet reads, beside what the index does.
_SHEET = (
    "ContentDate",
    "SeriesDescription",
    "StudyDescription",
    "ProtocolName",
    "AnatomicRegionSequence",
    "ContrastBolusAgent",
    "ContrastBolusAgentSequence",
)
# All that is read of a file to describe its series.
DESCRIBED_TAGS = list(dict.fromkeys([*TAGS, *Wanted((*MARK_TAGS, *_SHEET)).tags]))


def describe_datasets(
    datasets: Sequence[Dataset], *, recorder: Recorder, expected_instances: int | None = None
) -> SeriesDescription:
    """Return the description of one series from headers: of all its instances, or one that stands for the series.

    Raises:
        UnreadableHeader: if there is none, or they lack the ids of study or series.
    """
    headers = [header_of(dataset) for dataset in datasets]
    if not headers or not (headers[0].series_uid and headers[0].study_uid):
        raise UnreadableHeader(
            "A series has no usable header.",
            why="It lacks the ids of its study or series.",
            todo="Look at it in the archive by its reference; the other series are not affected.",
        )
    first = datasets[0]
    sheet = fact_sheet(first, series_uid="", subject="", shift_days=0, recorder=recorder)
    for dataset in datasets[1:]:
        sheet = sheet.merged(fact_sheet(dataset, series_uid="", subject="", shift_days=0, recorder=recorder))
    return SeriesDescription(
        subject=Sensitive(subject_of(first), reference="a subject"),
        study_uid=Sensitive(headers[0].study_uid, reference="a study"),
        series_uid=Sensitive(headers[0].series_uid, reference="a series"),
        facts=replace(
            describe(headers, Known(expected_instances, today=recorder.at.date())),
            series_uid="",
            study_uid="",
            subject="",
        ),
        sheet=sheet,
        mark=mark_of(datasets),
        expected_instances=expected_instances,
        annotated=_annotated(datasets) if headers[0].modality in ANNOTATION_MODALITIES else None,
    )


def _annotated(datasets: Sequence[Dataset]) -> Callable[[KnownAs], Annotations]:
    def under(known_as: KnownAs) -> Annotations:
        found = Annotations()
        for dataset in datasets:
            found = found.merged(annotations_of(dataset, known_as))
        return found

    return under


def mark_of(datasets: Sequence[Dataset]) -> DeidMark:
    """Return what headers say of their de-identification; where instances differ, the worse counts."""
    removed = {_word(dataset, "PatientIdentityRemoved") for dataset in datasets}
    burned = {_word(dataset, "BurnedInAnnotation") for dataset in datasets}
    methods: dict[str, None] = {}
    identifying: dict[str, None] = {}
    for dataset in datasets:
        methods |= dict.fromkeys(_methods(dataset))
        identifying |= dict.fromkeys(word for word in IDENTIFYING if str(dataset.get(word) or "").strip())
        if looks_like_a_person(str(dataset.get("PatientName") or ""), str(dataset.get("PatientID") or "")):
            identifying["PatientName"] = None
    return DeidMark(_one(removed), tuple(methods), _one(burned), tuple(identifying))


# Words that archives put in the place of a name.
_NOBODY = frozenset(
    {
        "anonymous",
        "anonymized",
        "anonymised",
        "anon",
        "deidentified",
        "identified",
        "removed",
        "redacted",
        "none",
    }
    | {
        "patient",
        "subject",
        "participant",
        "case",
        "volunteer",
        "phantom",
        "test",
        "unknown",
        "name",
        "de",
        "no",
    }
)


def looks_like_a_person(name: str, patient_id: str) -> bool:
    """Tell whether a name seems to be a person's: two words of letters or more, none of them one for nobody.

    A guess on the side of caution. A name of one word, or with digits in every word but one, passes for a pseudonym; so
    does one that is the Patient ID too, because that one is judged by who wrote it.

    >>> looks_like_a_person("Doe^Jane", "4711"), looks_like_a_person("SUBJ^0042", "0042")
    (True, False)
    """
    if not name.strip() or name.strip() == patient_id.strip():
        return False
    words = [word.casefold() for word in re.split(r"[\s^=,.-]+", name) if len(word) > 1 and word.isalpha()]
    return len(words) > 1 and not _NOBODY.intersection(words)


def _methods(dataset: Dataset) -> list[str]:
    text = dataset.get("DeidentificationMethod")
    texts = [text] if isinstance(text, str) else list(text or ())
    codes = [
        f"{item.get('CodingSchemeDesignator', '')} {item.get('CodeValue', '')}".strip()
        for item in dataset.get("DeidentificationMethodCodeSequence") or ()
    ]
    return [str(one).strip() for one in (*texts, *codes) if str(one).strip()]


def _word(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip().upper()


def _one(words: set[str]) -> str:
    return words.pop() if len(words) == 1 else "MIXED"
