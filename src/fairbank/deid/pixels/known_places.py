"""Where text is known to be before anybody looks: coordinate rules, and what lies outside ultrasound regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from fairbank.deid.elements import items_of
from fairbank.deid.pixels._device_rules import RULES
from fairbank.deid.pixels.boxes import boxes_of
from fairbank.deid.pixels.work import Box
from fairbank.deid.recipes.pixel_rules import Area, PixelRule, areas_of, rules_for

DEVICE_RULE = "device-rule"
ULTRASOUND_REGION = "ultrasound-region"
_REGIONS = 0x00186011
# Region Location Min X0, Min Y0, Max X1, Max Y1 (DICOM PS3.3, C.8.5.5).
_CORNERS = (0x00186018, 0x0018601A, 0x0018601C, 0x0018601E)
_MANUFACTURER, _MODEL = 0x00080070, 0x00081090
# Regions that leave out less of the image than this say nothing about where text is.
_LEAST_LEFT_OUT = 0.02


@dataclass(frozen=True, slots=True)
class KnownPlaces:
    """What is blanked in every frame without looking.

    Attributes:
        boxes: the places.
        found_by: `device-rule`, `ultrasound-region` or both.
        is_evidence: whether what was known is about this very device: a rule that names its maker or model, or regions
            that the device itself wrote. Only then may a file go without a person having looked.
    """

    boxes: tuple[Box, ...] = ()
    found_by: tuple[str, ...] = ()
    is_evidence: bool = False


def known_places(
    dataset: Dataset, rows: int, columns: int, site_rules: Sequence[PixelRule] = ()
) -> KnownPlaces:
    """Return the places of text that rules and regions tell of.

    Args:
        dataset: as it came in.
        rows: of the image.
        columns: of the image.
        site_rules: those of the site's recipe, applied beside our own.
    """
    mask = np.zeros((rows, columns), np.bool_)
    found_by: list[str] = []
    evidence = False
    for rule in rules_for((*RULES, *site_rules), dataset):
        painted = _painted(areas_of(rule, dataset), rows, columns)
        if painted.any():
            mask |= painted
            found_by.append(DEVICE_RULE)
            evidence = evidence or _names_device(rule)
    outside = _outside_regions(dataset, rows, columns)
    if outside is not None:
        mask |= outside
        found_by.append(ULTRASOUND_REGION)
        evidence = evidence or float(outside.mean()) >= _LEAST_LEFT_OUT
    return KnownPlaces(tuple(boxes_of(mask)), tuple(dict.fromkeys(found_by)), evidence)


def _painted(areas: Sequence[Area], rows: int, columns: int) -> NDArray[np.bool_]:
    mask = np.zeros((rows, columns), np.bool_)
    for area in areas:
        height = rows if area.height is None else area.height
        width = columns if area.width is None else area.width
        mask[area.top : area.top + height, area.left : area.left + width] = not area.keep
    return mask


def _names_device(rule: PixelRule) -> bool:
    terms = [term for condition in rule.conditions for term in condition.terms]
    return any(term.tag in (_MANUFACTURER, _MODEL) and term.value for term in terms)


def _outside_regions(dataset: Dataset, rows: int, columns: int) -> NDArray[np.bool_] | None:
    """Return what lies outside all regions; None if there are none, or one is not inside the image."""
    outside = np.ones((rows, columns), np.bool_)
    items = items_of(dataset, _REGIONS)
    for item in items:
        elements = [item.get(BaseTag(tag)) for tag in _CORNERS]
        if any(element is None or not isinstance(element.value, int) for element in elements):
            return None
        left, top, right, bottom = (int(element.value) for element in elements)
        if not (0 <= left < right <= columns and 0 <= top < bottom <= rows):
            return None
        outside[top : bottom + 1, left : right + 1] = False
    return outside if items else None
