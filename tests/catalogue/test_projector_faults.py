"""The writer of the RDF view is killed, or its disk is full: what was published last stays, nothing half is seen."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import nodes, projector, records
from fairbank.catalogue.context import Hub, init_hub, open_hub
from fairbank.catalogue.projector import Projector
from fairbank.catalogue.query_pool import CURRENT
from fairbank.clock import FixedClock
from fairbank.database import reading, writing
from fairbank.ontology.record import DatasetRecord
from fairbank.settings import Settings
from fairbank.signing import SigningKey
from fairbank.web.hub_app import create_app

BASE = "http://hub.test"
COUNT = "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }"
# Takes the projector's steps to the disk in order, and is gone before the one of the given number (0: never).
WRITER = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from fairbank.catalogue import projector
from fairbank.catalogue.context import open_hub
from fairbank.clock import FixedClock
from fairbank.settings import Settings

home, act, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
steps = 0

def counted(wrapped):
    def step(*arguments, **named):
        global steps
        steps += 1
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return wrapped(*arguments, **named)
    return step

class Writing:
    def __init__(self, path):
        self._store = original(path)
    def __getattr__(self, name):
        found = getattr(self._store, name)
        return counted(found) if name in ("remove", "extend", "clear", "bulk_extend", "flush", "backup") else found

original, projector.Store = projector.Store, Writing
for name in ("symlink_to", "replace", "unlink", "mkdir", "touch"):
    setattr(Path, name, counted(getattr(Path, name)))
projector.events.taken = counted(projector.events.taken)
hub = open_hub(replace(Settings(), home=home), FixedClock())
steps = 0
writer = projector.Projector(hub)
assert writer.open()
getattr(writer, act)()
print(steps)
"""


@dataclass(frozen=True)
class Waiting:
    """A hub's home in which changes wait to be projected, and the view before and after them."""

    home: Path
    before: frozenset[ox.Quad]
    after: frozenset[ox.Quad]


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory, record_of: Callable[..., DatasetRecord]) -> Waiting:
    """Two datasets are published; one of them anew, a third one, and a node's name wait."""
    home = tmp_path_factory.mktemp("waiting") / "hub"
    hub = init_hub(replace(Settings(), home=home), FixedClock(), public_base_iri=BASE)
    key = SigningKey.generate()
    with writing(hub.engine) as session:
        token = nodes.invite(session, hub, actor="admin")
    nodes.enrol(hub, nodes.Enrolment(node="alpha", key=key.key_id, token=token, title="Alpha"))
    publish(hub, key, record_of("alpha", "lungs"), record_of("alpha", "brains"))
    writer = Projector(hub)
    assert writer.open()
    writer.project()
    writer.close()
    before = seen(hub.rdf)
    publish(
        hub, key, record_of("alpha", "lungs", version=2, title="Lungs anew"), record_of("alpha", "hearts")
    )
    hub.engine.dispose()
    return Waiting(home, before, expected(hub))


def publish(hub: Hub, key: SigningKey, *made: DatasetRecord) -> None:
    for each in made:
        record, sealed = DatasetRecord.open(each.seal(key), trusted=[key.key_id])
        with writing(hub.engine) as session:
            records.publish(session, hub, record, sealed)


def expected(hub: Hub) -> frozenset[ox.Quad]:
    # By way of a store, which writes some literals in its own way.
    store = ox.Store()
    with reading(hub.engine) as session:
        for graph in projector._all_graphs(session, hub):
            store.extend(projector.graph_quads(session, hub.base_iri, graph))
    return frozenset(store)


def seen(rdf: Path) -> frozenset[ox.Quad]:
    # Of what is published: the audit log, which only auditors see, grows with every log-in of these tests.
    quads = ox.Store.read_only(str(rdf / CURRENT))
    return frozenset(quad for quad in quads if "/graphs/audit/" not in str(quad.graph_name))


@contextmanager
def opened(home: Path) -> Iterator[Hub]:
    hub = open_hub(replace(Settings(), home=home, sparql_workers=1), FixedClock())
    yield hub
    hub.queries.close()
    hub.engine.dispose()


def written(home: Path, act: str, *, last: int) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-c", WRITER, str(home), act, str(last)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, env=environ)


# -- killed --------------------------------------------------------------------------------------------------------


def killed(waiting: Waiting, home: Path, act: str, last: int) -> None:
    shutil.copytree(waiting.home, home, symlinks=True)
    ended = written(home, act, last=last)
    assert ended.returncode == -9, ended
    assert seen(home / "rdf") in (waiting.before, waiting.after)
    with opened(home) as hub:
        client = TestClient(create_app(hub), base_url=BASE)
        count = client.get("/sparql", params={"query": COUNT}).json()["results"]["bindings"][0]["n"]["value"]
        assert int(count) in (len(waiting.before), len(waiting.after))
        writer = Projector(hub)
        assert writer.open()
        writer.project()
        writer.close()
        assert seen(hub.rdf) == waiting.after
        assert len(list((hub.rdf / "snapshots").iterdir())) <= 3


def number_of_steps(waiting: Waiting, folder: Path, act: str) -> int:
    shutil.copytree(waiting.home, folder / act, symlinks=True)
    return int(written(folder / act, act, last=0).stdout)


@pytest.mark.parametrize("act", ["project", "rebuild"])
def test_a_writer_that_is_killed_leaves_the_last_view_and_can_go_on(
    waiting: Waiting, tmp_path: Path, act: str
) -> None:
    steps = number_of_steps(waiting, tmp_path, act)
    assert steps >= 6
    for last in sorted(random.Random(act).sample(range(1, steps + 1), 2)):
        killed(waiting, tmp_path / f"{act}-{last}", act, last)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("act", ["project", "rebuild"])
def test_a_writer_that_is_killed_before_any_step_leaves_the_last_view(
    waiting: Waiting, tmp_path: Path, act: str
) -> None:
    for last in range(1, number_of_steps(waiting, tmp_path, act) + 1):
        killed(waiting, tmp_path / f"{act}-{last}", act, last)


@pytest.mark.parametrize("lost", ["live", "current", "snapshots", "live/CURRENT", "everything"])
def test_a_view_of_which_something_is_lost_is_made_anew(waiting: Waiting, tmp_path: Path, lost: str) -> None:
    home = tmp_path / "hub"
    shutil.copytree(waiting.home, home, symlinks=True)
    place = home / "rdf" / ("" if lost == "everything" else lost)
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink()
    with opened(home) as hub:
        writer = Projector(hub)
        assert writer.open()
        writer.project()
        writer.close()
        assert seen(hub.rdf) == waiting.after


def test_a_store_that_turns_out_to_be_damaged_is_made_anew(waiting: Waiting, tmp_path: Path) -> None:
    home = tmp_path / "hub"
    shutil.copytree(waiting.home, home, symlinks=True)
    with opened(home) as hub:
        writer = Projector(hub)
        assert writer.open()
        damaged = Failing(
            writer._writer(), first=2, error=RuntimeError("Corruption: block checksum mismatch")
        )
        writer._store = damaged
        with pytest.raises(RuntimeError):
            writer.project()
        assert seen(hub.rdf) == waiting.before
        del damaged
        writer.close()
        assert writer.open()
        writer.project()
        writer.close()
        assert seen(hub.rdf) == waiting.after


# -- a full disk ---------------------------------------------------------------------------------------------------


@contextmanager
def files_of_at_most(limit_bytes: int) -> Iterator[None]:
    """Have the kernel refuse to let files grow further, as a full disk would (EFBIG instead of ENOSPC)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_full_disk_is_told_and_the_view_follows_once_there_is_room(
    waiting: Waiting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "_RETRY_S", 0.1)
    home = tmp_path / "hub"
    shutil.copytree(waiting.home, home, symlinks=True)
    with opened(home) as hub, files_of_at_most(0), TestClient(create_app(hub), base_url=BASE) as client:
        until(lambda: client.get("/healthz").json()["status"] == "degraded")
        health = client.get("/healthz")
        assert health.status_code == 200
        assert "RDF view" in health.json()["problems"][0]
        assert str(tmp_path) not in health.text
        for _ in range(3):
            assert seen(hub.rdf) == waiting.before
            assert client.get("/sparql", params={"query": "ASK { ?d a dcat:Dataset }"}).json()["boolean"]
            time.sleep(0.1)
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
        )
        until(lambda: client.get("/healthz").json() == {"status": "ok"})
        assert seen(hub.rdf) == waiting.after


class Failing:
    """A store that fails from the step of a given number on."""

    def __init__(self, store: ox.Store, *, first: int, error: Exception) -> None:
        self._store, self._left, self._error = store, first, error

    def __iter__(self) -> Iterator[ox.Quad]:
        return iter(self._store)

    def __getattr__(self, name: str) -> Any:
        if name in ("remove", "extend", "clear", "bulk_extend", "flush", "backup"):
            self._left -= 1
            if self._left < 0:
                # A new one each time: an error that is kept would keep the store open by its traceback.
                raise type(self._error)(*self._error.args)
        return getattr(self._store, name)


@pytest.mark.parametrize("act", ["project", "rebuild"])
def test_a_disk_that_is_full_at_any_step_leaves_the_last_view(
    waiting: Waiting, tmp_path: Path, act: str
) -> None:
    for first in range(100):
        home = tmp_path / f"{act}-{first}"
        shutil.copytree(waiting.home, home, symlinks=True)
        with opened(home) as hub:
            writer = Projector(hub)
            assert writer.open()
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            writer._store = Failing(writer._writer(), first=first, error=full)
            try:
                getattr(writer, act)()
                assert first > 3
                return
            except OSError:
                assert seen(hub.rdf) == waiting.before
                assert len(list((hub.rdf / "snapshots").iterdir())) == 1
            writer.close()
            assert writer.open()
            writer.project()
            writer.close()
            assert seen(hub.rdf) == waiting.after
    raise AssertionError("there is no end of steps")


def test_what_cannot_be_stored_is_told_as_such(waiting: Waiting, tmp_path: Path) -> None:
    home = tmp_path / "hub"
    shutil.copytree(waiting.home, home, symlinks=True)
    with opened(home) as hub, files_of_at_most(0):
        client = TestClient(create_app(hub), base_url=BASE, raise_server_exceptions=False)
        # A wrong password is kept for a while, so it has to be written down.
        wrong = {"schema": "login/1", "name": "nobody", "password": "no password at all"}
        answer = client.post("/v1/login", json=wrong)
        assert (answer.status_code, answer.json()["code"]) == (503, "FB-CAT-057")
        assert int(answer.headers["retry-after"]) > 0
        assert client.get("/datasets").status_code == 200
