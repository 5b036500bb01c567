"""The report as a whole: record of processing, what left, and the annex for an impact assessment."""

from __future__ import annotations

from dataclasses import replace

from fairbank.federated_jobs.node.gdpr.assessment import assessment
from fairbank.federated_jobs.node.gdpr.document import Document
from fairbank.federated_jobs.node.gdpr.facts import gather
from fairbank.federated_jobs.node.gdpr.processing import record
from fairbank.release.node import Node


def gdpr_report(node: Node) -> Document:
    """Return the report of a node, as it is now.

    Raises:
        PeopleDamaged, SuccessionUntrusted, GrantUntrusted: if what is kept of persons, keys or grants was changed.
    """
    facts = gather(node)
    whole = record(facts, node.settings)
    return replace(whole, sections=(*whole.sections, *assessment(facts, node.settings)))
