"""The catalogue's tables at the hub; only this room queries them.

SQL is the record of truth: signed objects are stored as the exact envelope bytes that arrived, and the rows beside them
are what was read from those bytes. The RDF view is made from these rows and can be rebuilt from them at any time.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fairbank.database import HubBase

_SERIAL = BigInteger().with_variant(Integer, "sqlite")
_SIZE = BigInteger()


class HubIdentity(HubBase):
    """The one row that says which hub this is; written by `hub init`. Only the key changes, with a succession."""

    __tablename__ = "catalogue_hub"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    base_iri: Mapped[str]
    key_id: Mapped[str]
    created: Mapped[datetime]


class NodeRow(HubBase):
    """An enrolled node: its name, the one key that may sign for it, where it is, and what it asks of trainings.

    Attributes:
        place, training: `NodePlace` and `ToldRules` as JSON; None if the node has not told them.
    """

    __tablename__ = "catalogue_nodes"

    name: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    enrolled: Mapped[datetime]
    last_seen: Mapped[datetime]
    revoked: Mapped[datetime | None]
    suspended: Mapped[datetime | None]
    place: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    training: Mapped[dict[str, Any] | None] = mapped_column(default=None)


class NodeKeyRow(HubBase):
    """A key that a node had before its present one: what it sealed stays good; requests pass until `accepted_until`."""

    __tablename__ = "catalogue_node_keys"

    key_id: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str] = mapped_column(ForeignKey("catalogue_nodes.name"), index=True)
    succession: Mapped[bytes] = mapped_column(LargeBinary)
    succeeded: Mapped[datetime]
    accepted_until: Mapped[datetime]


class HubKeyRow(HubBase):
    """A succession of this hub's root key: nodes follow it from the key that they pinned."""

    __tablename__ = "catalogue_hub_keys"

    old: Mapped[str] = mapped_column(primary_key=True)
    new: Mapped[str] = mapped_column(unique=True)
    succession: Mapped[bytes] = mapped_column(LargeBinary)
    made: Mapped[datetime]


class InvitationRow(HubBase):
    """A one-time permission to enrol; the token itself is not stored."""

    __tablename__ = "catalogue_invitations"

    id: Mapped[str] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    node: Mapped[str | None]
    made_by: Mapped[str]
    created: Mapped[datetime]
    expires: Mapped[datetime]
    used: Mapped[datetime | None]


class NonceRow(HubBase):
    """A nonce of a signed request, remembered as long as its signature could be accepted."""

    __tablename__ = "catalogue_nonces"

    key_id: Mapped[str] = mapped_column(primary_key=True)
    nonce: Mapped[str] = mapped_column(primary_key=True)
    forget_after: Mapped[datetime] = mapped_column(index=True)


class AccountRow(HubBase):
    """A person's account; notices are sent to `email`, if there is one."""

    __tablename__ = "catalogue_accounts"

    name: Mapped[str] = mapped_column(primary_key=True)
    password_hash: Mapped[str]
    roles: Mapped[list[Any]]
    organisation: Mapped[str]
    email: Mapped[str | None]
    key_id: Mapped[str | None] = mapped_column(unique=True)
    created: Mapped[datetime]
    disabled: Mapped[datetime | None]


class TokenRow(HubBase):
    """A log-in; the token itself is not stored."""

    __tablename__ = "catalogue_tokens"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("catalogue_accounts.name"), index=True)
    created: Mapped[datetime]
    expires: Mapped[datetime] = mapped_column(index=True)


class LoginFailureRow(HubBase):
    """A wrong password, kept as long as it counts towards the limit."""

    __tablename__ = "catalogue_login_failures"
    __table_args__ = (
        Index(None, "account", "at"),
        Index(None, "origin", "at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    account: Mapped[str]
    origin: Mapped[str]
    at: Mapped[datetime]


class UploadRow(HubBase):
    """A release that is arriving or has arrived."""

    __tablename__ = "catalogue_uploads"
    # A null job keeps out of the constraint: a record's new version is another release of the same output.
    __table_args__ = (UniqueConstraint("job", "round", "node", "output"),)

    release_id: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str] = mapped_column(ForeignKey("catalogue_nodes.name"), index=True)
    door_class: Mapped[str]
    digest: Mapped[str] = mapped_column(index=True)
    output: Mapped[str]
    job: Mapped[str | None]
    round: Mapped[int]
    media_type: Mapped[str]
    total_bytes: Mapped[int] = mapped_column(_SIZE)
    received_bytes: Mapped[int] = mapped_column(_SIZE)
    begun: Mapped[datetime]
    completed: Mapped[datetime | None]


class BlobRow(HubBase):
    """A content that the hub holds, named by its digest."""

    __tablename__ = "catalogue_blobs"

    digest: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(_SIZE)
    media_type: Mapped[str]
    created: Mapped[datetime]


class DatasetRow(HubBase):
    """The newest version of a dataset's record.

    Counts are kept as their wire form `{kind, value | k}`. `holdings` is what the curator says of the dataset beside
    its images, as it stands in the record; the conditions have a column of their own, because facets count them.
    `variables` are the clinical variables as they stand there.
    """

    __tablename__ = "catalogue_datasets"
    __table_args__ = (UniqueConstraint("node", "dataset"),)

    iri: Mapped[str] = mapped_column(primary_key=True)
    graph: Mapped[str] = mapped_column(unique=True)
    node: Mapped[str] = mapped_column(ForeignKey("catalogue_nodes.name"))
    dataset: Mapped[str]
    version: Mapped[int]
    digest: Mapped[str]
    visibility: Mapped[str] = mapped_column(index=True)
    title: Mapped[str]
    description: Mapped[str]
    keywords: Mapped[list[Any]]
    publisher: Mapped[str]
    contact: Mapped[str | None]
    licence: Mapped[str | None]
    access_rights: Mapped[str]
    collection_kind: Mapped[str]
    data_use: Mapped[list[Any]]
    minimum_count: Mapped[int]
    totals: Mapped[dict[str, Any]]
    quality: Mapped[list[Any]]
    conditions: Mapped[list[Any]]
    holdings: Mapped[dict[str, Any]]
    variables: Mapped[list[Any]]
    acquired_from: Mapped[int | None]
    acquired_to: Mapped[int | None]
    created: Mapped[datetime]
    first_published: Mapped[datetime]
    published: Mapped[datetime]
    search_text: Mapped[str]
    open_at: Mapped[str | None]
    withdrawn: Mapped[datetime | None]
    withdrawn_because: Mapped[str | None]


class VersionRow(HubBase):
    """One version of a record: exactly the envelope that the node sealed."""

    __tablename__ = "catalogue_versions"

    iri: Mapped[str] = mapped_column(ForeignKey("catalogue_datasets.iri"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    digest: Mapped[str]
    envelope: Mapped[bytes] = mapped_column(LargeBinary)
    signer: Mapped[str]
    received: Mapped[datetime]


class StratumRow(HubBase):
    """A cell of a dataset's imaging cube; a null number was withheld (its status says why)."""

    __tablename__ = "catalogue_strata"
    __table_args__ = (
        UniqueConstraint("iri", "modality", "body_part", "manufacturer", "slice_thickness"),
        Index(None, "modality", "body_part"),
    )

    id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    iri: Mapped[str] = mapped_column(ForeignKey("catalogue_datasets.iri"))
    modality: Mapped[str]
    body_part: Mapped[str]
    manufacturer: Mapped[str]
    slice_thickness: Mapped[str]
    series: Mapped[int | None]
    series_status: Mapped[str]
    studies: Mapped[int | None]
    studies_status: Mapped[str]
    subjects: Mapped[int | None]
    subjects_status: Mapped[str]


class DistributionRow(HubBase):
    """One value of a one-dimensional distribution (age band, sex, …)."""

    __tablename__ = "catalogue_distributions"
    __table_args__ = (UniqueConstraint("iri", "attribute", "value"),)

    id: Mapped[int] = mapped_column(_SERIAL, primary_key=True, autoincrement=True)
    iri: Mapped[str] = mapped_column(ForeignKey("catalogue_datasets.iri"))
    attribute: Mapped[str]
    value: Mapped[str]
    how_known: Mapped[str]
    subjects: Mapped[int | None]
    subjects_status: Mapped[str]


class ActivityRow(HubBase):
    """A step in the life of a dataset, in the order in which they happened."""

    __tablename__ = "catalogue_activities"

    iri: Mapped[str] = mapped_column(ForeignKey("catalogue_datasets.iri"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    tool: Mapped[str]
    tool_version: Mapped[str]
    profile: Mapped[str | None]
    profile_digest: Mapped[str | None]
    source_system: Mapped[str | None]
    agent: Mapped[str]
    started: Mapped[datetime]
    ended: Mapped[datetime]


class DescribedRow(HubBase):
    """A catalog, dataset or distribution that somebody described by the FAIR Data Point, without a node.

    `content` is the document as it is kept, N-Triples in sorted order; the columns beside it are read from it. What was
    deleted keeps its row, without content, so that its address can say so.
    """

    __tablename__ = "catalogue_described"

    iri: Mapped[str] = mapped_column(primary_key=True)
    graph: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    parent: Mapped[str] = mapped_column(index=True)
    owner: Mapped[str] = mapped_column(ForeignKey("catalogue_accounts.name"), index=True)
    state: Mapped[str]
    shown: Mapped[bool] = mapped_column(index=True)
    shown_since: Mapped[datetime | None]
    revision: Mapped[int]
    # Lists and searches need it not, and it may be long.
    content: Mapped[str] = mapped_column(deferred=True)
    title: Mapped[str]
    description: Mapped[str]
    keywords: Mapped[list[Any]]
    publisher: Mapped[str]
    licence: Mapped[str | None]
    access_rights: Mapped[str]
    data_use: Mapped[list[Any]]
    search_text: Mapped[str]
    created: Mapped[datetime]
    changed: Mapped[datetime]


class ArtefactRow(HubBase):
    """A model or result whose provenance is published; `detail` is what its event said."""

    __tablename__ = "catalogue_artefacts"

    iri: Mapped[str] = mapped_column(primary_key=True)
    graph: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    detail: Mapped[dict[str, Any]]
    registered: Mapped[datetime]


class ArtefactDatasetRow(HubBase):
    """A dataset that an artefact was made from: who may not see it does not see the artefact either."""

    __tablename__ = "catalogue_artefact_datasets"

    iri: Mapped[str] = mapped_column(ForeignKey("catalogue_artefacts.iri"), primary_key=True)
    dataset: Mapped[str] = mapped_column(primary_key=True, index=True)
