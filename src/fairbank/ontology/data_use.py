"""Data-use terms: the Data Use Ontology's codes, and the match of a request's purpose with a dataset's terms.

The match only explains; it grants nothing. Each code of a dataset gets a verdict with its reason, and the whole is as
bad as its worst verdict. What a code cannot say by itself (which disease, which region, until when) goes to a person.

Source: GA4GH Data Use Ontology, release 2021-02-23 (CC BY 4.0), http://purl.obolibrary.org/obo/duo.owl. That a purpose
within a permission's scope is permitted (no restriction ⊇ general research ⊇ biomedical ⊇ one disease) follows from the
codes' definitions; the ontology itself lists the permissions side by side.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

IRI_BASE: Final = "http://purl.obolibrary.org/obo/DUO_"


class TermKind(StrEnum):
    """What a code says."""

    PERMISSION = "permission"
    MODIFIER = "modifier"
    INVESTIGATION = "investigation"


class Verdict(IntEnum):
    """How one code of a dataset judges a purpose; the larger, the worse."""

    COMPATIBLE = 0
    NEEDS_REVIEW = 1
    INCOMPATIBLE = 2

    @property
    def word(self) -> str:
        """Return the verdict as it is shown and sent."""
        return self.name.lower().replace("_", "-")


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


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one code of a dataset permits a purpose, or not."""

    code: str
    label: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Match:
    """How a purpose fits a dataset's terms, code by code."""

    explanations: tuple[Explanation, ...]

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict; a dataset without codes needs review."""
        return max((each.verdict for each in self.explanations), default=Verdict.NEEDS_REVIEW)


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
_METHODS, _POPULATION, _ANCESTRY, _GENETIC = "DUO:0000031", "DUO:0000032", "DUO:0000033", "DUO:0000038"

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
    Term(_METHODS, "", "method development", _I, GRU),
    Term(_POPULATION, "", "population research", _I, GRU),
    Term(_ANCESTRY, "", "ancestry research", _I, POA),
    Term("DUO:0000034", "", "age category research", _I, GRU),
    Term("DUO:0000035", "", "gender category research", _I, GRU),
    Term("DUO:0000036", "", "research control", _I, GRU),
    Term("DUO:0000037", "", "biomedical research", _I, HMB),
    Term(_GENETIC, "", "genetic research", _I, HMB),
    Term("DUO:0000039", "", "drug development research", _I, HMB),
    Term("DUO:0000040", "", "disease category research", _I, DS),
)
TERMS: Final[dict[str, Term]] = {term.code: term for term in _LIST}

# A request that accepts the code on the left has accepted what those on the right ask.
_ACCEPTS: Final = {NPUNCU: frozenset({NPUNCU, NPU, NCU}), NPU: frozenset({NPU}), NCU: frozenset({NCU})}
_OBLIGATIONS: Final = {
    PUB: "results are published",
    RTN: "derived data are returned to the biobank",
}
_NEEDS_A_PERSON: Final = {
    COL: "collaboration with the biobank's investigators has to be agreed",
    IRB: "the ethics approval has to be seen",
    GS: "the requester's region has to be checked",
    MOR: "the date before which nothing may be published has to be agreed",
    TS: "the end date has to respect the time limit",
    US: "the requester has to be among the approved users",
    PS: "the project has to be the approved one",
    IS: "the institution has to be the approved one",
    RS: "the type of research has to be the permitted one",
}


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


def match(purpose: Collection[str], dataset: Collection[str]) -> Match:
    """Judge a purpose by each data-use code of a dataset.

    Args:
        purpose: the request's codes: permissions and kinds of investigation wanted, modifiers accepted.
        dataset: the dataset's codes: at best one permission and any modifiers.

    >>> match([HMB], [GRU, NPU]).verdict.word, match([HMB, NPUNCU], [GRU, NPU]).verdict.word
    ('incompatible', 'compatible')
    """
    wanted = [code for code in purpose if code not in TERMS or TERMS[code].kind is not _M]
    explanations = [_judge(code, wanted, frozenset(purpose)) for code in dict.fromkeys(dataset)]
    if not any(code in TERMS and TERMS[code].kind is _P for code in dataset):
        reason = "The dataset states no permission, so its biobank has to say what it allows."
        explanations.insert(0, Explanation("", "no permission stated", Verdict.NEEDS_REVIEW, reason))
    if CC in purpose:
        explanations.append(_clinical_care(frozenset(dataset)))
    return Match(tuple(explanations))


def _judge(code: str, wanted: list[str], purpose: frozenset[str]) -> Explanation:
    term = TERMS.get(code)
    if term is None:
        return Explanation(
            code,
            "unknown code",
            Verdict.NEEDS_REVIEW,
            "This code is not in the release of the ontology in use.",
        )
    verdict, reason = _permission(code, wanted) if term.kind is _P else _modifier(code, wanted, purpose)
    return Explanation(code, term.label, verdict, reason)


def _permission(code: str, wanted: list[str]) -> tuple[Verdict, str]:
    if not wanted:
        return Verdict.NEEDS_REVIEW, "The request names no purpose by code."
    strangers = [each for each in wanted if each not in TERMS]
    if strangers:
        return (
            Verdict.NEEDS_REVIEW,
            f"The request names {_names(strangers)}, which the ontology in use does not know.",
        )
    biomedical = any(within(each, HMB) for each in wanted)
    # Developing methods is biomedical research when that is what the methods are for.
    judged = [each for each in wanted if not (each == _METHODS and biomedical and code in (HMB, DS))]
    outside = [each for each in judged if not within(each, code)]
    if outside:
        return (
            Verdict.INCOMPATIBLE,
            f"The request asks for {_names(outside)}, which goes beyond this permission.",
        )
    if code == DS:
        return (
            Verdict.NEEDS_REVIEW,
            "A person has to compare the disease asked for with the disease permitted.",
        )
    return Verdict.COMPATIBLE, f"It covers {_names(wanted)}."


def _modifier(code: str, wanted: list[str], purpose: frozenset[str]) -> tuple[Verdict, str]:
    if code in _ACCEPTS:
        accepted = frozenset().union(*(_ACCEPTS[each] for each in purpose if each in _ACCEPTS))
        if code in accepted or (code == NPUNCU and {NPU, NCU} <= accepted):
            return Verdict.COMPATIBLE, "The request accepts this limit."
        return Verdict.INCOMPATIBLE, f"The request does not accept this limit (it would name {code})."
    if code in _OBLIGATIONS:
        if code in purpose:
            return Verdict.COMPATIBLE, "The request accepts this obligation."
        return Verdict.NEEDS_REVIEW, f"The requester has yet to accept that {_OBLIGATIONS[code]}."
    if code in _NEEDS_A_PERSON:
        return Verdict.NEEDS_REVIEW, f"A person has to decide: {_NEEDS_A_PERSON[code]}."
    if code == NPOA:
        return _forbids([each for each in wanted if within(each, POA) or each == _POPULATION])
    if code == NMDS:
        return _forbids([each for each in wanted if each == _METHODS])
    if code == GSO:
        if _GENETIC in wanted:
            return Verdict.COMPATIBLE, "The request is for genetic research."
        return Verdict.INCOMPATIBLE, "The request is not for genetic research."
    return Verdict.COMPATIBLE, "It widens what is permitted."


def _forbids(asked: list[str]) -> tuple[Verdict, str]:
    if asked:
        return Verdict.INCOMPATIBLE, f"It forbids {_names(asked)}, which the request asks for."
    return Verdict.COMPATIBLE, "The request does not ask for what it forbids."


def _clinical_care(dataset: frozenset[str]) -> Explanation:
    if CC in dataset or NRES in dataset:
        return Explanation(
            CC, TERMS[CC].label, Verdict.COMPATIBLE, "The dataset permits use in clinical care."
        )
    reason = "The request asks for use in clinical care, which the dataset does not permit."
    return Explanation(CC, TERMS[CC].label, Verdict.INCOMPATIBLE, reason)


def _names(codes: Collection[str]) -> str:
    return ", ".join(f"{TERMS[code].label} ({code})" if code in TERMS else code for code in codes)
