"""The setting of the C library is taken in where there is one, and free pages go back; in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of the GNU C library")
def test_the_c_library_takes_the_setting_in():
    code = "from fairbank.federated_jobs.freed_memory import keep_freed_memory as k; import platform; "
    code += "print(k() or platform.libc_ver()[0] != 'glibc')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of the GNU C library")
def test_what_lies_free_between_blocks_goes_back_to_the_kernel_once_it_is_too_much():
    code = """
import platform
from pathlib import Path
from fairbank.federated_jobs.freed_memory import MOST_FREE_BYTES, give_back_what_is_too_much, keep_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

keep_freed_memory()
# Every other block of 64 kB is freed: none of them is at the end of the memory.
blocks = [bytes(64_000) for _ in range(2 * MOST_FREE_BYTES // 60_000)]
del blocks[::2]
before = resident()
gave = give_back_what_is_too_much()
glibc = platform.libc_ver()[0] == "glibc"
print(not glibc or (gave and before - resident() > MOST_FREE_BYTES // 2), len(blocks) > 0)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout == "True True\n", ran.stderr


def test_only_a_process_that_was_told_to_gives_back_now_and_then():
    code = """
from fairbank.federated_jobs import freed_memory
freed_memory.give_back_what_is_too_much = lambda: True
freed_memory.keep_freed_memory()
print(freed_memory.give_back_now_and_then())
freed_memory.keep_freed_memory(gives_back=True)
print(freed_memory.give_back_now_and_then())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout == "False\nTrue\n", ran.stderr
