"""Free-text descriptors: words of a small clinical list stay, everything else is masked.

A word that is also part of the subject's own name or numbers is masked whatever the list says.
"""

from __future__ import annotations

import re
from collections.abc import Set

MASK = "*"
_SEPARATORS = re.compile(r"([\s^_,;:/()\[\]{}\\|+=<>-]+)")
_MEASURE = re.compile(r"\d{1,3}(\.\d{1,3})?(mm|cm|ms|s|sec|min|hu|kv|kvp|mas|ma|t|deg|%|x|d)")
_NUMBER = re.compile(r"\d{1,3}(\.\d{1,2})?")
_TECHNICAL = re.compile(
    r"(t[12]w?|b\d{1,4}|te\d{1,3}|tr\d{1,4}|fa\d{1,2}|[bhiu][rlfv]?\d{2}[fshd]?|qr\d{2}|fc\d{2}|[cl][1-7]|th?\d{1,2}|s[1-5])"
)
# Body regions, planes, phases, sequences, contrast and reconstruction, in English, German and the forms of DICOM
# PS3.16 Annex L. A word that is also the subject's own name is masked all the same.
_WORD_LIST = """
abd abdomen abdominal abdomenpelvis adrenal angio angiography ankle aorta aortic appendix arm artery arterial
axilla becken bladder bowel brain breast bronchus cardiac carotid cerebral cerebellum cervical chest clavicle coccyx
colon coronary cranium elbow extremity eye face femur finger fibula foot forearm gallbladder hand head heart hip
hippocampus humerus jaw joint kidney kidneys knee larynx leg liver lower lspine lumbar lung lungs mandible
mediastinum neck nasal orbit ovary pancreas pancreatic parotid pelvic pelvis phantom pituitary portal prostate
pulmonary rectum renal rib ribs sacrum scapula schaedel schulter shoulder sinus skull spine spinal spleen sternum
stomach cspine tspine thigh thoracic thorax thyroid tibia toe trachea ureter urinary uterus vascular vein venous
vertebra vessel wholebody wirbelsaeule wrist
axial ax axi sagittal sag coronal cor oblique obl transverse tra trans mip mpr minip ap pa lat lateral frontal
left right bilateral links rechts anterior posterior superior inferior prone supine decubitus
ct cta cr dx mg mr mra mri mrt nm pet pt rf rt spect us xa xr dose
adc asl bold ce ciss cine contrast dce diffusion dti dual dwi dynamic echo enhanced epi fat fatsat fast
fiesta flair flash fs fse fspgr gre gradient haste inphase inversion localizer localiser lava map
mprage mrcp multi outphase perfusion phase postcontrast precontrast propeller proton pd pdw pre post
quant recovery relaxometry saturated saturation scout se sense sequence spair spgr spin spoiled stir survey swi
t1 t2 t2star tfe tirm tof topogram trufi tse tumor tumour lesion unenhanced vibe volume weighted
delayed early equilibrium excretory expiration expiratory exp free breathing gated gating
hepatobiliary insp inspiration inspiratory late native nativ nephrographic portovenous respiratory
km kontrast iv oral without with w wo c ohne mit
bone bones edge filter hd high hires hr kernel low mediastinal recon reconstruction sharp smooth soft
standard std thick thin tissue window
ac nac attenuation corrected correction emission transmission uncorrected static tracer fdg suv
image images series slice slices study scan scans protocol original primary derived secondary processed raw
reformat reformatted subtraction subtracted average mean minimum maximum reference segmentation segment
mask label labels annotation background organ region roi structure target boundary surface body external isocenter
plan beam field fraction gtv ctv ptv oar tumorbed
2d 3d 4d and of the to from for in on per at vs no not none test routine screening follow followup baseline
initial control first second third window1 window2 normal algo1 algo2 wide narrow
"""
WORDS = frozenset(_WORD_LIST.split())


def cleaned(text: str, *, own_words: Set[str]) -> tuple[str, bool]:
    """Return a descriptor with unlisted words masked, and whether any listed word is left.

    Args:
        text: one value of the attribute, or several separated by backslashes.
        own_words: lower-case parts of the subject's own name and numbers.

    A text made of listed words only comes back as it was. Two numbers in a row could be a date, so they are masked.

    >>> cleaned("CHEST^Routine 3mm", own_words=frozenset())
    ('CHEST^Routine 3mm', True)
    >>> cleaned("Knee of Mrs Doe, 12-03-67", own_words=frozenset())
    ('Knee of * *, *-*-*', True)
    """
    pieces = _SEPARATORS.split(text)
    words = pieces[0::2]
    allowed = [_is_allowed(word, own_words) for word in words]
    numeric = [_NUMBER.fullmatch(word) is not None for word in words]
    for place in range(1, len(words)):
        if numeric[place] and numeric[place - 1]:
            allowed[place] = allowed[place - 1] = False
    says_something = any(
        ok and word and not number for word, ok, number in zip(words, allowed, numeric, strict=True)
    )
    pieces[0::2] = [word if ok or not word else MASK for word, ok in zip(words, allowed, strict=True)]
    return "".join(pieces), says_something


def _is_allowed(word: str, own_words: Set[str]) -> bool:
    lower = word.lower().strip(".")
    if not lower:
        return True
    if lower in own_words:
        return False
    return (
        lower in WORDS
        or _NUMBER.fullmatch(lower) is not None
        or _MEASURE.fullmatch(lower) is not None
        or _TECHNICAL.fullmatch(lower) is not None
    )
