"""How a request fits the data-use terms of a dataset, as its leg keeps it; this explains and grants nothing."""

from __future__ import annotations

from typing import Any

from fairbank.catalogue import holdings
from fairbank.catalogue.store import DatasetRow
from fairbank.clock import parse_iso
from fairbank.ontology import data_use
from fairbank.ontology.signed_objects import Request


def match_of(request: Request, dataset: DatasetRow) -> tuple[str, list[Any]]:
    """Return the verdict and its explanations, code by code, as of the moment at which the request was made."""
    asked = data_use.asked_from(request, parse_iso(request.created))
    judged = data_use.match(asked, holdings.allowed(dataset))
    explanations = [
        {"code": each.code, "label": each.label, "verdict": each.verdict.word, "reason": each.reason}
        for each in judged.explanations
    ]
    return judged.verdict.word, explanations
