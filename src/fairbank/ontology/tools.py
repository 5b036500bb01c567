"""A tool as its publisher seals it: what goes in, what comes out, what it is meant for, how it was tested.

A tool is named by the digest of its code. The manifest binds that digest to what a biobank has to know before it lets
the tool near its images, and to the key of who answers for it. A site may pin that key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any, Final, Self

from pydantic import Field, JsonValue, model_validator

from fairbank.ontology.errors import MalformedObject
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Code, Contrast, Output, SignedObject
from fairbank.ontology.wire import Decimal, DigestText, Iri, KeyText, Moment, Part, ShortText, Slug, Text
from fairbank.signing import Sealed

# What begins a tag, a comment or a character reference of HTML, and characters that move what is printed.
_MARKUP: Final = re.compile(
    r"<[A-Za-z/!?]|&(#|[A-Za-z]+;)|[\x01-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)


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
        body_part: as records name them; a part of one of these counts as well.
        minimum_thickness_mm: of a slice, more than 0.
        maximum_thickness_mm: of a slice.
        contrast: which words about a contrast agent.
        annotations: what it reads beside the images; a series without one of them cannot be measured.
    """

    modality: tuple[ShortText, ...] = ()
    body_part: tuple[ShortText, ...] = ()
    minimum_thickness_mm: Decimal | None = None
    maximum_thickness_mm: Decimal | None = None
    contrast: Annotated[tuple[Contrast, ...], Field(max_length=3)] = ()
    minimum_instances: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    annotations: tuple[AnnotationKind, ...] = ()

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        bounds = [
            Fraction(each)
            for each in (self.minimum_thickness_mm, self.maximum_thickness_mm)
            if each is not None
        ]
        if any(each <= 0 for each in bounds) or bounds != sorted(bounds):
            raise ValueError("a range of thickness goes from above 0 to what is no less than its beginning")
        return self


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
        parameters: JSON schema of its parameters; numbers that are no integers are text.
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

    @model_validator(mode="after")
    def _is_plain(self) -> Self:
        for each in _values(self.model_dump(mode="json")):
            if isinstance(each, float):
                raise ValueError("decimals are written as text")
            if isinstance(each, str) and not is_plain(each):
                raise ValueError("texts are plain: no HTML, no characters that steer a terminal")
        return self

    @classmethod
    def open_own(cls, envelope: bytes) -> tuple[Self, Sealed]:
        """Verify that a manifest is sealed with the publisher's key that it names; whose key that is others judge.

        Raises:
            BadEnvelope: if no signature verifies.
            MalformedObject: if the payload is not of this schema, or is sealed with another key than it names.
        """
        manifest, seal = cls.open(envelope, trusted=None)
        if manifest.publisher_key != seal.signer:
            raise MalformedObject(
                "This tool manifest is sealed with another key than that of the publisher whom it names.",
                why="A publisher answers for a tool with a key of their own.",
                todo="Have its publisher seal it.",
            )
        return manifest, seal

    @property
    def output_classes(self) -> tuple[OutputClass, ...]:
        """Return the classes of what it returns, each once."""
        return tuple(dict.fromkeys(output.output_class for output in self.outputs))


def is_plain(text: str) -> bool:
    """Tell whether a text has neither HTML nor characters that steer what shows it.

    >>> is_plain("p < 0.05 & n > 10"), is_plain("<b>best</b>")
    (True, False)
    """
    return _MARKUP.search(text) is None


def _values(value: Any) -> Iterator[Any]:
    """Yield all texts, names and numbers of a JSON value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _values(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner)
    else:
        yield value
