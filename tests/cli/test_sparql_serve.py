"""`fairbank sparql serve`: RDF files at an address of one's own machine, and its mistakes in words."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "one.ttl").write_text("<urn:a> <urn:p> 1 .", encoding="utf-8")
    (folder / "two.nt").write_text('<urn:b> <urn:p> "2" .\n', encoding="utf-8")
    (folder / "bad.ttl").write_text("<urn:a> <urn:p> 1 .\n<urn:c> .", encoding="utf-8")
    (folder / "table.csv").write_text("a,b\n", encoding="utf-8")
    return folder


@pytest.fixture
def served(files: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = [
        "sparql",
        "serve",
        str(files / "one.ttl"),
        "--graph",
        f"urn:x=y={files / 'two.nt'}",
        "--port",
        "0",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "fairbank", "--home", str(tmp_path / "no-home"), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    )  # fmt: skip
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/sparql", line)
    assert found, line + process.stderr.read()
    yield process, found.group()
    if process.poll() is None:
        process.kill()
    process.communicate()


def ask(address: str, query: str) -> Any:
    with urllib.request.urlopen(
        f"{address}?{urllib.parse.urlencode({'query': query})}", timeout=20
    ) as answer:
        return json.loads(answer.read())


def test_files_are_served_without_a_hub(
    served: tuple[subprocess.Popen[str], str], fairbank: Run, tmp_path: Path
) -> None:
    process, address = served
    assert [row["s"]["value"] for row in ask(address, "SELECT ?s { ?s ?p ?o }")["results"]["bindings"]] == [
        "urn:a"
    ]
    # The command that asks a hub can ask it as well.
    ran = fairbank(
        "--hub", address.removesuffix("/sparql"), "sparql", "SELECT ?g ?s { GRAPH ?g { ?s ?p ?o } }"
    )
    assert ran.ok().out.split() == ["g", "s", "urn:x=y", "urn:b"]
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(address, "INSERT DATA { <urn:a> <urn:b> <urn:c> }")
    assert not (tmp_path / "no-home").exists()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    assert list((tmp_path / "scratch").iterdir()) == []


def test_interrupting_ends_it(served: tuple[subprocess.Popen[str], str], tmp_path: Path) -> None:
    process, address = served
    assert ask(address, "ASK {}")["boolean"] is True
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_port_in_use_is_told(fairbank: Run, files: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        fairbank("sparql", "serve", files / "one.ttl", "--port", port).refused(
            "FB-CLI-002", f"127.0.0.1:{port}", "--port PORT"
        )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{}/none.ttl"], ["FB-CAT-059", "none.ttl", "cannot be read"]),
        (["{}/bad.ttl"], ["FB-CAT-059", "bad.ttl", "line 2"]),
        (["{}/table.csv"], ["FB-CAT-059", "table.csv", ".ttl .nt"]),
        (["{}/one.ttl", "--graph", "urn:g={}/none.nt"], ["FB-CAT-059", "none.nt"]),
        (["--graph", "lungs={}/one.ttl"], ["FB-CAT-059", "'lungs' cannot name a graph"]),
        (["--graph", "{}/one.ttl"], ["is not IRI=FILE"]),
        ([], ["name at least one file"]),
        (["{}/one.ttl", "--port", "70000"], ["--port", "65535"]),
    ],
)
def test_a_mistake_is_told_in_words(
    fairbank: Run,
    files: Path,
    words: list[str],
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A folder of its own: other tests make theirs in the usual one at the same time.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    given = [word.format(files) for word in words]
    port = [] if "--port" in given else ["--port", "0"]
    fairbank("sparql", "serve", *given, *port).refused(*said, code=2)
    assert not list(tmp_path.glob("fairbank-*"))
