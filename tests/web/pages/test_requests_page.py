"""Lists of requests, one request, and asking for access."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient
from tests.web.filled_hub import BASE, Filled

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
JSON = {"Accept": "application/json"}


def told(filled: Filled, who: str, address: str) -> Any:
    client = TestClient(filled.app, base_url=BASE, follow_redirects=False)
    answer = client.get(address, headers={**filled.people[who].headers, **JSON})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_what_waits_for_a_vote_comes_before_one_s_own_requests(filled: Filled) -> None:
    of_dora = told(filled, "dora", "/requests")
    assert of_dora["shown"] == "decide" and of_dora["rows"][0]["yours"]
    assert all(row["states"][0][1] in ("triage", "in_review") for row in of_dora["rows"])
    of_rita = told(filled, "rita", "/requests")
    assert of_rita["shown"] == "mine" and not of_rita["decides"]
    ages = [row["since"] for row in of_rita["rows"] if row["states"][0][0] == "leg"]
    assert ages == sorted(ages), "the oldest comes first"
    decided = told(filled, "dora", "/requests?show=decided")["rows"]
    assert {row["states"][0][1] for row in decided} >= {"declined", "active", "revoked"}
