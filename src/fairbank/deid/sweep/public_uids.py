"""UIDs that name something of a standard, never a person (DICOM PS3.6, Annex A; HL7's register of coding schemes)."""

from __future__ import annotations

from pydicom._uid_dict import UID_dictionary

_CODING_SCHEMES = "2.16.840.1.113883.6"
_LONGEST_LEAF = 4


def is_public(uid: str) -> bool:
    """Return whether a UID is one that DICOM registers, or that of a public coding scheme; so is none at all.

    >>> is_public("1.2.840.10008.1.2.1"), is_public("1.2.840.10008.4711"), is_public("2.16.840.1.113883.6.96")
    (True, False, True)
    """
    if not uid or uid in UID_dictionary:
        return True
    root, _, leaf = uid.rpartition(".")
    return root == _CODING_SCHEMES and leaf.isdigit() and len(leaf) <= _LONGEST_LEAF
