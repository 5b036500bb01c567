"""The cluster of a site that measures for its jobs: a Dask scheduler that runs, or one begun in the site's batch queue.

dask-jobqueue submits jobs to the queue whose processes connect to a scheduler in the node's own process. That scheduler
lives as long as one analysis runs; its jobs in the queue end with it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from fairbank.errors import FairbankError, MissingExtra
from fairbank.federated_jobs.errors import ClusterRefused, ClusterUnusable
from fairbank.release.node import Node
from fairbank.settings import Settings

# How long a process in the queue waits for a scheduler that has gone, before it ends by itself.
_LONELY_S = 60


@dataclass(frozen=True, slots=True)
class _Queue:
    """How dask-jobqueue calls a queue, with which program work is put into it, and how it words an account."""

    cluster: str
    program: str
    account: str | None


QUEUES: Final[Mapping[str, _Queue]] = MappingProxyType(
    {
        "slurm": _Queue("SLURMCluster", "sbatch", "account"),
        "pbs": _Queue("PBSCluster", "qsub", "account"),
        "sge": _Queue("SGECluster", "qsub", "project"),
        "lsf": _Queue("LSFCluster", "bsub", "project"),
        "htcondor": _Queue("HTCondorCluster", "condor_submit", None),
    }
)


def names_cluster(settings: Settings) -> bool:
    """Tell whether a site has others measure for its jobs."""
    return bool(settings.analysis_scheduler) or settings.analysis_cluster != "none"


def check_cluster(settings: Settings) -> None:
    """Refuse settings of a cluster that do not go together.

    Raises:
        ClusterRefused: if there are two, an option that the queue does not know, or no job could reach it.
    """
    if not names_cluster(settings):
        return
    if settings.sandbox_mode == "strict":
        raise ClusterRefused(
            "This node names a cluster, and its jobs have no network to reach it.",
            why="analysis_scheduler and analysis_cluster go together with sandbox_mode 'permissive' only.",
            todo="Clear them to measure at the node, or answer for the cluster's isolation and set sandbox_mode "
            "to 'permissive'.",
        )
    if settings.analysis_scheduler and settings.analysis_cluster != "none":
        raise ClusterRefused(
            "This node names a Dask scheduler and a batch queue.",
            why="One of them measures.",
            todo="Clear analysis_scheduler, or set analysis_cluster to 'none'.",
        )
    if settings.analysis_cluster != "none":
        cluster_arguments(settings, logs=Path())


def cluster_arguments(settings: Settings, *, logs: Path) -> dict[str, Any]:
    """Return the arguments with which dask-jobqueue makes the cluster that a site describes.

    Each process of a job in the queue measures one item at a time, as at the node itself.

    Args:
        logs: where the jobs in the queue write what they print.

    Raises:
        ClusterRefused: if the queue has no such option.

    Source: the classes of dask-jobqueue 0.9, https://jobqueue.dask.org/en/latest/api.html
    """
    queue, condor = QUEUES[settings.analysis_cluster], settings.analysis_cluster == "htcondor"
    options = [line.strip() for line in settings.analysis_cluster_options.split(";") if line.strip()]
    _check_lines(settings)
    given: dict[str, Any] = {
        "cores": settings.analysis_cluster_cores,
        "processes": settings.analysis_cluster_cores,
        "memory": f"{settings.analysis_cluster_memory_bytes}B",
        "python": sys.executable,
        "log_directory": str(logs),
        "death_timeout": _LONELY_S,
        "job_extra_directives": _pairs(options) if condor else options,
    }
    if settings.analysis_cluster_interface:
        given["interface"] = settings.analysis_cluster_interface
    if settings.analysis_cluster_folder:
        given["local_directory"] = settings.analysis_cluster_folder
    if condor:
        if settings.analysis_cluster_queue or settings.analysis_cluster_account:
            raise _refused("HTCondor has no queues or accounts of this kind", "analysis_cluster_options")
        return {**given, "disk": f"{settings.analysis_cluster_disk_bytes}B"}
    given["walltime"] = _walltime(settings)
    if settings.analysis_cluster_queue:
        given["queue"] = settings.analysis_cluster_queue
    if settings.analysis_cluster_account and queue.account is not None:
        given[queue.account] = settings.analysis_cluster_account
    return given


@contextmanager
def cluster_of(node: Node, *, logs: Path) -> Iterator[str]:
    """Give the address of the scheduler whose workers measure for a site, empty for none, while the block runs.

    Raises:
        ClusterRefused: if its settings do not go together.
        ClusterUnusable: if the queue takes no work from this machine.
        MissingExtra: if the extra `cluster` is not installed.
    """
    settings = node.settings
    check_cluster(settings)
    if settings.analysis_cluster == "none":
        yield settings.analysis_scheduler
        return
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _begun(settings, logs) as cluster:
        cluster.scale(jobs=settings.analysis_cluster_jobs)
        yield str(cluster.scheduler_address)


def _begun(settings: Settings, logs: Path) -> Any:
    queue = QUEUES[settings.analysis_cluster]
    arguments = cluster_arguments(settings, logs=logs)
    if find_spec("dask_jobqueue") is None:
        raise MissingExtra.named("cluster", needed_for="Measuring in a batch queue")
    if shutil.which(queue.program) is None:
        raise ClusterUnusable(
            f"This machine has no program {queue.program!r}.",
            why=f"Work is put into a queue of {settings.analysis_cluster} with it.",
            todo="Run the node on a machine that submits to the queue, or set analysis_cluster to 'none'.",
        )
    import dask_jobqueue

    try:
        return getattr(dask_jobqueue, queue.cluster)(**arguments)
    except (OSError, RuntimeError, ValueError) as err:
        raise ClusterUnusable(
            "No Dask cluster can be begun in the site's batch queue.",
            why=f"dask-jobqueue failed with {type(err).__name__}.",
            todo="Try the same settings with dask-jobqueue itself; analysis_cluster_interface names the network "
            "that the queue's machines reach.",
        ) from err


def _walltime(settings: Settings) -> str:
    minutes, seconds = divmod(settings.analysis_cluster_wall_s, 60)
    if settings.analysis_cluster == "lsf":
        # Counted in whole minutes.
        minutes += seconds > 0
        return f"{minutes // 60:02}:{minutes % 60:02}"
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def _check_lines(settings: Settings) -> None:
    for name in ("queue", "account", "options", "interface", "folder"):
        if not str(getattr(settings, f"analysis_cluster_{name}")).isprintable():
            raise _refused("it holds a line break or another character that cannot be printed", name)


def _pairs(options: list[str]) -> dict[str, str]:
    pairs = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals:
            raise _refused(f"{option[:60]!r} is not of the form NAME=VALUE", "analysis_cluster_options")
        pairs[name.strip()] = value.strip()
    return pairs


def _refused(what: str, setting: str) -> FairbankError:
    return ClusterRefused(
        f"The cluster that the settings describe cannot be: {what}.",
        why="Each batch queue has options of its own.",
        todo=f"Correct {setting}; the reference of settings has an example.",
    )
