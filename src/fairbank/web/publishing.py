"""What publishers, reviewers and users of tools do at the hub's registry, as the command line calls it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fairbank.clock import iso
from fairbank.errors import FairbankError
from fairbank.federated_jobs.code import Tool, tool_named, tools
from fairbank.federated_jobs.container_tools import container_digest, container_tool
from fairbank.federated_jobs.errors import CodeUnknown, ReviewIncomplete, ToolNotFound, ToolRefused
from fairbank.federated_jobs.tool_manifests import builtin_manifest
from fairbank.federated_jobs.tool_review import ToolCommand
from fairbank.ontology.tools import ToolManifest
from fairbank.web.api_client import HubApi, HubUnreachable

# What the client writes into a draft when it is sealed.
_OF_THE_SEAL = ("publisher_key", "created")
_NO_KEY = "ed25519:" + "A" * 43
_NO_DIGEST = "sha256:" + "0" * 64
_ANSWERS = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class Listed:
    """The tools that there are, and whether the hub told about its registry."""

    rows: list[dict[str, Any]]
    asked: bool


def list_tools(api: HubApi) -> Listed:
    """Return the installed tools with their review at the hub, and what else is in its registry."""
    try:
        told = api.get("/v1/tools", with_token=True).get("registry", [])
    except HubUnreachable:
        return Listed([_installed(one, {}) for one in tools()], asked=False)
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for one in told:
        newest.setdefault((one["name"], one["version"]), one)
    rows = []
    for tool in tools():
        found = newest.get((tool.name, tool.version), {})
        # What is installed here may be other code than what was reviewed under the same name.
        same = found.get("code") == tool.digest
        if same:
            del newest[tool.name, tool.version]
        rows.append(_installed(tool, found if same else {}))
    others = [{**one, "review": one["state"], "kind": "not installed here"} for one in newest.values()]
    return Listed(rows + others, asked=True)


def show_tool(api: HubApi, name: str) -> dict[str, Any] | None:
    """Return what the hub tells of a name; None if it does not answer."""
    try:
        told: dict[str, Any] = api.get(f"/v1/tools/{quote(name, safe='')}", with_token=True)
    except HubUnreachable:
        return None
    return told


def draft_of(name: str, *, publisher: str) -> dict[str, Any]:
    """Return the manifest of an installed tool without what the seal adds, to be edited.

    Raises:
        CodeUnknown: if there is none of that name.
    """
    made = builtin_manifest(
        tool_named(name), publisher=publisher, publisher_key=_NO_KEY, created="2026-01-01T00:00:00.000Z"
    )
    return {key: value for key, value in made.payload().items() if key not in _OF_THE_SEAL}


def container_draft(name: str, image: str, *, publisher: str) -> dict[str, Any]:
    """Return the beginning of a container's manifest, to be edited: command, options and columns are the publisher's.

    Args:
        image: by digest, `NAME@sha256:…`; of Apptainer the digest of the file.
    """
    words = ["ok", "impossible", "error"]
    return {
        "schema": ToolManifest.schema_name,
        "code": {"name": name, "family": "measurements", "version": "1.0.0"},
        "title": f"What {name} measures.",
        "description": "What it does, and how.",
        "publisher": publisher,
        "container": {"image": image, "command": ["/bin/tool"]},
        "inputs": {},
        "parameters": {"type": "object", "additionalProperties": False, "properties": {}},
        "outputs": [
            {
                "name": "measurements",
                "output_class": "measurements",
                "media_type": "application/json",
                "maximum_bytes": 64 << 20,
            }
        ],
        "columns": [
            {"name": "row", "type": "row-id", "meaning": "Pseudonym of the series, of this job only."},
            {"name": "status", "type": "word", "meaning": "How the measuring ended.", "words": words},
            {
                "name": "reason",
                "type": "word",
                "meaning": "Why it could not be measured.",
                "words": ["other"],
            },
            {"name": "value", "type": "number", "unit": "1", "meaning": "What it measures."},
        ],
        "intended_use": "Research.",
        "legal_status": "research-only",
        "licence": "Apache-2.0",
    }


def read_draft(path: Path) -> dict[str, Any]:
    """Return the draft in a file.

    Raises:
        ToolRefused: if there is no JSON object in it.
    """
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError) as err:
        raise _no_draft(path) from err
    if not isinstance(read, dict):
        raise _no_draft(path)
    return read


def submit(api: HubApi, draft: Mapping[str, Any], *, as_draft: bool = False) -> dict[str, Any]:
    """Seal a draft with the account's key and send it; return where the version stands.

    Raises:
        MalformedObject: if the draft holds what a manifest does not.
        HubProblem: if the hub does not take it.
    """
    api.register_key()
    key = api.key()
    filled = {**draft, "publisher_key": key.key_id, "created": iso(api.clock.now())}
    if "container" in filled:
        filled["code"] = {**dict(filled.get("code", {})), "digest": _NO_DIGEST}
    manifest = ToolManifest.parse(filled)
    if manifest.container is not None:
        code = manifest.code.model_copy(update={"digest": container_digest(manifest)})
        manifest = manifest.model_copy(update={"code": code})
    envelope = manifest.seal(key)
    return api.post(f"/v1/tools{'?draft=true' if as_draft else ''}", envelope, signed_in=True)


def usable_tool(api: HubApi, name: str) -> Tool:
    """Return the tool of a name: the installed one, or the newest container of the hub's registry that was accepted.

    Raises:
        CodeUnknown: if there is neither.
    """
    try:
        return tool_named(name)
    except CodeUnknown:
        try:
            told = api.get(f"/v1/tools/{quote(name, safe='')}", with_token=True)
        except FairbankError as err:
            if getattr(err, "remote_code", None) == ToolNotFound.code:
                told = {"versions": []}
            else:
                raise
        for one in told["versions"]:
            if one["accepted"] is not None and one["state"] != "revoked":
                manifest, _ = ToolManifest.open_own(str(one["envelope"]).encode())
                if manifest.container is not None:
                    return container_tool(manifest)
        raise


def act(
    api: HubApi,
    name: str,
    version: str,
    command: ToolCommand,
    *,
    words: str | None = None,
    answers: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Do something to a version, and return where it stands."""
    path = f"/v1/tools/{quote(name, safe='')}/{quote(version, safe='')}/commands/{command.value}"
    body: dict[str, Any] = {"schema": "tool-command/1", "answers": list(answers)}
    if words is not None:
        body["words"] = words
    return api.post(path, body, signed_in=True)


def review(
    api: HubApi, name: str, version: str, verdict: ToolCommand | None, *, answers: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Take a version up for review if it waits, and give the verdict if there is one."""
    told = api.get(f"/v1/tools/{quote(name, safe='')}", signed_in=True)
    states = [one["state"] for one in told["versions"] if one["version"] == version]
    if verdict is None or states[:1] == ["submitted"]:
        stands = act(api, name, version, ToolCommand.TAKE_UP)
        if verdict is None:
            return stands
    return act(api, name, version, verdict, answers=answers)


def sealed_manifest(api: HubApi, name: str, version: str) -> tuple[ToolManifest, bytes]:
    """Return a version's manifest and the bytes that its publisher sealed, verified here.

    Raises:
        ToolNotFound: if the registry shows no such version.
        BadEnvelope: if the seal does not hold.
    """
    told = api.get(f"/v1/tools/{quote(name, safe='')}", with_token=True)
    for one in told["versions"]:
        if one["version"] == version:
            envelope = str(one["envelope"]).encode()
            return ToolManifest.open_own(envelope)[0], envelope
    raise ToolNotFound(
        f"The registry shows no version {version[:40]!r} of {name[:60]!r}.",
        why="There is none, or it has not been accepted and is not yours.",
        todo=f"See 'fairbank tool show {name[:60]}'.",
    )


def answers_from(texts: Iterable[str]) -> list[dict[str, Any]]:
    """Read the answers to criteria from `KEY=yes:WORDS`.

    Raises:
        ReviewIncomplete: if one is not of that form.

    >>> answers_from(["code=yes:It was read."])
    [{'criterion': 'code', 'met': True, 'words': 'It was read.'}]
    """
    found = []
    for text in texts:
        key, is_said, answer = text.partition("=")
        word, is_reasoned, words = answer.partition(":")
        if not is_said or not is_reasoned or word not in _ANSWERS:
            raise ReviewIncomplete(
                f"{text[:60]!r} is no answer to a criterion.",
                why="An answer names the criterion, says yes or no, and why in a sentence.",
                todo="Write it as KEY=yes:WORDS or KEY=no:WORDS.",
            )
        found.append({"criterion": key.strip(), "met": _ANSWERS[word], "words": words.strip()})
    return found


def _installed(tool: Any, version: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": tool.name,
        "family": tool.family,
        "version": tool.version,
        "kind": tool.worker.value,
        "review": version.get("state"),
        "publisher": version.get("publisher"),
        "title": tool.title,
    }


def _no_draft(path: Path) -> ToolRefused:
    return ToolRefused(
        f"There is no draft of a tool in {path.name}.",
        why="A draft is a JSON object, as 'fairbank tool draft' writes it.",
        todo="Write it anew: fairbank tool draft NAME --out FILE.",
    )
