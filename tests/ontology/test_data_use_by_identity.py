"""Where the match differs from one that compares codes by identity only, as REMS does; the page lists each difference.

The reference below is written from REMS's decision record 019 (MIT): for each code of the dataset the request must
name the same code; a disease may be a kind of a permitted one, a date at or after the dataset's; other values go to
a person.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fairbank.ontology import duo
from fairbank.ontology.conditions import CONDITIONS, broader
from fairbank.ontology.data_use import match
from fairbank.ontology.data_use_facts import Allowed, Asked, AskedPerson, Shown, Verdict
from fairbank.ontology.data_use_limits import DataUseLimits
from fairbank.ontology.duo import TERMS, TermKind
from fairbank.ontology.signed_objects import EvidenceKind, OrganisationKind

OK, REVIEW, NO = Verdict.COMPATIBLE, Verdict.NEEDS_REVIEW, Verdict.INCOMPATIBLE
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "data-use.md"
NOW, UNTIL = datetime(2026, 6, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
MELANOMA, UVEAL, TUMOR, ANOTHER = "MONDO:0005105", "MONDO:0006486", "MONDO:0045024", "MONDO:0100253"
WORD = {each.curie: word for word, each in CONDITIONS.items()}
FITS = Asked(
    (duo.HMB, duo.GENETIC),
    NOW,
    organisation_kind=OrganisationKind.PUBLIC,
    commercial=False,
    country="AT",
    project="P",
    institution="I",
    account="ada",
    people=(AskedPerson("Bo", "I", "ada"),),
    evidence=(Shown(EvidenceKind.ETHICS_APPROVAL, UNTIL),),
    has_publication_plan=True,
    until=UNTIL,
)
BREAKS = replace(
    FITS,
    codes=(duo.GRU, duo.METHODS, duo.ANCESTRY),
    organisation_kind=OrganisationKind.FOR_PROFIT,
    commercial=True,
    country="CH",
    project="Q",
    institution="J",
    account="bob",
    people=(),
    evidence=(Shown(EvidenceKind.ETHICS_APPROVAL, datetime(2026, 1, 1, tzinfo=UTC)),),
    has_publication_plan=False,
    until=datetime(2029, 1, 1, tzinfo=UTC),
)
LIMITS = DataUseLimits(
    countries=("AT",),
    no_publication_before="2026-01",
    months=12,
    users=("ada",),
    projects=("P",),
    institutions=("I",),
    research_types=(duo.GENETIC,),
    collaborators=("I",),
)
WITH_A_VALUE = {duo.GS, duo.MOR, duo.TS, duo.US, duo.PS, duo.IS, duo.RS, duo.COL}


@dataclass(frozen=True)
class Case:
    """One code of a dataset, and a request: for the reference, its code and value; here, its facts."""

    name: str
    code: str
    allowed: DataUseLimits
    asked: Asked
    value: Any = None
    has_value: bool = False
    ancestors: dict[str, set[str]] = field(default_factory=dict)


def by_identity(case: Case) -> Verdict:
    """Return what a comparison by identity says."""
    if case.code not in case.asked.codes:
        return NO
    if case.code == duo.DS:
        wanted, given = set(case.allowed.diseases), set(case.asked.diseases)
        above = {wide for one in given for wide in case.ancestors.get(one, _above(one))}
        return OK if wanted & (given | above) else NO
    if case.code == duo.MOR and case.has_value:
        return (
            OK if case.value is not None and case.value >= (case.allowed.no_publication_before or "") else NO
        )
    return REVIEW if case.has_value else OK


def here(case: Case) -> Verdict:
    """Return what the match says of the same code."""
    found = match(case.asked, Allowed((case.code,), case.allowed))
    return max(each.verdict for each in found.explanations if each.code == case.code)


def _above(curie: str) -> set[str]:
    return {CONDITIONS[word].curie for word in broader(WORD.get(curie, ""))}


def cases() -> list[Case]:
    """Return REMS's own test cases, all pairs of permissions, and each modifier with fitting and unfitting facts."""
    permissions = [term for term in TERMS.values() if term.kind is TermKind.PERMISSION]
    modifiers = [term for term in TERMS.values() if term.kind is TermKind.MODIFIER]
    found = _of_rems()
    for dataset in permissions:
        for wish in permissions:
            both = dataset.code == wish.code == duo.DS
            diseases = (MELANOMA,) if both else ()
            asked = Asked((wish.code,), NOW, diseases=diseases)
            name = f"dataset {dataset.shorthand}, request {wish.shorthand}"
            found.append(Case(name, dataset.code, DataUseLimits(diseases=diseases), asked))
    for term in modifiers:
        value = term.code in WITH_A_VALUE
        named = replace(BREAKS, codes=(*BREAKS.codes, term.code))
        found.append(
            Case(f"{term.shorthand}: not named, facts fit", term.code, LIMITS, FITS, has_value=value)
        )
        found.append(
            Case(f"{term.shorthand}: named, facts do not fit", term.code, LIMITS, named, "2026-01", value)
        )
    return found


def _of_rems() -> list[Case]:
    nothing = DataUseLimits()
    above = {MELANOMA: {TUMOR}, UVEAL: {MELANOMA, TUMOR}}
    skin = Asked((duo.DS,), NOW, diseases=(MELANOMA, ANOTHER))
    project = Asked((duo.PS, duo.HMB), NOW, project="csc rems")
    dated = Asked((duo.MOR, duo.HMB), NOW)
    found = [
        Case("REMS 1: a code that is in no release, named", "DUO:9999999", nothing, Asked(("DUO:9999999",), NOW)),
        Case("REMS 2: DS, request names MOR only", duo.DS, DataUseLimits(diseases=(MELANOMA,)), Asked((duo.MOR,), NOW)),
        Case("REMS 3: PS, another spelling", duo.PS, DataUseLimits(projects=("CSC/REMS",)), project, has_value=True),
    ]  # fmt: skip
    for number, wanted in enumerate(((), (UVEAL,), (MELANOMA, UVEAL), (TUMOR,), (TUMOR, UVEAL)), start=4):
        diseases = DataUseLimits(diseases=wanted)
        name = f"REMS {number}: DS {'+'.join(one[6:] for one in wanted) or 'none'}, request 0005105+0100253"
        found.append(Case(name, duo.DS, diseases, skin, ancestors=above))
    for number, day in ((9, "2027-01"), (10, "2027-02"), (11, "2028-02")):
        until = DataUseLimits(no_publication_before="2027-02")
        found.append(Case(f"REMS {number}: MOR 2027-02, request {day}", duo.MOR, until, dated, day, True))
    return found


def table() -> dict[str, tuple[str, str, str]]:
    """Return the page's table: by case, both verdicts and why they differ."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text("utf-8").splitlines() if " | " in line]
    words = {each.word for each in Verdict}
    return {row[0]: (row[1], row[2], row[3]) for row in rows if len(row) == 4 and row[1] in words}


def test_the_reference_says_what_rems_says_of_its_own_cases() -> None:
    told = [by_identity(case) for case in _of_rems()]
    assert told == [OK, NO, REVIEW, NO, NO, OK, OK, OK, NO, OK, OK]


def test_every_difference_from_a_match_by_identity_is_on_the_page_and_argued() -> None:
    differ = {
        case.name: (by_identity(case).word, here(case).word)
        for case in cases()
        if by_identity(case) is not here(case)
    }
    written = table()
    assert {name: row[:2] for name, row in written.items()} == differ
    assert all(len(row[2]) > 20 for row in written.values())
