"""The match of what a request asks for with a dataset's data-use terms: a verdict per code, with its reason.

The match only explains; it grants nothing. The whole is as bad as its worst verdict. What the facts of a sealed request
and the values of a dataset (`data_use_limits`) do not settle goes to a person, never to a guess.
"""

from __future__ import annotations

from datetime import datetime

from fairbank.clock import parse_iso
from fairbank.ontology import data_use_diseases, data_use_modifiers, duo
from fairbank.ontology.data_use_facts import (
    Allowed,
    Asked,
    AskedPerson,
    Explanation,
    Match,
    Shown,
    Verdict,
)
from fairbank.ontology.data_use_limits import NO_LIMITS
from fairbank.ontology.data_use_modifiers import Judged, wanted
from fairbank.ontology.duo import TERMS, TermKind, named, within
from fairbank.ontology.record import DatasetRecord
from fairbank.ontology.signed_objects import Request

__all__ = [
    "TERMS", "Allowed", "Asked", "Explanation", "Match", "TermKind", "Verdict", "allowed_from", "asked_from",
    "match", "within",
]  # fmt: skip


def match(asked: Asked, allowed: Allowed) -> Match:
    """Judge a request by each data-use code of a dataset.

    >>> from datetime import UTC
    >>> asked = Asked((duo.HMB,), datetime(2026, 1, 1, tzinfo=UTC), commercial=True)
    >>> [each.verdict.word for each in match(asked, Allowed((duo.GRU, duo.NCU))).explanations]
    ['compatible', 'incompatible']
    """
    codes = tuple(dict.fromkeys(allowed.codes))
    explanations = [_judge(code, asked, allowed) for code in codes]
    if not any(code in TERMS and TERMS[code].kind is TermKind.PERMISSION for code in codes):
        reason = "The dataset states no permission, so its biobank has to say what it allows."
        explanations.insert(0, Explanation("", "no permission stated", Verdict.NEEDS_REVIEW, reason))
    if duo.CC in asked.codes:
        verdict, reason = data_use_modifiers.clinical_care(asked, codes)
        explanations = [each for each in explanations if each.code != duo.CC]
        explanations.append(Explanation(duo.CC, TERMS[duo.CC].label, verdict, reason))
    return Match(tuple(explanations))


def asked_from(request: Request, now: datetime) -> Asked:
    """Return the facts of a sealed request."""
    purpose = request.purpose
    return Asked(
        codes=purpose.data_use,
        now=now,
        diseases=purpose.diseases,
        organisation_kind=request.organisation_kind,
        commercial=purpose.commercial,
        country=request.country,
        project=request.project,
        institution=request.organisation,
        account=request.requester_account,
        people=tuple(AskedPerson(each.name, each.organisation, each.account) for each in request.people),
        evidence=tuple(
            Shown(each.kind, parse_iso(each.valid_until) if each.valid_until else None)
            for each in request.evidence
        ),
        has_publication_plan=request.publication_plan is not None,
        output_classes=request.output_classes,
        until=parse_iso(request.until),
    )


def allowed_from(record: DatasetRecord) -> Allowed:
    """Return what a dataset allows, as its record says."""
    said = record.stewardship
    return Allowed(record.data_use, (said.data_use_limits if said else None) or NO_LIMITS)


def _judge(code: str, asked: Asked, allowed: Allowed) -> Explanation:
    term = TERMS.get(code)
    if term is None:
        reason = "This code is not in the release of the ontology in use."
        return Explanation(code, "unknown code", Verdict.NEEDS_REVIEW, reason)
    if term.kind is TermKind.PERMISSION:
        verdict, reason = _permission(code, asked, allowed)
    elif term.kind is TermKind.MODIFIER:
        verdict, reason = data_use_modifiers.judge(code, asked, allowed.limits)
    else:
        verdict, reason = (
            Verdict.NEEDS_REVIEW,
            "It is a kind of research, and no term on which data may be used.",
        )
    return Explanation(code, term.label, verdict, reason)


def _permission(code: str, asked: Asked, allowed: Allowed) -> Judged:
    purposes = wanted(asked)
    if not purposes:
        return Verdict.NEEDS_REVIEW, "The request names no purpose by code."
    strangers = [each for each in purposes if each not in TERMS]
    if strangers:
        return (
            Verdict.NEEDS_REVIEW,
            f"The request names {named(strangers)}, which the ontology in use does not know.",
        )
    biomedical = any(within(each, duo.HMB) for each in purposes)
    # Developing methods is biomedical research when that is what the methods are for.
    judged = [
        each for each in purposes if not (each == duo.METHODS and biomedical and code in (duo.HMB, duo.DS))
    ]
    outside = [each for each in judged if not within(each, code)]
    if outside:
        return (
            Verdict.INCOMPATIBLE,
            f"The request asks for {named(outside)}, which goes beyond this permission.",
        )
    if code == duo.DS:
        return data_use_diseases.judge(asked.diseases, allowed.limits.diseases)
    return Verdict.COMPATIBLE, f"It covers {named(purposes)}."
