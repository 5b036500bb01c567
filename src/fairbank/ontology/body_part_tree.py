"""Which body part is part of which, over the defined terms that a catalogue counts by.

Ours, from general anatomy; no licensed hierarchy was used. A term that names several regions at once, such as
CHESTABDPELVIS, is kept apart: its images show more than each region, so it is neither broader nor narrower than one.
The same holds for WHOLEBODY and PHANTOM.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final

_PARTS: Final[dict[str, str]] = {
    "ABDOMEN": "ADRENAL COLON DUODENUM ILEUM JEJUNUM KIDNEY LIVER PANCREAS SPLEEN STOMACH GALLBLADDER BILEDUCT",
    "CHEST": "BRONCHUS ESOPHAGUS HEART MEDIASTINUM RIB STERNUM THYMUS TRACHEA",
    "EXTREMITY": "LOWERLIMB UPPERLIMB",
    "FOOT": "CALCANEUS TOE",
    "HAND": "FINGER",
    "HEAD": "BRAIN EYE JAW MAXILLA ORBIT PAROTID SINUS SKULL SUBMANDIBULAR TMJ ZYGOMA",
    "BRAIN": "CEREBELLUM CIRCLEOFWILLIS",
    "HEART": "CORONARYARTERY",
    "LEG": "FIBULA",
    "LOWERLIMB": "ANKLE FEMUR FOOT HIP KNEE LEG THIGH",
    "KNEE": "PATELLA",
    "NECK": "CAROTID LARYNX PARATHYROID THYROID",
    "ORBIT": "OPTICCANAL",
    "PELVIS": "ANUS BLADDER ILIUM PROSTATE RECTUM SIJOINT UTERUS",
    "SKULL": "IAC SELLA",
    "SPINE": "COCCYX CSPINE CTSPINE LSPINE LSSPINE SACRUM SSPINE TLSPINE TSPINE",
    "UPPERLIMB": "ARM ELBOW FOREARM HAND HUMERUS SHOULDER WRIST",
    "SHOULDER": "CLAVICLE SCAPULA",
}
BROADER: Final[dict[str, str]] = {part: whole for whole, parts in _PARTS.items() for part in parts.split()}


@cache
def broader(term: str) -> tuple[str, ...]:
    """Return the body parts that a term is part of, the nearest first.

    >>> broader("CORONARYARTERY"), broader("CHEST")
    (('HEART', 'CHEST'), ())
    """
    whole = BROADER.get(term)
    return () if whole is None else (whole, *broader(whole))


def with_narrower(terms: Iterable[str]) -> tuple[str, ...]:
    """Return terms and all that are part of them, each once.

    >>> with_narrower(["FOOT"]), with_narrower(["unknown"])
    (('FOOT', 'CALCANEUS', 'TOE'), ('unknown',))
    """
    chosen = tuple(dict.fromkeys(terms))
    parts = sorted(part for part in BROADER if any(whole in chosen for whole in broader(part)))
    return tuple(dict.fromkeys((*chosen, *parts)))
