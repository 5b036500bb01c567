"""Files of models that come with a job: fetched from the hub by digest, looked at, and kept with the job.

The job's code sees them read-only beside its inputs. What is in a bundle is scanned here before the sandbox has it, and
in the sandbox again: the first is not needed for the second, and neither trusts the hub.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from fairbank.analysis.bundle_scan import scan_bundle
from fairbank.analysis.networks import LARGEST_BYTES, file_name
from fairbank.federated_jobs.node.progress import job_folder
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
    folder = job_folder(node, job) / FOLDER
    return tuple(_fetched(node, client, folder / file_name(digest), digest) for digest in digests)


def _fetched(node: Node, client: HubClient, target: Path, digest: Digest) -> Path:
    if not (target.exists() and file_digest(target) == digest):
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        client.download(digest, target, durable=False, maximum_bytes=node.settings.jobs_model_file_bytes)
        # The job's own user reads it through the sandbox; nobody else may enter the folder.
        target.chmod(0o444)
    if zipfile.is_zipfile(target):
        scan_bundle(target, maximum_bytes=LARGEST_BYTES)
    return target
