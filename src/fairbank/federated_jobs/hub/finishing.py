"""How a job comes to its end: its models enter the registry, and where they came from the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank import events
from fairbank.catalogue import blobs
from fairbank.catalogue.context import Hub
from fairbank.clock import iso
from fairbank.federated_jobs.hub import measurements
from fairbank.federated_jobs.hub.ensembles import is_model
from fairbank.federated_jobs.hub.merging import MODEL, MODEL_TYPE, Closing
from fairbank.federated_jobs.hub.model_registry import register
from fairbank.federated_jobs.hub.progress import active, end_job, move_site, sites_of
from fairbank.federated_jobs.hub.store import JobRow, ModelRow, OutputRow, RoundRow, UpdateRow
from fairbank.federated_jobs.hub.training_provenance import training_provenance
from fairbank.federated_jobs.hub.withdrawals import with_day
from fairbank.federated_jobs.plans.machine import Done, Merging, Step
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import WORKING_SITES, JobEvent, SiteEvent, SiteState
from fairbank.ontology.signed_objects import Manifest


@dataclass(frozen=True, slots=True)
class Settled:
    """One file that came of merging, where contents lie."""

    name: str
    media_type: str
    digest: str
    size_bytes: int


def delivered_by_too_few(session: Session, job: JobRow, step: Step) -> bool:
    """Tell whether fewer sites than the quorum have delivered at the end of a plan in which the model goes round."""
    if step.merging is not Merging.HAND_ON:
        return False
    delivered = session.scalar(select(func.count(UpdateRow.node.distinct())).where(UpdateRow.job == job.id))
    return (delivered or 0) < job.quorum


def complete(
    hub: Hub, session: Session, job: JobRow, closing: Closing, files: Sequence[Settled], done: Done
) -> None:
    """Complete a job, in the transaction that closes its last round; whoever is still at work is told to stop.

    Args:
        files: of the last round.
    """
    for site in active(sites_of(session, job.id)):
        if SiteState(site.state) in WORKING_SITES:
            move_site(hub, job, site, SiteEvent.FAIL, reason=Reason.ROUND_DEADLINE)
    end_job(hub, session, job, JobEvent.COMPLETE)
    provenance = with_day(session, job.id, _provenance(session, job, closing))
    if measured := measurements.codes_of(session, job.id):
        provenance["biomarkers"] = measured
    if done.model is not None or any(is_model(file.name) for file in files):
        told = training_provenance(session, job.id, closing.manifest)
        provenance["training"] = {**told, "ending": done.ending.value}
    final = _final(hub, session, job, closing, done)
    # A plan may end with the model of an earlier round; the last one is then not the job's.
    others = [file for file in files if final is None or not is_model(file.name)]
    made = [*((each, closing.round) for each in others), *([final] if final else [])]
    # Sites whose models are the same to the byte have made one.
    for file, number in {file.digest: (file, number) for file, number in reversed(made)}.values():
        _register(hub, session, job, file, number=number, manifest=closing.manifest, provenance=provenance)


def _final(
    hub: Hub, session: Session, job: JobRow, closing: Closing, done: Done
) -> tuple[Settled, int] | None:
    """Return the one model that a plan ended with, and the round that it came of."""
    if done.model is None:
        return None
    # A round that nobody delivered to ends with the model that it began with: the first to have it has made it.
    made = select(func.min(RoundRow.round)).where(
        RoundRow.job == job.id, RoundRow.result_digest == done.model, RoundRow.round <= closing.round
    )
    number = session.scalar(made) or closing.round
    # Where more than a model travels from round to round, the model alone is an output of the round.
    bare = session.scalar(
        select(OutputRow.digest).where(
            OutputRow.job == job.id, OutputRow.round == number, OutputRow.name == MODEL
        )
    )
    digest = bare or done.model
    return Settled(MODEL, MODEL_TYPE, digest, blobs.path_of(hub, digest).stat().st_size), number


def _register(
    hub: Hub,
    session: Session,
    job: JobRow,
    file: Settled,
    *,
    number: int,
    manifest: Manifest,
    provenance: Mapping[str, object],
) -> None:
    key = "model" if is_model(file.name) else "result"
    if key == "model":
        model = ModelRow(
            digest=file.digest,
            job=job.id,
            round=number,
            size_bytes=file.size_bytes,
            provenance=dict(provenance),
            created=hub.clock.now(),
        )
        session.add(model)
        register(hub, session, model, job, manifest)
    events.append(
        session,
        events.HubEvent,
        clock=hub.clock,
        kind=f"{key}.registered",
        subject=file.digest,
        detail={**provenance, key: file.digest, "name": file.name, "media_type": file.media_type},
    )


def _provenance(session: Session, job: JobRow, closing: Closing) -> dict[str, object]:
    manifest = closing.manifest
    took_part = set(session.scalars(select(UpdateRow.node).where(UpdateRow.job == job.id).distinct()))
    used = [
        dataset.iri
        for dataset in manifest.datasets
        if any(f"/datasets/{node}/" in dataset.iri for node in took_part)
    ]
    return {
        "job": job.id,
        "title": job.title,
        "account": job.account,
        "manifest": job.manifest_digest,
        "visa": job.visa_digest,
        "request": job.request_id,
        "datasets": used,
        "nodes": sorted(took_part),
        "rounds": closing.round,
        "code": manifest.code.model_dump(mode="json"),
        "started": iso(job.started or job.created),
        "ended": iso(job.ended or job.created),
    }
