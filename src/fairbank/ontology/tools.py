"""A tool as its publisher seals it: what goes in, what comes out, what it is meant for, how it was tested.

A tool is named by the digest of its code. The manifest binds that digest to what a biobank has to know before it lets
the tool near its images, and to the key of who answers for it. A site may pin that key.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, JsonValue, model_validator

from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Code, Output, SignedObject
from fairbank.ontology.wire import Decimal, DigestText, Iri, KeyText, Moment, Part, ShortText, Slug, Text


class LegalStatus(StrEnum):
    """As what a tool may be used: for research only, or as a medical device (EU 2017/745, US 21 CFR 820)."""

    RESEARCH_ONLY = "research-only"
    CE_MARKED = "ce-marked"
    FDA_CLEARED = "fda-cleared"


class AnnotationKind(StrEnum):
    """Which kind of annotation a tool reads beside the images: DICOM Segmentation or RT Structure Set."""

    SEG = "SEG"
    RTSTRUCT = "RTSTRUCT"


class ToolInputs(Part):
    """Which series a tool can measure; an empty list means any.

    Attributes:
        maximum_thickness_mm: of a slice.
        annotations: what it reads beside the images; a series without one of them cannot be measured.
    """

    modality: tuple[ShortText, ...] = ()
    body_part: tuple[ShortText, ...] = ()
    maximum_thickness_mm: Decimal | None = None
    minimum_instances: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    annotations: tuple[AnnotationKind, ...] = ()


class OutputColumn(Part):
    """One column of a table that a tool returns.

    Attributes:
        unit: UCUM; empty for a number without unit, None where a unit makes no sense.
        biomarker: a coded concept (`SCHEME:code`), where there is one.
        words: every word that may occur, where the column holds words.
    """

    name: ShortText
    type: Slug
    unit: Annotated[str, Field(max_length=40)] | None = None
    meaning: ShortText
    biomarker: ShortText | None = None
    words: tuple[ShortText, ...] = ()


class Validation(Part):
    """One result of testing a tool: on what, which measure, which value, and where it is written."""

    data: ShortText
    measure: ShortText
    value: Decimal
    subjects: Annotated[int, Field(ge=1)] | None = None
    reference: ShortText | None = None


class Container(Part):
    """An image that holds a tool; named by digest, so that no tag can be moved."""

    image: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/:-]+@sha256:[0-9a-f]{64}$", max_length=300)]
    command: Annotated[tuple[ShortText, ...], Field(min_length=1, max_length=50)]


class ToolManifest(SignedObject):
    """What a tool is; sealed with its publisher's key.

    Attributes:
        code: name, family, version and digest, as job manifests name them.
        entry_point: `package.module:object` of code that is installed at the sites; or `container`.
        extra: the part of fairbank that has to be installed where it runs.
        parameters: JSON schema of its parameters.
        columns: of the table that it returns with default parameters.
    """

    schema_name = "tool-manifest/1"
    kind = "tool-manifest"

    code: Code
    title: ShortText
    description: Text
    publisher: ShortText
    publisher_key: KeyText
    entry_point: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", max_length=200)] | None = (
        None
    )
    container: Container | None = None
    extra: Slug | None = None
    inputs: ToolInputs
    parameters: dict[str, JsonValue]
    outputs: Annotated[tuple[Output, ...], Field(min_length=1, max_length=20)]
    columns: Annotated[tuple[OutputColumn, ...], Field(max_length=2000)] = ()
    intended_use: Text
    legal_status: LegalStatus
    legal_reference: ShortText | None = None
    validation: Annotated[tuple[Validation, ...], Field(max_length=200)] = ()
    licence: ShortText
    homepage: Iri | None = None
    citation: Text | None = None
    supersedes: DigestText | None = None
    created: Moment

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.entry_point is None) == (self.container is None):
            raise ValueError("a tool is either an entry point or a container")
        if self.legal_status is not LegalStatus.RESEARCH_ONLY and self.legal_reference is None:
            raise ValueError("a medical device names its certificate or clearance")
        return self

    @property
    def output_classes(self) -> tuple[OutputClass, ...]:
        """Return the classes of what it returns, each once."""
        return tuple(dict.fromkeys(output.output_class for output in self.outputs))
