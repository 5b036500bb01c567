"""An upgrade forgets neither the newest visas that a site has seen nor its runs, and knows whose requests they were."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from alembic import command
from tests.federated_jobs.conftest import BASE, DATASET
from tests.federated_jobs.lying_hub import Hub, stopped

from fairbank import migrations
from fairbank.clock import iso
from fairbank.database import reading
from fairbank.federated_jobs.manifest import dataset_iri
from fairbank.federated_jobs.node.store import NewestVisaRow, RunRow
from fairbank.ontology.signed_objects import Request, Visa
from fairbank.signing import SigningKey

BEFORE = "b18e4f7092ad"
IRI = dataset_iri(BASE, "east", DATASET)


@pytest.fixture(autouse=True)
def _in_earnest(monkeypatch: pytest.MonkeyPatch, upgrade_in_earnest: Callable[..., None]) -> None:
    monkeypatch.setattr(migrations, "upgrade", upgrade_in_earnest)


@pytest.fixture
def hub(start) -> Hub:
    return Hub(start("east"))


def moved(hub: Hub, *, to: str | None) -> None:
    """Take the node's database to an earlier step, or to the newest."""
    config = migrations.configuration("node")
    with hub.site.node.engine.connect() as connection:
        config.attributes["connection"] = connection
        # As `migrations.upgrade` does: a table that others refer to is made anew.
        connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
        command.downgrade(config, to) if to else command.upgrade(config, "head")
        connection.commit()
        connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")


def test_a_node_that_is_upgraded_knows_whose_runs_and_whose_newest_visas_they_are(hub):
    one_run = {"maximum_runs": 1}
    hub.approved(**one_run)
    hub.clock.advance(3600)
    newest = hub.visa(terms={DATASET: one_run})
    moved(hub, to=BEFORE)
    moved(hub, to=None)
    assert stopped(hub.brings(visa=newest, manifest=hub.manifest(newest))) == ("runs_spent", "runs")
    key = hub.fed.requester.key_id
    with reading(hub.site.node.engine) as session:
        assert session.scalars(sa.select(RunRow.requester_key)).all() == [key]
        assert session.scalars(sa.select(NewestVisaRow.requester_key)).all() == [key]
    older = hub.visa(created=iso(hub.clock.now() - timedelta(days=1)))
    assert stopped(hub.brings(visa=older, manifest=hub.manifest(older)))[0] == "visa_superseded"


def test_going_back_a_step_keeps_the_newest_visa_of_those_that_share_an_id(hub):
    mallory, lawful = SigningKey.generate(), hub.visa()
    hub.brings(visa=lawful, manifest=hub.manifest(lawful))
    hub.clock.advance(3600)
    request = hub.asked(key=mallory, id=Request.open(hub.request, trusted=None)[0].id)
    later = hub.visa(request=request)
    hub.brings(visa=later, manifest=hub.manifest(later, key=mallory), request=request)
    moved(hub, to=BEFORE)
    with hub.site.node.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT dataset, visa FROM jobs_newest_visas")).all()
    moved(hub, to=None)
    assert rows == [(IRI, Visa.open(later, trusted=None)[1].digest)]
