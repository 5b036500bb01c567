"""Every act that is written into an audit log has its line in docs/explanation/audited-acts.md, and no line is of none.

Acts are found in the code: what is given as `act` to `audit.record`, also through a function of the same module that
passes it on. Where only the verb is worked out, as in `leg.{command}`, the family is documented: `leg.*`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest

from fairbank.release.person_decisions import Act

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = REPOSITORY / "src" / "fairbank"
PAGE = REPOSITORY / "docs" / "explanation" / "audited-acts.md"
ACT = re.compile(r"[a-z]+(-[a-z]+)*\.([a-z]+(-[a-z]+)*|\*)")
# What each of these says must be in a log, whatever else changes.
NEVER_WITHOUT = {
    "account.create", "account.disable", "account.login", "account.login-failures", "account.password",
    "account.reset", "account.second-factor", "account.second-factor-removed", "account.key", "account.link",
    "token.make", "token.revoke", "role.give", "role.take", "committee.create", "committee.member",
    "committee.leave", "committee.delegate", "committee.substitute", "vote.cast", "conflict.declare",
    "grant.make", "grant.end", "grant.export", "grant.countersign", "grant.refuse", "dataset.visibility",
    "node.invite", "node.enrol", "node.shut-out", "node.suspend", "node.resume", "node.key-succession",
    "hub.init", "hub.key-succession", "person.add", "person.retire", "job.submit", "job.approve", "job.reject",
    "rule.add", "rule.remove", "release.stage", "release.send", "release.refuse", "release.receive",
    "subject.withdraw", "consent.import", "reidentification.try", "reidentification.show", "key.rotate",
    "settings.change", "audit.alarm", "audit.clear", "retention.apply",
}  # fmt: skip


Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Module:
    """One module of the code, with the constants that acts are named by."""

    def __init__(self, path: Path) -> None:
        self.name = str(path.relative_to(SOURCES))
        self._tree = ast.parse(path.read_text(encoding="utf-8"))
        self._constants: dict[str, str] = {}
        for statement in self._tree.body:
            if isinstance(statement, ast.Assign):
                self._keep(statement.targets[0], statement.value)
            elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
                self._keep(statement.target, statement.value)

    def _keep(self, target: ast.expr, value: ast.expr) -> None:
        match target, value:
            case ast.Name(id=name), ast.Constant(value=str(text)):
                self._constants[name] = text
            case ast.Tuple(elts=names), ast.Tuple(elts=values):
                for one, its in zip(names, values, strict=False):
                    self._keep(one, its)

    def acts(self) -> Iterator[str]:
        """Yield the acts that this module writes; ValueError if one is not found out."""
        for call, function in self._calls():
            if _is_record(call):
                (given,) = (each.value for each in call.keywords if each.arg == "act")
                yield from self._resolve(given, function)

    def _calls(self) -> Iterator[tuple[ast.Call, Function]]:
        for function in ast.walk(self._tree):
            if isinstance(function, Function):
                yield from ((each, function) for each in ast.walk(function) if isinstance(each, ast.Call))

    def _resolve(self, given: ast.expr, function: Function) -> Iterator[str]:
        found = set(self._read(given))
        names = [each.id for each in ast.walk(given) if isinstance(each, ast.Name)]
        passed = [name for name in _parameters(function) if name in names]
        if not found and passed:
            # Passed on: from the calls of this function or method.
            for call, caller in self._calls():
                if _name_of(call) == function.name:
                    found.update(self._resolve(_argument(call, function, passed[0]), caller))
        if not found:
            raise ValueError(f"{self.name}:{given.lineno}: which act is written here?")
        yield from found

    def _read(self, given: ast.expr) -> Iterator[str]:
        match given:
            case ast.Constant(value=str(text)) if ACT.fullmatch(text):
                yield text
            case ast.Name(id=name) if ACT.fullmatch(self._constants.get(name, "")):
                yield self._constants[name]
            case ast.JoinedStr(values=[ast.Constant(value=str(text)), ast.FormattedValue()]):
                yield f"{text}*"
            case ast.Attribute(value=ast.Name(id="Act"), attr=name):
                yield Act[name].value
            case ast.Attribute(value=inner, attr="value"):
                yield from self._read(inner)
            case ast.IfExp(body=one, orelse=other):
                yield from self._read(one)
                yield from self._read(other)


def _parameters(function: Function) -> list[str]:
    return [each.arg for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]


def _name_of(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _argument(call: ast.Call, function: Function, name: str) -> ast.expr:
    """Return what a call gives for a parameter of the function."""
    for each in call.keywords:
        if each.arg == name:
            return each.value
    names = _parameters(function)
    method = names[:1] == ["self"]
    return call.args[names.index(name) - method]


def _is_record(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(value=ast.Name(id="audit"), attr="record"):
            return True
        case ast.Name(id="record"):
            return any(each.arg == "act" for each in call.keywords)
    return False


@cache
def written() -> dict[str, set[str]]:
    """Return the acts that the code writes, each with the modules that do."""
    found: dict[str, set[str]] = {}
    for path in sorted(SOURCES.rglob("*.py")):
        if "audit" in path.read_text(encoding="utf-8"):
            module = Module(path)
            for act in module.acts():
                found.setdefault(act, set()).add(module.name)
    return found


def documented() -> list[str]:
    rows = re.findall(r"^\| (`[^|]+) \|", PAGE.read_text(encoding="utf-8"), re.M)
    return [act for row in rows for act in re.findall(r"`([^`]+)`", row)]


def test_every_act_that_is_written_has_its_line_and_every_line_its_act() -> None:
    acts = documented()
    assert sorted(set(written()) - set(acts)) == [], f"these acts have no line in {PAGE.name}"
    assert sorted(set(acts) - set(written())) == [], "these lines are of acts that nothing writes"
    twice = {act for act in acts if acts.count(act) > 1}
    # At the hub and at a node, one act may mean two things.
    assert all(acts.count(act) == 2 for act in twice), twice


def test_what_has_to_be_in_a_log_is_written() -> None:
    assert sorted(NEVER_WITHOUT - set(written())) == []


def test_acts_are_found_in_the_code_in_each_way_they_are_given() -> None:
    assert {"grant.make", "leg.*", "role.give", "job.approve", "release.stage", "settings.change"} <= set(
        written()
    )


@pytest.mark.parametrize("text", ["act=act", "act=f'{noun}.{verb}'", "act='shout'"])
def test_an_act_that_cannot_be_found_out_is_a_fault(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "SOURCES", tmp_path)
    file = tmp_path / "new.py"
    file.write_text(f"def do(act, noun, verb):\n    audit.record(session, table, {text})\n", encoding="utf-8")
    with pytest.raises(ValueError, match="which act"):
        list(Module(file).acts())
