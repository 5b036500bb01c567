"""Manufacturers: one name each, and how a spelling of it begins.

A spelling is compared in lower case, letters and digits only, single spaces; the first line that fits decides. Who
bought whom is followed where the bought name is gone, so that machines of one maker are found together.

Ours, from the values of (0008,0070) in published collections.
"""

from __future__ import annotations

from typing import Final

MANUFACTURER_PATTERNS: Final[tuple[tuple[str, str], ...]] = (
    (r"^siemens|^acuson\b|^cti\b|^cps\b", "Siemens"),
    (r"^(ge|g e|gems)\b|^general electric|^instrumentarium", "GE"),
    (r"^(pnms|nms)\b|^neusoft|^philips (and )?neusoft", "Neusoft"),
    (r"^(philips|marconi|picker|adac|atl|atl ultrasound|advanced technology laboratories)\b", "Philips"),
    (r"^(canon|toshiba)|^vital images", "Canon"),
    (r"^(hitachi|aloka)", "Hitachi"),
    (r"^(fuji|sonosite)", "Fujifilm"),
    (r"^agfa", "Agfa"),
    (r"^(carestream|kodak|eastman kodak|lumisys)|\beastman kodak\b", "Carestream"),
    (r"^konica|^minolta", "Konica Minolta"),
    (r"^hologic|^lorad|^direct radiography corp|^trex medical", "Hologic"),
    (r"^shimadzu", "Shimadzu"),
    (r"^samsung|^medison", "Samsung"),
    (r"^(shanghai )?united imaging\b|^uih\b", "United Imaging"),
    (r"^(shenzhen )?mindray|^zonare", "Mindray"),
    (r"^wdm\b|^(beijing )?wandong", "Wandong"),
    (r"^varian|^velocity medical", "Varian"),
    (r"^elekta|^cms\b|^impac medical", "Elekta"),
    (r"^accuray|^tomotherapy", "Accuray"),
    (r"^brainlab", "Brainlab"),
    (r"^raysearch", "RaySearch"),
    (r"^bruker", "Bruker"),
    (r"^agilent", "Agilent"),
    (r"^mr solutions", "MR Solutions"),
    (r"^mediso", "Mediso"),
    (r"^esaote", "Esaote"),
    (r"^hamamatsu", "Hamamatsu"),
    (r"^leica|^aperio", "Leica"),
    (r"^3d ?histech|^mirax\b", "3DHISTECH"),
    (r"^(roche|ventana|bioimagene)\b", "Roche"),
    (r"^rarecyte", "RareCyte"),
    (r"^olympus", "Olympus"),
    (r"^nikon", "Nikon"),
    (r"^heidelberg engineering", "Heidelberg Engineering"),
    (r"^(carl )?zeiss", "Zeiss"),
    (r"^topcon", "Topcon"),
    (r"^optovue", "Optovue"),
    (r"^nidek", "Nidek"),
    (r"^(leaf )?hasselblad", "Hasselblad"),
    (r"^mortara", "Mortara"),
    (r"^imatron", "Imatron"),
    (r"^(bk|b k) medical", "BK Medical"),
    (r"^supersonic imagine", "SuperSonic Imagine"),
    (r"^planmed\b|^planmeca", "Planmeca"),
    (r"^(dentsply )?sirona", "Dentsply Sirona"),
    (r"^ziehm", "Ziehm"),
    (r"^swissray", "Swissray"),
    (r"^eos imaging", "EOS imaging"),
    (r"^oehm (und|and) rehbein", "Oehm und Rehbein"),
    (r"^dejarnette", "DeJarnette"),
    (r"^eigen\b", "Eigen"),
    (r"^bayer\b|^medrad", "Bayer"),
    (r"^(merge|confirma)\b", "Merge"),
    (r"^mckesson", "McKesson"),
    (r"^barco", "Barco"),
    (r"^riverain", "Riverain"),
    (r"^mim software|^mimvista|^mim vista", "MIM Software"),
    (r"^pmod\b", "PMOD"),
    (r"^terarecon", "TeraRecon"),
    (r"^sectra", "Sectra"),
    (r"^icad\b", "iCAD"),
    (r"^imaging biometrics", "Imaging Biometrics"),
)

# Words that say that no manufacturer is stated.
NOT_STATED: Final = frozenset(
    {
        "",
        "none",
        "unknown",
        "unknown manufacturer",
        "unspecified",
        "not specified",
        "not available",
        "anonymous",
        "anonymized",
        "anonymised",
        "removed",
        "na",
        "n a",
        "null",
        "default",
    }
)
