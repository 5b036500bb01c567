"""The start-up probe: runs inside the sandbox before anything else and asserts each protection.

Standard library only, so that nothing heavy or foreign runs before the answer is known. An assertion says what was
seen in one machine word; none of them prints a path or a value of the host.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# TEST-NET-2 and the IPv6 documentation prefix (RFC 5737, RFC 3849): routable by a default route, owned by nobody.
ROUTABLE = ((socket.AF_INET, "198.51.100.1"), (socket.AF_INET6, "2001:db8::1"))
HOST_SOCKETS = ("/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/dbus")
NO_CAPABILITY = "0" * 16
# AF_VSOCK: from a virtual machine to its host, whatever the network namespace.
VSOCK = 40


@dataclass(frozen=True)
class Expectations:
    """What the parent knows and the probe must not find, or must find.

    Args:
        uid: the user id that the job was given; None if any but root's will do.
        max_processes: limit of processes and threads.
        memory_rlimit: the memory limit of each process, None where a control group limits the job.
        key_path: the node's private key.
        hidden_paths: files and folders of the host.
        tcp_port, abstract_name, socket_path: baits of the host, open while the probe runs.
        namespaces: the host's namespaces.
        environment: the names that may be set.
        read_only: folders that must refuse a new file.
        scratch: the folder that must accept one.
        denied_calls: numbers of the system calls that the filter refuses; empty where this machine cannot filter.
    """

    uid: int | None
    max_processes: int
    memory_rlimit: int | None
    key_path: str
    hidden_paths: list[str]
    tcp_port: int
    abstract_name: str
    socket_path: str
    namespaces: dict[str, str]
    environment: list[str]
    read_only: list[str]
    scratch: str
    denied_calls: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Assertion:
    """One protection: whether it held, and what was seen in a word."""

    name: str
    held: bool
    seen: str


@dataclass(frozen=True)
class ProbeReport:
    """The outcome of all assertions."""

    assertions: list[Assertion] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Tell whether every assertion held."""
        return bool(self.assertions) and all(a.held for a in self.assertions)

    @property
    def failed(self) -> tuple[str, ...]:
        """Return the names of the assertions that did not hold."""
        return tuple(a.name for a in self.assertions if not a.held)

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "schema": "probe/1",
            "passed": self.passed,
            "assertions": [asdict(a) for a in self.assertions],
        }

    @classmethod
    def from_json(cls, report: dict[str, Any]) -> ProbeReport:
        """Read what `to_json` wrote."""
        return cls(
            [Assertion(str(a["name"]), a["held"] is True, str(a["seen"])) for a in report["assertions"]]
        )


def run_probe(expected: Expectations) -> ProbeReport:
    """Return the outcome of every assertion, in a fixed order."""
    outcomes = []
    for name, check in ASSERTIONS.items():
        seen = check(expected)
        outcomes.append(Assertion(name, not seen, seen or "as expected"))
    return ProbeReport(outcomes)


def _only_loopback(_: Expectations) -> str:
    names = {name for _, name in socket.if_nameindex()}
    return "" if names <= {"lo"} else f"{len(names)} interfaces"


def _no_route(_: Expectations) -> str:
    for family, address in ROUTABLE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                # Connecting a datagram socket asks for a route and sends nothing.
                probe.connect((address, 9))
        except OSError:
            continue
        return "route out"
    return ""


def _no_host_loopback(expected: Expectations) -> str:
    return _cannot_connect(socket.AF_INET, ("127.0.0.1", expected.tcp_port))


def _no_abstract_socket(expected: Expectations) -> str:
    return _cannot_connect(socket.AF_UNIX, "\0" + expected.abstract_name)


def _no_host_socket(expected: Expectations) -> str:
    present = [path for path in HOST_SOCKETS if os.path.lexists(path)]
    return "service socket" if present else _cannot_connect(socket.AF_UNIX, expected.socket_path)


def _run_empty(_: Expectations) -> str:
    try:
        entries = len(list(Path("/run").iterdir()))
    except OSError:
        return ""
    return f"{entries} entries" if entries else ""


def _key_unreadable(expected: Expectations) -> str:
    try:
        with Path(expected.key_path).open("rb"):
            return "opened"
    except OSError:
        return ""


def _host_paths_hidden(expected: Expectations) -> str:
    visible = sum(os.path.lexists(path) for path in expected.hidden_paths)
    return f"{visible} visible" if visible else ""


def _not_root(expected: Expectations) -> str:
    ids = {*os.getresuid(), *os.getresgid(), *os.getgroups()}
    if 0 in ids:
        return "root"
    if expected.uid is not None and ids != {expected.uid}:
        return "another uid"
    return ""


def _no_capabilities(_: Expectations) -> str:
    status = _status()
    held = [
        name for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if status[name] != NO_CAPABILITY
    ]
    if held:
        return ",".join(held)
    return "" if status["NoNewPrivs"] == "1" else "new privileges"


def _own_namespaces(expected: Expectations) -> str:
    shared = [
        kind
        for kind, host in expected.namespaces.items()
        if str(Path(f"/proc/self/ns/{kind}").readlink()) == host
    ]
    return "shared " + ",".join(sorted(shared)) if shared else ""


def _environment_clean(expected: Expectations) -> str:
    foreign = set(os.environ) - set(expected.environment)
    return f"{len(foreign)} foreign names" if foreign else ""


def _inputs_read_only(expected: Expectations) -> str:
    return "writable" if any(_can_write(folder) for folder in ("/", *expected.read_only)) else ""


def _scratch_writable(expected: Expectations) -> str:
    return "" if _can_write(expected.scratch) else "not writable"


def _memory_limited(expected: Expectations) -> str:
    if expected.memory_rlimit is None:
        return ""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    return "" if 0 < soft <= expected.memory_rlimit and 0 < hard <= expected.memory_rlimit else "no limit"


def _calls_filtered(expected: Expectations) -> str:
    """Try each denied call; without a filter at all none is tried, for then nothing would hold them back."""
    if not expected.denied_calls:
        return ""
    if _status().get("Seccomp") != "2":
        return "no filter"
    libc = ctypes.CDLL(None, use_errno=True)
    # No argument that any of them could do something with, should it get through.
    nonsense = [ctypes.c_long(-1)] * 6
    allowed = 0
    for number in expected.denied_calls:
        if libc.syscall(ctypes.c_long(number), *nonsense) != -1 or ctypes.get_errno() != errno.EPERM:
            allowed += 1
    try:
        socket.socket(VSOCK, socket.SOCK_STREAM).close()
        return "line to the machine's host"
    except PermissionError:
        pass
    except OSError:
        return "foreign sockets"
    return f"{allowed} calls" if allowed else ""


def _fork_limited(expected: Expectations) -> str:
    """Start processes until the kernel refuses; one too many means there is no limit."""
    wait_here, let_go = os.pipe()
    children: list[int] = []
    try:
        for _ in range(expected.max_processes + 1):
            child = os.fork()
            if child == 0:
                os.close(let_go)
                os.read(wait_here, 1)
                os._exit(0)
            children.append(child)
    except OSError as refused:
        return "" if refused.errno == errno.EAGAIN else "another error"
    finally:
        os.close(let_go)
        os.close(wait_here)
        for child in children:
            os.waitpid(child, 0)
    return f"{len(children)} processes"


ASSERTIONS: dict[str, Callable[[Expectations], str]] = {
    "only_loopback": _only_loopback,
    "no_route": _no_route,
    "no_host_loopback": _no_host_loopback,
    "no_abstract_socket": _no_abstract_socket,
    "no_host_socket": _no_host_socket,
    "run_empty": _run_empty,
    "key_unreadable": _key_unreadable,
    "host_paths_hidden": _host_paths_hidden,
    "not_root": _not_root,
    "no_capabilities": _no_capabilities,
    "own_namespaces": _own_namespaces,
    "environment_clean": _environment_clean,
    "inputs_read_only": _inputs_read_only,
    "scratch_writable": _scratch_writable,
    "memory_limited": _memory_limited,
    "fork_limited": _fork_limited,
    "calls_filtered": _calls_filtered,
}


def _cannot_connect(family: int, address: Any) -> str:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(2.0)
            probe.connect(address)
    except OSError:
        return ""
    return "connected"


def _can_write(folder: str) -> bool:
    path = Path(folder, f".probe-{os.getpid()}")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError:
        return False
    path.unlink()
    return True


def _status() -> dict[str, str]:
    with Path("/proc/self/status").open(encoding="ascii", errors="replace") as lines:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def main() -> int:
    """Read the expectations from standard input, print the report, exit 0 if all held."""
    report = run_probe(Expectations(**json.load(sys.stdin)))
    sys.stdout.write(json.dumps(report.to_json()) + "\n")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
