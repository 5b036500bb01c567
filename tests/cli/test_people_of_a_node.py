"""The commands with which people decide at a node: named once, with a passphrase, and refused without."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Ran

from fairbank.clock import FixedClock
from fairbank.harvest.consents import identity_of
from fairbank.release.node import init_node, open_node
from fairbank.settings import Settings

Run = Callable[..., Ran]


@pytest.fixture
def phrases(tmp_path: Path) -> dict[str, Path]:
    """Files with passphrases of ada and ben, and a wrong one."""
    found = {}
    for name, phrase in {"ada": "correct horse", "ben": "battery staple", "wrong": "not this one"}.items():
        found[name] = tmp_path / f"{name}.txt"
        found[name].write_text(f"{phrase}\n")
    return found


@pytest.fixture
def people(fairbank: Run, phrases: dict[str, Path]) -> dict[str, tuple[str | Path, ...]]:
    """A node with ada and ben, and the words with which each gives a command."""
    fairbank("node", "init", "--name", "east", "--person", "ada", "--passphrase-file", phrases["ada"]).ok()
    ada = ("--as", "ada", "--as-passphrase-file", phrases["ada"])
    fairbank("node", "person", "add", "ben", "--passphrase-file", phrases["ben"], *ada).ok()
    return {name: ("--as", name, "--passphrase-file", phrases[name]) for name in ("ada", "ben")}


def test_a_node_made_without_a_person_says_how_to_name_one(fairbank: Run) -> None:
    made = fairbank("node", "init", "--name", "east").ok()
    assert "fairbank node person add" in made.err
    fairbank("node", "pause", "--all").ok()


def test_persons_are_listed_with_who_brought_them_in(fairbank: Run, people: object) -> None:
    listed = json.loads(fairbank("node", "person", "list", "--format", "json").ok().out)
    assert [(one["name"], one["brought in by"], one["retired"]) for one in listed] == [
        ("ada", "the node", None),
        ("ben", "ada", None),
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("node", "pause", "--all"),
        ("node", "resume"),
        ("node", "key", "rotate"),
        ("node", "withdraw", "--patient-id-file"),
        ("node", "add-rule", "--requester-key", "ed25519:" + "A" * 43, "--dataset", "ct", "--days", "9",
         "--code-family", "measurements"),
    ],
    ids=lambda words: " ".join(words[:3]),
)  # fmt: skip
def test_where_people_are_named_a_command_that_decides_needs_one(
    fairbank: Run, people: object, tmp_path: Path, words: tuple[str, ...]
) -> None:
    if words[-1] == "--patient-id-file":
        (tmp_path / "id.txt").write_text("PAT1\n")
        words = (*words, str(tmp_path / "id.txt"))
    if words[1] == "resume":
        return _resume_needs_one(fairbank, people)
    fairbank(*words).refused("FB-REL-022", "--as NAME")


def _resume_needs_one(fairbank: Run, people: dict[str, tuple[str | Path, ...]]) -> None:
    fairbank("node", "pause", "--all", *people["ada"]).ok()
    fairbank("node", "resume").refused("FB-REL-022")
    fairbank("node", "resume", *people["ben"]).ok()


def test_a_wrong_passphrase_decides_nothing(fairbank: Run, people: object, phrases: dict[str, Path]) -> None:
    wrong = ("--as", "ada", "--passphrase-file", phrases["wrong"])
    fairbank("node", "pause", "--all", *wrong).refused("FB-REL-025")
    fairbank("node", "pause", "--all", "--as", "eve", "--passphrase-file", phrases["ada"]).refused(
        "FB-REL-023"
    )


def test_who_retired_decides_nothing_more(
    fairbank: Run, people: dict[str, tuple[str | Path, ...]], phrases: dict[str, Path]
) -> None:
    ada = ("--as", "ada", "--passphrase-file", phrases["ada"])
    fairbank("node", "person", "retire", "ben", *ada).ok()
    fairbank("node", "pause", "--all", *people["ben"]).refused("FB-REL-026")
    fairbank("node", "person", "retire", "ada", *ada).refused("FB-REL-024", code=2)


def test_a_passphrase_is_changed_by_its_person(
    fairbank: Run, people: object, phrases: dict[str, Path]
) -> None:
    change = ("node", "person", "passphrase", "ada", "--new-passphrase-file", phrases["ben"])
    fairbank(*change, "--passphrase-file", phrases["wrong"]).refused("FB-REL-025")
    fairbank(*change, "--passphrase-file", phrases["ada"]).ok()
    fairbank("node", "pause", "--all", "--as", "ada", "--passphrase-file", phrases["ben"]).ok()


def test_a_third_person_comes_in_by_somebody_who_is_there(
    fairbank: Run, people: object, phrases: dict[str, Path]
) -> None:
    add = ("node", "person", "add", "carl", "--passphrase-file", phrases["ada"])
    fairbank(*add).refused("FB-REL-022")
    fairbank(*add, "--role", "king").refused("'king'", code=2)
    fairbank(*add, "--as", "ben", "--as-passphrase-file", phrases["ben"], "--role", "privacy").ok()


def test_persons_of_the_node_ask_and_countersign_re_identifications(
    fairbank: Run, people: dict[str, tuple[str | Path, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fairbank("deid", "links", "enable", "lung").ok()
    with identity_of(open_node(Settings(home=tmp_path / "home"), FixedClock())) as identity:
        pseudonym = identity.subject("lung", "CLINIC\x1fPAT1").subject
    ask = ("deid", "reidentify", "lung", pseudonym, "--reason", "recontact")
    fairbank(*ask).refused("--as NAME", code=2)
    request = fairbank(*ask, *people["ada"]).ok().out.strip()
    fairbank("deid", "reidentify", "approve", request, *people["ada"]).refused("cannot countersign")
    fairbank("deid", "reidentify", "approve", request, *people["ben"]).ok()
    monkeypatch.setattr("fairbank.cli.deid_reidentify._at_a_terminal", lambda: True)
    assert "PAT1" in fairbank("deid", "reidentify", "show", request, *people["ada"]).ok().out


def test_who_keeps_a_key_elsewhere_is_named_by_a_person_of_the_node(
    fairbank: Run, people: dict[str, tuple[str | Path, ...]], tmp_path: Path, phrases: dict[str, Path]
) -> None:
    made = ("deid", "person", "key", tmp_path / "eve.pem", "--passphrase-file", phrases["wrong"])
    key_id = fairbank(*made).ok().out.strip()
    fairbank("deid", "person", "add", "eve", key_id).refused("FB-REL-022")
    fairbank("deid", "person", "add", "eve", key_id, *people["ada"]).ok()


def test_a_person_without_the_role_privacy_decides_nothing_about_faces(
    fairbank: Run, people: dict[str, tuple[str | Path, ...]], phrases: dict[str, Path]
) -> None:
    add = ("node", "person", "add", "carl", "--role", "curator", "--passphrase-file", phrases["wrong"])
    fairbank(*add, "--as", "ada", "--as-passphrase-file", phrases["ada"]).ok()
    decide = ("deid", "faces", "set", "neuro", "in-situ", "--reason", "vote 17")
    fairbank(*decide, "--as", "carl", "--passphrase-file", phrases["wrong"]).refused("FB-DEID")
    fairbank(*decide, *people["ada"]).ok()
    shown = json.loads(fairbank("deid", "faces", "show", "--format", "json").ok().out)
    assert [one["decided_by"] for one in shown] == ["ada"]


def test_a_node_without_a_hub_replaces_its_key_and_lists_no_grants(
    fairbank: Run, people: dict[str, tuple[str | Path, ...]]
) -> None:
    before = json.loads(fairbank("node", "show", "--format", "json").ok().out)["key"]
    fairbank("node", "key", "rotate", *people["ada"]).ok()
    assert json.loads(fairbank("node", "show", "--format", "json").ok().out)["key"] != before
    assert [
        one["name"] for one in json.loads(fairbank("node", "person", "list", "--format", "json").ok().out)
    ]
    fairbank("node", "grants", "list").refused("FB-REL-014")


def test_the_hub_s_operator_replaces_its_key_and_suspends_a_node(fairbank: Run) -> None:
    fairbank("hub", "init", "--public-base-iri", "http://hub.test").ok()
    before = json.loads(fairbank("hub", "show", "--format", "json").ok().out)["key"]
    fairbank("hub", "key", "rotate").ok()
    assert json.loads(fairbank("hub", "show", "--format", "json").ok().out)["key"] != before
    fairbank("hub", "node", "suspend", "nobody").refused("FB-CAT-012")


@pytest.mark.parametrize("form", ["html", "md", "json"])
def test_the_record_of_processing_is_written_in_three_forms(fairbank: Run, tmp_path: Path, form: str) -> None:
    init_node(Settings(home=tmp_path / "home"), FixedClock(), name="east", title="East & Sons")
    file = tmp_path / f"report.{form}"
    fairbank("node", "report", "gdpr", "--format", form, "--file", file).ok()
    printed = fairbank("node", "report", "gdpr", "--format", form).ok().out
    title = "East &amp; Sons" if form == "html" else "East & Sons"
    assert title in file.read_text() and title in printed
    if form == "json":
        assert json.loads(printed)["schema"] == "gdpr-report/1"
