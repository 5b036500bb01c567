"""The sites of a grant before a training is sent: what their gates have told, and which hold alike images."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from tests.federated_jobs.catalogue_rows import dataset_row, iri

from fairbank.database import reading, writing
from fairbank.errors import RemoteError
from fairbank.release.ledger import entries
from fairbank.web import acts
from fairbank.web.site_planning import sites_of_grant

K = 4


class Asker:
    """The requester's connection to a federation of a test, which answers counts before they are looked at."""

    def __init__(self, fed: Any, cubes: dict[str, list[dict[str, Any]]]) -> None:
        self._fed, self._cubes, self.clock = fed, cubes, fed.clock

    def whoami(self) -> dict[str, str]:
        return {"account": "ada"}

    def signer(self) -> Any:
        return self.whoami(), self._fed.requester

    def post(self, path: str, body: bytes, **_: Any) -> Any:
        answer = self._fed.post(path, body)
        assert answer.status_code == 201, answer.text
        for site in self._fed.sites.values():
            site.agent.answer_counts()
        return answer.json()

    def get(self, path: str, **parameters: Any) -> Any:
        if path.startswith("/datasets/"):
            node = path.split("/")[2]
            if node not in self._cubes:
                raise RemoteError.from_problem({"title": "Gone.", "status": 404, "code": "FB-CAT-001"})
            return {"cube": self._cubes[node]}
        return self._fed.get(path, **{k: v for k, v in parameters.items() if k != "signed_in"}).json()


def cell(modality: str, series: int | None) -> dict[str, Any]:
    count = {"kind": "exact", "value": series} if series is not None else {"kind": "below-k", "k": 10}
    return {"modality": modality, "manufacturer": "GE", "slice_thickness": "1-1.5", "series": count}


@pytest.fixture
def planned(start: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    fed = start()
    for name, subjects in {"east": 6, "north": K - 1, "south": 8, "west": 7}.items():
        fed.add(name, subjects=subjects, node_live_counts="all", release_minimum_count=K)
    with writing(fed.hub.engine) as session:
        for name in fed.sites:
            session.add(dataset_row(name, fed.clock.now()))
    visa = fed.visa()
    monkeypatch.setattr(acts, "grant", lambda api, grant: visa)
    cubes = {
        "east": [cell("CT", 60), cell("MR", None)],
        "north": [cell("MR", 40)],
        "west": [cell("CT", 80), cell("MR", 20)],
    }
    yield SimpleNamespace(fed=fed, api=Asker(fed, cubes))


def test_sites_are_grouped_by_what_their_gates_have_told(planned: Any) -> None:
    rows = sites_of_grant(planned.api, "a grant", wait_s=0)
    found = {row["site"]: (row["group"], row["subjects"], row["images"]) for row in rows}
    assert found["east"] == (1, "6", "100 % CT, GE, 1-1.5")
    assert found["west"] == (1, "7", "80 % CT, GE, 1-1.5; 20 % MR, GE, 1-1.5")
    # Too few for a number: the site says that there are fewer, and is a group of its own by its images.
    assert found["north"] == (2, f"<{K}", "100 % MR, GE, 1-1.5")
    assert found["south"] == (3, "8", "nothing published")
    assert [row["dataset"] for row in rows] == [iri(name) for name in ("east", "west", "north", "south")]


def test_a_count_of_few_leaves_no_site_for_the_choice_of_sites(planned: Any) -> None:
    sites_of_grant(planned.api, "a grant", wait_s=0)
    with reading(planned.fed.sites["north"].node.engine) as session:
        bodies = [one.body for one in entries(session) if one.body]
    assert any(b"below" in body for body in bodies)
    assert all(f'"value":{K - 1}'.encode() not in body for body in bodies)
