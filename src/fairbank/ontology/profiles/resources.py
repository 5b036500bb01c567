"""Tables that several profiles share: contact points, periods, licences, statements, and what no profile asks for."""

from __future__ import annotations

from typing import Final

from fairbank.ontology import terms
from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles.rows import LINK, Origin, Row, Table, any_of, described, may, must, row, typed

DCT: Final = terms.DCT
DCAT: Final = terms.DCAT
WHOLE: Final = typed(terms.XSD + "nonNegativeInteger")
_INTEGER: Final = typed(terms.XSD + "integer")
_YES_OR_NO: Final = typed(terms.XSD + "boolean")
_YEAR: Final = typed(terms.XSD + "gYear")
COMPUTED, SOURCE, CURATOR, CONSTANT = Origin.COMPUTED, Origin.SOURCE, Origin.CURATOR, Origin.CONSTANT

# Written in every profile, asked for by none: data-use terms, that a count is withheld, what there is beside images.
ALSO: Final[tuple[Row, ...]] = (
    row(terms.DATA_USE, "data_use", CURATOR, LINK),
    row(terms.SUBJECT_BELOW, "individuals_below", COMPUTED, _INTEGER, most=1),
    row(terms.STUDY_BELOW, "studies_below", COMPUTED, _INTEGER, most=1),
    row(DCT + "subject", "conditions", CURATOR, LINK, note="the conditions studied, by MONDO id"),
    row(
        terms.ANNOTATION_GUIDELINE,
        "annotation_guideline",
        CURATOR,
        described(terms.FOAF + "Document"),
        most=1,
    ),
    row(terms.BIOREPOSITORY, "biorepositories", CURATOR, described(DCAT + "Resource")),
    row(terms.OMICS_HELD, "omics_held", CURATOR, _YES_OR_NO, most=1),
    row(terms.HEALTH_RECORDS_HELD, "health_records_held", CURATOR, _YES_OR_NO, most=1),
    row(terms.IMAGING_BIOMARKER, "biomarkers", CURATOR, described(terms.SKOS + "Concept")),
    row(terms.PLANNED_TIME_POINTS, "planned_time_points", CURATOR, _INTEGER, most=1),
    row(terms.PLANNED_FOLLOW_UP, "planned_follow_up", CURATOR, typed(terms.XSD + "duration"), most=1),
    row(terms.DATA_USE_LIMIT, "data_use_limits", CURATOR),
)

# A contact of a dataset (vCard); at least one of mail and page.
KIND: Final = Table(
    "ContactPoint",
    (terms.VCARD + "Kind",),
    "contact",
    (
        row(terms.VCARD + "fn", "contact_name", CURATOR),
        *may(
            row(terms.VCARD + "hasEmail", "contact_email", CURATOR, LINK, most=1),
            row(terms.VCARD + "hasURL", "contact_page", CURATOR, LINK, most=1),
        ),
        *must(any_of(terms.VCARD + "hasEmail", terms.VCARD + "hasURL")),
    ),
)

# A contact of an agent (Core Public Service Vocabulary); at least one of mail and page.
AGENT_CONTACT: Final = Table(
    "AgentContactPoint",
    (ns.CV + "ContactPoint",),
    "agent-contacts",
    (
        *may(
            row(ns.CV + "email", "agent_email", CURATOR),
            row(ns.CV + "contactPage", "agent_page", CURATOR, LINK),
        ),
        *must(any_of(ns.CV + "email", ns.CV + "contactPage")),
    ),
)

ACQUIRED: Final = Table(
    "AcquisitionPeriod",
    (DCT + "PeriodOfTime",),
    "acquired",
    (
        row(DCAT + "startDate", "begin", SOURCE, _YEAR, most=1),
        row(DCAT + "endDate", "end", SOURCE, _YEAR, most=1),
    ),
    linked_by=(DCT + "temporal",),
)

RETENTION: Final = Table(
    "RetentionPeriod",
    (DCT + "PeriodOfTime",),
    "retention",
    (
        row(DCAT + "startDate", "begin", CURATOR, _YEAR, most=1),
        row(DCAT + "endDate", "end", CURATOR, _YEAR, most=1),
    ),
    linked_by=(ns.HEALTH + "retentionPeriod",),
)

PROVENANCE: Final = Table(
    "ProvenanceStatement",
    (DCT + "ProvenanceStatement",),
    "provenance",
    (row(terms.LABEL, "provenance_text", COMPUTED),),
)

LICENCE: Final = Table(
    "LicenceDocument",
    (DCT + "LicenseDocument",),
    "licence",
    (row(terms.LABEL, "licence_name", CURATOR),),
)

GENERATION: Final = Table(
    "Generation",
    (terms.PROV + "Activity",),
    "generation",
    must(row(DCT + "type", "health_activity", CURATOR, LINK)),
)


# What the rows in `ALSO` point to.
ALSO_TABLES: Final[tuple[Table, ...]] = (
    Table(
        "AnnotationGuideline",
        (terms.FOAF + "Document",),
        "guideline",
        (
            *must(row(DCT + "title", "guideline_title", CURATOR, most=1)),
            row(terms.FOAF + "page", "guideline_page", CURATOR, LINK, most=1),
        ),
        linked_by=(terms.ANNOTATION_GUIDELINE,),
    ),
    Table(
        "Biorepository",
        (DCAT + "Resource",),
        "biorepositories",
        (
            row(DCT + "identifier", "biorepository_id", CURATOR, most=1),
            row(terms.FOAF + "page", "biorepository_page", CURATOR, LINK, most=1),
        ),
        linked_by=(terms.BIOREPOSITORY,),
    ),
    Table(
        "Biomarker",
        (terms.SKOS + "Concept",),
        "biomarkers",
        (
            row(terms.LABEL, "label", CONSTANT, most=1),
            row(terms.SKOS + "notation", "biomarker_code", CONSTANT, most=1),
            row(terms.SKOS + "exactMatch", "biomarker_match", CONSTANT, LINK, most=1),
        ),
        linked_by=(terms.IMAGING_BIOMARKER,),
    ),
)


def agent(name: str, subjects: str, path: str, rows: tuple[Row, ...]) -> Table:
    """Return the table of the agents that a property points to."""
    return Table(name, (terms.FOAF + "Agent",), subjects, rows, linked_by=(path,))


def concepts(name: str, subjects: str, path: str) -> Table:
    """Return the table of concepts that have no IRI elsewhere and are described in the document by their label."""
    rows = (row(terms.LABEL, "label", SOURCE),)
    return Table(name, (terms.SKOS + "Concept",), subjects, rows, linked_by=(path,))
