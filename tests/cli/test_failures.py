"""What goes wrong around a command is told in words: what happened, why, and what to do."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from pydicom.data import get_testdata_file

from fairbank.catalogue import nodes
from fairbank.catalogue.accounts import Role, create_account
from fairbank.catalogue.context import Hub, init_hub
from fairbank.clock import FixedClock, SystemClock
from fairbank.database import writing
from fairbank.federated_jobs.node.agent import Agent
from fairbank.release.errors import KeyNotEnrolled, NodeClockOff
from fairbank.release.node import open_node
from fairbank.settings import Settings, load
from fairbank.signing import SigningKey
from fairbank.web.hub_app import create_app

Run = Callable[..., Any]
PASSWORD = "correct horse battery"


# -- the machine ---------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_named_with_a_way_out(fairbank: Run) -> None:
    fairbank("hub", "init", "--public-base-iri", "http://hub.test").ok()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fairbank("--set", f"hub_port={port}", "hub", "run").refused(
            "FB-CLI-002", f"127.0.0.1:{port}", "fairbank --set hub_port=PORT hub run"
        )


def test_an_address_that_is_not_of_this_machine_is_refused(fairbank: Run) -> None:
    fairbank("hub", "init", "--public-base-iri", "http://hub.test").ok()
    fairbank("--set", "hub_host=192.0.2.1", "hub", "run").refused("FB-CLI-002", "192.0.2.1")


def test_a_home_that_cannot_be_written_is_refused(fairbank: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    fairbank("node", "init", "--name", "alpha", home=tmp_path / "file" / "home").refused(
        "FB-CLI-005", "config show"
    )


@pytest.mark.parametrize(
    "address", ["sqlite:////dev/null/x.db", "postgresql+psycopg://nobody:word@127.0.0.1:1/none"]
)
def test_a_database_that_cannot_be_opened_is_refused(fairbank: Run, address: str) -> None:
    ran = fairbank("--set", f"node_database={address}", "node", "init", "--name", "alpha")
    ran.refused("FB-CORE-020", "cannot be opened")
    assert "word@" not in ran.err


def test_a_file_that_is_no_database_is_refused(fairbank: Run, tmp_path: Path) -> None:
    fairbank("node", "init", "--name", "alpha").ok()
    for file in (tmp_path / "home").glob("node.db*"):
        file.unlink()
    (tmp_path / "home" / "node.db").write_text(
        "This is not a database at all, but a text of some length. " * 40
    )
    fairbank("node", "show").refused("FB-CORE-020", "node.db")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("node", "show"), "FB-REL-016"),
        (("node", "run"), "FB-REL-016"),
        (("hub", "show"), "FB-CAT-002"),
        (("hub", "run"), "FB-CAT-002"),
        (("harvest", "sources"), "FB-REL-016"),
        (("audit", "verify"), "FB-REL-016"),
    ],
)
def test_an_empty_home_says_what_to_make_first(fairbank: Run, words: tuple[str, ...], code: str) -> None:
    ran = fairbank(*words)
    assert ran.code in (1, 2)
    ran.refused(code, "init", code=ran.code)


def test_a_key_that_others_can_read_is_refused(fairbank: Run, tmp_path: Path) -> None:
    fairbank("node", "init", "--name", "alpha").ok()
    (tmp_path / "home" / "keys" / "node.pem").chmod(0o644)
    fairbank("node", "show").refused("FB-CORE-011", "chmod 600")


def test_a_node_that_has_not_enrolled_does_not_run(fairbank: Run) -> None:
    fairbank("node", "init", "--name", "alpha").ok()
    fairbank("node", "run").refused("FB-REL-014", "fairbank node enrol")


def test_the_home_of_a_node_is_private(fairbank: Run, tmp_path: Path) -> None:
    fairbank("node", "init", "--name", "alpha").ok()
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0


# -- what is not installed -----------------------------------------------------------------------------------------

HIDE = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in HIDDEN else super().find_spec(name, path, target)

sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
"""


def without(*hidden: str, then: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that lacks some packages."""
    source = f"HIDDEN = {set(hidden)!r}\n{HIDE}\n{textwrap.dedent(then)}"
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("package", ["torch", "monai", "data_store"])
def test_a_demo_without_its_packages_does_not_begin(tmp_path: Path, package: str) -> None:
    home = tmp_path / "home"
    ran = without(
        package,
        then=f"""
            sys.argv = ["fairbank", "demo", "--home", {str(home)!r}]
            from fairbank.cli.main import main
            main()
        """,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "FB-CORE-040" in ran.stderr and "pip install 'fairbank[demo]'" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list(home.iterdir()) == []


def test_postgresql_without_its_driver_names_the_extra(tmp_path: Path) -> None:
    ran = without(
        "psycopg",
        then=f"""
            sys.argv = ["fairbank", "--home", {str(tmp_path)!r}, "--set", "node_database=postgresql://u@h/n",
                        "node", "init", "--name", "alpha"]
            from fairbank.cli.main import main
            main()
        """,
    )
    assert ran.returncode == 2
    assert "FB-CORE-040" in ran.stderr and "pip install 'fairbank[postgres]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_tool_without_its_libraries_names_the_extra() -> None:
    ran = without(
        "torch",
        then="""
            from fairbank.errors import MissingExtra
            from fairbank.federated_jobs.code import tools
            for tool in tools():
                try:
                    tool.check_installed()
                    print(tool.name, "ok")
                except MissingExtra as err:
                    print(tool.name, err.code, err)
        """,
    )
    assert "intensity-geometry ok" in ran.stdout and "noop ok" in ran.stdout
    assert "slice-autoencoder FB-CORE-040" in ran.stdout and "fairbank[train]" in ran.stdout, ran


def test_tools_are_listed_without_torch() -> None:
    ran = without(
        "torch", "monai", "dask", "matplotlib", "pandas",
        then="""
            sys.argv = ["fairbank", "tool", "list", "--format", "csv"]
            from fairbank.cli.main import main
            main()
        """,
    )  # fmt: skip
    assert ran.returncode == 0 and "slice-autoencoder" in ran.stdout, ran.stderr


# -- files that are not what they seem -----------------------------------------------------------------------------


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    folder = tmp_path / "incoming"
    folder.mkdir()
    whole = Path(get_testdata_file("CT_small.dcm")).read_bytes()
    (folder / "whole.dcm").write_bytes(whole)
    (folder / "truncated.dcm").write_bytes(whole[:-2_000])
    (folder / "cut-in-the-header.dcm").write_bytes(whole[:700])
    (folder / "letter.dcm").write_text("Dear colleague, thank you for sending Mr Miller, born 1950-03-04.")
    (folder / "empty.dcm").touch()
    return folder


def test_files_that_are_no_dicom_or_cut_off_are_counted_and_held(fairbank: Run, incoming: Path) -> None:
    fairbank("node", "init", "--name", "alpha").ok()
    fairbank("node", "consent", "basis", "thorax", "anonymous-data", "--note", "test images").ok()
    ran = fairbank("deid", "run", incoming, "--project", "thorax", "--format", "json")
    assert ran.code == 1 and "Traceback" not in ran.err
    counted = json.loads(ran.out)
    assert counted["files ok"] == 1
    held = {key: value for key, value in counted.items() if key.startswith("reason: ")}
    assert held["reason: not-dicom"] >= 1 and held["reason: truncated"] >= 1
    assert sum(held.values()) == 4
    assert "Miller" not in ran.out + ran.err
    # Nothing is lost: the files lie where they were, and their fate is in the node's list.
    assert len(list(incoming.iterdir())) == 5
    listed = json.loads(fairbank("deid", "status", "thorax", "--format", "json").ok().out)
    assert sum(row["files"] for row in listed) == 5


def test_what_is_held_is_listed_under_neutral_names(fairbank: Run, incoming: Path) -> None:
    fairbank("node", "init", "--name", "alpha").ok()
    fairbank("node", "consent", "basis", "thorax", "anonymous-data", "--note", "test images").ok()
    fairbank("deid", "run", incoming, "--project", "thorax")
    rows = json.loads(fairbank("deid", "quarantine", "thorax", "--format", "json").ok().out)
    assert rows and all(row["reason"] and row["name"].startswith("q-") for row in rows)
    assert not any("letter" in str(row) or "Miller" in str(row) for row in rows)


def test_a_second_run_over_the_same_files_is_no_other(fairbank: Run, incoming: Path) -> None:
    fairbank("node", "init", "--name", "alpha").ok()
    fairbank("node", "consent", "basis", "thorax", "anonymous-data", "--note", "test images").ok()
    fairbank("deid", "run", incoming, "--project", "thorax")
    again = fairbank("deid", "run", incoming, "--project", "thorax", "--format", "json")
    assert json.loads(again.out)["files notneeded"] >= 1


def test_a_folder_that_is_not_there_is_refused(fairbank: Run, tmp_path: Path) -> None:
    fairbank("deid", "run", tmp_path / "nothing", "--project", "thorax").refused("nothing", code=2)


def test_an_unknown_profile_is_refused(fairbank: Run, incoming: Path) -> None:
    fairbank("node", "init", "--name", "alpha").ok()
    fairbank("deid", "run", incoming, "--project", "p", "--profile", "lax").refused("basic", code=2)


# -- the hub -------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = init_hub(Settings(home=tmp_path / "hub"), SystemClock(), public_base_iri="http://hub.test")
    with writing(made.engine) as session:
        create_account(session, made, name="ada", password=PASSWORD, roles=[Role.RESEARCHER])
    yield made
    made.queries.close()
    made.engine.dispose()


@pytest.fixture
def url(hub: Hub, free_port: int) -> Iterator[str]:
    config = uvicorn.Config(create_app(hub), port=free_port, log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield f"http://127.0.0.1:{free_port}"
    hub.notifier.close()
    server.should_exit = server.force_exit = True
    thread.join(timeout=20)


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    file.chmod(0o600)
    return file


def test_a_hub_that_is_not_there_is_told(fairbank: Run, free_port: int) -> None:
    fairbank("--hub", f"http://127.0.0.1:{free_port}", "search").refused(
        "FB-WEB-010", str(free_port), "fairbank hub run", "fairbank config show"
    )


def test_something_that_is_no_address_is_told(fairbank: Run) -> None:
    fairbank("--hub", "hub.example.org", "search").refused("FB-WEB-010", "hub.example.org")


@pytest.mark.parametrize("words", [("whoami",), ("request", "list"), ("job", "list"), ("grant", "list")])
def test_who_is_not_logged_in_is_told_how(fairbank: Run, url: str, words: tuple[str, ...]) -> None:
    fairbank("--hub", url, *words).refused("FB-WEB-011", url, "fairbank login NAME")


@pytest.mark.parametrize(("name", "word"), [("ada", "wrong horse"), ("nobody", PASSWORD)])
def test_a_wrong_password_or_name_is_refused_alike(
    fairbank: Run, url: str, tmp_path: Path, name: str, word: str
) -> None:
    (tmp_path / "word").write_text(word)
    ran = fairbank("--hub", url, "login", name, "--password-file", tmp_path / "word")
    ran.refused("FB-CAT-021")
    assert word not in ran.err
    assert not (tmp_path / "home" / "keys" / "token").exists()


def test_a_password_is_not_taken_from_a_pipe(fairbank: Run, url: str) -> None:
    fairbank("--hub", url, "login", "ada").refused("FB-CLI-003", "--password-file", code=2)


def test_a_password_file_that_is_not_there_is_named(fairbank: Run, url: str, tmp_path: Path) -> None:
    fairbank("--hub", url, "login", "ada", "--password-file", tmp_path / "none").refused(
        "FB-CLI-004", "none", code=2
    )


def test_who_is_logged_in_is_known_and_asks_the_committee_s_part_in_vain(
    fairbank: Run, url: str, password: Path
) -> None:
    fairbank("--hub", url, "login", "ada", "--password-file", password).ok()
    who = json.loads(fairbank("--hub", url, "whoami", "--format", "json").ok().out)
    assert who["account"] == "ada" and who["key"].startswith("ed25519:")
    missing = "01a1fdee-cff5-7f63-b5f0-d16d1d20c888"
    ran = fairbank("--hub", url, "review", "return", missing, "--comment", "No.")
    assert ran.code == 1 and ran.err.startswith("Error FB-CAT-")


def test_a_token_is_shown_to_the_hub_that_gave_it_only(
    fairbank: Run, url: str, password: Path, tmp_path: Path
) -> None:
    fairbank("--hub", url, "login", "ada", "--password-file", password).ok()
    token = tmp_path / "home" / "keys" / "token"
    assert token.stat().st_mode & 0o077 == 0
    elsewhere = url.replace("127.0.0.1", "localhost")
    fairbank("--hub", elsewhere, "whoami").refused("FB-WEB-011", elsewhere)


def test_a_proxy_of_the_environment_does_not_stand_before_this_machine(
    fairbank: Run, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert json.loads(fairbank("--hub", url, "search", "--format", "json").ok().out) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("dataset", "show", "http://hub.test/datasets/no/such"), "FB-CAT-"),
        (("request", "show", "01a1fdee-cff5-7f63-b5f0-d16d1d20c888"), "FB-CAT-"),
        (("job", "show", "01a1fdee-cff5-7f63-b5f0-d16d1d20c888"), "FB-JOBS-"),
        (("model", "show", "sha256:" + "0" * 64), "FB-JOBS-"),
        (("grant", "show", "01a1fdee-cff5-7f63-b5f0-d16d1d20c888"), "FB-"),
        (("job", "submit", "noop", "--grant", "none", "--title", "x"), "FB-WEB-013"),
    ],
)
def test_what_does_not_exist_is_told(
    fairbank: Run, url: str, password: Path, words: tuple[str, ...], code: str
) -> None:
    fairbank("--hub", url, "login", "ada", "--password-file", password).ok()
    fairbank("--hub", url, *words).refused(code)


def test_a_query_with_a_mistake_is_told_with_its_place(fairbank: Run, url: str) -> None:
    ran = fairbank("--hub", url, "sparql", "SELECT ?d WHERE { ?d a }")
    assert ran.code != 0 and ran.err.startswith("Error FB-CAT-") and "Traceback" not in ran.err


# -- a node and its hub --------------------------------------------------------------------------------------------


@pytest.fixture
def enrolled(fairbank: Run, hub: Hub, url: str, tmp_path: Path) -> Path:
    """The home of a node that has enrolled by the command line."""
    with writing(hub.engine) as session:
        (tmp_path / "invitation").write_text(nodes.invite(session, hub, actor="operator", node="alpha"))
    fairbank("node", "init", "--name", "alpha").ok()
    told = hub.key.public.fingerprint
    ran = fairbank("--hub", url, "node", "enrol", "--token-file", tmp_path / "invitation", "--hub-key", told)
    assert "alpha" in ran.ok().out
    return tmp_path / "home"


class OneTry(threading.Event):
    """Stops an agent at the first pause of what asks for work; what it does beside that pauses by itself."""

    def wait(self, timeout: float | None = None) -> bool:
        if threading.current_thread() is not threading.main_thread():
            return super().wait(timeout)
        self.set()
        return True


def test_a_node_that_enrolled_works(enrolled: Path) -> None:
    node = open_node(load(flags={"home": enrolled})[0], SystemClock())
    assert Agent(node).step() is False


def test_a_used_invitation_is_refused(fairbank: Run, enrolled: Path, url: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    fairbank("node", "init", "--name", "beta", home=other).ok()
    ran = fairbank("--hub", url, "node", "enrol", "--token-file", tmp_path / "invitation", home=other)
    ran.refused("FB-CAT-010")


def test_a_hub_with_another_key_than_told_gets_no_token(fairbank: Run, url: str, tmp_path: Path) -> None:
    (tmp_path / "invitation").write_text("token")
    fairbank("node", "init", "--name", "alpha").ok()
    ran = fairbank(
        "--hub",
        url,
        "node",
        "enrol",
        "--token-file",
        tmp_path / "invitation",
        "--hub-key",
        "0000-0000-0000-0000",
    )
    ran.refused("FB-REL-")


def test_a_node_with_another_key_is_told_so(enrolled: Path, caplog: pytest.LogCaptureFixture) -> None:
    key = enrolled / "keys" / "node.pem"
    key.unlink()
    SigningKey.generate().save(key)
    node = open_node(load(flags={"home": enrolled})[0], SystemClock())
    with pytest.raises(KeyNotEnrolled) as caught:
        Agent(node).step()
    assert "keys/node.pem" in caught.value.todo
    with caplog.at_level(logging.WARNING):
        Agent(node).run(OneTry())
    assert KeyNotEnrolled.code in caplog.text and "Traceback" not in caplog.text


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_node_whose_clock_is_off_by_an_hour_is_told_so(
    enrolled: Path, caplog: pytest.LogCaptureFixture, hours: int
) -> None:
    clock = FixedClock(SystemClock().now() + timedelta(hours=hours))
    node = open_node(load(flags={"home": enrolled})[0], clock)
    with pytest.raises(NodeClockOff) as caught:
        Agent(node).step()
    assert "NTP" in caught.value.todo and "nothing is lost" in caught.value.todo
    with caplog.at_level(logging.WARNING):
        Agent(node).run(OneTry())
    assert NodeClockOff.code in caplog.text and "Traceback" not in caplog.text


def test_a_running_hub_sends_its_answers_without_delay(
    fairbank: Run, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    fairbank("hub", "init", "--public-base-iri", "http://hub.test").ok()
    protocols: list[int] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda _, sockets: protocols.extend(s.proto for s in sockets))
    fairbank("--set", f"hub_port={free_port}", "hub", "run").ok()
    # asyncio sets TCP_NODELAY on connections of such a listener only.
    assert protocols == [socket.IPPROTO_TCP]


def test_a_running_hub_ends_on_ctrl_c_without_a_trace(fairbank: Run, tmp_path: Path, free_port: int) -> None:
    fairbank("hub", "init", "--public-base-iri", "http://hub.test").ok()
    running = subprocess.Popen(
        [sys.executable, "-m", "fairbank", "--home", str(tmp_path / "home"),
         "--set", f"hub_port={free_port}", "hub", "run"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert running.stderr is not None
    assert str(free_port) in running.stderr.readline()
    while True:
        assert running.poll() is None
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", free_port)) == 0:
                break
        time.sleep(0.05)
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert "Traceback" not in err and running.returncode in (0, 130)
