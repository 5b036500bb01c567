"""FAIR Data Point 1.2: what is asked of metadata that people write to the hub, without a node and without counts.

Wider than the tables of what nodes publish: a value may be the IRI of something that the document does not describe,
and dates may have any form. What the hub adds by itself (the metadata's identifier, dates, version) is asked for as
well, because a document is judged as it will be published.

Source: FAIR Data Point specification 1.2; default schemas Resource, Catalog, Dataset and Distribution of
FAIRDataTeam/FAIRDataPoint (MIT).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from fairbank.ontology import terms
from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles.resources import CURATOR, DCAT, DCT, agent
from fairbank.ontology.profiles.rows import (
    EITHER,
    LINK,
    TEXT,
    Profile,
    Range,
    Row,
    Table,
    any_of,
    may,
    must,
    one_of,
    row,
    typed,
)


class Kind(StrEnum):
    """A kind of resource that can be written; the word is the first part of its address."""

    CATALOG = "catalog"
    DATASET = "dataset"
    DISTRIBUTION = "distribution"

    @property
    def of_class(self) -> str:
        """Return the IRI of its class."""
        return DCAT + self.value.capitalize()


_MOMENT: Final = typed(terms.XSD + "dateTime")


def _row(path: str, values: Range = TEXT, *, most: int | None = 1) -> Row:
    return row(path, "", CURATOR, values, most=most)


_EVERY_KIND: Final = (
    *must(
        _row(DCT + "title"),
        _row(DCT + "hasVersion", EITHER),
        _row(DCT + "isPartOf", LINK),
        _row(ns.FDP_O + "metadataIdentifier", LINK),
        _row(ns.FDP_O + "metadataIssued", _MOMENT),
        _row(ns.FDP_O + "metadataModified", _MOMENT),
        _row(DCT + "conformsTo", LINK, most=None),
    ),
    *may(
        _row(DCT + "description"),
        _row(DCT + "license", LINK),
        _row(DCT + "issued"),
        _row(DCT + "modified"),
    ),
    _row(DCT + "accessRights", one_of(*ns.ACCESS_RIGHTS), most=None),
    _row(DCAT + "keyword", most=None),
    _row(DCAT + "landingPage", LINK, most=None),
    _row(DCAT + "contactPoint", LINK, most=None),
)
_PUBLISHED_BY: Final = must(_row(DCT + "publisher", LINK))
_PUBLISHER: Final = agent("Publisher", "", DCT + "publisher", must(_row(terms.FOAF + "name", most=None)))
_ROWS: Final[dict[Kind, tuple[Row, ...]]] = {
    Kind.CATALOG: (*_EVERY_KIND, *_PUBLISHED_BY),
    Kind.DATASET: (*_EVERY_KIND, *_PUBLISHED_BY, *must(_row(DCAT + "theme", LINK, most=None))),
    Kind.DISTRIBUTION: (
        *_EVERY_KIND,
        *must(_row(DCAT + "mediaType", EITHER), any_of(DCAT + "accessURL", DCAT + "downloadURL")),
        _row(DCAT + "accessURL", LINK, most=None),
        _row(DCAT + "downloadURL", LINK, most=None),
    ),
}

DESCRIBED: Final[dict[Kind, Profile]] = {
    kind: Profile(
        name=f"fdp-1.2-described-{kind.value}",
        title=f"FAIR Data Point 1.2: a {kind.value} that was written to the hub",
        covers=f"Metadata of one {kind.value}, without its children.",
        source="FAIR Data Point specification 1.2; default schemas of FAIRDataTeam/FAIRDataPoint (MIT)",
        tables=(Table(kind.value.capitalize(), (kind.of_class,), "", rows), _PUBLISHER),
    )
    for kind, rows in _ROWS.items()
}
