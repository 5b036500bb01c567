"""What the node's database remembers of how files were cleaned: methods, elements, samples, words on single files.

No identifier is among it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from fairbank.database import NodeBase
from fairbank.deid.actions import Action, ElementActions, added_up


class MethodRow(NodeBase):
    """A method by which files of a project were cleaned, in words for people."""

    __tablename__ = "deid_methods"

    project: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    told: Mapped[dict[str, Any]]


class SeriesWorkRow(NodeBase):
    """What became of the elements of a series, in so many of its files, and what dciodvfy said of one."""

    __tablename__ = "deid_series_work"

    project: Mapped[str] = mapped_column(primary_key=True)
    series_uid: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(index=True)
    files: Mapped[int]
    actions: Mapped[bytes]
    standard: Mapped[dict[str, Any] | None]


class SampleRow(NodeBase):
    """A sample of a project's outputs, for people to look at."""

    __tablename__ = "deid_samples"

    project: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    population: Mapped[int]
    agent: Mapped[str]
    at: Mapped[datetime]


class SampledRow(NodeBase):
    """One file of a sample."""

    __tablename__ = "deid_sampled"

    project: Mapped[str] = mapped_column(primary_key=True)
    sample: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    item_key: Mapped[str] = mapped_column(primary_key=True)


class LookRow(NodeBase):
    """What a person has seen in a file of a sample; the last look at a file holds, none is ever changed."""

    __tablename__ = "deid_looks"

    number: Mapped[int] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(index=True)
    sample: Mapped[int]
    item_key: Mapped[str]
    clean: Mapped[bool]
    agent: Mapped[str]
    at: Mapped[datetime]


class ItemDecisionRow(NodeBase):
    """What a person decided of one held file; the last of a file holds, none is ever changed.

    `areas` is what is blanked beside all that is found: [left, top, width, height, frame or null] each.
    """

    __tablename__ = "deid_item_decisions"

    number: Mapped[int] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(index=True)
    item_key: Mapped[str]
    grp: Mapped[str]
    verdict: Mapped[str]
    areas: Mapped[list[Any]]
    reason: Mapped[str]
    agent: Mapped[str]
    at: Mapped[datetime]


def record_method(session: Session, project: str, digest: str, told: Mapping[str, Any]) -> None:
    """Remember a method."""
    if session.get(MethodRow, (project, digest)) is None:
        session.add(MethodRow(project=project, digest=digest, told=dict(told)))
        session.flush()


def record_series(session: Session, row: SeriesWorkRow, *, adds: bool) -> None:
    """Remember what became of a series' elements.

    Args:
        row: the counts.
        adds: whether its files come beside those that were counted before; else it takes their place.
    """
    known = session.get(SeriesWorkRow, (row.project, row.series_uid)) if adds else None
    if known is not None:
        row.files += known.files
        row.actions = packed(added_up((unpacked(known.actions), unpacked(row.actions))))
    session.merge(row)


def series_work(session: Session, project: str) -> Iterator[SeriesWorkRow]:
    """Yield what became of the elements of each series of a project."""
    yield from session.scalars(select(SeriesWorkRow).where(SeriesWorkRow.project == project))


def forget_subject(session: Session, project: str, subject: str, items: Collection[str]) -> None:
    """Delete what is remembered of a subject's series, and of its items in samples."""
    session.execute(
        delete(SeriesWorkRow).where(SeriesWorkRow.project == project, SeriesWorkRow.subject == subject)
    )
    forget_items(session, project, items)


def forget_items(session: Session, project: str, items: Collection[str]) -> None:
    """Delete that items were drawn, looked at or decided one by one."""
    for table in (SampledRow, LookRow, ItemDecisionRow):
        session.execute(delete(table).where(table.project == project, table.item_key.in_(items)))


def packed(actions: ElementActions) -> bytes:
    """Return counts as bytes."""
    return zlib.compress(json.dumps([[*key, count] for key, count in sorted(actions.items())]).encode())


def unpacked(content: bytes) -> ElementActions:
    """Return counts from bytes."""
    return {(tag, Action(action)): count for tag, action, count in json.loads(zlib.decompress(content))}
