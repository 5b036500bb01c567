"""Baits for the start-up probe: things of the host that a job must not be able to reach.

Without them "could not connect" would prove nothing: perhaps nobody listened.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

NAMESPACES = ("net", "pid", "ipc", "uts", "mnt")


@dataclass(frozen=True, slots=True)
class Baits:
    """Where the baits are.

    Args:
        tcp_port: a listener on 127.0.0.1 of the host.
        abstract_name: an abstract unix socket of the host's network namespace.
        socket_path: a unix socket in the host's file system, open to everyone.
        namespaces: the host's namespaces by kind, as /proc/self/ns names them.
    """

    tcp_port: int
    abstract_name: str
    socket_path: str
    namespaces: dict[str, str]


@contextmanager
def laid_out() -> Iterator[Baits]:
    """Open the baits, and close them at the end of the block."""
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        abstract_name = f"fairbank-bait-{secrets.token_hex(8)}"
        abstract.bind("\0" + abstract_name)
        abstract.listen()
        # Not below the node's home: the path of a unix socket holds 107 bytes at most.
        folder = Path(tempfile.mkdtemp(prefix="fairbank-bait-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        path = folder / "socket"
        in_files = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        in_files.bind(str(path))
        path.chmod(0o777)
        in_files.listen()
        own = {kind: str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in NAMESPACES}
        yield Baits(tcp.getsockname()[1], abstract_name, str(path), own)
