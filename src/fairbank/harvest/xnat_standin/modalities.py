"""Which XNAT session and scan type a DICOM modality becomes.

The type names are XNAT's own (namespace `http://nrg.wustl.edu/xnat`, element names of its data model).
"""

from __future__ import annotations

_PREFIXES = {
    "CR": "cr",
    "CT": "ct",
    "DX": "dx",
    "MG": "mg",
    "MR": "mr",
    "NM": "nm",
    "PT": "pet",
    "RF": "rf",
    "SC": "sc",
    "US": "us",
    "XA": "xa",
}
_OTHER = "otherDicom"
# A session takes the type of its first modality in this order: PET/CT is a PET session, as XNAT has it.
_ORDER = ("PT", "MR", "CT", "NM", "US", "MG", "DX", "CR", "XA", "RF")

SESSION_PREFIXES = (*[prefix for modality, prefix in _PREFIXES.items() if modality != "SC"], _OTHER)
SCAN_PREFIXES = (*_PREFIXES.values(), _OTHER)


def scan_type(modality: str) -> str:
    """Return the XNAT type of a scan.

    >>> scan_type("CT"), scan_type("SEG")
    ('xnat:ctScanData', 'xnat:otherDicomScanData')
    """
    return f"xnat:{_PREFIXES.get(modality, _OTHER)}ScanData"


def session_modality(modalities: list[str]) -> str:
    """Return the modality that names a session of scans of these modalities."""
    for modality in _ORDER:
        if modality in modalities:
            return modality
    return modalities[0] if modalities else "OT"


def session_type(modality: str) -> str:
    """Return the XNAT type of a session.

    >>> session_type("PT"), session_type("OT")
    ('xnat:petSessionData', 'xnat:otherDicomSessionData')
    """
    prefix = _PREFIXES.get(modality, _OTHER) if modality != "SC" else _OTHER
    return f"xnat:{prefix}SessionData"
