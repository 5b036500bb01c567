"""The equipment behind an image: the model of a scanner and the strength of a magnet, as few known words.

A model that is in no table becomes `other` and is not repeated: what stands there may be a site's, or one of its kind.
"""

from __future__ import annotations

import math
import re
from typing import Final

from fairbank.ontology._scanner_models import MODELS
from fairbank.ontology.record import UNKNOWN
from fairbank.ontology.vocabulary import stated_words

OTHER: Final = "other"
# (least, most, in tesla, both inclusive; word): makers write 1.494, 2.8936 and the like for nominal strengths.
_STRENGTHS: Final = ((0.95, 1.05, "1"), (1.4, 1.6, "1.5"), (2.8, 3.2, "3"), (6.7, 7.3, "7"))
_LOW_FIELD_T: Final = 0.95
FIELD_STRENGTHS: Final[tuple[str, ...]] = ("<1", "1", "1.5", "3", "7", OTHER, UNKNOWN)
# No magnet for people has 100 T, so such numbers are gauss, which some devices write. Between 30 and 100 they may be
# the frequency in MHz (63.87 for 1.5 T), and are nothing that can be used.
_SURELY_GAUSS: Final = 100.0
_GAUSS_PER_TESLA: Final = 10_000.0
_BRANDS: Final = re.compile(r"^(siemens |philips |ge |somatom |magnetom )+")


def _rules(text: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    pairs = (line.rsplit(" | ", 1) for line in text.strip().splitlines())
    return tuple((re.compile(pattern.strip()), name.strip()) for pattern, name in pairs)


_RULES: Final = {manufacturer: _rules(text) for manufacturer, text in MODELS.items()}
# By name, who makes it; a name that two makers use is nobody's alone.
_MAKERS: Final = {
    name: tuple(maker for maker, rules in _RULES.items() if any(name == each for _, each in rules))
    for rules in _RULES.values()
    for _, name in rules
}
MODEL_NAMES: Final[tuple[str, ...]] = tuple(sorted(_MAKERS))


def normalise_model(manufacturer: str, text: str | None) -> str:
    """Return one name per model for the spellings of (0008,1090): a known name, `other`, or `unknown`.

    Args:
        manufacturer: its normalised name; if that is `unknown`, the tables of all manufacturers are tried.
        text: what the header says.

    >>> normalise_model("Siemens", "Biograph64_mCT 4R"), normalise_model("GE", "LightSpeed QX/i")
    ('Biograph mCT', 'LightSpeed QXi')
    >>> normalise_model("Siemens", "CT of Dr. Doe"), normalise_model("Siemens", " ")
    ('other', 'unknown')
    """
    words = stated_words(text)
    if words is None:
        return UNKNOWN
    words = _BRANDS.sub("", words)
    tables = _RULES.values() if manufacturer == UNKNOWN else (_RULES.get(manufacturer, ()),)
    for rules in tables:
        for pattern, name in rules:
            if pattern.match(words):
                return name
    return OTHER


def makers_of(model: str) -> tuple[str, ...]:
    """Return who makes a model of the tables; nobody for other words.

    >>> makers_of("Signa HDxt"), makers_of("other")
    (('GE',), ())
    """
    return _MAKERS.get(model, ())


def field_strength(value: float | None) -> str:
    """Return the nominal strength of a magnet (0018,0087) in tesla: `<1`, `1`, `1.5`, `3`, `7`, `other`, `unknown`.

    Values above 100 are gauss. What lies between two nominal strengths is `other`.

    >>> [field_strength(value) for value in (1.494, 15000, 2.8936, 0.35, 4.7, 0, None)]
    ['1.5', '1.5', '3', '<1', 'other', 'unknown', 'unknown']
    """
    if value is None or not math.isfinite(value) or value <= 0:
        return UNKNOWN
    strength = tesla(value)
    if strength < _LOW_FIELD_T:
        return "<1"
    return next((word for least, most, word in _STRENGTHS if least <= strength <= most), OTHER)


def tesla(value: float) -> float:
    """Return a field strength in tesla; what can only be gauss is turned into it.

    >>> tesla(5000), tesla(3), tesla(11.7)
    (0.5, 3, 11.7)
    """
    return value / _GAUSS_PER_TESLA if value > _SURELY_GAUSS else value
