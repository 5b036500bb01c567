"""Whether diseases that are asked for are within those that are allowed, by MONDO id; never a guess.

The ancestry is that of `conditions.py`, a small hand-kept part of MONDO. What is not in it counts only where both sides
write the same id; anything else goes to a person.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairbank.ontology.conditions import CONDITIONS, broader
from fairbank.ontology.data_use_facts import Verdict

_WORD_OF = {each.curie: word for word, each in CONDITIONS.items()}


def judge(asked: Sequence[str], allowed: Sequence[str]) -> tuple[Verdict, str]:
    """Return whether all diseases that are asked for are among the allowed, or kinds of them, and why."""
    if not allowed:
        return Verdict.NEEDS_REVIEW, "The dataset does not say which disease; its biobank has to."
    if not asked:
        return Verdict.NEEDS_REVIEW, f"The request names no disease; {_list(allowed)} is permitted."
    found = [(each, *_one(each, allowed)) for each in asked]
    worst = max(verdict for _, verdict, _ in found)
    return worst, " ".join(reason for _, verdict, reason in found if verdict is worst)


def name(curie: str) -> str:
    """Return a disease as a sentence names it.

    >>> name("MONDO:0008903"), name("MONDO:9999999")
    ('lung cancer (MONDO:0008903)', 'MONDO:9999999')
    """
    word = _WORD_OF.get(curie)
    return f"{CONDITIONS[word].label[0].lower()}{CONDITIONS[word].label[1:]} ({curie})" if word else curie


def _one(asked: str, allowed: Sequence[str]) -> tuple[Verdict, str]:
    if asked in allowed:
        return Verdict.COMPATIBLE, f"It is for {name(asked)}, which is permitted."
    word = _WORD_OF.get(asked)
    above = broader(word) if word else ()
    for each in allowed:
        if _WORD_OF.get(each) in above:
            return Verdict.COMPATIBLE, f"It is for {name(asked)}, a kind of {name(each)}, which is permitted."
    verdict = min(_apart(word, _WORD_OF.get(each)) for each in allowed)
    if verdict is Verdict.INCOMPATIBLE:
        return verdict, f"It is for {name(asked)}, which is not {_list(allowed)} nor a kind of it."
    return verdict, (
        f"It is for {name(asked)}; whether that is within {_list(allowed)} is not in the ancestry kept here."
    )


def _apart(asked: str | None, allowed: str | None) -> Verdict:
    """Judge two diseases neither of which is known to be a kind of the other in the wanted direction."""
    if asked is None or allowed is None:
        return Verdict.NEEDS_REVIEW
    if asked in broader(allowed):
        return Verdict.INCOMPATIBLE
    # Where the table names nothing broader, what there is above is not certain.
    return Verdict.INCOMPATIBLE if CONDITIONS[asked].broader else Verdict.NEEDS_REVIEW


def _list(curies: Sequence[str]) -> str:
    return " or ".join(name(each) for each in curies)
