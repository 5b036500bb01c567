"""How the subjects of a node's projects stand, as numbers for its curator; none of it leaves the node."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from fairbank.database import reading
from fairbank.deid.pseudonyms import subject_value
from fairbank.errors import Sensitive
from fairbank.harvest.consent import EVERY_PROJECT, LegalBasis, Standing
from fairbank.harvest.consent_store import BasisRow, ConsentRow
from fairbank.harvest.consents import Gate, gate, identity_of, standing_of, standings
from fairbank.harvest.store import DatasetRow
from fairbank.release.node import Node

SOON_DAYS = 30


@dataclass(frozen=True, slots=True)
class ProjectConsent:
    """How a project's subjects stand today.

    Attributes:
        basis: the basis on record; None: it takes consent.
        subjects: subjects whom the node has taken in and not forgotten.
        counted: how many of them may be indexed and counted.
        standings: how many stand how.
        expiring: whose consent ends within `SOON_DAYS` days.
    """

    project: str
    basis: LegalBasis | None
    subjects: int
    counted: int
    standings: dict[Standing, int]
    expiring: int


def project_consent(node: Node, project: str) -> ProjectConsent:
    """Return how a project's subjects stand today."""
    now = node.clock.now()
    with identity_of(node) as identity, reading(node.engine) as session:
        opened = gate(session, project, at=now)
        soon = Gate(project, opened.day + timedelta(days=SOON_DAYS), opened.basis)
        found = standings(session, identity, opened)
        later = standings(session, identity, soon)
    expiring = [
        one
        for one, stands in found.items()
        if stands is Standing.CONSENTED and later[one] is Standing.EXPIRED
    ]
    return ProjectConsent(
        project=project,
        basis=opened.basis,
        subjects=len(found),
        counted=sum(opened.admits(stands) for stands in found.values()),
        standings=dict(Counter(found.values())),
        expiring=len(expiring),
    )


def projects(node: Node) -> list[str]:
    """Return all projects of which the node knows anything, sorted."""
    with identity_of(node) as identity, reading(node.engine) as session:
        named = set(identity.projects())
        for column in (ConsentRow.project, BasisRow.project, DatasetRow.project):
            named |= set(session.scalars(select(column).distinct()))
    return sorted(named - {EVERY_PROJECT})


def data_use_codes(node: Node, project: str) -> dict[str, int]:
    """Return how many statements on a project, or on all, name which data-use code."""
    with reading(node.engine) as session:
        said = session.scalars(
            select(ConsentRow.data_use).where(ConsentRow.project.in_((project, EVERY_PROJECT)))
        )
        return dict(sorted(Counter(code for codes in said for code in codes).items()))


def patient_standings(
    node: Node, patients: list[Sensitive[str]], project: str, *, issuer: str = ""
) -> list[tuple[Standing, bool]]:
    """Return of each patient, named as the archive does, how they stand and whether they may be counted."""
    with identity_of(node) as identity, reading(node.engine) as session:
        opened = gate(session, project, at=node.clock.now())
        keys = [identity.consent_key(subject_value(one.reveal(), issuer)) for one in patients]
        found = [standing_of(session, key, opened) for key in keys]
    return [(stands, opened.admits(stands)) for stands in found]
