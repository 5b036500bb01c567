"""Reports of trainings: what they say agrees with the record, every figure is labelled, nothing gets in as markup."""

from __future__ import annotations

import io
import struct
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console
from tests.federated_jobs.training_records import JOB, made_up

from fairbank.clock import parse_iso
from fairbank.federated_jobs.objectives import headline, verdict, worst_site
from fairbank.federated_jobs.reports.event_files import crc32c, masked
from fairbank.federated_jobs.reports.page import page
from fairbank.federated_jobs.reports.rows import metric_rows, round_rows
from fairbank.federated_jobs.reports.tensorboard import FEDERATION, export
from fairbank.federated_jobs.reports.terminal import left_s, lines_of, screen
from fairbank.federated_jobs.training_record import Origin
from fairbank.ontology.signed_objects import Objective

NOW = parse_iso("2026-11-30T12:05:30.000Z")
_EMPTY = {"meta", "br", "path", "rect", "circle"}


class Balanced(HTMLParser):
    """Fails where an element is closed that is not the open one."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.figures = self.labels = 0
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.figures += tag == "figure"
        self.labels += ("class", "origin") in attrs and "figure" in self.open
        assert tag != "script" and not any(name.startswith("on") for name, _ in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_figure_says_what_its_numbers_were_made_from():
    found = Balanced(page(made_up()))
    assert found.figures == found.labels >= 6


def test_the_worst_site_of_each_picture_is_named():
    text = page(made_up())
    assert text.count("north (worst)") >= 4 and "east (worst)" not in text


def test_titles_and_options_get_in_as_text_only():
    text = page(made_up(title="<script>alert(1)</script>", parameters={"a": "<img src=x>"}))
    Balanced(text)
    assert "<script" not in text and "<img" not in text


def test_a_training_without_rounds_and_one_without_metrics_have_a_report():
    bare = made_up(closed=0, done=[])
    Balanced(page(bare))
    silent = made_up()
    done = [
        one.model_copy(update={"sites": tuple(s.model_copy(update={"notes": {}}) for s in one.sites)})
        for one in silent.done
    ]
    Balanced(page(silent.model_copy(update={"done": tuple(done)})))
    assert silent.standing() is not None and bare.standing() is None


def test_who_is_missing_is_listed_by_round():
    record = made_up()
    assert list(record.missing()) == [(3, "west"), (4, "west")]
    assert "west: not in round 3 to 4" in page(record)


def test_a_site_s_share_is_the_mean_of_its_weights_over_the_rounds():
    record = made_up(closed=2, rounds=2)
    total = 400 + 650 + 900
    assert record.shares() == pytest.approx({"east": 400 / total, "north": 650 / total, "west": 900 / total})


def test_the_merged_model_s_value_belongs_to_the_round_before():
    record = made_up(closed=3, rounds=3)
    assert sorted(record.merged_curve("mse")["east"]) == [0, 1, 2]
    assert sorted(record.local_curve("mse")["east"]) == [1, 2, 3]
    assert record.merged_curve("mse")["east"][1] == record.local_curve("mse")["east"][1]
    found, after = record.standing()
    assert (found.metric, found.worst, after) == ("psnr_db", "north", 2)


def test_data_of_several_kinds_are_called_mixed():
    record = made_up()
    one = record.sites[0].model_copy(update={"origin": Origin.REAL_WORLD})
    assert record.origin is Origin.SYNTHETIC
    assert record.model_copy(update={"sites": (one, *record.sites[1:])}).origin is Origin.MIXED


# -- objectives ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "expected"),
    [(Objective.MEAN, 0.7), (Objective.WEIGHTED, 0.65), (Objective.WORST_SITE, 0.5)],
)
def test_an_objective_is_worked_out_over_the_sites(objective, expected):
    found = verdict(objective, "dice", {"a": 0.9, "b": 0.5}, {"a": 30.0, "b": 50.0})
    assert found is not None and found.value == pytest.approx(expected)
    assert (found.worst, round(found.spread, 6)) == ("b", 0.4)


def test_of_a_loss_the_largest_is_worst_and_of_an_unknown_metric_none_is():
    assert worst_site({"a": 0.1, "b": 0.4}, "loss") == "b"
    assert worst_site({"a": 0.1, "b": 0.4}, "mean_weight") is None
    assert verdict(Objective.MEAN, "mean_weight", {"a": 1.0}, {}) is None
    assert headline(["mean_weight"]) is None


# -- terminal --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [30, 40, 64, 80, 200])
def test_a_terminal_of_any_width_shows_every_site_and_marks_the_worst(width):
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(screen(made_up(), now=NOW, width=width))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    lines = shown.splitlines()
    assert max(len(line) for line in lines) <= width
    assert [line.split()[0] for line in lines if "◀" in line] == ["north", "north"]
    for site in ("east", "north", "west"):
        assert sum(line.startswith(f"{site} ") for line in lines) == 3


def test_what_is_left_is_worked_out_of_the_last_rounds():
    # Four rounds of 32 s on average are left, and of the fourth 10 s have gone.
    assert left_s(made_up(), now=NOW) == pytest.approx(4 * 32 - 10, abs=2)
    assert left_s(made_up(closed=0, done=[]), now=NOW) is None
    assert left_s(made_up(rounds=4, closed=4), now=NOW) is None


def test_a_log_gets_one_line_for_each_new_round():
    said = list(lines_of(made_up(), after=6))
    assert [line.split(":")[0] for line in said] == ["round 7 of 12", "round 8 of 12"]
    assert "north 20.22 (worst)" in said[0]


# -- rows and event files --------------------------------------------------------------------------------------------


def test_rows_hold_every_number_of_the_record_once():
    record = made_up(closed=2, rounds=2)
    rows = metric_rows(record)
    assert len(rows) == 2 * 3 * 4
    assert {(row.model, row.round) for row in rows} == {
        ("merged", 0),
        ("merged", 1),
        ("local", 1),
        ("local", 2),
    }
    first = round_rows(record)[0]
    assert (first.updates, first.wall_s, first.until_last_update_s, first.merging_s) == (3, 32.0, 28.0, 4.0)
    assert first.longest_wait_s == 10.0


# RFC 3720, appendix B.4.
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
    ids=["zeros", "ones", "up", "down"],
)
def test_checksums_are_those_of_the_standard(data, expected):
    assert crc32c(data) == expected


def test_event_files_hold_what_sites_measured(tmp_path):
    record = made_up(closed=3, rounds=3)
    written = export(record, tmp_path)
    assert [file.parent.name for file in written] == ["east", FEDERATION, "north", "west"]
    events = scalars(tmp_path / "east" / written[0].name)
    curve = record.local_curve("mse")["east"]
    assert {step: value for tag, step, value in events if tag == "local/mse"} == pytest.approx(curve)
    together = scalars(written[1])
    worst = {step: value for tag, step, value in together if tag == "objective/worst-site/psnr_db"}
    assert worst == pytest.approx(record.merged_curve("psnr_db")["north"])
    before = {file: file.read_bytes() for file in written}
    export(record, tmp_path)
    assert {file: file.read_bytes() for file in written} == before


def scalars(file: Path) -> list[tuple[str, int, float]]:
    """Read an event file as its format says, checking every checksum."""
    raw, at, found = file.read_bytes(), 0, []
    while at < len(raw):
        (length,) = struct.unpack_from("<Q", raw, at)
        assert struct.unpack_from("<I", raw, at + 8)[0] == masked(raw[at : at + 8])
        data = raw[at + 12 : at + 12 + length]
        assert struct.unpack_from("<I", raw, at + 12 + length)[0] == masked(data)
        at += 16 + length
        fields = dict(_fields(data))
        if 5 in fields:
            value = dict(_fields(dict(_fields(fields[5]))[1]))
            found.append((value[1].decode(), fields.get(2, 0), struct.unpack("<f", value[2])[0]))
        else:
            assert fields[3] == b"brain.Event:2"
    return found


def _fields(data: bytes):
    at = 0
    while at < len(data):
        key, at = _number(data, at)
        match key & 7:
            case 0:
                value, at = _number(data, at)
            case 1:
                value, at = data[at : at + 8], at + 8
            case 5:
                value, at = data[at : at + 4], at + 4
            case _:
                length, at = _number(data, at)
                value, at = data[at : at + length], at + length
        yield key >> 3, value


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


# -- a whole federation ----------------------------------------------------------------------------------------------


def test_the_hub_tells_a_training_round_by_round(fed):
    from fairbank.federated_jobs.training_record import TrainingRecord

    job = fed.run(rounds=3)
    record = TrainingRecord.parse(fed.get(f"/v1/jobs/{job}/training").json())
    assert [one.round for one in record.done] == [1, 2, 3]
    assert record.local_curve("loss") == {
        site: {1: 0.5, 2: 0.5, 3: 0.5} for site in ("east", "north", "west")
    }
    assert all(site.bytes_up > 0 for one in record.done for site in one.sites)
    later = TrainingRecord.parse(fed.get(f"/v1/jobs/{job}/training", rounds_from=3).json())
    assert later.done == record.done[2:]
    Balanced(page(record))
    analysis = fed.run("intensity-geometry")
    assert fed.get(f"/v1/jobs/{analysis}/training").json()["code"] == "FB-JOBS-345"
    assert fed.get(f"/v1/jobs/{JOB}/training").status_code == 404
