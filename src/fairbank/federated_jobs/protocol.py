"""The bodies that hub and node exchange about jobs: claims, leases, states; and what a requester sees.

What a node sends is a `ControlMessage`: only closed words, ids, digests, numbers and times. What it computes leaves
through the release gate, never in one of these.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, JsonValue

from fairbank.federated_jobs.masking_protocol import MaskingOrder
from fairbank.federated_jobs.parcel_faults import ParcelFault
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.release_check import ReleaseCheck
from fairbank.federated_jobs.states import JobState, RoundState, SiteState
from fairbank.ontology.model_cards import ModelState
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.places import NodePlace
from fairbank.ontology.signed_objects import Code, PlanName, VisaDataset
from fairbank.ontology.training_rules import ToldRules
from fairbank.ontology.wire import (
    Country,
    DigestText,
    EnvelopeSignatureText,
    Id,
    Iri,
    KeyText,
    Moment,
    Part,
    SealedText,
    SealingKeyText,
    ShortText,
    Slug,
    Wire,
)
from fairbank.release.control import ControlMessage, ErrorCode

# A day on which a node told that a subject whose images were used has been withdrawn.
Day = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
LONGEST_WAIT_S = 60
# Leases that a node names as in hand with one claim.
MOST_HELD = 1000
# A model of this size crosses a slow line in seconds, so nothing of it need be resumed; and one request less is made.
MODEL_WITH_LEASE_BYTES = 4 << 20
LEASE_WITH_MODEL = "application/vnd.fairbank.lease-with-model"
Seconds = Annotated[int, Field(ge=0, le=LONGEST_WAIT_S)]
RoundNumber = Annotated[int, Field(ge=0, le=10_000)]
Sequence = Annotated[int, Field(ge=0)]
# DSSE envelopes travel as text, so that their exact bytes arrive.
Envelope = Annotated[str, Field(min_length=2, max_length=2_000_000)]


# How far a round is at a site: never finer than in twentieths.
CoarsePercent = Annotated[int, Field(ge=0, le=100, multiple_of=5)]


class LeaseKind(StrEnum):
    """What a node is asked to do."""

    REVIEW = "review"
    ROUND = "round"
    STOP = "stop"


class Priority(StrEnum):
    """Which of the jobs that wait for a node it gets first."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class LeaseWork(StrEnum):
    """What a node is doing with a lease that it renews."""

    WORKING = "working"
    HOLDING = "holding"


class Room(Part):
    """What a node has free for further jobs.

    Attributes:
        jobs: how many more rounds it would compute at the same time.
        memory_bytes: memory for all of their workers together.
        worker_bytes: the most that one worker gets here, however much its job asks for.
        gpus: GPUs for all of them together.
    """

    jobs: Annotated[int, Field(ge=0, le=1000)]
    memory_bytes: Annotated[int, Field(ge=0, le=2**50)]
    worker_bytes: Annotated[int, Field(ge=0, le=2**50)]
    gpus: Annotated[int, Field(ge=0, le=1000)] = 0


class RoundSpent(Part):
    """What one round of one job has cost a node so far, in whole seconds, coarsened before it leaves."""

    job: Id
    round: RoundNumber
    cpu_s: Annotated[int, Field(ge=0, le=2**40)]
    gpu_s: Annotated[int, Field(ge=0, le=2**40)]


class Claim(ControlMessage):
    """A node asks for one piece of work.

    Attributes:
        audit_seq: number of the newest entry of its own audit log, whose hash is `audit_hash`.
        hub_audit_seq: number of the newest entry of the hub's log that it was shown, with its hash.
        busy: jobs that this node keeps a worker or unfinished work for; the hub says which to stop.
        holding: leases that the node is still working on, or whose job its people let stand still; any other open lease
            of it is given out again.
        model_bytes: the largest global model that may come with the lease; a larger one is fetched by its digest.
        spent: what rounds have cost that it has not told yet; telling it again replaces it.
        room: what it has free; a round that needs more is not given. None: whatever there is, one at a time.
    """

    schema_name = "claim/1"

    max_wait_s: Seconds
    audit_seq: Sequence
    audit_hash: DigestText
    hub_audit_seq: Sequence | None = None
    hub_audit_hash: DigestText | None = None
    busy: Annotated[tuple[Id, ...], Field(max_length=1000)] = ()
    holding: Annotated[tuple[Id, ...], Field(max_length=MOST_HELD)] = ()
    model_bytes: Annotated[int, Field(ge=0, le=MODEL_WITH_LEASE_BYTES)] = 0
    room: Room | None = None
    spent: Annotated[tuple[RoundSpent, ...], Field(max_length=100)] = ()


class PlaceReport(ControlMessage):
    """A node tells where it is and where it lets results, updates and its peers be."""

    schema_name = "place/1"

    place: NodePlace


class TrainingRulesReport(ControlMessage):
    """A node tells what its site asks of trainings, so that requesters see it before they send one."""

    schema_name = "training-rules/1"

    rules: ToldRules


class Renew(ControlMessage):
    """A node keeps a lease alive.

    Attributes:
        percent: how much of the round is computed, in steps that hide small counts; None where the site does not tell.
    """

    schema_name = "renew/1"

    state: LeaseWork
    percent: CoarsePercent | None = None


class SiteStateReport(ControlMessage):
    """A node tells where a job stands at its site.

    Attributes:
        approval_digest: names the approval, which itself stays at the site.
        error: the code of what failed, and nothing about what it failed on.
    """

    schema_name = "site-state/1"

    state: SiteState
    reason: Reason
    round: RoundNumber = 0
    approval_digest: DigestText | None = None
    error: ErrorCode | None = None


class SubjectWithdrawnReport(ControlMessage):
    """A node tells that a subject of a job's cohort was withdrawn: which job is in the address, and nothing else."""

    schema_name = "subject-withdrawn/1"


class SealingKeyReport(ControlMessage):
    """A node tells with which key its peers seal what it may read of one job, and signs that with its identity key.

    The hub puts the envelope together again from these words (`ontology.parcels.SealingKey`).
    """

    schema_name = "sealing-key-report/1"

    key: SealingKeyText
    created: Moment
    expires: Moment
    signer: KeyText
    signature: EnvelopeSignatureText


class LeftOut(Part):
    """One parcel that a site left out, by its digest, and why."""

    parcel: DigestText
    fault: ParcelFault


class LeftOutReport(ControlMessage):
    """A node tells which parcels of its peers it left out of a round."""

    schema_name = "left-out/1"

    round: RoundNumber
    parcels: Annotated[tuple[LeftOut, ...], Field(min_length=1, max_length=1000)]


class Peer(Part):
    """A site of a peer-to-peer job.

    Attributes:
        key: its identity key, as the hub's directory names it; a site may know it better.
        statement: its key for the job, sealed with that identity key.
        receives: whether what is made now is sealed to it.
    """

    node: Slug
    key: KeyText
    statement: Envelope
    receives: bool = True


class SharedKeyReport(ControlMessage):
    """A node asks for the key that the sites of an encrypted job share, or hands one over, sealed to them.

    Attributes:
        parcel: a key that it made, as a parcel (`parcels.py`) for the sites of the job; None to ask.
    """

    schema_name = "shared-key-report/1"

    parcel: SealedText | None = None


class SharedKeyAnswer(Wire):
    """The hub's answer: the sites that have told a key for the job, and the parcel that came first, if one has."""

    schema_name = "shared-key-answer/1"

    peers: tuple[Peer, ...]
    parcel: SealedText | None = None


class ParcelOffer(Part):
    """A parcel that a site takes: whose, of which round; its own earlier model is named in the same way."""

    sender: Slug
    round: RoundNumber
    digest: DigestText
    size_bytes: Annotated[int, Field(ge=0)]


class MailOrder(Part):
    """What a site does with the models of its peers in one round.

    Attributes:
        parcels: what it makes its model of; none where it starts as in the first round.
        first_only: the model is the first of them that can be used; else their mean by samples.
        plain: what comes of it goes to the hub in the open.
        trains: the model is trained; else it is only put together.
    """

    parcels: Annotated[tuple[ParcelOffer, ...], Field(max_length=1000)] = ()
    peers: Annotated[tuple[Peer, ...], Field(max_length=1000)] = ()
    first_only: bool = False
    plain: bool = False
    trains: bool = True


class SitePlace(Part):
    """Where a site of a job is; None if it has not told the hub."""

    node: Slug
    country: Country | None = None


class Lease(Wire):
    """The hub's answer to a claim.

    Attributes:
        expires: when the lease lapses unless it is renewed, by the hub's clock.
        lease_s: how long a renewal lasts, seconds.
        request: the requester's sealed request (only `review`, as `visa` and `manifest`).
        global_digest: the model that this round starts from; None if it starts from the job's seed.
        round_deadline: after it the round may close without this site.
        participants: sites that approved the job and have not dropped out.
        hub_country: where the hub is, None if it is not set.
        places: where the sites are: for `review` all that the job asks, for `round` the participants.
        retries: how often this site's part of the job was begun anew after it had failed; None for never.
        tool_manifest: what the tool's publisher sealed, where the hub's registry has it (only `review`).
        tool_state: where the hub says that this version stands in its registry.
        mail: what to do with the models of peers, where sites send them to each other.
        masking: which step of secure aggregation is due, where updates are masked.
    """

    schema_name = "lease/1"

    id: Id
    kind: LeaseKind
    job: Id
    round: RoundNumber = 0
    reason: Reason = Reason.NONE
    expires: Moment
    lease_s: Annotated[int, Field(ge=0)] = 0
    request: Envelope | None = None
    visa: Envelope | None = None
    manifest: Envelope | None = None
    global_digest: DigestText | None = None
    round_deadline: Moment | None = None
    participants: tuple[Slug, ...] = ()
    hub_country: Country | None = None
    places: tuple[SitePlace, ...] = ()
    retries: int | None = None
    tool_manifest: Envelope | None = None
    tool_state: Slug | None = None
    mail: MailOrder | None = None
    masking: MaskingOrder | None = None
    hub_audit_seq: Sequence
    hub_audit_hash: DigestText


class Renewed(Wire):
    """The answer to a renewal; `stop` tells the node to end this work now."""

    schema_name = "renewed/1"

    expires: Moment
    stop: bool
    reason: Reason = Reason.NONE


class SiteView(Part):
    """A job at one site, as its requester sees it; `percent` of the round under way, where the site tells it."""

    node: Slug
    state: SiteState
    reason: Reason
    round: RoundNumber
    since: Moment
    percent: CoarsePercent | None = None


class LeftOutView(Part):
    """A model of a peer that a site left out of a round: by whom, whose, of which round, and why."""

    by: Slug
    sender: Slug
    round: RoundNumber
    fault: ParcelFault


class RoundView(Part):
    """One round of a job: who was asked, and what came of it.

    Attributes:
        base: the model that it starts from; None if the job's seed makes it, or if nothing is trained.
        model: the model that it ended with.
        merging: what becomes of the updates: `aggregate`, `hand-on`, `keep-all` or `sealed`.
        late: sites that were asked and did not deliver in time.
        lost: sites that were asked and have dropped out.
        behind: by how many versions the update of a site was behind, where it was.
        updates: what the aggregator says of each site's update: its weight, its length, whether it is odd.
        left_out: models of peers that a site could not use.
    """

    round: RoundNumber
    state: RoundState
    opened: Moment
    closed: Moment | None = None
    base: DigestText | None = None
    model: DigestText | None = None
    merging: Slug | None = None
    asked: tuple[Slug, ...] = ()
    merged: tuple[Slug, ...] = ()
    late: tuple[Slug, ...] = ()
    lost: tuple[Slug, ...] = ()
    behind: dict[Slug, int] = {}
    updates: dict[Slug, dict[str, JsonValue]] = {}
    left_out: tuple[LeftOutView, ...] = ()


class JobView(Wire):
    """A job, as its requester sees it; `seen` grows with every change and feeds the long-poll.

    `selections` is what it takes of each dataset, and `history` its rounds, oldest first; an older hub says nothing of
    them.
    """

    schema_name = "job/1"

    id: Id
    title: ShortText
    state: JobState
    reason: Reason
    manifest: DigestText
    visa: DigestText
    code: Code
    plan: PlanName
    round: RoundNumber
    rounds: RoundNumber
    quorum: int
    datasets: tuple[Iri, ...]
    selections: tuple[VisaDataset, ...] = ()
    sites: tuple[SiteView, ...]
    created: Moment
    ended: Moment | None = None
    seen: int
    priority: Priority = Priority.NORMAL
    withdrawn_subject_in_training: Day | None = None
    history: tuple[RoundView, ...] = ()


class SiteUsage(Part):
    """What a job has cost at one site, all rounds together; bytes as the hub counts them."""

    node: Slug
    account: ShortText
    jobs: int
    rounds: int
    cpu_s: int
    gpu_s: int
    bytes_up: int
    bytes_down: int


class Usage(Wire):
    """What jobs have cost, by site and requester."""

    schema_name = "usage/1"

    sites: tuple[SiteUsage, ...]


class Retried(Wire):
    """The answer to a retry: at which sites the job is tried again."""

    schema_name = "retried/1"

    id: Id
    state: JobState
    nodes: tuple[Slug, ...]


class PriorityWish(Wire):
    """Somebody asks for another priority of a job."""

    schema_name = "priority/1"

    priority: Priority


class JobSummary(Part):
    """A job in a list."""

    id: Id
    title: ShortText
    state: JobState
    reason: Reason
    code: ShortText
    round: RoundNumber
    rounds: RoundNumber
    created: Moment


class JobList(Wire):
    """The jobs that an account may see, newest first."""

    schema_name = "jobs/1"

    jobs: tuple[JobSummary, ...]


class Submitted(Wire):
    """The answer to a submission."""

    schema_name = "submitted/1"

    id: Id
    state: JobState


class ResultFile(Part):
    """One file that a job returned after merging."""

    name: ShortText
    media_type: ShortText
    digest: DigestText
    size_bytes: int
    round: RoundNumber


class Received(Part):
    """What one site released for one round, by class and size."""

    node: Slug
    round: RoundNumber
    output: Slug
    output_class: OutputClass
    size_bytes: int
    digest: DigestText


class Results(Wire):
    """The merged results of a job, and what came from which site."""

    schema_name = "results/1"

    job: Id
    state: JobState
    files: tuple[ResultFile, ...]
    received: tuple[Received, ...]
    withdrawn_subject_in_training: Day | None = None


class ModelView(Part):
    """A global model of the registry.

    Attributes:
        line, version: a model that starts from a registered one is the next version of its line.
        card: digest of the card that the hub sealed; None for a model from before cards.
    """

    digest: DigestText
    job: Id
    title: ShortText
    code: Code
    round: RoundNumber
    rounds: RoundNumber
    final: bool
    size_bytes: int
    datasets: tuple[Iri, ...]
    nodes: tuple[Slug, ...]
    created: Moment
    withdrawn_subject_in_training: Day | None = None
    state: ModelState = ModelState.REGISTERED
    line: Id | None = None
    version: int = 1
    card: DigestText | None = None


class ModelList(Wire):
    """The models that an account may see, newest first."""

    schema_name = "models/1"

    models: tuple[ModelView, ...]


class ModelDetail(Wire):
    """One model with its whole provenance.

    Attributes:
        evaluations: completed jobs of the same account that measured this model.
        release_check: what the sites measured of how much it remembers, and what was decided.
    """

    schema_name = "model/1"

    model: ModelView
    manifest: DigestText
    visa: DigestText
    request: Id
    started: Moment
    ended: Moment
    evaluations: tuple[Id, ...] = ()
    release_check: ReleaseCheck | None = None


class ModelStateWish(Wire):
    """Somebody asks that a model be moved to another state of the registry."""

    schema_name = "model-state/1"

    state: ModelState
