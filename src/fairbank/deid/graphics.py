"""Graphics on images (presentation states): geometry stays, and the names of layers say nothing.

The text of annotations is cleaned like any descriptor. Overlay planes and curves are pictures in which text can be
drawn, so they are removed with this option too.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from fairbank.deid.elements import items_of, made, text_of

_LAYER = 0x00700002
_CONTENT_LABEL = 0x00700080


def name_layers(dataset: Dataset) -> None:
    """Give the graphic layers of a presentation state neutral names, the same wherever one is referred to.

    Layers and labels are named by whoever drew them (DICOM PS3.3, C.10.7); nothing depends on the names themselves.
    """
    names: dict[str, str] = {}
    for level in _with_layers(dataset):
        name = text_of(level, _LAYER)
        if name:
            neutral = names.setdefault(name, f"LAYER{len(names) + 1}")
            level[BaseTag(_LAYER)] = made(_LAYER, "CS", neutral, like=level)
    if text_of(dataset, _CONTENT_LABEL):
        dataset[BaseTag(_CONTENT_LABEL)] = made(_CONTENT_LABEL, "CS", "LABEL", like=dataset)


def _with_layers(dataset: Dataset) -> Iterator[Dataset]:
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        if element is None or element.VR not in ("SQ", None, "UN") or tag >> 16 & 1:
            continue
        for item in items_of(dataset, int(tag)):
            if BaseTag(_LAYER) in item:
                yield item
            yield from _with_layers(item)
