"""An interrupt ends a command wherever it falls."""

from __future__ import annotations

import subprocess
import sys

import pytest

IN_A_CALLBACK = """
import signal, sys, time, weakref
from fairbank.cli.interrupts import hear_every_interrupt
if {heard}:
    hear_every_interrupt()

class Anything: ...

def interrupted(_):
    signal.raise_signal(signal.SIGINT)
    time.sleep(0)

one = Anything()
seen = weakref.ref(one, interrupted)
try:
    del one
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        pass
    print("went on")
except KeyboardInterrupt:
    print("ended")
"""


def told(program: str) -> str:
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.mark.parametrize(("heard", "then"), [(False, "went on"), (True, "ended")])
def test_an_interrupt_that_falls_in_a_callback_is_sent_again(heard: bool, then: str) -> None:
    assert told(IN_A_CALLBACK.format(heard=heard)) == then


def test_other_errors_that_python_drops_are_told_as_before() -> None:
    program = (
        "import sys, weakref\n"
        "from fairbank.cli.interrupts import hear_every_interrupt\n"
        "sys.unraisablehook = lambda dropped: print('told', dropped.exc_type.__name__)\n"
        "hear_every_interrupt(); hear_every_interrupt()\n"
        "class Anything: ...\n"
        "one = Anything()\n"
        "seen = weakref.ref(one, lambda _: 1 / 0)\n"
        "del one\n"
    )
    assert told(program) == "told ZeroDivisionError"
