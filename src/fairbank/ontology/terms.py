"""IRIs of the RDF view: our own namespace `fb:` and the few foreign terms, as plain strings.

Only names are here; which triple is written is the catalogue's business. Sources: DCAT 3, PROV-O, the RDF Data Cube
vocabulary, Dublin Core terms (all W3C or DCMI), HealthDCAT-AP, SNOMED CT and DICOM code IRIs.
"""

from __future__ import annotations

from typing import Final

FB: Final = "https://w3id.org/fairbank/terms#"
DCAT: Final = "http://www.w3.org/ns/dcat#"
DCT: Final = "http://purl.org/dc/terms/"
PROV: Final = "http://www.w3.org/ns/prov#"
QB: Final = "http://purl.org/linked-data/cube#"
DQV: Final = "http://www.w3.org/ns/dqv#"
FOAF: Final = "http://xmlns.com/foaf/0.1/"
RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS: Final = "http://www.w3.org/2000/01/rdf-schema#"
SKOS: Final = "http://www.w3.org/2004/02/skos/core#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
VCARD: Final = "http://www.w3.org/2006/vcard/ns#"
DUO: Final = "http://purl.obolibrary.org/obo/DUO_"
SCT: Final = "http://snomed.info/id/"
# DICOM code IRIs as the ontology published with PS3.16, annex D, writes them.
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM/"
ACCESS_RIGHT: Final = "http://publications.europa.eu/resource/authority/access-right/"

PREFIXES: Final[dict[str, str]] = {
    "fb": FB,
    "dcat": DCAT,
    "dct": DCT,
    "prov": PROV,
    "qb": QB,
    "dqv": DQV,
    "foaf": FOAF,
    "rdf": RDF,
    "rdfs": RDFS,
    "skos": SKOS,
    "xsd": XSD,
    "vcard": VCARD,
    "duo": DUO,
    "sct": SCT,
    "dcm": DCM,
}

TYPE: Final = RDF + "type"
LABEL: Final = RDFS + "label"

# Classes of our own.
CUBE: Final = FB + "ImagingCube"
STRATUM: Final = FB + "Stratum"
DISTRIBUTION_ROW: Final = FB + "DistributionRow"
NODE: Final = FB + "Node"
DEIDENTIFICATION: Final = FB + "Deidentification"
HARVEST: Final = FB + "Harvest"
ACQUISITION: Final = FB + "Acquisition"
TRAINING: Final = FB + "Training"
ANALYSIS: Final = FB + "Analysis"
MODEL: Final = FB + "Model"
RESULT: Final = FB + "Result"
QUALITY_ASPECT: Final = FB + "QualityAspect"
VARIABLE: Final = FB + "Variable"
VARIABLE_VALUE: Final = FB + "VariableValue"
ROUND: Final = FB + "Round"
SITE_SETTINGS: Final = FB + "SiteSettings"
PARAMETER_CLASS: Final = FB + "Parameter"

# Dimensions of a stratum.
MODALITY: Final = FB + "modality"
MODALITY_CODE: Final = FB + "modalityCode"
BODY_PART: Final = FB + "bodyPart"
BODY_PART_CODE: Final = FB + "bodyPartCode"
MANUFACTURER: Final = FB + "manufacturer"
SLICE_THICKNESS: Final = FB + "sliceThickness"

# Measures: exact values only; a withheld count has the matching …Below property, with k, instead.
SERIES_COUNT: Final = FB + "seriesCount"
STUDY_COUNT: Final = FB + "studyCount"
SUBJECT_COUNT: Final = FB + "subjectCount"
INSTANCE_COUNT: Final = FB + "instanceCount"
SERIES_BELOW: Final = FB + "seriesCountBelow"
STUDY_BELOW: Final = FB + "studyCountBelow"
SUBJECT_BELOW: Final = FB + "subjectCountBelow"
INSTANCE_BELOW: Final = FB + "instanceCountBelow"
MINIMUM_COUNT: Final = FB + "minimumCount"

# Properties of a dataset.
HAS_CUBE: Final = FB + "cube"
HAS_STRATUM: Final = FB + "stratum"
OF_DATASET: Final = FB + "ofDataset"
HAS_DISTRIBUTION_ROW: Final = FB + "distributionRow"
ATTRIBUTE: Final = FB + "attribute"
ATTRIBUTE_VALUE: Final = FB + "attributeValue"
HOW_KNOWN: Final = FB + "howKnown"
COLLECTION_KIND: Final = FB + "collectionKind"
DATA_USE: Final = FB + "dataUse"
RECORD_VERSION: Final = FB + "recordVersion"
RECORD_DIGEST: Final = FB + "recordDigest"
SIGNED_BY: Final = FB + "signedBy"
ACQUIRED_FROM: Final = FB + "acquiredFrom"
ACQUIRED_TO: Final = FB + "acquiredTo"
QUALITY: Final = FB + "quality"
ASSESSED: Final = FB + "assessed"
SERIES_AFFECTED: Final = FB + "seriesAffected"
ANNOTATION_GUIDELINE: Final = FB + "annotationGuideline"
BIOREPOSITORY: Final = FB + "biorepository"
OMICS_HELD: Final = FB + "omicsHeld"
HEALTH_RECORDS_HELD: Final = FB + "healthRecordsHeld"
IMAGING_BIOMARKER: Final = FB + "imagingBiomarker"
PLANNED_TIME_POINTS: Final = FB + "plannedTimePoints"
PLANNED_FOLLOW_UP: Final = FB + "plannedFollowUp"
DATA_USE_LIMIT: Final = FB + "dataUseLimit"

# Properties of a clinical variable and of its values.
HAS_VARIABLE: Final = FB + "variable"
VARIABLE_KIND: Final = FB + "variableKind"
CODE_SYSTEM: Final = FB + "codeSystem"
UNIT: Final = FB + "unit"
POSSIBLE_VALUE: Final = FB + "possibleValue"

# Properties of provenance.
TOOL: Final = FB + "tool"
TOOL_VERSION: Final = FB + "toolVersion"
PROFILE: Final = FB + "profile"
PROFILE_DIGEST: Final = FB + "profileDigest"
SOURCE_SYSTEM: Final = FB + "sourceSystem"
DIGEST: Final = FB + "digest"
MANIFEST_DIGEST: Final = FB + "manifestDigest"
VISA_DIGEST: Final = FB + "visaDigest"
CODE_NAME: Final = FB + "codeName"
CODE_VERSION: Final = FB + "codeVersion"
CODE_DIGEST: Final = FB + "codeDigest"
ROUNDS: Final = FB + "rounds"
PLAN_NAME: Final = FB + "planName"
AGGREGATOR_NAME: Final = FB + "aggregatorName"
LOCAL_STEP: Final = FB + "localStep"
UPDATE_FILTER: Final = FB + "updateFilter"
OBJECTIVE: Final = FB + "objective"
SEED: Final = FB + "seed"
PARAMETER: Final = FB + "parameter"
PARAMETER_NAME: Final = FB + "parameterName"
PARAMETER_VALUE: Final = FB + "parameterValue"
ROUND_NUMBER: Final = FB + "roundNumber"
SUBJECT_WITHDRAWN: Final = FB + "subjectWithdrawn"

# Properties of the ontology itself.
VALUES_FROM: Final = FB + "valuesFrom"
DICOM_ATTRIBUTE: Final = FB + "dicomAttribute"
ICD10_CODE: Final = FB + "icd10Code"


def dicom_code(code: str) -> str:
    """Return the IRI of a DICOM code (coding scheme DCM)."""
    return DCM + code


def snomed_code(code: str) -> str:
    """Return the IRI of a SNOMED CT code."""
    return SCT + code


def data_use(code: str) -> str:
    """Return the IRI of a Data Use Ontology code such as `DUO:0000042`."""
    return DUO + code.removeprefix("DUO:")


def access_right(word: str) -> str:
    """Return the IRI of an access-right word of the EU Publications Office."""
    return ACCESS_RIGHT + word
