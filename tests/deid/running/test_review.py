"""Held files are decided of by groups, on record; a sample of the outputs is looked at."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from tests.deid.conftest import as_file, ct_dataset
from tests.deid.running.conftest import Bench, put_series

from fairbank.deid.decisions import Verdict
from fairbank.deid.errors import NoSuchGroup, NotForAPerson
from fairbank.deid.running.looking import write_views
from fairbank.deid.running.place import Place
from fairbank.deid.running.samples import (
    draw,
    last_sample,
    record_look,
    sampling_of,
    unseen,
)
from fairbank.deid.running.taking_back import take_back
from fairbank.deid.running.verdicts import Decision, held_groups, record


def screens(bench: Bench, count: int = 3, first: int = 1, model: str = "Zorgon") -> None:
    for instance in range(first, first + count):
        dataset = ct_dataset("PATIENT-9", 1, 1, instance)
        dataset.Modality, dataset.Manufacturer, dataset.ManufacturerModelName = "US", "Philips", model
        bench.put(f"screen-{instance}.dcm", as_file(dataset))


def decide(bench: Bench, group: str, verdict: Verdict) -> int:
    with closing(bench.journal()) as journal:
        return record(journal, Decision(group, verdict, "looked at all", "dr-who"), bench.clock)


def groups(bench: Bench) -> dict[str, int]:
    with closing(bench.journal()) as journal:
        return {one.group: one.files for one in held_groups(journal)}


def test_files_of_one_device_are_one_line_and_name_nobody(bench: Bench) -> None:
    screens(bench, model="Quarzfeld")
    bench.run()
    ((group, files),) = groups(bench).items()
    assert files == 3
    assert group.startswith("pixels-unverified|US|Philips|~") and group.endswith("|4x4")
    assert "Quarzfeld" not in group


def test_a_released_group_goes_out_with_files_that_come_later(bench: Bench) -> None:
    screens(bench)
    bench.run()
    (group,) = groups(bench)
    assert decide(bench, group, Verdict.RELEASE) == 3
    assert bench.outputs() == {}, "a decision takes effect with the next run"
    screens(bench, first=4)
    bench.run()
    assert len(bench.outputs()) == 6 and bench.held() == {}


def test_a_release_that_is_taken_back_takes_the_files_back(bench: Bench) -> None:
    screens(bench)
    bench.run()
    (group,) = groups(bench)
    decide(bench, group, Verdict.RELEASE)
    bench.run()
    assert len(bench.outputs()) == 3
    decide(bench, group, Verdict.KEEP_HELD)
    bench.run()
    assert bench.outputs() == {} and len(bench.held()) == 3


def test_discarded_files_are_neither_held_nor_out(bench: Bench) -> None:
    screens(bench)
    bench.run()
    (group,) = groups(bench)
    decide(bench, group, Verdict.DISCARD)
    bench.run()
    assert bench.outputs() == {} and bench.held() == {}
    assert {one["state"] for one in bench.files().values()} == {"notneeded"}
    assert groups(bench) == {}


def test_what_a_look_cannot_settle_is_not_released(bench: Bench) -> None:
    dataset = ct_dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    bench.put("document.dcm", as_file(dataset))
    bench.run()
    (group,) = groups(bench)
    with pytest.raises(NotForAPerson):
        decide(bench, group, Verdict.RELEASE)
    assert decide(bench, group, Verdict.KEEP_HELD) == 1
    with pytest.raises(NoSuchGroup):
        decide(bench, "pixels-unverified|CT|nobody", Verdict.RELEASE)


def test_every_decision_stays_on_record(bench: Bench) -> None:
    screens(bench)
    bench.run()
    (group,) = groups(bench)
    decide(bench, group, Verdict.RELEASE)
    decide(bench, group, Verdict.KEEP_HELD)
    with closing(bench.journal()) as journal:
        kept = journal.select("select verdict, reason, agent from decisions order by number")
        (shown,) = held_groups(journal)
    assert [row["verdict"] for row in kept] == ["release", "keep-held"]
    assert {(row["reason"], row["agent"]) for row in kept} == {("looked at all", "dr-who")}
    assert (shown.verdict, shown.agent) == ("keep-held", "dr-who")


def test_views_are_for_their_owner_only(bench: Bench, tmp_path: Path) -> None:
    screens(bench, count=1)
    bench.put("report.dcm", as_file(_report()))
    bench.run()
    folder = tmp_path / "views"
    files = [bench.target / "quarantine" / name for name in bench.held()]
    assert write_views(files, folder) == 2
    assert folder.stat().st_mode & 0o777 == 0o700
    found = {path.suffix: path for path in folder.iterdir()}
    assert set(found) == {".png", ".txt"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in found.values())
    assert found[".png"].read_bytes().startswith(b"\x89PNG")
    assert "Quarzfeld" in found[".txt"].read_text()


def _report():  # type: ignore[no-untyped-def]
    dataset = ct_dataset("PATIENT-9", 1, 2, 1)
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    del dataset.PixelData
    return dataset


def test_what_was_looked_at_gives_the_bound(bench: Bench) -> None:
    put_series(bench, patients=2, series=2, instances=3)
    bench.run()
    with closing(bench.journal()) as journal:
        assert sampling_of(journal) is None
        drawn = draw(journal, "dr-who", bench.clock)
        assert set(drawn.outputs) == set(bench.outputs())
        assert record_look(journal, drawn.outputs[:5], "dr-who", bench.clock, clean=True) == 7
        found = sampling_of(journal)
        assert found is not None and (found.looked_at, found.failed) == (5, 0)
        assert found.upper_bound == 4 / 12
        record_look(journal, drawn.outputs[:1], "dr-who", bench.clock, clean=False)
        record_look(journal, tuple(unseen(journal)), "dr-who", bench.clock, clean=True)
        found = sampling_of(journal)
    assert found is not None and (found.looked_at, found.failed, found.upper_bound) == (12, 1, 1 / 12)


def test_files_that_were_not_drawn_do_not_count(bench: Bench) -> None:
    put_series(bench, patients=1, series=1)
    bench.run()
    with closing(bench.journal()) as journal:
        with pytest.raises(NoSuchGroup):
            record_look(journal, ("a/b/c/d.dcm",), "dr-who", bench.clock, clean=True)
        draw(journal, "dr-who", bench.clock)
        with pytest.raises(NoSuchGroup):
            record_look(journal, ("a/b/c/d.dcm",), "dr-who", bench.clock, clean=True)
        first = last_sample(journal)
        draw(journal, "dr-who", bench.clock)
        second = last_sample(journal)
    assert first is not None and second is not None and (first.number, second.number) == (1, 2)


def look(bench: Bench, output: str) -> int:
    with closing(bench.journal()) as journal:
        draw(journal, "dr-who", bench.clock)
        record_look(journal, (output,), "dr-who", bench.clock, clean=False)
        return take_back(Place(bench.target), journal, [output], "dr-who", bench.clock)


def test_what_was_seen_to_identify_is_taken_back_with_its_series_at_once(bench: Bench) -> None:
    put_series(bench, patients=2, series=2, instances=3)
    bench.run()
    before = bench.outputs()
    bad = next(iter(before))
    assert look(bench, bad) == 3
    series = bad.rpartition("/")[0]
    left = {name: content for name, content in before.items() if not name.startswith(series)}
    assert bench.outputs() == left and not (bench.target / series).exists()
    assert sorted(bench.held().values()) == sorted(before[name] for name in before.keys() - left.keys())
    assert {one["reasons"][0] for one in bench.files().values() if one["reasons"]} == {"seen-identifying"}
    assert all((bench.target / "quarantine" / name).stat().st_mode & 0o777 == 0o600 for name in bench.held())
    bench.put("doe_0/0/late.dcm", as_file(ct_dataset("PATIENT-0", 1, 0, 9)))
    bench.put("doe_0/1/late.dcm", as_file(ct_dataset("PATIENT-0", 1, 1, 9)))
    bench.put("doe_1/0/late.dcm", as_file(ct_dataset("PATIENT-1", 1, 0, 9)))
    bench.put("doe_1/1/late.dcm", as_file(ct_dataset("PATIENT-1", 1, 1, 9)))
    bench.run()
    assert left.items() <= bench.outputs().items(), "a later run does not let them go"
    assert bad not in bench.outputs() and len(bench.outputs()) == 9 + 4


def test_what_was_taken_back_goes_out_again_only_on_a_word(bench: Bench) -> None:
    put_series(bench, patients=1, series=1, instances=2)
    bench.run()
    before = bench.outputs()
    look(bench, next(iter(before)))
    bench.run()
    assert bench.outputs() == {}
    ((group, files),) = groups(bench).items()
    assert files == 2 and group.startswith("seen-identifying|CT|")
    decide(bench, group, Verdict.RELEASE)
    bench.run()
    assert bench.outputs() == before and bench.held() == {}
    bench.run()
    assert bench.outputs() == before


def test_a_released_group_is_taken_back_whole_and_its_release_with_it(bench: Bench) -> None:
    screens(bench, count=4)
    put_series(bench, patients=1, series=1, instances=2)
    bench.run()
    (group,) = groups(bench)
    decide(bench, group, Verdict.RELEASE)
    bench.run()
    with closing(bench.journal()) as journal:
        screen = next(str(row.output) for row in journal.cleaned() if row.grp == group)
    assert look(bench, screen) == 4
    assert len(bench.outputs()) == 2
    assert {name.partition("|")[0]: files for name, files in groups(bench).items()} == {
        "pixels-unverified": 3,
        "seen-identifying": 1,
    }
    bench.run()
    assert len(bench.outputs()) == 2 and len(bench.held()) == 4
    decide(bench, group, Verdict.RELEASE)
    bench.run()
    assert len(bench.outputs()) == 5, "the file itself needs a word of its own"
    with closing(bench.journal()) as journal:
        kept = journal.select("select verdict, agent from decisions order by number")
    assert [row["verdict"] for row in kept] == ["release", "keep-held", "release"]
