"""Headers of instances as DICOM JSON (DICOM PS3.18, annex F), attribute by attribute: a bad one spoils no other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.jsonrep import JsonDataElementConverter

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_BAD: Final = (
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    LookupError,
    OverflowError,
    NotImplementedError,
)


def dataset_of(row: Mapping[str, Any]) -> Dataset:
    """Return a header; call inside `quiet_pydicom`.

    Bulk data stays where it is: what only has an address is left empty, and no address is ever asked. Private
    attributes are left out.
    """
    dataset = Dataset()
    for tag, element in row.items():
        if not _TAG.fullmatch(tag) or int(tag[3], 16) % 2 or not isinstance(element, Mapping):
            continue
        try:
            read = _element(tag, element)
        except _BAD:
            # An archive's answer may hold what no file could; the other attributes are still good.
            continue
        if read is not None:
            dataset.add(read)
    return dataset


def _element(tag: str, element: Mapping[str, Any]) -> DataElement | None:
    vr = element.get("vr")
    if not isinstance(vr, str) or "BulkDataURI" in element or "InlineBinary" in element:
        return None
    value = element.get("Value", [])
    if vr == "SQ":
        items = [dataset_of(item) for item in value if isinstance(item, Mapping)]
        return DataElement(int(tag, 16), "SQ", items)
    if not isinstance(value, list):
        return None
    read = JsonDataElementConverter(Dataset, tag, vr, value, "Value").get_element_values()
    return DataElement(int(tag, 16), vr, read)
