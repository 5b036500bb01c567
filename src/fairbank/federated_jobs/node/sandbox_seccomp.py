"""The filter on system calls of a job: a program for the kernel's own machine, written from a table; no library.

Denied is what a measurement never needs and what has opened kernels before: looking into other processes, mounting,
new namespaces, loading code into the kernel, its newest interfaces, and sockets of families that a network namespace
does not hold back (a virtual machine's line to its host, for one).

Source: seccomp(2); linux/filter.h, linux/seccomp.h, linux/audit.h; numbers from arch/x86/entry/syscalls/syscall_64.tbl
and include/uapi/asm-generic/unistd.h of Linux 6.1.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Name: number on x86-64, number on aarch64 (None: there is no such call).
DENIED: Final[dict[str, tuple[int | None, int | None]]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "unshare": (272, 97),
    "setns": (308, 268),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "lookup_dcookie": (212, 18),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "vmsplice": (278, 75),
}
NAMESPACE_FLAGS: Final = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
FAMILIES: Final = (int(socket.AF_UNIX), int(socket.AF_INET), int(socket.AF_INET6))
AF_NETLINK: Final = 16  # of which only NETLINK_ROUTE, 0, by which a process lists its interfaces
TERMINAL_INPUT: Final = (0x5412, 0x541C)  # TIOCSTI and TIOCLINUX push characters into a terminal

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _ANSWER = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_X32_BIT = 0x40000000
_MOST_STEPS = 4096  # BPF_MAXINSNS


@dataclass(frozen=True, slots=True)
class Machine:
    """What differs between two processors: how the kernel names them, and the numbers of some calls."""

    column: int
    audit: int
    clone: int
    clone3: int
    socket: int
    ioctl: int


MACHINES: Final = {
    "x86_64": Machine(0, 0xC000003E, 56, 435, 41, 16),
    "aarch64": Machine(1, 0xC00000B7, 220, 435, 198, 29),
}


def filter_program(machine: str) -> bytes | None:
    """Return the filter for a machine, as `uname -m` names it; None where no table is written for it.

    A call of another architecture ends the process: the numbers would mean something else.
    """
    if machine not in MACHINES:
        return None
    steps = list(_steps(MACHINES[machine], x32=machine == "x86_64"))
    assert len(steps) <= _MOST_STEPS
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


def denied_numbers(machine: str) -> list[int]:
    """Return the numbers of the calls that the filter refuses whatever their arguments; the probe tries each."""
    if machine not in MACHINES:
        return []
    column = MACHINES[machine].column
    return [number for numbers in DENIED.values() if (number := numbers[column]) is not None]


def this_machine() -> str | None:
    """Return what this machine is called, None if it cannot filter system calls."""
    machine = os.uname().machine
    able = Path("/proc/sys/kernel/seccomp/actions_avail").exists()
    return machine if able and machine in MACHINES else None


def filter_file(machine: str) -> int:
    """Return a descriptor from which the filter can be read; the caller closes it."""
    program = filter_program(machine)
    assert program is not None
    descriptor = os.memfd_create("job-filter", os.MFD_CLOEXEC)
    os.write(descriptor, program)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _steps(machine: Machine, *, x32: bool) -> Iterator[tuple[int, int, int, int]]:
    """Yield the steps: code, how many to skip if true and if false, operand."""
    refused = _ERROR | errno.EPERM
    yield (_LOAD, 0, 0, _ARCHITECTURE)
    yield (_EQUAL, 1, 0, machine.audit)
    yield (_ANSWER, 0, 0, _KILL)
    yield (_LOAD, 0, 0, _NUMBER)
    if x32:
        yield (_AT_LEAST, 0, 1, _X32_BIT)
        yield (_ANSWER, 0, 0, refused)
    for number in (numbers[machine.column] for numbers in DENIED.values()):
        if number is not None:
            yield (_EQUAL, 0, 1, number)
            yield (_ANSWER, 0, 0, refused)
    # Its flags lie in memory, where a filter cannot look. The C library then takes clone, whose flags it can see.
    yield (_EQUAL, 0, 1, machine.clone3)
    yield (_ANSWER, 0, 0, _ERROR | errno.ENOSYS)
    yield (_EQUAL, 0, 4, machine.clone)
    yield (_LOAD, 0, 0, _argument(0))
    yield (_ANY_BIT, 0, 1, NAMESPACE_FLAGS)
    yield (_ANSWER, 0, 0, refused)
    yield (_ANSWER, 0, 0, _ALLOW)
    yield (_EQUAL, 0, 3 + len(TERMINAL_INPUT), machine.ioctl)
    yield (_LOAD, 0, 0, _argument(1))
    for place, request in enumerate(TERMINAL_INPUT):
        yield (_EQUAL, len(TERMINAL_INPUT) - place, 0, request)
    yield (_ANSWER, 0, 0, _ALLOW)
    yield (_ANSWER, 0, 0, refused)
    yield (_EQUAL, 0, 5 + len(FAMILIES), machine.socket)
    yield (_LOAD, 0, 0, _argument(0))
    for place, family in enumerate(FAMILIES):
        yield (_EQUAL, 4 + len(FAMILIES) - 1 - place, 0, family)
    yield (_EQUAL, 0, 2, AF_NETLINK)
    yield (_LOAD, 0, 0, _argument(2))
    yield (_EQUAL, 1, 0, 0)
    yield (_ANSWER, 0, 0, refused)
    yield (_ANSWER, 0, 0, _ALLOW)


def _argument(place: int) -> int:
    """Return where the lower half of an argument stands (little-endian); the calls looked at take 32 bits."""
    return _ARGUMENTS + 8 * place
