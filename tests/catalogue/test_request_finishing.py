"""Agreements are countersigned by whom the terms name; a project is completed with a report of what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.catalogue.requesting import LUNGS, Asking

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance.closing import doi

Make = Callable[..., Any]
A_PDF = b"%PDF-1.7\nagreed\n%%EOF\n"
REPORT = {
    "schema": "closing-report/1",
    "summary": "Nodules can be found.",
    "publications": [{"title": "Nodules", "doi": "https://doi.org/10.1000/NOD.1"}],
    "outputs": [{"title": "A model", "reference": "sha256:ab"}],
}


@pytest.fixture
def asking(client: TestClient, hub: Hub, released: Make, person_named: Make) -> Asking:
    released("lungs")
    asking = Asking(
        hub, client, person_named("rita", Role.RESEARCHER), [person_named("carla", Role.COMMITTEE)]
    )
    asking.committee()
    return asking


@pytest.fixture
def agreed(asking: Asking, person_named: Make) -> tuple[str, Any, str]:
    """A request whose conditions are accepted, the person who countersigns, and the digest of the agreement."""
    lena = person_named("lena", Role.RESEARCHER)
    request_id = asking.submitted()
    asking.decide(request_id, agreement={"countersigner": "lena", "title": "Agreement of the clinic"})
    leg = asking.legs(request_id)[0]
    assert leg.state == "approved_with_conditions"
    accepted = asking.post(
        f"/v1/requests/{request_id}/legs/{leg.id}/commands/accept-conditions", {"schema": "command/1"}
    )
    assert accepted.status_code == 200, accepted.text
    path = f"/v1/requests/{request_id}/documents?name=agreement.pdf&kind=agreement"
    digest = asking.client.post(path, content=A_PDF, headers=asking.rita.headers).json()["digest"]
    return request_id, lena, digest


def countersign(asking: Asking, request_id: str, who: Any, digest: str) -> Any:
    body = {"schema": "countersignature/1", "leg": LUNGS, "digest": digest}
    return asking.post(f"/v1/requests/{request_id}/countersign", body, who)


def test_a_leg_waits_for_its_countersigner_and_is_granted_then(
    asking: Asking, agreed: tuple[str, Any, str]
) -> None:
    request_id, lena, digest = agreed
    waiting = asking.get(f"/v1/requests/{request_id}/progress", lena).json()["legs"][0]
    assert waiting["next"]["awaited"] == "countersigner"
    assert "lena" in waiting["next"]["sentence"]
    assert asking.get(f"/v1/requests/{request_id}/documents/{digest}", lena).content == A_PDF
    answer = countersign(asking, request_id, lena, digest)
    assert (answer.status_code, answer.json().get("state")) == (200, "active")
    told = asking.get(f"/v1/requests/{request_id}/progress").json()["legs"][0]["agreement"]
    assert told["digest"] == digest and told["countersigned"] is not None
    assert countersign(asking, request_id, lena, digest).json()["code"] == "FB-CAT-157"


def test_nobody_else_countersigns_and_no_other_digest_does(
    asking: Asking, agreed: tuple[str, Any, str]
) -> None:
    request_id, lena, digest = agreed
    assert countersign(asking, request_id, asking.rita, digest).status_code == 403
    assert countersign(asking, request_id, asking.members[0], digest).status_code == 403
    other = countersign(asking, request_id, lena, "sha256:" + "0" * 64)
    assert (other.status_code, other.json()["code"]) == (422, "FB-CAT-157")
    assert asking.legs(request_id)[0].state == "conditions_accepted"


def test_a_project_is_completed_with_its_report_and_not_without(asking: Asking) -> None:
    request_id = asking.submitted()
    early = asking.post(f"/v1/requests/{request_id}/closing-report", REPORT)
    assert (early.status_code, early.json()["code"]) == (422, "FB-CAT-156")
    asking.decide(request_id)
    assert asking.post(f"/v1/requests/{request_id}/complete", {}).json()["code"] == "FB-CAT-156"
    leg = asking.legs(request_id)[0]
    alone = asking.post(f"/v1/requests/{request_id}/legs/{leg.id}/commands/complete", {"schema": "command/1"})
    assert alone.status_code in (409, 422)
    assert asking.post(f"/v1/requests/{request_id}/closing-report", REPORT).status_code == 201
    done = asking.post(f"/v1/requests/{request_id}/complete", {})
    assert done.json()["legs"] == [{"dataset": LUNGS, "state": "completed"}]
    view = asking.get(f"/v1/requests/{request_id}/progress").json()
    assert view["closing_report"]["publications"] == [{"title": "Nodules", "doi": "10.1000/nod.1"}]
    assert view["state"] == "closed"


def test_only_the_requester_says_what_came_of_it(asking: Asking) -> None:
    request_id = asking.submitted()
    asking.decide(request_id)
    carla = asking.members[0]
    assert asking.post(f"/v1/requests/{request_id}/closing-report", REPORT, carla).status_code == 422
    assert asking.post(f"/v1/requests/{request_id}/complete", {}, carla).status_code == 422


@pytest.mark.parametrize(
    "publication",
    [{"title": "No place"}, {"title": "Not a DOI", "doi": "11.1000/x"}, {"title": "x", "doi": "10.1000/a b"}],
)
def test_a_publication_can_be_found(asking: Asking, publication: dict[str, str]) -> None:
    request_id = asking.submitted()
    asking.decide(request_id)
    refused = asking.post(
        f"/v1/requests/{request_id}/closing-report", REPORT | {"publications": [publication]}
    )
    assert refused.status_code in (400, 422)
    assert "Not a DOI" not in refused.text


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("10.1000/182", "10.1000/182"),
        ("doi: 10.1000/182", "10.1000/182"),
        ("http://dx.doi.org/10.1002/(SICI)1097", "10.1002/(sici)1097"),
    ],
)
def test_a_doi_is_kept_bare(text: str, bare: str) -> None:
    assert doi(text) == bare
