"""Why a site leaves a peer's parcel out: the closed list of words that it tells the hub."""

from __future__ import annotations

from enum import StrEnum


class ParcelFault(StrEnum):
    """What is wrong with a parcel."""

    MISSING = "missing"
    UNTRUSTED = "untrusted"
    ANOTHER = "another"
    NOT_FOR_US = "not-for-us"
    DAMAGED = "damaged"
    OTHER_FORM = "other-form"
    NOT_FINITE = "not-finite"
    TOO_LARGE = "too-large"
