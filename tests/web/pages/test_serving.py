"""What holds of every page without a browser: its JSON, who may see it, its headers, its parts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.web.filled_hub import Filled
from tests.web.pages.samples import ANSWERED_BY_A_PROTOCOL, WALKED, account, samples

from fairbank.catalogue import accounts
from fairbank.catalogue.permissions import allow
from fairbank.database import writing
from fairbank.web.pages.page import Page
from fairbank.web.pages.registry import pages
from fairbank.web.security_headers import OF_PAGES
from fairbank.web.static_files import files

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
JSON = {"Accept": "application/json"}
CALLERS = (None, "rita", "carla", "cora", "anna", "ursula", "nora")
every_page = pytest.mark.parametrize("page", WALKED, ids=[page.name for page in WALKED])


def look(filled: Filled, who: str | None, address: str, headers: dict[str, str]) -> Any:
    token = filled.people[who].headers if who is not None else {}
    client = TestClient(filled.app, base_url="http://hub.test", follow_redirects=False)
    return client.get(address, headers={**token, **headers})


@every_page
def test_a_page_has_a_twin_in_json_at_its_address(filled: Filled, page: Page) -> None:
    if page.path in ANSWERED_BY_A_PROTOCOL:
        return
    for who, address in samples(page, filled):
        told = look(filled, who, address, JSON)
        assert told.status_code == 200, told.text
        assert told.headers["content-type"].startswith("application/json")
        assert "Accept" in told.headers["vary"]
        shown = look(filled, who, address, HTML)
        assert shown.headers["content-type"].startswith("text/html")
        assert 'rel="alternate" type="application/json"' in shown.text
        if page.has_own_twin:
            assert told.json()["schema"] == f"page-{page.name}/1"
            assert not {"once", "csrf", "proof"} & set(told.json())


@every_page
@pytest.mark.parametrize("caller", CALLERS, ids=str)
def test_page_and_twin_are_for_whom_the_table_says(filled: Filled, page: Page, caller: str | None) -> None:
    assert page.action is not None, f"no line of permissions.ROUTES is about {page.path}"
    may = allow(account(caller) if caller is not None else None, page.action)
    if page.path in ANSWERED_BY_A_PROTOCOL:
        return
    # Without what it asks about, which may be somebody's own.
    address = samples(page, filled)[0][1].partition("?")[0]
    shown, told = (look(filled, caller, address, kind) for kind in (HTML, JSON))
    if "{" in page.path:
        # What belongs to somebody is narrowed further; neither may show what the other does not.
        assert (shown.status_code == 200) == (told.status_code == 200)
        return
    assert (shown.status_code == 200) is may
    assert (told.status_code == 200) is may


@every_page
def test_what_somebody_may_not_see_is_as_what_is_not_there(filled: Filled, page: Page) -> None:
    """The rule is in `test_page_and_twin_are_for_whom_the_table_says`; here, how it is refused."""
    for caller in CALLERS[1:]:
        address = samples(page, filled)[0][1]
        shown = look(filled, caller, address, HTML)
        if shown.status_code == 200:
            continue
        # For an object of somebody else, an object that is not there.
        missing = re.sub(r"\{\w+\}", "nothing", page.path)
        assert page.action is not None
        if "?" in address and allow(account(caller), page.action):
            missing = re.sub(r"(?<==)[^&]+", "nothing", address)
        elif missing == page.path:
            missing = "/nothing/here"
        nothing = look(filled, caller, missing, HTML)
        assert shown.status_code == nothing.status_code == 404
        assert _plain(shown.text) == _plain(nothing.text)


@every_page
def test_a_page_says_what_browsers_must_not_do(filled: Filled, page: Page) -> None:
    who, address = samples(page, filled)[0]
    headers = look(filled, who, address, HTML).headers
    assert headers["content-security-policy"] == OF_PAGES
    assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["cache-control"] == "private, no-cache"


@every_page
def test_a_page_that_has_not_changed_is_not_sent_again(filled: Filled, page: Page) -> None:
    who, address = samples(page, filled)[0]
    first = look(filled, who, address, HTML)
    again = look(filled, who, address, {**HTML, "If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    # A browser would put it in the place of the policy that the page came with.
    assert "content-security-policy" not in again.headers
    other = look(filled, who, address, {**HTML, "Accept-Language": "de"})
    assert other.headers["etag"] != first.headers["etag"]


def test_another_reader_has_another_etag(filled: Filled) -> None:
    tags = {look(filled, who, "/", HTML).headers["etag"] for who in (None, "rita", "carla")}
    assert len(tags) == 3


def test_the_language_is_chosen_by_address_then_cookie_then_browser(filled: Filled) -> None:
    client = TestClient(filled.app, base_url="http://hub.test", headers=HTML)
    assert 'lang="en"' in client.get("/").text
    assert 'lang="de"' in client.get("/", headers={"Accept-Language": "fr, de-AT;q=0.8, en;q=0.5"}).text
    asked = client.get("/?lang=de")
    assert 'lang="de"' in asked.text
    assert 'lang="de"' in client.get("/", headers={"Accept-Language": "en"}).text, "the cookie keeps it"
    assert 'lang="en"' in client.get("/?lang=en").text
    assert 'lang="en"' in client.get("/?lang=tlh").text


def test_the_looks_are_chosen_by_address_and_kept(filled: Filled) -> None:
    client = TestClient(filled.app, base_url="http://hub.test", headers=HTML)
    assert 'data-theme="auto"' in client.get("/").text
    assert 'data-theme="dark"' in client.get("/?theme=dark").text
    assert 'data-theme="dark"' in client.get("/").text


def test_style_and_script_are_kept_for_good_under_a_name_with_their_hash(filled: Filled) -> None:
    client = TestClient(filled.app, base_url="http://hub.test")
    page = client.get("/", headers=HTML).text
    for file in files().values():
        if file.name.endswith((".css", ".js")):
            assert file.address in page
        served = client.get(file.address)
        assert served.content == file.content
        assert "immutable" in served.headers["cache-control"]
        assert served.headers["content-type"].partition(";")[0] in (
            "text/css",
            "text/javascript",
            "image/svg+xml",
        )
    assert client.get("/static/app.css").headers["cache-control"] == "no-cache"
    assert client.get("/static/app-000000000000.css").status_code == 404


def test_style_and_script_are_small() -> None:
    import gzip

    most = {".css": 12_288, ".js": 6_144, ".svg": 2_048}
    for name, file in files().items():
        assert len(gzip.compress(file.content)) <= most["." + name.rpartition(".")[2]], name


def test_no_two_pages_are_alike() -> None:
    assert len({page.path for page in pages()}) == len(pages()) >= 4


def test_a_token_that_was_made_is_shown_once(filled: Filled) -> None:
    client = TestClient(filled.app, base_url="http://hub.test", follow_redirects=False)
    headers = {**filled.people["otto"].headers, **HTML}
    form = {"act": "make-token", "token-name": "for a script", "scope": "read", "days": "7"}
    made = client.post("/me", data=form, headers=headers)
    assert made.status_code == 200
    (secret,) = re.findall(r"<code>(fba_[\w-]+)</code>", made.text)
    assert accounts.by_token(filled.hub, secret) is not None
    assert secret not in client.get("/me", headers=headers).text
    refused = client.post("/me", data={**form, "days": "0", "token-name": "<i>"}, headers=headers)
    assert refused.status_code == 422 and 'value="&lt;i&gt;"' in refused.text


def test_a_session_is_ended_from_another_browser(filled: Filled) -> None:
    from fairbank.catalogue.identity import sessions
    from fairbank.catalogue.identity.sessions import Stage

    with writing(filled.hub.engine) as session:
        secret = sessions.begin(session, filled.hub, account="lena", stage=Stage.COMPLETE)
        foreign = sessions.begin(session, filled.hub, account="rita", stage=Stage.COMPLETE)
        mark, theirs = (
            next(
                each.mark
                for each in sessions.of_account(session, filled.hub, who, secret=its)
                if each.is_this
            )
            for who, its in (("lena", secret), ("rita", foreign))
        )
    headers = {**filled.people["lena"].headers, **HTML}
    client = TestClient(filled.app, base_url="http://hub.test", follow_redirects=False)
    shown = re.findall(r'name="session" value="([0-9a-f]+)"', client.get("/me", headers=headers).text)
    assert mark in shown and theirs not in shown
    for named in (mark, theirs):
        client.post("/me", data={"act": "end-session", "session": named}, headers=headers)
    assert sessions.find(filled.hub, secret) is None
    assert sessions.find(filled.hub, foreign) is not None, "nobody ends another's"


def _plain(text: str) -> str:
    """Return a page without its own address, which its links for language and colours hold."""
    return re.sub(r'href="[^"]*[?&;](lang|theme|next)=[^"]*"', "", text)
