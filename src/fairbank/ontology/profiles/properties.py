"""Properties that several profiles ask for, each written once: its term, the value it gets, and the form of that value.

A profile chooses from here, and says how much it minds that one is missing; what only one profile has is in its module.

Source: the property tables of DCAT-AP 3.0.1, HealthDCAT-AP Release 8 and EUCAIM-DCAT-AP 2.0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fairbank.ontology import terms
from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles.resources import (
    ALSO,
    COMPUTED,
    CONSTANT,
    CURATOR,
    DCAT,
    DCT,
    SOURCE,
    WHOLE,
)
from fairbank.ontology.profiles.rows import LINK, Row, Table, described, may, one_of, row, should, typed

_H: Final = ns.HEALTH
_CLASS: Final = DCAT + "Distribution"
_MOMENT: Final = typed(terms.XSD + "dateTime")
_PERIOD: Final = described(DCT + "PeriodOfTime")
_WITHHELD: Final = "left out where the count is withheld"
AGENT: Final = described(terms.FOAF + "Agent")
CONCEPT: Final = described(terms.SKOS + "Concept")
A_DISTRIBUTION: Final = described(_CLASS)

# -- of a dataset: what every profile knows --------------------------------------------------------------------------

TITLE: Final = row(DCT + "title", "title", CURATOR)
DESCRIPTION: Final = row(DCT + "description", "description", CURATOR)
IDENTIFIER: Final = row(DCT + "identifier", "identifier", COMPUTED)
VERSION: Final = row(DCAT + "version", "version", COMPUTED, most=1)
ISSUED: Final = row(DCT + "issued", "issued", COMPUTED, _MOMENT, most=1)
MODIFIED: Final = row(DCT + "modified", "modified", COMPUTED, _MOMENT, most=1)
THEME: Final = row(DCAT + "theme", "theme", CONSTANT, LINK)
KEYWORDS: Final = row(DCAT + "keyword", "keywords", CURATOR)
TYPE: Final = row(DCT + "type", "dataset_types", CURATOR, LINK)
LANGUAGES: Final = row(DCT + "language", "languages", CURATOR, LINK)
SPATIAL: Final = row(DCT + "spatial", "spatial", CURATOR, LINK)
ACQUIRED: Final = row(DCT + "temporal", "acquired", SOURCE, _PERIOD)
ACCESS_RIGHTS: Final = row(DCT + "accessRights", "access_rights", CURATOR, one_of(*ns.ACCESS_RIGHTS), most=1)
CONTACT: Final = row(DCAT + "contactPoint", "contact", CURATOR, described(terms.VCARD + "Kind"))
PUBLISHER: Final = row(DCT + "publisher", "publisher", CURATOR, AGENT, most=1)
DISTRIBUTION: Final = row(DCAT + "distribution", "distribution", COMPUTED, A_DISTRIBUTION)
PROVENANCE: Final = row(DCT + "provenance", "provenance", COMPUTED, described(DCT + "ProvenanceStatement"))
PAGE: Final = row(DCAT + "landingPage", "page", COMPUTED, LINK)
DOCUMENTATION: Final = row(terms.FOAF + "page", "documentation", CURATOR, LINK)
LICENCE: Final = row(DCT + "license", "licence", CURATOR, LINK, most=1)
LEGISLATION: Final = row(ns.DCATAP + "applicableLegislation", "legislation", CONSTANT, LINK)
DICOM: Final = row(
    DCT + "conformsTo", "dicom_standard", CONSTANT, LINK, note="a standard of the table, never a profile"
)
GENERATION: Final = row(
    terms.PROV + "wasGeneratedBy", "generation", CURATOR, described(terms.PROV + "Activity")
)

# -- of a dataset: health data ---------------------------------------------------------------------------------------

INDIVIDUALS: Final = row(
    _H + "numberOfUniqueIndividuals", "individuals", COMPUTED, WHOLE, most=1, note=_WITHHELD
)
STUDIES: Final = row(
    _H + "numberOfRecords",
    "studies",
    COMPUTED,
    WHOLE,
    most=1,
    note=f"number of imaging studies; {_WITHHELD}",
)
# Who decides about access, and what kind of data there is.
HEALTH: Final = (
    row(_H + "hdab", "hdab", CURATOR, AGENT, most=1),
    row(_H + "healthCategory", "health_category", CONSTANT, LINK),
    row(_H + "hasStructuredData", "no_structured_data", CONSTANT, typed(terms.XSD + "boolean"), most=1),
)
# Recommended by HealthDCAT-AP, and by EUCAIM after it.
ABOUT_HEALTH: Final = (
    row(_H + "healthTheme", "health_themes", CURATOR, LINK),
    row(ns.DPV + "hasLegalBasis", "legal_bases", CURATOR, LINK),
    row(ns.DPV + "hasPurpose", "purposes", CURATOR, LINK),
    row(ns.DPV + "hasPersonalData", "personal_data", CURATOR, LINK),
    row(_H + "retentionPeriod", "retention", CURATOR, _PERIOD, most=1),
    row(_H + "minTypicalAge", "least_age", SOURCE, WHOLE, most=1),
    row(_H + "maxTypicalAge", "greatest_age", SOURCE, WHOLE, most=1),
    row(_H + "populationCoverage", "population_coverage", CURATOR),
    row(_H + "hasCodingSystem", "coding_systems", CURATOR, LINK),
    row(_H + "hasCodeValues", "code_values", CURATOR),
    row(ns.GEODCATAP + "custodian", "custodian", CURATOR, AGENT, most=1),
    ACQUIRED,
)

# -- of a distribution -----------------------------------------------------------------------------------------------

ACCESS_ADDRESS: Final = row(DCAT + "accessURL", "access_address", COMPUTED, LINK)
DISTRIBUTION_TITLE: Final = row(DCT + "title", "distribution_title", CONSTANT)
# What DCAT-AP, and the two profiles made from it, recommend and allow.
OF_DISTRIBUTIONS: Final = (
    *should(
        row(ns.DCATAP + "availability", "availability", CURATOR, LINK, most=1),
        row(DCT + "description", "distribution_text", CONSTANT),
        row(DCT + "format", "file_format", CURATOR, LINK, most=1),
        LICENCE,
    ),
    *may(DISTRIBUTION_TITLE),
)


def once(*rows: Row) -> tuple[Row, ...]:
    """Return the rows with one value at most."""
    return tuple(replace(each, most=1) for each in rows)


def dataset(*rows: Row) -> Table:
    """Return the table of the dataset, which also says what every profile writes and none asks for."""
    return Table("Dataset", (DCAT + "Dataset",), "dataset", (*rows, *ALSO))


def distribution(*rows: Row, of: str = "in-situ") -> Table:
    """Return the table of the distributions.

    Args:
        of: which there are: `in-situ` is processing at the biobank, `distributions` has samples and statistics too.
    """
    return Table("Distribution", (_CLASS,), of, rows)
