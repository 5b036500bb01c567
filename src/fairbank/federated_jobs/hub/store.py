"""The hub's tables of jobs: what was asked for, where it stands, what arrived, what came of it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fairbank.database import HubBase


class JobRow(HubBase):
    """One job: its three sealed objects, byte for byte, and its state.

    `changes` grows with every change of the job or one of its sites; long-polls compare it. While a grant that it
    rests on is `paused`, since when, nothing of it is handed out, taken in or merged. `memory_bytes` and `gpus` are
    what it asks for at each site; None for jobs from before that was written down.
    """

    __tablename__ = "jobs_jobs"

    id: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(index=True)
    requester_key: Mapped[str]
    title: Mapped[str]
    manifest_digest: Mapped[str] = mapped_column(unique=True)
    visa_id: Mapped[str] = mapped_column(index=True)
    visa_digest: Mapped[str] = mapped_column(index=True)
    request_id: Mapped[str]
    manifest: Mapped[bytes] = mapped_column(LargeBinary)
    visa: Mapped[bytes] = mapped_column(LargeBinary)
    request: Mapped[bytes] = mapped_column(LargeBinary)
    tool: Mapped[str]
    state: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str]
    round: Mapped[int] = mapped_column(default=0)
    rounds: Mapped[int]
    quorum: Mapped[int]
    approval_deadline: Mapped[datetime]
    expires: Mapped[datetime]
    created: Mapped[datetime]
    started: Mapped[datetime | None] = mapped_column(default=None)
    ended: Mapped[datetime | None] = mapped_column(default=None)
    changes: Mapped[int] = mapped_column(default=1)
    paused: Mapped[datetime | None] = mapped_column(default=None)
    priority: Mapped[str] = mapped_column(default="normal", server_default="normal")
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger, default=None)
    gpus: Mapped[int | None] = mapped_column(default=None)


class JobDatasetRow(HubBase):
    """One dataset that a job uses: at which node, under which request, until when by its visa, since when paused."""

    __tablename__ = "jobs_datasets"
    __table_args__ = (Index(None, "request", "dataset"),)

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    dataset: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str]
    request: Mapped[str]
    expires: Mapped[datetime] = mapped_column(index=True)
    paused: Mapped[datetime | None] = mapped_column(default=None)


class SiteRow(HubBase):
    """One job at one site; `delivered` once the site has said that it holds the objects for review.

    `retries` counts how often it was begun anew after it had failed; it is not given out before `not_before`.
    `percent` is how much of the round the site has told to be computed; None before that, and whenever it moves on.
    """

    __tablename__ = "jobs_sites"
    __table_args__ = (Index("ix_jobs_sites_work", "node", "state"),)

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    node: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    reason: Mapped[str]
    delivered: Mapped[bool] = mapped_column(default=False)
    approval_digest: Mapped[str | None] = mapped_column(default=None)
    round: Mapped[int] = mapped_column(default=0)
    since: Mapped[datetime]
    retries: Mapped[int] = mapped_column(default=0, server_default="0")
    not_before: Mapped[datetime | None] = mapped_column(default=None, index=True)
    percent: Mapped[int | None] = mapped_column(default=None)


class LeaseRow(HubBase):
    """The one lease of a piece of work; giving it out again replaces its id."""

    __tablename__ = "jobs_leases"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    node: Mapped[str] = mapped_column(primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    attempt: Mapped[int]
    granted: Mapped[datetime]
    expires: Mapped[datetime] = mapped_column(index=True)
    open: Mapped[bool] = mapped_column(index=True)


class TurnRow(HubBase):
    """When a requester last had her turn at a node: who waited longest for one comes next."""

    __tablename__ = "jobs_turns"

    node: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class BootRow(HubBase):
    """One start of a node's agent; `over` once another was started after it."""

    __tablename__ = "jobs_boots"

    node: Mapped[str] = mapped_column(primary_key=True)
    boot: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]
    over: Mapped[datetime | None] = mapped_column(default=None)


class RoundRow(HubBase):
    """One round: the model that it starts from, and the one that it ends with.

    `step` is what the compute plan wants of it, with the plan's state; None for a round of the version before, which
    asks all sites. `enough` is the number of updates with which it closes at once. `state_digest` names what the
    aggregator keeps from round to round, and `record` says who took part once it is closed.
    """

    __tablename__ = "jobs_rounds"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(index=True)
    global_digest: Mapped[str | None] = mapped_column(default=None)
    result_digest: Mapped[str | None] = mapped_column(default=None)
    opened: Mapped[datetime]
    deadline: Mapped[datetime]
    closed: Mapped[datetime | None] = mapped_column(default=None)
    step: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    enough: Mapped[int | None] = mapped_column(default=None)
    state_digest: Mapped[str | None] = mapped_column(default=None)
    record: Mapped[dict[str, Any] | None] = mapped_column(default=None)


class UpdateRow(HubBase):
    """One accepted output of one site in one round; its bytes are a blob.

    `merged_in` is the round that it is merged in: a later one than it was computed for where a plan waits for nobody.
    """

    __tablename__ = "jobs_updates"
    __table_args__ = (Index("ix_jobs_updates_merged_in", "job", "merged_in"),)

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str] = mapped_column(primary_key=True)
    output: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(index=True)
    door_class: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    path: Mapped[str]
    received: Mapped[datetime]
    merged_in: Mapped[int]


class SealingKeyRow(HubBase):
    """With which key peers seal what a site may read of a job: what its node sealed, byte for byte."""

    __tablename__ = "jobs_sealing_keys"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    node: Mapped[str] = mapped_column(primary_key=True)
    signer: Mapped[str]
    envelope: Mapped[bytes] = mapped_column(LargeBinary)
    told: Mapped[datetime]


class SharedKeyRow(HubBase):
    """The key that the sites of an encrypted job share, sealed to them by the one that made it."""

    __tablename__ = "jobs_shared_keys"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    node: Mapped[str]
    parcel: Mapped[bytes] = mapped_column(LargeBinary)
    told: Mapped[datetime]


class OverlapRow(HubBase):
    """An overlap that one site asks another to count: the question, and the newest message, sealed to one of them.

    `own`, `other` and `project` are digests; `step` is that of the newest message.
    """

    __tablename__ = "jobs_overlaps"

    id: Mapped[str] = mapped_column(primary_key=True)
    asker: Mapped[str] = mapped_column(index=True)
    answerer: Mapped[str] = mapped_column(index=True)
    own: Mapped[str]
    other: Mapped[str]
    project: Mapped[str]
    envelope: Mapped[bytes] = mapped_column(LargeBinary)
    step: Mapped[int]
    parcel: Mapped[str | None] = mapped_column(Text)
    declined: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime] = mapped_column(index=True)


class LeftOutRow(HubBase):
    """A parcel of a peer that a site left out of a round, and why."""

    __tablename__ = "jobs_left_out"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str] = mapped_column(primary_key=True)
    parcel: Mapped[str] = mapped_column(primary_key=True)
    fault: Mapped[str]


class MaskingRow(HubBase):
    """Where secure aggregation stands in a round: which attempt, which step, and who takes part.

    `roster` has the identity key of each site of the attempt, `sites` names those that are asked for the step; `base`
    and `length` are what most sites' keys are bound to.
    """

    __tablename__ = "jobs_masking"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(default=1)
    step: Mapped[str]
    roster: Mapped[dict[str, Any]]
    sites: Mapped[list[Any]]
    base: Mapped[str | None] = mapped_column(default=None)
    length: Mapped[int | None] = mapped_column(BigInteger, default=None)


class MaskingMessageRow(HubBase):
    """What a site answered to a step of secure aggregation, as it signed it; None if it cannot go on."""

    __tablename__ = "jobs_masking_messages"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str] = mapped_column(primary_key=True)
    envelope: Mapped[bytes | None] = mapped_column(LargeBinary)


class OutputRow(HubBase):
    """One file that came of merging: a table, a plot, a model."""

    __tablename__ = "jobs_outputs"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(index=True)
    media_type: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created: Mapped[datetime]


class ModelRow(HubBase):
    """One global model of the registry, with where it came from.

    `line` is the id of the job that began its line, `version` its number there; `card` is the sealed card, byte for
    byte. Models from before cards have neither.
    """

    __tablename__ = "jobs_models"

    digest: Mapped[str] = mapped_column(primary_key=True)
    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    round: Mapped[int]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    provenance: Mapped[dict[str, Any]]
    created: Mapped[datetime]
    state: Mapped[str] = mapped_column(default="registered", server_default="registered")
    line: Mapped[str | None] = mapped_column(default=None, index=True)
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    card: Mapped[bytes | None] = mapped_column(LargeBinary, default=None)
    card_digest: Mapped[str | None] = mapped_column(default=None)


class SettingsRow(HubBase):
    """The effective settings of a training at one site, as the site signed them, byte for byte."""

    __tablename__ = "jobs_settings"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    node: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    statement: Mapped[bytes] = mapped_column(LargeBinary)
    deviates: Mapped[list[Any]]
    received: Mapped[datetime]


class MeasuredRow(HubBase):
    """What a site of a completed analysis measured, by which code, under which visa; the rows are `MeasurementRow`s.

    `digest` is that of the release that the rows came in.
    """

    __tablename__ = "jobs_measured"
    __table_args__ = (UniqueConstraint("job", "node", name="uq_jobs_measured_job_node"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"))
    node: Mapped[str]
    visa: Mapped[str]
    tool: Mapped[str] = mapped_column(index=True)
    tool_version: Mapped[str]
    tool_digest: Mapped[str]
    digest: Mapped[str]
    kept: Mapped[datetime]


class MeasuredColumnRow(HubBase):
    """One column of what an analysis measured: from the contract of its tool, in the contract's order."""

    __tablename__ = "jobs_measured_columns"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    place: Mapped[int]
    type: Mapped[str]
    unit: Mapped[str | None]
    biomarker: Mapped[str | None] = mapped_column(index=True)
    meaning: Mapped[str]


class MeasurementRow(HubBase):
    """One row exactly as a site released it: values by column; `place` is its number in the release."""

    __tablename__ = "jobs_measurements"

    measured: Mapped[int] = mapped_column(ForeignKey("jobs_measured.id"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    values: Mapped[dict[str, Any]]


class UsageRow(HubBase):
    """What one round of a job has cost at one site: as the site told it, and the bytes that the hub took and gave."""

    __tablename__ = "jobs_usage"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    node: Mapped[str] = mapped_column(primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    cpu_s: Mapped[int] = mapped_column(BigInteger, default=0)
    gpu_s: Mapped[int] = mapped_column(BigInteger, default=0)
    bytes_up: Mapped[int] = mapped_column(BigInteger, default=0)
    bytes_down: Mapped[int] = mapped_column(BigInteger, default=0)


class WithdrawalRow(HubBase):
    """A site has told that a subject whose images a job used has been withdrawn; on which day the hub learned of it."""

    __tablename__ = "jobs_withdrawals"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    node: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date]


class ReleaseCheckRow(HubBase):
    """What the check before release came to for one model, and what was decided where it failed.

    `body` holds the findings, `statement` the sealed decision, byte for byte.
    """

    __tablename__ = "jobs_release_checks"

    model: Mapped[str] = mapped_column(primary_key=True)
    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"))
    verdict: Mapped[str] = mapped_column(index=True)
    body: Mapped[dict[str, Any]]
    measured: Mapped[datetime]
    decision: Mapped[str | None] = mapped_column(default=None)
    decided: Mapped[datetime | None] = mapped_column(default=None)
    statement: Mapped[bytes | None] = mapped_column(LargeBinary, default=None)


class ReleaseVoteRow(HubBase):
    """What somebody on a committee said of a model that is held; a later one of hers counts, both stay."""

    __tablename__ = "jobs_release_votes"

    id: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(ForeignKey("jobs_release_checks.model"), index=True)
    committee: Mapped[str]
    account: Mapped[str]
    decision: Mapped[str]
    because: Mapped[str]
    at: Mapped[datetime]


class AnchorRow(HubBase):
    """A head of a node's audit log, as the node stated it, and the newest head of the hub's that it had seen."""

    __tablename__ = "jobs_anchors"

    node: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[str]
    at: Mapped[datetime]
    hub_seq: Mapped[int | None] = mapped_column(BigInteger, default=None)
    hub_hash: Mapped[str | None] = mapped_column(default=None)


class QuestionRow(HubBase):
    """A question for live counts: what its requester sealed, byte for byte, with the grant that it is asked under."""

    __tablename__ = "jobs_questions"

    id: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(index=True)
    digest: Mapped[str]
    question: Mapped[bytes] = mapped_column(LargeBinary)
    visa: Mapped[bytes | None] = mapped_column(LargeBinary)
    request: Mapped[bytes | None] = mapped_column(LargeBinary)
    created: Mapped[datetime] = mapped_column(index=True)


class AnswerRow(HubBase):
    """What a site says to one dataset of a question: the wire form of a count in columns.

    `place` is the number of the dataset in the question; `handed` is when the node last fetched it.
    """

    __tablename__ = "jobs_answers"
    __table_args__ = (Index("ix_jobs_answers_open", "node", "kind"),)

    question: Mapped[str] = mapped_column(ForeignKey("jobs_questions.id"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    dataset: Mapped[str]
    node: Mapped[str]
    kind: Mapped[str]
    why: Mapped[str | None]
    value: Mapped[int | None]
    k: Mapped[int | None]
    since: Mapped[datetime]
    handed: Mapped[datetime | None] = mapped_column(default=None)
    changes: Mapped[int] = mapped_column(default=0)
