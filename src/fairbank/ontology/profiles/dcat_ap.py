"""DCAT-AP 3.0.1 (SEMIC): what a document about one dataset says.

Covered: the mandatory and recommended properties of Dataset, Distribution and Agent; catalogue, data service, catalogue
record, checksum and relationship are not, since such a document has none. The optional properties that are written are
not asked for. Closed vocabularies (languages, frequencies, file types) are not checked.

Source: SEMICeu/DCAT-AP, release 3.0.1, shapes and shapes_recommended (CC BY 4.0).
"""

from __future__ import annotations

from typing import Final

from fairbank.ontology import terms
from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles.resources import (
    ACQUIRED,
    ALSO,
    ALSO_TABLES,
    COMPUTED,
    CONSTANT,
    CURATOR,
    DCAT,
    DCT,
    LICENCE,
    PROVENANCE,
    SOURCE,
    agent,
)  # fmt: skip
from fairbank.ontology.profiles.rows import (
    LINK,
    Profile,
    Table,
    described,
    may,
    must,
    one_of,
    row,
    should,
    typed,
)

_MOMENT: Final = typed(terms.XSD + "dateTime")
DISTRIBUTION_CLASS: Final = DCAT + "Distribution"

DATASET: Final = Table(
    "Dataset",
    (DCAT + "Dataset",),
    "dataset",
    (
        *must(
            row(DCT + "title", "title", CURATOR),
            row(DCT + "description", "description", CURATOR),
        ),
        *should(
            row(DCAT + "contactPoint", "contact", CURATOR, described(terms.VCARD + "Kind")),
            row(DCAT + "distribution", "distribution", COMPUTED, described(DISTRIBUTION_CLASS)),
            row(DCAT + "keyword", "keywords", CURATOR),
            row(DCAT + "theme", "theme", CONSTANT, LINK),
            row(DCT + "publisher", "publisher", CURATOR, described(terms.FOAF + "Agent"), most=1),
            row(DCT + "spatial", "spatial", CURATOR, LINK),
            row(DCT + "temporal", "acquired", SOURCE, described(DCT + "PeriodOfTime")),
        ),
        row(DCT + "identifier", "identifier", COMPUTED),
        row(DCT + "accessRights", "access_rights", CURATOR, one_of(*ns.ACCESS_RIGHTS), most=1),
        row(DCAT + "version", "version", COMPUTED, most=1),
        row(DCT + "issued", "issued", COMPUTED, _MOMENT, most=1),
        row(DCT + "modified", "modified", COMPUTED, _MOMENT, most=1),
        row(DCT + "language", "languages", CURATOR, LINK),
        row(DCT + "type", "dataset_types", CURATOR, LINK),
        row(DCT + "provenance", "provenance", COMPUTED, described(DCT + "ProvenanceStatement")),
        row(DCAT + "landingPage", "page", COMPUTED, LINK),
        row(terms.FOAF + "page", "documentation", CURATOR, LINK),
        *ALSO,
    ),
)

CONTACT: Final = Table(
    "ContactPoint",
    (terms.VCARD + "Kind",),
    "contact",
    (
        row(terms.VCARD + "fn", "contact_name", CURATOR),
        row(terms.VCARD + "hasEmail", "contact_email", CURATOR, LINK, most=1),
        row(terms.VCARD + "hasURL", "contact_page", CURATOR, LINK, most=1),
    ),
)

DISTRIBUTION: Final = Table(
    "Distribution",
    (DISTRIBUTION_CLASS,),
    "in-situ",
    (
        *must(row(DCAT + "accessURL", "access_address", COMPUTED, LINK)),
        *should(
            row(ns.DCATAP + "availability", "availability", CURATOR, LINK, most=1),
            row(DCT + "description", "distribution_text", CONSTANT),
            row(DCT + "format", "file_format", CURATOR, LINK, most=1),
            row(DCT + "license", "licence", CURATOR, LINK, most=1),
        ),
        *may(row(DCT + "title", "distribution_title", CONSTANT)),
    ),
)

PUBLISHER: Final = agent(
    "Publisher", "publisher", DCT + "publisher", must(row(terms.FOAF + "name", "agent_name", CURATOR))
)

DCAT_AP: Final = Profile(
    name="dcat-ap-3.0.1",
    title="DCAT-AP 3.0.1",
    covers="Mandatory and recommended properties of Dataset, Distribution and Agent, without closed vocabularies.",
    source="SEMICeu/DCAT-AP, release 3.0.1: shapes, shapes_recommended (CC BY 4.0)",
    tables=(DATASET, DISTRIBUTION, PUBLISHER, CONTACT, ACQUIRED, PROVENANCE, LICENCE, *ALSO_TABLES),
)
