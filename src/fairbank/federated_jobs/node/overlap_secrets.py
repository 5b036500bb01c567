"""The secrets of an overlap while it lasts: the key that the other site seals to, and that of the blinded set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from fairbank.federated_jobs.overlaps.errors import unusable
from fairbank.release.node import Node
from fairbank.signing import write_new


def folder(node: Node) -> Path:
    """Return where they lie, readable for the node alone."""
    found = node.settings.keys_path / "overlaps"
    found.mkdir(parents=True, exist_ok=True, mode=0o700)
    return found


def keep(node: Node, overlap: str, secrets: Mapping[str, str]) -> None:
    """Write the secrets of an overlap, in place of those before."""
    forget(node, overlap)
    write_new(_path(node, overlap), json.dumps(dict(secrets)).encode())


def kept(node: Node, overlap: str) -> dict[str, str]:
    """Return the secrets of an overlap.

    Raises:
        OverlapMessageRefused: if they are not there any more.
    """
    try:
        found: dict[str, str] = json.loads(_path(node, overlap).read_bytes())
    except (OSError, ValueError) as err:
        raise unusable("The key of this overlap is not here any more.") from err
    return found


def forget(node: Node, overlap: str) -> None:
    """Delete the secrets of an overlap that is over: what was sealed can be opened by nobody any more."""
    _path(node, overlap).unlink(missing_ok=True)


def _path(node: Node, overlap: str) -> Path:
    return folder(node) / f"{overlap}.json"
