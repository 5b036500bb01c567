"""The code of jobs that this site approved, kept by its digest, so that a later version can be compared line by line.

Installed code is its source files, a container its sealed manifest, a bundle its configuration files. Code of jobs that
were approved before this was kept is not there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from fairbank.analysis.code_digest import digest_of_sources, sources_of
from fairbank.errors import FairbankError
from fairbank.federated_jobs.code import Tool
from fairbank.federated_jobs.code_differences import Part
from fairbank.federated_jobs.container_tools import Find
from fairbank.federated_jobs.errors import CodeUnknown, OptionRefused
from fairbank.federated_jobs.node.model_files import place_of
from fairbank.federated_jobs.node.policy_file import sealed_manifests
from fairbank.ontology.signed_objects import Manifest
from fairbank.ontology.tools import ToolManifest
from fairbank.release.node import Node
from fairbank.signing import Digest, file_digest

log = logging.getLogger(__name__)

FOLDER: Final = "approved-code"
MOST_KEPT: Final = 500
_MOST_TEXT: Final = 256 << 10
_MOST_MEMBERS: Final = 200
# The options that name the file of a model; the one that is installed now may be another version.
_MODELS: Final = ("bundle", "model")
_TEXTS: Final = (".json", ".md", ".py", ".txt", ".yaml", ".yml", ".toml", ".cfg")


def named_by(manifest: Manifest) -> tuple[str, ...]:
    """Return the digests of the code of a job and of the files of models that it names."""
    models = (manifest.parameters.get(name) for name in _MODELS)
    return (manifest.code.digest, *(one for one in models if isinstance(one, str)))


def code_of(node: Node, manifest: Manifest, find: Find) -> tuple[Part, ...]:
    """Return the code of a job as it is here; empty where it is not here, or is other code."""
    try:
        tool = find(manifest.code)
        models = tool.models_in(tool.check_parameters(manifest.parameters))
    except (CodeUnknown, OptionRefused):
        return ()
    parts = list(_of_tool(node, manifest, tool))
    for digest in models:
        parts += _of_model(place_of(node, manifest.id, digest), digest)
    return tuple(parts)


def keep(node: Node, manifest: Manifest, find: Find) -> None:
    """Keep the code of a job that is approved; what cannot be kept stops no approval."""
    parts = code_of(node, manifest, find)
    target = _place(node, manifest)
    if not parts or target.exists():
        return
    try:
        _write(target, parts)
    except OSError as error:
        log.warning("the code of an approved job was not kept: error %d of the system", error.errno or 0)


def kept(node: Node, manifest: Manifest) -> tuple[Part, ...]:
    """Return the code of an approved job; empty if it was not kept, or somebody changed it since."""
    target = _place(node, manifest)
    try:
        parts = tuple(Part(**one) for one in json.loads(target.read_bytes()))
    except (OSError, ValueError, TypeError):
        return ()
    whole = all(one.text is None or _sha256(one.text.encode()) == one.digest for one in parts)
    return parts if whole and _is_of(manifest, parts) else ()


def _write(target: Path, parts: tuple[Part, ...]) -> None:
    folder = target.parent
    folder.mkdir(mode=0o700, exist_ok=True)
    if sum(1 for _ in folder.glob("*.json")) >= MOST_KEPT:
        log.warning("the code of no more than %d approved jobs is kept", MOST_KEPT)
        return
    part = target.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        json.dump([asdict(one) for one in parts], opened)
    part.replace(target)


def _of_tool(node: Node, manifest: Manifest, tool: Tool) -> Iterator[Part]:
    if tool.container is None:
        for name, source in sources_of(tool.shelf.modules(tool.name)).items():
            yield _part(name, source)
        return
    for envelope in sealed_manifests(node):
        try:
            found = ToolManifest.open_own(envelope)[0]
        except FairbankError:
            continue
        if found.code == manifest.code:
            told = json.dumps(json.loads(found.model_dump_json()), indent=2, ensure_ascii=False)
            yield _part("tool manifest", told.encode())
            return


def _of_model(file: Path, digest: Digest) -> list[Part]:
    """Return the texts in a bundle, and what else is in it by digest; of another file its digest."""
    if not file.is_file() or file_digest(file) != digest:
        return []
    try:
        with zipfile.ZipFile(file) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()][:_MOST_MEMBERS]
            return [_member(archive, one) for one in members]
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        return [Part("model", digest, file.stat().st_size, None)]


def _member(archive: zipfile.ZipFile, one: zipfile.ZipInfo) -> Part:
    name = f"bundle/{one.filename}"
    if one.filename.endswith(_TEXTS) and one.file_size <= _MOST_TEXT:
        return _part(name, archive.read(one))
    # The checksum of the archive tells one from another; the archive as a whole is held by its digest.
    return Part(name, f"crc32:{one.CRC:08x}", one.file_size, None)


def _part(name: str, content: bytes) -> Part:
    try:
        text: str | None = content.decode() if len(content) <= _MOST_TEXT else None
    except UnicodeDecodeError:
        text = None
    return Part(name, _sha256(content), len(content), text)


def _place(node: Node, manifest: Manifest) -> Path:
    """Return where code is kept: by its own digest and those of its models."""
    named = hashlib.sha256(json.dumps(named_by(manifest)).encode()).hexdigest()
    return node.settings.home / FOLDER / f"{named}.json"


def _is_of(manifest: Manifest, parts: tuple[Part, ...]) -> bool:
    """Tell whether the sources among parts are those that the job's digest stands for."""
    own = {one.name: one for one in parts if one.name.startswith("fairbank.")}
    if not own or any(one.text is None for one in own.values()):
        return True
    sources = {name: str(one.text).encode() for name, one in own.items()}
    return digest_of_sources(sources) == manifest.code.digest


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
