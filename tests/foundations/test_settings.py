"""Settings: who wins, where a value came from, and what is refused."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from fairbank.settings import FILE_NAME, Explained, Settings, SettingsError, load


def written(home: Path, text: str) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    path = home / FILE_NAME
    path.write_text(text, encoding="utf-8")
    return path


def origin_of(explained: list[Explained], name: str) -> str:
    return next(line.origin for line in explained if line.name == name)


def test_every_setting_has_a_default_and_is_explained(tmp_path: Path) -> None:
    settings, explained = load(environ={}, flags={"home": tmp_path})
    assert settings.hub_port == 8470
    assert [line.name for line in explained] == [setting.name for setting in fields(Settings)]
    assert all(line.help for line in explained)
    assert origin_of(explained, "hub_port") == "default"


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    written(tmp_path, "[hub]\nport = 1\nhost = 'file'\n[jobs]\nlease_s = 11\n")
    environ = {"FAIRBANK_HOME": str(tmp_path), "FAIRBANK_HUB_PORT": "2", "FAIRBANK_HUB_HOST": "environ"}
    settings, explained = load(environ=environ, flags={"hub_port": 3})
    assert (settings.hub_port, settings.hub_host, settings.jobs_lease_s) == (3, "environ", 11)
    assert origin_of(explained, "hub_port") == "flag"
    assert origin_of(explained, "hub_host") == "environment FAIRBANK_HUB_HOST"
    assert origin_of(explained, "jobs_lease_s") == f"file {FILE_NAME}"


def test_a_flag_that_was_not_given_changes_nothing(tmp_path: Path) -> None:
    settings, _ = load(environ={"FAIRBANK_HUB_PORT": "7"}, flags={"home": tmp_path, "hub_port": None})
    assert settings.hub_port == 7


def test_the_file_of_the_chosen_home_is_read(tmp_path: Path) -> None:
    written(tmp_path / "a", "[node]\nname = 'a'")
    written(tmp_path / "b", "[node]\nname = 'b'")
    settings, _ = load(environ={"FAIRBANK_HOME": str(tmp_path / "a")}, flags={"home": tmp_path / "b"})
    assert settings.node_name == "b"


def test_the_home_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings, _ = load(environ={}, flags={"home": "here"})
    assert settings.home == tmp_path / "here"


@pytest.mark.parametrize(
    ("environ", "part"),
    [
        ({"FAIRBANK_HUB_PROT": "1"}, "Did you mean hub_port?"),
        ({"FAIRBANK_HUB_PORT": "many"}, "whole number"),
        ({"FAIRBANK_RELEASE_MINIMUM_COUNT": "0"}, "1 or more"),
        ({"FAIRBANK_SANDBOX_MODE": "off"}, "strict, permissive"),
    ],
)
def test_an_impossible_setting_is_refused_with_help(
    environ: dict[str, str], part: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as refusal:
        load(environ=environ, flags={"home": tmp_path})
    assert part in str(refusal.value)


@pytest.mark.parametrize(
    "text", ["[hub]\nport = true", "[hub]\nport = 1.5", "[hub]\nhost = 7", "[hub]\ncolour = 'red'", "port ="]
)
def test_a_file_with_a_mistake_is_refused(text: str, tmp_path: Path) -> None:
    written(tmp_path, text)
    with pytest.raises(SettingsError):
        load(environ={}, flags={"home": tmp_path})


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no settings file"):
        load(environ={}, file=tmp_path / "missing.toml")


def test_variables_of_the_test_suite_are_no_settings(tmp_path: Path) -> None:
    environ = {"FAIRBANK_DATA": "/x", "FAIRBANK_TEST_POSTGRES": "y", "HOME": "/z"}
    assert load(environ=environ, flags={"home": tmp_path})[0].home == tmp_path


def test_settings_cannot_be_changed_once_made() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().hub_port = 1  # type: ignore[misc]


def test_places_follow_from_the_home_unless_named(tmp_path: Path) -> None:
    settings, _ = load(environ={}, flags={"home": tmp_path})
    assert settings.hub_database_url == f"sqlite:///{tmp_path}/hub.db"
    assert settings.node_database_url == f"sqlite:///{tmp_path}/node.db"
    assert settings.store_path == tmp_path / "store"
    assert settings.keys_path == tmp_path / "keys"
    named, _ = load(environ={}, flags={"home": tmp_path, "node_store": "/elsewhere", "hub_database": "x://"})
    assert named.store_path == Path("/elsewhere")
    assert named.hub_database_url == "x://"


def test_no_secret_is_a_setting_with_a_default() -> None:
    secret = [
        setting
        for setting in fields(Settings)
        if {"password", "token", "secret"} & set(setting.name.split("_"))
    ]
    assert [setting.name for setting in secret if setting.default] == []
