"""What annotations show, in known words: codes first, names that somebody typed only through a list.

A segmentation says by a code what a segment shows (DICOM PS3.16, CID 7151). Names of regions in structure sets are
typed by people: a name counts if all of it is in the list here, with side and number taken away, or if it begins with
GTV, CTV, PTV or ITV. Whatever else stands there becomes `other`, and is not repeated.
"""

from __future__ import annotations

import re
from typing import Final

from fairbank.ontology._segmented_properties import ROWS

OTHER: Final = "other"
EXTERNAL: Final = "External contour"
# Volumes of radiotherapy (ICRU reports 50, 62 and 83): gross, clinical, planning and internal target.
TARGETS: Final[tuple[str, ...]] = ("GTV", "CTV", "PTV", "ITV")
_BACKGROUND: Final = frozenset({("DCM", "125040")})
# Codes that files have in place of those of the group, with the same meaning.
_ALSO: Final = {
    ("SCT", "272673000"): "Bone",
    ("SCT", "86049000"): "Neoplasm, Primary",
    ("SRT", "M-80003"): "Neoplasm, Primary",
}
# SNOMED CT is written SCT, and was written SRT with the codes of SNOMED-RT.
_LABELS: Final[dict[tuple[str, str], str]] = (
    _ALSO
    | {(scheme, code): word for scheme, code, _, word in ROWS}
    | {("SRT", former): word for _, _, former, word in ROWS if former != "-"}
)
_CODES: Final = {word: (scheme, code) for scheme, code, _, word in reversed(ROWS)}
LABELS: Final[frozenset[str]] = frozenset({*_CODES, *TARGETS, EXTERNAL})

# Label: what people type for it, letters only, small, in the singular. Source: names of AAPM TG-263 (2018), table of
# organs at risk, and spellings of the same in English.
_NAMES: Final = {
    "Adrenal gland": "adrenal adrenalgland glndadrenal",
    "Anus": "anus analcanal canalanal",
    "Aorta": "aorta aaorta",
    "Bladder": "bladder urinarybladder",
    "Bone": "bone",
    "Brain": "brain",
    "Brain Stem": "brainstem",
    "Breast": "breast mamma",
    "Bronchus": "bronchus bronchi",
    "Carotid Artery": "carotid acarotid carotidartery",
    "Cerebellum": "cerebellum",
    "Cervix": "cervix",
    "Colon": "colon",
    "Duodenum": "duodenum",
    "Esophagus": "esophagus oesophagus esoph",
    "Eye": "eye eyes globe",
    "Femur": "femur femurhead femoralhead headfemoral femoralheads",
    "Gallbladder": "gallbladder gallblader",
    "Heart": "heart",
    "Hippocampus": "hippocampus hippocampi",
    "Humerus": "humerus humeralhead",
    "Kidney": "kidney",
    "Large intestine": "largebowel bowellarge largeintestine",
    "Larynx": "larynx",
    "Lesion": "lesion",
    "Liver": "liver hepar leber",
    "Lung": "lung lunge",
    "Lymph Node": "lymphnode ln",
    "Mandible": "mandible bonemandible",
    "Mouth": "oralcavity cavityoral",
    "Neoplasm": "neoplasm tumor tumour",
    "Nodule": "nodule",
    "Optic chiasm": "opticchiasm chiasm",
    "Ovary": "ovary ovaries",
    "Pancreas": "pancreas",
    "Parotid gland": "parotid parotidgland glndparotid parotide",
    "Pituitary": "pituitary hypophysis",
    "Prostate": "prostate prostata",
    "Rectum": "rectum",
    "Rib": "rib ribs",
    "Sacrum": "sacrum",
    "Seminal Vesicle": "seminalvesicle seminalvesicles sv semves vesiclesem",
    "Sigmoid colon": "sigmoid sigmoidcolon colonsigmoid",
    "Skin": "skin",
    "Small intestine": "smallbowel bowelsmall smallintestine",
    "Spinal cord": "spinalcord cord cordspinal myelon",
    "Spleen": "spleen milz",
    "Sternum": "sternum",
    "Stomach": "stomach",
    "Submandibular gland": "submandibular submandibulargland glndsubmand submand",
    "Thyroid": "thyroid thyroidgland glndthyroid",
    "Tongue": "tongue",
    "Trachea": "trachea",
    "Urethra": "urethra",
    "Uterus": "uterus",
    EXTERNAL: "external body bodycontour outline",
}  # fmt: skip
_LABEL_OF_NAME: Final = {name: label for label, names in _NAMES.items() for name in names.split()}
_SIDES: Final = frozenset(
    {"l", "r", "lt", "rt", "left", "right", "li", "re", "both", "bilat", "bilateral", "total"}
)
_PIECES: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_TARGET: Final = re.compile(r"(GTV|CTV|PTV|ITV)[PNT]?(?![A-Z])")


def label_of_code(scheme: str, code: str) -> str | None:
    """Return the word for a code of a segmented property; None for codes that are not in the group.

    >>> label_of_code("SCT", "10200004"), label_of_code("SRT", "T-62000"), label_of_code("99DOE", "1")
    ('Liver', 'Liver', None)
    """
    return _LABELS.get((scheme, code))


def is_background(scheme: str, code: str) -> bool:
    """Return whether a code says that a segment is what is left over, and no annotation."""
    return (scheme, code) in _BACKGROUND


def label_of_name(text: str) -> str | None:
    """Return the word for a name that somebody typed; None if it is not in the list.

    >>> [label_of_name(name) for name in ("Lung_L", "SpinalCord", "PTV_60 Dr. Doe", "Dr. Liver")]
    ['Lung', 'Spinal cord', 'PTV', None]
    """
    target = _TARGET.match(text.strip().upper())
    if target is not None:
        return target[1]
    pieces = [piece.lower() for piece in _PIECES.findall(text)]
    name = "".join(piece for piece in pieces if piece not in _SIDES)
    return _LABEL_OF_NAME.get(name) or _LABEL_OF_NAME.get(name.removesuffix("s"))


def code_of_label(label: str) -> tuple[str, str] | None:
    """Return scheme and code of a label; None for target volumes, outlines and `other`.

    >>> code_of_label("Liver"), code_of_label("PTV")
    (('SCT', '10200004'), None)
    """
    return _CODES.get(label)
