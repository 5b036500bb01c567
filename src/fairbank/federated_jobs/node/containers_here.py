"""Whether this site runs containers, which ones it knows, and what its people see of one before they approve a job.

A site runs none unless its people chose an engine. What a container is comes from a manifest that its publisher sealed,
which people put at the node or the hub brought with the job; the digest of the code covers all of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fairbank.errors import FairbankError
from fairbank.federated_jobs.code import Tool
from fairbank.federated_jobs.container_tools import Find, finding
from fairbank.federated_jobs.errors import ContainerNotAllowed
from fairbank.federated_jobs.node.container_argv import Engine
from fairbank.federated_jobs.node.errors import EngineMissing
from fairbank.federated_jobs.node.policy_file import sealed_manifests
from fairbank.federated_jobs.node.sandbox_resources import sandbox_policy, wall_s
from fairbank.ontology.signed_objects import Manifest
from fairbank.ontology.tools import ToolManifest
from fairbank.release.node import Node
from fairbank.settings import Settings

NONE: Final = "none"
# Where programs of the system lie; what a user's PATH adds does not count.
PLACES: Final = (Path("/usr/bin"), Path("/usr/local/bin"))


def known_tools(node: Node) -> Find:
    """Return how the tool of a job is found at this site: installed, or a container whose sealed manifest is here."""

    def sealed() -> list[ToolManifest]:
        found = []
        for envelope in sealed_manifests(node):
            try:
                found.append(ToolManifest.open_own(envelope)[0])
            except FairbankError:
                # A file of somebody's that is none stops no job.
                continue
        return found

    return finding(sealed)


def engine_of(settings: Settings) -> Engine | None:
    """Return the engine that the site chose, None if it runs no containers."""
    chosen = settings.sandbox_container_engine
    return None if chosen == NONE else Engine(chosen)


def check_allowed(settings: Settings, tool: Tool) -> None:
    """Refuse a container where the site's people did not choose an engine.

    Raises:
        ContainerNotAllowed: if so.
    """
    if tool.container is not None and engine_of(settings) is None:
        raise ContainerNotAllowed(
            "The tool of this job is a container, and this site runs none.",
            why="The setting sandbox_container_engine is 'none'.",
            todo="If the site should run containers, choose an engine there: apptainer, docker or podman.",
        )


def program_of(engine: Engine) -> Path:
    """Return the program of an engine.

    Raises:
        EngineMissing: if it is not installed.
    """
    for place in PLACES:
        if (place / engine.value).is_file():
            return place / engine.value
    raise EngineMissing(
        f"The container engine {engine.value!r} is not installed.",
        why=f"It lies in none of {', '.join(str(place) for place in PLACES)}.",
        todo=f"Install it, or choose another engine in sandbox_container_engine (now {engine.value!r}).",
    )


def terms_of(settings: Settings, tool: Tool, manifest: Manifest) -> dict[str, str]:
    """Return what a site's people see of a container: image, engine, limits; nothing of installed code."""
    if tool.container is None:
        return {}
    engine = engine_of(settings)
    policy = sandbox_policy(settings, manifest.resources)
    gpus = ", ".join(str(number) for number in policy.gpus) or "none"
    return {
        "container": tool.container.image,
        "command": " ".join(tool.container.command),
        "engine": engine.value if engine else "none chosen here, so it is refused",
        "limits": f"{policy.memory_bytes >> 20} MiB of memory, {policy.max_processes} processes, "
        f"{policy.cpus or 'all'} processors, GPUs: {gpus}, {wall_s(settings, manifest.resources)} s, "
        f"{policy.scratch_bytes >> 20} MiB on disk; no network, read-only root, no capabilities, not root",
    }
