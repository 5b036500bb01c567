"""What a site checks of a job before its cohort and its people: the objects by pinned keys, bounds, its own rules.

Nothing here believes the hub: it brings the objects, and this site judges them, by its own clock and memory. Each
refusal names its check, so that the site's people know what stopped the job.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank.clock import parse_iso
from fairbank.federated_jobs.checks import Check
from fairbank.federated_jobs.code import Tool
from fairbank.federated_jobs.errors import (
    ChainBroken,
    JobsError,
    NotForThisSite,
    RunsSpent,
    VisaSuperseded,
)
from fairbank.federated_jobs.manifest import (
    Chain,
    check_code,
    check_made_here,
    check_times,
    check_visa_within_request,
    check_within_visa,
    covered,
    dataset_iri,
    datasets_at,
    open_chain,
    terms_used,
)
from fairbank.federated_jobs.node.containers_here import check_allowed, known_tools
from fairbank.federated_jobs.node.store import NewestVisaRow, ReviewRow, RunRow
from fairbank.federated_jobs.node.transfers import check_transfer
from fairbank.ontology.person_objects import CountersignWord
from fairbank.ontology.signed_objects import GrantedDataset, Request, Selector
from fairbank.release import hub_keys
from fairbank.release.errors import NotEnrolled
from fairbank.release.grants import replaced_by
from fairbank.release.node import Enrolment, Node


@contextmanager
def during(check: Check) -> Iterator[None]:
    """Name the check in each refusal that comes out of this block and names none yet."""
    try:
        yield
    except JobsError as err:
        raise err.at(check)  # noqa: B904  the same error, with a word more


def checked(node: Node, session: Session, row: ReviewRow) -> tuple[Chain, Tool]:
    """Check what needs neither cohort nor approval: objects, bounds, code, place, dates, and that this site is meant.

    Raises:
        JobsError: naming the check.
    """
    enrolment = enrolment_of(node)
    hub_key = hub_keys.key_for(session, enrolment, row.visa)
    chain = open_chain(row.request, row.visa, row.manifest, hub_key=hub_key)
    check_made_here(chain.visa, enrolment.public_base_iri)
    if chain.manifest.id != row.job:
        raise ChainBroken(
            "The hub brought a manifest under the id of another job.", why="A manifest names its own job."
        ).at(Check.JOB_ID)
    with during(Check.VISA_WITHIN_REQUEST):
        check_visa_within_request(chain.visa, chain.request)
    with during(Check.MANIFEST_WITHIN_VISA):
        check_within_visa(chain.manifest, chain.visa)
    with during(Check.CODE):
        tool = check_code(chain.manifest, known_tools(node))
        check_allowed(node.settings, tool)
    here = {terms.iri for terms in terms_here(node, chain)}
    with during(Check.VISA_DATES):
        check_times(chain.visa, node.clock.now(), datasets=here)
    with during(Check.TRANSFER):
        check_transfer(node.settings, chain, row.places)
    return chain, tool


def datasets_here(node: Node, chain: Chain) -> dict[str, Selector]:
    """Return the datasets of this site that a job uses, with their selectors.

    Raises:
        NotForThisSite: if there is none.
    """
    datasets = datasets_at(chain.manifest, node.name, enrolment_of(node).public_base_iri)
    if not datasets:
        raise NotForThisSite(
            "The job names no dataset of this site.", why="The hub sent it to the wrong node.", todo=""
        ).at(Check.DATASET)
    return datasets


def terms_here(node: Node, chain: Chain) -> list[GrantedDataset]:
    """Return the terms on which the datasets of this site are granted that a job uses.

    Raises:
        NotForThisSite: if there is none.
    """
    base = enrolment_of(node).public_base_iri
    of_here = {dataset_iri(base, node.name, name) for name in datasets_here(node, chain)}
    return [terms for terms in terms_used(chain.manifest, chain.visa) if terms.iri in of_here]


def check_newest(node: Node, session: Session, chain: Chain) -> None:
    """Refuse a new job under a visa that a later one has replaced here, and remember the newest, in one transaction.

    A hub could otherwise bring a visa back whose terms a committee has narrowed since. Of one request, the visa made
    last that names a dataset is the one that holds for it. A request is its id and its requester's key together: a hub
    that lets another requester seal one of the same id ends nobody else's grant by it.

    Raises:
        VisaSuperseded: if a later visa of the same request was seen for a dataset of this site.
    """
    created = parse_iso(chain.visa.created)
    for terms in terms_here(node, chain):
        _check_fetched(node, session, chain, terms.iri)
        known = session.get(NewestVisaRow, (chain.request.id, chain.request.requester_key, terms.iri))
        if known is None:
            session.add(
                NewestVisaRow(
                    request=chain.request.id,
                    requester_key=chain.request.requester_key,
                    dataset=terms.iri,
                    visa=chain.sealed_visa.digest,
                    created=created,
                )
            )
        elif known.created > created:
            raise _superseded()
        else:
            known.visa, known.created = chain.sealed_visa.digest, created


def _check_fetched(node: Node, session: Session, chain: Chain, iri: str) -> None:
    """Refuse what a later visa does not cover that was fetched with the grants, or that a person here has refused."""
    digest = chain.sealed_visa.digest
    later = replaced_by(session, node, digest, iri, requester_key=chain.visa.requester_key)
    if later is None:
        return
    terms, word = later
    used = next(one for one in chain.manifest.datasets if one.iri == iri)
    over = node.clock.now() >= parse_iso(terms.expires)
    if word is CountersignWord.REFUSED or over or not covered(chain.manifest, used, terms):
        raise _superseded()


def _superseded() -> JobsError:
    return VisaSuperseded(
        "The visa of this job has been replaced by a later one.",
        why="This site has seen a later visa of the same request, and that one holds.",
        todo="The requester drafts the job anew under the later visa.",
    ).at(Check.NEWEST_VISA)


def check_runs(node: Node, session: Session, chain: Chain) -> None:
    """Refuse a job once as many were approved here, under its request, as a dataset's terms allow.

    Raises:
        RunsSpent: if there are none left.
    """
    for terms in terms_here(node, chain):
        used = approved_runs(session, chain.request, terms.iri, but=chain.manifest.id)
        if used >= terms.maximum_runs:
            raise RunsSpent(
                f"This site has approved all {terms.maximum_runs} runs that are granted.",
                why="The committee granted that many, whatever visa they came under.",
            ).at(Check.RUNS)


def approved_runs(session: Session, request: Request, dataset: str, *, but: str = "") -> int:
    """Return how many runs of a dataset this site has approved under a request, those of the job `but` aside.

    Those of another requester whose request has the same id are not of this request.
    """
    used = select(func.count()).where(
        RunRow.request == request.id,
        RunRow.requester_key == request.requester_key,
        RunRow.dataset == dataset,
        RunRow.job != but,
    )
    return session.scalar(used) or 0


def count_run(node: Node, session: Session, chain: Chain) -> None:
    """Write down, in the transaction of the approval, that a run of each of its datasets here is used."""
    for terms in terms_here(node, chain):
        session.add(
            RunRow(
                job=chain.manifest.id,
                dataset=terms.iri,
                request=chain.request.id,
                requester_key=chain.request.requester_key,
            )
        )


def enrolment_of(node: Node) -> Enrolment:
    """Return the hub that this node has enrolled with.

    Raises:
        NotEnrolled: if there is none.
    """
    if node.enrolment is None:
        raise NotEnrolled(
            "This node has not enrolled with a hub, so it can judge no job.",
            why="Visas count only under the hub key that was pinned at enrolment.",
            todo="Run 'fairbank node enrol'.",
        )
    return node.enrolment
