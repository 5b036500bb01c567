"""Files of models that come with a job: fetched from the hub by digest, looked at, and kept with the job.

The job's code sees them read-only beside its inputs. What is in a bundle is scanned here before the sandbox has it, and
in the sandbox again: the first is not needed for the second, and neither trusts the hub.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from fairbank.analysis.bundle_scan import TRAINING, scan_bundle
from fairbank.analysis.networks import LARGEST_BYTES, file_name
from fairbank.database import reading
from fairbank.errors import FairbankError, RemoteError
from fairbank.federated_jobs.code import tool_of
from fairbank.federated_jobs.model_scan import takes_bundle
from fairbank.federated_jobs.node.progress import job_folder
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.federated_jobs.protocol import Lease
from fairbank.ontology.signed_objects import Manifest
from fairbank.release.errors import DownloadDamaged
from fairbank.release.hub_client import HubClient
from fairbank.release.node import Node
from fairbank.signing import Digest, file_digest

FOLDER = "model-files"


def fetched(node: Node, client: HubClient, job: str, digests: Sequence[Digest]) -> tuple[Path, ...]:
    """Return the files of a job's models, fetching those that are not here yet.

    Raises:
        HubUnreachable, RemoteError, DownloadDamaged: if one cannot be fetched.
        BundleRefused: if one is a bundle that holds what it may not.
    """
    return tuple(_fetched(node, client, place_of(node, job, digest), digest) for digest in digests)


def place_of(node: Node, job: str, digest: str) -> Path:
    """Return where the file of a job's model lies, or would lie."""
    return job_folder(node, job) / FOLDER / file_name(digest)


def bring_before_review(node: Node, client: HubClient, lease: Lease) -> None:
    """Fetch the bundle that a job would train, so that it can be looked at before anybody decides.

    A job whose bundle does not come is refused by the check that looks for it.

    Raises:
        HubUnreachable: if the hub does not answer.
    """
    if lease.manifest is None:
        return
    try:
        manifest, _ = Manifest.open(lease.manifest.encode(), trusted=None)
        tool = tool_of(manifest.code)
        wanted = tool.models_in(tool.check_parameters(manifest.parameters)) if takes_bundle(tool) else ()
    except FairbankError:
        # Whoever judges the job says what is wrong with it.
        return
    if manifest.id != lease.job or _is_over(node, lease.job):
        return
    for digest in wanted:
        try:
            _download(node, client, place_of(node, lease.job, digest), digest)
        except (RemoteError, DownloadDamaged):
            return


def _is_over(node: Node, job: str) -> bool:
    with reading(node.engine) as session:
        row = session.get(ReviewRow, job)
        return row is not None and row.ended


def drop(node: Node, job: str) -> None:
    """Remove the files of a job's models."""
    shutil.rmtree(job_folder(node, job) / FOLDER, ignore_errors=True)


def _fetched(node: Node, client: HubClient, target: Path, digest: Digest) -> Path:
    _download(node, client, target, digest)
    if zipfile.is_zipfile(target):
        # Whether it fits the job's tool is looked at where the tool is known.
        scan_bundle(target, maximum_bytes=LARGEST_BYTES, allowed=TRAINING)
    return target


def _download(node: Node, client: HubClient, target: Path, digest: Digest) -> None:
    if not (target.exists() and file_digest(target) == digest):
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        client.download(digest, target, durable=False, maximum_bytes=node.settings.jobs_model_file_bytes)
        # The job's own user reads it through the sandbox; nobody else may enter the folder.
        target.chmod(0o444)
