"""What every test may use: a clock that stands still, a fresh database, a free port, the command line.

Tests that need something this machine lacks are left out by name, not skipped one by one: the end of the report says
which and why.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import socket
import sqlite3
import sys
import threading
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.federated_jobs.containers import lacking_podman
from tests.harvest.servers import lacking_dcmtk, lacking_orthanc
from tests.web.pages.browsers import lacking_browser

from fairbank.clock import FixedClock

# Set before numpy or torch are imported: results must not depend on how many cores the machine has.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
# A developer's own settings must not change what a test sees.
_OF_THE_TESTS = (
    "FAIRBANK_BROWSER",
    "FAIRBANK_CHEST_CT",
    "FAIRBANK_DATA",
    "FAIRBANK_DEBUG",
    "FAIRBANK_LIVE_XNAT",
    "FAIRBANK_PICTURES",
    "FAIRBANK_TEST_POSTGRES",
)
for _name in [
    name for name in os.environ if name.startswith("FAIRBANK_") and not name.startswith(_OF_THE_TESTS)
]:
    del os.environ[_name]

_PEERS = Path(__file__).resolve().parents[1] / ".venv-peers" / "bin"


def _lacking() -> dict[str, str]:
    """Return the marks of the tests that cannot run here, each with the reason."""
    found = {
        mark: f"{variable} is unset"
        for mark, variable in (
            ("chest_ct", "FAIRBANK_CHEST_CT"),
            ("data", "FAIRBANK_DATA"),
            ("live_xnat", "FAIRBANK_LIVE_XNAT"),
            ("postgres", "FAIRBANK_TEST_POSTGRES"),
        )
        if not os.environ.get(variable)
    }
    if not (_PEERS.parent / ".stamp").exists():
        found["peers"] = "the foreign clients are not installed: make peers"
    for mark, reason in (
        ("orthanc", lacking_orthanc()),
        ("dcmtk", lacking_dcmtk()),
        ("podman", lacking_podman()),
        ("browser", lacking_browser()),
    ):
        if reason is not None:
            found[mark] = reason
    return found


# Some are kept on purpose: what a session's fixtures share, and pools of connections.
_MOST_LEFT_OPEN = 60


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


_DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
# What has a twin on SQLite is tried on PostgreSQL once in so many tests, always the same ones; all by `make test-long`.
_ONE_IN = 8


def _waits_for_a_long_run(item: pytest.Item) -> bool:
    """Return whether a test on PostgreSQL is left to long runs: by its name, or by its file where a hub is shared."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if "postgres" in (parameters.get("shared_homes"), parameters.get("hub_database")):
        shared = "shared_homes" in parameters
        name = item.nodeid.partition("::")[0] if shared else item.nodeid
        return zlib.crc32(name.encode()) % _ONE_IN != 0
    return False


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which tests were left out."""
    for mark, reason in _lacking().items():
        terminalreporter.write_line(f"left out: tests marked {mark!r} ({reason})")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests whose needs are not met; mark what only a long run tries on PostgreSQL."""
    for item in items:
        if _waits_for_a_long_run(item):
            item.add_marker(pytest.mark.long)
    missing = _lacking()
    left_out = [item for item in items if any(item.get_closest_marker(mark) for mark in missing)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
    if hasattr(config, "workerinput"):
        _longest_first(items)


# What takes a minute or more comes first: as the last, one process would go through it while the other stands idle.
_LONGEST = (
    "demo",
    "pages",
    "tests/web/pages/test_hostile_texts.py",
    "tests/web/node/test_node_walk.py",
    "tests/catalogue/test_nothing_hidden.py",
    "tests/harvest/test_planted_publishing.py",
    "tests/deid/test_planted_runs.py",
    "tests/web/test_every_route_by_every_role.py",
    "tests/catalogue/test_projector_faults.py",
    "tests/catalogue/test_workflow.py",
    "tests/federated_jobs/test_rounds.py",
    "tests/federated_jobs/test_killed_jobs.py",
    "tests/federated_jobs/test_withdrawal_everywhere.py",
    "tests/federated_jobs/test_training.py",
    "tests/catalogue/test_facets_at_scale.py",
    "tests/harvest/test_idc_replay.py",
)


# These lie in a folder that is one group, and share only what a process makes anew at little cost.
_BY_THEMSELVES = ("tests/web/pages/test_hostile_texts.py",)


def _together(nodeid: str) -> str:
    """Return what one process runs as a whole: a file, whose tests share what its fixtures made, or a folder.

    Marks of `xdist_group` would say the same, but pytest 9.2 does not let xdist 3.8 see them.
    """
    file = nodeid.partition("::")[0]
    for folder, name in (("tests/demo/", "demo"), ("tests/web/pages/", "pages")):
        if file.startswith(folder) and file not in _BY_THEMSELVES:
            return name
    return file


def _longest_first(items: list[pytest.Item]) -> None:
    """Order the tests as the processes shall take them: what is known to take long, then the files of many tests."""
    sizes = Counter(_together(item.nodeid) for item in items)
    places = {name: place for place, name in enumerate(_LONGEST)}

    def place(item: pytest.Item) -> tuple[int, int]:
        name = _together(item.nodeid)
        return places.get(name, len(places)), -sizes[name]

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give what belongs together to one process, in the order of the tests."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _together(nodeid)

    config.option.loadscopereorder = False
    return Together(config, log)


def pytest_collection_finish() -> None:
    """Let the collector of cyclic garbage leave out what was imported: it would look through all of it each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def hasher_in_earnest() -> Iterator[Any]:
    """Hash passwords in one pass over 8 KiB: at full cost, 0.2 s each, they would be a fifth of the tests' time.

    Gives what a hub uses in earnest. A hub that a test runs as a process uses it.
    """
    # Only where a test module that was collected needs it: the import takes half a second.
    passwords = sys.modules.get("fairbank.catalogue.identity.passwords")
    if passwords is None:
        yield None
        return
    from argon2 import PasswordHasher
    from argon2.low_level import hash_secret_raw

    def cheaply(secret: bytes, salt: bytes, **cost: Any) -> bytes:
        # Whatever was asked for still decides what comes out.
        salt += repr((cost["time_cost"], cost["memory_cost"])).encode()
        return hash_secret_raw(secret, salt, **cost | {"time_cost": 1, "memory_cost": 8, "parallelism": 1})

    in_earnest = passwords._HASHER
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        # What passphrases of keys are stretched with.
        patch.setattr(passwords, "hash_secret_raw", cheaply)
        yield in_earnest


@pytest.fixture(scope="session", autouse=True)
def upgrade_in_earnest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., None]]:
    """Fill an empty SQLite file from one that was migrated before: a copy costs a tenth of the steps one by one.

    Gives what applies the steps in earnest; the tests of migrations take it.
    """
    from sqlalchemy import Engine, inspect
    from sqlalchemy.exc import SQLAlchemyError

    from fairbank import migrations
    from fairbank.database import connect

    in_earnest = migrations.upgrade
    folder = tmp_path_factory.mktemp("migrated")

    def template(history: migrations.History) -> Path:
        file = folder / f"{history}.db"
        if not file.exists():
            engine = connect(f"sqlite:///{file}")
            in_earnest(engine, history)
            engine.dispose()
        return file

    def upgrade(engine: Engine, history: migrations.History) -> None:
        # Whatever stands in the way is told by the steps in earnest, which come next.
        with suppress(SQLAlchemyError, sqlite3.Error):
            if engine.dialect.name == "sqlite" and not inspect(engine).get_table_names():
                with closing(sqlite3.connect(template(history))) as made, engine.connect() as connection:
                    made.backup(connection.connection.driver_connection)
                return
        in_earnest(engine, history)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "upgrade", upgrade)
        yield in_earnest


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    """Let all engines of one kind share the statements that were compiled, as those of one engine do.

    Each test opens databases of its own, and would compile a hundred statements anew: a fifth of its time.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
    from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
    from sqlalchemy.util import LRUCache

    from fairbank import database

    compiled: LRUCache[Any, Any] = LRUCache(4000)

    def create(*words: Any, **options: Any) -> Any:
        return create_engine(*words, execution_options={"compiled_cache": compiled}, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_engine", create)
        # What is compiled is found by its dialect too: all are made alike, and there is one server of PostgreSQL.
        for kind in (SQLiteDialect_pysqlite, PGDialect_psycopg):
            patch.setattr(kind, "__hash__", lambda dialect: hash(type(dialect)), raising=False)
            patch.setattr(kind, "__eq__", lambda one, other: type(one) is type(other), raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def servers_that_end_at_once() -> Iterator[None]:
    """Let a Uvicorn in this process look every 10 ms, not every 100 ms, whether it shall end and whether it has."""
    server = sys.modules.get("uvicorn.server")
    if server is None:
        yield
        return

    class Impatient:
        def __getattr__(self, name: str) -> Any:
            return getattr(asyncio, name)

        async def sleep(self, delay: float) -> None:
            await asyncio.sleep(min(delay, 0.01))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "asyncio", Impatient())
        yield


@pytest.fixture(scope="session", autouse=True)
def requests_in_one_loop() -> Iterator[None]:
    """Let all clients of a test send through one event loop and its threads: a loop for each request is a fifth of it.

    A client that is entered has a loop of its own, as before, and so has one that is asked from inside of the loop.
    """
    client = sys.modules.get("starlette.testclient")
    if client is None:
        yield
        return
    from anyio.from_thread import BlockingPortal, start_blocking_portal

    of_each = client.TestClient._portal_factory
    with start_blocking_portal() as shared, pytest.MonkeyPatch.context() as patch:
        thread = shared.call(threading.get_ident)

        @contextmanager
        def factory(sender: Any) -> Iterator[BlockingPortal]:
            if sender.portal is None and threading.get_ident() != thread:
                yield shared
                return
            with of_each(sender) as portal:
                yield portal

        patch.setattr(client.TestClient, "_portal_factory", factory)
        yield


@pytest.fixture(scope="module", autouse=True)
def gives_files_back() -> Iterator[None]:
    """Fail a file of tests that leaves many files open: above 1,024 of them, `select` fails in tests far from here."""
    before = _open_files()
    yield
    if _open_files() - before > _MOST_LEFT_OPEN:
        gc.collect()
        left = _open_files() - before
        assert left <= _MOST_LEFT_OPEN, f"{left} files and connections were left open"


@pytest.fixture
def clock() -> FixedClock:
    """A clock that stands at noon of 15 January 2026 (UTC) until told to move."""
    return FixedClock(datetime(2026, 1, 15, 12, tzinfo=UTC))


@pytest.fixture
def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Ran:
    """What came of a command: its exit code, its results, and what it said besides."""

    code: int
    out: str
    err: str

    def ok(self) -> Ran:
        """Check that it went well."""
        assert self.code == 0, self
        return self

    def refused(self, *words: str, code: int = 1) -> None:
        """Check that it failed in words, among them these, and without the inside of the program."""
        assert (self.code, self.out) == (code, ""), self
        said = " ".join(self.err.replace("│", " ").split())
        assert "Traceback" not in said and 'File "' not in said, self
        assert [word for word in words if word not in said] == [], self


@pytest.fixture
def fairbank(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    """Run `fairbank --home HOME WORDS…` in this process; the home is `home` in the test's folder by default."""
    from fairbank.cli.main import main

    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str | Path, home: Path = tmp_path / "home") -> Ran:
        monkeypatch.setattr(sys, "argv", ["fairbank", "--home", str(home), *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        written = capfd.readouterr()
        return Ran(int(end.value.code or 0), written.out, written.err)

    return run


@pytest.fixture(scope="session")
def peers() -> Path:
    """The folder with the foreign clients' commands and their Python; mark the test with `@pytest.mark.peers`."""
    return _PEERS


@pytest.fixture
def data_folder() -> Path:
    """The shared data folder; mark the test with `@pytest.mark.data`."""
    return Path(os.environ["FAIRBANK_DATA"])


@pytest.fixture(params=_DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh, empty database: SQLite always, PostgreSQL where a server is named."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    yield from _postgres_database(os.environ["FAIRBANK_TEST_POSTGRES"])


class HubTemplates:
    """Databases with a hub's tables and nothing in them, made once; a copy costs a tenth of making the tables."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._postgres: Iterator[str] | None = None
        self._name = ""

    def sqlite(self) -> Path:
        """Return the file to copy."""
        file = self._folder / "hub.db"
        if not file.exists():
            self._make(f"sqlite:///{file}")
        return file

    def postgres(self) -> str:
        """Return the name of the database to copy."""
        if self._postgres is None:
            from sqlalchemy import make_url

            self._postgres = _postgres_database(os.environ["FAIRBANK_TEST_POSTGRES"])
            url = next(self._postgres)
            self._make(url)
            self._name = str(make_url(url).database)
        return self._name

    def close(self) -> None:
        """Remove what was made on the server."""
        if self._postgres is not None:
            next(self._postgres, None)

    def _make(self, url: str) -> None:
        from fairbank import migrations
        from fairbank.catalogue.search_index import prepare_index
        from fairbank.database import connect

        engine = connect(url)
        migrations.upgrade(engine, "hub")
        prepare_index(engine)
        engine.dispose()


@pytest.fixture(scope="session")
def hub_templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubTemplates]:
    """Make what `hub_database` copies."""
    made = HubTemplates(tmp_path_factory.mktemp("templates"))
    yield made
    made.close()


@pytest.fixture(params=_DATABASES)
def hub_database(
    request: pytest.FixtureRequest, tmp_path: Path, hub_templates: HubTemplates
) -> Iterator[str]:
    """The setting `hub_database` of a hub whose tables are there: empty for SQLite, with its file in the home `hub`."""
    yield from _hub_database(request.param, tmp_path / "hub", hub_templates)


@pytest.fixture(scope="module", params=_DATABASES)
def shared_homes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, hub_templates: HubTemplates
) -> Iterator[Callable[[], tuple[Path, str]]]:
    """Make homes of hubs that a whole module of tests may read, each with its setting `hub_database`, as above."""
    with ExitStack() as opened:

        def make() -> tuple[Path, str]:
            home = tmp_path_factory.mktemp("shared") / "hub"
            return home, opened.enter_context(
                contextmanager(_hub_database)(request.param, home, hub_templates)
            )

        yield make


def _hub_database(kind: str, home: Path, templates: HubTemplates) -> Iterator[str]:
    if kind == "sqlite":
        home.mkdir(mode=0o700)
        shutil.copy(templates.sqlite(), home / "hub.db")
        yield ""
        return
    yield from _postgres_database(os.environ["FAIRBANK_TEST_POSTGRES"], template=templates.postgres())


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """The address of a fresh, empty PostgreSQL database; mark the test with `@pytest.mark.postgres`."""
    yield from _postgres_database(os.environ["FAIRBANK_TEST_POSTGRES"])


def _postgres_database(server: str, *, template: str = "template1") -> Iterator[str]:
    from sqlalchemy import create_engine, make_url, text
    from sqlalchemy.pool import NullPool

    name = f"fairbank_test_{uuid.uuid4().hex}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
