"""Texts of structured reports that an option retains as they are, by the concept that names them.

Source: DICOM PS3.15 2026d, Table E.3.4-1, rows of value type TEXT.
"""

from __future__ import annotations

from fairbank.deid.method import Method
from fairbank.deid.rules import Option
from fairbank.deid.sweep.walk import Path
from fairbank.deid.verification.output import Output

TEXT_VALUE = 0x0040A160
_CONCEPT, _CODE_VALUE = 0x0040A043, 0x00080100
_DEVICE = "110119 113832 113877 113880 120999 121013 121016 121122 121193 121196 74711-3"
_INSTITUTION = "113873 121009 121017 121197 121434 122128 130527"
_RETAINED = {
    Option.RETAIN_DEVICE_IDENTITY: frozenset(_DEVICE.split()),
    Option.RETAIN_INSTITUTION_IDENTITY: frozenset(_INSTITUTION.split()),
}


def is_retained_text(output: Output, path: Path, method: Method) -> bool:
    """Return whether the text of the content item at a path is one that an option retains."""
    inside = (*path, (_CONCEPT, 0))
    codes = {
        output.walked.value(element).decode("latin-1").strip(" \0")
        for element in output.walked.elements
        if element.tag == _CODE_VALUE and element.path == inside
    }
    return any(codes & retained for option, retained in _RETAINED.items() if option in method.options)
