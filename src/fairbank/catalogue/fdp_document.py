"""A document that somebody writes to the FAIR Data Point: what it may speak about, and the form in which it is kept.

Pure: triples in, triples out. A document describes one resource. Its IRI is the hub's, whatever the document calls it;
blank nodes get IRIs below it, and nothing else is spoken about, so the graphs of the RDF view stay disjoint. Numbers
of subjects and images are said by the node that counted them, never here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

import pyoxigraph as ox

from fairbank.catalogue.errors import DocumentRefused, ParentRefused
from fairbank.ontology import terms
from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles.fdp_described import Kind

_TYPE: Final = ox.NamedNode(terms.TYPE)
PART_OF: Final = ox.NamedNode(terms.DCT + "isPartOf")
VERSION: Final = ox.NamedNode(terms.DCT + "hasVersion")
CONFORMS: Final = ox.NamedNode(terms.DCT + "conformsTo")
# How a resource names its children; the hub says that by itself.
CHILDREN: Final = {Kind.CATALOG: terms.DCAT + "dataset", Kind.DATASET: terms.DCAT + "distribution"}
# The hub's own words about the metadata; a document that was read, changed and sent back has them.
_MANAGED: Final = frozenset(
    ns.FDP_O + name for name in ("metadataIdentifier", "metadataIssued", "metadataModified")
)
_ONLY_AT_THE_TOP: Final = frozenset(
    {*(terms.DCAT + name for name in ("Catalog", "Dataset")), ns.FDP_O + "FAIRDataPoint"}
)
# Counts and what they are made of; the cube's own classes too.
_OF_NODES: Final = (terms.FB, terms.QB)
_SKOLEM: Final = "genid-"
_ADDRESSES: Final = frozenset(
    {
        *(terms.DCAT + name for name in ("landingPage", "accessURL", "downloadURL", "endpointURL")),
        *(terms.FOAF + name for name in ("page", "homepage")),
        terms.DCT + "source",
        "http://www.w3.org/2002/07/owl#sameAs",
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document belongs.

    Attributes:
        iri: the IRI of the resource.
        base_iri: base of the hub's IRIs, without a trailing slash.
        version: what the hub said as the version so far because the document said none; empty if it said one.
    """

    kind: Kind
    iri: str
    base_iri: str
    version: str = ""

    def is_ours(self, iri: str) -> bool:
        """Tell whether an IRI is one that only the hub gives."""
        return iri == self.base_iri or iri.startswith((f"{self.base_iri}/", f"{self.base_iri}#"))


def prepared(triples: Sequence[ox.Triple], place: Place) -> list[ox.Triple]:
    """Return a document as it is kept: about the resource by its own IRI, without blank nodes, in sorted order.

    Raises:
        DocumentRefused: if it is about nothing of this kind, about several, or about something else as well.
    """
    renamed = _renamed(triples, _main(triples, place), place)
    kept = [triple for triple in renamed if not _is_managed(triple, place)]
    for triple in kept:
        _check(triple, place)
    return sorted(kept, key=str)


def parent_of(triples: Iterable[ox.Triple], place: Place) -> str:
    """Return the IRI of the parent that a prepared document names; a catalog's is the root, named or not.

    Raises:
        ParentRefused: if it names none, or several.
    """
    found = {_iri(each.object) for each in _said(triples, place, PART_OF)}
    root = f"{place.base_iri}/"
    if place.kind is Kind.CATALOG and found <= {root, place.base_iri}:
        return root
    if len(found) != 1:
        raise ParentRefused(
            f"The {place.kind.value} names {len(found)} parents by dct:isPartOf.",
            why="A dataset is part of one catalog, a distribution of one dataset.",
            todo="Name the IRI of the parent by dct:isPartOf, once.",
        )
    return found.pop()


def with_parent(triples: Iterable[ox.Triple], place: Place, parent: str) -> list[ox.Triple]:
    """Return a prepared document that names its parent as the hub writes it."""
    link = ox.Triple(ox.NamedNode(place.iri), PART_OF, ox.NamedNode(parent))
    others = [each for each in triples if not (each.subject == link.subject and each.predicate == PART_OF)]
    return sorted((*others, link), key=str)


def written(triples: Iterable[ox.Triple]) -> str:
    """Return triples as the text that is kept: N-Triples, sorted.

    >>> written([])
    ''
    """
    return (ox.serialize(triples, format=ox.RdfFormat.N_TRIPLES) or b"").decode()


def read(text: str) -> list[ox.Triple]:
    """Return the triples of a text that was kept."""
    return [quad.triple for quad in ox.parse(text, format=ox.RdfFormat.N_TRIPLES)]


def texts(triples: Iterable[ox.Triple], iri: str, path: str) -> list[str]:
    """Return the values of a property of a resource, IRIs as their text."""
    subject, predicate = ox.NamedNode(iri), ox.NamedNode(path)
    found = (each.object for each in triples if each.subject == subject and each.predicate == predicate)
    return [each.value for each in found if isinstance(each, (ox.NamedNode, ox.Literal))]


def _main(triples: Sequence[ox.Triple], place: Place) -> ox.NamedNode | ox.BlankNode:
    """Return what the document calls the resource."""
    of_class = ox.NamedNode(place.kind.of_class)
    found = {each.subject: None for each in triples if each.predicate == _TYPE and each.object == of_class}
    own = ox.NamedNode(place.iri)
    if own in found:
        return own
    if len(found) != 1:
        raise _refused(
            f"it describes {len(found)} resources of the class dcat:{place.kind.value.capitalize()}",
            f"Describe exactly one {place.kind.value} in it.",
        )
    (main,) = found
    assert isinstance(main, (ox.NamedNode, ox.BlankNode))
    if (
        isinstance(main, ox.NamedNode)
        and place.is_ours(main.value)
        and not main.value.startswith(f"{place.iri}#")
    ):
        raise _refused(
            f"it speaks about <{main.value[:200]}>, and this is <{place.iri}>",
            "Write <> for the resource that you send; the hub gives it its IRI.",
        )
    return main


def _renamed(
    triples: Sequence[ox.Triple], main: ox.NamedNode | ox.BlankNode, place: Place
) -> Iterator[ox.Triple]:
    own = ox.NamedNode(place.iri)
    names: dict[object, ox.NamedNode] = {main: own}
    nodes = {term: None for triple in triples for term in (triple.subject, triple.object)}
    taken = {term.value.partition("#")[2] for term in nodes if isinstance(term, ox.NamedNode)}
    numbers = (number for number in count(1) if f"{_SKOLEM}{number}" not in taken)
    for term in nodes:
        if isinstance(term, ox.BlankNode) and term != main:
            names[term] = ox.NamedNode(f"{place.iri}#{_SKOLEM}{next(numbers)}")
        # What lies below the old name by a fragment lies below the new one.
        if isinstance(term, ox.NamedNode) and isinstance(main, ox.NamedNode) and main != own and term != main:
            beginning, mark, fragment = term.value.partition("#")
            if mark and beginning == main.value.partition("#")[0]:
                names[term] = ox.NamedNode(f"{place.iri}#{fragment}")
    for triple in triples:
        # A page or file at the old address stays there.
        stays = triple.predicate.value in _ADDRESSES and triple.object == main
        value = triple.object if stays else names.get(triple.object) or triple.object
        yield ox.Triple(names.get(triple.subject) or triple.subject, triple.predicate, value)


def _is_managed(triple: ox.Triple, place: Place) -> bool:
    path, value = triple.predicate.value, triple.object
    if path in _MANAGED or path.startswith(ns.LDP):
        return True
    if _iri(triple.subject) != place.iri:
        return False
    if isinstance(value, ox.Literal):
        # The version that the hub has said before is not a version that the document says.
        return path == VERSION.value and bool(place.version) and value.value == place.version
    iri = _iri(value)
    is_child = place.is_ours(iri) and not iri.startswith(f"{place.iri}#")
    return (
        (path == terms.TYPE and iri.startswith(ns.LDP))
        or (path == CONFORMS.value and iri.startswith(f"{place.base_iri}/profile/"))
        or (path == CHILDREN.get(place.kind) and is_child)
    )


def _check(triple: ox.Triple, place: Place) -> None:
    subject = _iri(triple.subject)
    is_main = subject == place.iri
    if not is_main and not subject.startswith(f"{place.iri}#"):
        whose = "another record of the hub" if place.is_ours(subject) else "something that is not its own"
        raise _refused(
            f"it speaks about {whose}, <{subject[:200]}>",
            "Describe people and organisations as blank nodes or below <#…>; only link to the IRIs of others.",
        )
    said_class = _iri(triple.object) if triple.predicate == _TYPE else ""
    if triple.predicate.value.startswith(_OF_NODES) or said_class.startswith(_OF_NODES):
        name = said_class or triple.predicate.value
        raise _refused(
            f"it uses <{name[:200]}>, which only records of nodes use",
            "Leave counts and the imaging cube out: a node publishes them with its harvest.",
        )
    if not is_main and said_class in _ONLY_AT_THE_TOP:
        raise _refused(
            f"it describes a second resource of the class <{said_class}>, <{subject[:200]}>",
            "Send each catalog and dataset in a document of its own.",
        )


def _said(triples: Iterable[ox.Triple], place: Place, path: ox.NamedNode) -> Iterator[ox.Triple]:
    subject = ox.NamedNode(place.iri)
    return (each for each in triples if each.subject == subject and each.predicate == path)


def _iri(term: object) -> str:
    return term.value if isinstance(term, ox.NamedNode) else ""


def _refused(reason: str, todo: str) -> DocumentRefused:
    return DocumentRefused(
        f"The document is refused: {reason}.",
        why="A document describes one resource; its IRI and those of others are given by the hub.",
        todo=todo,
    )
