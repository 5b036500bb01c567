"""A hub of before requests had legs: each old request is carried over, and no old visa holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import MetaData, insert
from tests.catalogue.granting import (
    Someone,
    a_committee,
    a_request,
    account_of,
    grant_all,
    history,
    legs_by_name,
    state,
)

from fairbank import migrations
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import expiry, grants
from fairbank.catalogue.governance.store import RequestRow
from fairbank.database import reading
from fairbank.ontology.signed_objects import Request
from fairbank.signing import canonical, seal, sha256_digest

BEFORE = "fab4f482af69"
LUNGS, BRAINS = (f"http://hub.test/datasets/alpha/{name}" for name in ("lungs", "brains"))
# What an old request was: how its datasets stand now, and the request as a whole.
CARRIED = {
    "submitted": ("submitted", "open"),
    "in_review": ("submitted", "open"),
    "granted": ("submitted", "open"),
    "returned": ("returned", "open"),
    "expired": ("expired", "open"),
    "declined": ("declined", "closed"),
    "revoked": ("revoked", "closed"),
    "withdrawn": ("withdrawn", "withdrawn"),
}


@pytest.fixture(autouse=True)
def _in_earnest(monkeypatch: pytest.MonkeyPatch, upgrade_in_earnest: Callable[..., None]) -> None:
    monkeypatch.setattr(migrations, "upgrade", upgrade_in_earnest)


@pytest.fixture
def rita(hub: Hub, released: Callable[..., Any]) -> Someone:
    for name in ("lungs", "brains"):
        released(name)
    return Someone(hub, "rita", Role.RESEARCHER)


def as_it_was(hub: Hub, rita: Someone, old_state: str) -> tuple[str, str]:
    """Bring the hub back, put an old request for both datasets into it, and bring it up again.

    Return the request's id and the digest of its visa.
    """
    while migrations.current(hub.engine) != BEFORE:
        migrations.downgrade(hub.engine, "hub")
    now, request = hub.clock.now(), a_request(hub, rita, [LUNGS, BRAINS])
    envelope = request.seal(rita.key)
    old_visa = {"schema": "visa/1", "id": hub.clock.new_id(), "datasets": [{"iri": LUNGS}, {"iri": BRAINS}]}
    row = {"id": request.id, "account": "rita", "title": request.title, "state": old_state}
    tables = MetaData()
    tables.reflect(hub.engine)
    acts = ["submit", "take-up"] + ["approve"] * (old_state in ("granted", "expired", "revoked"))
    with hub.engine.begin() as connection:

        def put(name: str, *rows: dict[str, Any]) -> None:
            connection.execute(insert(tables.tables[name]), list(rows))

        times = {"until": now + timedelta(days=90), "submitted": now, "changed": now}
        put(
            "catalogue_requests",
            row | times | {"digest": Request.open(envelope, trusted=None)[1].digest, "envelope": envelope},
        )
        put(
            "catalogue_request_datasets",
            *({"request": request.id, "dataset": iri} for iri in (LUNGS, BRAINS)),
        )
        put(
            "catalogue_decisions",
            *(
                {
                    "id": hub.clock.new_id(), "request": request.id, "act": act, "actor": "carla",
                    "comment": "", "at": now,
                }
                for act in acts
            ),
        )  # fmt: skip
        put(
            "catalogue_visas",
            {
                "id": old_visa["id"], "digest": sha256_digest(canonical(old_visa)), "request": request.id,
                "envelope": seal("visa", old_visa, hub.key), "account": "rita", "granted": now,
                "expires": now + timedelta(days=30), "ended": None, "ended_because": None,
            },
        )  # fmt: skip
    migrations.upgrade(hub.engine, "hub")
    return request.id, sha256_digest(canonical(old_visa))


@pytest.mark.parametrize("old_state", CARRIED)
def test_each_old_request_becomes_a_leg_per_dataset(hub: Hub, rita: Someone, old_state: str) -> None:
    request_id, visa = as_it_was(hub, rita, old_state)
    legs_state, request_state = CARRIED[old_state]
    assert {name: leg.state for name, leg in legs_by_name(hub, request_id).items()} == {
        "lungs": legs_state,
        "brains": legs_state,
    }
    assert state(hub, request_id) == request_state
    with reading(hub.engine) as session:
        kept = grants.find_grant(session, visa, now=hub.clock.now())
        assert kept is not None and not kept.holds and kept.still_granted == frozenset()
        row = session.get_one(RequestRow, request_id)
        assert len(grants.grants_of(session, row, now=hub.clock.now())) == 1


def test_what_was_granted_is_decided_again_and_what_was_said_is_kept(hub: Hub, rita: Someone) -> None:
    request_id, _ = as_it_was(hub, rita, "granted")
    carla = Someone(hub, "carla", Role.COMMITTEE)
    a_committee(hub, ["alpha"], ["carla"])
    expiry.sweep(hub)
    grant_all(hub, account_of(hub, carla), request_id)
    assert {leg.state for leg in legs_by_name(hub, request_id).values()} == {"active"}
    with reading(hub.engine) as session:
        row = session.get_one(RequestRow, request_id)
        newest, *_, old = grants.grants_of(session, row, now=hub.clock.now())
        said = history(session, request_id)
    assert (newest.state, newest.datasets, old.state) == ("holds", {LUNGS, BRAINS}, "migrated")
    assert said[:3] == ["submit", "take-up", "approve"] and said.count("submit") == 2
