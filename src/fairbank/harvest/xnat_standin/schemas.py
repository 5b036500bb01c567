"""The XSD schemas that the stand-in serves: a small data model of our own, in XNAT's namespaces and type names.

A client such as xnatpy builds its classes from these. Only what the stand-in holds is described.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fairbank.harvest.xnat_standin.modalities import SCAN_PREFIXES, SESSION_PREFIXES

XDAT = """<?xml version="1.0" encoding="UTF-8"?>
<xs:schema targetNamespace="http://nrg.wustl.edu/security" xmlns:xdat="http://nrg.wustl.edu/security" \
xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">
  <xs:element name="user" type="xdat:user"/>
  <xs:complexType name="user">
    <xs:sequence>
      <xs:element name="login" type="xs:string"/>
      <xs:element name="email" type="xs:string" minOccurs="0"/>
    </xs:sequence>
  </xs:complexType>
</xs:schema>
"""

ICR = """<?xml version="1.0" encoding="UTF-8"?>
<xs:schema targetNamespace="http://icr.ac.uk/icr" xmlns:icr="http://icr.ac.uk/icr" \
xmlns:xnat="http://nrg.wustl.edu/xnat" xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">
  <xs:import namespace="http://nrg.wustl.edu/xnat" schemaLocation="../xnat/xnat.xsd"/>
  <xs:element name="RoiCollection" type="icr:roiCollectionData"/>
  <xs:complexType name="roiCollectionData">
    <xs:complexContent><xs:extension base="xnat:imageAssessorData"><xs:sequence>
      <xs:element name="UID" type="xs:string" minOccurs="0"/>
      <xs:element name="collectionType" type="xs:string" minOccurs="0"/>
      <xs:element name="name" type="xs:string" minOccurs="0"/>
    </xs:sequence></xs:extension></xs:complexContent>
  </xs:complexType>
</xs:schema>
"""


@dataclass(frozen=True, slots=True)
class _Type:
    """One complex type: what it extends, its simple fields, one of another type, lists of them (`name/item` → type)."""

    name: str
    base: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    lists: dict[str, str] = field(default_factory=dict)
    abstract: bool = False
    display: str = ""


_RESOURCES = {"resources/resource": "xnat:abstractResource"}
_TYPES = [
    _Type(
        "projectData",
        fields={
            "ID": "string",
            "secondary_ID": "string",
            "name": "string",
            "description": "string",
            "keywords": "string",
        },
        parts={"PI": "xnat:investigatorData"},
        lists={"investigators/investigator": "xnat:investigatorData", **_RESOURCES},
    ),
    _Type("investigatorData", fields={"title": "string", "firstname": "string", "lastname": "string"}),
    _Type("abstractDemographicData", abstract=True),
    _Type("demographicData", base="xnat:abstractDemographicData", fields={"gender": "string"}),
    _Type(
        "subjectData",
        fields={"ID": "string", "project": "string", "label": "string", "src": "string"},
        lists={"experiments/experiment": "xnat:subjectAssessorData", **_RESOURCES},
        display="label",
    ),
    _Type(
        "experimentData",
        fields={"ID": "string", "project": "string", "label": "string", "date": "date"},
        lists=_RESOURCES,
        abstract=True,
        display="label",
    ),
    _Type(
        "subjectAssessorData",
        base="xnat:experimentData",
        fields={"subject_ID": "string"},
        abstract=True,
    ),
    _Type(
        "imageSessionData",
        base="xnat:subjectAssessorData",
        fields={"UID": "string", "modality": "string", "session_type": "string"},
        lists={"scans/scan": "xnat:imageScanData", "assessors/assessor": "xnat:imageAssessorData"},
        abstract=True,
    ),
    _Type("derivedData", base="xnat:experimentData", abstract=True),
    _Type("imageAssessorData", base="xnat:derivedData", fields={"imageSession_ID": "string"}, abstract=True),
    _Type(
        "imageScanData",
        fields={
            "ID": "string",
            "UID": "string",
            "type": "string",
            "quality": "string",
            "series_description": "string",
            "modality": "string",
            "frames": "integer",
        },
        lists={"file": "xnat:abstractResource"},
        abstract=True,
    ),
    _Type(
        "abstractResource",
        fields={"label": "string", "file_count": "integer", "file_size": "integer"},
        abstract=True,
    ),
    _Type("resource", base="xnat:abstractResource", fields={"format": "string", "content": "string"}),
    _Type("resourceCatalog", base="xnat:resource"),
    *[_Type(f"{prefix}SessionData", base="xnat:imageSessionData") for prefix in SESSION_PREFIXES],
    *[_Type(f"{prefix}ScanData", base="xnat:imageScanData") for prefix in SCAN_PREFIXES],
]
ELEMENTS = [
    "xnat:projectData",
    "xnat:subjectData",
    *[f"xnat:{prefix}SessionData" for prefix in SESSION_PREFIXES],
]


def xnat_schema() -> str:
    """Return the schema of the stand-in's data model."""
    body = "\n".join(_written(described) for described in _TYPES)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<xs:schema targetNamespace="http://nrg.wustl.edu/xnat" xmlns:xnat="http://nrg.wustl.edu/xnat"'
        ' xmlns:xdat="http://nrg.wustl.edu/xdat" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
        ' elementFormDefault="qualified">\n'
        f"{body}\n</xs:schema>\n"
    )


def _written(described: _Type) -> str:
    marks = ' abstract="true"' if described.abstract else ""
    if described.display:
        marks += f' displayIdentifiers="{described.display}"'
    note = f"<xs:annotation><xs:appinfo><xdat:element{marks}/></xs:appinfo></xs:annotation>" if marks else ""
    fields = "".join(
        f'<xs:element name="{name}" type="xs:{kind}" minOccurs="0"/>'
        for name, kind in described.fields.items()
    )
    parts = "".join(
        f'<xs:element name="{name}" type="{of}" minOccurs="0"/>' for name, of in described.parts.items()
    )
    lists = "".join(_written_list(name, of) for name, of in described.lists.items())
    content = f"<xs:sequence>{fields}{parts}{lists}</xs:sequence>"
    if described.base:
        content = (
            f'<xs:complexContent><xs:extension base="{described.base}">{content}'
            "</xs:extension></xs:complexContent>"
        )
    element = f'<xs:element name="{described.name}" type="xnat:{described.name}"/>'
    return f'{element}<xs:complexType name="{described.name}">{note}{content}</xs:complexType>'


def _written_list(name: str, of: str) -> str:
    outer, _, inner = name.partition("/")
    item = f'<xs:element name="{inner or outer}" type="{of}" minOccurs="0" maxOccurs="unbounded"/>'
    if not inner:
        return item
    return (
        f'<xs:element name="{outer}" minOccurs="0"><xs:complexType><xs:sequence>{item}'
        "</xs:sequence></xs:complexType></xs:element>"
    )
