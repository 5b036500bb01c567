"""FAIR Data Point 1.2: the shapes of the two layers above a dataset, the FAIR Data Point itself and its catalogs.

Only shapes are made from these tables; the documents are the hub's. Covered: what the specification asks of the
metadata of every layer, and the links from a layer to the next.

Source: FAIR Data Point specification 1.2; default schemas FAIR Data Point, Catalog and Resource of
FAIRDataTeam/FAIRDataPoint (MIT).
"""

from __future__ import annotations

from typing import Final

from fairbank.ontology import terms
from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles.fdp import FDP
from fairbank.ontology.profiles.fdp_described import DESCRIBED
from fairbank.ontology.profiles.resources import COMPUTED, DCAT, DCT
from fairbank.ontology.profiles.rows import (
    LINK,
    TEXT,
    Profile,
    Range,
    Row,
    Table,
    described,
    may,
    must,
    row,
    should,
    typed,
)

_MOMENT: Final = typed(terms.XSD + "dateTime")
_SOURCE: Final = "FAIR Data Point specification 1.2; default schemas of FAIRDataTeam/FAIRDataPoint (MIT)"


def _row(path: str, values: Range = TEXT, *, most: int | None = 1) -> Row:
    return row(path, "", COMPUTED, values, most=most)


_EVERY_LAYER: Final = (
    *must(
        _row(DCT + "title"),
        _row(DCT + "hasVersion"),
        _row(DCT + "publisher", described(terms.FOAF + "Agent")),
        _row(ns.FDP_O + "metadataIdentifier", LINK),
        _row(ns.FDP_O + "metadataIssued", _MOMENT),
        _row(ns.FDP_O + "metadataModified", _MOMENT),
        _row(DCT + "conformsTo", LINK),
    ),
    *should(_row(DCT + "license", LINK)),
    *may(_row(DCT + "description"), _row(DCT + "identifier")),
)

_AGENT: Final = Table(
    "Publisher",
    (terms.FOAF + "Agent",),
    "",
    must(_row(terms.FOAF + "name")),
    linked_by=(DCT + "publisher",),
)

_POINT: Final = Table(
    "FAIRDataPoint",
    (ns.FDP_O + "FAIRDataPoint",),
    "",
    (
        *_EVERY_LAYER,
        *must(_row(ns.FDP_O + "conformsToFdpSpec", LINK), _row(DCAT + "endpointURL", LINK)),
        *may(_row(ns.FDP_O + "metadataCatalog", LINK, most=None)),
    ),
)

_CATALOG: Final = Table(
    "Catalog",
    (DCAT + "Catalog",),
    "",
    (*_EVERY_LAYER, *must(_row(DCT + "isPartOf", LINK)), *may(_row(DCAT + "dataset", LINK, most=None))),
)

POINT: Final = Profile(
    name="fdp-1.2-root",
    title="FAIR Data Point 1.2: the FAIR Data Point",
    covers="Metadata of the FAIR Data Point and its links to catalogs.",
    source=_SOURCE,
    tables=(_POINT, _AGENT),
)

CATALOG: Final = Profile(
    name="fdp-1.2-catalog",
    title="FAIR Data Point 1.2: a catalog",
    covers="Metadata of a catalog and its links to datasets.",
    source=_SOURCE,
    tables=(_CATALOG, _AGENT),
)

LAYERS: Final[dict[str, Profile]] = {
    profile.name: profile for profile in (POINT, CATALOG, FDP, *DESCRIBED.values())
}
