"""Containers for tests: a sealed tool, an engine that is a script, and images of a few files for a real one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairbank.federated_jobs.code import MEASUREMENTS
from fairbank.federated_jobs.container_tools import container_digest
from fairbank.federated_jobs.node.container_argv import Engine
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Code, Output
from fairbank.ontology.tools import Container, LegalStatus, OutputColumn, ToolInputs, ToolManifest

IMAGE = "localhost/fairbank-test@sha256:" + "b" * 64
WORDS = ("ok", "impossible", "error")
COLUMNS = (
    OutputColumn(name="row", type="row-id", meaning="Pseudonym of the series."),
    OutputColumn(name="status", type="word", meaning="How it ended.", words=WORDS),
    OutputColumn(name="reason", type="word", meaning="Why.", words=("odd",)),
    OutputColumn(name="files", type="integer", unit="1", meaning="Files of the series."),
    OutputColumn(name="mean", type="number", unit="1", meaning="A number."),
)
OPTIONS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "level": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
        "mode": {"type": "string", "enum": ["fast", "exact"], "default": "fast"},
    },
}


def container_manifest(key: str, *, image: str = IMAGE, **changes: Any) -> ToolManifest:
    """Return a container's manifest with the digest that names it."""
    made = ToolManifest(
        code=Code(name="counting", family="measurements", version="1.0.0", digest="sha256:" + "0" * 64),
        title="Counts files",
        description="Counts the files of each series.",
        publisher="Example",
        publisher_key=key,
        container=Container(image=image, command=("/bin/sh", "/tool.sh")),
        inputs=ToolInputs(),
        parameters=OPTIONS,
        outputs=(
            Output(
                name=MEASUREMENTS,
                output_class=OutputClass.MEASUREMENTS,
                media_type="application/json",
                maximum_bytes=1 << 20,
            ),
        ),
        columns=COLUMNS,
        intended_use="Tests.",
        legal_status=LegalStatus.RESEARCH_ONLY,
        licence="Apache-2.0",
        created="2026-01-01T00:00:00.000Z",
    ).model_copy(update=changes)
    code = made.code.model_copy(update={"digest": container_digest(made)})
    return made.model_copy(update={"code": code})


# What a well-behaved container does.
COUNTS = """
rows = []
for folder in sorted(p for p in INPUTS.iterdir() if p.is_dir()):
    row = {"row": folder.name, "status": "ok", "reason": None}
    rows.append({**row, "files": len(list(folder.iterdir())), "mean": 1.23456789})
(OUTPUTS / "rows.json").write_text(json.dumps({"schema": "rows/1", "rows": rows}))
"""

_SCRIPT = """#!{python} -I
import json, os, sys, time, signal
from pathlib import Path
HERE = Path({folder!r})
args = sys.argv[1:]
with (HERE / "calls").open("a") as calls:
    calls.write(json.dumps(args) + "\\n")
if args[:2] == ["image", "inspect"]:
    sys.exit(0 if args[-1] in (HERE / "images").read_text().split() else 1)
if args[:2] == ["container", "inspect"]:
    print((HERE / "oom").exists() and "true" or "false")
elif args[0] == "rm" and (HERE / "pid").exists():
    try:
        os.kill(int((HERE / "pid").read_text()), signal.SIGKILL)
    except ProcessLookupError:
        pass
elif args[0] == "run":
    (HERE / "pid").write_text(str(os.getpid()))
    places = {{}}
    for mount in args:
        if mount.startswith("--mount=type=bind,"):
            words = dict(word.partition("=")[::2] for word in mount.removeprefix("--mount=").split(","))
            places[words["destination"]] = words["source"]
    INPUTS, OUTPUTS = Path(places["/inputs"]), Path(places["/outputs"])
    exec((HERE / "behaviour.py").read_text())
"""


class FakeEngine:
    """An engine that runs a Python text instead of an image, with the folders that it is told to mount."""

    def __init__(self, folder: Path, behaviour: str = COUNTS) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.program = folder / "engine"
        self.program.write_text(_SCRIPT.format(python=sys.executable, folder=str(folder)))
        self.program.chmod(0o755)
        (folder / "images").write_text(IMAGE)
        self.behave(behaviour)

    def behave(self, text: str) -> None:
        """Say what the container does."""
        (self.folder / "behaviour.py").write_text(text)

    def program_of(self, engine: Engine) -> Path:
        """Return the program, whichever engine is asked for."""
        return self.program

    @property
    def calls(self) -> list[str]:
        """Return the first word of each call."""
        import json

        lines = (self.folder / "calls").read_text().splitlines() if (self.folder / "calls").exists() else []
        return [json.loads(line)[0] for line in lines]


def lacking_podman() -> str | None:
    """Return why real containers cannot be tried here, None if they can."""
    if shutil.which("podman") is None or shutil.which("runc") is None:
        return "podman and runc are not installed"
    return None if os.geteuid() == 0 else "they are tried as root"


class Podman:
    """podman with a storage of its own, and an image of a shell, a few programs and their libraries.

    runc: crun refuses machines whose control groups are of both versions.
    """

    def __init__(self, folder: Path, script: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        # The container's own user passes through to its folders.
        self.program = folder / "podman"
        # podman refuses a longer path than 50 characters for this one.
        self._run = Path(tempfile.mkdtemp(prefix="pr-", dir="/tmp"))
        options = f"--runtime runc --storage-driver vfs --root {folder}/storage --runroot {self._run}"
        self.program.write_text(f'#!/bin/sh\nexec /usr/bin/podman {options} "$@"\n')
        self.program.chmod(0o755)
        self.image = self._imported(script)

    def program_of(self, engine: Engine) -> Path:
        """Return the program."""
        return self.program

    def call(self, *words: str) -> str:
        """Return what podman prints."""
        return subprocess.run(
            [str(self.program), *words], check=True, capture_output=True, text=True, timeout=120
        ).stdout.strip()

    def remove(self) -> None:
        """Remove all containers and images."""
        subprocess.run(
            [str(self.program), "system", "reset", "--force"], check=False, capture_output=True, timeout=120
        )
        shutil.rmtree(self._run, ignore_errors=True)

    def _imported(self, script: str) -> str:
        root = self.folder / "root"
        for name in ("bin", "inputs", "outputs", "tmp", "proc", "dev", "sys", "run", "etc"):
            (root / name).mkdir(parents=True)
        for program in ("/bin/sh", "/bin/ls", "/usr/bin/id", "/bin/sleep", "/usr/bin/head", "/bin/cat"):
            _copied(Path(program), root)
        (root / "tool.sh").write_text(script)
        (root / "tool.sh").chmod(0o755)
        archive = self.folder / "root.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(root, arcname=".")
        self.call("import", str(archive), "localhost/fairbank-test:1")
        digest = self.call("image", "inspect", "--format", "{{.Digest}}", "localhost/fairbank-test:1")
        return f"localhost/fairbank-test@{digest}"


def _copied(program: Path, root: Path) -> None:
    """Copy a program of this machine and the libraries that it names into a root."""
    target = root / "bin" / program.name
    shutil.copy(program.resolve(), target)
    told = subprocess.run(["ldd", str(program)], check=True, capture_output=True, text=True).stdout
    for word in told.split():
        if word.startswith("/"):
            place = root / word.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(word).resolve(), place)


Behaviour = Callable[[Path, Path], None]
