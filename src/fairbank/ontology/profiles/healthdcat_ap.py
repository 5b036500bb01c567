"""HealthDCAT-AP Release 8, for non-public, restricted and public datasets.

Covered: Dataset, Distribution, the agents and contact points, with every mandatory and recommended property of the
three official sets of shapes, and what DCAT-AP asks below them. Not covered: variables (`csvw:TableGroup`), since a
record describes images and says that it holds no structured data; availability hours of contact points; dataset
series; the contents of the closed vocabularies. A document is about a dataset alone: the official validator refuses
one that is wrapped in a catalogue.

The three sets differ in the access right, in whether contact point, keyword, type and provenance are mandatory, and in
what is recommended.

Source: HealthDCAT-AP Release 8 of 22 September 2026 (Implementing Regulation (EU) 2026/2098), official validator:
shapes and shapes_recommended of the three access levels.
"""

from __future__ import annotations

from typing import Final

from fairbank.ontology import terms
from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles import properties as of
from fairbank.ontology.profiles.resources import (
    ACQUIRED,
    AGENT_CONTACT,
    ALSO_TABLES,
    CURATOR,
    DCAT,
    DCT,
    GENERATION,
    KIND,
    LICENCE,
    PROVENANCE,
    RETENTION,
    agent,
)
from fairbank.ontology.profiles.rows import (
    LINK,
    Profile,
    Row,
    described,
    may,
    must,
    one_of,
    row,
    should,
    typed,
)
from fairbank.ontology.record import AccessRights

_H: Final = ns.HEALTH

# Mandatory at every access level.
_ALWAYS: Final = must(
    of.TITLE, of.DESCRIPTION, of.LEGISLATION, of.DISTRIBUTION, of.IDENTIFIER, of.THEME, *of.HEALTH
)

# Recommended at every access level; publisher and place by DCAT-AP below.
_RECOMMENDED: Final = should(
    row(_H + "analytics", "analytics", CURATOR, of.A_DISTRIBUTION),
    row(ns.ADMS + "sample", "samples", CURATOR, of.A_DISTRIBUTION),
    row(terms.DQV + "hasQualityAnnotation", "quality_annotations", CURATOR, LINK),
    of.STUDIES,
    of.INDIVIDUALS,
    *of.ABOUT_HEALTH,
    of.PUBLISHER,
    of.SPATIAL,
)

# Recommended for non-public datasets only.
_MORE: Final = (
    of.DICOM,
    of.DOCUMENTATION,
    row(DCT + "accrualPeriodicity", "accrual_periodicity", CURATOR, LINK, most=1),
    row(DCT + "isReferencedBy", "references", CURATOR, LINK),
    of.LANGUAGES,
    row(DCT + "source", "sources", CURATOR, LINK),
    row(DCAT + "temporalResolution", "temporal_resolution", CURATOR, typed(terms.XSD + "duration"), most=1),
    of.PAGE,
    row(DCT + "relation", "relations", CURATOR, LINK),
)

# The generation is among the 27 elements of annex B of the regulation, though the shapes do not ask for it.
_OPTIONAL: Final = (*may(of.GENERATION), of.VERSION, of.ISSUED, of.MODIFIED)

_DISTRIBUTION: Final = of.distribution(
    *must(of.ACCESS_ADDRESS, of.LEGISLATION), *of.OF_DISTRIBUTIONS, of="distributions"
)

_AGENT: Final = must(
    row(terms.FOAF + "name", "agent_name", CURATOR),
    row(ns.CV + "contactPoint", "agent_contact", CURATOR, described(ns.CV + "ContactPoint"), most=1),
)
# What the dataset of a health profile leads to.
LINKED: Final = (
    agent("Publisher", "publisher", DCT + "publisher", _AGENT),
    agent("HealthDataAccessBody", "hdab", _H + "hdab", _AGENT),
    agent("Custodian", "custodian", ns.GEODCATAP + "custodian", _AGENT),
    KIND,
    AGENT_CONTACT,
    ACQUIRED,
    RETENTION,
    PROVENANCE,
    GENERATION,
    LICENCE,
)


def _profile(level: AccessRights, rows: tuple[Row, ...]) -> Profile:
    word = level.value.lower().replace("_", "-")
    right = row(
        DCT + "accessRights", "access_rights", CURATOR, one_of(terms.access_right(level.value)), most=1
    )
    dataset = of.dataset(*must(right), *_ALWAYS, *rows, *_RECOMMENDED, *_OPTIONAL)
    return Profile(
        name=f"healthdcat-ap-r8-{word}",
        title=f"HealthDCAT-AP Release 8, {word} datasets",
        covers="Mandatory and recommended properties of Dataset, Distribution, agents and contact points; no "
        "variables, and no contents of closed vocabularies.",
        source="HealthDCAT-AP Release 8 (22 September 2026), shapes of the official validator",
        tables=(dataset, _DISTRIBUTION, *LINKED, *ALSO_TABLES),
    )


_OPEN: Final = (*should(of.CONTACT, of.KEYWORDS), of.TYPE, of.PROVENANCE, *_MORE)
NON_PUBLIC: Final = _profile(
    AccessRights.NON_PUBLIC, (*must(of.CONTACT, of.KEYWORDS, of.TYPE, of.PROVENANCE), *should(*_MORE))
)
RESTRICTED: Final = _profile(AccessRights.RESTRICTED, _OPEN)
PUBLIC: Final = _profile(AccessRights.PUBLIC, _OPEN)
