"""The node's tables of jobs: what is to be decided, what was approved, who is in the cohort, how far the work is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from fairbank.database import NodeBase

_SEQ = BigInteger().with_variant(Integer, "sqlite")


class ReviewRow(NodeBase):
    """A job that was brought to this site: its three sealed objects, byte for byte, and what the site said.

    `reported` tells whether the hub knows of the present state. `stopped_by` names the check that refused it, which the
    hub is not told. `places` is where the hub says that it and the other sites are, by its last lease. While `paused`,
    since when, an unfinished round waits for the hub's word. While `halted`, since when, the site's own people let the
    job stand still. `noticed` is when they were last told that it waits for them. `retries` counts how often the job
    was taken up again after it had failed here.
    """

    __tablename__ = "jobs_reviews"

    job: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    tool: Mapped[str]
    requester_key: Mapped[str]
    manifest_digest: Mapped[str | None] = mapped_column(unique=True)
    visa_digest: Mapped[str | None] = mapped_column(index=True)
    request: Mapped[bytes] = mapped_column(LargeBinary)
    visa: Mapped[bytes] = mapped_column(LargeBinary)
    manifest: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str]
    error: Mapped[str | None] = mapped_column(default=None)
    reported: Mapped[bool] = mapped_column(default=False)
    ended: Mapped[bool] = mapped_column(default=False)
    received: Mapped[datetime]
    decided: Mapped[datetime | None] = mapped_column(default=None)
    decided_by: Mapped[str | None] = mapped_column(default=None)
    stopped_by: Mapped[str | None] = mapped_column(default=None)
    places: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    paused: Mapped[datetime | None] = mapped_column(default=None)
    retries: Mapped[int] = mapped_column(default=0, server_default="0")
    halted: Mapped[datetime | None] = mapped_column(default=None)
    noticed: Mapped[datetime | None] = mapped_column(default=None)


class UntoldRow(NodeBase):
    """A report on a job that the hub refused to take: what it said, when it is told again, how often it was tried.

    It counts while the job stands as it was reported; what is decided anew is told at once.
    """

    __tablename__ = "jobs_untold"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_reviews.job"), primary_key=True)
    state: Mapped[str]
    reason: Mapped[str]
    refused_with: Mapped[str]
    tries: Mapped[int]
    since: Mapped[datetime]
    due: Mapped[datetime]


class ApprovalRow(NodeBase):
    """A site's consent to a job: the envelope that its people's key sealed, and what has been used of it."""

    __tablename__ = "jobs_approvals"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_reviews.job"), primary_key=True)
    envelope: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[str]
    site_key: Mapped[str]
    cohort_digest: Mapped[str]
    runs: Mapped[int] = mapped_column(default=0)
    hold_outputs: Mapped[bool] = mapped_column(default=False)
    rule: Mapped[str | None] = mapped_column(default=None)
    withdrawn: Mapped[datetime | None] = mapped_column(default=None)


class RunRow(NodeBase):
    """A run that this site approved on one of its datasets, by the request that it was granted under.

    By the request's id, which stays when it is amended: neither a visa that replaces another nor a later version of the
    request gives runs again. And by the requester's key: who asks chooses the id, so one may be another's as well.
    """

    __tablename__ = "jobs_runs"
    __table_args__ = (Index(None, "request", "requester_key", "dataset"),)

    job: Mapped[str] = mapped_column(ForeignKey("jobs_reviews.job"), primary_key=True)
    dataset: Mapped[str] = mapped_column(primary_key=True)
    request: Mapped[str]
    requester_key: Mapped[str]


class NewestVisaRow(NodeBase):
    """The newest visa of a requester's request that this site has seen for one of its datasets."""

    __tablename__ = "jobs_newest_visas"

    request: Mapped[str] = mapped_column(primary_key=True)
    requester_key: Mapped[str] = mapped_column(primary_key=True)
    dataset: Mapped[str] = mapped_column(primary_key=True)
    visa: Mapped[str]
    created: Mapped[datetime]


class CohortRow(NodeBase):
    """One series of a job's frozen cohort; it never leaves this table."""

    __tablename__ = "jobs_cohort"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_reviews.job"), primary_key=True)
    dataset: Mapped[str] = mapped_column(primary_key=True)
    series_uid: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str]
    content_digest: Mapped[str]
    gone: Mapped[datetime | None] = mapped_column(default=None)


class CohortAnnotationRow(NodeBase):
    """A series that describes one of a job's frozen cohort, as it was then; it never leaves this table."""

    __tablename__ = "jobs_cohort_annotations"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_reviews.job"), primary_key=True)
    dataset: Mapped[str] = mapped_column(primary_key=True)
    series_uid: Mapped[str] = mapped_column(primary_key=True)
    annotation_uid: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    content_digest: Mapped[str]


class ShrinkageRow(NodeBase):
    """A cohort that became smaller after it was approved, sealed with the node's key."""

    __tablename__ = "jobs_shrinkages"

    digest: Mapped[str] = mapped_column(primary_key=True)
    job: Mapped[str] = mapped_column(ForeignKey("jobs_reviews.job"), index=True)
    envelope: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]


class UnmaskedRow(NodeBase):
    """A round in which this site has helped to unmask a sum; noted before it says so, and for ever."""

    __tablename__ = "jobs_unmasked"

    job: Mapped[str] = mapped_column(primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class WorkRow(NodeBase):
    """One round of one job at this site; `releases` are in the outbox once it is staged.

    `mail` is what the hub said of the models of peers that it takes. `cpu_s` and `gpu_s` are what it cost, exactly; the
    hub is told less exactly, and `spent_told` once it has been.
    """

    __tablename__ = "jobs_work"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_reviews.job"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    lease: Mapped[str]
    global_digest: Mapped[str | None] = mapped_column(default=None)
    state: Mapped[str] = mapped_column(index=True)
    releases: Mapped[list[Any]]
    taken: Mapped[datetime]
    finished: Mapped[datetime | None] = mapped_column(default=None)
    cpu_s: Mapped[float | None] = mapped_column(default=None)
    gpu_s: Mapped[float | None] = mapped_column(default=None)
    mail: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    spent_told: Mapped[bool | None] = mapped_column(default=None, index=True)


class WithdrawalNoticeRow(NodeBase):
    """A job that used a subject who was withdrawn since: when the hub is told, and when it was."""

    __tablename__ = "jobs_withdrawal_notices"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_reviews.job"), primary_key=True)
    due: Mapped[datetime] = mapped_column(index=True)
    told: Mapped[datetime | None] = mapped_column(default=None)


class RuleRow(NodeBase):
    """A rule under which this site approves by itself: pinned requester and code, one dataset.

    `decision` is the digest of what a person signed; the columns count only as far as they agree with it.
    """

    __tablename__ = "jobs_rules"

    id: Mapped[str] = mapped_column(primary_key=True)
    requester_key: Mapped[str] = mapped_column(index=True)
    code_digest: Mapped[str | None] = mapped_column(default=None)
    code_family: Mapped[str | None] = mapped_column(default=None)
    dataset: Mapped[str]
    made_by: Mapped[str]
    created: Mapped[datetime]
    expires: Mapped[datetime]
    decision: Mapped[str | None] = mapped_column(default=None)


class AnchorRow(NodeBase):
    """A head of the hub's audit log, as the hub stated it."""

    __tablename__ = "jobs_anchors"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hash: Mapped[str]
    at: Mapped[datetime]


class HubCheckpointRow(NodeBase):
    """A sealed head of the hub's audit log, which was shown to extend those before it."""

    __tablename__ = "jobs_hub_checkpoints"

    size: Mapped[int] = mapped_column(_SEQ, primary_key=True, autoincrement=False)
    head: Mapped[str]
    root: Mapped[str]
    envelope: Mapped[bytes] = mapped_column(LargeBinary)
    seen: Mapped[datetime]


class CountRow(NodeBase):
    """A live count that was asked of one dataset here, and what this site says to it.

    `place` is the number of the dataset in the question, `kind` where it stands: `ready` until it has been worked out.
    `reported` tells whether the hub knows.
    """

    __tablename__ = "jobs_counts"

    question: Mapped[str] = mapped_column(primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    dataset: Mapped[str]
    account: Mapped[str]
    requester_key: Mapped[str]
    selector: Mapped[dict[str, Any]]
    envelope: Mapped[bytes] = mapped_column(LargeBinary)
    visa: Mapped[bytes | None] = mapped_column(LargeBinary)
    request: Mapped[bytes | None] = mapped_column(LargeBinary)
    kind: Mapped[str] = mapped_column(index=True)
    why: Mapped[str | None]
    k: Mapped[int | None]
    reported: Mapped[bool] = mapped_column(default=False)
    received: Mapped[datetime]
    decided: Mapped[datetime | None] = mapped_column(default=None)
    decided_by: Mapped[str | None] = mapped_column(default=None)


class LabelWordRow(NodeBase):
    """What a code of this site means in the words of jobs that learn a label, as a curator has set it."""

    __tablename__ = "jobs_label_words"

    label: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    word: Mapped[str]
    by: Mapped[str]
    since: Mapped[datetime]


class OverlapHereRow(NodeBase):
    """An overlap with another site: whose turn it is, what waits to be sent, and what came of it.

    `own` and `other` are digests of the asker's and the answerer's dataset; `run` tells whether a blinded set of this
    site has left, so that these two datasets are never counted again for the project. `items` is how many were in it.
    """

    __tablename__ = "jobs_overlaps"

    id: Mapped[str] = mapped_column(primary_key=True)
    asked_here: Mapped[bool]
    peer: Mapped[str]
    dataset: Mapped[str | None]
    own: Mapped[str]
    other: Mapped[str]
    project: Mapped[str]
    envelope: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(index=True)
    run: Mapped[bool] = mapped_column(default=False)
    items: Mapped[int | None]
    incoming: Mapped[str | None] = mapped_column(Text)
    outgoing: Mapped[str | None] = mapped_column(Text)
    step: Mapped[int]
    kind: Mapped[str | None]
    value: Mapped[int | None]
    k: Mapped[int | None]
    received: Mapped[datetime]
    decided: Mapped[datetime | None]
    decided_by: Mapped[str | None]


class NoiseCohortRow(NodeBase):
    """A patient of a set of patients that noisy training worked on, by the digest of the set; it never leaves here.

    It stays when a patient withdraws: what was spent on the others is not given back.
    """

    __tablename__ = "jobs_noise_cohorts"
    __table_args__ = (Index(None, "patient"),)

    cohort: Mapped[str] = mapped_column(primary_key=True)
    patient: Mapped[str] = mapped_column(primary_key=True)


class NoiseRow(NodeBase):
    """A line of the ledger of noisy training: steps that are reserved, spent or given up, and the line before.

    `sigma`, `rate` and `clip` are decimals, as they are hashed. Lines are never changed and never deleted.
    """

    __tablename__ = "jobs_noise"
    __table_args__ = ({"sqlite_autoincrement": True},)

    seq: Mapped[int] = mapped_column(_SEQ, primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    act: Mapped[str]
    job: Mapped[str] = mapped_column(index=True)
    round: Mapped[int]
    attempt: Mapped[int]
    cohort: Mapped[str] = mapped_column(index=True)
    sigma: Mapped[str]
    rate: Mapped[str]
    steps: Mapped[int]
    clip: Mapped[str]
    accountant: Mapped[str]
    before: Mapped[str] = mapped_column(unique=True)
    hash: Mapped[str]
