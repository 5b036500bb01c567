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
    suspended: Mapped[datetime | None]


class NodeKeyRow(NodeBase):
    """A key that this node had before: what it sealed stays good; `succession` names the key that came after."""

    __tablename__ = "release_node_keys"

    key_id: Mapped[str] = mapped_column(primary_key=True)
    succession: Mapped[bytes] = mapped_column(LargeBinary)
    succeeded: Mapped[datetime]


class HubKeyRow(NodeBase):
    """A succession of the hub's root key that this node has verified: sealed by `old`, which it trusted before."""

    __tablename__ = "release_hub_keys"

    old: Mapped[str] = mapped_column(primary_key=True)
    new: Mapped[str] = mapped_column(unique=True)
    succession: Mapped[bytes] = mapped_column(LargeBinary)
    learnt: Mapped[datetime]


class PersonRow(NodeBase):
    """A person of this node: the sealed entry counts, the columns only find it. Rows are never deleted."""

    __tablename__ = "release_people"

    name: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(unique=True)
    entry: Mapped[bytes] = mapped_column(LargeBinary)
    added: Mapped[datetime]
    retirement: Mapped[bytes | None] = mapped_column(LargeBinary)
    retired: Mapped[datetime | None]


class DecisionRow(NodeBase):
    """What a person decided, as that person's key sealed it; named by the digest of its payload.

    `detail` is what the decision depends on; its digest is in what was sealed.
    """

    __tablename__ = "release_decisions"

    digest: Mapped[str] = mapped_column(primary_key=True)
    person: Mapped[str]
    act: Mapped[str]
    target: Mapped[str] = mapped_column(index=True)
    detail: Mapped[dict[str, Any]]
    envelope: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]


class SeenGrantRow(NodeBase):
    """A visa that concerns datasets of this node, with the request it answers: as the hub sent it, verified here."""

    __tablename__ = "release_grants"

    visa: Mapped[str] = mapped_column(primary_key=True)
    supersedes: Mapped[str | None]
    envelope: Mapped[bytes] = mapped_column(LargeBinary)
    request: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str]
    seen: Mapped[datetime]


class CountersignatureRow(NodeBase):
    """What a person of this node said to a dataset of a visa; the newest word counts."""

    __tablename__ = "release_countersignatures"

    id: Mapped[str] = mapped_column(primary_key=True)
    visa: Mapped[str] = mapped_column(index=True)
    dataset: Mapped[str] = mapped_column(index=True)
    envelope: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]


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

    A release without a job (a record) has the empty text as job, so that it is unique too. Of what leaves sealed to
    peers the gate judged other bytes than those that leave: `plain_digest` names them, and they lie there as well.
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
    plain_digest: Mapped[str | None] = mapped_column(default=None)


class ToldCountRow(NodeBase):
    """A live count or a sum that was told: of which set of subjects, packed pseudonyms, which never leave the node.

    It is what the next of the dataset is compared with. `selector` is the digest of what was asked; of sums it names
    the round of the job (see `told_sums`).
    """

    __tablename__ = "release_told_counts"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    dataset: Mapped[str] = mapped_column(index=True)
    selector: Mapped[str]
    value: Mapped[int]
    members: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]


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
