"""The RDF description of a dataset, a node, a model or a result, made from its SQL rows.

Each description is one named graph, and all its subjects lie under one IRI, so graphs are disjoint and their union
counts no triple twice. IRIs are derived from what they name and there are no blank nodes: making it again gives the
same graph.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from pyoxigraph import Literal, NamedNode, Quad
from sqlalchemy.orm import Session

from fairbank.catalogue import clinical, holdings, measured
from fairbank.catalogue.history import newest_edition
from fairbank.catalogue.record_rows import Edition
from fairbank.catalogue.store import (
    ActivityRow,
    ArtefactRow,
    DatasetRow,
    DistributionRow,
    NodeRow,
    StratumRow,
)
from fairbank.clock import iso
from fairbank.ontology import terms, vocabulary
from fairbank.ontology.counts import CountKind
from fairbank.ontology.profiles.facts import Iri, Term
from fairbank.ontology.record import UNKNOWN, ActivityKind

_INTEGER = NamedNode(terms.XSD + "integer")
_YEAR = NamedNode(terms.XSD + "gYear")
_DAY = NamedNode(terms.XSD + "date")
_MOMENT = NamedNode(terms.XSD + "dateTime")
_BOOLEAN = NamedNode(terms.XSD + "boolean")
_ACTIVITY_CLASS = {
    ActivityKind.ACQUISITION.value: terms.ACQUISITION,
    ActivityKind.DEIDENTIFICATION.value: terms.DEIDENTIFICATION,
    ActivityKind.HARVEST.value: terms.HARVEST,
}
_MEASURES = (
    ("series", terms.SERIES_COUNT, terms.SERIES_BELOW),
    ("studies", terms.STUDY_COUNT, terms.STUDY_BELOW),
    ("subjects", terms.SUBJECT_COUNT, terms.SUBJECT_BELOW),
    ("instances", terms.INSTANCE_COUNT, terms.INSTANCE_BELOW),
)


class _Graph:
    """Collects the quads of one named graph."""

    def __init__(self, graph: str) -> None:
        self._graph = NamedNode(graph)
        self.quads: list[Quad] = []

    def add(self, subject: str, predicate: str, value: NamedNode | Literal | None) -> None:
        if value is not None:
            self.quads.append(Quad(NamedNode(subject), NamedNode(predicate), value, self._graph))

    def link(self, subject: str, predicate: str, *targets: str | None) -> None:
        for target in targets:
            # A link that a record has wrong must not keep all the rest from being published.
            if target is not None and _is_iri(target):
                self.add(subject, predicate, NamedNode(target))

    def text(self, subject: str, predicate: str, *values: str | None) -> None:
        for value in values:
            if value is not None:
                self.add(subject, predicate, Literal(value))

    def number(self, subject: str, predicate: str, value: int | None) -> None:
        if value is not None:
            self.add(subject, predicate, Literal(str(value), datatype=_INTEGER))

    def count(self, subject: str, measure: str, value: int | None, *, below: int | None) -> None:
        """Write an exact count, or the k that a withheld one is below; other unknowns are left out."""
        _, exact, withheld = next(each for each in _MEASURES if each[0] == measure)
        self.number(subject, exact, value)
        self.number(subject, withheld, below)


def dataset_quads(session: Session, row: DatasetRow) -> list[Quad]:
    """Return the whole description of a dataset's newest version: what the RDF view holds of it."""
    return edition_quads(newest_edition(session, row))


def edition_quads(edition: Edition) -> list[Quad]:
    """Return a whole description: DCAT, provenance, imaging cube, distributions, quality.

    Source: DCAT 3, section 11.1, for the links between a dataset and its versions.
    """
    row = edition.dataset
    graph = _Graph(row.graph)
    _dataset(graph, row)
    graph.text(row.iri, terms.SIGNED_BY, edition.signer)
    graph.link(row.iri, terms.DCAT + "hasCurrentVersion", edition.current)
    graph.link(row.iri, terms.DCAT + "isVersionOf", edition.version_of)
    graph.link(row.iri, terms.DCAT + "previousVersion", edition.previous)
    _cube(graph, row, edition.strata)
    _distributions(graph, row, edition.distributions)
    _provenance(graph, row, edition.activities)
    _quality(graph, row)
    for subject, path, told in clinical.triples(row.iri, row.variables):
        graph.add(subject, path, rdf_term(told))
    return graph.quads


def node_quads(base_iri: str, row: NodeRow) -> list[Quad]:
    """Return the description of a node, the publisher of datasets."""
    graph = _Graph(node_graph(base_iri, row.name))
    iri = node_iri(base_iri, row.name)
    graph.link(iri, terms.TYPE, terms.NODE, terms.FOAF + "Organization", terms.PROV + "Organization")
    graph.text(iri, terms.FOAF + "name", row.title)
    graph.text(iri, terms.DCT + "identifier", row.name)
    return graph.quads


def artefact_quads(base_iri: str, row: ArtefactRow) -> list[Quad]:
    """Return the provenance of a model or result: what it was made from, by which code, where, under which visa."""
    detail, iri = row.detail, row.iri
    graph = _Graph(row.graph)
    is_model = row.kind == "model"
    activity = f"{iri}#generation"
    graph.link(iri, terms.TYPE, terms.PROV + "Entity", terms.MODEL if is_model else terms.RESULT)
    graph.text(iri, terms.DIGEST, _text(detail, "model_digest", "result_digest", "digest"))
    graph.text(iri, terms.LABEL, _text(detail, "title"))
    graph.link(iri, terms.PROV + "wasGeneratedBy", activity)
    graph.link(activity, terms.TYPE, terms.PROV + "Activity", terms.TRAINING if is_model else terms.ANALYSIS)
    for dataset in sorted(detail.get("datasets", [])):
        graph.link(activity, terms.PROV + "used", dataset)
        graph.link(iri, terms.PROV + "wasDerivedFrom", dataset)
    for node in sorted(detail.get("nodes", [])):
        graph.link(activity, terms.PROV + "wasAssociatedWith", node_iri(base_iri, node))
    if job := _text(detail, "job", "job_id"):
        graph.text(activity, terms.DCT + "identifier", job)
    graph.text(activity, terms.MANIFEST_DIGEST, _text(detail, "manifest", "manifest_digest"))
    graph.text(activity, terms.VISA_DIGEST, _text(detail, "visa", "visa_digest"))
    code = detail.get("code") or {}
    graph.text(activity, terms.CODE_NAME, code.get("name"))
    graph.text(activity, terms.CODE_VERSION, code.get("version"))
    graph.text(activity, terms.CODE_DIGEST, code.get("digest"))
    rounds = detail.get("rounds")
    graph.number(activity, terms.ROUNDS, rounds if isinstance(rounds, int) else None)
    _training(graph, base_iri, iri, detail)
    if day := _text(detail, "subject_withdrawn"):
        graph.add(iri, terms.SUBJECT_WITHDRAWN, Literal(day, datatype=_DAY))
    for predicate, word in (("startedAtTime", "started"), ("endedAtTime", "ended")):
        if moment := _text(detail, word):
            graph.add(activity, terms.PROV + predicate, Literal(moment, datatype=_MOMENT))
    for code in detail.get("biomarkers", []):
        for about, path, told in measured.subject(iri, code, "biomarker"):
            graph.add(about, path, rdf_term(told))
    return graph.quads


def _training(graph: _Graph, base_iri: str, iri: str, detail: dict[str, Any]) -> None:
    """Tell by which choices a model was trained, its rounds with their updates, and what the sites signed."""
    told, activity = detail.get("training"), f"{iri}#generation"
    if not isinstance(told, dict):
        return
    for predicate, word in (
        (terms.PLAN_NAME, "plan"),
        (terms.AGGREGATOR_NAME, "aggregator"),
        (terms.LOCAL_STEP, "local_step"),
        (terms.OBJECTIVE, "objective"),
        (terms.SEED, "seed"),
    ):
        graph.text(activity, predicate, _text(told, word))
    graph.text(activity, terms.UPDATE_FILTER, *(str(each) for each in told.get("filters", [])))
    if previous := _text(told, "initial_model"):
        graph.link(iri, terms.PROV + "wasDerivedFrom", f"{base_iri}/models/{previous}")
    for name, value in sorted(told.get("parameters", {}).items()):
        parameter = f"{iri}#parameter-{_name((name,))}"
        graph.link(activity, terms.PARAMETER, parameter)
        graph.link(parameter, terms.TYPE, terms.PARAMETER_CLASS)
        graph.text(parameter, terms.PARAMETER_NAME, name)
        graph.text(parameter, terms.PARAMETER_VALUE, json.dumps(value, sort_keys=True))
    for node, digest in sorted(told.get("settings", {}).items()):
        settings = f"{iri}#settings-{node}"
        # Not as something used: who asks what a training used means its datasets.
        graph.link(settings, terms.DCT + "isPartOf", activity)
        graph.link(settings, terms.TYPE, terms.PROV + "Entity", terms.SITE_SETTINGS)
        graph.text(settings, terms.DIGEST, str(digest))
        graph.link(settings, terms.PROV + "wasAttributedTo", node_iri(base_iri, node))
    for one in told.get("rounds", []):
        _training_round(graph, base_iri, iri, one)


def _training_round(graph: _Graph, base_iri: str, iri: str, one: dict[str, Any]) -> None:
    number = one["round"]
    place = f"{iri}#round-{number}"
    graph.link(place, terms.TYPE, terms.PROV + "Activity", terms.ROUND)
    graph.link(place, terms.DCT + "isPartOf", f"{iri}#generation")
    graph.number(place, terms.ROUND_NUMBER, number)
    for node, digest in sorted(one.get("updates", {}).items()):
        update = f"{iri}#update-{number}-{node}"
        graph.link(place, terms.PROV + "used", update)
        graph.link(update, terms.TYPE, terms.PROV + "Entity")
        graph.text(update, terms.DIGEST, str(digest))
        graph.link(update, terms.PROV + "wasAttributedTo", node_iri(base_iri, node))


def node_iri(base_iri: str, node: str) -> str:
    """Return the IRI of a node."""
    return f"{base_iri}/nodes/{node}"


def node_graph(base_iri: str, node: str) -> str:
    """Return the named graph of a node's description."""
    return f"{base_iri}/graphs/nodes/{node}"


def _dataset(graph: _Graph, row: DatasetRow) -> None:
    iri, base = row.iri, row.iri.rsplit("/datasets/", 1)[0]
    graph.link(iri, terms.TYPE, terms.DCAT + "Dataset", terms.PROV + "Entity")
    graph.text(iri, terms.DCT + "title", row.title)
    graph.text(iri, terms.DCT + "description", row.description)
    graph.text(iri, terms.DCT + "identifier", row.iri.rsplit("/datasets/", 1)[1])
    graph.text(iri, terms.DCAT + "keyword", *dict.fromkeys(row.keywords))
    graph.text(iri, terms.DCAT + "version", str(row.version))
    graph.number(iri, terms.RECORD_VERSION, row.version)
    graph.text(iri, terms.RECORD_DIGEST, row.digest)
    graph.add(iri, terms.DCT + "issued", Literal(iso(row.first_published), datatype=_MOMENT))
    graph.add(iri, terms.DCT + "modified", Literal(iso(row.created), datatype=_MOMENT))
    graph.link(iri, terms.DCT + "accessRights", terms.access_right(row.access_rights))
    graph.link(iri, terms.DATA_USE, *(terms.data_use(code) for code in dict.fromkeys(row.data_use)))
    graph.text(iri, terms.COLLECTION_KIND, row.collection_kind)
    graph.number(iri, terms.MINIMUM_COUNT, row.minimum_count)
    publisher = f"{iri}#publisher"
    graph.link(iri, terms.DCT + "publisher", publisher)
    graph.link(publisher, terms.TYPE, terms.FOAF + "Agent")
    graph.text(publisher, terms.FOAF + "name", row.publisher)
    # The node is described in its own graph: twice would count it twice.
    graph.link(iri, terms.PROV + "wasAttributedTo", node_iri(base, row.node))
    if row.licence is not None:
        _licence(graph, iri, row.licence)
    if row.contact is not None:
        contact = f"{iri}#contact"
        graph.link(iri, terms.DCAT + "contactPoint", contact)
        graph.link(contact, terms.TYPE, terms.VCARD + "Kind")
        graph.text(contact, terms.VCARD + "fn", row.contact)
    for subject, path, told in holdings.triples(iri, row.conditions, row.holdings):
        graph.add(subject, path, rdf_term(told))
    _acquired(graph, row)
    _distribution(graph, row)
    for measure, _, _ in _MEASURES:
        _wire_count(graph, iri, measure, row.totals.get(measure))


def rdf_term(value: Term) -> NamedNode | Literal:
    """Return a value as the RDF library takes it."""
    if isinstance(value, Iri):
        return NamedNode(value.value)
    return Literal(value.value, datatype=NamedNode(value.datatype))


def _licence(graph: _Graph, iri: str, licence: str) -> None:
    if licence.startswith(("http://", "https://")) and _is_iri(licence):
        graph.link(iri, terms.DCT + "license", licence)
    else:
        document = f"{iri}#licence"
        graph.link(iri, terms.DCT + "license", document)
        graph.link(document, terms.TYPE, terms.DCT + "LicenseDocument")
        graph.text(document, terms.LABEL, licence)


def _acquired(graph: _Graph, row: DatasetRow) -> None:
    if row.acquired_from is None and row.acquired_to is None:
        return
    period = f"{row.iri}#acquired"
    graph.link(row.iri, terms.DCT + "temporal", period)
    graph.link(period, terms.TYPE, terms.DCT + "PeriodOfTime")
    for year, predicate, own in (
        (row.acquired_from, "startDate", terms.ACQUIRED_FROM),
        (row.acquired_to, "endDate", terms.ACQUIRED_TO),
    ):
        if year is not None:
            graph.add(period, terms.DCAT + predicate, Literal(f"{year:04d}", datatype=_YEAR))
            graph.number(row.iri, own, year)


def _distribution(graph: _Graph, row: DatasetRow) -> None:
    images = f"{row.iri}#{'open' if row.open_at else 'in-situ'}"
    graph.link(row.iri, terms.DCAT + "distribution", images)
    graph.link(images, terms.TYPE, terms.DCAT + "Distribution")
    if row.open_at is not None:
        graph.text(images, terms.DCT + "title", "Images, open to everyone")
        graph.link(images, terms.DCAT + "accessURL", row.open_at)
        return
    graph.text(images, terms.DCT + "title", "Processing at the biobank")
    graph.text(images, terms.DCT + "rights", "IN_SITU_PROCESSING")
    graph.link(images, terms.DCAT + "accessURL", row.iri)


def _cube(graph: _Graph, row: DatasetRow, strata: Iterable[StratumRow]) -> None:
    cube = f"{row.iri}#cube"
    graph.link(row.iri, terms.HAS_CUBE, cube)
    graph.link(cube, terms.TYPE, terms.QB + "DataSet", terms.CUBE)
    for cell in strata:
        axes = (cell.modality, cell.body_part, cell.manufacturer, cell.slice_thickness)
        stratum = f"{row.iri}#stratum-{_name(axes)}"
        graph.link(stratum, terms.TYPE, terms.QB + "Observation", terms.STRATUM)
        graph.link(stratum, terms.QB + "dataSet", cube)
        graph.link(stratum, terms.OF_DATASET, row.iri)
        graph.text(stratum, terms.MODALITY, cell.modality)
        graph.text(stratum, terms.BODY_PART, cell.body_part)
        graph.text(stratum, terms.MANUFACTURER, cell.manufacturer)
        graph.text(stratum, terms.SLICE_THICKNESS, cell.slice_thickness)
        if cell.modality in vocabulary.MODALITIES and cell.modality != UNKNOWN:
            graph.link(stratum, terms.MODALITY_CODE, terms.dicom_code(cell.modality))
        coded = vocabulary.coded_body_part(cell.body_part)
        graph.link(stratum, terms.BODY_PART_CODE, coded.iri if coded else None)
        for measure in ("series", "studies", "subjects"):
            withheld = getattr(cell, f"{measure}_status") == CountKind.BELOW_K.value
            below = row.minimum_count if withheld else None
            graph.count(stratum, measure, getattr(cell, measure), below=below)


def _distributions(graph: _Graph, row: DatasetRow, rows: Iterable[DistributionRow]) -> None:
    for each in rows:
        iri = f"{row.iri}#distribution-{_name((each.attribute, each.value))}"
        graph.link(row.iri, terms.HAS_DISTRIBUTION_ROW, iri)
        graph.link(iri, terms.TYPE, terms.DISTRIBUTION_ROW)
        graph.text(iri, terms.ATTRIBUTE, each.attribute)
        graph.text(iri, terms.ATTRIBUTE_VALUE, each.value)
        graph.text(iri, terms.HOW_KNOWN, each.how_known)
        below = row.minimum_count if each.subjects_status == CountKind.BELOW_K.value else None
        graph.count(iri, "subjects", each.subjects, below=below)


def _provenance(graph: _Graph, row: DatasetRow, activities: Iterable[ActivityRow]) -> None:
    previous: str | None = None
    for each in activities:
        iri = f"{row.iri}#activity-{each.place + 1}"
        agent = f"{iri}-tool"
        graph.link(iri, terms.TYPE, terms.PROV + "Activity", _ACTIVITY_CLASS[each.kind])
        graph.add(iri, terms.PROV + "startedAtTime", Literal(iso(each.started), datatype=_MOMENT))
        graph.add(iri, terms.PROV + "endedAtTime", Literal(iso(each.ended), datatype=_MOMENT))
        graph.link(iri, terms.PROV + "wasAssociatedWith", agent)
        graph.link(iri, terms.PROV + "wasInformedBy", previous)
        graph.link(agent, terms.TYPE, terms.PROV + "SoftwareAgent")
        graph.text(agent, terms.FOAF + "name", f"{each.tool} {each.tool_version}")
        graph.text(iri, terms.TOOL, each.tool)
        graph.text(iri, terms.TOOL_VERSION, each.tool_version)
        graph.text(iri, terms.PROFILE, each.profile)
        graph.text(iri, terms.PROFILE_DIGEST, each.profile_digest)
        graph.text(iri, terms.SOURCE_SYSTEM, each.source_system)
        graph.text(iri, terms.DCT + "creator", each.agent)
        graph.link(row.iri, terms.PROV + "wasGeneratedBy", iri)
        previous = iri


def _quality(graph: _Graph, row: DatasetRow) -> None:
    for each in row.quality:
        iri = f"{row.iri}#quality-{each['aspect']}"
        graph.link(row.iri, terms.QUALITY, iri)
        graph.link(iri, terms.TYPE, terms.QUALITY_ASPECT)
        graph.text(iri, terms.LABEL, each["aspect"])
        graph.add(iri, terms.ASSESSED, Literal(str(each["assessed"]).lower(), datatype=_BOOLEAN))
        graph.text(iri, terms.HOW_KNOWN, each.get("how_known"))
        affected = each.get("series_affected") or {}
        graph.number(iri, terms.SERIES_AFFECTED, affected.get("value"))
        graph.number(iri, terms.SERIES_BELOW, affected.get("k"))


def _wire_count(graph: _Graph, iri: str, measure: str, count: dict[str, Any] | None) -> None:
    if count is not None:
        graph.count(iri, measure, count.get("value"), below=count.get("k"))


def _is_iri(text: str) -> bool:
    try:
        NamedNode(text)
    except ValueError:
        return False
    return True


def _name(parts: tuple[str, ...]) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def _text(detail: dict[str, Any], *names: str) -> str | None:
    return next(_strings(detail, names), None)


def _strings(detail: dict[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        value = detail.get(name)
        if isinstance(value, str) and value:
            yield value
