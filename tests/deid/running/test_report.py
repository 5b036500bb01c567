"""The report: true, whole, and free of anything identifying."""

from __future__ import annotations

import json
from contextlib import closing
from copy import deepcopy
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.deid.conftest import as_file, ct_dataset
from tests.deid.running.conftest import Bench, put_series

from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason
from fairbank.deid.policies import FacePolicy
from fairbank.deid.profiles import Profile
from fairbank.deid.reports.folder import folder_summary
from fairbank.deid.reports.reasons import MEANINGS
from fairbank.deid.reports.summary import Summary
from fairbank.deid.reports.thumbnails import thumbnail
from fairbank.deid.reports.writing import write_report
from fairbank.deid.rules import Option
from fairbank.deid.running.place import Place
from fairbank.deid.running.samples import draw, record_look
from fairbank.deid.verification.safe_harbor import coverage


def summary_of(bench: Bench) -> Summary:
    with closing(bench.journal()) as journal:
        return folder_summary(Place(bench.target), journal, bench.target / "report")


@pytest.fixture
def told(bench: Bench) -> Path:
    put_series(bench)
    dataset = ct_dataset("PATIENT-9")
    dataset.BurnedInAnnotation = "YES"
    dataset.add_new(0x00111001, "LO", "Quarzfeld")
    bench.put("quarzfeld.dcm", as_file(dataset))
    (bench.source / "link").symlink_to(bench.key)
    bench.run()
    with closing(bench.journal()) as journal:
        record_look(journal, draw(journal, "dr-who", bench.clock).outputs, "dr-who", bench.clock, clean=True)
    write_report(summary_of(bench), bench.target / "report")
    return bench.target / "report"


def test_the_report_says_what_came_in_and_went_out(told: Path, bench: Bench) -> None:
    report = json.loads((told / "report.json").read_text())
    assert report["came_in"]["files"] == 13 and report["came_in"]["not read"] == {"link": 1}
    assert report["went_out"] == {"subjects": 2, "series": 4, "files": 12}
    assert report["by_state"] == {"ok": 12, "impossible: burned-in-annotation": 1}
    assert [line["files"] for line in report["held"]] == [1]
    assert report["sampling"]["upper_bound"] == 0
    assert report["method"]["digest"] == Method().digest


def test_elements_are_counted_before_and_after(told: Path) -> None:
    lines = {line["tag"]: line for line in json.loads((told / "report.json").read_text())["tags"]}
    name, birth, modality = lines["(0010,0010)"], lines["(0010,0030)"], lines["(0008,0060)"]
    assert (name["before"], name["replaced"], name["rule"]) == (12, 12, "Z")
    assert birth["before"] == 12 and birth["kept"] == 0
    assert (modality["before"], modality["kept"]) == (12, 12)
    assert lines["(0012,0062)"]["added"] == 12


def test_elements_of_items_are_counted_each(bench: Bench) -> None:
    dataset = ct_dataset()
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "T-A0100", "SRT", "Brain"
    item.ReferencedSOPInstanceUID = "1.2.826.0.1.3680043.9.1.2.3"
    item.OperatorsName = "Quarzfeld"
    item.add_new(0x00111001, "LO", "Quarzfeld")
    dataset.AnatomicRegionSequence = Sequence([item, deepcopy(item)])
    bench.put("a.dcm", as_file(dataset))
    bench.run()
    lines = {line.tag: line for line in summary_of(bench).tags}
    assert (lines[">(0008,0100)"].before, lines[">(0008,0100)"].kept) == (2, 2)
    assert (lines[">(0008,1070)"].before, lines[">(0008,1070)"].kept) == (2, 0)
    assert (lines[">private"].before, lines[">private"].removed) == (2, 2)
    assert lines["(0008,2218)"].before == 1 and "(0008,0100)" not in lines


def test_the_report_names_nobody(told: Path) -> None:
    for path in told.iterdir():
        content = path.read_bytes()
        for secret in (
            b"PATIENT-",
            b"Quarzfeld",
            b"quarzfeld",
            b"ACC99817",
            b"doe_",
            b"1.2.826.0.1.3680043.9.",
        ):
            assert secret not in content, path.name


def test_the_page_stands_alone_and_can_be_read_aloud(told: Path) -> None:
    page = (told / "report.html").read_text()
    seen = _Page()
    seen.feed(page)
    assert "script" not in seen.tags and not seen.links
    assert seen.open == [] and seen.tags.count("h1") == 1
    assert seen.tags.count("table") == seen.tags.count("caption")
    assert 'lang="en"' in page and "@media print" in page and 'role="img"' in page
    assert "pseudonymised" in page and "4(5)" in page
    assert page.count("(0010,0010)") == 1


def test_every_reason_is_told_in_words_and_explained() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "deidentification.md").read_text()
    for reason in Reason:
        meaning, todo = MEANINGS[reason]
        assert meaning and todo
        assert f"\n| `{reason.value}` | " in page, reason


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img", "rect", "path"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href") and not str(value).startswith("data:"):
                self.links.append(str(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_words_of_people_cannot_become_markup(bench: Bench) -> None:
    put_series(bench, patients=1, series=1)
    bench.run()
    with closing(bench.journal()) as journal:
        draw(journal, "<script>alert(1)</script>", bench.clock)
        outputs = tuple(bench.outputs())
        record_look(journal, outputs, "<script>alert(1)</script>", bench.clock, clean=True)
    write_report(summary_of(bench), bench.target / "report")
    assert "<script" not in (bench.target / "report" / "report.html").read_text()


def test_provenance_names_method_software_people_and_times_but_no_key(told: Path, bench: Bench) -> None:
    document = json.loads((told / "provenance.json").read_text())
    method = document["entity"]["fb:method"]
    assert method["fb:digest"] == Method().digest and method["fb:tableEdition"] == "2026d"
    (activity,) = document["activity"].values()
    assert activity["prov:startTime"] == "2026-01-01T00:00:00.000Z"
    assert {agent["prov:label"] for agent in document["agent"].values()} >= {"curator"}
    for relation in ("used", "wasGeneratedBy", "wasAssociatedWith"):
        for edge in document[relation].values():
            ends = {value for key, value in edge.items()}
            assert all(
                end in document["entity"] or end in document["activity"] or end in document["agent"]
                for end in ends
            )
    assert bench.key.read_bytes() not in (told / "provenance.json").read_bytes()
    assert method["fb:keyId"].startswith("key:") and len(method["fb:keyId"]) == 20


def test_the_18_identifiers_are_told_of_with_what_the_method_keeps() -> None:
    basic = {line.letter: line.state for line in coverage(Method(Profile.BASIC))}
    assert "".join(sorted(basic)) == "ABCDEFGHIJKLMNOPQR"
    kept = Method(
        Profile.BASIC,
        more=frozenset({Option.RETAIN_FULL_DATES, Option.RETAIN_UIDS, Option.RETAIN_INSTITUTION_IDENTITY}),
        faces=FacePolicy.IN_SITU,
    )
    told = {line.letter: line.state for line in coverage(kept)}
    assert {letter for letter, state in told.items() if state == "kept"} == set("BCRQ")
    assert basic["C"] == "taken out"
    assert {line.letter: line.state for line in coverage(Method())}["C"] == "partly"


def test_a_thumbnail_shows_where_it_was_blanked(tmp_path: Path) -> None:
    dataset = ct_dataset()
    dataset.Rows = dataset.Columns = 64
    dataset.PixelData = np.arange(64 * 64, dtype="<u2").tobytes()
    path = tmp_path / "a.dcm"
    path.write_bytes(as_file(dataset))
    boxes = [{"left": 8, "top": 8, "width": 20, "height": 10, "frame": None}]
    found = thumbnail(path, {"boxes": boxes, "found_by": ["ocr"]}, name="a")
    assert found is not None and found.before_png != found.after_png
    path.write_bytes(as_file(dataset)[:-600])
    assert thumbnail(path, {}, name="a") is None
