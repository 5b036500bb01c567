"""Descriptions in the words of schema.org, as search engines read them: `Dataset` and `DataCatalog` as JSON-LD.

Values come from the functions that fill the export profiles, so no description can say another thing than they do.

Source: https://schema.org/Dataset, https://schema.org/DataCatalog.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request

from fairbank.catalogue.fdp import POINT_TEXT, TITLE, Catalog, Named, Point, catalog_iri
from fairbank.catalogue.store import DescribedRow
from fairbank.clock import iso
from fairbank.ontology.profiles.facts import Facts, conditions, distributions, licence_address
from fairbank.ontology.profiles.fdp_described import Kind
from fairbank.ontology.profiles.values import VALUES
from fairbank.ontology.variables import Variable

CONTEXT: Final = "https://schema.org/"
PROFILE: Final = "schema.org"
QUERY: Final = f"?profile={PROFILE}"
CLASSES: Final = {Kind.CATALOG: "DataCatalog", Kind.DATASET: "Dataset", Kind.DISTRIBUTION: "DataDownload"}
_CHILDREN: Final = {Kind.CATALOG: {"dataset": "Dataset"}, Kind.DATASET: {"distribution": "DataDownload"}}
# Which value function fills which property that has one value.
_VALUES: Final = {
    "name": "title",
    "description": "description",
    "identifier": "identifier",
    "url": "page",
    "version": "version",
    "datePublished": "issued",
    "dateModified": "modified",
    "conditionsOfAccess": "access_rights",
}


def is_wanted(request: Request) -> bool:
    """Tell whether a caller wants schema.org: by `?profile=schema.org`, or by a profile in what it likes best."""
    if request.query_params.get("profile") == PROFILE:
        return True
    wishes = [_wish(part) for line in request.headers.getlist("accept") for part in line.split(",")[:50]]
    best = max((quality for quality, _ in wishes), default=0.0)
    return best > 0 and (best, True) in wishes


def dataset(facts: Facts) -> dict[str, Any]:
    """Return the description of a dataset."""
    found: dict[str, Any] = {"@context": CONTEXT, "@type": "Dataset", "@id": facts.iri}
    for name, value in _VALUES.items():
        for text in _texts(facts, value)[:1]:
            found[name] = text
    found["keywords"] = _texts(facts, "keywords")
    found["publisher"] = {
        "@type": "Organization",
        "@id": facts.under("publisher"),
        "name": facts.record.publisher,
    }
    if licence := licence_address(facts) or facts.record.licence:
        found["license"] = licence
    if about := conditions(facts):
        found["about"] = [
            {"@type": "MedicalCondition", "name": each.label, "sameAs": each.iri} for each in about
        ]
    if facts.record.variables:
        found["variableMeasured"] = [_variable(each) for each in facts.record.variables]
    years = (facts.record.acquired_from, facts.record.acquired_to)
    if any(years):
        found["temporalCoverage"] = "/".join(f"{year:04d}" if year else ".." for year in years)
    catalog = catalog_iri(facts.base_iri, facts.record.node)
    found["includedInDataCatalog"] = {"@type": "DataCatalog", "@id": catalog}
    found["distribution"] = [_distribution(facts, iri) for iri in distributions(facts)]
    return found


def _variable(variable: Variable) -> dict[str, Any]:
    """Return a clinical variable; its code is an identifier of the code system.

    Source: schema.org, PropertyValue, `propertyID` and `unitText`.
    """
    found = {
        "@type": "PropertyValue",
        "name": variable.label,
        "propertyID": f"{variable.system.iri}|{variable.code}",
    }
    return found | ({"unitText": variable.unit} if variable.unit else {})


def catalog(said: Catalog, datasets: Sequence[str]) -> dict[str, Any]:
    """Return the description of a catalog with a page of its datasets."""
    return {
        "@context": CONTEXT,
        "@type": "DataCatalog",
        "@id": said.iri,
        "name": said.title,
        "description": said.description,
        "url": said.iri,
        "datePublished": iso(said.issued),
        "dateModified": iso(said.modified),
        "publisher": {"@type": "Organization", "name": said.title},
        "isPartOf": {"@type": "DataCatalog", "@id": f"{said.base_iri}/"},
        "dataset": [{"@type": "Dataset", "@id": iri} for iri in datasets],
    }


def point(said: Point, catalogs: Sequence[Named]) -> dict[str, Any]:
    """Return the description of the root."""
    return {
        "@context": CONTEXT,
        "@type": "DataCatalog",
        "@id": said.iri,
        "name": TITLE,
        "description": POINT_TEXT,
        "url": said.iri,
        "version": said.version,
        "datePublished": iso(said.issued),
        "dateModified": iso(said.modified),
        "publisher": {"@type": "Organization", "name": said.publisher},
        "hasPart": [{"@type": "DataCatalog", "@id": each.iri, "name": each.title} for each in catalogs],
    }


def described(row: DescribedRow, items: Sequence[str]) -> dict[str, Any]:
    """Return the description of what somebody described, with the IRIs of its children."""
    kind = Kind(row.kind)
    found: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": CLASSES[kind],
        "@id": row.iri,
        "name": row.title,
        "url": row.iri,
        "datePublished": iso(row.shown_since or row.created),
        "dateModified": iso(row.changed),
    }
    if row.description:
        found["description"] = row.description
    if row.keywords:
        found["keywords"] = row.keywords
    if row.licence:
        found["license"] = row.licence
    if row.publisher:
        found["publisher"] = {"@type": "Organization", "name": row.publisher}
    above = {"@type": "Dataset" if kind is Kind.DISTRIBUTION else "DataCatalog", "@id": row.parent}
    found["includedInDataCatalog" if kind is Kind.DATASET else "isPartOf"] = above
    for name, of_class in _CHILDREN.get(kind, {}).items():
        found[name] = [{"@type": of_class, "@id": iri} for iri in items]
    return found


def _distribution(facts: Facts, iri: str) -> dict[str, Any]:
    found: dict[str, Any] = {"@type": "DataDownload", "@id": iri}
    found["name"] = VALUES["distribution_title"](facts, iri)[0].value
    # An address to ask at, not one of the content: images do not leave the biobank.
    found["url"] = VALUES["access_address"](facts, iri)[0].value
    if iri == facts.images:
        found["description"] = VALUES["distribution_text"](facts, iri)[0].value
        found["encodingFormat"] = VALUES["dicom_media_type"](facts, iri)[0].value
    return found


def _texts(facts: Facts, value: str) -> list[str]:
    return [term.value for term in VALUES[value](facts, facts.iri)]


def _wish(part: str) -> tuple[float, bool]:
    media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
    named = {
        name.strip(): text.strip().strip('"') for name, _, text in (p.partition("=") for p in parameters)
    }
    profiles = {each.rstrip("/") for each in named.get("profile", "").split()}
    ours = media_type == "application/ld+json" and bool(
        profiles & {"https://schema.org", "http://schema.org"}
    )
    try:
        return float(named.get("q", "1")), ours
    except ValueError:
        return 0.0, False
