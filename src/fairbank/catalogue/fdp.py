"""The hub as a FAIR Data Point: the triples of its root, its catalogs, and the layer that each dataset gets.

Pure: values in, triples out. Every IRI is made from what it names, and there are no blank nodes. Each resource is the
LDP container of its children, so a client that knows DCAT only and one that knows LDP only find the same.

Source: FAIR Data Point specification 1.2; Linked Data Platform 1.0, section 5.4 (direct containers); DCAT 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from urllib.parse import urlsplit

from fairbank.catalogue.description import node_iri
from fairbank.clock import iso
from fairbank.ontology import terms
from fairbank.ontology.profiles import document
from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles.facts import Facts, Iri, Literal, Term, Triple, distributions
from fairbank.ontology.profiles.fdp import FDP
from fairbank.ontology.profiles.fdp_layers import CATALOG, POINT
from fairbank.ontology.profiles.rows import Profile
from fairbank.ontology.profiles.values import VALUES

SPECIFICATION: Final = "https://specs.fairdatapoint.org/fdp-specs-v1.2.html"
TITLE: Final = "Imaging collections"
POINT_TEXT: Final = (
    "A federation of imaging biobanks. The images stay where they are; approved tools travel to them."
)
_MOMENT: Final = terms.XSD + "dateTime"
# Which distributions are samples and statistics, by the beginning of their names (HealthDCAT-AP).
_SPECIAL: Final = {"sample-": ns.ADMS + "sample", "analytics-": ns.HEALTH + "analytics"}


@dataclass(frozen=True, slots=True)
class Point:
    """What the root says of itself.

    Attributes:
        base_iri: base of the hub's IRIs, without a trailing slash.
        version: of the software.
        issued: when the hub was made.
        modified: when something that the reader sees was last published.
    """

    base_iri: str
    version: str
    issued: datetime
    modified: datetime

    @property
    def iri(self) -> str:
        """Return the IRI of the root, which is its address."""
        return f"{self.base_iri}/"

    @property
    def publisher(self) -> str:
        """Return the name of who runs the hub: no more is known of them than the host in its address."""
        return urlsplit(self.base_iri).netloc


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a node publishes, as its reader sees it.

    Attributes:
        base_iri: base of the hub's IRIs, without a trailing slash.
        node: name of the node.
        title: the node's name for people.
        issued: when the node enrolled.
        modified: when a dataset that the reader sees was last published, or `issued`.
        datasets: how many datasets the reader sees.
    """

    base_iri: str
    node: str
    title: str
    issued: datetime
    modified: datetime
    datasets: int

    @property
    def iri(self) -> str:
        """Return the IRI of the catalog."""
        return catalog_iri(self.base_iri, self.node)

    @property
    def description(self) -> str:
        """Return a sentence about the catalog."""
        return f"The imaging collections that {self.title} publishes."


class Named(Protocol):
    """A catalog as those above it see it, whether a node publishes it or somebody described it."""

    @property
    def iri(self) -> str:
        """Return its IRI."""
        ...

    @property
    def title(self) -> str:
        """Return its name for people."""
        ...

    @property
    def modified(self) -> datetime:
        """Return when something in it was last published."""
        ...


@dataclass(frozen=True, slots=True)
class DescribedCatalog:
    """A catalog that somebody described, without a node.

    Attributes:
        modified: when it, or a dataset in it that everybody sees, was last changed.
    """

    iri: str
    title: str
    modified: datetime


def catalog_iri(base_iri: str, node: str) -> str:
    """Return the IRI of a node's catalog."""
    return f"{base_iri}/catalog/{node}"


def profile_iri(base_iri: str, profile: Profile) -> str:
    """Return the address of a layer's shapes, the same that a dataset's document names for its own."""
    return f"{base_iri}/{'profiles' if profile is FDP else 'profile'}/{profile.name}"


def point_triples(point: Point, catalogs: Sequence[Named]) -> Iterator[Triple]:
    """Yield the document of the root."""
    iri, agent = point.iri, f"{point.iri}#publisher"
    for of_class in (
        ns.FDP_O + "FAIRDataPoint",
        ns.FDP_O + "MetadataService",
        terms.DCAT + "DataService",
        terms.DCAT + "Resource",
    ):
        yield iri, terms.TYPE, Iri(of_class)
    yield from _metadata(iri, POINT, point)
    yield iri, terms.DCT + "title", Literal(TITLE)
    yield iri, terms.DCT + "description", Literal(POINT_TEXT)
    yield iri, terms.DCT + "hasVersion", Literal(point.version)
    yield iri, terms.DCT + "publisher", Iri(agent)
    yield agent, terms.TYPE, Iri(terms.FOAF + "Agent")
    yield agent, terms.FOAF + "name", Literal(point.publisher)
    yield iri, ns.FDP_O + "conformsToFdpSpec", Iri(SPECIFICATION)
    yield iri, terms.DCAT + "endpointURL", Iri(iri)
    yield iri, terms.DCAT + "endpointDescription", Iri(f"{point.base_iri}/openapi.json")
    members = [catalog.iri for catalog in catalogs]
    yield from _linked(iri, ns.FDP_O + "metadataCatalog", members)
    yield from container(iri, iri, ns.FDP_O + "metadataCatalog", members)


def catalogs_triples(base_iri: str, catalogs: Sequence[Named]) -> Iterator[Triple]:
    """Yield a page of the container of all catalogs."""
    iri = f"{base_iri}/catalog"
    yield iri, terms.DCT + "title", Literal("Catalogs")
    members = [catalog.iri for catalog in catalogs]
    yield from container(iri, f"{base_iri}/", ns.FDP_O + "metadataCatalog", members)


def catalog_triples(catalog: Catalog, datasets: Sequence[str]) -> Iterator[Triple]:
    """Yield the document of a catalog with a page of its datasets."""
    yield from catalog_metadata(catalog)
    yield from _linked(catalog.iri, terms.DCAT + "dataset", datasets)
    yield from container(catalog.iri, catalog.iri, terms.DCAT + "dataset", datasets)


def catalog_metadata(catalog: Catalog) -> Iterator[Triple]:
    """Yield what is said of a catalog itself."""
    iri, agent = catalog.iri, node_iri(catalog.base_iri, catalog.node)
    yield iri, terms.TYPE, Iri(terms.DCAT + "Catalog")
    yield iri, terms.TYPE, Iri(terms.DCAT + "Resource")
    yield from _metadata(iri, CATALOG, catalog)
    yield iri, terms.DCT + "title", Literal(catalog.title)
    yield iri, terms.DCT + "description", Literal(catalog.description)
    # What a catalog holds changes with every publication, so the moment of the last one is its version.
    yield iri, terms.DCT + "hasVersion", Literal(iso(catalog.modified))
    yield iri, terms.DCT + "isPartOf", Iri(f"{catalog.base_iri}/")
    yield iri, terms.DCT + "publisher", Iri(agent)
    yield agent, terms.TYPE, Iri(terms.FOAF + "Agent")
    yield agent, terms.TYPE, Iri(terms.FOAF + "Organization")
    yield agent, terms.FOAF + "name", Literal(catalog.title)


def dataset_triples(facts: Facts) -> Iterator[Triple]:
    """Yield a dataset's document by FDP 1.2, as the container of its distributions.

    Samples and statistics are described, so that their IRIs lead to something, but without the class: the profile
    asks a distribution for a media type, and none is known of them. Their own addresses give them the class.
    """
    yield from document.triples(FDP, facts)
    yield facts.iri, terms.DCT + "isPartOf", Iri(catalog_iri(facts.base_iri, facts.record.node))
    members = [facts.images]
    yield from container(facts.iri, facts.iri, terms.DCAT + "distribution", members)
    for iri in distributions(facts):
        yield from _special(facts, iri)


def distributions_triples(facts: Facts) -> Iterator[Triple]:
    """Yield the container of a dataset's distributions, with samples and statistics."""
    iri = f"{facts.iri}/distributions"
    yield iri, terms.DCT + "title", Literal("Distributions")
    yield from container(iri, facts.iri, terms.DCAT + "distribution", list(distributions(facts)))


def distribution_triples(facts: Facts, iri: str) -> Iterator[Triple]:
    """Yield the document of one distribution."""
    yield iri, terms.TYPE, Iri(terms.DCAT + "Distribution")
    yield iri, terms.DCT + "isPartOf", Iri(facts.iri)
    rights = VALUES["access_rights"](facts, iri)
    yield from _each(iri, terms.DCT + "accessRights", rights)
    yield from _each(iri, terms.DCT + "title", VALUES["distribution_title"](facts, iri))
    yield from _each(iri, terms.DCT + "description", VALUES["distribution_text"](facts, iri))
    yield from _each(iri, terms.DCAT + "accessURL", VALUES["access_address"](facts, iri))
    if iri == facts.images:
        yield from _each(iri, terms.DCAT + "mediaType", VALUES["dicom_media_type"](facts, iri))


def container(iri: str, resource: str, relation: str, members: Sequence[str]) -> Iterator[Triple]:
    """Yield a direct container: whose members it holds, by which property, and which there are."""
    yield iri, terms.TYPE, Iri(ns.LDP + "DirectContainer")
    yield iri, ns.LDP + "membershipResource", Iri(resource)
    yield iri, ns.LDP + "hasMemberRelation", Iri(relation)
    yield from _linked(iri, ns.LDP + "contains", members)


def _metadata(iri: str, profile: Profile, said: Point | Catalog) -> Iterator[Triple]:
    yield iri, terms.DCT + "identifier", Literal(iri)
    yield iri, terms.DCT + "conformsTo", Iri(profile_iri(said.base_iri, profile))
    yield iri, ns.FDP_O + "metadataIdentifier", Iri(f"{iri}#metadata")
    for path in (ns.FDP_O + "metadataIssued", terms.DCT + "issued"):
        yield iri, path, Literal(iso(said.issued), _MOMENT)
    for path in (ns.FDP_O + "metadataModified", terms.DCT + "modified"):
        yield iri, path, Literal(iso(said.modified), _MOMENT)


def _special(facts: Facts, iri: str) -> Iterator[Triple]:
    name = iri.partition("#")[2]
    for beginning, path in _SPECIAL.items():
        if name.startswith(beginning):
            yield facts.iri, path, Iri(iri)
            yield from _each(iri, terms.DCT + "title", VALUES["distribution_title"](facts, iri))
            yield from _each(iri, terms.DCAT + "accessURL", VALUES["access_address"](facts, iri))


def _linked(iri: str, path: str, targets: Iterable[str]) -> Iterator[Triple]:
    for target in targets:
        yield iri, path, Iri(target)


def _each(iri: str, path: str, values: Iterable[Term]) -> Iterator[Triple]:
    for value in values:
        yield iri, path, value
