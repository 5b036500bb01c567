"""What a process keeps of the catalogue between questions: it tells nobody a number that SQL would not tell now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import facet_reading
from fairbank.catalogue.accounts import Account, Role, by_token
from fairbank.catalogue.context import Hub
from fairbank.catalogue.criteria import Criteria, Sort
from fairbank.catalogue.identity import roles
from fairbank.catalogue.records import Visibility, set_visibility
from fairbank.catalogue.search import in_brief, search
from fairbank.database import reading, writing
from fairbank.ontology.counts import Count
from fairbank.ontology.record import Totals

Make = Callable[..., Any]
ADMIN = Account(name="carla", roles=frozenset({Role.ADMIN}), key_id=None)


@pytest.fixture
def names(hub: Hub, client: TestClient) -> Iterator[Make]:
    def found(who: Account | None = None, **asked: Any) -> list[str]:
        with reading(hub.engine) as session:
            return [row["dataset"] for row in search(session, Criteria(**asked), who)["datasets"]]

    yield found


def show(hub: Hub, **visibility: Visibility) -> None:
    """Let the visibility of several datasets change in one transaction."""
    with writing(hub.engine) as session:
        for dataset, each in visibility.items():
            iri = f"{hub.base_iri}/datasets/alpha/{dataset}"
            set_visibility(session, hub, iri=iri, visibility=each, actor="admin")


def test_what_an_administrator_was_told_is_told_to_nobody_else(released: Make, hub: Hub, names: Make) -> None:
    released("lungs")
    released("brains")
    show(hub, brains=Visibility.HIDDEN)
    for _ in range(2):
        assert sorted(names(ADMIN)) == ["brains", "lungs"]
        assert names() == ["lungs"]
        with reading(hub.engine) as session:
            assert in_brief(session, ADMIN, newest=5).datasets == 2
            assert in_brief(session, None, newest=5).datasets == 1


def test_one_hidden_and_another_shown_at_once_is_noticed(released: Make, hub: Hub, names: Make) -> None:
    """As many as before are shown: it is not their number that is compared."""
    released("lungs")
    released("brains")
    show(hub, brains=Visibility.HIDDEN)
    assert names() == ["lungs"]
    show(hub, brains=Visibility.PUBLIC, lungs=Visibility.HIDDEN)
    assert names() == ["brains"]


def test_a_curator_sees_hidden_datasets_for_as_long_as_the_role_lasts(
    released: Make, hub: Hub, names: Make, person_named: Make
) -> None:
    released("lungs")
    show(hub, lungs=Visibility.HIDDEN)
    cora = person_named("cora")
    given = {"account": "cora", "role": Role.CURATOR, "node": "alpha", "actor": "admin"}
    for change, seen in ((roles.give, ["lungs"]), (roles.take, [])):
        with writing(hub.engine) as session:
            change(session, hub, **given)
        assert names(by_token(hub, cora.token)) == seen
        assert names() == []


def test_nothing_is_read_again_while_nothing_changed(
    released: Make, hub: Hub, names: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    released("lungs")
    names()
    read: list[object] = []
    monkeypatch.setattr(facet_reading, "put_together", lambda *_: read.append(1))
    monkeypatch.setattr(facet_reading, "_read", lambda *_: read.append(1))
    assert names() == ["lungs"]
    assert names(ADMIN) == ["lungs"]
    assert not read


def test_the_brief_says_what_a_search_says(released: Make, hub: Hub, names: Make) -> None:
    withheld = Totals(**dict.fromkeys(("subjects", "studies", "series", "instances"), Count.below(10)))
    for number, dataset in enumerate(("lungs", "brains", "hearts")):
        hub.clock.advance(5)
        released(dataset, **({"totals": withheld} if number == 1 else {}))
    with reading(hub.engine) as session:
        brief, whole = in_brief(session, None, newest=2), search(session, Criteria(), None)
    assert (brief.datasets, brief.subjects) == (whole["count"], whole["totals"]["subjects"])
    assert [row["dataset"] for row in brief.newest] == ["hearts", "brains"]
    assert names(sort=Sort.UPDATED) == ["hearts", "brains", "lungs"]
    hub.clock.advance(5)
    released("lungs", version=2)
    assert names(sort=Sort.UPDATED) == ["lungs", "hearts", "brains"]
