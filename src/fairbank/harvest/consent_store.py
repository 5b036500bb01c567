"""Tables of consent at the node: statements under keyed digests, what they come to per pseudonym, and other bases.

No hospital number is in any of them, and no statement can be joined with a pseudonym without the identity store.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from fairbank.database import NodeBase


class ConsentRow(NodeBase):
    """One statement of one subject on one project; rows are added, never changed.

    `id` is the digest of all that the statement says, so that the same statement is kept once. `consent_key` is that of
    `IdentityStore.consent_key` in hexadecimal digits, `project` may be `*`.
    """

    __tablename__ = "harvest_consents"

    id: Mapped[str] = mapped_column(primary_key=True)
    consent_key: Mapped[str] = mapped_column(index=True)
    project: Mapped[str] = mapped_column(index=True)
    status: Mapped[str]
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]
    recorded: Mapped[date]
    form: Mapped[str]
    data_use: Mapped[list[Any]]
    imported: Mapped[datetime]


class StandingRow(NodeBase):
    """The statement that counts for a subject of a project, by pseudonym: `status` is `none` where none covers it.

    `scope` names the purposes that given consent is limited to, as in `consent_purposes`; empty: it names none.

    Worked out from the statements by who has the identity store, so that who has not can still tell who may be counted.
    """

    __tablename__ = "harvest_standings"

    project: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]
    scope: Mapped[str] = mapped_column(default="", server_default="")


class BasisRow(NodeBase):
    """The legal basis other than consent on which a project's images are used."""

    __tablename__ = "harvest_legal_bases"

    project: Mapped[str] = mapped_column(primary_key=True)
    basis: Mapped[str]
    note: Mapped[str]
    recorded_by: Mapped[str]
    recorded: Mapped[datetime]


class RetentionRow(NodeBase):
    """Until when images of a project may be used: `ends` is the first day on which they may not.

    `said_by` is empty for what the site recorded for the project, else the dataset whose description says it.
    """

    __tablename__ = "harvest_retentions"

    project: Mapped[str] = mapped_column(primary_key=True)
    said_by: Mapped[str] = mapped_column(primary_key=True)
    ends: Mapped[date]
    note: Mapped[str]
    recorded_by: Mapped[str]
    recorded: Mapped[datetime]


class TrustRow(NodeBase):
    """A container of an archive whose own de-identification a curator accepts, and why."""

    __tablename__ = "harvest_trusts"

    source: Mapped[str] = mapped_column(primary_key=True)
    container: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    accepted_by: Mapped[str]
    accepted: Mapped[datetime]
