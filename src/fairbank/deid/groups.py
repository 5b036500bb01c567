"""Groups of held files: what a curator decides of at once. A group's name tells reason and device, never a subject."""

from __future__ import annotations

import hashlib
import re

from pydicom.dataset import Dataset

from fairbank.deid.elements import short_of, text_of, words_of
from fairbank.deid.outcomes import Reason
from fairbank.deid.standard.terms import terms_of

_LETTERS = 40
_SHORT = 4
# Makers and product lines, as their devices write them in (0008,0070) and (0008,1090).
_DEVICE_WORD_LIST = """
acuson affiniti agfa aixplorer alliance aloka alpinion analogic aplio aquilion arietta artis azurion barco
biograph biomedical biosound bk bruker canon carestream carl cirrus clinical company cx discovery draeger easy
electronics elekta epiq esaote eub fonar fuji fujifilm galan ge gehc general gmbh healthcare hitachi hologic
imaging inc ingenia innova intuis iu22 kodak konica kretz lightspeed lodox logiq ltd lumisys magnetom medical
medison meditech meditron medizintechnik millennium mindray mri multiva mylab nemio nikon olympus optima orion
philips picker planmeca prodigy resona revolution samsung scanner scientific selenia sequoia shimadzu siemens
signa sirona somatom sonosite spectral storz supersonic symbia symphony system systems technologies terarecon
titan topcon toshiba trio turbo ultrasonix ultrasound united vantage varian verio vidar viewpoint vision
visualsonics vital vitrea vivid voluson xario zeiss ziehm zonare
"""
_DEVICE_WORDS = frozenset(_DEVICE_WORD_LIST.split())
_UNSAFE = re.compile(r"[^A-Za-z0-9 ._+-]+")
# A person who has looked may let these go: what is wrong with them is that nobody has looked at pixels or at a head.
_MAY_BE_RELEASED = frozenset(
    {"burned-in-annotation", "pixels-unverified", "pixels-review", "face", "seen-identifying"}
)

_MAY_BE_BLANKED = (_MAY_BE_RELEASED - {"face"}) | {"text-remains", "identifier-in-pixels"}


def group_of(dataset: Dataset, reason: Reason) -> str:
    """Return `reason|modality|manufacturer|model|rows x columns` of a file.

    Of names of devices the words of a list of makers and product lines stay, and short ones with a digit; the rest
    could be anything, and becomes four digits of a digest, so that devices stay apart.
    """
    own = _own_words(dataset)
    device = [_safe(text_of(dataset, tag), own) for tag in (0x00080070, 0x00081090)]
    size = f"{short_of(dataset, 0x00280010) or 0}x{short_of(dataset, 0x00280011) or 0}"
    return "|".join((reason.value, _modality(dataset), *device, size))


def reason_of(group: str) -> Reason | None:
    """Return the reason that a group's name begins with; None if it is no word of ours."""
    word = group.partition("|")[0]
    return Reason(word) if word in {reason.value for reason in Reason} else None


def may_be_released(reason: Reason) -> bool:
    """Tell whether a person's word is enough to let files go that are held for this reason.

    >>> may_be_released(Reason.PIXELS_UNVERIFIED), may_be_released(Reason.IDENTIFIER_FOUND)
    (True, False)
    """
    return reason.value in _MAY_BE_RELEASED


def may_be_blanked(reason: Reason) -> bool:
    """Tell whether files held for this reason may go once areas that a person names are blanked.

    What is found is blanked besides, and a last look must find nothing, so these are more than may be released.
    """
    return reason.value in _MAY_BE_BLANKED


def may_be_discarded(reason: Reason) -> bool:
    """Tell whether a person may decide that files held for this reason are not wanted at all."""
    return reason.status.value == "impossible" and reason not in (Reason.WITHDRAWN, Reason.NO_CONSENT)


def _modality(dataset: Dataset) -> str:
    """Return the modality if it is one that DICOM knows: anything else could be a name."""
    word = words_of(dataset, 0x00080060)
    return word if word in terms_of(0x00080060) else ""


def _safe(name: str, own: frozenset[str]) -> str:
    """Return the known part of a device's name, with a digest of the whole if there is more.

    >>> _safe("GE Medical Systems", frozenset()), _safe("LOGIQ 700", frozenset()), _safe("Quarzfeld", frozenset())
    ('GE Medical Systems', 'LOGIQ 700', '~ef3f')
    """
    words = [_UNSAFE.sub("", word) for word in name.split()]
    known = [word for word in words if _is_known(word) and word.lower() not in own]
    if len(known) == len(name.split()):
        return " ".join(known)[:_LETTERS].strip()
    rest = "~" + hashlib.sha256(name.strip().lower().encode("latin-1")).hexdigest()[:4]
    return " ".join([*known, rest])


def _is_known(word: str) -> bool:
    short_code = len(word) <= _SHORT and any(letter.isdigit() for letter in word)
    return word.lower() in _DEVICE_WORDS or short_code


def _own_words(dataset: Dataset) -> frozenset[str]:
    stated = " ".join(text_of(dataset, tag) for tag in (0x00100010, 0x00100020, 0x00080050, 0x00080080))
    parts = re.split(r"[\s^=\\,.;()_-]+", stated.lower())
    return frozenset(part for part in parts if len(part) >= 3)
