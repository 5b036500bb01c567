"""How a request fits the data-use terms of a dataset, as its leg keeps it; this explains and grants nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fairbank.catalogue import holdings
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.governance.drafts import Draft
from fairbank.catalogue.store import DatasetRow
from fairbank.clock import parse_iso
from fairbank.ontology import data_use
from fairbank.ontology.data_use_facts import AskedPerson, Shown
from fairbank.ontology.signed_objects import Request


def match_of(request: Request, dataset: DatasetRow) -> tuple[str, list[Any]]:
    """Return the verdict and its explanations, code by code, as of the moment at which the request was made."""
    return _told(data_use.asked_from(request, parse_iso(request.created)), dataset)


def match_of_draft(draft: Draft, who: Account, dataset: DatasetRow, now: datetime) -> tuple[str, list[Any]]:
    """Return the same for what has been written so far: what a draft does not say goes to a person."""
    asked = data_use.Asked(
        codes=draft.data_use,
        now=now,
        diseases=draft.diseases,
        organisation_kind=draft.organisation_kind,
        commercial=draft.commercial,
        country=draft.country,
        project=draft.project,
        institution=draft.organisation or who.organisation,
        account=who.name,
        people=tuple(AskedPerson(each.name, each.organisation, each.account) for each in draft.people),
        evidence=tuple(
            Shown(each.kind, parse_iso(each.valid_until) if each.valid_until else None)
            for each in draft.evidence
        ),
        has_publication_plan=draft.publication_plan is not None,
        output_classes=draft.output_classes,
        until=parse_iso(draft.until) if draft.until else None,
    )
    return _told(asked, dataset)


def _told(asked: data_use.Asked, dataset: DatasetRow) -> tuple[str, list[Any]]:
    judged = data_use.match(asked, holdings.allowed(dataset))
    explanations = [
        {"code": each.code, "label": each.label, "verdict": each.verdict.word, "reason": each.reason}
        for each in judged.explanations
    ]
    return judged.verdict.word, explanations
