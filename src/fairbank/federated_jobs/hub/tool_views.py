"""What the hub tells of tools: those that are installed, the versions of the registry, and which datasets they fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.image_facts import images_of, images_of_all
from fairbank.clock import iso
from fairbank.federated_jobs.code import Tool, tools
from fairbank.federated_jobs.errors import ToolNotFound
from fairbank.federated_jobs.hub import tool_registry
from fairbank.federated_jobs.hub.tool_store import ToolVersionRow
from fairbank.federated_jobs.tool_manifests import inputs_of
from fairbank.federated_jobs.tool_review import CRITERIA, STEPS, ToolState, commands_in
from fairbank.ontology.tool_fit import fit
from fairbank.ontology.tools import ToolInputs, ToolManifest

# Of what is installed and nobody has published.
UNPUBLISHED = "not-in-registry"


def listed(session: Session, who: Account | None) -> dict[str, Any]:
    """Return the installed tools, and the versions of the registry that a caller may see."""
    shown = tool_registry.versions(session, who)
    return {
        "schema": "tools/1",
        "tools": [_installed(tool) for tool in tools()],
        "registry": [_summary(row) for row in shown],
    }


def in_full(session: Session, name: str, who: Account | None) -> dict[str, Any]:
    """Return all that there is of a name: the installed tool, and each version with manifest, seal and review.

    Raises:
        ToolNotFound: if there is neither.
    """
    installed = [tool for tool in tools() if tool.name == name]
    rows = tool_registry.versions(session, who, name=name)
    if not installed and not rows:
        tool_registry.find(session, name, None, who)
    return {
        "schema": "tool/1",
        "name": name,
        "installed": _installed(installed[0]) if installed else None,
        "versions": [_version(session, row, who) for row in rows],
    }


def criteria() -> dict[str, Any]:
    """Return the criteria of a review, and what each state allows to whom."""
    return {
        "schema": "tool-criteria/1",
        "criteria": [{"criterion": key, "text": text} for key, text in CRITERIA.items()],
        "steps": [
            {
                "state": before.value if before else None,
                "command": command.value,
                "by": sorted(each.value for each in by),
                "after": after.value,
            }
            for before, command, by, after in STEPS
        ],
    }


def tools_for(session: Session, iri: str, who: Account | None) -> dict[str, Any]:
    """Return which tools fit a dataset, and why not.

    Raises:
        DatasetNotFound: if there is none, or the caller may not see it.
        DatasetWithdrawn: if it was withdrawn.
    """
    dataset = images_of(session, iri, who)
    found = ((one, fit(one.inputs, dataset.images)) for one in _usable(session, who))
    return {
        "schema": "tool-matches/1",
        "dataset": iri,
        "matches": [
            {
                "tool": one.name,
                "version": one.version,
                "review": one.state,
                "fits": each.verdict.value,
                "why": each.why,
            }
            for one, each in found
        ],
    }


def datasets_for(session: Session, name: str, version: str | None, who: Account | None) -> dict[str, Any]:
    """Return which of the datasets that a caller may see a tool fits, and why not.

    Raises:
        ToolNotFound: if there is no such tool that could be used.
    """
    usable = [one for one in _usable(session, who) if one.name == name and version in (None, one.version)]
    if not usable:
        raise ToolNotFound(
            f"There is no tool {name[:60]!r} that could be used.",
            why="It is neither installed nor in the registry, or it was revoked.",
            todo="See 'fairbank tool list'.",
        )
    tool = usable[0]
    found = ((one, fit(tool.inputs, one.images)) for one in images_of_all(session, who))
    return {
        "schema": "tool-matches/1",
        "tool": tool.name,
        "version": tool.version,
        "matches": [
            {
                "dataset": one.iri,
                "title": one.title,
                "node": one.node,
                "fits": each.verdict.value,
                "why": each.why,
            }
            for one, each in found
        ],
    }


@dataclass(frozen=True, slots=True)
class _Usable:
    name: str
    version: str
    state: str
    inputs: ToolInputs


def _usable(session: Session, who: Account | None) -> Iterator[_Usable]:
    """Yield what is not revoked: the newest of each version, and what is installed and in no registry."""
    seen: set[tuple[str, str]] = set()
    for row in tool_registry.versions(session, who):
        place = (row.name, row.version)
        if place in seen:
            continue
        seen.add(place)
        if row.state != ToolState.REVOKED.value:
            yield _Usable(row.name, row.version, row.state, _manifest(row).inputs)
    for tool in tools():
        if (tool.name, tool.version) not in seen:
            yield _Usable(tool.name, tool.version, UNPUBLISHED, inputs_of(tool))


def _manifest(row: ToolVersionRow) -> ToolManifest:
    return ToolManifest.open_own(row.manifest)[0]


def _summary(row: ToolVersionRow) -> dict[str, Any]:
    manifest = _manifest(row)
    return {
        "name": row.name,
        "version": row.version,
        "state": row.state,
        "since": iso(row.since),
        "title": manifest.title,
        "publisher": manifest.publisher,
        "publisher_key": row.publisher_key,
        "account": row.account,
        "legal_status": manifest.legal_status.value,
        "code": row.code,
        "digest": row.digest,
    }


def _version(session: Session, row: ToolVersionRow, who: Account | None) -> dict[str, Any]:
    parts = tool_registry.parts_of(row, who) if who is not None else frozenset()
    return {
        **_summary(row),
        "submitted": iso(row.created),
        "accepted": iso(row.accepted) if row.accepted else None,
        "reviewer": row.reviewer,
        "words": row.words,
        "review": [
            {"criterion": one.criterion, "met": one.met, "words": one.words}
            for one in tool_registry.answers(session, row)
        ],
        "allowed": [command.value for command in commands_in(ToolState(row.state), parts)],
        "manifest": _manifest(row).payload(),
        "envelope": row.manifest.decode(),
    }


def _installed(tool: Tool) -> dict[str, Any]:
    return {
        **tool.code().model_dump(mode="json"),
        "title": tool.title,
        "kind": tool.worker.value,
        "parameters": tool.schema(),
        "outputs": [output.model_dump(mode="json") for output in tool.outputs],
    }
