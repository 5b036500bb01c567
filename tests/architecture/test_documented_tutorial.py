"""The tutorial is run as it stands: every shell block of the page, one after the other, in one shell."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from fairbank.demo.processes import free_port

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "first-federation.md"
_PORT = "8470"


@pytest.mark.sandbox
@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_commands_of_the_tutorial_do_what_it_says(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8").replace(_PORT, str(port := free_port()))
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    # A person is slower than a hub that starts.
    wait = "until fairbank catalogue status; do sleep 0.5; done\n"
    commands = "".join(block + wait * ("hub run" in block) for block in blocks)
    script = f"set -e\nexport FAIRBANK_HUB_PORT={port} FAIRBANK_HUB_URL=http://127.0.0.1:{port}\n{commands}"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        ["bash"], cwd=tmp_path, env=environment, text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        told, _ = process.communicate(script, timeout=540)
    finally:
        # The hub and the agents run in the background of that shell, also when a command has failed.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, told[-3000:]
    place = tmp_path / "first-federation"
    assert (place / "results" / "table.csv").read_text().count("\n") > 10
    assert (place / "model" / "model.safetensors").stat().st_size > 10_000
    assert len(re.findall(r"^verified +yes *$", told, re.MULTILINE)) == 2
    asked_of_the_catalogue = told[told.rindex("Written: card.dsse.json") :]
    assert "slice-autoencoder" in asked_of_the_catalogue
