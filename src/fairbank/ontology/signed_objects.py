"""The four signed objects that together let code run on data: request, visa, manifest, site approval.

Request (requester's key) → Visa (hub key) → Manifest (requester's key) → SiteApproval (site key). A node runs
nothing without all four. Each is sealed as a DSSE envelope (`fairbank.signing.seal`) under the kind named by
its class. No floats: decimals, seeds and times are text. Unknown keys and out-of-range values are refused.
"""

from __future__ import annotations

import base64
import json
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.wire import (
    Country,
    Decimal,
    DigestText,
    Id,
    Iri,
    KeyText,
    Moment,
    Part,
    ShortText,
    Slug,
    Text,
    Wire,
)
from fairbank.signing import Sealed, SigningKey, canonical, open_sealed, payload_type, seal


class SignedObject(Wire):
    """Base of what travels sealed."""

    kind: ClassVar[str]

    def seal(self, key: SigningKey) -> bytes:
        """Return the DSSE envelope of this object, signed with `key`."""
        return seal(self.kind, self.payload(), key)

    def envelope_of(self, signer: str, signature: str) -> bytes:
        """Return the envelope that somebody sealed, from what they told of it in closed words.

        Nothing is believed here: the envelope is verified by whoever opens it.
        """
        return json.dumps(
            {
                "payload": base64.b64encode(canonical(self.payload())).decode(),
                "payloadType": payload_type(self.kind),
                "signatures": [{"keyid": signer, "sig": signature}],
            },
            separators=(",", ":"),
            sort_keys=True,
        ).encode()

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
    """What the data are wanted for, in DUO codes, diseases (MONDO) and words."""

    data_use: Annotated[
        tuple[Annotated[str, Field(pattern=r"^DUO:\d{7}$")], ...], Field(min_length=1, max_length=20)
    ]
    diseases: Annotated[
        tuple[Annotated[str, Field(pattern=r"^MONDO:\d{7}$")], ...], Field(max_length=50)
    ] = ()
    commercial: bool = False
    statement: Text


class OrganisationKind(StrEnum):
    """What kind of organisation asks; data-use terms such as DUO:0000045 depend on it."""

    PUBLIC = "public"
    NOT_FOR_PROFIT = "not-for-profit"
    FOR_PROFIT = "for-profit"


class EvidenceKind(StrEnum):
    """What a piece of evidence shows."""

    ETHICS_APPROVAL = "ethics-approval"
    DATA_MANAGEMENT_PLAN = "data-management-plan"
    FUNDING = "funding"
    PUBLICATION_PLAN = "publication-plan"
    AGREEMENT = "agreement"
    OTHER = "other"


class Evidence(Part):
    """A document that a request rests on: an attachment by its digest, a reference, or both."""

    kind: EvidenceKind
    title: ShortText
    digest: DigestText | None = None
    reference: ShortText | None = None
    valid_until: Moment | None = None

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if self.digest is None and self.reference is None:
            raise ValueError("evidence is an attachment, a reference, or both")
        return self


class Person(Part):
    """Somebody who works on a project; `account` if she has one at this hub."""

    name: ShortText
    organisation: ShortText
    role: ShortText
    account: Slug | None = None


class KeyKeeper(StrEnum):
    """Who keeps the private half of a requester's key."""

    PERSON = "person"
    HUB = "hub"


class Request(SignedObject):
    """A researcher asks for named datasets, a purpose and output classes; sealed with the requester's key.

    Attributes:
        key_kept_by: `hub` where a page of the hub sealed it, with a key that the hub keeps under the requester's
            passphrase: whoever runs the hub could have. Left out where she keeps it herself; a node of a version before
            refuses a request that says it.
        version: 1, and one more each time that it is submitted again or amended under the same id.
        amends: digest of the version that this one replaces.
        minimum_datasets: with fewer granted the project cannot be done.
    """

    schema_name = "request/1"
    kind = "request"

    id: Id
    requester_key: KeyText
    requester_account: ShortText
    key_kept_by: KeyKeeper | None = None
    organisation: ShortText
    title: ShortText
    version: Annotated[int, Field(ge=1, le=1000)] = 1
    amends: DigestText | None = None
    organisation_kind: OrganisationKind | None = None
    country: Country | None = None
    project: ShortText | None = None
    datasets: Annotated[tuple[Iri, ...], Field(min_length=1, max_length=200)]
    minimum_datasets: Annotated[int, Field(ge=1, le=200)] = 1
    purpose: Purpose
    output_classes: Annotated[tuple[OutputClass, ...], Field(min_length=1)]
    evidence: Annotated[tuple[Evidence, ...], Field(max_length=50)] = ()
    people: Annotated[tuple[Person, ...], Field(max_length=200)] = ()
    funding: Annotated[tuple[ShortText, ...], Field(max_length=20)] = ()
    publication_plan: Text | None = None
    until: Moment
    created: Moment

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.minimum_datasets > len(set(self.datasets)):
            raise ValueError("the minimum is more than the datasets asked for")
        return self


class Unit(StrEnum):
    """What one item of a cohort is."""

    SERIES = "series"
    STUDY = "study"
    SUBJECT = "subject"


class Pick(StrEnum):
    """Which series of a unit are taken; where the unit is the series itself, each is its unit's only one.

    `thinnest-contiguous` takes none whose slices are not known to follow each other without a gap. Of the others it
    prefers images as they were acquired to reformatted ones, then those known to be without contrast agent, then the
    thinnest slices, then the most.
    """

    ALL = "all"
    MOST_INSTANCES = "most-instances"
    THINNEST_CONTIGUOUS = "thinnest-contiguous"


_Some = Field(min_length=1, max_length=50)
# The words of `ontology.attributes`, which knows records and so cannot be asked here; a test compares them.
Kernel = Literal["sharp", "soft", "unknown"]
Contrast = Literal["yes", "no", "unknown"]
Sex = Literal["F", "M", "O", "unknown"]
_BANDS = "|".join(f"{low}-{low + 4}" for low in range(0, 90, 5))
AgeBand = Annotated[str, Field(pattern=rf"^(?:{_BANDS}|90\+|unknown)$")]
_Year = Annotated[int, Field(ge=1895, le=2999)]


class Selector(Part):
    """Which series of a dataset: each list holds alternatives, an empty list or none means any.

    What came later is None where it says nothing and is then left out of what is sealed, so that a node of a version
    before reads every selector that does not use it, and refuses one that does.

    Attributes:
        slice_thickness_min_mm: the smallest thickness of a slice, mm; who does not say is left out.
        slice_thickness_max_mm: the largest, mm.
        kernel: sharp, soft or unknown; asked of CT only, others have none.
        contrast: yes, no or unknown.
        sex: F, M, O or unknown.
        age_band: five-year bands such as `60-64`, `90+` or unknown.
        acquired_from: first year of acquisition; what is not known to lie within is left out.
        acquired_to: last year of acquisition.
    """

    unit: Unit = Unit.SERIES
    pick: Pick = Pick.ALL
    modality: tuple[ShortText, ...] = ()
    body_part: tuple[ShortText, ...] = ()
    manufacturer: tuple[ShortText, ...] = ()
    minimum_instances: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    slice_thickness_min_mm: Decimal | None = None
    slice_thickness_max_mm: Decimal | None = None
    kernel: Annotated[tuple[Kernel, ...], _Some] | None = None
    contrast: Annotated[tuple[Contrast, ...], _Some] | None = None
    sex: Annotated[tuple[Sex, ...], _Some] | None = None
    age_band: Annotated[tuple[AgeBand, ...], _Some] | None = None
    acquired_from: _Year | None = None
    acquired_to: _Year | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_not_asked(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Terms of committees are kept and compared in this form, those from before these fields too.
        written: dict[str, Any] = handler(self)
        return {name: value for name, value in written.items() if value is not None}


class VisaDataset(Part):
    """One dataset that a job uses, and which part of it."""

    iri: Iri
    selector: Selector


class GrantedDataset(VisaDataset):
    """One dataset that a visa opens, on the terms of the committee that decides about it.

    A dataset that names no tool and no family leaves the choice of tool to its site.
    """

    output_classes: Annotated[tuple[OutputClass, ...], Field(min_length=1)]
    tool_digests: tuple[DigestText, ...] = ()
    tool_families: tuple[Slug, ...] = ()
    conditions: tuple[Text, ...] = ()
    maximum_runs: Annotated[int, Field(ge=1, le=10_000)]
    expires: Moment


class Visa(SignedObject):
    """What committees granted, sealed with the hub's key: who may run what, on which data, why, and how long.

    Each dataset has the terms of its own committee. When another dataset is granted, or terms change, the hub seals a
    new visa that names the one before it.
    """

    schema_name = "visa/1"
    kind = "visa"

    id: Id
    hub: Iri
    request: DigestText
    requester_key: KeyText
    datasets: Annotated[tuple[GrantedDataset, ...], Field(min_length=1, max_length=200)]
    purpose: Purpose
    supersedes: DigestText | None = None
    not_before: Moment
    created: Moment

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        iris = [dataset.iri for dataset in self.datasets]
        if len(set(iris)) != len(iris):
            raise ValueError("a dataset is named twice")
        return self

    @property
    def expires(self) -> str:
        """Return the end of the dataset that is granted longest."""
        return max(dataset.expires for dataset in self.datasets)

    def terms_of(self, iri: str) -> GrantedDataset | None:
        """Return the terms on which a dataset is granted, None if it is not."""
        return next((dataset for dataset in self.datasets if dataset.iri == iri), None)


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

    @model_validator(mode="after")
    def _leaves_by_the_door(self) -> Self:
        if self.output_class is OutputClass.DOWNLOAD:
            raise ValueError("images are handed out by the site itself, never by a job")
        return self


class PlanName(StrEnum):
    """Who computes when."""

    SINGLE_PASS = "single-pass"  # noqa: S105  a pass over the data, not a password
    AGGREGATION = "aggregation"
    BOUNDED_STALENESS = "bounded-staleness"
    BUFFERED = "buffered-asynchronous"
    SINGLE_WEIGHT_TRANSFER = "single-weight-transfer"
    CYCLIC_WEIGHT_TRANSFER = "cyclic-weight-transfer"
    INSTITUTIONAL_INCREMENTAL = "institutional-incremental"
    CYCLIC_INSTITUTIONAL_INCREMENTAL = "cyclic-institutional-incremental"
    ENSEMBLE = "ensemble"
    PEER_TO_PEER = "peer-to-peer"


class Objective(StrEnum):
    """By what a training is judged over its sites, fixed before anybody approves it."""

    MEAN = "mean"
    WEIGHTED = "weighted"
    WORST_SITE = "worst-site"


class Element(Part):
    """One choice on an axis of training, with its options; fractions are decimals written as text."""

    name: Slug
    options: dict[str, JsonValue] = {}


class Plan(Part):
    """The compute plan: rounds, quorum and deadlines, and how what the sites send is merged."""

    name: PlanName
    aggregator: Slug
    rounds: Annotated[int, Field(ge=1, le=10_000)] = 1
    quorum: Annotated[int, Field(ge=1, le=1_000)]
    approval_deadline: Moment
    round_deadline_s: Annotated[int, Field(ge=1, le=30 * 86_400)] = 3600
    options: dict[str, JsonValue] = {}
    aggregator_options: dict[str, JsonValue] = {}


class DifferentialPrivacy(Part):
    """Noise in local training (DP-SGD); how much may be spent at each site, `privacy_budget` of the manifest says.

    Attributes:
        clip_norm: the longest gradient of one patient, Euclidean, as decimal text.
    """

    clip_norm: ShortText


class SecureAggregation(Part):
    """The hub sees the sum of the sites' updates and none of them.

    Attributes:
        bound: the largest amount of one value of a difference to the model, as decimal text; what is beyond it is cut
            off at the site.
    """

    bound: ShortText


class Training(Part):
    """What a training job does at each site, beside its algorithm.

    Attributes:
        local_step: what changes in local training.
        filters: what changes in an update before it leaves, in this order.
        initial_model: digest of the weights that the first round starts from; None if the job's seed makes them.
        frozen: name patterns of tensors that are not trained.
        objective: by what the model is judged over its sites.
        same_everywhere: what no two sites may differ in, beside what the manifest fixes for all.
        differential_privacy: noise that each site adds; None for none.
        secure_aggregation: how updates are masked; None if the hub reads each of them.
    """

    local_step: Element = Element(name="plain")
    filters: Annotated[tuple[Element, ...], Field(max_length=8)] = ()
    initial_model: DigestText | None = None
    frozen: Annotated[tuple[ShortText, ...], Field(max_length=100)] = ()
    objective: Objective = Objective.MEAN
    same_everywhere: Annotated[tuple[Literal["versions", "hardware"], ...], Field(max_length=2)] = ()
    differential_privacy: DifferentialPrivacy | None = None
    secure_aggregation: SecureAggregation | None = None


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
    training: Training | None = None
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
    """A site's consent, sealed with the site's own key; its cohort digest never leaves the site.

    `decision` is the digest of what the person who approved signed (`person-decision/1`).
    """

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
    decision: DigestText | None = None
    maximum_runs: Annotated[int, Field(ge=1, le=10_000)]
    expires: Moment
    created: Moment


def narrows(inner: Selector, outer: Selector) -> bool:
    """Tell whether `inner` selects only what `outer` selects.

    What a wider selector picks of a study may lie outside a filter, and then a narrower one would pick another series:
    where something is picked, only the same selector selects no more.

    >>> narrows(Selector(modality=("CT",)), Selector()), narrows(Selector(), Selector(modality=("CT",)))
    (True, False)
    """
    lists = ("modality", "body_part", "manufacturer", "kernel", "contrast", "sex", "age_band")
    within = all(_within(getattr(inner, name), getattr(outer, name)) for name in lists)
    least = ("minimum_instances", "slice_thickness_min_mm", "acquired_from")
    above = all(_not_below(getattr(inner, name), getattr(outer, name)) for name in least)
    most = ("slice_thickness_max_mm", "acquired_to")
    below = all(_not_below(getattr(outer, name), getattr(inner, name), unsaid=False) for name in most)
    return inner == outer or (within and above and below and outer.pick is Pick.ALL)


def _within(narrow: tuple[str, ...] | None, wide: tuple[str, ...] | None) -> bool:
    return not wide or bool(narrow and set(narrow) <= set(wide))


def _not_below(value: int | str | None, bound: int | str | None, *, unsaid: bool = True) -> bool:
    """Tell whether a number is not below another; who is not bound by the outer selector is within it."""
    if value is None or bound is None:
        return (bound if unsaid else value) is None
    return Fraction(value) >= Fraction(bound)
