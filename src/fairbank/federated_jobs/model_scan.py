"""What a job's files of models may hold, by the tool that takes them; hub and node look, and need no torch for it."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fairbank.analysis.bundle_scan import NETWORKS, TRAINING, Allowed, says, scan_bundle
from fairbank.federated_jobs.code import Tool, WorkerKind


@dataclass(frozen=True, slots=True)
class BundleTold:
    """What a bundle that trains holds, for people who decide over it.

    Args:
        targets: the classes that it names.
        expressions: its references and expressions, as they stand.
        weights: the path of its file of weights; empty if it brings none.
    """

    targets: tuple[str, ...]
    expressions: tuple[str, ...]
    weights: str


def takes_bundle(tool: Tool) -> bool:
    """Tell whether a tool trains what a bundle holds."""
    return tool.worker is WorkerKind.TRAINING and tool.model is not None


def check_models(tool: Tool, files: Sequence[Path], *, maximum_bytes: int) -> None:
    """Refuse files that say more than the tool of a job takes, or, where it trains them, too little.

    Raises:
        BundleRefused: naming everything that is not allowed.
        BundleUntrainable: if one cannot be trained.
    """
    for file in files:
        if takes_bundle(tool):
            from fairbank.federated_jobs.algorithms.bundle_recipe import recipe_in

            recipe_in(file, maximum_bytes=maximum_bytes)
        elif zipfile.is_zipfile(file):
            scan_bundle(file, maximum_bytes=maximum_bytes, allowed=NETWORKS)


def told_of(file: Path, *, maximum_bytes: int, allowed: Allowed = TRAINING) -> BundleTold:
    """Return what a bundle holds.

    Raises:
        BundleRefused: naming everything that is not allowed.
    """
    bundle = scan_bundle(file, maximum_bytes=maximum_bytes, allowed=allowed)
    named = says(bundle, allowed)
    return BundleTold(named.targets, named.expressions, ", ".join(bundle.weights))
