"""What the node's database remembers of de-identification: items done or held, and fact sheets. No identifier.

Items are found by a keyed digest of the source file, so the same file is known again without its name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from fairbank.database import NodeBase
from fairbank.deid import work_rows
from fairbank.deid.annotations import Annotations
from fairbank.deid.decisions import DecisionTable, ItemDecision, Verdict
from fairbank.deid.faces import store as faces
from fairbank.deid.facts import Contrast, FactSheet, HowKnown, KernelClass, RespiratoryPhase
from fairbank.deid.outcomes import Status
from fairbank.deid.pixels.work import Box
from fairbank.ontology.sex_and_side import Sex

_QUARANTINE_DIGITS = 6


class ItemRow(NodeBase):
    """One source file that was cleaned or held."""

    __tablename__ = "deid_items"
    __table_args__ = (Index("ix_deid_items_series", "project", "series_uid"),)

    project: Mapped[str] = mapped_column(primary_key=True)
    item_key: Mapped[str] = mapped_column(primary_key=True)
    profile: Mapped[str]
    # Of items done by an older fairbank it is not known: they are done again.
    method: Mapped[str | None]
    tool: Mapped[str]
    status: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str | None]
    grp: Mapped[str | None]
    verdict: Mapped[str | None]
    quarantine: Mapped[str | None]
    # Bytes of the source, and what was done with its pixels (JSON); not known of items done by an older fairbank.
    size: Mapped[int | None] = mapped_column(BigInteger)
    work: Mapped[str | None]
    subject: Mapped[str | None] = mapped_column(index=True)
    study_uid: Mapped[str | None]
    series_uid: Mapped[str | None]
    sop_uid: Mapped[str | None] = mapped_column(index=True)
    path: Mapped[str | None]
    output_key: Mapped[str | None] = mapped_column(index=True)
    key_epoch: Mapped[int | None]
    agent: Mapped[str]
    finished_at: Mapped[datetime]


class DecisionRow(NodeBase):
    """What a curator decided of a group of held files; the last of a group holds, none is ever changed."""

    __tablename__ = "deid_decisions"

    number: Mapped[int] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(index=True)
    grp: Mapped[str]
    verdict: Mapped[str]
    reason: Mapped[str]
    agent: Mapped[str]
    at: Mapped[datetime]


class FactRow(NodeBase):
    """The fact sheet of one series of a project."""

    __tablename__ = "deid_facts"

    project: Mapped[str] = mapped_column(primary_key=True)
    series_uid: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(index=True)
    modality: Mapped[str]
    sex: Mapped[str]
    age_band: Mapped[str]
    body_region_code: Mapped[str | None]
    body_region: Mapped[str | None]
    body_region_known: Mapped[str]
    contrast: Mapped[str]
    respiratory_phase: Mapped[str]
    kernel_class: Mapped[str]
    acquisition_year: Mapped[int | None]
    # Of facts recorded by an older fairbank nothing is known here.
    study_day: Mapped[int | None]
    annotations: Mapped[dict[str, Any] | None]
    deidentified_before: Mapped[bool]
    recorded_by: Mapped[str]
    recorded_at: Mapped[datetime]
    tool: Mapped[str]


@dataclass(frozen=True, slots=True)
class CleanedFile:
    """A file that this node has cleaned: the keyed digest of what was written, by which profile and tool."""

    output_key: str
    profile: str
    tool: str


_FACT_FIELDS = tuple(field.name for field in fields(FactSheet))
_WORDS = {
    "sex": Sex,
    "body_region_known": HowKnown,
    "contrast": Contrast,
    "respiratory_phase": RespiratoryPhase,
    "kernel_class": KernelClass,
}


def item_of(session: Session, project: str, item_key: str) -> ItemRow | None:
    """Return what is remembered of a source file in a project."""
    return session.get(ItemRow, (project, item_key))


def is_own_output(session: Session, key: str) -> bool:
    """Return whether a file's keyed digest is that of a file which this node has written."""
    found = session.execute(select(ItemRow.item_key).where(ItemRow.output_key == key).limit(1))
    return found.first() is not None


def cleaned_files(
    session: Session, project: str, series_uids: Collection[str]
) -> dict[str, dict[str, CleanedFile]]:
    """Return the files that this node cleaned and stored of some series, by series UID and path in the store."""
    columns = (ItemRow.series_uid, ItemRow.path, ItemRow.output_key, ItemRow.profile, ItemRow.tool)
    query = select(*columns).where(
        ItemRow.project == project,
        ItemRow.series_uid.in_(series_uids),
        ItemRow.status == Status.OK.value,
    )
    found: dict[str, dict[str, CleanedFile]] = {}
    for series_uid, path, output_key, profile, tool in session.execute(query):
        if series_uid and path and output_key:
            found.setdefault(series_uid, {})[path] = CleanedFile(output_key, profile, tool)
    return found


def maker_of(session: Session, project: str, sop_uid: str) -> str | None:
    """Return the item from which an instance of the research store was made."""
    query = select(ItemRow.item_key).where(
        ItemRow.project == project, ItemRow.sop_uid == sop_uid, ItemRow.status == Status.OK.value
    )
    return session.execute(query.limit(1)).scalar()


def record_item(session: Session, row: ItemRow) -> None:
    """Remember an item; what was remembered of the same file is replaced."""
    session.merge(row)


def next_quarantine_name(session: Session, project: str) -> str:
    """Return the next neutral name of a held file, `q-000001` and on."""
    last = session.execute(select(func.max(ItemRow.quarantine)).where(ItemRow.project == project)).scalar()
    number = 1 + (int(last.removeprefix("q-")) if last else 0)
    return f"q-{number:0{_QUARANTINE_DIGITS}d}"


def quarantined(session: Session, project: str) -> list[ItemRow]:
    """Return the held files of a project in the order in which they were held."""
    query = select(ItemRow).where(ItemRow.project == project, ItemRow.quarantine.is_not(None))
    return list(session.scalars(query.order_by(ItemRow.quarantine)))


def record_decision(session: Session, row: DecisionRow) -> None:
    """Keep a decision beside those made before."""
    session.add(row)


def last_decisions(session: Session, project: str) -> dict[str, DecisionRow]:
    """Return the decisions that hold now, by group."""
    query = select(DecisionRow).where(DecisionRow.project == project).order_by(DecisionRow.number)
    return {row.grp: row for row in session.scalars(query)}


def decisions_of(session: Session, project: str) -> DecisionTable:
    """Return the decisions that hold now, as cleaning asks for them."""
    found = last_decisions(session, project)
    items = last_item_decisions(session, project).items()
    return DecisionTable(
        {group: Verdict(row.verdict) for group, row in found.items()},
        {item: item_decision(row) for item, row in items if _holds_beside(row, found.get(row.grp))},
    )


def last_item_decisions(session: Session, project: str) -> dict[str, work_rows.ItemDecisionRow]:
    """Return the last decisions on single files, by item."""
    table = work_rows.ItemDecisionRow
    query = select(table).where(table.project == project).order_by(table.number)
    return {row.item_key: row for row in session.scalars(query)}


def item_decision(row: work_rows.ItemDecisionRow) -> ItemDecision:
    """Return a decision on a single file from its row."""
    areas = tuple(
        Box(int(left or 0), int(top or 0), int(width or 0), int(height or 0), frame)
        for left, top, width, height, frame in row.areas
    )
    return ItemDecision(row.grp, Verdict(row.verdict), areas)


def _holds_beside(row: work_rows.ItemDecisionRow, of_group: DecisionRow | None) -> bool:
    """Tell whether a word on one file holds beside that on its group: as a rule the later one does.

    What a person kept back by itself does not go with its group; what went by itself is taken back with its group.
    """
    if of_group is None or row.at >= of_group.at:
        return True
    return row.verdict != Verdict.RELEASE.value and of_group.verdict == Verdict.RELEASE.value


def record_facts(session: Session, project: str, sheet: FactSheet) -> None:
    """Keep a series' facts; those known already stay, unknown ones are filled in."""
    row = session.get(FactRow, (project, sheet.series_uid))
    kept = sheet if row is None else _sheet_of(row).merged(sheet)
    if row is None or kept != _sheet_of(row):
        values = {name: getattr(kept, name) for name in _FACT_FIELDS}
        values.update({name: values[name].value for name in _WORDS})
        values["annotations"] = kept.annotations.as_json()
        session.merge(FactRow(project=project, **values))


def facts_of(
    session: Session, project: str, series_uids: Collection[str] | None = None
) -> dict[str, FactSheet]:
    """Return the fact sheets of a project by pseudonymous series UID; of some series only, if they are named."""
    query = select(FactRow).where(FactRow.project == project).order_by(FactRow.series_uid)
    sheets = {row.series_uid: _sheet_of(row) for row in session.scalars(query)}
    return sheets if series_uids is None else {uid: sheets[uid] for uid in series_uids if uid in sheets}


def delete_subject(session: Session, project: str, subject: str) -> int:
    """Delete the items and facts of a subject; return the number of items."""
    session.execute(delete(FactRow).where(FactRow.project == project, FactRow.subject == subject))
    faces.forget_subject(session, project, subject)
    gone = session.execute(
        delete(ItemRow)
        .where(ItemRow.project == project, ItemRow.subject == subject)
        .returning(ItemRow.item_key)
    )
    items = [key for (key,) in gone]
    work_rows.forget_subject(session, project, subject, items)
    return len(items)


def delete_project(session: Session, project: str) -> int:
    """Delete all items and facts of a project, those of held files too; return the number of items."""
    subjects = set(session.scalars(select(ItemRow.subject).where(ItemRow.project == project).distinct()))
    gone = sum(delete_subject(session, project, one) for one in sorted(one for one in subjects if one))
    left = session.scalars(select(ItemRow.quarantine).where(ItemRow.project == project)).all()
    gone += sum(delete_held(session, project, name) for name in left if name)
    session.execute(delete(ItemRow).where(ItemRow.project == project))
    session.execute(delete(FactRow).where(FactRow.project == project))
    return gone


def count_subject(session: Session, project: str, subject: str) -> int:
    """Return how many items of a subject there are."""
    query = select(func.count()).where(ItemRow.project == project, ItemRow.subject == subject)
    return session.execute(query).scalar_one()


def count_held(session: Session, project: str, name: str) -> int:
    """Return whether there is a held item of a name, as 1 or 0."""
    query = select(func.count()).where(ItemRow.project == project, ItemRow.quarantine == name)
    return session.execute(query).scalar_one()


def delete_held(session: Session, project: str, name: str) -> int:
    """Delete the entry of a held item; return how many went."""
    gone = session.execute(
        delete(ItemRow)
        .where(ItemRow.project == project, ItemRow.quarantine == name)
        .returning(ItemRow.item_key)
    )
    items = [key for (key,) in gone]
    work_rows.forget_items(session, project, items)
    return len(items)


def _sheet_of(row: FactRow) -> FactSheet:
    values = {name: getattr(row, name) for name in _FACT_FIELDS}
    values.update({name: word(values[name]) for name, word in _WORDS.items()})
    values["annotations"] = Annotations.from_json(row.annotations)
    return FactSheet(**values)
