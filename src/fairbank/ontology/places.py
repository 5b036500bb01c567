"""Countries, and rules that name them: where something may go, as a site writes it down.

Codes are ISO 3166-1 alpha-2. Sources: the Agreement on the European Economic Area (the 27 member states, Iceland,
Liechtenstein, Norway); decisions on adequate protection under GDPR article 45 as the European Commission lists them.
Decisions that hold for some recipients only (Canada: commercial organisations; United States: those that take part in
the Data Privacy Framework) are left out: a site that relies on one names the country itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fairbank.ontology.errors import MalformedObject
from fairbank.ontology.wire import Country, Part

_EUROPEAN_UNION = (
    *(
        "AT",
        "BE",
        "BG",
        "CY",
        "CZ",
        "DE",
        "DK",
        "EE",
        "ES",
        "FI",
        "FR",
        "GR",
        "HR",
        "HU",
        "IE",
        "IT",
        "LT",
        "LU",
    ),
    *("LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
)
EEA = frozenset((*_EUROPEAN_UNION, "IS", "LI", "NO"))
ADEQUATE = EEA | {"AD", "AR", "CH", "FO", "GB", "GG", "IL", "IM", "JE", "JP", "KR", "NZ", "UY"}
_COUNTRY = re.compile(r"[A-Z]{2}")


PlaceWords = Annotated[tuple[Literal["any", "own", "EEA", "adequate"] | Country, ...], Field(max_length=300)]


class NodePlace(Part):
    """Where a node is, and where it lets results, updates and its peers be, as everyone may know."""

    country: Country | None = None
    results: PlaceWords = ("any",)
    updates: PlaceWords = ("any",)
    peers: PlaceWords = ("any",)


@dataclass(frozen=True, slots=True)
class PlaceRule:
    """Where something may go; `anywhere` asks nothing, not even that the place is known.

    >>> rule = place_rule("EEA CH")
    >>> rule.allows("DE", own=None), rule.allows("US", own=None), rule.allows(None, own=None)
    (True, False, False)
    """

    anywhere: bool
    own: bool
    countries: frozenset[str]

    def allows(self, country: str | None, *, own: str | None) -> bool:
        """Tell whether something may go to a country; None is one that nobody names.

        Args:
            own: the country of whoever has the rule, None if it is not set.
        """
        if self.anywhere:
            return True
        if country is None:
            return False
        return country in self.countries or (self.own and country == own)


def place_rule(text: str) -> PlaceRule:
    """Read a rule: `any`, or words with spaces between: country codes, `EEA`, `adequate`, `own`.

    Raises:
        MalformedObject: if a word is none of these, `any` has company, or there is none.
    """
    words = text.split()
    if words == ["any"]:
        return PlaceRule(anywhere=True, own=False, countries=frozenset())
    countries: set[str] = set()
    for word in words:
        if word == "EEA":
            countries |= EEA
        elif word == "adequate":
            countries |= ADEQUATE
        elif _COUNTRY.fullmatch(word):
            countries.add(word)
        elif word != "own":
            raise _unreadable(word)
    if not words:
        raise _unreadable("")
    return PlaceRule(anywhere=False, own="own" in words, countries=frozenset(countries))


def _unreadable(word: str) -> MalformedObject:
    return MalformedObject(
        f"{word[:20]!r} is no country and no group of countries.",
        why="A rule is 'any', or country codes of two capitals, 'EEA', 'adequate' and 'own', with spaces between.",
        todo="Correct the rule.",
    )
