"""FAIR Data Point 1.2: the metadata of one dataset.

Covered: the Dataset and Distribution of the default schemas of the reference implementation, and the metadata
properties that the specification asks of its layers (identifier, issued, modified, the profile under
`dct:conformsTo`), which are recommended here. The layers above (FAIR Data Point, catalog) have tables of their own; the
containers that link them are not covered.

Source: FAIR Data Point specification 1.2 (the ontology under w3id.org); default schemas Resource, Dataset and
Distribution of FAIRDataTeam/FAIRDataPoint (MIT).
"""

from __future__ import annotations

from typing import Final

from fairbank.ontology import terms
from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles import properties as of
from fairbank.ontology.profiles.dcat_ap import CONTACT
from fairbank.ontology.profiles.resources import (
    ALSO_TABLES,
    COMPUTED,
    CONSTANT,
    CURATOR,
    DCAT,
    DCT,
    LICENCE,
    agent,
)
from fairbank.ontology.profiles.rows import LINK, Profile, may, must, one_of, row, should, typed

_MOMENT: Final = typed(terms.XSD + "dateTime")

_DATASET: Final = of.dataset(
    *must(*of.once(of.TITLE), of.PUBLISHER, row(DCT + "hasVersion", "version", COMPUTED, most=1), of.THEME),
    *should(
        row(
            DCT + "conformsTo",
            "profile",
            COMPUTED,
            LINK,
            most=1,
            note="the profile, not a standard of the data",
        ),
        row(ns.FDP_O + "metadataIdentifier", "metadata", COMPUTED, LINK, most=1),
        row(ns.FDP_O + "metadataIssued", "issued", COMPUTED, _MOMENT, most=1),
        row(ns.FDP_O + "metadataModified", "modified", COMPUTED, _MOMENT, most=1),
    ),
    *may(
        *of.once(of.DESCRIPTION),
        of.LICENCE,
        of.ISSUED,
        of.MODIFIED,
        # Any IRI: the schema does not ask what kind of thing it is.
        row(DCAT + "contactPoint", "contact", CURATOR, LINK, most=1),
        of.KEYWORDS,
        *of.once(of.PAGE),
    ),
    of.IDENTIFIER,
    row(DCT + "accessRights", "access_rights", CURATOR, one_of(*ns.ACCESS_RIGHTS)),
    of.DISTRIBUTION,
)

_DISTRIBUTION: Final = of.distribution(
    *must(row(DCAT + "mediaType", "dicom_media_type", CONSTANT, most=1)),
    *may(*of.once(of.ACCESS_ADDRESS, of.DISTRIBUTION_TITLE)),
)

_PUBLISHER: Final = agent(
    "Publisher", "publisher", DCT + "publisher", must(row(terms.FOAF + "name", "agent_name", CURATOR, most=1))
)

FDP: Final = Profile(
    name="fdp-1.2",
    title="FAIR Data Point 1.2",
    covers="Metadata of one dataset and its distribution; not the layers above, nor their containers.",
    source="FAIR Data Point specification 1.2; default schemas of FAIRDataTeam/FAIRDataPoint (MIT)",
    tables=(_DATASET, _DISTRIBUTION, _PUBLISHER, CONTACT, LICENCE, *ALSO_TABLES),
)
