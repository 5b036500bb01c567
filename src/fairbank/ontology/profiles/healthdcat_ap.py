"""HealthDCAT-AP Release 8, for non-public, restricted and public datasets.

Covered: Dataset, Distribution, the agents and contact points, with every mandatory and recommended property of the
three official sets of shapes, and what DCAT-AP asks below them. Not covered: variables (`csvw:TableGroup`), since a
record describes images and says that it holds no structured data; availability hours of contact points; dataset
series; the contents of the closed vocabularies. A document is about a dataset alone: the official validator refuses
one that is wrapped in a catalogue.

The three sets differ in the access right, in whether contact point, keyword, type and provenance are mandatory, and in
what is recommended.

Source: HealthDCAT-AP Release 8 of 22 September 2026 (Implementing Regulation (EU) 2026/2098), official validator:
shapes and shapes_recommended of the three access levels.
"""

from __future__ import annotations

from typing import Final

from fairbank.ontology import terms
from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles.dcat_ap import DISTRIBUTION_CLASS
from fairbank.ontology.profiles.resources import (
    ACQUIRED,
    AGENT_CONTACT,
    ALSO,
    ALSO_TABLES,
    COMPUTED,
    CONSTANT,
    CURATOR,
    DCAT,
    DCT,
    EXACT_ONLY,
    GENERATION,
    KIND,
    LICENCE,
    PROVENANCE,
    RETENTION,
    SOURCE,
    STUDIES,
    WHOLE,
    agent,
)  # fmt: skip
from fairbank.ontology.profiles.rows import (
    LINK,
    Profile,
    Row,
    Table,
    described,
    may,
    must,
    one_of,
    row,
    should,
    typed,
)  # fmt: skip
from fairbank.ontology.record import AccessRights

_H: Final = ns.HEALTH
_AGENT: Final = described(terms.FOAF + "Agent")
_MOMENT: Final = typed(terms.XSD + "dateTime")

# Mandatory at every access level.
_ALWAYS: Final = must(
    row(DCT + "title", "title", CURATOR),
    row(DCT + "description", "description", CURATOR),
    row(ns.DCATAP + "applicableLegislation", "legislation", CONSTANT, LINK),
    row(DCAT + "distribution", "distribution", COMPUTED, described(DISTRIBUTION_CLASS)),
    row(DCT + "identifier", "identifier", COMPUTED),
    row(DCAT + "theme", "theme", CONSTANT, LINK),
    row(_H + "hdab", "hdab", CURATOR, _AGENT, most=1),
    row(_H + "healthCategory", "health_category", CONSTANT, LINK),
    row(_H + "hasStructuredData", "no_structured_data", CONSTANT, typed(terms.XSD + "boolean"), most=1),
)

_CONTACT: Final = row(DCAT + "contactPoint", "contact", CURATOR, described(terms.VCARD + "Kind"))
_KEYWORD: Final = row(DCAT + "keyword", "keywords", CURATOR)
_TYPE: Final = row(DCT + "type", "dataset_types", CURATOR, LINK)
_PROVENANCE: Final = row(DCT + "provenance", "provenance", COMPUTED, described(DCT + "ProvenanceStatement"))

# Recommended at every access level.
_RECOMMENDED: Final = should(
    row(_H + "analytics", "analytics", CURATOR, described(DISTRIBUTION_CLASS)),
    row(_H + "hasCodeValues", "code_values", CURATOR),
    row(_H + "hasCodingSystem", "coding_systems", CURATOR, LINK),
    row(_H + "healthTheme", "health_themes", CURATOR, LINK),
    row(ns.DPV + "hasLegalBasis", "legal_bases", CURATOR, LINK),
    row(_H + "minTypicalAge", "least_age", SOURCE, WHOLE, most=1),
    row(_H + "maxTypicalAge", "greatest_age", SOURCE, WHOLE, most=1),
    row(_H + "numberOfRecords", "studies", COMPUTED, WHOLE, most=1, note=STUDIES),
    row(_H + "numberOfUniqueIndividuals", "individuals", COMPUTED, WHOLE, most=1, note=EXACT_ONLY),
    row(ns.DPV + "hasPersonalData", "personal_data", CURATOR, LINK),
    row(_H + "populationCoverage", "population_coverage", CURATOR),
    row(ns.DPV + "hasPurpose", "purposes", CURATOR, LINK),
    row(terms.DQV + "hasQualityAnnotation", "quality_annotations", CURATOR, LINK),
    row(_H + "retentionPeriod", "retention", CURATOR, described(DCT + "PeriodOfTime"), most=1),
    row(ns.ADMS + "sample", "samples", CURATOR, described(DISTRIBUTION_CLASS)),
    row(ns.GEODCATAP + "custodian", "custodian", CURATOR, _AGENT, most=1),
    # Recommended by DCAT-AP below.
    row(DCT + "publisher", "publisher", CURATOR, _AGENT, most=1),
    row(DCT + "spatial", "spatial", CURATOR, LINK),
    row(DCT + "temporal", "acquired", SOURCE, described(DCT + "PeriodOfTime")),
)

# Recommended for non-public datasets only.
_MORE: Final = (
    row(
        DCT + "conformsTo", "dicom_standard", CONSTANT, LINK, note="a standard of the table, never a profile"
    ),
    row(terms.FOAF + "page", "documentation", CURATOR, LINK),
    row(DCT + "accrualPeriodicity", "accrual_periodicity", CURATOR, LINK, most=1),
    row(DCT + "isReferencedBy", "references", CURATOR, LINK),
    row(DCT + "language", "languages", CURATOR, LINK),
    row(DCT + "source", "sources", CURATOR, LINK),
    row(DCAT + "temporalResolution", "temporal_resolution", CURATOR, typed(terms.XSD + "duration"), most=1),
    row(DCAT + "landingPage", "page", COMPUTED, LINK),
    row(DCT + "relation", "relations", CURATOR, LINK),
)

_OPTIONAL: Final = (
    # Among the 27 elements of annex B of the regulation, though the shapes do not ask for it.
    *may(row(terms.PROV + "wasGeneratedBy", "generation", CURATOR, described(terms.PROV + "Activity"))),
    row(DCAT + "version", "version", COMPUTED, most=1),
    row(DCT + "issued", "issued", COMPUTED, _MOMENT, most=1),
    row(DCT + "modified", "modified", COMPUTED, _MOMENT, most=1),
    *ALSO,
)

_DISTRIBUTION: Final = Table(
    "Distribution",
    (DISTRIBUTION_CLASS,),
    "distributions",
    (
        *must(
            row(DCAT + "accessURL", "access_address", COMPUTED, LINK),
            row(ns.DCATAP + "applicableLegislation", "legislation", CONSTANT, LINK),
        ),
        *should(
            row(ns.DCATAP + "availability", "availability", CURATOR, LINK, most=1),
            row(DCT + "description", "distribution_text", CONSTANT),
            row(DCT + "format", "file_format", CURATOR, LINK, most=1),
            row(DCT + "license", "licence", CURATOR, LINK, most=1),
        ),
        *may(row(DCT + "title", "distribution_title", CONSTANT)),
    ),
)

HEALTH_AGENT: Final = must(
    row(terms.FOAF + "name", "agent_name", CURATOR),
    row(ns.CV + "contactPoint", "agent_contact", CURATOR, described(ns.CV + "ContactPoint"), most=1),
)
AGENTS: Final = (
    agent("Publisher", "publisher", DCT + "publisher", HEALTH_AGENT),
    agent("HealthDataAccessBody", "hdab", _H + "hdab", HEALTH_AGENT),
    agent("Custodian", "custodian", ns.GEODCATAP + "custodian", HEALTH_AGENT),
)


def _profile(level: AccessRights, rows: tuple[Row, ...]) -> Profile:
    word = level.value.lower().replace("_", "-")
    right = row(
        DCT + "accessRights", "access_rights", CURATOR, one_of(terms.access_right(level.value)), most=1
    )
    dataset = Table(
        "Dataset", (DCAT + "Dataset",), "dataset", (*must(right), *_ALWAYS, *rows, *_RECOMMENDED, *_OPTIONAL)
    )
    return Profile(
        name=f"healthdcat-ap-r8-{word}",
        title=f"HealthDCAT-AP Release 8, {word} datasets",
        covers="Mandatory and recommended properties of Dataset, Distribution, agents and contact points; no "
        "variables, and no contents of closed vocabularies.",
        source="HealthDCAT-AP Release 8 (22 September 2026), shapes of the official validator",
        tables=(
            dataset, _DISTRIBUTION, *AGENTS, KIND, AGENT_CONTACT, ACQUIRED, RETENTION, PROVENANCE, GENERATION, LICENCE,
            *ALSO_TABLES,
        ),
    )  # fmt: skip


_OPEN: Final = (*should(_CONTACT, _KEYWORD), _TYPE, _PROVENANCE, *_MORE)
NON_PUBLIC: Final = _profile(
    AccessRights.NON_PUBLIC, (*must(_CONTACT, _KEYWORD, _TYPE, _PROVENANCE), *should(*_MORE))
)
RESTRICTED: Final = _profile(AccessRights.RESTRICTED, _OPEN)
PUBLIC: Final = _profile(AccessRights.PUBLIC, _OPEN)
