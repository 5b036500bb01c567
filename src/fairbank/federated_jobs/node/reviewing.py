"""What a site's people see of a job before they decide: who asks for what, and how much of this site it would touch."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.database import reading
from fairbank.errors import FairbankError
from fairbank.federated_jobs.container_tools import Find
from fairbank.federated_jobs.errors import CodeUnknown, NotApproved
from fairbank.federated_jobs.manifest import Chain, datasets_at, open_chain
from fairbank.federated_jobs.node import bundles_here
from fairbank.federated_jobs.node.carried_tools import Told, told_of
from fairbank.federated_jobs.node.cohort import CohortSource, harvest_index
from fairbank.federated_jobs.node.containers_here import known_tools, terms_of
from fairbank.federated_jobs.node.judging import approved_runs, terms_here
from fairbank.federated_jobs.node.noise_budget import outlook, patient_key
from fairbank.federated_jobs.node.policy_file import put_manifests
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow
from fairbank.federated_jobs.node.training_rules import rules_here
from fairbank.federated_jobs.node.what_leaves import Leaving, leaves, publisher
from fairbank.ontology.signed_objects import GrantedDataset
from fairbank.release import hub_keys
from fairbank.release.errors import NotEnrolled
from fairbank.release.node import Node


@dataclass(frozen=True, slots=True)
class TermsHere:
    """On what terms a dataset of this site is granted, and how many runs this site has approved of it so far."""

    terms: GrantedDataset
    approved_runs: int


@dataclass(frozen=True, slots=True)
class JobReview:
    """A job, verified, and how many series and subjects here it selects now; these numbers stay at the site.

    Attributes:
        stopped_by: which check refused it, None if none did.
        hub_country: where the hub says that it is.
        known_requester: this site has approved a job of the same requester's key before.
        paused: since when its people let it stand still.
        publisher: who answers for its code.
        told: what came with a job about its tool; None if nothing did.
        leaves: what would leave.
        container: image, engine and limits of a container, in words; nothing of installed code.
        bundle: digest, names and expressions of a bundle that would be trained; nothing if there is none.
        noise: what a noisy training would cost a patient here, in words; nothing if there is none.
    """

    chain: Chain
    series: int
    subjects: int
    terms: tuple[TermsHere, ...]
    stopped_by: str | None
    hub_country: str | None
    known_requester: bool
    paused: datetime | None
    publisher: str
    told: Told | None
    leaves: tuple[Leaving, ...]
    container: dict[str, str] = field(default_factory=dict)
    bundle: dict[str, str | list[str]] = field(default_factory=dict)
    noise: str = ""


def review(node: Node, job: str, *, source: CohortSource = harvest_index) -> JobReview:
    """Return a job with its verified objects and what it would select at this site.

    Raises:
        NotApproved: if no such job was brought to this site.
        NotEnrolled: if the node has not enrolled.
        ChainBroken: if its signed objects do not hold.
    """
    if node.enrolment is None:
        raise NotEnrolled("This node has not enrolled with a hub.", todo="Run 'fairbank node enrol'.")
    with reading(node.engine) as session:
        row = session.get(ReviewRow, job)
        if row is None:
            raise NotApproved(
                "No job of this id was brought to this site.",
                why="A job comes when its requester names a dataset of this site.",
                todo="List the jobs that came: fairbank node jobs list.",
            )
        hub_key = hub_keys.key_for(session, node.enrolment, row.visa)
        chain = open_chain(row.request, row.visa, row.manifest, hub_key=hub_key)
        wanted = datasets_at(chain.manifest, node.name, node.enrolment.public_base_iri)
        now = node.clock.now()
        chosen = [
            (dataset, one)
            for dataset, selector in wanted.items()
            for one in source(session, dataset, selector, at=now)
        ]
        found = [one for _, one in chosen]
        terms = tuple(
            TermsHere(one, approved_runs(session, chain.request, one.iri)) for one in terms_here(node, chain)
        )
        known = session.scalars(
            select(ApprovalRow.job)
            .join(ReviewRow, ReviewRow.job == ApprovalRow.job)
            .where(ReviewRow.requester_key == chain.visa.requester_key, ApprovalRow.job != job)
            .limit(1)
        ).first()
        patients = frozenset(patient_key(dataset, one.subject) for dataset, one in chosen)
        noise = _noise(node, session, chain, patients)
    find = known_tools(node)
    return JobReview(
        chain,
        len(found),
        len({one.subject for one in found}),
        terms,
        stopped_by=row.stopped_by,
        hub_country=(row.places or {}).get("hub"),
        known_requester=known is not None,
        paused=row.halted,
        publisher=publisher(chain.manifest.code, put_manifests(node)),
        told=told_of(node, chain.manifest.code),
        leaves=leaves(chain.manifest, at_least=node.settings.release_minimum_count, find=find),
        container=_container(node, chain, find),
        bundle=bundles_here.told(node, chain, find),
        noise=noise,
    )


def _noise(node: Node, session: Session, chain: Chain, patients: frozenset[str]) -> str:
    try:
        tool = known_tools(node)(chain.manifest.code)
        found = outlook(session, chain.manifest, tool, patients, rules_here(session, node))
    except FairbankError as err:
        # The same check refuses the job.
        return err.what if chain.manifest.privacy_budget is not None else ""
    return "" if found is None else str(found)


def _container(node: Node, chain: Chain, find: Find) -> dict[str, str]:
    try:
        return terms_of(node.settings, find(chain.manifest.code), chain.manifest)
    except CodeUnknown:
        # Said by the check that refused the job.
        return {}
