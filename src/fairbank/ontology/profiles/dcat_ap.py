"""DCAT-AP 3.0.1 (SEMIC): what a document about one dataset says.

Covered: the mandatory and recommended properties of Dataset, Distribution and Agent; catalogue, data service, catalogue
record, checksum and relationship are not, since such a document has none. The optional properties that are written are
not asked for. Closed vocabularies (languages, frequencies, file types) are not checked.

Source: SEMICeu/DCAT-AP, release 3.0.1, shapes and shapes_recommended (CC BY 4.0).
"""

from __future__ import annotations

from typing import Final

from fairbank.ontology import terms
from fairbank.ontology.profiles import properties as of
from fairbank.ontology.profiles.resources import (
    ACQUIRED,
    ALSO_TABLES,
    CURATOR,
    DCT,
    LICENCE,
    PROVENANCE,
    agent,
)
from fairbank.ontology.profiles.rows import LINK, Profile, Table, must, row, should

DATASET: Final = of.dataset(
    *must(of.TITLE, of.DESCRIPTION),
    *should(of.CONTACT, of.DISTRIBUTION, of.KEYWORDS, of.THEME, of.PUBLISHER, of.SPATIAL, of.ACQUIRED),
    of.IDENTIFIER,
    of.ACCESS_RIGHTS,
    of.VERSION,
    of.ISSUED,
    of.MODIFIED,
    of.LANGUAGES,
    of.TYPE,
    of.PROVENANCE,
    of.PAGE,
    of.DOCUMENTATION,
)

CONTACT: Final = Table(
    "ContactPoint",
    (terms.VCARD + "Kind",),
    "contact",
    (
        row(terms.VCARD + "fn", "contact_name", CURATOR),
        row(terms.VCARD + "hasEmail", "contact_email", CURATOR, LINK, most=1),
        row(terms.VCARD + "hasURL", "contact_page", CURATOR, LINK, most=1),
    ),
)

DISTRIBUTION: Final = of.distribution(*must(of.ACCESS_ADDRESS), *of.OF_DISTRIBUTIONS)

PUBLISHER: Final = agent(
    "Publisher", "publisher", DCT + "publisher", must(row(terms.FOAF + "name", "agent_name", CURATOR))
)

DCAT_AP: Final = Profile(
    name="dcat-ap-3.0.1",
    title="DCAT-AP 3.0.1",
    covers="Mandatory and recommended properties of Dataset, Distribution and Agent, without closed vocabularies.",
    source="SEMICeu/DCAT-AP, release 3.0.1: shapes, shapes_recommended (CC BY 4.0)",
    tables=(DATASET, DISTRIBUTION, PUBLISHER, CONTACT, ACQUIRED, PROVENANCE, LICENCE, *ALSO_TABLES),
)
