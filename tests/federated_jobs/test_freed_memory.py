"""The setting of the C library is taken in where there is one, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of the GNU C library")
def test_the_c_library_takes_the_setting_in():
    code = "from fairbank.federated_jobs.freed_memory import keep_freed_memory as k; import platform; "
    code += "print(k() or platform.libc_ver()[0] != 'glibc')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True\n"
