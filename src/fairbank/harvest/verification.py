"""Whether a series is proven free of identifiers, so that it may be counted in what leaves; if not, why not.

Of a series in the research store this node knows which bytes it wrote: nothing else is proof. Of a series that stays in
its archive only headers tell, and a curator may take the archive's word for what they leave out, never for what they
show.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from fairbank.deid.profiles import Profile
from fairbank.deid.store import CleanedFile
from fairbank.harvest.described import DeidMark


class Hold(StrEnum):
    """Why a series may not be published. The table in docs/reference/deidentification.md explains each.

    Attributes:
        NOT_VERIFIED: a file is in the research store that this node did not put there.
        CHANGED: a file is not as this node wrote it.
        IDENTIFYING: the archive's headers still name a person or a place.
        BURNED_IN: they say, or do not rule out, that text is burned into the pixels of some images.
        NOT_STATED: they do not say that the identity was removed.
        NO_METHOD: they say so, but not by what method.
    """

    NOT_VERIFIED = "not-verified"
    CHANGED = "changed-since-cleaning"
    IDENTIFYING = "identifying-elements"
    BURNED_IN = "burned-in-annotation"
    NOT_STATED = "not-stated-deidentified"
    NO_METHOD = "no-deidentification-method"

    @property
    def curable_by_trust(self) -> bool:
        """Tell whether a curator who trusts the archive's own de-identification lifts the hold."""
        return self in (Hold.NOT_STATED, Hold.NO_METHOD)


_PROFILES = frozenset(profile.value for profile in Profile)
# What the headers may say of burned-in text (DICOM PS3.3, C.7.6.1): nothing or NO. MIXED may hide a YES.
_NO_TEXT = ("", "NO")


def judge_stored(found: Mapping[str, str | None], cleaned: Mapping[str, CleanedFile]) -> Hold | None:
    """Judge a series of the research store.

    Args:
        found: its files by path in the store, each with the keyed digest of its content; None where the file has not
            changed since it was last judged.
        cleaned: what this node cleaned and stored of the series, by path.
    """
    verdict: Hold | None = None if found else Hold.NOT_VERIFIED
    for path, key in found.items():
        known = cleaned.get(path)
        if known is None or known.profile not in _PROFILES or not known.tool:
            return Hold.NOT_VERIFIED
        if key is not None and key != known.output_key:
            verdict = Hold.CHANGED
    return verdict


def judge_described(mark: DeidMark, *, trusted: bool = False) -> Hold | None:
    """Judge a series that stays in its archive by what its headers say; the worst reason counts.

    Args:
        trusted: a curator has accepted how the archive de-identifies this container.

    >>> judge_described(DeidMark("YES", ("fairbank",))) is None
    True
    >>> judge_described(DeidMark()).value, judge_described(DeidMark(), trusted=True)
    ('not-stated-deidentified', None)
    """
    if mark.identifying:
        return Hold.IDENTIFYING
    if mark.burned_in not in _NO_TEXT:
        return Hold.BURNED_IN
    # A mark that differs from image to image may hide a NO.
    if trusted and mark.identity_removed in ("", "YES"):
        return None
    if mark.identity_removed != "YES":
        return Hold.NOT_STATED
    return None if mark.methods else Hold.NO_METHOD
