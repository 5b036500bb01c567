"""IRIs that only the export profiles use, as plain strings.

Sources: the namespaces that each profile's own documents declare. `HEALTH` is HealthDCAT-AP from Release 8 on;
documents of earlier releases use another namespace and are not exchangeable with it.
"""

from __future__ import annotations

from typing import Final

from fairbank.ontology import terms

DCATAP: Final = "http://data.europa.eu/r5r/"
HEALTH: Final = "http://healthdataportal.eu/ns/health#"
CV: Final = "http://data.europa.eu/m8g/"
DPV: Final = "https://w3id.org/dpv#"
ADMS: Final = "http://www.w3.org/ns/adms#"
GEODCATAP: Final = "http://data.europa.eu/930/"
FDP_O: Final = "https://w3id.org/fdp/fdp-o#"
LDP: Final = "http://www.w3.org/ns/ldp#"
EUCAIM: Final = "https://hyperontology.eucaim.cancerimage.eu/#"

HEALTH_THEME: Final = "http://publications.europa.eu/resource/authority/data-theme/HEAL"
# Regulation (EU) 2025/327, the European Health Data Space.
EHDS: Final = "http://data.europa.eu/eli/reg/2025/327/oj"
_NAL: Final = "https://hdeu-dcat.data.health.europa.eu/resource/authority/"
# Health data of imaging biobanks.
EINS: Final = _NAL + "healthcategories/EINS"
CANCER_THEME: Final = _NAL + "health-theme/CANCER_DISEASE"
DICOM_STANDARD: Final = _NAL + "standard/DICOM"
ACCESS_CONDITION: Final = (
    "https://eucaim.github.io/eucaim_dcat_ap/releases/controlled-vocabularies/access-conditions/#"
)
ACCESS_CONDITIONS: Final = tuple(
    ACCESS_CONDITION + word for word in ("DOWNLOAD", "IN_SITU_PROCESSING", "REMOTE_PROCESSING")
)
ACCESS_RIGHTS: Final = tuple(terms.access_right(word) for word in ("PUBLIC", "RESTRICTED", "NON_PUBLIC"))

PREFIXES: Final[dict[str, str]] = {
    **terms.PREFIXES,
    "dcatap": DCATAP,
    "healthdcatap": HEALTH,
    "cv": CV,
    "dpv": DPV,
    "adms": ADMS,
    "geodcatap": GEODCATAP,
    "fdp-o": FDP_O,
    "ldp": LDP,
    "eucaim": EUCAIM,
}


def compact(iri: str) -> str:
    """Return an IRI as readers know it.

    >>> compact("http://purl.org/dc/terms/title")
    'dct:title'
    """
    for prefix, namespace in PREFIXES.items():
        if iri.startswith(namespace):
            return f"{prefix}:{iri.removeprefix(namespace)}"
    return iri
