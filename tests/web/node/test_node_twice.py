"""Decisions about outputs that are sent twice, or about what somebody else has decided meanwhile."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from tests.web.node.conftest import PHRASE, hidden

from fairbank.audit import NodeAudit
from fairbank.database import reading
from fairbank.federated_jobs.node.output_review import held

SIGNED = {"person": "ada", "passphrase": PHRASE}


def entries(at: Any) -> int:
    with reading(at.site.node.engine) as session:
        return session.scalar(select(func.count()).select_from(NodeAudit)) or 0


def test_the_same_release_twice_is_one_decision(at: Any, ada: Any) -> None:
    at.held_job(ada)
    (release,) = held(at.site.outbox)
    client, address = at.seated(), f"/outbox/{release.id}"
    fields = {**hidden(client.get(address).text), "decision": "release", **SIGNED}
    assert client.post(address, data=fields).status_code == 303
    after = entries(at)
    again = client.post(address, data=fields)
    assert (again.status_code, again.headers["location"], entries(at)) == (303, address, after)


def test_a_release_of_what_was_kept_back_meanwhile_is_refused_with_both_shown(at: Any, ada: Any) -> None:
    at.held_job(ada)
    (release,) = held(at.site.outbox)
    first, second, address = at.seated(), at.seated("ben"), f"/outbox/{release.id}"
    late = {**hidden(second.get(address).text), "decision": "release", "why": "all is well"}
    assert at.send(first, address, decision="keep", why="too detailed", **SIGNED).status_code == 303
    answer = second.post(address, data={**late, "person": "ben", "passphrase": PHRASE})
    assert answer.status_code == 409
    # How it stands, and what she was about to say.
    assert "It stays here." in answer.text
    assert "What you were about to send" in answer.text and "all is well" in answer.text
    assert PHRASE not in answer.text


def test_an_approval_of_what_was_refused_meanwhile_is_refused_with_both_shown(at: Any) -> None:
    job = at.waiting_job()
    first, second, address = at.seated(), at.seated("ben"), f"/jobs/{job}"
    late = {**hidden(second.get(address).text), "statement": ["1", "2", "3"], "decision": "approve"}
    assert at.send(first, address, decision="refuse", why="too much", **SIGNED).status_code == 303
    answer = second.post(address, data={**late, "why": "all is well", "person": "ben", "passphrase": PHRASE})
    assert answer.status_code == 409
    assert "What you were about to send" in answer.text and "all is well" in answer.text
