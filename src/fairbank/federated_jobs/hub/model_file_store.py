"""The hub's tables of files of models that requesters brought for their jobs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from fairbank.database import HubBase


class ModelFileRow(HubBase):
    """A file of a model that an account brought; its bytes are a blob."""

    __tablename__ = "jobs_model_files"

    digest: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    format: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created: Mapped[datetime]


class JobModelFileRow(HubBase):
    """A file of a model that a job needs at its sites."""

    __tablename__ = "jobs_job_model_files"

    job: Mapped[str] = mapped_column(ForeignKey("jobs_jobs.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True, index=True)
