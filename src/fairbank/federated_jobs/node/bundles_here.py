"""The bundle of a training job at this site: looked at before anybody can approve, and shown to who decides."""

from __future__ import annotations

from pathlib import Path

from fairbank.analysis.errors import BundleRefused, BundleUntrainable
from fairbank.analysis.networks import LARGEST_BYTES
from fairbank.federated_jobs.code import Tool
from fairbank.federated_jobs.container_tools import Find
from fairbank.federated_jobs.errors import CodeUnknown
from fairbank.federated_jobs.manifest import Chain
from fairbank.federated_jobs.model_scan import check_models, takes_bundle, told_of
from fairbank.federated_jobs.node.model_files import place_of
from fairbank.federated_jobs.training_errors import BundleNotHere, BundleNotTaken
from fairbank.release.node import Node
from fairbank.signing import file_digest


def check_bundle(node: Node, chain: Chain, tool: Tool) -> None:
    """Refuse a job that trains a bundle which is not here, or says what it may not.

    Raises:
        BundleNotHere: if its file did not come.
        BundleNotTaken: if it may not be trained, with what is wrong in it.
    """
    if not takes_bundle(tool):
        return
    try:
        check_models(tool, _files(node, chain, tool), maximum_bytes=LARGEST_BYTES)
    except (BundleRefused, BundleUntrainable) as err:
        raise BundleNotTaken(
            "This site does not train the bundle of this job.",
            why=err.why,
            todo="The requester can bring a bundle without it: fairbank model import.",
        ) from err


def told(node: Node, chain: Chain, find: Find) -> dict[str, str | list[str]]:
    """Return what the people of a site see of a job's bundle before they decide; nothing where there is none."""
    try:
        tool = find(chain.manifest.code)
        if not takes_bundle(tool):
            return {}
        (file,) = _files(node, chain, tool)
        seen = told_of(file, maximum_bytes=LARGEST_BYTES)
    except CodeUnknown:
        # Said by the check that refused the job.
        return {}
    except (BundleRefused, BundleNotHere) as err:
        return {"bundle": f"not usable: {err.why}"}
    return {
        "bundle": file_digest(file),
        "bundle names": list(seen.targets),
        "bundle expressions": list(seen.expressions) or "none",
        "bundle weights": seen.weights or "none; the seed of the job makes them",
    }


def _files(node: Node, chain: Chain, tool: Tool) -> list[Path]:
    """Return the files of the models that a job names.

    Raises:
        BundleNotHere: if one did not come.
    """
    found = []
    for digest in tool.models_in(tool.check_parameters(chain.manifest.parameters)):
        file = place_of(node, chain.manifest.id, digest)
        if not file.is_file() or file_digest(file) != digest:
            raise BundleNotHere(
                "The bundle of this job is not here.",
                why="It did not come with the job, or has other bytes than its digest says.",
                todo="Have the agent of this node run, and look whether it reaches the hub: fairbank node status.",
            )
        found.append(file)
    return found
