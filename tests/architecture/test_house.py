"""The house keeps its shape: directions, sizes, empty room files, light start, nothing of one machine."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "src" / "fairbank"
LARGEST_MODULE = 600
HEAVY = ("torch", "monai", "dask", "matplotlib", "pandas", "pynetdicom", "radiomics", "SimpleITK")
# Put together from parts, or this file would find itself.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("pypi", "python", "org"),
        ("download", "pytorch", "org"),
    )
]
MACHINE_PATHS = [
    "/".join(("", *parts))
    for parts in (("work", "main"), ("work", "shared"), ("opt", "pypi"), ("opt", "wheels"))
]


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if "__pycache__" not in path.parts)


def is_generated(path: Path) -> bool:
    return path.name.startswith("_") and not path.name.startswith("__")


def tracked_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, check=True, text=True,
    )  # fmt: skip
    files = [REPOSITORY / name for name in listing.stdout.split("\0") if name]
    return [path for path in files if path.is_file()]


def test_imports_point_down_the_house_and_never_in_a_circle(tmp_path: Path) -> None:
    check = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()",
         "--no-logo", "--cache-dir", str(tmp_path)],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip
    assert check.returncode == 0, check.stdout[-5000:]


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    import grimp

    graph = grimp.build_graph("fairbank", cache_dir=None, exclude_type_checking_imports=True)
    waiting = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    while ready := {module for module, imported in waiting.items() if not imported}:
        waiting = {module: imported - ready for module, imported in waiting.items() if module not in ready}
    assert sorted(waiting) == [], "these modules import each other, or one that does"


def test_a_module_says_one_thing_in_at_most_600_lines() -> None:
    """Tests too: who looks for what holds of a thing reads them, and splits them by what they are about."""
    tests = [path for path in (REPOSITORY / "tests").rglob("*.py") if "__pycache__" not in path.parts]
    long = {
        str(path.relative_to(REPOSITORY)): lines
        for path in (*modules(), *sorted(tests))
        if not is_generated(path)
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) > LARGEST_MODULE
    }
    assert long == {}


def test_no_module_is_named_after_nothing() -> None:
    empty_names = {"utils", "helpers", "common", "misc"}
    assert [str(path) for path in modules() if path.stem in empty_names] == []


def test_a_room_s_init_holds_its_docstring_and_nothing_else() -> None:
    more = []
    for path in SOURCE.glob("*/**/__init__.py"):
        if path.parent.name == "migrations":
            continue
        body = ast.parse(path.read_text(encoding="utf-8")).body
        only_docstring = (
            len(body) == 1 and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
        )
        if not only_docstring:
            more.append(str(path.relative_to(SOURCE)))
    assert more == []


def test_every_folder_of_code_is_a_room_of_the_contract() -> None:
    contract = (REPOSITORY / ".importlinter").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert [room for room in sorted(rooms) if room not in contract] == []


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    source = f"import sys; import fairbank.cli.main; print([m for m in {HEAVY!r} if m in sys.modules])"
    started = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""}
    )
    assert started.returncode == 0, started.stderr[-3000:]
    assert started.stdout.strip() == "[]"


@pytest.mark.parametrize("words", [REGISTRIES, MACHINE_PATHS], ids=["registries", "machine-paths"])
def test_no_file_names_a_package_registry_or_a_path_of_one_machine(words: list[str]) -> None:
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(REPOSITORY)}: {word}" for word in words if word in text]
    assert found == []


def test_nothing_but_the_clock_asks_the_machine_for_time_or_ids() -> None:
    """The clock is injected: a rule that asks the machine cannot be tested or replayed."""
    asked = []
    for path in modules():
        if path == SOURCE / "clock.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {
                "datetime.now", "datetime.utcnow", "datetime.datetime.now", "date.today", "uuid4", "uuid.uuid4",
                "uuid1", "uuid.uuid1",
            }:  # fmt: skip
                asked.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert asked == []


def test_processes_are_spawned_never_forked() -> None:
    forks = []
    # Only the probe may: it forks inside the sandbox to prove that the limit on processes holds.
    for path in set(modules()) - {SOURCE / "federated_jobs" / "node" / "probe.py"}:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name in {"os.fork", "os.forkpty", "multiprocessing.Process", "multiprocessing.Pool"}:
                    forks.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert forks == []
