"""What no machine can find out about a collection: who answers for it, under which law, what there is beside images.

The export profiles and searchers ask for these; all are optional, and a record without them is as valid as before.
Whoever gives them is the curator. There are years and no dates, so that no date of a record can be one of a subject.

Conditions and biomarkers are checked against their lists where they are given and where a record leaves its node, and
only for their form where a record is read: what was signed stays readable whatever becomes of a list.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer

from fairbank.ontology.data_use_limits import DataUseLimits
from fairbank.ontology.wire import Part, ShortText, Slug, Text

EMAIL: Final = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
_PART = r"([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"
# RFC 3986 without user and literal address: what every RDF library takes for an IRI.
ADDRESS: Final = rf"https?://[A-Za-z0-9._~-]+(:[0-9]{{1,5}})?(/{_PART})?(\?{_PART})?(#{_PART})?"
Email = Annotated[str, Field(pattern=f"^{EMAIL}$", max_length=200)]
Iri = Annotated[str, Field(pattern=f"^{ADDRESS}$", max_length=500)]
Year = Annotated[int, Field(ge=1895, le=2200)]
Iris = Annotated[tuple[Iri, ...], Field(max_length=50)]


def _duration(text: str) -> str:
    # ISO 8601 as xsd:duration has it: at least one part, and one behind a T.
    if not re.fullmatch(r"P(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?", text):
        raise ValueError("a duration is written as P1D or PT0.5S")
    return text


def _span(text: str) -> str:
    # A planned span is told in years, months and days: hours would be a timetable.
    if "T" in _duration(text):
        raise ValueError("a span is written in years, months or days, such as P5Y or P18M")
    return text


# Of a biobank or collection in the BBMRI-ERIC Directory (its identifiers follow MIABIS), or where it describes itself.
DIRECTORY_ID: Final = r"bbmri-eric:(ID|networkID|serviceID):[A-Z]{2,4}_[A-Za-z0-9._:@-]{1,150}"
Biorepository = Annotated[str, Field(pattern=f"^({DIRECTORY_ID}|{ADDRESS})$", max_length=500)]
Span = Annotated[str, Field(max_length=20), AfterValidator(_span)]
Duration = Annotated[str, Field(max_length=40), AfterValidator(_duration)]


def _asked(words: str) -> Any:
    return Field(default=None, description=words)


def _listed(words: str) -> Any:
    return Field(default=(), description=words)


class Organisation(Part):
    """An organisation that can be reached."""

    name: ShortText
    email: Email | None = None
    page: Iri | None = None


class Guideline(Part):
    """A document that says how images were annotated."""

    title: ShortText
    page: Iri | None = None


class Stewardship(Part):
    """What the curator says for the export profiles; the description of each field is what a curator reads."""

    contact_email: Email | None = _asked("Functional mail address for questions about the dataset.")
    contact_page: Iri | None = _asked("Page with a form for questions about the dataset.")
    publisher_email: Email | None = _asked("Mail address of the publisher.")
    publisher_page: Iri | None = _asked("Contact page of the publisher.")
    hdab: Organisation | None = _asked(
        "The health data access body that decides about access (EHDS): name, email, page."
    )
    custodian: Organisation | None = _asked(
        "Who is accountable for the data, the data holder: name, email, page."
    )
    dataset_types: Iris = _listed("Type of the dataset, an IRI of the profile's vocabulary.")
    languages: Iris = _listed("Language, an IRI of the EU table of languages.")
    spatial: Iris = _listed("Where the data are from, an IRI of the EU tables of countries or places.")
    health_themes: Iris = _listed("Subject in health, an IRI of the table health-theme.")
    legal_bases: Iris = _listed("Legal basis, an IRI of the Data Privacy Vocabulary.")
    purposes: Iris = _listed("Purpose of processing, an IRI of the Data Privacy Vocabulary.")
    personal_data: Iris = _listed("Kinds of personal data, IRIs of the Data Privacy Vocabulary.")
    population_coverage: Text | None = _asked("Which population is represented, in words.")
    retained_from: Year | None = _asked("First year in which the data may be used again.")
    retained_until: Year | None = _asked("Last year in which the data may be used again.")
    coding_systems: Iris = _listed("Coding systems in the data, IRIs of the table coding-system.")
    code_values: Annotated[tuple[ShortText, ...], Field(max_length=50)] = _listed(
        "Codes that occur, such as 'ICD-10: C61'."
    )
    documentation: Iris = _listed("Pages or documents about the dataset.")
    landing_page: Iri | None = _asked("The dataset's own page at the biobank.")
    open_at: Iri | None = _asked("Where everyone can fetch the images; without it they stay at the biobank.")
    references: Iris = _listed("Publications that cite the dataset.")
    relations: Iris = _listed("Related resources.")
    sources: Iris = _listed("Datasets from which this one was made.")
    accrual_periodicity: Iri | None = _asked("How often data are added, an IRI of the EU frequencies.")
    quality_annotations: Iris = _listed("Statements about quality, such as a certificate.")
    samples: Iris = _listed("Addresses of a sample of the data.")
    analytics: Iris = _listed("Addresses of statistics or dashboards of the data.")
    temporal_resolution: Duration | None = _asked("Smallest time between images, such as P1D.")
    file_format: Iri | None = _asked("File format, an IRI of the EU table of file types.")
    availability: Iri | None = _asked("How long it stays available, an IRI of planned-availability.")
    health_activity: Iri | None = _asked("What the data were made for, an IRI of health-activity.")
    condition: Iri | None = _asked(
        "The primary cancer condition, an IRI of EUCAIM's ontology; else the first of the conditions stands for it."
    )
    collection_methods: Iris = _listed("How the data were collected, IRIs of EUCAIM's ontology.")
    interoperability_level: Iri | None = _asked("Tier in EUCAIM's federation, an IRI of its ontology.")
    annotation_labels: Iris = _listed("What segmentations show, IRIs of EUCAIM's value set.")
    segmentation_methods: Iris = _listed("How segmentations were made, IRIs of EUCAIM's ontology.")
    conditions: Annotated[tuple[Slug, ...], Field(max_length=50)] = _listed(
        "Conditions studied, the primary one first: words, names or MONDO ids of the list of conditions."
    )
    annotation_guideline: Guideline | None = _asked(
        "How images were annotated: title and page of the guideline."
    )
    biorepositories: Annotated[tuple[Biorepository, ...], Field(max_length=50)] = _listed(
        "Biobanks or collections with samples of the same people: ids such as bbmri-eric:ID:DE_…, or addresses."
    )
    omics_held: bool | None = _asked(
        "Whether omics data of the same people are held; leave it out if not stated."
    )
    health_records_held: bool | None = _asked(
        "Whether health records of the same people are held; leave it out if not stated."
    )
    biomarkers: Annotated[tuple[Slug, ...], Field(max_length=50)] = _listed(
        "Imaging biomarkers that come with the images, names of the list of biomarkers."
    )
    planned_time_points: Annotated[int, Field(ge=1, le=1000)] | None = _asked(
        "Imaging time points per subject that the protocol plans."
    )
    planned_follow_up: Span | None = _asked("Follow-up per subject that the protocol plans, such as P5Y.")
    data_use_limits: DataUseLimits | None = _asked(
        "Values of the data-use codes: diseases, countries, months and others; see the page on data use."
    )

    @model_serializer(mode="wrap")
    def _what_was_said(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write no empty field, so that an older reader is not stopped by one that nobody filled."""
        fields: dict[str, Any] = write(self)
        return {name: value for name, value in fields.items() if value not in (None, [], ())}
