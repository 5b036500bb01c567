"""The hub's tables of the registry of tools: what publishers sealed, where each version stands, what reviewers said."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from fairbank.database import HubBase


class ToolVersionRow(HubBase):
    """A sealed manifest of a tool, byte for byte, and where it stands.

    There may be several of one name and version: those that were returned, and the one that was submitted after them.
    `words` says why it was deprecated or revoked, by `changed_by`.
    """

    __tablename__ = "jobs_tool_versions"
    __table_args__ = (Index(None, "name", "version"),)

    digest: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[str]
    code: Mapped[str] = mapped_column(index=True)
    account: Mapped[str] = mapped_column(index=True)
    publisher_key: Mapped[str]
    manifest: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(index=True)
    created: Mapped[datetime]
    since: Mapped[datetime]
    reviewer: Mapped[str | None] = mapped_column(default=None)
    accepted: Mapped[datetime | None] = mapped_column(default=None)
    changed_by: Mapped[str]
    words: Mapped[str | None] = mapped_column(default=None)


class ToolAnswerRow(HubBase):
    """What a reviewer answered to one criterion."""

    __tablename__ = "jobs_tool_answers"

    digest: Mapped[str] = mapped_column(ForeignKey("jobs_tool_versions.digest"), primary_key=True)
    criterion: Mapped[str] = mapped_column(primary_key=True)
    place: Mapped[int]
    met: Mapped[bool]
    words: Mapped[str]
