"""What the tests of folder runs share: a key file, folders of files, and a run of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.deid.conftest import as_file, ct_dataset

from fairbank.clock import FixedClock
from fairbank.deid.cleaning import Order
from fairbank.deid.method import Method
from fairbank.deid.running.folder_run import Ended, FolderOrder, KeyPath, run_folder
from fairbank.deid.running.journal import Journal
from fairbank.deid.running.place import Place
from fairbank.deid.running.workers import Here, Workers

KEY = bytes(range(40))


@dataclass
class Bench:
    """A source folder, an output folder and a key."""

    source: Path
    target: Path
    key: Path
    clock: FixedClock

    def put(self, name: str, content: bytes) -> Path:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def order(self, method: Method | None = None, target: Path | None = None) -> FolderOrder:
        target = target or self.target
        order = Order("default", method or Method())
        return FolderOrder(self.source, target, KeyPath(self.key), order, "curator", target / "report")

    def run(
        self,
        method: Method | None = None,
        *,
        target: Path | None = None,
        workers: Workers | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Ended:
        order = self.order(method, target)
        return run_folder(order, clock=self.clock, workers=workers or Here(), stopped=stopped)

    def files(self) -> dict[str, dict[str, object]]:
        told = json.loads((self.target / "report" / "files.json").read_text())
        assert isinstance(told, dict)
        return told

    def outputs(self, target: Path | None = None) -> dict[str, bytes]:
        """Return the cleaned files by their names."""
        root = target or self.target
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*.dcm"))
            if ".staging" not in path.parts
        }

    def held(self) -> dict[str, bytes]:
        """Return the copies in quarantine by reason and name."""
        folder = self.target / "quarantine"
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    def journal(self) -> Journal:
        return Journal(Place(self.target).journal)


@pytest.fixture
def bench(tmp_path: Path, clock: FixedClock) -> Bench:
    key = tmp_path / "study.key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    source = tmp_path / "incoming"
    source.mkdir()
    return Bench(source, tmp_path / "clean", key, clock)


def put_series(bench: Bench, patients: int = 2, series: int = 2, instances: int = 3) -> None:
    """Put files of some patients into the source folder, under names that tell who they are."""
    for patient in range(patients):
        for number in range(series):
            for instance in range(instances):
                dataset = ct_dataset(f"PATIENT-{patient}", 1, number, instance + 1)
                bench.put(f"doe_{patient}/{number}/{instance}.dcm", as_file(dataset))
