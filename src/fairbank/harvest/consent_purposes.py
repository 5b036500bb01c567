"""The purposes that a consent names, and whether the purpose of a job is among them.

A consent may be limited by data-use codes, and by MONDO ids where it is for some diseases. A job may use the images of
its subject only if each of them is compatible with what the job's request signs; what a person would have to judge of a
dataset counts as no here, because nobody is asked subject by subject.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairbank.ontology.data_use import match
from fairbank.ontology.data_use_facts import Allowed, Asked, Verdict
from fairbank.ontology.data_use_limits import DataUseLimits
from fairbank.ontology.duo import GRU, TERMS, TermKind

MONDO: Final = "MONDO:"
# What stands for a scope that has not been worked out; no purpose is within it.
NOT_WORKED_OUT: Final = "?"


def scope_of(data_use: Iterable[str]) -> str:
    """Return codes as the index keeps them.

    >>> scope_of(["DUO:0000007", "MONDO:0008903"]), scope_of([])
    ('DUO:0000007 MONDO:0008903', '')
    """
    return " ".join(sorted(set(data_use)))


def covers(scope: str, asked: Asked) -> bool:
    """Return whether a purpose is within a scope; one that names no purpose covers all."""
    if not scope:
        return True
    words = scope.split()
    codes = tuple(word for word in words if not word.startswith(MONDO))
    diseases = tuple(word for word in words if word.startswith(MONDO))
    if not any(code in TERMS and TERMS[code].kind is TermKind.PERMISSION for code in codes):
        # Who consents to research and names limits only has named none to its kind.
        codes = (GRU, *codes)
    limits = DataUseLimits(diseases=diseases)
    return match(asked, Allowed(codes, limits)).verdict is Verdict.COMPATIBLE


def covering(scopes: Iterable[str], asked: Asked) -> frozenset[str]:
    """Return those of some scopes that a purpose is within."""
    return frozenset(scope for scope in scopes if covers(scope, asked))
