"""Calls drawn from the hub's own description, as everybody, to a hub full of what people wrote for few to read.

None fails, none answers outside the description, and no private text reaches anybody whom `filled_hub` does not name as
its reader. The calls are the same each time, and aimed: most name requests, legs, grants and papers that are there.
Whatever a call has changed is put back before the next one.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.core.failures import FailureGroup
from schemathesis.openapi import from_asgi
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import true
from starlette.routing import Route
from tests.catalogue.conftest import BASE
from tests.web.filled_hub import A_PDF, BRAINS, HEARTS, LUNGS, Filled, Kept, fill

from fairbank.catalogue.governance import comments, requests
from fairbank.catalogue.governance.routes import OF_LEGS, OF_REQUESTS

NOBODY = "nobody"
_WORD = re.compile(r"only-\d{3}-[a-z0-9-]+")
_PAYLOAD = re.compile(r'"payload": ?"([A-Za-z0-9+/=]+)"')
# Whether a body is accepted is for other tests: these send what fits a description and may still not make sense.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# The public catalogue, which holds nothing that anybody wrote for few.
OF_NOBODY = re.compile(
    r"/(catalog|datasets?|distribution|fdp|ontology|profiles?|spec|expanded|meta|openapi|sparql)\b"
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    made = fill(tmp_path_factory.mktemp("filled") / "hub")
    yield made
    made.hub.queries.close()
    made.hub.engine.dispose()


@pytest.fixture(scope="module")
def kept(filled: Filled) -> Iterator[Kept]:
    made = Kept(filled)
    yield made
    made.close()


def headers_of(filled: Filled, who: str) -> dict[str, str]:
    return {} if who == NOBODY else filled.people[who].headers


def words_in(content: bytes) -> set[str]:
    """Return the private words of an answer or a body, also those inside of what is sealed."""
    text = content.decode(errors="replace")
    return set(_WORD.findall(text)).union(*(_WORD.findall(unsealed(each)) for each in _PAYLOAD.findall(text)))


def unsealed(payload: str) -> str:
    with suppress(binascii.Error):
        return base64.b64decode(payload).decode(errors="replace")
    return ""


class Unattended:
    """The application without what it does beside answering, which would go on while everything is put back."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        for done in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{done}.complete"})


class Readers:
    """Who may read which word, and who has."""

    def __init__(self, filled: Filled) -> None:
        self._of = {each.word: each.readers for each in filled.written}
        self.read: dict[str, set[str]] = defaultdict(set)

    def wrongly(self, who: str, content: bytes, *, sent: bytes = b"") -> set[str]:
        """Note what somebody was shown, and return the words of it that are not for her."""
        # What she sent herself is no news to her. A word may be cut where a text is: the start is enough to know it.
        shown = {self._whole(word) for word in words_in(content)} - {
            self._whole(word) for word in words_in(sent)
        }
        for word in shown:
            self.read[word].add(who)
        return {word for word in shown if who not in self._of[word]}

    def _whole(self, word: str) -> str:
        return next(each for each in self._of if each.startswith(word[: len("only-000-")]))

    def missing(self) -> set[tuple[str, str]]:
        return {(word, who) for word, readers in self._of.items() for who in readers - self.read[word]}


# -- each address --------------------------------------------------------------------------------------------------


def addresses(filled: Filled) -> Iterator[str]:
    """Yield each address that can be read, with everything that is there in the place of its parameters."""
    for route in filled.app.routes:
        if not isinstance(route, Route) or "GET" not in (route.methods or ()) or OF_NOBODY.match(route.path):
            continue
        names = re.findall(r"\{(\w+)", route.path)
        if "request_id" not in names:
            for values in itertools.product(*(filled.ids.get(name, ["none"]) for name in names)):
                yield with_values(route.path, dict(zip(names, values, strict=True)))
            continue
        for request in filled.ids["request_id"]:
            digests = filled.parts[request].get("digest", []) if "digest" in names else [""]
            for digest in digests:
                yield with_values(route.path, {"request_id": request, "digest": digest})


def with_values(path: str, given: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)[^}]*\}", lambda part: given[part.group(1)], path)


@pytest.mark.timeout(900)
def test_each_private_text_is_read_by_whom_the_table_names_and_by_nobody_else(
    filled: Filled, kept: Kept
) -> None:
    readers, shown, failed = Readers(filled), [], []
    for path in addresses(filled):
        for who in (NOBODY, *filled.people):
            answer = filled.client.get(path, headers=headers_of(filled, who), follow_redirects=False)
            shown += [(path, who, word) for word in readers.wrongly(who, answer.content)]
            failed += [(path, who, answer.status_code)] if answer.status_code >= 500 else []
    assert shown == []
    assert failed == []
    assert sorted(readers.missing()) == []


def test_a_text_that_is_shown_to_somebody_else_is_noticed(
    filled: Filled, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comments, "_reads", lambda *of: True)
    monkeypatch.setattr(requests, "visible_to", lambda session, who: true())
    readers = Readers(filled)
    hers = filled.ids["request_id"]
    shown = {
        word
        for path in ("/v1/requests", *(f"/v1/requests/{each}/progress" for each in hers))
        for word in readers.wrongly(
            "rita", filled.client.get(path, headers=headers_of(filled, "rita")).content
        )
    }
    told = {each.what for each in filled.written if each.word in shown}
    assert {"comment to the committee", "title of what is in review at beta"} <= told


def test_what_is_inside_of_what_is_sealed_is_read_too(filled: Filled) -> None:
    word = next(each.word for each in filled.written if each.what == "purpose of what is in review")
    envelope = filled.envelopes["request"][0]
    assert word.encode() not in envelope
    assert word in words_in(envelope)
    assert Readers(filled).wrongly("otto", envelope) >= {word}
    assert Readers(filled).wrongly("rita", envelope) == set()


# -- calls from the description ------------------------------------------------------------------------------------


class Drive:
    """Sends calls to each route that is described, in turn as each caller, and keeps what was wrong."""

    def __init__(self, filled: Filled, kept: Kept) -> None:
        self._schema, self._filled, self._kept = (
            from_asgi("/openapi.json", Unattended(filled.app)),
            filled,
            kept,
        )
        self._readers = Readers(filled)
        self.made = self.changed = self.answered = 0
        self.wrong: dict[tuple[str, str], str] = {}

    def send(self, calls: int) -> None:
        operations = [found.ok() for found in self._schema.get_all_operations()]
        each = -(-calls // len(operations))
        callers = st.sampled_from((NOBODY, *self._filled.people))
        luck = st.randoms(use_true_random=False)
        for operation in operations:
            tried = given(case=operation.as_strategy(), who=callers, luck=luck)(self._call)
            settings(
                max_examples=each,
                derandomize=True,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            )(tried)()

    def _call(self, case: Any, who: str, luck: random.Random) -> None:
        self.made += 1
        self._aim(case, luck)
        try:
            answer = case.call(headers=dict(headers_of(self._filled, who)), base_url=BASE)
        except Exception as error:
            self.wrong.setdefault((case.operation.label, "failed"), f"as {who}: {error!r:.500}")
            return
        finally:
            self.changed += self._kept.put_back()
        self.answered += answer.status_code < 300
        sent = case.body if isinstance(case.body, bytes) else json.dumps(case.body, default=str).encode()
        told = answer.content + json.dumps(dict(answer.headers), default=str).encode()
        if shown := self._readers.wrongly(who, told, sent=sent):
            self.note(case, who, answer, f"shows {sorted(shown)}")
        try:
            case.validate_response(answer, checks=CHECKS)
        except AssertionError as error:
            self.note(case, who, answer, str(error))
        except FailureGroup as error:
            self.note(case, who, answer, "; ".join(str(each) for each in error.exceptions))

    def note(self, case: Any, who: str, answer: Any, text: str) -> None:
        key = (case.operation.label, str(answer.status_code))
        self.wrong.setdefault(key, f"as {who}: {text[:500]}")

    def _aim(self, case: Any, luck: random.Random) -> None:
        """Let most calls name what is there, and what belongs together."""
        request = luck.choice(self._filled.ids["request_id"])
        found = _There(self._filled, request, luck)
        for name in case.path_parameters or {}:
            if luck.random() < 0.85:
                case.path_parameters[name] = found.named(name, case.path_parameters[name])
        # A test does not wait for what never comes.
        for waiting in {"wait_s"} & set(case.query or {}):
            case.query[waiting] = 0
        kind = {"/v1/requests": "request", "/v1/jobs": "job", "/v1/counts": "count"}.get(case.operation.path)
        if case.method.upper() == "POST" and kind is not None and luck.random() < 0.5:
            case.body = json.loads(luck.choice(self._filled.envelopes[kind]))
        elif case.operation.path.endswith("/documents") and luck.random() < 0.5:
            case.body = A_PDF
        elif case.body is not NOT_SET:
            case.body = found.inside(case.body)


class _There:
    """What is there to be named in one call: mostly what belongs to one request."""

    def __init__(self, filled: Filled, request: str, luck: random.Random) -> None:
        self._filled, self._request, self._luck = filled, request, luck

    def named(self, name: str, drawn: Any) -> Any:
        if name in ("request_id", "request"):
            return self._request
        if name == "command":
            return self._luck.choice(sorted(OF_REQUESTS | OF_LEGS))
        own = self._filled.parts[self._request].get({"leg_id": "leg"}.get(name, name))
        there = own or self._filled.ids.get(name)
        return self._luck.choice(there) if there else drawn

    def inside(self, body: Any) -> Any:
        """Return a body with what is there in the place of ids, names and IRIs of what is not."""
        if not isinstance(body, dict) or self._luck.random() < 0.2:
            return body
        return {key: self._value(key, value) for key, value in body.items()}

    def _value(self, key: str, value: Any) -> Any:
        if key == "ids":
            return self._filled.parts[self._request]["leg"] or value
        if key in ("datasets", "dataset") and value is not None:
            chosen = self._luck.choice((LUNGS, BRAINS, HEARTS))
            return [chosen] if isinstance(value, list) else chosen
        if key in ("account", "stands_for", "countersigner") and value is not None:
            return self._luck.choice(self._filled.ids["account"])
        if key in ("request", "leg", "digest", "node", "committee") and value is not None:
            return self.named(key, value)
        return (
            {each: self._value(each, inner) for each, inner in value.items()}
            if isinstance(value, dict)
            else value
        )


@pytest.mark.timeout(900)
def test_a_thousand_calls_find_no_failure_nothing_undescribed_and_nothing_private(
    filled: Filled, kept: Kept
) -> None:
    drive = Drive(filled, kept)
    drive.send(1_000)
    assert drive.wrong == {}
    assert drive.made >= 1_000
    # They meet what is there: many are answered, and some change it.
    assert drive.answered > 200
    assert drive.changed > 20


@pytest.mark.long
@pytest.mark.timeout(3_000)
def test_ten_thousand_calls_find_no_failure_nothing_undescribed_and_nothing_private(
    filled: Filled, kept: Kept
) -> None:
    drive = Drive(filled, kept)
    drive.send(10_000)
    assert drive.wrong == {}
    assert drive.made >= 10_000
