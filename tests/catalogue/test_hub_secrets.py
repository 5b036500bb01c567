"""The hub's own secret is there whole or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fairbank.catalogue.identity.hub_secrets import SECRET_FILE, derived
from fairbank.signing import KeyFileError

KILLED = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from fairbank.catalogue.identity.hub_secrets import derived
os.fsync = lambda handle: os.kill(os.getpid(), 9)
derived(SimpleNamespace(base_iri="http://hub.test", settings=SimpleNamespace(keys_path=Path(sys.argv[1]))), "forms")
"""


def hub(folder: Path) -> Any:
    return SimpleNamespace(base_iri="http://hub.test", settings=SimpleNamespace(keys_path=folder))


def test_a_hub_that_is_killed_while_it_makes_its_secret_makes_it_at_the_next_start(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)]).returncode == -signal.SIGKILL
    assert not (tmp_path / SECRET_FILE).exists()
    first = derived(hub(tmp_path), "forms")
    assert len((tmp_path / SECRET_FILE).read_bytes()) == 32
    assert derived(hub(tmp_path), "forms") == first


def test_a_secret_that_was_cut_off_is_not_used(tmp_path: Path) -> None:
    (tmp_path / SECRET_FILE).write_bytes(b"short")
    with pytest.raises(KeyFileError, match="not whole"):
        derived(hub(tmp_path), "forms")
