"""Classes and properties of the namespace `fb:`: what each is, where it stands, and what it is like elsewhere.

Columns: name | class, object or datatype | broader classes or properties | domain | range | close matches. A dash means
none that is true. Matches are checked by hand against the documents of their owners: DICOM PS3.16 (codes of the scheme
DCM), LinkedDICOM 1, EUCAIM-DCAT-AP 2.0, HealthDCAT-AP Release 8, DCAT 3, DQV, and the Ontology for Biobanking for MIABIS,
which has no IRIs of its own.
"""

# ruff: noqa: E501 - one term a line, so that a difference shows which term changed

from __future__ import annotations

from typing import Final

TERM_ROWS: Final = """
ImagingCube | class | qb:DataSet | - | - | -
Stratum | class | qb:Observation | - | - | -
DistributionRow | class | - | - | - | -
Node | class | prov:Organization foaf:Organization | - | - | obo:OBIB_0000616
Acquisition | class | prov:Activity | - | - | -
Deidentification | class | prov:Activity | - | - | -
Harvest | class | prov:Activity | - | - | -
Training | class | prov:Activity | - | - | -
Analysis | class | prov:Activity | - | - | -
Model | class | prov:Entity | - | - | -
Result | class | prov:Entity | - | - | -
QualityAspect | class | - | - | - | dqv:QualityMetadata
Variable | class | - | - | - | -
VariableValue | class | - | - | - | -
Round | class | prov:Activity | - | - | -
SiteSettings | class | prov:Entity | - | - | -
Parameter | class | - | - | - | -
modality | datatype | - | fb:Stratum | xsd:string | dcm:121139 linkeddicom:T00080060 eucaim:hasImageModality
modalityCode | object | - | fb:Stratum | - | eucaim:hasImageModality
bodyPart | datatype | - | fb:Stratum | xsd:string | eucaim:hasImageBodyPart
bodyPartCode | object | - | fb:Stratum | - | eucaim:hasImageBodyPart
manufacturer | datatype | - | fb:Stratum | xsd:string | dcm:113878 linkeddicom:T00080070 eucaim:hasEquipmentManufacturer
sliceThickness | datatype | - | fb:Stratum | xsd:string | dcm:112225
seriesCount | datatype | - | - | xsd:integer | -
studyCount | datatype | - | - | xsd:integer | healthdcatap:numberOfRecords
subjectCount | datatype | - | - | xsd:integer | healthdcatap:numberOfUniqueIndividuals
instanceCount | datatype | - | - | xsd:integer | -
seriesCountBelow | datatype | - | - | xsd:integer | -
studyCountBelow | datatype | - | - | xsd:integer | -
subjectCountBelow | datatype | - | - | xsd:integer | -
instanceCountBelow | datatype | - | - | xsd:integer | -
minimumCount | datatype | - | dcat:Dataset | xsd:integer | -
cube | object | - | dcat:Dataset | fb:ImagingCube | -
stratum | object | - | fb:ImagingCube | fb:Stratum | -
ofDataset | object | - | fb:Stratum | dcat:Dataset | -
distributionRow | object | - | dcat:Dataset | fb:DistributionRow | -
attribute | datatype | - | fb:DistributionRow | xsd:string | -
attributeValue | datatype | - | fb:DistributionRow | xsd:string | -
howKnown | datatype | - | - | xsd:string | -
collectionKind | datatype | - | dcat:Dataset | xsd:string | eucaim:collectionMethod
dataUse | object | - | dcat:Dataset | - | -
recordVersion | datatype | - | dcat:Dataset | xsd:integer | dcat:version
recordDigest | datatype | - | dcat:Dataset | xsd:string | -
signedBy | datatype | - | dcat:Dataset | xsd:string | -
acquiredFrom | datatype | - | dcat:Dataset | xsd:integer | dcat:startDate
acquiredTo | datatype | - | dcat:Dataset | xsd:integer | dcat:endDate
annotationGuideline | object | foaf:page | dcat:Dataset | foaf:Document | -
biorepository | object | dct:relation | dcat:Dataset | - | -
omicsHeld | datatype | - | dcat:Dataset | xsd:boolean | -
healthRecordsHeld | datatype | - | dcat:Dataset | xsd:boolean | -
imagingBiomarker | object | - | dcat:Dataset | skos:Concept | -
plannedTimePoints | datatype | - | dcat:Dataset | xsd:integer | -
plannedFollowUp | datatype | - | dcat:Dataset | xsd:duration | -
dataUseLimit | datatype | - | dcat:Dataset | xsd:string | -
variable | object | - | dcat:Dataset | fb:Variable | -
variableKind | datatype | - | fb:Variable | xsd:string | -
codeSystem | object | - | - | - | healthdcatap:hasCodingSystem
unit | datatype | - | fb:Variable | xsd:string | -
possibleValue | object | - | fb:Variable | fb:VariableValue | -
quality | object | - | dcat:Dataset | fb:QualityAspect | dqv:hasQualityMetadata
assessed | datatype | - | fb:QualityAspect | xsd:boolean | -
seriesAffected | datatype | - | fb:QualityAspect | xsd:integer | -
tool | datatype | - | prov:Activity | xsd:string | -
toolVersion | datatype | - | prov:Activity | xsd:string | -
profile | datatype | - | prov:Activity | xsd:string | -
profileDigest | datatype | - | prov:Activity | xsd:string | -
sourceSystem | datatype | - | prov:Activity | xsd:string | -
digest | datatype | - | prov:Entity | xsd:string | -
manifestDigest | datatype | - | prov:Activity | xsd:string | -
visaDigest | datatype | - | prov:Activity | xsd:string | -
codeName | datatype | - | prov:Activity | xsd:string | -
codeVersion | datatype | - | prov:Activity | xsd:string | -
codeDigest | datatype | - | prov:Activity | xsd:string | -
rounds | datatype | - | prov:Activity | xsd:integer | -
planName | datatype | - | prov:Activity | xsd:string | -
aggregatorName | datatype | - | prov:Activity | xsd:string | -
localStep | datatype | - | prov:Activity | xsd:string | -
updateFilter | datatype | - | prov:Activity | xsd:string | -
objective | datatype | - | prov:Activity | xsd:string | -
seed | datatype | - | prov:Activity | xsd:string | -
parameter | object | - | prov:Activity | fb:Parameter | -
parameterName | datatype | - | fb:Parameter | xsd:string | -
parameterValue | datatype | - | fb:Parameter | xsd:string | -
roundNumber | datatype | - | fb:Round | xsd:integer | -
subjectWithdrawn | datatype | - | - | xsd:date | -
valuesFrom | object | - | rdf:Property | skos:ConceptScheme | -
dicomAttribute | datatype | - | - | xsd:string | -
icd10Code | datatype | - | skos:Concept | xsd:string | -
"""

# Which concept scheme holds the values of a property: a value is the notation of a concept there.
VALUES_FROM: Final[dict[str, str]] = {
    "modality": "modalities",
    "bodyPart": "bodyParts",
    "manufacturer": "manufacturers",
    "sliceThickness": "sliceThicknesses",
    "attribute": "attributes",
    "howKnown": "waysOfKnowing",
    "collectionKind": "collectionKinds",
}

# Dimensions and measures of the imaging cube, as the RDF Data Cube vocabulary calls them.
DIMENSIONS: Final = ("modality", "bodyPart", "manufacturer", "sliceThickness")
MEASURES: Final = ("seriesCount", "studyCount", "subjectCount")
