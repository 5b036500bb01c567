"""Texts that would be more than texts, in all places that people and biobanks write to or ask by, on all pages.

There are two hubs, the same but for these texts: one holds the hostile ones, the other harmless ones of the same
length. Nothing may run in a browser, and a page has to have the same elements in both.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient
from tests.catalogue.conftest import cell
from tests.web import hostile_texts
from tests.web.filled_hub import BASE, Filled, fill
from tests.web.hostile_texts import TEXTS, harmless, in_turn, pieces
from tests.web.pages.samples import WALKED, account, samples
from tests.web.pages.skeletons import difference, skeletons

from fairbank.catalogue.identity import sessions
from fairbank.catalogue.identity.sessions import Stage
from fairbank.catalogue.permissions import action_of, allow
from fairbank.catalogue.projector import Projector
from fairbank.catalogue.store import AccountRow, NodeRow
from fairbank.database import writing
from fairbank.ontology.counts import Count
from fairbank.ontology.record import Distribution, HowKnown

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}
SHORT, LONG = 150, 4_500
# Halves of letters: a pair that lacks the other, and bytes that are no letter.
_HALVES = ("\ud83d".encode("utf-8", "surrogatepass").decode("latin-1"), "\xc0\xbc", "\xff")
# What holds all texts at once, and what is an address of letters or a name in a path.
LONG_ONES = ("purpose", "comment", "text of", "closing", "condition", "why", "vote", "conflict")
PLAIN_ONES = ("mail address",)
PIECES = pieces(SHORT)
EVERYTHING = "SELECT ?s ?o WHERE { ?s <http://purl.org/dc/terms/title> ?o } ORDER BY ?s"
LOOKERS = ("rita", "carla", "cora", "anna", "ursula")
# Notes whatever runs and whatever is refused by the policy, in every frame.
WATCH = """
window.happened = [];
window.ran = (which) => window.happened.push('ran ' + which);
document.addEventListener('securitypolicyviolation', (event) =>
  window.happened.push(event.violatedDirective + ' ' + event.blockedURI));
"""


class Wording:
    """What is added to each text of a hub, and what records say."""

    def __init__(self, tame: bool) -> None:
        self._tame = harmless if tame else str
        self._short = in_turn(SHORT)
        self._number = 0

    def adds(self, what: str) -> str:
        if what.startswith(PLAIN_ONES):
            return ""
        if what.startswith(LONG_ONES):
            return " " + self._tame(pieces(LONG)[0])
        return " " + self._tame(next(self._short))

    def describes(self) -> dict[str, Any]:
        """Return what a record says: each has another title, and all together every text in every field."""
        at = self._number
        self._number += 1
        text = [self._tame(PIECES[(at + shift) % len(PIECES)]) for shift in range(8)]
        return {
            "title": title(at, text[0]),
            "description": f"Described. {self._tame(pieces(LONG)[0])}",
            "keywords": (text[1], "lung"),
            "publisher": text[2],
            "contact": text[3],
            "licence": text[4],
            "cube": (
                cell(),
                cell(manufacturer=text[5], subjects=30, studies=35, series=80),
                cell(body_part=text[6]),
            ),
            "distributions": (
                Distribution(
                    attribute="sex", value=text[7], how_known=HowKnown.HEADER, subjects=Count.exact(31)
                ),
            ),
        }


def title(at: int, text: str) -> str:
    # Lists are in the order of titles, which has to be the same in both hubs.
    return f"c{at:02d} {text}"


def filled_with(home: Any, *, tame: bool) -> Filled:
    wording = Wording(tame)
    filled = fill(home, adds=wording.adds, describes=wording.describes)
    for number in range(len(PIECES) - 3):
        filled.publish("alpha", f"more-{number}")
    with writing(filled.hub.engine) as session:
        for row in (*session.query(NodeRow), *session.query(AccountRow)):
            text = wording.adds("a house")
            if isinstance(row, NodeRow):
                row.title = f"{row.name} {text}"
            else:
                row.organisation = text
    # What SPARQL answers from.
    projector = Projector(filled.hub)
    assert projector.open()
    projector.project()
    projector.close()
    return filled


@pytest.fixture(scope="module")
def hubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Filled, Filled]]:
    """The hub with hostile texts and the one with harmless ones."""
    made = [filled_with(tmp_path_factory.mktemp("hostile") / "hub", tame=tame) for tame in (False, True)]
    yield made[0], made[1]
    for each in made:
        each.hub.queries.close()
        each.hub.engine.dispose()


class Readers:
    """Browsers without a screen, of all who look at a hub."""

    def __init__(self, filled: Filled) -> None:
        self.filled = filled
        self._clients: dict[str | None, TestClient] = {}

    def of(self, who: str | None) -> TestClient:
        if who not in self._clients:
            client = TestClient(self.filled.app, base_url=BASE, follow_redirects=False)
            client.headers.update(HTML)
            if who is not None:
                with writing(self.filled.hub.engine) as session:
                    secret = sessions.begin(session, self.filled.hub, account=who, stage=Stage.COMPLETE)
                client.cookies.set(sessions.cookie_name(self.filled.hub, secure=False), secret)
            self._clients[who] = client
        return self._clients[who]


@pytest.fixture(scope="module")
def readers(hubs: tuple[Filled, Filled]) -> tuple[Readers, Readers]:
    return Readers(hubs[0]), Readers(hubs[1])


@contextmanager
def watched(browser: Any, readers: Readers, who: str | None) -> Iterator[tuple[Any, list[str]]]:
    """Open a tab to whom the hub of some readers answers; yield it and what went wrong in it."""
    faults: list[str] = []
    context = browser.new_context(base_url=BASE)
    context.add_init_script(WATCH)

    def answer(route: Any) -> None:
        asked = route.request.url
        if not asked.startswith(f"{BASE}/"):
            faults.append(f"asked for {asked}")
            route.abort()
            return
        told = readers.of(who).get(asked.removeprefix(BASE))
        headers = {name: value for name, value in told.headers.items() if name != "content-length"}
        route.fulfill(status=told.status_code, headers=headers, body=told.content)

    context.route("**/*", answer)
    tab = context.new_page()
    tab.on("console", lambda said: said.type in ("error", "warning") and faults.append(f"said {said.text}"))
    tab.on("pageerror", lambda error: faults.append(f"error {error}"))
    tab.on("dialog", lambda dialog: (faults.append(f"dialog {dialog.message}"), dialog.dismiss()))
    try:
        yield tab, faults
    finally:
        context.close()


def flat(text: str) -> str:
    """Return a text as HTML holds it where spaces do not count."""
    return " ".join(text.replace("\x00", "").split())


def addresses(filled: Filled) -> list[tuple[str | None, str]]:
    """Return who looks at what: the samples of all pages, and the list of all collections."""
    found = [each for page in WALKED for each in samples(page, filled)]
    return [*found, (None, "/collections?limit=100"), (None, f"/sparql?{urlencode({'query': EVERYTHING})}")]


def more_addresses(filled: Filled) -> list[tuple[str | None, str]]:
    """Return what is looked at beside them: more collections, and requests in every state."""
    found: list[tuple[str | None, str]] = [
        (None, f"/collections/alpha/more-{number}") for number in range(0, len(PIECES) - 3, 4)
    ]
    requests = [request for request, of in filled.parts.items() if of["leg"]]
    return found + [(who, f"/requests/{each}") for who in ("rita", "carla") for each in requests]


def other_pages(filled: Filled) -> list[tuple[str, str]]:
    """Return who looks at what else answers a browser, as the routes say: letters, graphs, lists."""
    paged, found = {page.path for page in WALKED}, []
    for route in filled.app.routes:
        named = re.findall(r"\{(\w+)[^}]*\}", getattr(route, "path", ""))
        if not isinstance(route, Route) or "GET" not in (route.methods or ()) or route.path in paged:
            continue
        action = action_of("GET", route.path)
        looker = next((name for name in LOOKERS if action and allow(account(name), action)), None)
        if looker is None or any(name not in filled.ids for name in named):
            continue
        address = route.path
        for name in named:
            address = re.sub(rf"\{{{name}[^}}]*\}}", lambda _: filled.ids[name][-1], address, count=1)  # noqa: B023
        found.append((looker, address))
    return found


# -- what is stored ------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_nothing_runs_in_a_page_that_shows_hostile_texts(
    browser: Any, readers: tuple[Readers, Readers]
) -> None:
    wrong: list[tuple[str, Any]] = []
    asked = addresses(readers[0].filled)
    for who in sorted({who for who, _ in asked}, key=str):
        with watched(browser, readers[0], who) as (tab, faults):
            for address in [address for one, address in asked if one == who]:
                tab.goto(address)
                happened = tab.evaluate("window.happened")
                wrong += [(address, each) for each in [*happened, *faults]]
                faults.clear()
    assert wrong == []


@pytest.mark.browser
def test_hostile_texts_add_no_element_to_a_page(browser: Any, readers: tuple[Readers, Readers]) -> None:
    hostile, tame = readers
    looked = [
        [*addresses(each.filled), *more_addresses(each.filled), *other_pages(each.filled)] for each in readers
    ]
    pairs = list(zip(*looked, strict=True))
    bodies: list[tuple[str, str]] = []
    where: list[str] = []
    for (who, address), (_, same) in pairs:
        shown = hostile.of(who).get(address)
        if not shown.headers.get("content-type", "").startswith("text/html"):
            continue
        assert shown.status_code < 500, address
        bodies.append((shown.text, tame.of(who).get(same).text))
        where.append(f"{address} as {who}")
    said: list[str] = []
    wrong = []
    with closing(browser.new_page()) as tab:
        for place, pair in zip(where, bodies, strict=True):
            (one, texts), (other, _) = skeletons(tab, pair)
            said.append(flat(texts))
            if place.startswith("/datasets/"):
                # A graph has no order.
                one, other = sorted(one), sorted(other)
            if fault := difference(one, other):
                wrong.append((place, fault))
    assert wrong == []
    assert len(where) > len(WALKED) + 20
    # And they are there, as they were typed.
    everything = " ".join(said)
    assert [text for text in TEXTS if flat(text) not in everything] == []


def test_titles_of_collections_are_shown_as_typed(hubs: tuple[Filled, Filled]) -> None:
    told = (
        hubs[0].client.get("/collections?limit=100&sort=title", headers={"Accept": "application/json"}).json()
    )
    titles = [title(at, text) for at, text in enumerate(PIECES)]
    assert sorted(card["title"] for card in told["cards"]) == sorted(titles)


# -- what is asked by ----------------------------------------------------------------------------------------------


def asking(text: str) -> list[tuple[str | None, str]]:
    """Return addresses that say a text in every place in which one is read from an address."""
    names = (
        "q",
        "modality",
        "body_part",
        "manufacturer",
        "sort",
        "c",
        "offset",
        "lang",
        "theme",
        "node",
        text,
    )
    literal = json.dumps(text, ensure_ascii=False)
    questions = (
        f"SELECT ?x WHERE {{ BIND({literal} AS ?x) }}",
        f"ASK {{ <http://x/{text}> ?p ?o }}",
    )
    return [
        (None, f"/collections?{urlencode([(name, text) for name in names])}"),
        (None, f"/compare?{urlencode({'c': text})}"),
        ("rita", f"/counts?{urlencode(dict.fromkeys(('modality', 'sex', 'id'), text))}"),
        ("rita", f"/requests/new?{urlencode({'c': text, 'step': text})}"),
        ("anna", f"/people?{urlencode({'name': text})}"),
        ("ursula", f"/audit?{urlencode(dict.fromkeys(('act', 'node', 'since', 'who'), text))}"),
        (None, f"/login?{urlencode({'next': text})}"),
        (None, f"/nothing/{quote(text, safe='')}"),
        (None, "/collections/{0}/{0}".format(quote(re.sub("(?i)/|%2f", "", text), safe=""))),
        *((None, f"/sparql?{urlencode({'query': each})}") for each in questions),
    ]


@pytest.mark.browser
def test_hostile_questions_add_no_element(browser: Any, readers: tuple[Readers, Readers]) -> None:
    wrong: list[tuple[str, Any]] = []
    shown: list[tuple[str, Any, Any]] = []
    # Whatever an address leads on to is tried with each text by itself: there it counts what one begins with.
    asked = [each for text in (*pieces(300), "nul\x00", *_HALVES) for each in asking(text)]
    asked += [(None, f"/login?{urlencode({'next': text})}") for text in TEXTS]
    usual: dict[tuple[str | None, str], Any] = {}
    for who, address in asked:
        answer = readers[0].of(who).get(address)
        assert answer.status_code < 500, address
        assert not {"\r", "\n"} & set("".join(answer.headers.values())), address
        kind = _kind(who, address)
        if kind not in usual:
            same = next(each for one, each in asking(harmless(PIECES[1])) if kind == _kind(one, each))
            usual[kind] = readers[0].of(who).get(same)
        if answer.headers.get("content-type", "").startswith("text/html"):
            shown.append((address, answer, usual[kind]))
    with closing(browser.new_page()) as tab:
        found = skeletons(tab, [each.text for _, *both in shown for each in both])
    for at, (address, answer, other) in enumerate(shown):
        fault = difference(found[2 * at][0], found[2 * at + 1][0])
        # What cannot be read as a question says so in more elements.
        if fault and answer.status_code == other.status_code and "/sparql" not in address:
            wrong.append((address, fault))
    assert wrong == []


def _kind(who: str | None, address: str) -> tuple[str | None, str]:
    """Return which of the addresses of `asking` one is, whatever it says."""
    return who, address.partition("=")[0] if "?" in address else address.split("/")[1]


@pytest.mark.browser
def test_nothing_runs_in_a_page_that_repeats_hostile_questions(
    browser: Any, readers: tuple[Readers, Readers]
) -> None:
    wrong: list[tuple[str, Any]] = []
    asked = [each for text in pieces(1_500) for each in asking(text)]
    for who in (None, "rita", "anna", "ursula"):
        with watched(browser, readers[0], who) as (tab, faults):
            for address in [address for one, address in asked if one == who]:
                answer = tab.goto(address)
                wrong += [(address, each) for each in tab.evaluate("window.happened")]
                # A browser says of each answer with an error status that it has one.
                wrong += [(address, each) for each in faults if answer.ok or "Failed to load" not in each]
                faults.clear()
            if who is None:
                whole = "\n".join(TEXTS)
                tab.goto(f"/sparql?{urlencode({'query': whole})}")
                assert flat(tab.locator("#query").input_value()) == flat(whole)
    assert wrong == []


# -- what is taken away --------------------------------------------------------------------------------------------


def test_exports_of_hostile_texts_are_well_formed(hubs: tuple[Filled, Filled]) -> None:
    client = hubs[0].client
    for kind in ("application/ld+json", 'application/ld+json;profile="https://schema.org/"'):
        told = client.get("/datasets/alpha/lungs", headers={"Accept": kind})
        assert told.status_code == 200, told.text
        assert "lungs" in json.dumps(json.loads(told.text))
    for kind in ("text/turtle", "application/n-triples"):
        assert "lungs" in client.get("/datasets/alpha/lungs", headers={"Accept": kind}).text
    # XML has no way to say a control character, and is not made rather than broken.
    refused = client.get("/datasets/alpha/lungs", headers={"Accept": "application/rdf+xml"})
    assert (refused.status_code, refused.json()["type"]) == (406, "urn:fairbank:error:FB-CAT-042")
    xml, rows, table = (
        client.get("/sparql", params={"query": EVERYTHING}, headers={"Accept": kind})
        for kind in ("application/sparql-results+xml", "application/sparql-results+json", "text/csv")
    )
    assert xml.status_code == 406
    said = " ".join(each["o"]["value"] for each in json.loads(rows.content)["results"]["bindings"])
    assert [text for text in PIECES if text not in said] == []
    # Its form is laid down by W3C, so that formulas stay as they are: programs read it.
    assert {len(row) for row in csv.reader(io.StringIO(table.text, newline=""))} == {2}


def test_there_are_enough_texts_and_each_is_another() -> None:
    assert len(set(TEXTS)) == len(TEXTS) >= 60
    assert hostile_texts.harmless("".join(TEXTS)).isascii()
