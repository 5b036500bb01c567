"""What a plan says is what a run then does."""

from __future__ import annotations

from tests.deid.conftest import as_file, ct_dataset
from tests.deid.running.conftest import Bench, put_series

from fairbank.deid.cleaning import Order
from fairbank.deid.method import Method
from fairbank.deid.running.planning import Plan, plan_folder
from fairbank.deid.running.workers import Here


def planned(bench: Bench) -> Plan:
    return plan_folder(
        bench.source,
        Order("plan", Method()),
        target=bench.target,
        clock=bench.clock,
        workers=Here(),
        processes=1,
    )


def mixed_folder(bench: Bench) -> None:
    put_series(bench)
    for instance in (1, 2):
        screen = ct_dataset("PATIENT-9", 1, 1, instance)
        screen.Modality, screen.BurnedInAnnotation = "US", "YES"
        bench.put(f"{instance}.dcm", as_file(screen))
    bench.put("notes.txt", b"not an image")
    (bench.source / "link").symlink_to(bench.source)
    first, second = ct_dataset("PATIENT-A", 1, 9, 1), ct_dataset("PATIENT-B", 1, 9, 2)
    second.SeriesInstanceUID = first.SeriesInstanceUID
    bench.put("a.dcm", as_file(first))
    bench.put("b.dcm", as_file(second))


def test_a_plan_counts_what_is_there(bench: Bench) -> None:
    mixed_folder(bench)
    found = planned(bench)
    assert (found.files, found.series, found.left) == (17, 6, {"link": 1})
    counted = {(line.modality, line.files, line.series) for line in found.kinds}
    assert counted == {("CT", 14, 5), ("US", 2, 1), ("", 1, 0)}
    assert found.size == sum(path.stat().st_size for path in bench.source.rglob("*.*") if path.is_file())
    assert found.hours > 0 and found.free > found.disk > 0


def test_a_plan_foretells_what_a_run_holds(bench: Bench) -> None:
    mixed_folder(bench)
    foretold = planned(bench).will_be_held
    ended = bench.run()
    held = {reason: count for (_, reason), count in ended.by_reason.items() if reason is not None}
    assert foretold == held == {"burned-in-annotation": 2, "mixed-subjects": 2, "not-dicom": 1}


def test_a_plan_writes_nothing(bench: Bench) -> None:
    mixed_folder(bench)
    planned(bench)
    assert not bench.target.exists()


def test_a_plan_of_an_empty_folder_is_empty(bench: Bench) -> None:
    found = planned(bench)
    assert (found.files, found.hours, found.kinds) == (0, 0.0, [])
