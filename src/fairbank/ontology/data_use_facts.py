"""The facts that a data-use match compares, and what it comes to: who asks for what, what is allowed, a verdict each.

All of it is plain values, so that a match can be worked out anywhere: at the hub for a request, at a node for one
subject's consent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from fairbank.ontology.data_use_limits import NO_LIMITS, DataUseLimits
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import EvidenceKind, OrganisationKind


class Verdict(IntEnum):
    """How one code of a dataset judges a purpose; the larger, the worse."""

    COMPATIBLE = 0
    NEEDS_REVIEW = 1
    INCOMPATIBLE = 2

    @property
    def word(self) -> str:
        """Return the verdict as it is shown and sent."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one code of a dataset permits a purpose, or not."""

    code: str
    label: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Match:
    """How a purpose fits a dataset's terms, code by code."""

    explanations: tuple[Explanation, ...]

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict; a dataset without codes needs review."""
        return max((each.verdict for each in self.explanations), default=Verdict.NEEDS_REVIEW)


@dataclass(frozen=True, slots=True)
class AskedPerson:
    """Somebody who works on the project that asks."""

    name: str
    organisation: str
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A piece of evidence: what it shows, and until when it is valid; None: it does not say."""

    kind: EvidenceKind
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of itself that data-use codes ask about.

    Attributes:
        codes: permissions and kinds of investigation wanted, modifiers accepted.
        diseases: MONDO ids such as `MONDO:0008903`.
        commercial: whether the use is commercial, as the requester signed it; None: she did not say.
        until: until when the data are wanted; None: not said.
        now: the moment of judging.
    """

    codes: tuple[str, ...]
    now: datetime
    diseases: tuple[str, ...] = ()
    organisation_kind: OrganisationKind | None = None
    commercial: bool | None = None
    country: str | None = None
    project: str | None = None
    institution: str | None = None
    account: str | None = None
    people: tuple[AskedPerson, ...] = ()
    evidence: tuple[Shown, ...] = ()
    has_publication_plan: bool = False
    output_classes: tuple[OutputClass, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a dataset, or one subject's consent, allows: codes, at best one of them a permission, and their values."""

    codes: tuple[str, ...]
    limits: DataUseLimits = NO_LIMITS
