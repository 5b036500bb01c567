"""What this site signs of a training before its first update: the settings that it will really use.

Told through the gate as a control message: digests, versions and words of closed lists. Nothing names the machine: of a
processor its maker and kind, of a GPU its class.
"""

from __future__ import annotations

import platform
import re
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fairbank.clock import iso
from fairbank.errors import RemoteError
from fairbank.federated_jobs.code import Tool, WorkerKind
from fairbank.federated_jobs.training_errors import SettingsDeviate, SettingsRefused
from fairbank.federated_jobs.training_settings import (
    Gpu,
    Library,
    Processor,
    SiteSettings,
    Vendor,
    Version,
    parameter_digests,
    sealed_settings,
    training_digest,
    value_digest,
)
from fairbank.ontology.signed_objects import Manifest
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox

_NUMBERS = re.compile(r"(\d{1,5})(?:\.(\d{1,5}))?(?:\.(\d{1,5}))?")
_NO_SUCH_ROUTE = 404
_VENDORS = {"GenuineIntel": Vendor.INTEL, "AuthenticAMD": Vendor.AMD, "0x41": Vendor.ARM}
_DATACENTRE = re.compile(r"\b(?:A|H|B|GB|GH|V|P|L|T)\d{1,3}S?\b")


def tell_settings(node: Node, outbox: Outbox, manifest: Manifest, manifest_digest: str, tool: Tool) -> None:
    """Sign and tell the effective settings of a training; other jobs have none.

    Raises:
        SettingsRefused: if they deviate from what the manifest fixes.
        HubUnreachable: if the hub does not answer.
    """
    if tool.worker is not WorkerKind.TRAINING:
        return
    settings = sealed_settings(effective_settings(node, manifest, manifest_digest, tool), node.key)
    try:
        outbox.control("POST", f"/v1/jobs/{manifest.id}/sites/{node.name}/settings", settings)
    except RemoteError as err:
        if err.remote_code == SettingsDeviate.code:
            raise SettingsRefused(
                err.what,
                why="All sites of a training use what its manifest fixes; this site would use something else.",
                todo="Nothing was computed. Install the version of fairbank that the job names.",
            ) from err
        # A hub of the version before asks for no settings.
        if err.status != _NO_SUCH_ROUTE:
            raise


def effective_settings(node: Node, manifest: Manifest, manifest_digest: str, tool: Tool) -> SiteSettings:
    """Return what a training will use at this site, not signed yet."""
    gpus = manifest.resources.gpus
    return SiteSettings(
        job=manifest.id,
        manifest=manifest_digest,
        code=tool.digest,
        parameters=parameter_digests(tool.check_parameters(manifest.parameters)),
        training=training_digest(manifest.training),
        seed=value_digest(manifest.seed),
        versions=versions(),
        processor=processor(),
        vendor=vendor(),
        gpu=gpu() if gpus else Gpu.NONE,
        gpus=gpus,
        created=iso(node.clock.now()),
    )


@cache
def versions() -> tuple[Version, ...]:
    """Return the versions of what a training depends on, as far as it is installed here."""
    found = [_version(Library.PYTHON, ".".join(str(each) for each in sys.version_info[:3]))]
    for library in Library:
        if library is Library.PYTHON:
            continue
        try:
            found.append(_version(library, version(library.value)))
        except PackageNotFoundError:
            continue
    return tuple(sorted(found, key=lambda each: each.library.value))


@cache
def processor() -> Processor:
    """Return the kind of this machine's processor."""
    machine = platform.machine().lower()
    return {
        "x86_64": Processor.X86_64,
        "amd64": Processor.X86_64,
        "aarch64": Processor.AARCH64,
        "arm64": Processor.AARCH64,
    }.get(machine, Processor.OTHER)


@cache
def vendor(described: Path = Path("/proc/cpuinfo")) -> Vendor:
    """Return who made this machine's processor."""
    try:
        text = described.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Vendor.OTHER
    return next((made for word, made in _VENDORS.items() if word in text), Vendor.OTHER)


@cache
def gpu(driver: Path = Path("/proc/driver/nvidia/gpus")) -> Gpu:
    """Return the class of this machine's first GPU."""
    for card in sorted(driver.glob("*/information")):
        model = next(
            (line for line in card.read_text(errors="replace").splitlines() if line.startswith("Model")), ""
        )
        return Gpu.NVIDIA_DATACENTRE if _DATACENTRE.search(model) else Gpu.NVIDIA_WORKSTATION
    return Gpu.AMD if Path("/sys/module/amdgpu").exists() else Gpu.OTHER


def _version(library: Library, text: str) -> Version:
    found = _NUMBERS.match(text)
    major, minor, patch = (int(each or 0) for each in found.groups()) if found else (0, 0, 0)
    return Version(library=library, major=major, minor=minor, patch=patch)
