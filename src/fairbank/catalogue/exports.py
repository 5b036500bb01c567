"""A dataset by the export profiles: its document as RDF and its scorecards, from the record as its node sealed it."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Any

import pyoxigraph as ox
from sqlalchemy.orm import Session

from fairbank.catalogue import graph_writing, history
from fairbank.catalogue.context import Hub
from fairbank.catalogue.description import rdf_term
from fairbank.catalogue.store import DatasetRow
from fairbank.clock import iso
from fairbank.ontology.profiles import namespaces
from fairbank.ontology.profiles.document import triples
from fairbank.ontology.profiles.facts import Facts, Triple
from fairbank.ontology.profiles.judging import Score, State
from fairbank.ontology.profiles.listing import PROFILES, profile_named
from fairbank.ontology.profiles.rows import Profile, Severity
from fairbank.ontology.profiles.scorecard import left, scorecard
from fairbank.ontology.record import DatasetRecord


def document(session: Session, hub: Hub, row: DatasetRow, *, profile: str) -> list[Triple]:
    """Return a dataset's document in a profile.

    Raises:
        UnknownProfile: if there is no such profile.
    """
    chosen = profile_named(profile)
    return triples(chosen, facts_of(session, hub, row, chosen))


def written(document: Iterable[Triple], media_type: str) -> bytes:
    """Return triples in one of the graph formats."""
    return serialized(as_triples(document), media_type)


def serialized(triples: Iterable[ox.Triple], media_type: str) -> bytes:
    """Return triples of the RDF library in one of the graph formats."""
    return graph_writing.written(triples, media_type, prefixes=namespaces.PREFIXES)


def as_triples(document: Iterable[Triple]) -> Iterator[ox.Triple]:
    """Yield the triples of a document as the RDF library takes them, without those that name no real IRI."""
    for subject, path, value in document:
        # A link that a record has wrong must not keep all the rest from being read.
        with contextlib.suppress(ValueError):
            yield ox.Triple(ox.NamedNode(subject), ox.NamedNode(path), rdf_term(value))


def quality(session: Session, hub: Hub, row: DatasetRow, *, profile: str | None) -> dict[str, Any]:
    """Return a dataset's scorecards, of one profile or of all.

    Raises:
        UnknownProfile: if there is no such profile.
    """
    chosen = [profile_named(profile)] if profile is not None else list(PROFILES.values())
    return {
        "schema": "quality/1",
        "iri": row.iri,
        "node": row.node,
        "dataset": row.dataset,
        "version": row.version,
        "profiles": [card(each, scorecard(each, facts_of(session, hub, row, each))) for each in chosen],
    }


def profiles() -> Iterable[dict[str, Any]]:
    """Yield each profile in a few words."""
    for profile in PROFILES.values():
        asked = [row.severity for _, row in profile.rows()]
        yield {
            "name": profile.name,
            "title": profile.title,
            "covers": profile.covers,
            "source": profile.source,
            "mandatory": asked.count(Severity.VIOLATION),
            "recommended": asked.count(Severity.WARNING),
            "optional": asked.count(Severity.INFO),
        }


def facts_of(session: Session, hub: Hub, row: DatasetRow, profile: Profile) -> Facts:
    """Return what a profile's document of a dataset is made from: its newest record, and what the hub knows."""
    newest = history.find_version(session, row, row.version)
    record = _opened(newest.envelope, newest.signer)
    return Facts(record, hub.base_iri, iso(row.first_published), profile.name)


@lru_cache(maxsize=8)
def _opened(envelope: bytes, signer: str) -> DatasetRecord:
    # Opening a record of ten thousand cells takes the better part of a second, and anybody may ask for it.
    return DatasetRecord.open(envelope, trusted=[signer])[0]


def card(profile: Profile, scores: Collection[Score]) -> dict[str, Any]:
    """Return a scorecard in the form that readers get."""
    return {
        "profile": profile.name,
        "title": profile.title,
        "applies": not any(
            score.state is State.UNFIT and score.row.value == "access_rights" for score in scores
        ),
        "violations": left(scores, Severity.VIOLATION),
        "warnings": left(scores, Severity.WARNING),
        "infos": left(scores, Severity.INFO),
        "properties": [_score(score) for score in scores],
    }


def _score(score: Score) -> dict[str, Any]:
    return {
        "resource": score.table.name,
        "subject": score.subject,
        "property": score.name,
        "state": score.state.value,
        "severity": score.severity.value.lower(),
        "filler": score.filler.value,
        "field": score.field,
        "note": score.note,
    }
