"""Entries of an audit log as provenance (PROV-O): who did what, to what, with what, and what came of it.

An entry is an activity; its actor an agent; its target, and what its detail names, are entities. What an act makes is
derived from what it used: a job from its visa, so a question can go from a model to the committee that allowed it.
Pure: from an entry to triples, no store.

Source: PROV-O, W3C Recommendation of 30 April 2013, sections 3.1 (starting-point terms) and 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from fairbank.ontology import terms

_ACTIVITY, _AGENT, _ENTITY = (terms.PROV + name for name in ("Activity", "Agent", "Entity"))
_XSD: Final = "http://www.w3.org/2001/XMLSchema#"
MOMENT: Final = _XSD + "dateTime"
TEXT: Final = _XSD + "string"
# Verbs that bring their target about; others use it.
_MAKING: Final = frozenset(
    {
        "create",
        "submit",
        "make",
        "seal",
        "publish",
        "stage",
        "receive",
        "close",
        "init",
        "enrol",
        "invite",
        "cast",
    }
)
# What the names in a detail stand for; those in the plural hold several.
_NAMED: Final[Mapping[str, str]] = {
    "approval": "approvals",
    "code": "digests",
    "committee": "committees",
    "dataset": "datasets",
    "digest": "digests",
    "inputs": "digests",
    "invitation": "invitations",
    "job": "jobs",
    "leg": "legs",
    "manifest": "manifests",
    "node": "nodes",
    "nodes": "nodes",
    "outputs": "digests",
    "proposal": "proposals",
    "request": "requests",
    "shrinkage": "digests",
    "visa": "visas",
}
_OF_JOBS: Final = frozenset({"job", "round", "site"})


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of an audit log; `at` as on the wire."""

    seq: int
    at: str
    actor: str
    act: str
    target: str
    detail: Mapping[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class Triple:
    """A statement; its object is an IRI if `datatype` is None, else a literal of that type."""

    subject: str
    predicate: str
    object: str
    datatype: str | None = None


def entry_iri(log_iri: str, seq: int) -> str:
    """Return the IRI of an entry's activity.

    >>> entry_iri("http://hub.test/audit", 7)
    'http://hub.test/audit/7'
    """
    return f"{log_iri}/{seq}"


def thing_iri(base_iri: str, kind: str, name: str) -> str:
    """Return the IRI of what a log names: as it is if it is one, else by kind and name below the base.

    >>> thing_iri("http://hub.test", "jobs", "0193")
    'http://hub.test/jobs/0193'
    >>> thing_iri("http://hub.test", "datasets", "http://hub.test/datasets/a/b")
    'http://hub.test/datasets/a/b'
    """
    if name.startswith(("http://", "https://")):
        return quote(name, safe="/:#?&=%@+,;~!$'()*[]-._")
    return f"{base_iri}/{kind}/{quote(name, safe=':-._~')}"


def triples(entry: Entry, *, base_iri: str, log_iri: str) -> Iterator[Triple]:
    """Return an entry as provenance.

    Args:
        base_iri: base of the IRIs of what the log names.
        log_iri: the IRI of the log.
    """
    activity = entry_iri(log_iri, entry.seq)
    agent = thing_iri(base_iri, "agents", entry.actor)
    noun, _, verb = entry.act.partition(".")
    target = thing_iri(base_iri, _kind(noun), entry.target)
    yield Triple(activity, terms.TYPE, _ACTIVITY)
    yield Triple(activity, terms.DCT + "type", entry.act, TEXT)
    yield Triple(activity, terms.DCT + "identifier", entry.hash, TEXT)
    yield Triple(activity, terms.PROV + "startedAtTime", entry.at, MOMENT)
    yield Triple(activity, terms.PROV + "endedAtTime", entry.at, MOMENT)
    yield Triple(agent, terms.TYPE, _AGENT)
    yield Triple(activity, terms.PROV + "wasAssociatedWith", agent)
    yield Triple(target, terms.TYPE, _ENTITY)
    used = sorted(set(_used(entry, base_iri)) - {target})
    made = verb in _MAKING
    if made:
        yield Triple(target, terms.PROV + "wasGeneratedBy", activity)
    else:
        yield Triple(activity, terms.PROV + "used", target)
    for iri in used:
        yield Triple(iri, terms.TYPE, _ENTITY)
        yield Triple(activity, terms.PROV + "used", iri)
        if made:
            yield Triple(target, terms.PROV + "wasDerivedFrom", iri)


def visa_triples(
    digest: str, *, request: str, request_digest: str, datasets: list[str], base_iri: str
) -> Iterator[Triple]:
    """Return what a visa says about itself: the request it answers, and the datasets it opens."""
    visa = thing_iri(base_iri, "visas", digest)
    asked = thing_iri(base_iri, "requests", request)
    yield Triple(visa, terms.TYPE, _ENTITY)
    yield Triple(visa, terms.VISA_DIGEST, digest, TEXT)
    yield Triple(visa, terms.PROV + "wasDerivedFrom", asked)
    yield Triple(asked, terms.TYPE, _ENTITY)
    yield Triple(asked, terms.DCT + "identifier", request_digest, TEXT)
    for dataset in datasets:
        yield Triple(visa, terms.DCT + "references", dataset)


def turtle(statements: Iterator[Triple]) -> Iterator[str]:
    """Write statements as lines of Turtle that need no prefixes.

    Source: RDF 1.1 Turtle, section 6.4 (escapes).

    >>> next(turtle(iter([Triple("urn:a", "urn:b", 'say "x"', TEXT)])))
    '<urn:a> <urn:b> "say \\\\"x\\\\""^^<http://www.w3.org/2001/XMLSchema#string> .\\n'
    """
    for one in statements:
        said = f"<{one.object}>" if one.datatype is None else f'"{_escaped(one.object)}"^^<{one.datatype}>'
        yield f"<{one.subject}> <{one.predicate}> {said} .\n"


def _used(entry: Entry, base_iri: str) -> Iterator[str]:
    for key, value in entry.detail.items():
        kind = _NAMED.get(key)
        if kind is None:
            continue
        values = value if isinstance(value, list) else value.keys() if isinstance(value, dict) else [value]
        yield from (thing_iri(base_iri, kind, each) for each in values if isinstance(each, str) and each)
    datasets = entry.detail.get("datasets")
    if isinstance(datasets, list):
        yield from (thing_iri(base_iri, "datasets", str(each)) for each in datasets)


def _kind(noun: str) -> str:
    return "jobs" if noun in _OF_JOBS else f"{quote(noun or 'thing', safe='-')}s"


def _escaped(text: str) -> str:
    return "".join(
        f"\\u{ord(letter):04X}" if ord(letter) < 0x20 else _SHORT.get(letter, letter) for letter in text
    )


_SHORT: Final = {'"': '\\"', "\\": "\\\\"}
