"""Which elements the object of a SOP class may carry, and how much it needs them.

An element may stand anywhere in an object whose IOD has it anywhere, functional groups and macros included. The reasons
are in docs/decisions/0024-allow-list.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from pydicom.datadict import dictionary_VR

from fairbank.deid.standard._iods import IODS, MODULES, SOP_CLASSES
from fairbank.deid.standard.extras import (
    IMAGE_MODULES,
    RETIRED,
    RETIRED_CLASSES,
    SHARED_MODULES,
    SHARED_TEXTS,
    SHARED_VRS,
)

_STORAGE = "1.2.840.10008.5.1.4.1.1."


def iod_of(sop_class: str) -> str | None:
    """Return the name of the IOD of a SOP class, or of the one that took the place of a retired class.

    >>> iod_of("1.2.840.10008.5.1.4.1.1.2"), iod_of("1.2.840.10008.5.1.4.1.1.6"), iod_of("1.2.840.113619.4.26")
    ('ct-image', 'ultrasound-image', None)
    """
    heir = RETIRED_CLASSES.get(sop_class.removeprefix(_STORAGE), "")
    return SOP_CLASSES.get(_STORAGE + heir if heir else sop_class)


@lru_cache(maxsize=64)
def elements_of(sop_class: str) -> Mapping[int, int] | None:
    """Return the elements of a SOP class and their strictest type (1, 2 or 3; 1C is 1, 2C is 2); None if it is unknown.

    What old files have, and numbers and codes of acquisition that an image borrows from others, are of type 3
    (`extras.py`).

    Source: DICOM PS3.3, Annex A, and PS3.4, Table B.5-1.
    """
    iod = iod_of(sop_class)
    if iod is None:
        return None
    modules = IODS[iod].split()
    is_image = not IMAGE_MODULES.isdisjoint(modules)
    types = dict.fromkeys(RETIRED | _shared() if is_image else RETIRED, 3)
    for module in modules:
        for tag, kind in _module(module).items():
            types[tag] = min(types.get(tag, 3), kind)
    return types


@lru_cache(maxsize=1)
def _shared() -> frozenset[int]:
    """Return the elements that an image of any class may carry."""
    tags = {tag for module in SHARED_MODULES for tag in _module(module)}
    return frozenset(tag for tag in tags if dictionary_VR(tag) in SHARED_VRS or tag in SHARED_TEXTS)


@lru_cache(maxsize=512)
def _module(name: str) -> Mapping[int, int]:
    types, group = {}, 0
    for word in MODULES[name].split():
        if word.endswith(":"):
            group = int(word[:4], 16) << 16
        else:
            types[group | int(word[:4], 16)] = int(word[4])
    return types
