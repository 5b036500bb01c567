"""EUCAIM-DCAT-AP 2.0: the imaging profile of the European cancer imaging federation.

Covered: the tables Dataset and Distribution, with publisher, custodian and health data access body, as far as an
imaging dataset has such properties. Not covered: policies (ODRL), checksums, variables, dataset series, hours of
contact points.

The profile takes many values from EUCAIM's hyper-ontology, which could not be had as a file. What comes from the images
is given by DICOM codes (modality), SNOMED CT codes (body part, annotated structures), and concepts with a label
(manufacturer, sex), so a harvester has to map them; what the curator gives is an IRI and is not looked up, and where no
IRI of a condition is given the MONDO id of the first condition stands for it. The sex is the one of DICOM (0010,0040),
which need not be the one at birth.

Source: EUCAIM/eucaim_dcat_ap, releases/v2.0, Dataset.md and Distribution.md; its vocabulary of access conditions.
"""

from __future__ import annotations

from typing import Final

from fairbank.ontology import terms
from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles.dcat_ap import DISTRIBUTION_CLASS
from fairbank.ontology.profiles.healthdcat_ap import AGENTS
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
    concepts,
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
)  # fmt: skip

_H: Final = ns.HEALTH
_E: Final = ns.EUCAIM
_AGENT: Final = described(terms.FOAF + "Agent")
_CONCEPT: Final = described(terms.SKOS + "Concept")

_DATASET: Final = Table(
    "Dataset",
    (DCAT + "Dataset",),
    "dataset",
    (
        *must(
            row(DCT + "identifier", "identifier", COMPUTED, most=1),
            row(DCT + "title", "title", CURATOR),
            row(DCT + "description", "description", CURATOR),
            row(DCAT + "version", "version", COMPUTED, most=1),
            row(_E + "interoperabilityLevel", "interoperability_level", CURATOR, LINK, most=1),
            row(DCAT + "distribution", "distribution", COMPUTED, described(DISTRIBUTION_CLASS)),
            row(DCAT + "contactPoint", "contact", CURATOR, described(terms.VCARD + "Kind")),
            row(DCAT + "theme", "theme", CONSTANT, one_of(ns.HEALTH_THEME), most=1),
            row(_H + "healthCategory", "health_category", CONSTANT, LINK),
            row(DCT + "type", "dataset_types", CURATOR, LINK),
            row(DCT + "accessRights", "access_rights", CURATOR, one_of(*ns.ACCESS_RIGHTS), most=1),
            row(ns.DCATAP + "applicableLegislation", "legislation", CONSTANT, LINK),
            row(DCT + "publisher", "publisher", CURATOR, _AGENT, most=1),
            row(
                _H + "hasStructuredData", "no_structured_data", CONSTANT, typed(terms.XSD + "boolean"), most=1
            ),
            row(_H + "numberOfUniqueIndividuals", "individuals", COMPUTED, WHOLE, most=1, note=EXACT_ONLY),
            row(_H + "numberOfRecords", "studies", COMPUTED, WHOLE, most=1, note=STUDIES),
            row(_E + "hasBirthSex", "sexes", SOURCE, _CONCEPT),
            row(_E + "hasCondition", "primary_condition", CURATOR, LINK, most=1),
            row(_E + "collectionMethod", "collection_methods", CURATOR, LINK),
            row(_E + "hasImageModality", "modalities", SOURCE, LINK),
            row(_E + "hasEquipmentManufacturer", "manufacturers", SOURCE, _CONCEPT),
            row(_E + "hasImageBodyPart", "body_parts", SOURCE, LINK),
            row(DCAT + "keyword", "keywords", CURATOR),
            row(DCT + "provenance", "provenance", COMPUTED, described(DCT + "ProvenanceStatement")),
            row(_H + "hdab", "hdab", CURATOR, _AGENT, most=1),
        ),
        *should(
            row(terms.FOAF + "page", "documentation", CURATOR, LINK),
            row(_H + "healthTheme", "health_themes", CURATOR, LINK),
            row(ns.DPV + "hasLegalBasis", "legal_bases", CURATOR, LINK),
            row(ns.DPV + "hasPurpose", "purposes", CURATOR, LINK),
            row(ns.DPV + "hasPersonalData", "personal_data", CURATOR, LINK),
            row(_H + "retentionPeriod", "retention", CURATOR, described(DCT + "PeriodOfTime"), most=1),
            row(_H + "minTypicalAge", "least_age", SOURCE, WHOLE, most=1),
            row(_H + "maxTypicalAge", "greatest_age", SOURCE, WHOLE, most=1),
            row(_H + "populationCoverage", "population_coverage", CURATOR),
            row(DCT + "temporal", "acquired", SOURCE, described(DCT + "PeriodOfTime")),
            row(_H + "hasCodingSystem", "coding_systems", CURATOR, LINK),
            row(_H + "hasCodeValues", "code_values", CURATOR),
            row(ns.GEODCATAP + "custodian", "custodian", CURATOR, _AGENT, most=1),
        ),
        *may(
            row(DCT + "spatial", "spatial", CURATOR, LINK),
            row(_E + "hasAnnotationLabel", "annotation_labels", CURATOR, LINK),
            row(_E + "hasAlgorithmType", "segmentation_methods", CURATOR, LINK),
            row(terms.PROV + "wasGeneratedBy", "generation", CURATOR, described(terms.PROV + "Activity")),
            row(
                DCT + "conformsTo",
                "dicom_standard",
                CONSTANT,
                LINK,
                note="a standard of the table, never a profile",
            ),
        ),
        *ALSO,
    ),
)

_DISTRIBUTION: Final = Table(
    "Distribution",
    (DISTRIBUTION_CLASS,),
    "in-situ",
    (
        *must(
            row(DCAT + "accessURL", "access_address", COMPUTED, LINK),
            row(ns.DCATAP + "applicableLegislation", "legislation", CONSTANT, LINK),
            row(DCT + "rights", "in_situ", CONSTANT, one_of(*ns.ACCESS_CONDITIONS)),
        ),
        *should(
            row(DCT + "description", "distribution_text", CONSTANT),
            row(ns.DCATAP + "availability", "availability", CURATOR, LINK, most=1),
            row(DCT + "format", "file_format", CURATOR, LINK, most=1),
            row(DCT + "license", "licence", CURATOR, LINK, most=1),
        ),
        *may(row(DCT + "title", "distribution_title", CONSTANT)),
    ),
)

EUCAIM: Final = Profile(
    name="eucaim-dcat-ap-2.0",
    title="EUCAIM-DCAT-AP 2.0",
    covers="Dataset, Distribution, agents and contact points of an imaging dataset; no policies, checksums or "
    "variables; DICOM and SNOMED CT codes stand for terms of EUCAIM's ontology.",
    source="EUCAIM/eucaim_dcat_ap, releases/v2.0: Dataset.md, Distribution.md",
    tables=(
        _DATASET,
        _DISTRIBUTION,
        *AGENTS,
        KIND,
        AGENT_CONTACT,
        ACQUIRED,
        RETENTION,
        PROVENANCE,
        GENERATION,
        LICENCE,
        concepts("Manufacturer", "manufacturers", _E + "hasEquipmentManufacturer"),
        concepts("Sex", "sexes", _E + "hasBirthSex"),
        *ALSO_TABLES,
    ),
)
