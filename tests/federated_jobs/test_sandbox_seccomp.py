"""The filter on system calls: its program, step by step, and really tried inside a sandbox."""

from __future__ import annotations

import errno
import json
import struct
from pathlib import Path

import pytest

from fairbank.federated_jobs.node import sandbox as sandbox_module
from fairbank.federated_jobs.node.sandbox import Sandbox
from fairbank.federated_jobs.node.sandbox_policy import JobFolder, Protection, SandboxPolicy
from fairbank.federated_jobs.node.sandbox_seccomp import (
    DENIED,
    MACHINES,
    denied_numbers,
    filter_program,
    this_machine,
)

ALLOW, KILL = 0x7FFF0000, 0x80000000
NEW_USER, SIGCHLD = 0x10000000, 17


def verdict(machine: str, number: int, *arguments: int, audit: int | None = None) -> int:
    """Run the program as the kernel's machine would, and return its answer."""
    program = filter_program(machine)
    assert program is not None
    steps = list(struct.iter_unpack("<HBBI", program))
    call = struct.pack(
        "<IIQ6Q", number, MACHINES[machine].audit if audit is None else audit, 0, *(arguments + (0,) * 6)[:6]
    )
    place, held = 0, 0
    while True:
        code, yes, no, operand = steps[place]
        place += 1
        match code:
            case 0x20:
                (held,) = struct.unpack_from("<I", call, operand)
            case 0x06:
                return int(operand)
            case 0x15:
                place += yes if held == operand else no
            case 0x35:
                place += yes if held >= operand else no
            case 0x45:
                place += yes if held & operand else no


def refused(with_: int = errno.EPERM) -> int:
    return 0x00050000 | with_


@pytest.mark.parametrize("machine", sorted(MACHINES))
class TestProgram:
    def test_each_denied_call_is_refused_whatever_its_arguments(self, machine: str) -> None:
        numbers = denied_numbers(machine)
        assert len(numbers) >= 50
        for number in numbers:
            assert verdict(machine, number, 1, 2, 3) == refused()

    def test_what_is_not_listed_is_allowed(self, machine: str) -> None:
        one = MACHINES[machine]
        special = {*denied_numbers(machine), one.clone3}
        for number in set(range(460)) - special:
            # Zeros: no namespace for clone; for socket and ioctl see below.
            if number not in (one.socket,):
                assert verdict(machine, number) == ALLOW, number

    def test_a_thread_is_made_and_a_namespace_is_not(self, machine: str) -> None:
        clone = MACHINES[machine].clone
        assert verdict(machine, clone, 0x3D0F00) == ALLOW  # what pthread_create asks for
        for flag in (0x20000, 0x02000000, 0x04000000, 0x08000000, NEW_USER, 0x20000000, 0x40000000):
            assert verdict(machine, clone, flag | SIGCHLD) == refused()
        assert verdict(machine, MACHINES[machine].clone3) == refused(errno.ENOSYS)

    def test_sockets_of_few_families_only(self, machine: str) -> None:
        call = MACHINES[machine].socket
        allowed = {family for family in range(50) if verdict(machine, call, family, 1, 0) == ALLOW}
        assert allowed == {1, 2, 10, 16}
        assert verdict(machine, call, 16, 3, 9) == refused()  # netlink, but of the audit

    def test_nothing_is_typed_into_a_terminal(self, machine: str) -> None:
        ioctl = MACHINES[machine].ioctl
        assert verdict(machine, ioctl, 0, 0x5412) == refused()
        assert verdict(machine, ioctl, 0, 0x541C) == refused()
        assert verdict(machine, ioctl, 0, 0x5401) == ALLOW

    def test_a_call_of_another_architecture_ends_the_process(self, machine: str) -> None:
        assert verdict(machine, 3, audit=0x40000003) == KILL


def test_calls_of_x32_are_refused() -> None:
    assert verdict("x86_64", 0x40000000 | 101) == refused()


def test_a_machine_without_a_table_has_no_filter() -> None:
    assert filter_program("riscv64") is None
    assert denied_numbers("riscv64") == []


_TRY = """
import ctypes, errno, json, os, socket, sys, threading
wanted = json.loads(sys.stdin.readline())
libc = ctypes.CDLL(None, use_errno=True)
seen = {}
for name, number in wanted.items():
    seen[name] = errno.errorcode.get(ctypes.get_errno() if libc.syscall(number, *[ctypes.c_long(-1)] * 6) == -1 else 0)
def attempt(name, number, *arguments):
    answer = libc.syscall(number, *map(ctypes.c_long, arguments))
    if answer == 0 and name.startswith("clone"):
        os._exit(0)
    seen[name] = "done" if answer != -1 else errno.errorcode[ctypes.get_errno()]
attempt("clone with a namespace", CLONE, 0x10000000 | 17, 0, 0, 0, 0)
attempt("clone3", 435, -1, 0)
attempt("attach to the parent", wanted["ptrace"], 16, os.getppid(), 0, 0)
attempt("my keyring", wanted["keyctl"], 0, -3, 0)
for family in (1, 2, 10, 38, 40):
    try:
        socket.socket(family, socket.SOCK_SEQPACKET if family == 38 else socket.SOCK_STREAM).close()
        seen[f"socket {family}"] = "done"
    except OSError as err:
        seen[f"socket {family}"] = errno.errorcode[err.errno]
thread = threading.Thread(target=seen.update, args=({"a thread": "done"},))
thread.start(); thread.join()
seen["a process"] = "done" if os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1] == 0 else "failed"
seen["open files"] = sorted(os.listdir("/proc/self/fd"), key=int)[3:]
print(json.dumps(seen))
"""


def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *without: Protection) -> dict[str, object]:
    machine = this_machine()
    assert machine is not None
    column = MACHINES[machine].column
    numbers = {name: each[column] for name, each in DENIED.items() if each[column] is not None}
    code = _TRY.replace("CLONE", str(MACHINES[machine].clone))
    monkeypatch.setattr(
        sandbox_module, "python_argv", lambda python, _: [str(python.executable), "-s", "-P", "-c", code]
    )
    started = Sandbox(SandboxPolicy(), node_key=tmp_path / "key", without=frozenset(without)).start(
        JobFolder(tmp_path / "job"), "unused"
    )
    started.stdin.write(json.dumps(numbers).encode() + b"\n")
    started.stdin.close()
    printed = started.stdout.read()
    started.close(grace_s=10)
    assert printed, started.stderr_tail()
    seen: dict[str, object] = json.loads(printed)
    return seen


@pytest.mark.sandbox
@pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="bubblewrap is not installed")
@pytest.mark.skipif(this_machine() is None, reason="this machine filters no system calls")
class TestReally:
    def test_the_kernel_refuses_each_denied_call_and_lets_the_rest_work(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = tried(tmp_path, monkeypatch)
        machine = this_machine()
        assert machine is not None
        for name, numbers in DENIED.items():
            if numbers[MACHINES[machine].column] is not None:
                assert seen[name] == "EPERM", name
        assert seen["clone with a namespace"] == "EPERM"
        assert seen["clone3"] == "ENOSYS"
        assert seen["attach to the parent"] == "EPERM"
        assert seen["my keyring"] == "EPERM"
        assert [seen[f"socket {family}"] for family in (38, 40)] == ["EPERM", "EPERM"]
        assert [seen[f"socket {family}"] for family in (1, 2, 10)] == ["done"] * 3
        assert (seen["a thread"], seen["a process"]) == ("done", "done")

    def test_without_the_filter_some_of_them_work(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = tried(tmp_path, monkeypatch, Protection.SYSTEM_CALLS)
        assert seen["my keyring"] == "done"
        assert {seen[name] for name in DENIED if name in seen} != {"EPERM"}
        assert seen["clone3"] != "ENOSYS"

    def test_nothing_of_the_filter_stays_open_in_the_job(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # One: the folder that is being listed.
        assert len(tried(tmp_path, monkeypatch)["open files"]) <= 1  # type: ignore[arg-type]
