"""How the source behaves towards an archive: one login, only reading, no faster than told, and no wrong conclusions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairbank.errors import Sensitive
from fairbank.harvest.errors import (
    HarvestError,
    NotInSource,
    SourceFailed,
    SourceForbidden,
    SourceGivenUp,
    SourceLoginRefused,
    SourceUnreachable,
)
from fairbank.harvest.sources.xnat import XnatSource
from fairbank.harvest.xnat_standin.faults import Fault, Faults, Trouble
from fairbank.harvest.xnat_standin.site import User


def _everything(source: XnatSource, into: Path) -> None:
    """Do all that a harvest may do."""
    source.check()
    for container in source.list_containers():
        items = source.snapshot(container.id).items
        list(source.describe(container.id, items))
        source.deid_facts(container.id)
        source.accessibility(container.id)
        source.waiting(container.id)
        list(source.custom_variables(container.id))
        for number, item in enumerate(items[:1]):
            folder = into / container.id / str(number)
            folder.mkdir(parents=True)
            list(source.fetch(container.id, item, folder))


def test_nothing_but_reading_is_asked_and_the_session_is_closed(xnat: Any, tmp_path: Path) -> None:
    source = xnat.source()
    _everything(source, tmp_path / "into")
    opened = xnat.app.state.logins.open_sessions
    source.close()
    methods = Counter(each.method for each in xnat.site.log)
    assert methods.pop("DELETE") == 1
    assert set(methods) == {"GET"}
    assert [each.path for each in xnat.site.log if each.method == "DELETE"] == ["/data/JSESSION"]
    assert Counter(each.path for each in xnat.site.log)["/data/JSESSION"] == 2
    assert (opened, xnat.app.state.logins.open_sessions) == (1, 0)


def test_the_session_is_closed_after_a_failure_too(xnat: Any) -> None:
    source = xnat.source(faults=Faults(Fault(Trouble.TRUNCATED, where="/data/experiments")))
    with pytest.raises(SourceFailed):
        source.snapshot("LIVER")
    source.close()
    assert xnat.app.state.logins.open_sessions == 0


@pytest.mark.parametrize("per_s", [2, 5])
def test_an_archive_is_asked_no_faster_than_told(xnat: Any, tmp_path: Path, per_s: int) -> None:
    _everything(xnat.source(requests_per_s=per_s), tmp_path / "into")
    moments = [each.at.timestamp() for each in xnat.site.log]
    assert len(moments) > 3 * per_s
    fullest = max(sum(start <= each < start + 1 - 1e-6 for each in moments) for start in moments)
    assert fullest <= per_s


def test_a_wrong_password_is_tried_once(xnat: Any) -> None:
    source = xnat.source(user=User("reader", "wrong"))
    with pytest.raises(SourceLoginRefused):
        source.list_containers()
    assert xnat.asked() == ["/data/JSESSION"]


def test_a_token_logs_in_like_a_user(xnat: Any) -> None:
    xnat.source()
    token = httpx.get(f"{xnat.url}/data/services/tokens/issue", auth=("reader", "reader")).json()
    source = xnat.again(user=User(token["alias"], token["secret"]))
    assert len(source.list_containers()) == 2


def test_a_session_that_ends_in_the_middle_is_opened_anew(xnat: Any) -> None:
    source = xnat.source()
    items = source.snapshot("BRAIN").items
    found = source.describe("BRAIN", items)
    first = next(found)
    xnat.time.clock.advance(16 * 60)
    assert [first, *found][-1].description is not None
    assert xnat.asked().count("/data/JSESSION") == 2


def test_an_ended_session_is_not_mistaken_for_a_guest_s(xnat: Any) -> None:
    xnat.site.guests = True
    source = xnat.source()
    before = source.list_containers()
    xnat.time.clock.advance(16 * 60)
    assert source.list_containers() == before
    assert len(before) == 2


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (Trouble.FORBIDDEN, SourceForbidden),
        (Trouble.MISSING, NotInSource),
        (Trouble.SERVER_ERROR, SourceFailed),
        (Trouble.BAD_GATEWAY, SourceFailed),
        (Trouble.BUSY, SourceFailed),
        (Trouble.TRUNCATED, SourceFailed),
        (Trouble.UNAUTHORIZED, SourceLoginRefused),
        (Trouble.LOGIN_PAGE, SourceLoginRefused),
        (Trouble.ERROR_PAGE, SourceLoginRefused),
    ],
)
def test_what_stays_wrong_is_a_clear_error(xnat: Any, trouble: Trouble, error: type[HarvestError]) -> None:
    source = xnat.source(faults=Faults(Fault(trouble, where="/data/projects/LIVER")))
    with pytest.raises(error) as caught:
        source.snapshot("LIVER")
    assert caught.value.todo
    assert "LIVER" not in str(caught.value)
    assert len(source.snapshot("BRAIN").items) == 5


@pytest.mark.parametrize(
    "trouble",
    [Trouble.SERVER_ERROR, Trouble.BAD_GATEWAY, Trouble.BUSY, Trouble.TRUNCATED, Trouble.LOGIN_PAGE],
)
def test_what_was_wrong_for_a_moment_is_asked_again(xnat: Any, trouble: Trouble) -> None:
    source = xnat.source(faults=Faults(Fault(trouble, where="/data/experiments", times=1)))
    assert len(source.snapshot("LIVER").items) == 4


def test_an_archive_that_fails_on_and_on_is_left_alone(xnat: Any) -> None:
    source = xnat.source(faults=Faults(Fault(Trouble.BAD_GATEWAY, where="/data/projects/")))
    for _ in range(5):
        with pytest.raises(SourceFailed):
            source.snapshot("LIVER")
    xnat.asked()
    with pytest.raises(SourceGivenUp):
        source.snapshot("LIVER")
    assert xnat.asked() == []


def test_an_answer_that_does_not_come_in_time_is_no_endless_wait(time: Any) -> None:
    asked: list[str] = []

    def slow(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.url.path == "/data/JSESSION":
            return httpx.Response(200, text="A1", headers={"set-cookie": "JSESSIONID=A1"})
        raise httpx.ReadTimeout("slow", request=request)

    secret = Sensitive("reader", reference="password")
    transport = httpx.MockTransport(slow)
    source = XnatSource("http://archive.test", "reader", secret, transport=transport, machine=time.machine())
    with pytest.raises(SourceUnreachable):
        source.list_containers()
    source.close()
    assert asked.count("/data/projects") == 4
