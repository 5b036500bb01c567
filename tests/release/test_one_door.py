"""Nothing passes by the door: no other module of the node side can send a body to the hub."""

from __future__ import annotations

import ast
from pathlib import Path

import fairbank

SOURCE = Path(fairbank.__file__).parent
NODE_SIDE = ("deid", "harvest", "analysis", "release", "federated_jobs/node", "federated_jobs/algorithms")
CLIENTS = {
    "httpx",
    "requests",
    "urllib.request",
    "urllib3",
    "redcap",
    "pynetdicom",
    "http.client",
    "aiohttp",
    "ftplib",
    "smtplib",
    "xmlrpc",
}
# The connection to the hub, the archives, which are read, and those to which a curator pushes series.
MAY_DIAL = {
    "release/hub_client.py",
    "harvest/clinical/redcap_rows.py",
    "harvest/pushing/stow.py",
    "harvest/pushing/xnat.py",
    *(
        f"harvest/sources/{name}.py"
        for name in (
            "dicomweb",
            "dimse",
            "dimse_contexts",
            "dimse_gate",
            "dimse_peer",
            "orthanc",
            "polite",
            "xnat",
        )
    ),
}


def node_modules() -> list[Path]:
    return [
        path
        for room in NODE_SIDE
        for path in sorted((SOURCE / room).rglob("*.py"))
        # The stand-in imitates an archive and is no part of a node.
        if "xnat_standin" not in path.parts
    ]


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_only_the_door_and_the_archives_reader_can_dial_out() -> None:
    dialling = {
        str(path.relative_to(SOURCE))
        for path in node_modules()
        if any(
            name == client or name.startswith(client + ".") for name in imported(path) for client in CLIENTS
        )
    }
    assert dialling <= MAY_DIAL


def test_only_the_door_delivers_bodies() -> None:
    delivering = {
        str(path.relative_to(SOURCE).parent)
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "deliver"
        and ast.unparse(node.func.value).endswith("client")
    }
    assert delivering == {"release"}


def test_the_gate_has_a_check_for_every_class() -> None:
    from fairbank.ontology.outputs import DoorClass
    from fairbank.release.gate import _CONTENT

    assert set(_CONTENT) == set(DoorClass)
