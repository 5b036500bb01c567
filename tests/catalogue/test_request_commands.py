"""`fairbank request` and `fairbank grant` from the first line of a draft to the closing report, against a hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.catalogue.requesting import BRAINS, LUNGS, Asking

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.settings import Settings
from fairbank.web.api_client import HubApi

Make = Callable[..., Any]
A_PDF = b"%PDF-1.7\nagreed\n%%EOF\n"


@pytest.fixture
def asking(client: TestClient, hub: Hub, released: Make, person_named: Make) -> Asking:
    released("lungs")
    released("brains")
    asking = Asking(
        hub, client, person_named("rita", Role.RESEARCHER), [person_named("carla", Role.COMMITTEE)]
    )
    asking.committee()
    return asking


@pytest.fixture
def run(
    fairbank: Make, asking: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Run a command as somebody, rita by default, over the application instead of a network."""
    as_whom: dict[str, Any] = {"who": asking.rita}

    def from_home(settings: Settings, clock: Any) -> HubApi:
        who = as_whom["who"]
        home = tmp_path / who.name
        if not (home / "keys" / "requester.pem").exists():
            (home / "keys").mkdir(parents=True)
            who.key.save(home / "keys" / "requester.pem")
        made = HubApi("http://hub.test", clock=asking.hub.clock, home=home, token=who.token)
        made._client = asking.client  # type: ignore[assignment]  # the same calls, without a network
        return made

    monkeypatch.setattr(HubApi, "from_home", staticmethod(from_home))

    def call(*words: str | Path, who: Any = None, code: int = 0) -> Any:
        as_whom["who"] = who or asking.rita
        ran = fairbank(*words)
        assert ran.code == code, ran
        return ran

    return call


def answer(ran: Any) -> Any:
    return json.loads(ran.out)


def test_a_request_from_its_template_to_its_report(
    run: Callable[..., Any], asking: Asking, tmp_path: Path
) -> None:
    template = run("request", "template").out
    filled = (
        template.replace("title:\n", "title: Nodules\n", 1)
        .replace("datasets: []\n", f"datasets:\n  - {LUNGS}\n")
        .replace("data_use: []\n", "data_use:\n  - DUO:0000006\n")
        .replace("output_classes: []\n", "output_classes:\n  - measurements\n")
        .replace("statement:\n", "statement: Nodule detection.\n")
        .replace("until:\n", "until: 2026-04-01T00:00:00.000Z\n", 1)
    )
    (tmp_path / "request.yaml").write_text(filled)
    (tmp_path / "vote.pdf").write_bytes(A_PDF)
    draft = answer(run("request", "new", "--from", tmp_path / "request.yaml", "--format", "json"))
    request = draft["id"]
    assert [each for each in draft["missing"] if each["needed"]] == []
    run("request", "edit", request, "--country", "NL", "--person", "Ana; University; statistician")
    run("request", "attach", request, tmp_path / "vote.pdf", "--kind", "ethics-approval")
    assert answer(run("request", "submit", request, "--format", "json"))["state"] == "open"
    shown = run("request", "show", request)
    assert "votes" in shown.out and "member" in shown.out
    run("request", "comment", request, "The vote is attached.")
    asking.decide(request, conditions=["Cite us."])
    assert LUNGS in run("request", "accept-conditions", request).out
    granted = answer(run("grant", "list", "--format", "json"))[0]
    assert (granted["state"], granted["datasets"][0]["dataset"]) == ("holds", LUNGS)
    listed = run("grant", "list").out
    assert "Lung screening CT" in listed and "health or medical" in listed
    assert "visa/1" in run("grant", "show", request).out
    changed = run("request", "amend", request, "--dataset", LUNGS, "--dataset", BRAINS)
    assert f"asks also for {BRAINS}" in changed.err
    assert len(answer(run("request", "changes", request, "--format", "json"))) == 2
    run("request", "pause", request)
    assert answer(run("request", "show", request, "--format", "json"))["state"] == "paused"
    run("request", "resume", request)
    done = run("request", "complete", request, "--summary", "Done.", "--publication", "Nodules; 10.1000/N.1")
    assert "completed" in done.out
    listed = answer(run("request", "list", "--format", "json"))[0]
    assert listed["legs"] == {"completed": 1, "in_review": 1}
    assert "withdrawn" in run("request", "withdraw", request).err


def test_logging_out_everywhere_ends_the_log_in_here_too(run: Callable[..., Any], asking: Asking) -> None:
    assert "goes with --everywhere" in run("account", "log-out", "--tokens", code=2).err
    assert "0 in browsers, 1 on command lines" in run("account", "log-out", "--everywhere").err
    assert asking.get("/v1/whoami").status_code == 401


def test_what_was_returned_is_submitted_again_unchanged(run: Callable[..., Any], asking: Asking) -> None:
    request = asking.submitted()
    refused = run("request", "amend", request, "--title", "Nodules", code=1)
    assert "FB-CAT-160" in refused.err
    asking.decide(request, "return")
    run("request", "amend", request, "--title", "Nodules")
    assert asking.legs(request)[0].state == "in_review"


def test_a_renewal_is_decided_while_the_grant_holds(run: Callable[..., Any], asking: Asking) -> None:
    request = asking.submitted()
    asking.decide(request)
    run("request", "renew", request, "--until", "2027-01-01")
    leg = asking.legs(request)[0]
    assert (leg.state, leg.pending_state) == ("active", "in_review")
    assert "stays as it is" in run("request", "show", request).out


def test_an_agreement_is_read_and_countersigned(
    run: Callable[..., Any], asking: Asking, person_named: Make, tmp_path: Path
) -> None:
    lena, request = person_named("lena", Role.RESEARCHER), asking.submitted()
    asking.decide(request, agreement={"countersigner": "lena", "title": "Agreement"})
    assert [row["id"] for row in answer(run("request", "list", "--format", "json", who=lena))] == [request]
    run("request", "accept-conditions", request)
    (tmp_path / "agreement.pdf").write_bytes(A_PDF)
    attached = run("request", "attach", request, tmp_path / "agreement.pdf", "--format", "json")
    digest = answer(attached)["digest"]
    run("request", "document", request, digest, "--to", tmp_path / "read.pdf", who=lena)
    assert (tmp_path / "read.pdf").read_bytes() == A_PDF
    run("request", "countersign", request, "--dataset", LUNGS, "--digest", digest, who=lena)
    assert asking.legs(request)[0].state == "active"


def test_the_short_way_to_ask_still_works(run: Callable[..., Any], asking: Asking) -> None:
    words = ["--title", "N", "--dataset", LUNGS, "--purpose", "DUO:0000006", "--statement", "Why."]
    words += ["--output", "measurements", "--until", "2026-04-01"]
    assert answer(run("request", "submit", *words, "--format", "json"))["state"] == "open"
    assert "all needed" in run("request", "submit", "--title", "N", code=2).err


@pytest.mark.parametrize("content", ["[1, 2]", "a: [", "\x00", "1: 2", "just words"])
def test_a_file_that_is_no_request_is_refused_in_words(
    run: Callable[..., Any], tmp_path: Path, content: str
) -> None:
    (tmp_path / "request.yaml").write_text(content)
    assert "FB-CAT-158" in run("request", "new", "--from", tmp_path / "request.yaml", code=2).err
