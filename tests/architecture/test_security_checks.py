"""The checks of `make check` that look for insecure code and dependencies find what they are to find."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from packaging.version import Version

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@cache
def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Installed:
    """A distribution as the checks see it."""

    def __init__(self, version: str = "1.0", *, licence: str = "MIT", source: str | None = None) -> None:
        from email.message import Message

        self.version, self._source = version, source
        self.metadata = Message()
        self.metadata["License-Expression"] = licence

    def read_text(self, name: str) -> str | None:
        return self._source


def found(installed: Installed) -> list[str]:
    checks = tool("check_dependencies")
    fault = checks.Vulnerability("example", "CVE-2000-0001", "1.0", "it did")
    return list(checks.of_one("example", "1.0", installed, [fault]))


def test_what_is_as_it_should_be_is_passed() -> None:
    assert found(Installed()) == []


@pytest.mark.parametrize(
    ("installed", "word"),
    [
        (Installed("0.9"), "CVE-2000-0001"),
        (Installed("1.1"), "pinned"),
        (Installed(licence="AGPL-3.0-only"), "licence"),
        (Installed(licence="GPL-3.0-or-later"), "licence"),
        (Installed(licence=""), "licence"),
        (Installed(source='{"url": "file:///src", "dir_info": {"editable": true}}'), "repository"),
    ],
)
def test_what_is_not_is_named(installed: Installed, word: str) -> None:
    assert any(word in line for line in found(installed))


@pytest.mark.parametrize(
    ("statement", "fits"),
    [
        ("MIT", True), ("Apache-2.0", True), ("BSD License", True), ("MPL-2.0", True), ("LGPL-3.0-or-later", True),
        ("MIT OR GPL-2.0-only", True), ("GNU Affero General Public License v3", False),
        ("GNU General Public License v3 (GPLv3)", False), ("Proprietary", False),
    ],
)  # fmt: skip
def test_a_licence_fits_or_not(statement: str, fits: bool) -> None:
    assert tool("check_dependencies").is_fitting(statement) is fits


def test_the_table_of_faults_can_be_read_and_is_in_order() -> None:
    known = tool("check_dependencies").known()
    assert known == sorted(known, key=lambda each: (each.package, Version(each.fixed_in)))
    assert len({each.id for each in known}) == len(known)


def test_a_finding_is_accepted_only_by_its_own_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = tool("check_security")
    monkeypatch.setattr(checks, "REPOSITORY", tmp_path)
    (tmp_path / "one.py").write_text("first\nquery = 1  # noqa: S608  why\nthird\nfourth\n")
    at = {"filename": "one.py", "test_id": "B608"}
    assert checks.is_accepted_there({**at, "line_range": [2]})
    assert not checks.is_accepted_there({**at, "line_range": [4]})
    assert not checks.is_accepted_there({**at, "test_id": "B105", "line_range": [2]})
