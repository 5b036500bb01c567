"""What the node's database remembers of faces: who decided what becomes of a project's heads, and of each series."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Mapped, Session, mapped_column

from fairbank.database import NodeBase


class FacePolicyRow(NodeBase):
    """A signed decision on a project's heads; the one with the highest number counts, none is ever changed."""

    __tablename__ = "deid_face_policies"

    project: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    policy: Mapped[str]
    reason: Mapped[str]
    decided_by: Mapped[str]
    key_id: Mapped[str]
    envelope: Mapped[bytes]
    decided_at: Mapped[datetime]


class FaceSeriesRow(NodeBase):
    """What became of a series' face."""

    __tablename__ = "deid_face_series"

    project: Mapped[str] = mapped_column(primary_key=True)
    series_uid: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(index=True)
    head: Mapped[bool]
    defaced: Mapped[bool]
    in_situ: Mapped[bool]
    judged_at: Mapped[datetime]


def forget_subject(session: Session, project: str, subject: str) -> None:
    """Delete what is remembered of a subject's series."""
    session.execute(
        delete(FaceSeriesRow).where(FaceSeriesRow.project == project, FaceSeriesRow.subject == subject)
    )
