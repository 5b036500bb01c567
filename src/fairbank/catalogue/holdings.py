"""What a dataset says beside its images: conditions, guideline, biorepositories, biomarkers, planned follow-up.

It is kept as it stands in the record. Here it becomes the JSON that readers get, the triples of the RDF view, which are
those that each export profile writes as well, and words for the text index.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from fairbank.catalogue.store import DatasetRow
from fairbank.ontology import terms
from fairbank.ontology.biomarkers import BIOMARKERS
from fairbank.ontology.conditions import CONDITIONS, broader, names
from fairbank.ontology.data_use_facts import Allowed
from fairbank.ontology.data_use_limits import NO_LIMITS, stated
from fairbank.ontology.duo import TERMS
from fairbank.ontology.profiles.facts import Iri, Literal, Term, Triple
from fairbank.ontology.stewardship import Stewardship

FIELDS: Final = (
    "annotation_guideline", "biorepositories", "omics_held", "health_records_held", "biomarkers",
    "planned_time_points", "planned_follow_up", "data_use_limits",
)  # fmt: skip


def kept(said: Stewardship | None) -> dict[str, Any]:
    """Return what is kept of it beside the conditions, in the form of the record."""
    return said.model_dump(mode="json", include=set(FIELDS), exclude_none=True) if said else {}


def condition_label(word: str) -> str:
    """Return the English name of a condition; a word that the list does not have stands for itself."""
    return CONDITIONS[word].label if word in CONDITIONS else word


def conditions_in_json(words: Iterable[str]) -> list[dict[str, Any]]:
    """Return conditions as readers get them: word, English name and IRI."""
    known = ((word, CONDITIONS.get(word)) for word in words)
    return [
        {"word": word, "label": condition_label(word), "iri": found.iri if found else None}
        for word, found in known
    ]


def in_json(holdings: dict[str, Any]) -> dict[str, Any]:
    """Return the other fields as readers get them, each always there: null or empty is not stated."""
    said = _read(holdings)
    guideline = said.annotation_guideline
    return {
        "annotation_guideline": guideline.model_dump(mode="json") if guideline else None,
        "biorepositories": list(said.biorepositories),
        "omics_held": said.omics_held,
        "health_records_held": said.health_records_held,
        "biomarkers": [_biomarker(name) for name in said.biomarkers],
        "planned_time_points": said.planned_time_points,
        "planned_follow_up": said.planned_follow_up,
        "data_use_limits": _limits(said),
    }


def triples(iri: str, conditions: list[Any], holdings: dict[str, Any]) -> Iterator[Triple]:
    """Yield the triples of a dataset about it."""
    said = _read(holdings)
    for word in conditions:
        if word in CONDITIONS:
            yield iri, terms.DCT + "subject", Iri(CONDITIONS[word].iri)
    if (guideline := said.annotation_guideline) is not None:
        about = f"{iri}#annotation-guideline"
        yield from _linked(iri, terms.ANNOTATION_GUIDELINE, about, terms.FOAF + "Document")
        yield about, terms.DCT + "title", Literal(guideline.title)
        if guideline.page is not None:
            yield about, terms.FOAF + "page", Iri(guideline.page)
    for place, named in enumerate(dict.fromkeys(said.biorepositories), start=1):
        about = f"{iri}#biorepository-{place}"
        yield from _linked(iri, terms.BIOREPOSITORY, about, terms.DCAT + "Resource")
        is_address = named.startswith("http")
        yield (
            about,
            *(
                (terms.FOAF + "page", Iri(named))
                if is_address
                else (terms.DCT + "identifier", Literal(named))
            ),
        )
    for marker in (BIOMARKERS[name] for name in dict.fromkeys(said.biomarkers) if name in BIOMARKERS):
        about = f"{iri}#biomarker-{marker.name}"
        yield from _linked(iri, terms.IMAGING_BIOMARKER, about, terms.SKOS + "Concept")
        yield about, terms.LABEL, Literal(marker.label)
        yield about, terms.SKOS + "notation", Literal(marker.notation)
        if marker.iri is not None:
            yield about, terms.SKOS + "exactMatch", Iri(marker.iri)
    for code, value in stated(said.data_use_limits):
        yield iri, terms.DATA_USE_LIMIT, Literal(f"{code} {value}")
    yield from _plain(iri, said)


def allowed(row: DatasetRow) -> Allowed:
    """Return what a dataset allows, as the newest version of its record says."""
    return Allowed(tuple(row.data_use), _read(row.holdings).data_use_limits or NO_LIMITS)


def words(said: Stewardship | None) -> str:
    """Return the words by which a dataset is found: names of conditions in all languages, broader ones, biomarkers."""
    if said is None:
        return ""
    found = [name for word in said.conditions for name in names(word)]
    found += [CONDITIONS[wider].label for word in said.conditions for wider in broader(word)]
    found += [
        text
        for name in said.biomarkers
        for text in (name, BIOMARKERS[name].label if name in BIOMARKERS else "")
    ]
    return " ".join(dict.fromkeys((*found, *said.biorepositories)))


def _plain(iri: str, said: Stewardship) -> Iterator[Triple]:
    values: tuple[tuple[str, Any, str], ...] = (
        (terms.OMICS_HELD, said.omics_held, "boolean"),
        (terms.HEALTH_RECORDS_HELD, said.health_records_held, "boolean"),
        (terms.PLANNED_TIME_POINTS, said.planned_time_points, "integer"),
        (terms.PLANNED_FOLLOW_UP, said.planned_follow_up, "duration"),
    )
    for path, value, datatype in values:
        if value is not None:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            yield iri, path, Literal(text, terms.XSD + datatype)


def _linked(iri: str, path: str, about: str, of_class: str) -> Iterator[tuple[str, str, Term]]:
    yield iri, path, Iri(about)
    yield about, terms.TYPE, Iri(of_class)


def _read(holdings: dict[str, Any]) -> Stewardship:
    return Stewardship.model_validate_json(json.dumps(holdings))


def _limits(said: Stewardship) -> list[dict[str, str]]:
    return [
        {"code": code, "label": TERMS[code].label, "value": value}
        for code, value in stated(said.data_use_limits)
    ]


def _biomarker(name: str) -> dict[str, Any]:
    known = BIOMARKERS.get(name)
    if known is None:
        return {"name": name, "label": name, "code": None, "iri": None}
    return {"name": name, "label": known.label, "code": known.notation, "iri": known.iri}
