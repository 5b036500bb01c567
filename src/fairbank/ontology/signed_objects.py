"""The four signed objects that together let code run on data: request, visa, manifest, site approval.

Request (requester's key) → Visa (hub key) → Manifest (requester's key) → SiteApproval (site key). A node runs
nothing without all four. Each is sealed as a DSSE envelope (`fairbank.signing.seal`) under the kind named by
its class. No floats: decimals, seeds and times are text. Unknown keys and out-of-range values are refused.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator

from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.wire import DigestText, Id, Iri, KeyText, Moment, Part, ShortText, Slug, Text, Wire
from fairbank.signing import Sealed, SigningKey, open_sealed, seal


class SignedObject(Wire):
    """Base of what travels sealed."""

    kind: ClassVar[str]

    def seal(self, key: SigningKey) -> bytes:
        """Return the DSSE envelope of this object, signed with `key`."""
        return seal(self.kind, self.payload(), key)

    @classmethod
    def open(cls, envelope: bytes, *, trusted: list[str] | None) -> tuple[Self, Sealed]:
        """Verify an envelope and return the object with its sealed form.

        Args:
            trusted: key ids that may have signed it; None accepts any signer, to be judged by the caller.

        Raises:
            BadEnvelope: if no trusted signature verifies.
            MalformedObject: if the payload is not of this schema.
        """
        sealed = open_sealed(envelope, cls.kind, trusted=trusted)
        return cls.parse(dict(sealed.payload)), sealed


class Purpose(Part):
    """What the data are wanted for, in DUO codes and in words."""

    data_use: Annotated[
        tuple[Annotated[str, Field(pattern=r"^DUO:\d{7}$")], ...], Field(min_length=1, max_length=20)
    ]
    statement: Text


class Request(SignedObject):
    """A researcher asks for named datasets, a purpose and output classes; sealed with the requester's key."""

    schema_name = "request/1"
    kind = "request"

    id: Id
    requester_key: KeyText
    requester_account: ShortText
    organisation: ShortText
    title: ShortText
    datasets: Annotated[tuple[Iri, ...], Field(min_length=1, max_length=200)]
    purpose: Purpose
    output_classes: Annotated[tuple[OutputClass, ...], Field(min_length=1)]
    until: Moment
    created: Moment


class Unit(StrEnum):
    """What one item of a cohort is."""

    SERIES = "series"
    STUDY = "study"
    SUBJECT = "subject"


class Pick(StrEnum):
    """Which series of a unit are taken."""

    ALL = "all"
    MOST_INSTANCES = "most-instances"


class Selector(Part):
    """Which series of a dataset: each list holds alternatives, an empty list means any."""

    unit: Unit = Unit.SERIES
    pick: Pick = Pick.ALL
    modality: tuple[ShortText, ...] = ()
    body_part: tuple[ShortText, ...] = ()
    manufacturer: tuple[ShortText, ...] = ()
    minimum_instances: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class VisaDataset(Part):
    """One dataset that a visa opens, and which part of it."""

    iri: Iri
    selector: Selector


class Visa(SignedObject):
    """A committee's grant, sealed with the hub's key: who may run what, on which data, why, and how long."""

    schema_name = "visa/1"
    kind = "visa"

    id: Id
    hub: Iri
    request: DigestText
    requester_key: KeyText
    datasets: Annotated[tuple[VisaDataset, ...], Field(min_length=1, max_length=200)]
    purpose: Purpose
    output_classes: Annotated[tuple[OutputClass, ...], Field(min_length=1)]
    tool_digests: tuple[DigestText, ...] = ()
    tool_families: tuple[Slug, ...] = ()
    conditions: tuple[Text, ...] = ()
    not_before: Moment
    expires: Moment
    maximum_runs: Annotated[int, Field(ge=1, le=10_000)]
    created: Moment


class Code(Part):
    """The code of a job, by content hash; `family` groups versions of one tool."""

    name: Slug
    family: Slug
    version: ShortText
    digest: DigestText


class Output(Part):
    """One output of a job: its name, class and limits."""

    name: Slug
    output_class: OutputClass
    media_type: ShortText
    maximum_bytes: Annotated[int, Field(ge=1, le=2**40)]
    minimum_count: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class PlanName(StrEnum):
    """Who computes when."""

    SINGLE_PASS = "single-pass"  # noqa: S105  a pass over the data, not a password
    AGGREGATION = "aggregation"


class Plan(Part):
    """The compute plan: rounds, quorum and deadlines."""

    name: PlanName
    aggregator: Literal["fedavg", "collect"]
    rounds: Annotated[int, Field(ge=1, le=10_000)] = 1
    quorum: Annotated[int, Field(ge=1, le=1_000)]
    approval_deadline: Moment
    round_deadline_s: Annotated[int, Field(ge=1, le=30 * 86_400)] = 3600


class Resources(Part):
    """What one site's worker may use."""

    memory_bytes: Annotated[int, Field(ge=2**28, le=2**43)] = 8 * 2**30
    wall_s: Annotated[int, Field(ge=1, le=30 * 86_400)] = 3600
    processes: Annotated[int, Field(ge=16, le=65_536)] = 256
    gpus: Annotated[int, Field(ge=0, le=64)] = 0


class PrivacyBudget(Part):
    """The (epsilon, delta) a job may spend at each site, as decimal text."""

    epsilon: ShortText
    delta: ShortText


class Manifest(SignedObject):
    """An immutable job, sealed with the requester's key."""

    schema_name = "manifest/1"
    kind = "manifest"

    id: Id
    visa: DigestText
    requester_key: KeyText
    title: ShortText
    datasets: Annotated[tuple[VisaDataset, ...], Field(min_length=1, max_length=200)]
    code: Code
    parameters: dict[str, JsonValue]
    outputs: Annotated[tuple[Output, ...], Field(min_length=1, max_length=20)]
    plan: Plan
    resources: Resources = Resources()
    privacy_budget: PrivacyBudget | None = None
    seed: Annotated[str, Field(pattern=r"^\d{1,20}$")]
    created: Moment

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [output.name for output in self.outputs]
        if len(set(names)) != len(names):
            raise ValueError("two outputs have the same name")
        return self


class SiteApproval(SignedObject):
    """A site's consent, sealed with the site's own key; its cohort digest never leaves the site."""

    schema_name = "site-approval/1"
    kind = "site-approval"

    id: Id
    node: Slug
    request: DigestText
    visa: DigestText
    manifest: DigestText
    cohort_digest: Annotated[str, Field(pattern=r"^hmac-sha256:[0-9a-f]{64}$")]
    cohort_size: Annotated[int, Field(ge=0)]
    approved_by: ShortText
    maximum_runs: Annotated[int, Field(ge=1, le=10_000)]
    expires: Moment
    created: Moment


def narrows(inner: Selector, outer: Selector) -> bool:
    """Tell whether `inner` selects only what `outer` selects.

    >>> narrows(Selector(modality=("CT",)), Selector()), narrows(Selector(), Selector(modality=("CT",)))
    (True, False)
    """
    lists: list[tuple[Any, Any]] = [
        (inner.modality, outer.modality),
        (inner.body_part, outer.body_part),
        (inner.manufacturer, outer.manufacturer),
    ]
    within = all(not wide or (narrow and set(narrow) <= set(wide)) for narrow, wide in lists)
    same_unit = outer.pick is Pick.ALL or (inner.unit is outer.unit and inner.pick is outer.pick)
    return bool(within and same_unit and inner.minimum_instances >= outer.minimum_instances)
