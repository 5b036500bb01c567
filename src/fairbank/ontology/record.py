"""The dataset record: what a node publishes about a collection (`record/1`, sealed with the node's key).

Counts in it have passed the release gate; nothing in it is about one subject. Subjects do not add up across
cells: totals are roll-ups, never sums of cells.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from fairbank.ontology.counts import Count
from fairbank.ontology.signed_objects import SignedObject
from fairbank.ontology.stewardship import Stewardship
from fairbank.ontology.variables import Variable
from fairbank.ontology.wire import DigestText, Moment, Part, ShortText, Slug, Text

UNKNOWN = "unknown"


class AccessRights(StrEnum):
    """Publications Office access-right words (http://publications.europa.eu/resource/authority/access-right/)."""

    PUBLIC = "PUBLIC"
    RESTRICTED = "RESTRICTED"
    NON_PUBLIC = "NON_PUBLIC"


class CollectionKind(StrEnum):
    """How a collection came to be."""

    TRIAL = "trial"
    CLINICAL = "clinical"
    SCREENING = "screening"
    POPULATION = "population"
    TEST = "test"


class HowKnown(StrEnum):
    """Where a fact comes from."""

    HEADER = "header"
    ARCHIVE = "archive"
    COMPUTED = "computed"
    CURATOR = "curator"


class Stratum(Part):
    """One cell of the imaging cube; an axis whose value is missing says `unknown`.

    Attributes:
        modality: DICOM (0008,0060), CID 29.
        body_part: DICOM (0018,0015) defined term, upper case.
        manufacturer: normalised name.
        slice_thickness: half-open band in millimetres: `<1`, `1-1.5`, `1.5-2`, `2-2.5`, `2.5-3`, `3-5`, `>=5`,
            `unknown`; in older records `1.5-3` stands for three of them.
    """

    modality: ShortText
    body_part: ShortText
    manufacturer: ShortText
    slice_thickness: ShortText
    series: Count
    studies: Count
    subjects: Count


class Distribution(Part):
    """The one-dimensional distribution of an attribute over subjects or series."""

    attribute: Slug
    value: ShortText
    how_known: HowKnown
    subjects: Count


class ActivityKind(StrEnum):
    """A step in the life of a collection."""

    ACQUISITION = "acquisition"
    DEIDENTIFICATION = "deidentification"
    HARVEST = "harvest"


class Activity(Part):
    """One provenance activity (PROV-O): with what tool, under which profile, by whom, when."""

    kind: ActivityKind
    tool: ShortText
    tool_version: ShortText
    profile: ShortText | None = None
    profile_digest: DigestText | None = None
    source_system: ShortText | None = None
    agent: ShortText
    started: Moment
    ended: Moment


class Quality(Part):
    """One quality aspect: whether it was assessed, how it is known, when, and how many series it affects."""

    aspect: Slug
    assessed: bool
    how_known: HowKnown | None = None
    at: Moment | None = None
    series_affected: Count | None = None


class Totals(Part):
    """Roll-ups over the whole dataset."""

    subjects: Count
    studies: Count
    series: Count
    instances: Count


class DatasetRecord(SignedObject):
    """The published description of one dataset of a node.

    Attributes:
        minimum_count: no count of fewer subjects is in it.
        rounded_to: the number that every count is a multiple of, None if counts are not rounded.
    """

    schema_name = "record/1"
    kind = "record"

    node: Slug
    dataset: Slug
    version: Annotated[int, Field(ge=1)]
    title: ShortText
    description: Text
    keywords: tuple[ShortText, ...] = ()
    publisher: ShortText
    contact: ShortText | None = None
    licence: ShortText | None = None
    access_rights: AccessRights = AccessRights.NON_PUBLIC
    collection_kind: CollectionKind
    data_use: tuple[Annotated[str, Field(pattern=r"^DUO:\d{7}$")], ...] = ()
    minimum_count: Annotated[int, Field(ge=1)]
    rounded_to: Annotated[int, Field(ge=2)] | None = None
    totals: Totals
    cube: tuple[Stratum, ...]
    distributions: tuple[Distribution, ...] = ()
    acquired_from: Annotated[int, Field(ge=1895, le=2200)] | None = None
    acquired_to: Annotated[int, Field(ge=1895, le=2200)] | None = None
    provenance: tuple[Activity, ...]
    quality: tuple[Quality, ...] = ()
    stewardship: Stewardship | None = None
    variables: Annotated[tuple[Variable, ...], Field(max_length=1000)] = ()
    created: Moment

    @model_serializer(mode="wrap")
    def _readable_by_older_hubs(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what was added later and says nothing: an older reader refuses a field that it does not know."""
        fields: dict[str, Any] = write(self)
        return {name: value for name, value in fields.items() if name != "variables" or value}
