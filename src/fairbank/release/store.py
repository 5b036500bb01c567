"""Tables of the one door: who this node is, what is released, and the ledger of everything that left."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Integer, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fairbank.database import NodeBase

_SEQ = BigInteger().with_variant(Integer, "sqlite")


class NodeRow(NodeBase):
    """Who this node is: exactly one row."""

    __tablename__ = "release_node"

    one: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    name: Mapped[str]
    title: Mapped[str]
    key_id: Mapped[str]
    created: Mapped[datetime]


class EnrolmentRow(NodeBase):
    """Which hub this node enrolled with, and the root key that it pinned: at most one row."""

    __tablename__ = "release_enrolment"

    one: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    hub_url: Mapped[str]
    hub_key: Mapped[str]
    public_base_iri: Mapped[str]
    node: Mapped[str]
    enrolled: Mapped[datetime]


class ReleaseRow(NodeBase):
    """One release: unique per job, round, site and output; its bytes lie in the outbox folder under their digest.

    A release without a job (a record) has the empty text as job, so that it is unique too.
    """

    __tablename__ = "release_release"
    __table_args__ = (UniqueConstraint("job", "round", "site", "output"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    door_class: Mapped[str]
    job: Mapped[str] = mapped_column(index=True)
    round: Mapped[int]
    site: Mapped[str]
    output: Mapped[str]
    media_type: Mapped[str]
    digest: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    verdict: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(index=True)
    staged: Mapped[datetime]
    sent: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    problem: Mapped[str | None]


class LedgerRow(NodeBase):
    """One body that left, will leave, or was kept back: class, name, bytes, digest, when, where to.

    `body` holds the bytes of control messages; the bytes of releases lie in the outbox folder.
    """

    __tablename__ = "release_ledger"
    __table_args__ = {"sqlite_autoincrement": True}

    seq: Mapped[int] = mapped_column(_SEQ, primary_key=True, autoincrement=True)
    release: Mapped[str | None] = mapped_column(unique=True)
    door_class: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    job: Mapped[str]
    round: Mapped[int]
    destination: Mapped[str]
    media_type: Mapped[str]
    digest: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(index=True)
    reasons: Mapped[list[Any]]
    noted: Mapped[datetime]
    left: Mapped[datetime | None]
