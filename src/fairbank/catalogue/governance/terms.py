"""The terms on which a dataset is granted: what a committee proposes, votes on, and the visa then says."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Selector
from fairbank.ontology.wire import DigestText, Moment, Part, Slug, Text


class Agreement(Part):
    """A data-use agreement that has to be countersigned, and by whom (an account of this hub)."""

    countersigner: Slug
    title: Text


class Terms(Part):
    """The terms of one dataset; `output_classes` empty means all that were asked for."""

    until: Moment
    maximum_runs: Annotated[int, Field(ge=1, le=10_000)] = 100
    selector: Selector = Selector()
    output_classes: tuple[OutputClass, ...] = ()
    tool_digests: tuple[DigestText, ...] = ()
    tool_families: tuple[Slug, ...] = ()
    conditions: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    agreement: Agreement | None = None
