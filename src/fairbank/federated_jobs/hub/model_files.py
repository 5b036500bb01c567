"""Files of models that requesters bring for their jobs: taken within bounds, looked at, and handed to the jobs' sites.

A job names a file by its digest. Who brought it may use it; the sites of a job that names it may fetch it. The hub
runs no model: of ONNX it looks at the beginning, of a bundle at the names and configurations in it. Weights, by
themselves or in a bundle, are kept in the one form that models of trainings have, so that a training can start from
them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.analysis.bundle_scan import TRAINING, scan_bundle
from fairbank.catalogue import blobs
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import BlobNotFound
from fairbank.clock import iso
from fairbank.federated_jobs.code import Tool
from fairbank.federated_jobs.errors import ModelFileRefused, ModelFileUnknown
from fairbank.federated_jobs.hub import start_weights
from fairbank.federated_jobs.hub.changing import changing
from fairbank.federated_jobs.hub.model_file_store import JobModelFileRow, ModelFileRow
from fairbank.federated_jobs.hub.store import JobRow, SiteRow
from fairbank.federated_jobs.model_scan import check_models, told_of
from fairbank.federated_jobs.states import ACTIVE_SITES, UNDECIDED_SITES
from fairbank.signing import Digest, file_digest

MEDIA_TYPE: Final = "application/octet-stream"
MOST_OF_ONE_ACCOUNT: Final = 200
# A message of ONNX begins with its version: field 1, a varint (onnx.proto, ModelProto.ir_version).
_ONNX: Final = b"\x08"
# Grows at most so much when it is unpacked; weights hardly shrink.
_GROWTH: Final = 4


class ModelFormat(StrEnum):
    """In which form a model is brought."""

    ONNX = "onnx"
    MONAI_BUNDLE = "monai-bundle"
    SAFETENSORS = "safetensors"


async def take(hub: Hub, pieces: AsyncIterator[bytes], *, announced: str | None) -> Path:
    """Write a body to a file of its own and return it; nothing is left of one that is too large or breaks off.

    Raises:
        ModelFileRefused: if it is larger than the setting `jobs_model_file_bytes`.
    """
    limit = hub.settings.jobs_model_file_bytes
    return await blobs.receive(hub, pieces, announced=announced, limit=limit, too_large=_too_large(limit))


def keep(hub: Hub, who: Account, incoming: Path, *, name: str, format: ModelFormat) -> ModelFileRow:
    """Keep a file that was taken, and return it; the same one again is the same. It is gone if it is refused.

    Raises:
        ModelFileRefused: if it is not of the format, or the account has as many as it may have.
        BundleRefused: if a bundle holds what it may not.
    """
    weights = incoming.with_suffix(".weights")
    try:
        _check(hub, incoming, format)
        if format is ModelFormat.SAFETENSORS:
            if not start_weights.rewrite(incoming, weights):
                raise ModelFileRefused(
                    "These weights cannot be read.",
                    why="A file of weights is safetensors, with numbers of common types.",
                    todo="Write them with safetensors.torch.save_file(network.state_dict(), FILE).",
                )
            weights.replace(incoming)
        brought = [_Brought(incoming, file_digest(incoming), name, format)]
        if format is ModelFormat.MONAI_BUNDLE and start_weights.extract(incoming, weights):
            of_it = f"weights of {name}"[:200]
            brought.append(_Brought(weights, file_digest(weights), of_it, ModelFormat.SAFETENSORS))
        with changing(hub) as session:
            new = [one for one in brought if session.get(ModelFileRow, (one.digest, who.name)) is None]
            if len(listed(session, who)) + len(new) > MOST_OF_ONE_ACCOUNT:
                raise ModelFileRefused(
                    f"The account has brought nearly {MOST_OF_ONE_ACCOUNT} models already.",
                    why="That is the most that a hub keeps for one account; the weights of a bundle are one of them.",
                    todo="Use one of them, or ask the hub's operator.",
                )
            for one in new:
                _keep(hub, session, who, one)
            return session.get_one(ModelFileRow, (brought[0].digest, who.name))
    finally:
        incoming.unlink(missing_ok=True)
        weights.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Brought:
    file: Path
    digest: Digest
    name: str
    format: ModelFormat


def _keep(hub: Hub, session: Session, who: Account, one: _Brought) -> None:
    size = one.file.stat().st_size
    session.add(
        ModelFileRow(
            digest=one.digest,
            account=who.name,
            name=one.name,
            format=one.format.value,
            size_bytes=size,
            created=hub.clock.now(),
        )
    )
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=who.name,
        act="model.import",
        target=one.digest,
        detail={"format": one.format.value, "size": size},
    )
    blobs.settle(hub, one.file, one.digest)
    blobs.remember(hub, session, one.digest, media_type=MEDIA_TYPE)
    session.flush()


def listed(session: Session, who: Account) -> list[dict[str, Any]]:
    """Return the files that an account brought, newest first."""
    rows = session.scalars(
        select(ModelFileRow)
        .where(ModelFileRow.account == who.name)
        .order_by(ModelFileRow.created.desc(), ModelFileRow.digest)
    )
    return [told(row) for row in rows]


def told(row: ModelFileRow) -> dict[str, Any]:
    """Return a file as its account sees it."""
    return {
        "digest": row.digest,
        "name": row.name,
        "format": row.format,
        "size_bytes": row.size_bytes,
        "created": iso(row.created),
    }


def shown(hub: Hub, session: Session, who: Account, digest: str) -> dict[str, Any]:
    """Return a file that an account brought; of a bundle also what it names, and the digest of its weights.

    Raises:
        BlobNotFound: if the account brought no such file.
    """
    row = session.get(ModelFileRow, (digest, who.name))
    if row is None:
        raise BlobNotFound(
            "You have brought no model of this digest.",
            why="An account sees the files that it brought itself.",
            todo="See them with: fairbank model files.",
        )
    if row.format != ModelFormat.MONAI_BUNDLE.value:
        return told(row)
    file = blobs.path_of(hub, digest)
    seen = told_of(file, maximum_bytes=_unpacked(hub))
    return {
        **told(row),
        "targets": list(seen.targets),
        "expressions": list(seen.expressions),
        "weights": start_weights.digest_in(file),
    }


def has_brought_weights(session: Session, account: str, digest: str) -> bool:
    """Tell whether an account brought weights that a training can start from."""
    row = session.get(ModelFileRow, (digest, account))
    return row is not None and row.format == ModelFormat.SAFETENSORS.value


def check_brought(session: Session, digests: Sequence[Digest], *, account: str) -> None:
    """Refuse a job that needs a file which its account has not brought.

    Raises:
        ModelFileUnknown: naming the first.
    """
    for digest in digests:
        if session.get(ModelFileRow, (digest, account)) is None:
            raise _not_brought(digest)


def attach(session: Session, job: str, digests: Sequence[Digest]) -> None:
    """Write down which files a job needs, in the transaction that takes it in."""
    session.add_all([JobModelFileRow(job=job, digest=digest) for digest in dict.fromkeys(digests)])


def may_read_as_node(session: Session, node: str, digest: str) -> bool:
    """Tell whether a blob is the file of a model of a job that this node takes part in, or is asked to."""
    wanted = [state.value for state in ACTIVE_SITES | UNDECIDED_SITES]
    jobs = (
        select(JobModelFileRow.job)
        .join(JobRow, JobRow.id == JobModelFileRow.job)
        .join(SiteRow, SiteRow.job == JobModelFileRow.job)
        .where(JobModelFileRow.digest == digest, SiteRow.node == node, SiteRow.state.in_(wanted))
    )
    return session.scalars(jobs.limit(1)).first() is not None


def may_read_as_account(session: Session, account: str, digest: str) -> bool:
    """Tell whether a blob is the file of a model that an account brought."""
    return session.get(ModelFileRow, (digest, account)) is not None


def check_for(hub: Hub, tool: Tool, digests: Sequence[Digest]) -> None:
    """Refuse a job whose models say more than its tool takes, or too little to be trained.

    Raises:
        BundleRefused: naming everything in a bundle that is not allowed.
        BundleUntrainable: if a bundle cannot be trained.
    """
    check_models(tool, [blobs.path_of(hub, digest) for digest in digests], maximum_bytes=_unpacked(hub))


def _unpacked(hub: Hub) -> int:
    return _GROWTH * hub.settings.jobs_model_file_bytes


def _check(hub: Hub, file: Path, format: ModelFormat) -> None:
    if format is ModelFormat.MONAI_BUNDLE:
        # For what it will be used is not known yet; a job is looked at when it is sent.
        scan_bundle(file, maximum_bytes=_unpacked(hub), allowed=TRAINING)
        return
    if format is ModelFormat.SAFETENSORS:
        return
    with file.open("rb") as opened:
        begins = opened.read(2)
    if begins[:1] != _ONNX:
        raise ModelFileRefused(
            "This file is no model in ONNX.",
            why="It does not begin as one does.",
            todo="Export it anew, or say of which format it is: --format monai-bundle.",
        )


def _not_brought(digest: str) -> ModelFileUnknown:
    return ModelFileUnknown(
        f"You have brought no model {digest}.",
        why="The sites fetch the model of a job from the hub, by the digest that the job names.",
        todo="Bring it first: fairbank model import FILE.",
    )


def _too_large(limit: int) -> ModelFileRefused:
    return ModelFileRefused(
        f"The model is larger than {limit} bytes.",
        why="That is the most that this hub takes (setting jobs_model_file_bytes); nothing of it was kept.",
        todo="Make it smaller, such as by half precision, or ask the hub's operator.",
    )
