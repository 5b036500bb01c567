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

from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles import properties as of
from fairbank.ontology.profiles.healthdcat_ap import LINKED
from fairbank.ontology.profiles.resources import (
    ALSO_TABLES,
    COMPUTED,
    CONSTANT,
    CURATOR,
    DCAT,
    DCT,
    SOURCE,
    concepts,
)
from fairbank.ontology.profiles.rows import LINK, Profile, may, must, one_of, row, should

_E: Final = ns.EUCAIM

_DATASET: Final = of.dataset(
    *must(
        *of.once(of.IDENTIFIER),
        of.TITLE,
        of.DESCRIPTION,
        of.VERSION,
        row(_E + "interoperabilityLevel", "interoperability_level", CURATOR, LINK, most=1),
        of.DISTRIBUTION,
        of.CONTACT,
        row(DCAT + "theme", "theme", CONSTANT, one_of(ns.HEALTH_THEME), most=1),
        of.TYPE,
        of.ACCESS_RIGHTS,
        of.LEGISLATION,
        of.PUBLISHER,
        *of.HEALTH,
        of.INDIVIDUALS,
        of.STUDIES,
        row(_E + "hasBirthSex", "sexes", SOURCE, of.CONCEPT),
        row(_E + "hasCondition", "primary_condition", CURATOR, LINK, most=1),
        row(_E + "collectionMethod", "collection_methods", CURATOR, LINK),
        row(_E + "hasImageModality", "modalities", SOURCE, LINK),
        row(_E + "hasEquipmentManufacturer", "manufacturers", SOURCE, of.CONCEPT),
        row(_E + "hasImageBodyPart", "body_parts", SOURCE, LINK),
        of.KEYWORDS,
        of.PROVENANCE,
    ),
    *should(of.DOCUMENTATION, *of.ABOUT_HEALTH),
    *may(
        of.SPATIAL,
        row(_E + "hasAnnotationLabel", "annotation_labels", CURATOR, LINK),
        row(_E + "hasAlgorithmType", "segmentation_methods", CURATOR, LINK),
        of.GENERATION,
        of.DICOM,
    ),
)

_DISTRIBUTION: Final = of.distribution(
    *must(
        of.ACCESS_ADDRESS,
        of.LEGISLATION,
        row(DCT + "rights", "access_condition", COMPUTED, one_of(*ns.ACCESS_CONDITIONS)),
    ),
    *of.OF_DISTRIBUTIONS,
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
        *LINKED,
        concepts("Manufacturer", "manufacturers", _E + "hasEquipmentManufacturer"),
        concepts("Sex", "sexes", _E + "hasBirthSex"),
        *ALSO_TABLES,
    ),
)
