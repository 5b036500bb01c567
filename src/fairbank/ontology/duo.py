"""The codes of the Data Use Ontology, and which code's scope lies within which.

Source: GA4GH Data Use Ontology, release 2021-02-23 (CC BY 4.0), http://purl.obolibrary.org/obo/duo.owl. That a purpose
within a permission's scope is permitted (no restriction ⊇ general research ⊇ biomedical ⊇ one disease) follows from the
codes' definitions; the ontology itself lists the permissions side by side.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

IRI_BASE: Final = "http://purl.obolibrary.org/obo/DUO_"


class TermKind(StrEnum):
    """What a code says."""

    PERMISSION = "permission"
    MODIFIER = "modifier"
    INVESTIGATION = "investigation"


@dataclass(frozen=True, slots=True)
class Term:
    """One code of the ontology.

    Attributes:
        within: the code whose scope holds this one's; None at the top.
    """

    code: str
    shorthand: str
    label: str
    kind: TermKind
    within: str | None = None

    @property
    def iri(self) -> str:
        """Return the term's IRI."""
        return IRI_BASE + self.code.removeprefix("DUO:")


NRES, GRU, HMB, DS, POA = "DUO:0000004", "DUO:0000042", "DUO:0000006", "DUO:0000007", "DUO:0000011"
CC, NPOA, NMDS, GSO, RS = "DUO:0000043", "DUO:0000044", "DUO:0000015", "DUO:0000016", "DUO:0000012"
NPUNCU, NPU, NCU = "DUO:0000018", "DUO:0000045", "DUO:0000046"
PUB, COL, IRB, RTN = "DUO:0000019", "DUO:0000020", "DUO:0000021", "DUO:0000029"
GS, MOR, TS, US, PS, IS = (
    "DUO:0000022",
    "DUO:0000024",
    "DUO:0000025",
    "DUO:0000026",
    "DUO:0000027",
    "DUO:0000028",
)
METHODS, POPULATION, ANCESTRY, GENETIC = "DUO:0000031", "DUO:0000032", "DUO:0000033", "DUO:0000038"
DISEASE_CATEGORY = "DUO:0000040"

_P, _M, _I = TermKind.PERMISSION, TermKind.MODIFIER, TermKind.INVESTIGATION
_LIST: Final = (
    Term(NRES, "NRES", "no restriction", _P),
    Term(GRU, "GRU", "general research use", _P, NRES),
    Term(HMB, "HMB", "health or medical or biomedical research", _P, GRU),
    Term(DS, "DS", "disease specific research", _P, HMB),
    Term(POA, "POA", "population origins or ancestry research only", _P, GRU),
    Term(CC, "CC", "clinical care use", _M),
    Term(NPOA, "NPOA", "population origins or ancestry research prohibited", _M),
    Term(NMDS, "NMDS", "no general methods research", _M),
    Term(GSO, "GSO", "genetic studies only", _M),
    Term(RS, "RS", "research specific restrictions", _M),
    Term(NPUNCU, "NPUNCU", "not for profit, non commercial use only", _M),
    Term(NPU, "NPU", "not for profit organisation use only", _M),
    Term(NCU, "NCU", "non-commercial use only", _M),
    Term(PUB, "PUB", "publication required", _M),
    Term(COL, "COL", "collaboration required", _M),
    Term(IRB, "IRB", "ethics approval required", _M),
    Term(RTN, "RTN", "return to database or resource", _M),
    Term(GS, "GS", "geographical restriction", _M),
    Term(MOR, "MOR", "publication moratorium", _M),
    Term(TS, "TS", "time limit on use", _M),
    Term(US, "US", "user specific restriction", _M),
    Term(PS, "PS", "project specific restriction", _M),
    Term(IS, "IS", "institution specific restriction", _M),
    Term(METHODS, "", "method development", _I, GRU),
    Term(POPULATION, "", "population research", _I, GRU),
    Term(ANCESTRY, "", "ancestry research", _I, POA),
    Term("DUO:0000034", "", "age category research", _I, GRU),
    Term("DUO:0000035", "", "gender category research", _I, GRU),
    Term("DUO:0000036", "", "research control", _I, GRU),
    Term("DUO:0000037", "", "biomedical research", _I, HMB),
    Term(GENETIC, "", "genetic research", _I, HMB),
    Term("DUO:0000039", "", "drug development research", _I, HMB),
    Term(DISEASE_CATEGORY, "", "disease category research", _I, DS),
)
TERMS: Final[dict[str, Term]] = {term.code: term for term in _LIST}


def within(code: str, scope: str) -> bool:
    """Tell whether a code's scope lies within another's.

    >>> within(DS, HMB), within(HMB, DS), within(POA, HMB)
    (True, False, False)
    """
    here: str | None = code
    while here is not None:
        if here == scope:
            return True
        term = TERMS.get(here)
        here = term.within if term else None
    return False


def named(codes: Collection[str]) -> str:
    """Return codes as a sentence names them.

    >>> named([HMB])
    'health or medical or biomedical research (DUO:0000006)'
    """
    return ", ".join(f"{TERMS[code].label} ({code})" if code in TERMS else code for code in codes)
