"""The harvest room's tables at the node: sources, runs, what a pull has seen, datasets, and the index of series."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Float, Index, LargeBinary, UniqueConstraint
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
    options: Mapped[dict[str, Any]]
    created: Mapped[datetime]


class RunRow(NodeBase):
    """One run of a pull, of a harvest of headers or of the indexing, with what came of it.

    `archive_deid` is how the archive said that it de-identifies: tool, version and digest of its rules.
    """

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
    archive_deid: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)


class ItemRow(NodeBase):
    """A series of a source as a run last saw it: what is done and unchanged is not fetched again.

    `series_uid` is the pseudonym of the series that it became, `digest` that of what was last taken in. `misses` counts
    the complete snapshots in a row that did not list it; `reason` says why it went or was left out, `gone` when.
    """

    __tablename__ = "harvest_items"

    source: Mapped[str] = mapped_column(primary_key=True)
    container: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(primary_key=True)
    local_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    digest: Mapped[str]
    series_uid: Mapped[str | None] = mapped_column(index=True)
    state: Mapped[str]
    misses: Mapped[int]
    reason: Mapped[str | None]
    gone: Mapped[datetime | None]
    results: Mapped[dict[str, Any]]
    run: Mapped[str]


class ProgressRow(NodeBase):
    """How far the harvest of a container has come: cursor of its feed, high-water mark, last full look.

    `vanished` is the number of items whose vanishing waits for a curator's word; `approved` the run whose deletions one
    has approved.
    """

    __tablename__ = "harvest_progress"

    source: Mapped[str] = mapped_column(primary_key=True)
    container: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(primary_key=True)
    cursor: Mapped[str]
    high_water: Mapped[datetime | None]
    clock_offset_s: Mapped[float | None] = mapped_column(Float)
    last_full: Mapped[datetime | None]
    vanished: Mapped[int]
    approved: Mapped[str | None]


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


class PublishedRow(NodeBase):
    """The state of a dataset that a version of its record told: what each subject added to each count, packed.

    It is what the next record is compared with, subject by subject; it never leaves the node.
    """

    __tablename__ = "harvest_published"

    dataset: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    contributions: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[datetime]


class SeriesRow(NodeBase):
    """A series of the research store, or one that an archive describes; the row never leaves the node.

    All ids are pseudonyms. `source` is empty for a series of the research store, `directory` where the files are not at
    the node. `acquisition` is how it was made, as its headers say; `contiguous` whether its slices follow each other
    without a gap, `derived` whether it was made of other images, None where headers do not tell. `held` is why it may
    not be published, None if it may; `gone` why it is no longer there.
    """

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
    source: Mapped[str]
    held: Mapped[str | None]
    gone: Mapped[str | None]
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
    acquisition: Mapped[dict[str, Any]] = mapped_column(default=dict)
    contiguous: Mapped[bool | None]
    derived: Mapped[bool | None]
    run: Mapped[str]
    seen: Mapped[datetime]


class QualityWordRow(NodeBase):
    """What a person found who looked at a series; no indexing changes it. `rater` is a keyed digest, never the name."""

    __tablename__ = "harvest_quality_words"

    project: Mapped[str] = mapped_column(primary_key=True)
    series_uid: Mapped[str] = mapped_column(primary_key=True)
    aspect: Mapped[str] = mapped_column(primary_key=True)
    rater: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    rated: Mapped[datetime]
    imported: Mapped[datetime]


class MeasuredQualityRow(NodeBase):
    """What the tool `image-quality` measured in the pixels of a series; no indexing changes it.

    It counts while the series has the content that was measured. `values` are numbers and words of the tool.
    """

    __tablename__ = "harvest_measured_quality"

    project: Mapped[str] = mapped_column(primary_key=True)
    series_uid: Mapped[str] = mapped_column(primary_key=True)
    content_digest: Mapped[str]
    tool_digest: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str | None]
    values: Mapped[dict[str, Any]]
    measured: Mapped[datetime]
