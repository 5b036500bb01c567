"""What a site asks of trainings, as it tells the federation: words of a closed list, and numbers of its policy."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from fairbank.ontology.wire import Decimal, Part

_Count = Annotated[int, Field(ge=1, le=1_000_000)]


class Stance(StrEnum):
    """What a site says to a protection that jobs may bring."""

    ALLOWED = "allowed"
    REQUIRED = "required"
    REFUSED = "refused"


class ToldRules(Part):
    """The rules of one site; how many subjects or images it has is not in them.

    Attributes:
        halted: whether nothing is trained there for now, because its policy cannot be used.
    """

    minimum_subjects: _Count
    minimum_images: _Count
    batch_norm_buffers: bool
    differential_privacy: Stance
    epsilon_cap: Decimal
    secure_aggregation: Stance
    minimum_survivors: Annotated[int, Field(ge=3, le=1_000)]
    encryption: Stance
    halted: bool = False
