"""Committees for tests: people who sit on them, requests before them, and what they say, over the hub's routes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from starlette.testclient import TestClient

from fairbank.catalogue.accounts import Role, issue_token
from fairbank.catalogue.context import Hub
from fairbank.clock import iso
from fairbank.database import writing
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Purpose, Request

LUNGS = "http://hub.test/datasets/alpha/lungs"
DAY_S = 86_400


class Board:
    """A hub with an administrator, a requester and whoever else is named."""

    def __init__(self, hub: Hub, client: TestClient, person_named: Callable[..., Any]) -> None:
        self.hub, self.client = hub, client
        self._make, self._people = person_named, {}
        self.person("ada", Role.ADMIN)
        self.person("rita", Role.RESEARCHER)

    def person(self, name: str, *roles: Role) -> Any:
        if name not in self._people:
            made = self._people[name] = self._make(name, *(roles or (Role.COMMITTEE,)))
            with writing(self.hub.engine) as session:
                # Tests let weeks pass.
                made.token = issue_token(session, self.hub, name=name, hours=24 * 366).token
        return self._people[name]

    def call(self, who: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return self.client.request(
            method,
            path,
            content=json.dumps(body) if body is not None else None,
            headers=self.person(who).headers,
        )

    def done(self, who: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self.call(who, method, path, body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def committee(self, *members: str, scope: str | None = "alpha", **rules: Any) -> str:
        """Set a committee up whose first member is the chair, and return its id."""
        wish = {"schema": "committee/1", "title": "Data access committee", **rules}
        made: str = self.done("ada", "POST", "/v1/committees", wish)["id"]
        if scope is not None:
            self.done(
                "ada", "POST", f"/v1/committees/{made}/scopes", {"schema": "committee-scope/1", "node": scope}
            )
        for place, name in enumerate(members):
            self.join(made, name, chair=place == 0)
        return made

    def join(self, committee: str, name: str, *, chair: bool = False) -> None:
        self.person(name)
        body = {"schema": "committee-member/1", "chair": chair}
        self.done("ada", "PUT", f"/v1/committees/{committee}/members/{name}", body)

    def leave(self, committee: str, name: str) -> None:
        self.done("ada", "DELETE", f"/v1/committees/{committee}/members/{name}")

    def request(self, *, who: str = "rita", **changes: Any) -> str:
        """Submit a request for the lungs and return the id of its leg."""
        asker, now = self.person(who), self.hub.clock.now()
        given: dict[str, Any] = {
            "id": self.hub.clock.new_id(),
            "requester_key": asker.key.key_id,
            "requester_account": who,
            "organisation": "University",
            "title": "Nodules",
            "datasets": (LUNGS,),
            "purpose": Purpose(data_use=("DUO:0000006",), statement="Nodule detection."),
            "output_classes": (OutputClass.MEASUREMENTS,),
            "until": iso(now + timedelta(days=90)),
            "created": iso(now),
        }
        sealed = Request(**(given | changes)).seal(asker.key)
        answer = self.client.post("/v1/requests", content=sealed, headers=asker.headers)
        assert answer.status_code == 201, answer.text
        seen = self.done(who, "GET", f"/v1/requests/{answer.json()['id']}")
        leg: str = seen["legs"][0]["id"]
        return leg

    def document(
        self, content: bytes = b"%PDF-1.7 the vote of the board", who: str = "rita"
    ) -> tuple[str, str]:
        """Attach a document to a new draft and return the ids of the draft and of the document."""
        draft = self.done(
            who, "POST", "/v1/requests/drafts", {"schema": "request-draft/1", "title": "Nodules"}
        )
        answer = self.client.post(
            f"/v1/requests/{draft['id']}/documents?name=vote.pdf",
            content=content,
            headers=self.person(who).headers,
        )
        assert answer.status_code == 201, answer.text
        return draft["id"], answer.json()["digest"]

    def terms(self, *, days: int = 30, **terms: Any) -> dict[str, Any]:
        return {"until": iso(self.hub.clock.now() + timedelta(days=days)), **terms}

    def propose(self, who: str, leg: str, **terms: Any) -> str:
        body = {"schema": "proposal/1", "terms": self.terms(**terms)}
        made: str = self.done(who, "POST", f"/v1/reviews/{leg}/proposal", body)["id"]
        return made

    def vote(self, who: str, leg: str, word: str = "approve", **more: Any) -> dict[str, Any]:
        body = {"schema": "votes/1", "ids": [leg], "word": word, **more}
        results = self.done(who, "POST", "/v1/reviews/votes", body)["results"]
        result: dict[str, Any] = results[0]
        return result

    def error_of(self, result: dict[str, Any]) -> str:
        assert result["status"] == "error", result
        code: str = result["error"]["code"]
        return code

    def seen(self, who: str, leg: str) -> dict[str, Any]:
        found: dict[str, Any] = self.done(who, "GET", f"/v1/reviews/{leg}")
        return found

    def subjects(self, who: str) -> list[str]:
        """Return the subjects of somebody's notices, oldest first."""
        rows = self.done(who, "GET", "/v1/notices")["notices"]
        return [row["subject"] for row in reversed(rows)]
