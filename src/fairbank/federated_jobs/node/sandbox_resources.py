"""What one job may use of this machine: the least of what its manifest asks for and what the site's settings allow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from fairbank.errors import FairbankError
from fairbank.federated_jobs.errors import SandboxSettingRefused
from fairbank.federated_jobs.node.sandbox_policy import SandboxMode, SandboxPolicy
from fairbank.ontology.signed_objects import Resources
from fairbank.settings import Settings

_DEVICE = re.compile(r"nvidia(\d+)")
_NONE_IN_USE: Final[Mapping[int, int]] = MappingProxyType({})


def sandbox_policy(
    settings: Settings, wanted: Resources | None = None, *, in_use: Mapping[int, int] = _NONE_IN_USE
) -> SandboxPolicy:
    """Return the limits of a job; without a wish those that the site sets, and no GPU.

    Args:
        settings: of the site.
        wanted: what the job asks for.
        in_use: how many other jobs have each device; the least used are given first.

    Raises:
        SandboxSettingRefused: if `sandbox_gpus` names no devices.
    """
    defaults = SandboxPolicy()
    present = sorted(allowed_gpus(settings.sandbox_gpus, devices()), key=lambda number: in_use.get(number, 0))
    memory_bytes, processes = settings.sandbox_memory_bytes, settings.sandbox_processes
    return SandboxPolicy(
        mode=SandboxMode(settings.sandbox_mode),
        memory_bytes=min(memory_bytes, wanted.memory_bytes) if wanted else memory_bytes,
        max_processes=min(processes, wanted.processes) if wanted else processes,
        cpu_s=settings.sandbox_cpu_s or None,
        cpus=settings.sandbox_cpus,
        file_bytes=min(defaults.file_bytes, settings.sandbox_scratch_bytes),
        scratch_bytes=settings.sandbox_scratch_bytes,
        scratch_files=settings.sandbox_scratch_files,
        cpu_threads=settings.sandbox_threads,
        gpus=tuple(sorted(present[: wanted.gpus if wanted else 0])),
    )


def wall_s(settings: Settings, wanted: Resources) -> int:
    """Return how long one step of a job may take, in seconds."""
    return min(settings.sandbox_wall_s, wanted.wall_s)


def devices(folder: Path = Path("/dev")) -> tuple[int, ...]:
    """Return the numbers of this machine's NVIDIA devices, in order."""
    found = (_DEVICE.fullmatch(path.name) for path in folder.glob("nvidia[0-9]*"))
    return tuple(sorted(int(one[1]) for one in found if one))


def allowed_gpus(rule: str, present: Sequence[int]) -> tuple[int, ...]:
    """Return which of the present devices jobs may use.

    Raises:
        SandboxSettingRefused: if the rule is neither 'all', 'none', nor numbers.

    >>> allowed_gpus("1 3", (0, 1, 2)), allowed_gpus("all", (0, 1)), allowed_gpus("none", (0,))
    ((1,), (0, 1), ())
    """
    if rule in ("all", "none"):
        return tuple(present) if rule == "all" else ()
    words = rule.split()
    if not words or not all(word.isascii() and word.isdigit() for word in words):
        raise _no_devices(rule)
    return tuple(number for number in present if number in {int(word) for word in words})


def _no_devices(rule: str) -> FairbankError:
    return SandboxSettingRefused(
        f"The setting sandbox_gpus cannot be {rule[:60]!r}.",
        why="It is 'all', 'none', or the numbers of devices with spaces between.",
        todo="Correct it; 'ls /dev/nvidia[0-9]*' shows the devices of this machine.",
    )
