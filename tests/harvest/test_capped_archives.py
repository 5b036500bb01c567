"""Archives that cap, repeat, ignore and lie: what we list is theirs, and what we call complete is all of it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbank.errors import Sensitive
from fairbank.harvest.errors import (
    BadDefinition,
    FilterNotKept,
    HarvestError,
    NotInSource,
    SourceFailed,
    SourceForbidden,
    SourceLoginRefused,
    SourceUnreachable,
    UnreadableHeader,
)
from fairbank.harvest.sources.archive_questions import Filter
from fairbank.harvest.sources.dicomweb import DicomwebSource
from fairbank.harvest.sources.pace import Machine, Politeness
from fairbank.harvest.sources.protocol import Item
from fairbank.harvest.sources.study_dates import FIRST_DAY, LAST_DAY, Window

FAST = Politeness(requests_per_s=1e9, tries=2)
AWAKE = Machine(sleep=lambda seconds: None)
Row = dict[str, object]


def row(study: str, series: str, day: str, **more: str) -> Row:
    values = {"0020000D": study, "0020000E": series, "00080020": day, "00100010": "Canary^Ada", **more}
    return {tag: {"vr": "LO", "Value": [value]} if value else {"vr": "LO"} for tag, value in values.items()}


@dataclass
class Archive:
    """A DICOMweb server with bad habits.

    Attributes:
        cap: most rows of an answer; `deep_cap` most rows that any offset reaches.
        blank: whether it understands the question for studies without a date.
        seed: of the order of its rows, which changes with each question; None for a stable one.
        no_series: the status that it has for a search over all series, if it offers none.
    """

    rows: list[Row]
    cap: int = 10**9
    deep_cap: int = 10**9
    heeds_offset: bool = True
    heeds_limit: bool = True
    heeds_dates: bool = True
    says_additional: bool = False
    says_total: bool = False
    blank: bool = False
    empty_is_204: bool = False
    seed: int | None = None
    no_series: int = 0
    asked: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        question = dict(parse_qsl(request.url.query.decode(), keep_blank_values=True))
        self.asked.append(question)
        place = request.url.path.removeprefix("/dicom-web").split("/")[1:]
        if place == ["series"] and self.no_series:
            return httpx.Response(self.no_series)
        found = [one for one in self.rows if self._matches(one, question.get("StudyDate", ""))]
        if place[0] == "studies":
            found = self._by_study(found, place)
        if self.seed is not None:
            random.Random(self.seed + len(self.asked)).shuffle(found)
        offset = int(question["offset"]) if self.heeds_offset else 0
        limit = min(int(question["limit"]) if self.heeds_limit else 10**9, self.cap)
        page = found[: self.deep_cap][offset : offset + limit]
        headers = {}
        if self.says_additional and (left := len(found) - offset - len(page)) > 0:
            headers["Warning"] = f'299 archive: "There are {left} additional results that can be requested"'
        if self.says_total:
            headers["X-Total-Count"] = str(len(found))
        if not page and self.empty_is_204:
            return httpx.Response(204, headers=headers)
        return httpx.Response(200, json=page, headers=headers)

    def _by_study(self, found: list[Row], place: list[str]) -> list[Row]:
        """Return one row for each study, without its series; or the series of one."""
        if len(place) == 1:
            studies = {json.dumps(one["0020000D"]): one for one in found}
            return [
                {tag: value for tag, value in one.items() if tag != "0020000E"} for one in studies.values()
            ]
        return [one for one in found if one["0020000D"]["Value"] == [place[1]]]  # type: ignore[index]

    def _matches(self, one: Row, wanted: str) -> bool:
        if not wanted or not self.heeds_dates:
            return True
        day = "".join(one["00080020"].get("Value", [""]))  # type: ignore[attr-defined]
        if wanted == '""':
            return self.blank and not day
        first, last = wanted.split("-")
        return first <= day <= last


def source(answer: Callable[[httpx.Request], httpx.Response], **options: object) -> DicomwebSource:
    return DicomwebSource(
        "http://archive.test/dicom-web",
        name="archive",
        manners=FAST,
        machine=AWAKE,
        transport=httpx.MockTransport(answer),
        **options,  # type: ignore[arg-type]
    )


def archive_of(days: list[date | None], **habits: object) -> Archive:
    rows = [
        row(f"1.2.{number}", f"1.3.{number}", day.strftime("%Y%m%d") if day else "")
        for number, day in enumerate(days)
    ]
    return Archive(rows, **habits)  # type: ignore[arg-type]


def ids(archive: Archive) -> list[str]:
    return sorted(f"1.2.{number}/1.3.{number}" for number in range(len(archive.rows)))


DAYS = st.dates(date(1990, 1, 1), date(2030, 12, 31))
HABITS = st.fixed_dictionaries(
    {
        "cap": st.sampled_from([50, 100, 10**9]),
        "deep_cap": st.sampled_from([50, 100, 10**9]),
        "heeds_offset": st.booleans(),
        "heeds_limit": st.booleans(),
        "heeds_dates": st.booleans(),
        "says_additional": st.booleans(),
        "says_total": st.booleans(),
        "blank": st.booleans(),
        "empty_is_204": st.booleans(),
        "seed": st.none() | st.integers(0, 100),
    }
)


@settings(max_examples=100, deadline=None)
@given(days=st.lists(st.none() | DAYS, max_size=30), copies=st.integers(1, 8), habits=HABITS)
def test_what_is_called_complete_is_all_there_is(
    days: list[date | None], copies: int, habits: dict[str, object]
) -> None:
    archive = archive_of(days * copies, **habits)
    snapshot = source(archive).snapshot(".")
    listed = [item.local_id for item in snapshot.items]
    assert set(listed) <= set(ids(archive))
    assert len(set(listed)) == len(listed)
    if snapshot.complete:
        assert listed == ids(archive)


@settings(max_examples=15, deadline=None)
@given(days=st.lists(DAYS, min_size=60, max_size=300, unique=True), offset=st.booleans(), limit=st.booleans())
def test_a_cap_of_fifty_hides_nothing_that_has_a_date(days: list[date], offset: bool, limit: bool) -> None:
    archive = archive_of(list(days), cap=50, deep_cap=50, heeds_offset=offset, heeds_limit=limit)
    snapshot = source(archive, all_dated=True).snapshot(".")
    assert [item.local_id for item in snapshot.items] == ids(archive)
    assert snapshot.complete


def test_studies_without_a_date_are_found_where_the_archive_understands_the_question() -> None:
    days = [date(2020, 1, 1) + timedelta(days=number) for number in range(120)]
    archive = archive_of([*days, None, None], cap=100, heeds_offset=False, blank=True)
    snapshot = source(archive).snapshot(".")
    assert ([item.local_id for item in snapshot.items], snapshot.complete) == (ids(archive), True)


def test_a_listing_that_may_lack_some_is_not_called_complete() -> None:
    days = [date(2020, 1, 1) + timedelta(days=number) for number in range(120)]
    archive = archive_of(list(days), cap=100, heeds_offset=False)
    snapshot = source(archive).snapshot(".")
    assert ([item.local_id for item in snapshot.items], snapshot.complete) == (ids(archive), False)


def test_a_server_that_looks_at_neither_offset_nor_dates_is_asked_a_few_times_only() -> None:
    archive = archive_of([date(2020, 1, 1)] * 300, cap=100, heeds_offset=False, heeds_dates=False)
    snapshot = source(archive).snapshot(".")
    assert (len(snapshot.items), snapshot.complete) == (100, False)
    assert len(archive.asked) < 20


def test_a_page_is_paged_through_once() -> None:
    archive = archive_of([date(2020, 1, 1)] * 2500)
    assert len(source(archive).snapshot(".").items) == 2500
    assert [question["offset"] for question in archive.asked] == ["0", "1000", "2000", "2500"]


@pytest.mark.parametrize("status", [400, 404, 501])
def test_a_server_that_searches_for_studies_only_is_listed_study_by_study(status: int) -> None:
    days = [date(2020, 1, 1) + timedelta(days=number) for number in range(70)]
    archive = archive_of(list(days), no_series=status, cap=50, heeds_offset=False, says_additional=True)
    before = ids(archive)
    archive.rows += [row("1.2.0", "1.3.999", "20200101")]
    snapshot = source(archive).snapshot(".")
    assert [item.local_id for item in snapshot.items] == sorted([*before, "1.2.0/1.3.999"])
    assert snapshot.complete


def test_rows_that_lack_their_ids_or_are_odd_stop_nothing() -> None:
    good = row("1.2.3", "1.2." + "9" * 70, "20200101")
    odd: list[Row] = [
        {},
        {"0020000D": "text"},
        {"0020000D": {"vr": "UI"}, "0020000E": {"vr": "UI", "Value": []}},
        {"0020000D": {"vr": "UI", "Value": [None]}, "0020000E": {"vr": "UI", "Value": [{}]}},
        row("1.2.4", "1.2.5", "not a date", **{"00201209": "many"}),
    ]
    snapshot = source(Archive([*odd, good])).snapshot(".")
    assert [item.local_id for item in snapshot.items] == ["1.2.3/1.2." + "9" * 70, "1.2.4/1.2.5"]
    assert [item.files for item in snapshot.items] == [None, None]


def test_only_what_makes_a_version_changes_it() -> None:
    def version(**more: str) -> str:
        return source(Archive([row("1.2", "1.3", "20200101", **more)])).snapshot(".").items[0].version

    assert version() == version(**{"00100010": "Another^Name"})
    assert version() != version(**{"00201209": "7"})


def test_an_archive_that_ignores_the_filter_is_caught() -> None:
    archive = Archive([row("1.2", "1.3", "20200101", **{"00100020": "OTHER-1"})])
    with pytest.raises(FilterNotKept) as caught:
        source(archive, wanted=Filter.parse("PatientID=TRIAL-*")).snapshot(".")
    assert "OTHER" not in str(caught.value) and "TRIAL" not in repr(caught.value)


@pytest.mark.parametrize("text", ["PatientName=*", "PatientID", "PatientID=", "nonsense"])
def test_a_filter_that_cannot_be_kept_is_refused(text: str) -> None:
    with pytest.raises(BadDefinition):
        Filter.parse(text)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(200, html="<!DOCTYPE html><form>Log in</form>"), SourceLoginRefused),
        (httpx.Response(401), SourceLoginRefused),
        (httpx.Response(302, headers={"Location": "/login"}), SourceLoginRefused),
        (httpx.Response(403), SourceForbidden),
        (httpx.Response(404), SourceFailed),
        (httpx.Response(503), SourceFailed),
        (httpx.Response(200, text='[{"0020000D": {"vr'), SourceFailed),
        (httpx.Response(200, json={"error": "canary-4711"}), SourceFailed),
        (httpx.Response(200, json=["canary-4711"]), SourceFailed),
    ],
)
def test_a_wrong_answer_is_a_clear_error(answer: httpx.Response, error: type[HarvestError]) -> None:
    asked = source(
        lambda request: httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
    )
    with pytest.raises(error) as caught:
        asked.snapshot(".")
    assert caught.value.todo
    said = f"{caught.value!s} {caught.value!r} {caught.value.why}"
    assert "archive.test" not in said and "canary" not in said


def test_a_slow_archive_is_unreachable() -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("too slow", request=request)

    with pytest.raises(SourceUnreachable):
        source(slow).snapshot(".")


def test_a_token_goes_along_as_bearer() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(204)

    asked = source(answer, password=Sensitive("token-1", reference="password"))
    assert asked.snapshot(".").items == ()
    assert set(seen) == {"Bearer token-1"}


def test_bulk_data_is_never_asked_for_and_bad_values_spoil_no_others() -> None:
    header = {
        "00020010": {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]},
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
        "00080018": {"vr": "UI", "Value": ["1.2.3.4"]},
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00100020": {"vr": "LO", "Value": ["P1"]},
        "0020000D": {"vr": "UI", "Value": ["1.2"]},
        "0020000E": {"vr": "UI", "Value": ["1.3"]},
        "00101010": {"vr": "AS", "Value": ["000Y"]},
        "00180050": {"vr": "DS", "Value": ["not a number"]},
        "00280010": {"vr": "US", "Value": {"not": "a list"}},
        "00180088": "text",
        "00082218": {"vr": "SQ", "Value": ["text", {"00080100": {"vr": "SH", "Value": ["T-1"]}}]},
        "00091001": {"vr": "UN", "InlineBinary": "AAAA"},
        "7FE00010": {"vr": "OW", "BulkDataURI": "http://elsewhere.test/secret"},
    }
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(
            200, content=json.dumps([header]), headers={"Content-Type": "application/dicom+json"}
        )

    (described,) = source(answer).describe(".", [Item("1.2/1.3", "v", 1)])
    assert described.description is not None
    assert described.description.facts.modality == "CT"
    assert asked == ["http://archive.test/dicom-web/studies/1.2/series/1.3/metadata"]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("[]", UnreadableHeader),
        ("[{}]", UnreadableHeader),
        ("[7]", SourceFailed),
        ("[{", SourceFailed),
    ],
)
def test_a_series_without_usable_headers_is_one_result_among_others(
    content: str, error: type[HarvestError]
) -> None:
    items = [Item("1.2/1.3", "v", 1), Item("1.2/1.4", "v", 1)]
    described = list(source(lambda request: httpx.Response(200, text=content)).describe(".", items))
    assert [type(one.error) for one in described] == [error, error]


def test_headers_of_several_patients_are_not_taken_for_one() -> None:
    headers = [
        row("1.2", "1.3", "20200101", **{"00100020": patient, "00080018": f"1.4.{patient}"})
        for patient in "12"
    ]
    (described,) = source(lambda request: httpx.Response(200, json=headers)).describe(
        ".", [Item("1.2/1.3", "v")]
    )
    assert isinstance(described.error, UnreadableHeader)


MULTIPART = 'multipart/related; type="application/dicom"; boundary=b1'


def _parts(*contents: bytes, end: bytes = b"--b1--\r\n") -> bytes:
    parts = [b"--b1\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n" for content in contents]
    return b"".join(parts) + end


@pytest.mark.parametrize("name", ["../../climbed", "1.3"])
def test_parts_are_taken_apart_under_names_of_our_own(name: str, tmp_path: Path) -> None:
    contents = [b"\r\n--b", b"", b"DICM\r\n" * 1000, b"--b2\r\n"]
    answer = httpx.Response(200, content=_parts(*contents), headers={"Content-Type": MULTIPART})
    asked = source(lambda request: answer)
    fetched = [instance.path for instance in asked.fetch(".", Item(f"1.2/{name}", "v", 4), tmp_path)]
    assert [path.read_bytes() for path in fetched] == contents
    assert {path.parent for path in fetched} == {tmp_path} == {path.parent for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("content", "kind", "error"),
    [
        (_parts(b"one", end=b""), MULTIPART, "whole"),
        (_parts(b"one"), MULTIPART, "fewer"),
        (b"", MULTIPART, "whole"),
        (b"text", "text/plain", "not come as DICOM"),
    ],
)
def test_a_series_that_does_not_come_whole_is_a_failure(
    content: bytes, kind: str, error: str, tmp_path: Path
) -> None:
    asked = source(lambda request: httpx.Response(200, content=content, headers={"Content-Type": kind}))
    with pytest.raises(SourceFailed, match=error):
        list(asked.fetch(".", Item("1.2/1.3", "v", 2), tmp_path))


def test_a_single_image_may_come_without_parts(tmp_path: Path) -> None:
    answer = httpx.Response(200, content=b"DICM", headers={"Content-Type": "application/dicom"})
    (instance,) = source(lambda request: answer).fetch(".", Item("1.2/1.3", "v", 1), tmp_path)
    assert instance.path.read_bytes() == b"DICM"


def test_there_is_one_container() -> None:
    with pytest.raises(NotInSource):
        source(Archive([])).snapshot("LIVER")


@pytest.mark.parametrize("seen", [[], ["20200301"] * 3, ["20200101", "20201231", "nonsense", "19990101"]])
def test_windows_are_divided_down_to_a_day_and_lose_none(seen: list[str]) -> None:
    windows, days = [Window(date(2020, 1, 1), date(2020, 12, 31))], []
    while windows:
        window = windows.pop()
        if parts := window.divided(seen):
            windows += parts
        else:
            days.append(window.first)
    assert sorted(days) == [date(2020, 1, 1) + timedelta(days=number) for number in range(366)]
    assert Window(FIRST_DAY, LAST_DAY).text == "18950101-21551231"


def test_a_round_number_that_is_all_there_is_costs_two_more_questions() -> None:
    archive = archive_of([date(2020, 1, 1) + timedelta(days=number % 20) for number in range(100)])
    snapshot = source(archive).snapshot(".")
    assert (len(snapshot.items), snapshot.complete) == (100, True)
    assert [question.get("StudyDate") for question in archive.asked if question["offset"] == "0"] == [
        None,
        "20200111-21551231",
        "18950101-20200110",
    ]
