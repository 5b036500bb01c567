"""What a site weighs before it says yes to a job: exactly which data, what is new in the code, how much is spent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.database import reading, writing
from fairbank.errors import FairbankError
from fairbank.federated_jobs.code import Tool
from fairbank.federated_jobs.code_differences import FileDifference, differences
from fairbank.federated_jobs.errors import JobsError, NotApproved
from fairbank.federated_jobs.manifest import Chain
from fairbank.federated_jobs.node import approved_code
from fairbank.federated_jobs.node.cohort import CohortSource, draw, harvest_index, serving, smallest
from fairbank.federated_jobs.node.containers_here import known_tools
from fairbank.federated_jobs.node.judging import approved_runs, checked, datasets_here, terms_here
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow
from fairbank.federated_jobs.node.training_rules import check_training
from fairbank.federated_jobs.states import SiteState
from fairbank.ontology.selection import in_words
from fairbank.ontology.signed_objects import Manifest
from fairbank.release.node import Node


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that a job says otherwise than the last approved one of its tool; None where one does not say it."""

    what: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class DataHere:
    """One dataset of this site that a job uses.

    Attributes:
        taken: what is taken of it, in words.
        runs: how many runs this site has approved of it under the request; `granted` are allowed in all.
    """

    dataset: str
    taken: str
    series: int
    subjects: int
    runs: int
    granted: int


@dataclass(frozen=True, slots=True)
class Weighed:
    """A job as this site can take it up now.

    Attributes:
        state: where it stands at this site.
        manifest, visa: digests of what was signed.
        cohort: keyed digest of the list of series, empty if it cannot be taken up.
        data: per dataset; empty if it cannot be taken up.
        earlier: id of the last approved job of the same tool, None if there was none.
        differences: what is new against that one.
        refusal: why it cannot be approved as it is now; None if it can.
    """

    state: SiteState
    manifest: str
    visa: str
    cohort: str
    data: tuple[DataHere, ...]
    earlier: str | None
    differences: tuple[Difference, ...]
    refusal: FairbankError | None

    @property
    def version(self) -> str:
        """Return what changes whenever something changes that a decision rests on."""
        return " ".join((self.state.value, self.manifest, self.visa, self.cohort))


def weigh(node: Node, job: str, *, source: CohortSource = harvest_index) -> Weighed:
    """Return what a decision about a job rests on, worked out now.

    Raises:
        NotApproved: if no such job was brought here.
    """
    with writing(node.engine) as session:
        row = session.get(ReviewRow, job)
        if row is None:
            raise NotApproved(
                "No job of this id was brought to this site.",
                why="A job comes when its requester names a dataset of this site.",
                todo="List the jobs that came: fairbank node jobs list.",
            )
        cohort, refusal = "", None
        data: tuple[DataHere, ...] = ()
        try:
            chain, tool = checked(node, session, row)
            cohort, data = _drawn(node, session, chain, tool, source)
        except JobsError as error:
            refusal = error
        earlier = _last_approved(session, row)
        manifest = Manifest.open(row.manifest, trusted=None)[0]
        return Weighed(
            state=SiteState(row.state),
            manifest=row.manifest_digest or "",
            visa=row.visa_digest or "",
            cohort=cohort,
            data=data,
            earlier=earlier.id if earlier else None,
            differences=tuple(_differences(earlier, manifest)) if earlier else (),
            refusal=refusal,
        )


@dataclass(frozen=True, slots=True)
class CodeCompared:
    """The code of a job against that of the last approved one of its tool.

    Attributes:
        is_here: whether the code that the job names is at this site.
        is_same: whether it is the same to the byte.
        is_kept: whether the earlier code was kept, so that it can be compared.
        files: those that differ.
    """

    is_here: bool
    is_same: bool
    is_kept: bool
    files: tuple[FileDifference, ...] = ()


def compare_code(node: Node, job: str) -> CodeCompared | None:
    """Return how the code of a job differs from what was approved last of its tool; None if nothing was."""
    with reading(node.engine) as session:
        row = session.get(ReviewRow, job)
        earlier = _last_approved(session, row) if row is not None else None
        manifest = Manifest.open(row.manifest, trusted=None)[0] if row is not None else None
    if earlier is None or manifest is None:
        return None
    now = approved_code.code_of(node, manifest, known_tools(node))
    before = approved_code.kept(node, earlier)
    files = differences(before, now) if before and now else ()
    same_names = approved_code.named_by(earlier) == approved_code.named_by(manifest)
    is_same = same_names and not files
    return CodeCompared(bool(now), is_same, bool(before), files)


def _drawn(
    node: Node, session: Session, chain: Chain, tool: Tool, source: CohortSource
) -> tuple[str, tuple[DataHere, ...]]:
    wanted = datasets_here(node, chain)
    suited = serving(source, chain.request, at=node.clock.now())
    cohort = draw(node, session, suited, wanted, at_least=smallest(node, chain.manifest))
    check_training(node, session, chain.manifest, tool, cohort)
    found = []
    for terms in terms_here(node, chain):
        name = terms.iri.rpartition("/")[2]
        members = [one for one in cohort.members if one.dataset == name]
        found.append(
            DataHere(
                name,
                in_words(wanted[name]),
                len(members),
                len({one.subject for one in members}),
                approved_runs(session, chain.request, terms.iri, but=chain.manifest.id),
                terms.maximum_runs,
            )
        )
    return cohort.digest, tuple(found)


def _last_approved(session: Session, row: ReviewRow) -> Manifest | None:
    envelope = session.scalar(
        select(ReviewRow.manifest)
        .join(ApprovalRow, ApprovalRow.job == ReviewRow.job)
        .where(ReviewRow.tool == row.tool, ReviewRow.job != row.job)
        .order_by(ReviewRow.decided.desc())
        .limit(1)
    )
    return Manifest.open(envelope, trusted=None)[0] if envelope is not None else None


def _differences(before: Manifest, after: Manifest) -> Iterator[Difference]:
    old, new = dict(_flat(_asked(before))), dict(_flat(_asked(after)))
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            yield Difference(name, old.get(name), new.get(name))


def _asked(manifest: Manifest) -> dict[str, Any]:
    kept = ("code", "parameters", "outputs", "plan", "training", "resources", "privacy_budget")
    told: dict[str, Any] = json.loads(manifest.model_dump_json(include=set(kept)))
    told["plan"].pop("approval_deadline", None)
    return {name: told[name] for name in kept if told.get(name) is not None}


def _flat(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _flat(each, f"{at} {name}".strip().replace("_", " "))
    elif isinstance(value, list):
        for place, each in enumerate(value, start=1):
            yield from _flat(each, f"{at} {place}")
    else:
        yield at, json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
