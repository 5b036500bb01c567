"""Tools that misbehave, in the real sandbox of a real site: contained, named by a word, harming no other job."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file

from fairbank.federated_jobs.node import sandbox as sandbox_module
from fairbank.federated_jobs.node.progress import job_folder
from fairbank.federated_jobs.node.runner import ConfinedRunner, Product
from fairbank.release.node import KEY_FILE

PLANTED = ("ZEBEDEE", "QX-774-991", "19370412")
MIB = 1 << 20
needs_bubblewrap = [
    pytest.mark.sandbox,
    pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="bubblewrap is not installed"),
]
# What the tool does: a line in the place of its analysis. What the hub is told: the state and the word.
MISBEHAVIOURS: dict[str, tuple[str, str]] = {
    "forks without end": ("while True: os.fork()", "code_failed"),
    "fills memory": ("hoard = [bytearray(64 << 20) for _ in range(1000)]", "out_of_memory"),
    "fills the disk": (
        "[(self._scratch / str(n)).write_bytes(b'x' * (4 << 20)) for n in range(2560)]; time.sleep(600)",
        "out_of_disk",
    ),
    "fills the disk with files that it deletes": (
        "kept = [(f := open(self._scratch / 'x', 'wb'), f.write(b'x' * (4 << 20)), f.flush(), "
        "os.unlink(self._scratch / 'x')) for n in range(200)]; time.sleep(600)",
        "out_of_disk",
    ),
    "writes one file of 10 GB": (
        "f = open(self._scratch / 'x', 'wb'); [f.write(b'x' * MIB) for n in range(10240)]",
        "code_failed",
    ),
    "makes more files than it may": (
        "[open(self._scratch / str(n), 'w').close() for n in range(1000)]; time.sleep(600)",
        "out_of_disk",
    ),
    "ends itself": ("os.kill(os.getpid(), 9)", "worker_crashed"),
    "calls the hub": (
        "import socket; socket.create_connection(('127.0.0.1', HUB_PORT), timeout=5).sendall(b'GET /escaped')",
        "code_failed",
    ),
    "reads the node's key": ("open(NODE_KEY, 'rb').read()", "code_failed"),
    "reads the images of others": ("os.listdir(NODE_HOME)", "code_failed"),
    "follows a link out": ("os.symlink('/etc/passwd', self._scratch / 'rows.json')", "sandbox_unavailable"),
    "prints what it reads": (
        "print(str(HEADER), flush=True); sys.stderr.write(str(HEADER)); raise ValueError(str(HEADER))",
        "code_failed",
    ),
}


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Let each worker that starts from now on run a line in the place of its analysis; None restores it."""
    honest = sandbox_module.python_argv

    def replaced(line: str | None) -> None:
        if line is None:
            monkeypatch.setattr(sandbox_module, "python_argv", honest)
            return
        code = (
            "import os, sys, time, pathlib, fairbank.federated_jobs.node.worker as w\n"
            "def bad(self, message):\n"
            "    import pydicom\n"
            f"    MIB = 1 << 20\n"
            "    HEADER = pydicom.dcmread(next(self._inputs.rglob('*.dcm')), stop_before_pixels=True)\n"
            f"    {line}\n"
            "    return dict(file='rows.json', digest='', statuses={}, subjects=3)\n"
            "w.Worker._analyse = bad\nw.main()\n"
        )
        monkeypatch.setattr(
            sandbox_module, "python_argv", lambda python, _: [str(python.executable), "-s", "-P", "-c", code]
        )

    yield replaced


@pytest.fixture
def on_disk() -> Iterator[str]:
    """A folder on a disk: the kernel counts files that are in memory as memory of the job that writes them."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="fairbank-escape-") as folder:
        yield folder


@pytest.fixture
def fed(on_disk: str, start: Any, tmp_path: Path) -> Iterator[Any]:
    """One site whose images have identifiers planted in their headers, and a small disk."""
    fed = start("east", folder=on_disk)
    site = fed.sites["east"]
    settings = replace(
        site.node.settings,
        sandbox_memory_bytes=512 * MIB,
        sandbox_processes=24,
        sandbox_scratch_bytes=16 * MIB,
        sandbox_scratch_files=500,
    )
    site.node = replace(site.node, settings=settings)
    series = site.index.series["collection"]
    for place, one in enumerate(series):
        target = tmp_path / "images" / one.series_uid
        target.mkdir(parents=True)
        _plant(target / "1.dcm")
        series[place] = type(one)(one.series_uid, one.subject, one.content_digest, target)
    site.runner = ConfinedRunner(site.node)
    site.restart()
    yield fed
    site.runner.close()


def _plant(target: Path) -> None:
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    name, number, birth = PLANTED
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = f"{name}^JANE", number, birth
    dataset.Modality = name
    dataset.Manufacturer = dataset.SeriesDescription = dataset.BodyPartExamined = f"{name} {number}"[:16]
    dataset.ImageComments = f"{name} born {birth}"
    dataset.save_as(target)


def run(fed: Any) -> tuple[str, tuple[str, str]]:
    job = fed.run("intensity-geometry")
    return job, fed.site_state(job, "east")


def left_at_the_hub(fed: Any) -> list[str]:
    """Return which planted words are found in any file of the hub, its database and its blobs among them."""
    held = b"".join(path.read_bytes() for path in (fed.folder / "hub").rglob("*") if path.is_file())
    return [word for word in PLANTED if word.encode() in held or word.encode("utf-16-le") in held]


class TestInTheSandbox:
    pytestmark = needs_bubblewrap

    @pytest.mark.parametrize("what", MISBEHAVIOURS)
    def test_a_tool_that_misbehaves_is_contained_and_named_by_a_word(
        self,
        fed: Any,
        hostile: Callable[[str | None], None],
        what: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        line, word = MISBEHAVIOURS[what]
        site = fed.sites["east"]
        home = site.node.settings.home
        port = fed.url.rpartition(":")[2]
        for name, value in {
            "HUB_PORT": port,
            "NODE_KEY": repr(str(site.node.settings.keys_path / KEY_FILE)),
            "NODE_HOME": repr(str(home)),
        }.items():
            line = line.replace(name, value)
        caplog.set_level(logging.DEBUG)
        hostile(line)
        job, state = run(fed)
        assert state == ("failed", word)
        assert site.runner.jobs() == []
        assert not job_folder(site.node, job).exists()
        assert left_at_the_hub(fed) == []
        assert not [each for each in PLANTED if each in caplog.text]

    def test_a_tool_that_sleeps_for_ever_is_ended_by_the_site_s_own_clock(
        self, fed: Any, hostile: Callable[[str | None], None]
    ) -> None:
        site = fed.sites["east"]
        site.node = replace(site.node, settings=replace(site.node.settings, sandbox_wall_s=1))
        site.runner = ConfinedRunner(site.node)
        site.restart()
        hostile("time.sleep(10**6)")
        assert run(fed)[1] == ("failed", "timed_out")

    def test_the_next_job_is_unharmed_and_what_is_planted_stays(
        self, fed: Any, hostile: Callable[[str | None], None], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        hostile("os.kill(os.getpid(), 9)")
        assert run(fed)[1][0] == "failed"
        hostile(None)
        # One series of six cannot be read: it costs one row.
        broken = fed.sites["east"].index.series["collection"][0].directory / "1.dcm"
        broken.write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 500)
        job, state = run(fed)
        assert state == ("released", "none")
        assert fed.state(job) == "completed"
        files = {file["name"]: file["digest"] for file in fed.get(f"/v1/jobs/{job}/results").json()["files"]}
        rows = fed.get(f"/v1/blobs/{files['table.json']}").json()
        assert "ok" in json.dumps(rows)
        assert left_at_the_hub(fed) == []
        assert not [each for each in PLANTED if each in caplog.text]


def _rows(product: Product, change: Callable[[dict[str, Any]], None]) -> None:
    body = json.loads(product.path.read_bytes())
    change(body)
    product.path.write_text(json.dumps(body))


def _number(body: dict[str, Any]) -> str:
    row = body["rows"][0]
    return next(name for name, value in row.items() if isinstance(value, float))


OUTPUTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "no number": lambda body: body["rows"][0].update({_number(body): float("nan")}),
    "an endless number": lambda body: body["rows"][0].update({_number(body): float("inf")}),
    "a name in the place of a number": lambda body: body["rows"][0].update({_number(body): PLANTED[0]}),
    "a column of its own": lambda body: body["rows"][0].update({"patient": PLANTED[1]}),
    "a name as a word": lambda body: body["rows"][0].update({"modality": PLANTED[0]}),
    "a name as a row": lambda body: body["rows"][0].update({"row": f"{PLANTED[0]}^JANE"}),
    "a list": lambda body: body["rows"][0].update({_number(body): [1.0, 2.0]}),
    "text beside the rows": lambda body: body.update({"comment": PLANTED[2]}),
    "no rows": lambda body: body.update({"rows": PLANTED[0]}),
}


@pytest.mark.parametrize("what", OUTPUTS)
def test_an_output_that_is_not_what_the_tool_declares_stays_at_the_site(start: Any, what: str) -> None:
    fed = start("east")
    runner = fed.sites["east"].runner
    honest = runner._rows

    def dishonest(task: Any) -> Product:
        product = honest(task)
        _rows(product, OUTPUTS[what])
        return product

    runner._rows = dishonest
    _, state = run(fed)
    assert state == ("withheld", "gate_refused")
    assert left_at_the_hub(fed) == []
