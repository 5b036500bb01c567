"""The tables of access requests; only this package queries them.

What people sealed or attached is kept byte for byte; rows of history, votes and comments are only ever added.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from fairbank.database import HubBase

_SIZE = BigInteger()


class CommitteeRow(HubBase):
    """Those who decide about some datasets, in one stage of the review.

    `remind_days` are days from when a decision is due, negative before; `names_voters` lets letters say who voted how.
    """

    __tablename__ = "catalogue_committees"

    id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    stage: Mapped[str]
    quorum: Mapped[int]
    four_eyes: Mapped[bool]
    due_days: Mapped[int]
    remind_days: Mapped[list[Any]]
    names_voters: Mapped[bool] = mapped_column(server_default=text("false"))
    created: Mapped[datetime]
    dissolved: Mapped[datetime | None]


class ScopeRow(HubBase):
    """What a committee decides about: a dataset of a node, or all of the node's (`dataset` empty)."""

    __tablename__ = "catalogue_committee_scopes"

    committee: Mapped[str] = mapped_column(ForeignKey("catalogue_committees.id"), primary_key=True)
    node: Mapped[str] = mapped_column(ForeignKey("catalogue_nodes.name"), primary_key=True, index=True)
    dataset: Mapped[str] = mapped_column(primary_key=True)


class MemberRow(HubBase):
    """Who sits on a committee; `until` is set when she has left, and the row stays."""

    __tablename__ = "catalogue_committee_members"

    id: Mapped[str] = mapped_column(primary_key=True)
    committee: Mapped[str] = mapped_column(ForeignKey("catalogue_committees.id"), index=True)
    account: Mapped[str] = mapped_column(ForeignKey("catalogue_accounts.name"), index=True)
    chair: Mapped[bool]
    since: Mapped[datetime]
    until: Mapped[datetime | None]


class SubstituteRow(HubBase):
    """Somebody who stands in for a member: by her own delegation, or appointed by the chair for one leg.

    `begun` is set when the clock has passed `since`, `over` when it has passed `until`.
    """

    __tablename__ = "catalogue_committee_substitutes"

    id: Mapped[str] = mapped_column(primary_key=True)
    committee: Mapped[str] = mapped_column(ForeignKey("catalogue_committees.id"), index=True)
    stands_for: Mapped[str | None] = mapped_column(ForeignKey("catalogue_accounts.name"))
    account: Mapped[str] = mapped_column(ForeignKey("catalogue_accounts.name"), index=True)
    leg: Mapped[str | None]
    appointed_by: Mapped[str]
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    begun: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    over: Mapped[bool] = mapped_column(default=False, server_default=text("false"))


class RequestRow(HubBase):
    """An access request; `draft` is what its requester has written so far, until she seals it.

    `version` is the newest sealed version, 0 before the first.
    """

    __tablename__ = "catalogue_access_requests"
    __table_args__ = (
        Index(None, "account", "changed"),
        # A page is cut from this alone; only its own rows are then fetched, which are long.
        Index("ix_catalogue_access_requests_page", "changed", "id", "version", "account", "title"),
        Index(None, "state", "account", "version"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("catalogue_accounts.name"))
    title: Mapped[str]
    state: Mapped[str] = mapped_column(index=True)
    version: Mapped[int]
    draft: Mapped[dict[str, Any]]
    minimum_datasets: Mapped[int]
    paused_by: Mapped[str | None]
    created: Mapped[datetime]
    submitted: Mapped[datetime | None]
    changed: Mapped[datetime]


class VersionRow(HubBase):
    """One sealed version of a request: exactly the envelope that the requester's key signed."""

    __tablename__ = "catalogue_request_versions"

    request: Mapped[str] = mapped_column(ForeignKey("catalogue_access_requests.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    digest: Mapped[str] = mapped_column(unique=True)
    envelope: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    until: Mapped[datetime]
    received: Mapped[datetime]


class LegRow(HubBase):
    """What is asked about one dataset, and how far it has come.

    Attributes:
        version: the version of the request that was granted, or is under review where nothing is granted yet.
        pending_version: a later version that is under review while the earlier one stays granted (or has expired).
        pending_state: how far that review has come, by the same table; None without one.
        pending_terms: what was decided about the later version, until it is in force.
        stage: the stage of the review that it is in; `committee` is who decides in it.
        since: when it came into its present state; `awaited_since` since when somebody has been awaited.
        due: until when the committee means to decide; None when nobody is awaited.
        terms: what was granted (`governance.terms.Terms` as JSON), None before.
        match: verdict of the data-use match with its explanations, as they were at submission.
        visa: id of the visa that grants it now.
    """

    __tablename__ = "catalogue_legs"
    __table_args__ = (
        UniqueConstraint("request", "dataset"),
        Index(None, "committee", "state", "due"),
        Index(None, "state", "due"),
        # A page is cut from this alone; only its own rows are then fetched, which are long.
        Index("ix_catalogue_legs_page", "committee", "state", "pending_state", "due", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    request: Mapped[str] = mapped_column(ForeignKey("catalogue_access_requests.id"), index=True)
    dataset: Mapped[str] = mapped_column(ForeignKey("catalogue_datasets.iri"), index=True)
    node: Mapped[str] = mapped_column(ForeignKey("catalogue_nodes.name"), index=True)
    state: Mapped[str]
    version: Mapped[int]
    pending_version: Mapped[int | None]
    pending_state: Mapped[str | None]
    pending_terms: Mapped[dict[str, Any] | None]
    stage: Mapped[str | None]
    committee: Mapped[str | None] = mapped_column(ForeignKey("catalogue_committees.id"))
    since: Mapped[datetime]
    awaited_since: Mapped[datetime | None]
    due: Mapped[datetime | None]
    proposal: Mapped[str | None]
    terms: Mapped[dict[str, Any] | None]
    verdict: Mapped[str]
    match: Mapped[list[Any]]
    visa: Mapped[str | None] = mapped_column(index=True)
    expires: Mapped[datetime | None] = mapped_column(index=True)


class ProposalRow(HubBase):
    """Terms that a committee votes on; a new proposal starts the vote anew."""

    __tablename__ = "catalogue_proposals"

    id: Mapped[str] = mapped_column(primary_key=True)
    leg: Mapped[str] = mapped_column(ForeignKey("catalogue_legs.id"), index=True)
    stage: Mapped[str]
    version: Mapped[int]
    terms: Mapped[dict[str, Any]]
    made_by: Mapped[str]
    at: Mapped[datetime]


class VoteRow(HubBase):
    """What a member said of a proposal; her later vote on the same proposal replaces an earlier one when counted."""

    __tablename__ = "catalogue_votes"

    id: Mapped[str] = mapped_column(primary_key=True)
    leg: Mapped[str] = mapped_column(ForeignKey("catalogue_legs.id"), index=True)
    stage: Mapped[str]
    proposal: Mapped[str] = mapped_column(ForeignKey("catalogue_proposals.id"), index=True)
    account: Mapped[str] = mapped_column(ForeignKey("catalogue_accounts.name"))
    stands_for: Mapped[str | None]
    word: Mapped[str]
    comment: Mapped[str]
    at: Mapped[datetime]


class ConflictRow(HubBase):
    """A declared conflict of interest: she does not take part in what concerns this request."""

    __tablename__ = "catalogue_conflicts"

    request: Mapped[str] = mapped_column(ForeignKey("catalogue_access_requests.id"), primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("catalogue_accounts.name"), primary_key=True)
    reason: Mapped[str]
    at: Mapped[datetime]


class RequestHistoryRow(HubBase):
    """What happened to a request or to one of its legs: who did what, when, and what it then was."""

    __tablename__ = "catalogue_request_history"
    __table_args__ = (Index(None, "request", "at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    request: Mapped[str] = mapped_column(ForeignKey("catalogue_access_requests.id"))
    leg: Mapped[str | None]
    command: Mapped[str]
    actor: Mapped[str]
    role: Mapped[str]
    state: Mapped[str]
    note: Mapped[str]
    at: Mapped[datetime]


class CommentRow(HubBase):
    """A comment; `audience` says who reads it: everybody of the request, or the committee only."""

    __tablename__ = "catalogue_request_comments"

    id: Mapped[str] = mapped_column(primary_key=True)
    request: Mapped[str] = mapped_column(ForeignKey("catalogue_access_requests.id"), index=True)
    leg: Mapped[str | None]
    account: Mapped[str]
    audience: Mapped[str]
    text: Mapped[str]
    at: Mapped[datetime]


class AttachmentRow(HubBase):
    """A document that belongs to a request; its content is a file of that request, named by its digest."""

    __tablename__ = "catalogue_request_attachments"

    request: Mapped[str] = mapped_column(ForeignKey("catalogue_access_requests.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    media_type: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(_SIZE)
    account: Mapped[str]
    at: Mapped[datetime]


class GrantRow(HubBase):
    """A visa: exactly the envelope that the hub sealed, what it replaces, and whether it still holds.

    A visa that was replaced holds on for what its datasets are still granted under it (`LegRow.visa`).
    """

    __tablename__ = "catalogue_grants"
    __table_args__ = (Index(None, "granted", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    envelope: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    request: Mapped[str] = mapped_column(ForeignKey("catalogue_access_requests.id"), index=True)
    version: Mapped[int]
    account: Mapped[str] = mapped_column(ForeignKey("catalogue_accounts.name"), index=True)
    supersedes: Mapped[str | None]
    granted: Mapped[datetime]
    expires: Mapped[datetime] = mapped_column(index=True)
    ended: Mapped[datetime | None]
    ended_because: Mapped[str | None]


class AgreementRow(HubBase):
    """A data-use agreement that terms require: who has to check it, and what was countersigned when."""

    __tablename__ = "catalogue_agreements"

    leg: Mapped[str] = mapped_column(ForeignKey("catalogue_legs.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    countersigner: Mapped[str] = mapped_column(ForeignKey("catalogue_accounts.name"), index=True)
    digest: Mapped[str | None]
    countersigned: Mapped[datetime | None]


class ClosingReportRow(HubBase):
    """What came of a project: publications and outputs."""

    __tablename__ = "catalogue_closing_reports"

    request: Mapped[str] = mapped_column(ForeignKey("catalogue_access_requests.id"), primary_key=True)
    summary: Mapped[str]
    publications: Mapped[list[Any]]
    outputs: Mapped[list[Any]]
    account: Mapped[str]
    at: Mapped[datetime]


class NoticeRow(HubBase):
    """A message to somebody, written once (`key`) and sent once.

    `problem` is a word for why it could not be sent so far; `next_try` when it is tried again.
    """

    __tablename__ = "catalogue_notices"

    id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    account: Mapped[str] = mapped_column(ForeignKey("catalogue_accounts.name"), index=True)
    request: Mapped[str | None]
    subject: Mapped[str]
    text: Mapped[str]
    made: Mapped[datetime]
    sent: Mapped[datetime | None] = mapped_column(index=True)
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_try: Mapped[datetime | None]
    problem: Mapped[str | None]
