"""The measurement database: what analyses measured, kept row by row as the sites released it, and who may see it.

Nothing is kept that did not pass a site's gate as rows of measurements, and nothing is worked out of it. A row is shown
to an account only while visas of its own cover, at that moment, every dataset that the row may be of: with the output
class of measurements, the tool, and the part of the dataset that the job took. `_visible` alone decides that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance.standing import held_terms
from fairbank.catalogue.measured import MeasuredBiomarker
from fairbank.federated_jobs.code import MEASUREMENTS
from fairbank.federated_jobs.container_tools import contract_of_columns
from fairbank.federated_jobs.errors import MeasurementsRefused
from fairbank.federated_jobs.hub.merging import Closing
from fairbank.federated_jobs.hub.progress import manifest_of
from fairbank.federated_jobs.hub.store import (
    JobDatasetRow,
    JobRow,
    MeasuredColumnRow,
    MeasuredRow,
    MeasurementRow,
)
from fairbank.federated_jobs.hub.withdrawals import days_of
from fairbank.federated_jobs.manifest import covered
from fairbank.ontology.biomarkers import BIOMARKERS
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import GrantedDataset, Manifest

LARGEST_PAGE = 1000
_MARK = re.compile(r"(\d{1,9})\.(\d{1,9})")
_NOTATION = re.compile(r"[A-Z0-9]{2,16}:[A-Za-z0-9._-]{1,32}")
# Said of a row as a whole; everything else in it is a value of a column.
_OF_THE_ROW = ("row", "status", "reason")


@dataclass(frozen=True, slots=True)
class ReleasedRows:
    """The rows of one site, and the digest of the release that they came in."""

    node: str
    digest: str
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the database; empty: of everything.

    Attributes:
        dataset: an IRI.
        biomarker: a notation such as `IBSI:LFYI`, or a name of `ontology.biomarkers`.
        after: the mark that the page before ended with.
    """

    dataset: str | None = None
    tool: str | None = None
    biomarker: str | None = None
    job: str | None = None
    after: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Some measurements, and the mark of the next page; None where there is none."""

    measurements: tuple[dict[str, Any], ...]
    following: str | None


def released_in(closing: Closing) -> tuple[ReleasedRows, ...]:
    """Return the rows that a round collected, by site; none of a round that collects none."""
    if closing.manifest.plan.aggregator != "collect":
        return ()
    return tuple(
        ReleasedRows(one.node, one.digest, tuple(json.loads(one.path.read_bytes())["rows"]))
        for one in closing.arrived
        if one.output == MEASUREMENTS
    )


def keep(hub: Hub, session: Session, job: JobRow, closing: Closing, released: Sequence[ReleasedRows]) -> None:
    """Keep what a job measured, in the transaction that closes its round."""
    if not released:
        return
    from fairbank.analysis.tool import tool_named, tool_parameters

    manifest, code = closing.manifest, closing.manifest.code
    contract = (
        contract_of_columns(closing.columns)
        if closing.columns
        else tool_named(code.name).contract(tool_parameters(code.name, manifest.parameters))
    )
    session.add_all(
        MeasuredColumnRow(
            job=job.id,
            name=column.name,
            place=place,
            type=column.type.value,
            unit=column.unit,
            biomarker=column.biomarker,
            meaning=column.meaning,
        )
        for place, column in enumerate(contract.columns)
    )
    for one in released:
        measured = MeasuredRow(
            job=job.id,
            node=one.node,
            visa=job.visa_digest,
            tool=code.name,
            tool_version=code.version,
            tool_digest=code.digest,
            digest=one.digest,
            kept=hub.clock.now(),
        )
        session.add(measured)
        session.flush()
        session.add_all(
            MeasurementRow(measured=measured.id, place=place, values=row)
            for place, row in enumerate(one.rows, start=1)
        )
    session.flush()


def page(hub: Hub, session: Session, account: str, question: Question) -> Page:
    """Return what an account may see of what is asked, oldest first; nothing says what it may not see.

    Raises:
        MeasurementsRefused: if the mark is none of this hub, or the biomarker no code.
    """
    since = _read_mark(question.after)
    found: list[dict[str, Any]] = []
    following = None
    for one in _visible(hub, session, account, question, since[0]):
        first = since[1] if one.row.id == since[0] else 0
        left = question.limit - len(found)
        rows = session.scalars(
            select(MeasurementRow)
            .where(MeasurementRow.measured == one.row.id, MeasurementRow.place > first)
            .order_by(MeasurementRow.place)
            .limit(left + 1)
        ).all()
        found += [_as_json(one, row) for row in rows[:left]]
        if len(rows) > left:
            following = found[-1]["mark"]
            break
    return Page(tuple(found), following)


def pages(hub: Hub, account: str, question: Question) -> Iterator[Page]:
    """Yield all that an account may see, page by page; what it may see is decided anew for each."""
    from fairbank.database import reading

    question = replace(question, limit=LARGEST_PAGE)
    while True:
        with reading(hub.engine) as session:
            one = page(hub, session, account, question)
        yield one
        if one.following is None:
            return
        question = replace(question, after=one.following)


def biomarkers_of(session: Session, dataset: str) -> list[MeasuredBiomarker]:
    """Return which biomarkers were measured in a dataset, by which tool, and in how many jobs; never a value."""
    column = MeasuredColumnRow
    of_site = (JobDatasetRow.job == MeasuredRow.job) & (JobDatasetRow.node == MeasuredRow.node)
    rows = session.execute(
        select(
            column.biomarker,
            func.min(column.meaning),
            MeasuredRow.tool,
            func.count(MeasuredRow.job.distinct()),
        )
        .join(MeasuredRow, MeasuredRow.job == column.job)
        .join(JobDatasetRow, of_site)
        .where(JobDatasetRow.dataset == dataset, column.biomarker.is_not(None))
        .group_by(column.biomarker, MeasuredRow.tool)
        .order_by(column.biomarker, MeasuredRow.tool)
    )
    return [MeasuredBiomarker(code or "", meaning, tool, jobs) for code, meaning, tool, jobs in rows]


def codes_of(session: Session, job: str) -> list[str]:
    """Return the codes of the biomarkers that a job measured."""
    codes = select(MeasuredColumnRow.biomarker).where(
        MeasuredColumnRow.job == job, MeasuredColumnRow.biomarker.is_not(None)
    )
    return sorted({code for code in session.scalars(codes) if code})


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one site measured that an account may see: with the datasets it is of, and the columns asked for."""

    row: MeasuredRow
    datasets: tuple[str, ...]
    columns: tuple[MeasuredColumnRow, ...]
    withdrawn: str | None


def _visible(hub: Hub, session: Session, account: str, question: Question, since: int) -> Iterator[_Seen]:
    """Yield what an account's own visas cover now, and nothing else."""
    held = held_terms(session, account, now=hub.clock.now(), hub=hub.base_iri)
    if not held:
        return
    for row in session.scalars(_asked_for(question, sorted(held)).where(MeasuredRow.id >= since)).all():
        job = session.get_one(JobRow, row.job)
        # A row says no dataset: of a site with several it may be of any, so all of them must be covered.
        datasets = tuple(
            session.scalars(
                select(JobDatasetRow.dataset)
                .where(JobDatasetRow.job == row.job, JobDatasetRow.node == row.node)
                .order_by(JobDatasetRow.dataset)
            )
        )
        if not datasets or not all(_is_covered(manifest_of(job), iri, held.get(iri, ())) for iri in datasets):
            continue
        columns = tuple(session.scalars(_columns_asked_for(question, row.job)))
        if columns or question.biomarker is None:
            yield _Seen(row, datasets, columns, days_of(session, [row.job]).get(row.job))


def _is_covered(manifest: Manifest, iri: str, held: Sequence[GrantedDataset]) -> bool:
    used = next((dataset for dataset in manifest.datasets if dataset.iri == iri), None)
    return used is not None and any(
        OutputClass.MEASUREMENTS in terms.output_classes and covered(manifest, used, terms) for terms in held
    )


def _asked_for(question: Question, held: Sequence[str]) -> Select[MeasuredRow]:
    of_dataset = (
        select(JobDatasetRow.job)
        .where(JobDatasetRow.job == MeasuredRow.job, JobDatasetRow.node == MeasuredRow.node)
        .where(JobDatasetRow.dataset.in_([question.dataset] if question.dataset else held))
    )
    statement = select(MeasuredRow).where(of_dataset.exists()).order_by(MeasuredRow.id)
    if question.tool:
        statement = statement.where(MeasuredRow.tool == question.tool)
    if question.job:
        statement = statement.where(MeasuredRow.job == question.job)
    if question.biomarker:
        statement = statement.where(
            select(MeasuredColumnRow.job)
            .where(
                MeasuredColumnRow.job == MeasuredRow.job,
                MeasuredColumnRow.biomarker == _notation(question.biomarker),
            )
            .exists()
        )
    return statement


def _columns_asked_for(question: Question, job: str) -> Select[MeasuredColumnRow]:
    statement = select(MeasuredColumnRow).where(
        MeasuredColumnRow.job == job, MeasuredColumnRow.name.not_in(_OF_THE_ROW)
    )
    if question.biomarker:
        statement = statement.where(MeasuredColumnRow.biomarker == _notation(question.biomarker))
    return statement.order_by(MeasuredColumnRow.place)


def _as_json(seen: _Seen, row: MeasurementRow) -> dict[str, Any]:
    said = row.values
    return {
        "mark": f"{row.measured}.{row.place}",
        "datasets": list(seen.datasets),
        "node": seen.row.node,
        "job": seen.row.job,
        "visa": seen.row.visa,
        "tool": seen.row.tool,
        "tool_version": seen.row.tool_version,
        "tool_digest": seen.row.tool_digest,
        **{name: said.get(name) for name in _OF_THE_ROW},
        "subject_withdrawn": seen.withdrawn,
        "values": [
            {
                "column": column.name,
                "biomarker": column.biomarker,
                "unit": column.unit,
                "value": said.get(column.name),
            }
            for column in seen.columns
        ],
    }


def _read_mark(mark: str | None) -> tuple[int, int]:
    if mark is None:
        return 0, 0
    found = _MARK.fullmatch(mark)
    if found is None:
        raise MeasurementsRefused(
            "This mark is none that a page of measurements ends with.",
            why="It says where the next page begins.",
            todo="Leave it out, or take `next` of the page before.",
        )
    return int(found[1]), int(found[2])


def _notation(biomarker: str) -> str:
    if biomarker in BIOMARKERS:
        return BIOMARKERS[biomarker].notation
    if _NOTATION.fullmatch(biomarker) is None:
        raise MeasurementsRefused(
            "The biomarker is neither a code nor a name that is known here.",
            why="A code is its scheme and value, such as DCM:112181.",
            todo="See the codes with 'fairbank dataset show', or the names in the page of the ontology.",
        )
    return biomarker
