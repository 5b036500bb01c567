"""The harvest room's tables at the node: sources, runs, what a pull has seen, datasets, and the index of series."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fairbank.database import NodeBase


class SourceRow(NodeBase):
    """An archive that this node reads; its password stays in the file named here."""

    __tablename__ = "harvest_sources"

    name: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    location: Mapped[str]
    user: Mapped[str]
    secret_file: Mapped[str]
    created: Mapped[datetime]


class RunRow(NodeBase):
    """One run of a pull or of the indexing, with what came of it."""

    __tablename__ = "harvest_runs"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    source: Mapped[str]
    source_kind: Mapped[str]
    source_version: Mapped[str]
    container: Mapped[str]
    project: Mapped[str] = mapped_column(index=True)
    state: Mapped[str]
    software: Mapped[str]
    profile: Mapped[str]
    started: Mapped[datetime]
    ended: Mapped[datetime | None]
    counts: Mapped[dict[str, Any]]


class ItemRow(NodeBase):
    """A series of a source as a pull last saw it: what is done and unchanged is not fetched again."""

    __tablename__ = "harvest_items"

    source: Mapped[str] = mapped_column(primary_key=True)
    container: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(primary_key=True)
    local_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    state: Mapped[str]
    results: Mapped[dict[str, Any]]
    run: Mapped[str]


class DatasetRow(NodeBase):
    """A dataset as its curator describes it."""

    __tablename__ = "harvest_datasets"

    slug: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(index=True)
    title: Mapped[str]
    description: Mapped[str]
    keywords: Mapped[list[Any]]
    publisher: Mapped[str]
    contact: Mapped[str | None]
    licence: Mapped[str | None]
    access_rights: Mapped[str]
    collection_kind: Mapped[str]
    data_use: Mapped[list[Any]]
    stewardship: Mapped[dict[str, Any] | None]
    version: Mapped[int]
    published_digest: Mapped[str | None]
    created: Mapped[datetime]
    updated: Mapped[datetime]


class SeriesRow(NodeBase):
    """A series of the research store; all ids are pseudonyms, and the row never leaves the node."""

    __tablename__ = "harvest_series"
    __table_args__ = (
        UniqueConstraint("project", "series_uid"),
        Index("ix_harvest_series_select", "project", "state", "modality"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    project: Mapped[str]
    series_uid: Mapped[str]
    study_uid: Mapped[str]
    subject: Mapped[str]
    state: Mapped[str]
    directory: Mapped[str]
    stat_token: Mapped[str]
    content_digest: Mapped[str]
    modality: Mapped[str]
    body_part: Mapped[str]
    body_part_known: Mapped[str | None]
    manufacturer: Mapped[str]
    manufacturer_raw: Mapped[str]
    slice_thickness_mm: Mapped[float | None] = mapped_column(Float)
    slice_thickness: Mapped[str]
    spacing_mm: Mapped[float | None] = mapped_column(Float)
    slice_spacing: Mapped[str]
    model: Mapped[str]
    field_strength: Mapped[str]
    kernel: Mapped[str]
    laterality: Mapped[str]
    rows: Mapped[int | None]
    columns: Mapped[int | None]
    instances: Mapped[int]
    frames: Mapped[int]
    sex: Mapped[str]
    age_band: Mapped[str]
    contrast: Mapped[str]
    acquisition_year: Mapped[int | None]
    study_day: Mapped[int | None]
    annotations: Mapped[dict[str, Any]]
    quality: Mapped[dict[str, Any]]
    run: Mapped[str]
    seen: Mapped[datetime]
