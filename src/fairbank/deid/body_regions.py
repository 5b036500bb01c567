"""Body Part Examined (0018,0015) as a coded value: DICOM PS3.16, Annex L (terms) and CID 4031 (SNOMED CT codes)."""

from __future__ import annotations

import re
from dataclasses import dataclass

SCHEME = "SCT"


@dataclass(frozen=True, slots=True)
class Region:
    """A body region: its SNOMED CT code and what the code means."""

    code: str
    meaning: str
    scheme: str = SCHEME


def _table(text: str) -> dict[str, Region]:
    found = {}
    for line in text.strip().splitlines():
        code, meaning, terms = (part.strip() for part in line.split("|"))
        region = Region(code, meaning)
        found.update(dict.fromkeys(terms.split(), region))
    return found


_BY_TERM = _table(
    """
    818981001 | Abdomen | ABDOMEN ABD BAUCH
    818982008 | Abdomen and Pelvis | ABDOMENPELVIS ABDPEL
    70258002 | Ankle joint | ANKLE
    89837001 | Bladder | BLADDER
    12738006 | Brain | BRAIN
    76752008 | Breast | BREAST MAMMA
    80144004 | Calcaneus | CALCANEUS
    122494005 | Cervical spine | CSPINE HWS
    816094009 | Chest | CHEST THORAX
    416550000 | Chest and Abdomen | CHESTABDOMEN
    416775004 | Chest, Abdomen and Pelvis | CHESTABDPELVIS CAP
    51299004 | Clavicle | CLAVICLE
    64688005 | Coccyx | COCCYX
    71854001 | Colon | COLON
    16953009 | Elbow joint | ELBOW
    38266002 | Entire body | WHOLEBODY
    66019005 | Extremity | EXTREMITY
    81745001 | Eye | EYE
    71341001 | Femur | FEMUR
    87342007 | Fibula | FIBULA
    7569003 | Finger | FINGER
    56459004 | Foot | FOOT
    14975008 | Forearm | FOREARM
    85562004 | Hand | HAND
    69536005 | Head | HEAD
    774007 | Head and Neck | HEADNECK
    80891009 | Heart | HEART CARDIAC
    29836001 | Hip | HIP
    5366008 | Hippocampus | HIPPOCAMPUS
    85050009 | Humerus | HUMERUS
    64033007 | Kidney | KIDNEY KIDNEYS
    72696002 | Knee | KNEE
    10200004 | Liver | LIVER
    30021000 | Lower leg | TIBIA
    61685007 | Lower limb | LEG
    122496007 | Lumbar spine | LSPINE LWS
    1217253001 | Lumbo-sacral spine | LSSPINE
    39607008 | Lung | LUNG LUNGS
    91609006 | Mandible | JAW MANDIBLE
    45048000 | Neck | NECK
    417437006 | Neck and Chest | NECKCHEST
    416152001 | Neck, Chest and Abdomen | NECKCHESTABDOMEN
    416319003 | Neck, Chest, Abdomen and Pelvis | NECKCHESTABDPELV
    363654007 | Orbital structure | ORBIT
    15776009 | Pancreas | PANCREAS
    2095001 | Paranasal sinus | SINUS
    816092008 | Pelvis | PELVIS BECKEN
    706342009 | Phantom | PHANTOM
    41216001 | Prostate | PROSTATE
    34402009 | Rectum | RECTUM
    113197003 | Rib | RIB
    54735007 | Sacrum | SSPINE SACRUM
    79601000 | Scapula | SCAPULA
    16982005 | Shoulder | SHOULDER
    89546000 | Skull | SKULL
    421060004 | Spine | SPINE
    78961009 | Spleen | SPLEEN
    56873002 | Sternum | STERNUM
    68367000 | Thigh | THIGH
    122495006 | Thoracic spine | TSPINE BWS
    1217256009 | Thoraco-lumbar spine | TLSPINE
    29707007 | Toe | TOE
    40983000 | Upper arm | UPPERARM
    53120007 | Upper limb | ARM
    74670003 | Wrist joint | WRIST
    """
)
_WORDS = re.compile(r"[A-Z]+")


def region_of_term(term: str) -> Region | None:
    """Return the region that a defined term of Body Part Examined names, in whatever case; None if unknown.

    >>> region_of_term("CHEST").code
    '816094009'
    """
    return _BY_TERM.get(re.sub(r"[\s_/-]+", "", term).upper())


def region_in_text(text: str) -> Region | None:
    """Return the region that a free-text descriptor names, if it names exactly one.

    >>> region_in_text("t1 knee left").meaning, region_in_text("head and neck")
    ('Knee', None)
    """
    found = {region for word in _WORDS.findall(text.upper()) if (region := _BY_TERM.get(word)) is not None}
    return found.pop() if len(found) == 1 else None


def all_regions() -> list[Region]:
    """Return every region of the table, each once, by name."""
    return sorted(set(_BY_TERM.values()), key=lambda region: region.meaning)
