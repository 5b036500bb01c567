"""An archive that fails: each failure is a clear error that names neither host nor patient."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from fairbank.clock import FixedClock
from fairbank.errors import Sensitive
from fairbank.harvest.errors import (
    HarvestError,
    NotInSource,
    SourceFailed,
    SourceForbidden,
    SourceLoginRefused,
    SourceUnreachable,
)
from fairbank.harvest.sources.xnat import XnatSource
from fairbank.harvest.xnat_standin.app import create_app

Serve = Callable[[object], AbstractContextManager[str]]
Interrupt = Callable[[Request], Response | None]


def _source(url: str, password: str = "reader") -> XnatSource:
    secret = Sensitive(password, reference="password")
    return XnatSource(url, "reader", secret, name="archive", sleep=lambda _: None)


class Flaky:
    """Answers instead of the archive, a number of times, wherever the path holds a word."""

    def __init__(self, response: Callable[[], Response], *, where: str = "", times: int = 10**6) -> None:
        self.response, self.where, self.left = response, where, times

    def __call__(self, request: Request) -> Response | None:
        if self.left > 0 and self.where in request.url.path:
            self.left -= 1
            return self.response()
        return None


@pytest.fixture
def failing(dicom_root: Path, serve: Serve) -> Iterator[Callable[[Interrupt], XnatSource]]:
    opened: list[tuple[AbstractContextManager[str], XnatSource]] = []

    def make(interrupt: Interrupt) -> XnatSource:
        server = serve(create_app(dicom_root, interrupt=interrupt))
        source = _source(server.__enter__())
        opened.append((server, source))
        return source

    yield make
    for server, source in opened:
        source.close()
        server.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (lambda: Response(status_code=403), SourceForbidden),
        (lambda: Response(status_code=404), NotInSource),
        (lambda: Response(status_code=500), SourceFailed),
        (lambda: Response(status_code=502), SourceFailed),
        (lambda: Response(status_code=401), SourceLoginRefused),
        (lambda: HTMLResponse("<!DOCTYPE html><form>Log in</form>"), SourceLoginRefused),
        (lambda: PlainTextResponse('{"ResultSet": {"Result": [{"ID'), SourceFailed),
        (lambda: JSONResponse({"ResultSet": {}}), SourceFailed),
        (lambda: JSONResponse({"ResultSet": {"Result": [{"unknown": "x"}]}}), SourceFailed),
    ],
)
def test_a_wrong_answer_is_a_clear_error(
    failing: Callable[[Interrupt], XnatSource], response: Callable[[], Response], error: type[HarvestError]
) -> None:
    source = failing(Flaky(response, where="/data/projects"))
    with pytest.raises(error) as caught:
        source.list_containers()
    assert caught.value.todo
    assert "127.0.0.1" not in str(caught.value)


def test_a_busy_archive_is_asked_again(failing: Callable[[Interrupt], XnatSource]) -> None:
    source = failing(Flaky(lambda: Response(status_code=503), where="/data/projects", times=2))
    assert len(source.list_containers()) == 2


def test_a_wrong_password_is_a_login_error(archive_url: str) -> None:
    source = _source(archive_url, password="canary-4711")
    with pytest.raises(SourceLoginRefused) as caught:
        source.list_containers()
    source.close()
    assert "canary-4711" not in str(caught.value)


def test_an_archive_that_is_not_there_is_unreachable() -> None:
    def refused(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    secret = Sensitive("reader", reference="password")
    transport = httpx.MockTransport(refused)
    source = XnatSource("http://archive.test", "reader", secret, transport=transport, sleep=lambda _: None)
    with pytest.raises(SourceUnreachable):
        source.list_containers()
    source.close()


def test_a_session_that_ended_meanwhile_is_opened_anew(dicom_root: Path, serve: Serve) -> None:
    clock = FixedClock()
    with serve(create_app(dicom_root, clock=clock)) as url:
        source = _source(url)
        source.list_containers()
        clock.advance(timedelta(minutes=16).total_seconds())
        assert len(source.snapshot("LIVER").items) == 4
        source.close()


def test_the_session_is_closed_at_the_archive(dicom_root: Path, serve: Serve) -> None:
    app: FastAPI = create_app(dicom_root)
    with serve(app) as url:
        source = _source(url)
        source.list_containers()
        opened = app.state.logins.open_sessions
        source.close()
        assert (opened, app.state.logins.open_sessions) == (1, 0)


def test_a_project_takes_the_same_number_of_requests_whatever_it_holds(
    failing: Callable[[Interrupt], XnatSource],
) -> None:
    seen: list[str] = []

    def note(request: Request) -> Response | None:
        seen.append(request.url.path)
        return None

    source = failing(note)
    source.list_containers()
    seen.clear()
    source.snapshot("LIVER")
    assert seen == ["/data/projects/LIVER", "/data/experiments", "/data/projects/LIVER/experiments"]


def test_no_column_is_asked_for_that_tells_about_a_person(failing: Callable[[Interrupt], XnatSource]) -> None:
    asked: list[str] = []

    def note(request: Request) -> Response | None:
        asked.append(request.url.query.lower())
        return None

    source = failing(note)
    source.list_containers()
    source.snapshot("LIVER")
    words = ("dob", "yob", "age", "gender", "label,", "subject", "patient", "date,", "note")
    columns = [query for query in asked if "columns" in query]
    assert columns
    for query in columns:
        assert not [word for word in words if word in query.replace("imagescandata", "").replace("image", "")]


@pytest.mark.parametrize("content", [b"PK\x03\x04 cut off", b""])
def test_a_broken_zip_is_a_failure_of_the_archive(
    failing: Callable[[Interrupt], XnatSource], content: bytes, tmp_path: Path
) -> None:
    source = failing(Flaky(lambda: Response(content, media_type="application/zip"), where="/files"))
    item = source.snapshot("LIVER").items[0]
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(SourceFailed):
        list(source.fetch("LIVER", item, into))
    assert list(into.iterdir()) == []


def test_a_zip_with_fewer_files_than_listed_is_a_failure_of_the_archive(
    failing: Callable[[Interrupt], XnatSource], tmp_path: Path
) -> None:
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    source = failing(Flaky(lambda: Response(empty.getvalue(), media_type="application/zip"), where="/files"))
    with pytest.raises(SourceFailed, match="fewer"):
        list(source.fetch("LIVER", source.snapshot("LIVER").items[0], tmp_path))


def test_a_member_that_climbs_out_of_the_folder_stays_in_it(
    failing: Callable[[Interrupt], XnatSource], tmp_path: Path
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for number in range(5):
            zipped.writestr(f"../../climbed-{number}.dcm", b"x")
    source = failing(Flaky(lambda: Response(packed.getvalue(), media_type="application/zip"), where="/files"))
    into = tmp_path / "a" / "b"
    into.mkdir(parents=True)
    instances = list(source.fetch("LIVER", source.snapshot("LIVER").items[0], into))
    assert {instance.path.parent for instance in instances} == {into}
    assert not list(tmp_path.glob("climbed*"))
