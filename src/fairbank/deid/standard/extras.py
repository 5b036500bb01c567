"""What may stand in an image beyond its own IOD: numbers and coded words of other images' acquisition, old and new.

A file may be of a Standard Extended SOP Class (DICOM PS3.4, section B.4.1): a secondary capture that keeps the tube
voltage of the CT it shows. Only numbers, coded strings, pointers and the sequences around them pass; texts do not.
"""

from __future__ import annotations

from typing import Final

# Retired storage classes and the leaf of the one that took their place (DICOM PS3.4, Annex B.5, and earlier editions).
RETIRED_CLASSES: Final = {"3": "3.1", "5": "20", "6": "6.1", "12.3": "12.1"}
IMAGE_MODULES: Final = frozenset({"general-image", "image-pixel", "vl-image", "us-image"})
# Modules of acquisition and geometry of one kind of image that others are known to carry.
SHARED_MODULES: Final = (
    *("image-plane", "multi-frame", "frame-pointers", "cine", "modality-lut", "voi-lut", "display-shutter"),
    *(
        "ct-image",
        "multi-energy-ct-image",
        "mr-image",
        "cr-series",
        "cr-image",
        "sc-image",
        "sc-multi-frame-image",
    ),
    *("nm-image", "nm-detector", "nm-isotope", "nm-multi-frame", "nm-phase", "nm-tomo-acquisition"),
    *("nm-reconstruction", "nm-image-pixel", "pet-series", "pet-image", "pet-isotope", "us-image"),
    *("us-region-calibration", "dx-series", "dx-detector", "dx-positioning", "dx-image", "mammography-image"),
    *(
        "x-ray-acquisition",
        "x-ray-collimator",
        "x-ray-filtration",
        "x-ray-generation",
        "x-ray-table",
        "xa-positioner",
    ),
    *("x-ray-acquisition-dose", "enhanced-mr-image", "mr-pulse-sequence", "mr-spectroscopy"),
    *("mr-spectroscopy-pulse-sequence", "mr-spectroscopy-data", "rt-image", "general-acquisition"),
)
SHARED_VRS: Final = frozenset({"AT", "CS", "DS", "FD", "FL", "IS", "SL", "SQ", "SS", "UL", "US", "US or SS"})
# Texts whose form is checked (`texts.py`), so that they may pass here too.
SHARED_TEXTS: Final = frozenset({0x00180024, 0x00181160, 0x00181210, 0x00281054})
_RETIRED_LIST = """
00080001 00080061 00102160 00080040 00080042 00082200 00082204 00082208 00180032 00180033 00181141 00181146 00181240
00185030 00185040 00185210 00185212 00186038 0018603A 0018603C 0018603E 00186040 00186042 00189096 00189166
00189195 00189196 00189324
00200014 00200015 00200016 00200017 00200018 00200022 00200024 00200026 00200030 00200035 00200050 00201000 00201001
00201003 00201004 00201005 00280005 00280012 00280040 00280060 00280104 00280105 00280110 00280111 00280200 00281080
00281100 00281111 00281112 00281113 00286030 00289099 00541400 00541401 30060044 30060045 30060049 300600C4 300A0082
300A008D 300A008E 300A008F
"""
# Retired elements that count, measure or name a technique. What they tell is in today's elements too, or harmless.
RETIRED: Final = frozenset(int(word, 16) for word in _RETIRED_LIST.split())
