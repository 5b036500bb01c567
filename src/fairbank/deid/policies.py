"""What a collection's curator decides about its pixels: closed words."""

from __future__ import annotations

from enum import StrEnum


class PixelTrust(StrEnum):
    """What is believed of pixels that say nothing about burned-in text (0028,0301).

    STRICT trusts nobody. ULTRASOUND admits ultrasound, REVIEWED every kind of image: for collections at whose pixels a
    person has looked. A file that says YES is treated in any case; no output says NO on this ground.
    """

    STRICT = "strict"
    ULTRASOUND = "ultrasound"
    REVIEWED = "reviewed"


class FacePolicy(StrEnum):
    """What becomes of a head from whose volume a face could be made.

    HOLD keeps the series back. DEFACE removes the face and checks that it is gone. IN_SITU lets the series be computed
    on at the node, marked as recognisable and never to be downloaded; a named person has to sign that.
    """

    HOLD = "hold"
    DEFACE = "deface"
    IN_SITU = "in-situ"
