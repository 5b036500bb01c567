"""What an analysis left out at a site, by reason: the one form in which a node tells it and a hub keeps it."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from fairbank.ontology.counts import Count

# All reasons together that are not told one by one; no tool has a word with a hyphen.
OTHER_REASONS: Final = "other-reasons"


class Exclusion(BaseModel):
    """How many series were not measured, or not in full, for one reason.

    Attributes:
        reason: a word of the tool's contract, or `OTHER_REASONS`.
        series: with at least one row of that reason.
        subjects: that these are of; not countable where a node of an older version does not tell them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    reason: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,59}$")]
    series: Count
    subjects: Count
