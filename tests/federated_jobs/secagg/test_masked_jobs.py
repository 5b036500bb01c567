"""Jobs whose updates are masked, through hub, gate and nodes: the model of a plain run, and no update is seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.federated_jobs.conftest import Federation
from tests.federated_jobs.secagg.masked_sites import NAMES, first, masking, model_of, recorded, submitted

from fairbank.database import reading, writing
from fairbank.federated_jobs.hub.store import MaskingMessageRow, MaskingRow, UpdateRow
from fairbank.federated_jobs.secagg.fixed_point import FRACTION_BITS
from fairbank.ontology.signed_objects import Element, Training

Start = Callable[..., Federation]


@pytest.mark.parametrize("aggregator", ["fedavg", pytest.param("fedavgm", marks=pytest.mark.long)])
def test_the_model_is_that_of_a_plain_run(start: Start, aggregator: str) -> None:
    how = {"rounds": 2, "aggregator": Element(name=aggregator)}
    plain = masking(start(*NAMES, folder="plain"))
    one = submitted(plain, training=Training(), **how)
    plain.settle()
    masked = masking(start(*NAMES, folder="masked"))
    other = submitted(masked, **how)
    masked.settle()
    assert plain.state(one) == masked.state(other) == "completed"
    wanted, got = model_of(plain, one), model_of(masked, other)
    assert set(wanted) == set(got)
    for name, values in wanted.items():
        bound = 2 * len(NAMES) / 2 ** (FRACTION_BITS + 1) + 1e-6 * np.abs(values).max()
        np.testing.assert_allclose(got[name], values, atol=bound, rtol=0)


def steps_until(fed: Federation, job: str, step: str) -> None:
    """Let all work until a step of the first round is due."""
    while _step(fed, job) != step:
        for site in fed.sites.values():
            site.agent.step()
        fed.close_rounds()


def _step(fed: Federation, job: str) -> str:
    with reading(fed.hub.engine) as session:
        row = session.get(MaskingRow, (job, 1))
        return row.step if row is not None else ""


def test_a_hub_that_starts_anew_goes_on_and_its_disk_holds_nothing_of_a_site(start: Start) -> None:
    fed = masking(start("east", "north", "west"))
    job = submitted(fed)
    steps_until(fed, job, "survivors")
    fed.restart_hub()
    fed.settle()
    assert fed.state(job) == "completed"
    with recorded(fed) as files:
        pass
    for site in fed.sites.values():
        trained = site.runner.made[0]["body"]
        apart = (trained - first()["body"]).reshape(-1)
        fixed = np.rint(apart.astype(np.float64) * 2**FRACTION_BITS).astype("<i8")
        for part in (trained.reshape(-1)[:8], apart[:8], fixed[:8]):
            assert not any(part.tobytes() in body for body in files)


@pytest.mark.parametrize("step", [pytest.param("shares", marks=pytest.mark.long), "survivors"])
def test_a_site_that_starts_anew_loses_the_attempt_and_the_job_goes_on(start: Start, step: str) -> None:
    fed = masking(start(*NAMES))
    job = submitted(fed, quorum=3)
    steps_until(fed, job, step)
    fed.sites["north"].restart()
    fed.settle()
    assert fed.state(job) == "completed"


def test_an_attempt_begins_anew_while_nobody_has_masked(start: Start) -> None:
    fed = masking(start("east", "north", "west"))
    job = submitted(fed)
    steps_until(fed, job, "shares")
    fed.sites["north"].restart()
    fed.settle()
    assert fed.state(job) == "completed"
    with reading(fed.hub.engine) as session:
        assert session.get_one(MaskingRow, (job, 1)).attempt == 2


def test_too_few_survivors_end_the_job_openly(start: Start) -> None:
    fed = masking(start("east", "north", "west"))
    job = submitted(fed)
    steps_until(fed, job, "survivors")
    fed.sites["north"].restart()
    fed.settle()
    found = fed.job(job)
    assert (found["state"], found["reason"]) == ("failed", "quorum_not_met")


def test_an_order_without_masks_lets_no_update_leave(start: Start) -> None:
    """A hub that leaves the masks out of its order gets nothing: the sealed manifest asks for them."""
    fed = masking(start("east", "north", "west"))
    job = submitted(fed)
    fed.close_rounds()
    with writing(fed.hub.engine) as session:
        session.delete(session.get_one(MaskingRow, (job, 1)))
    fed.sites["north"].agent.step()
    fed.sites["north"].agent.step()
    with reading(fed.hub.engine) as session:
        assert session.query(UpdateRow).count() == 0
    assert fed.site_state(job, "north")[0] == "failed"
    assert not fed.sites["north"].runner.made


@pytest.mark.parametrize(
    "stranger", [True, False], ids=["a site that the job has not", "fewer than the quorum"]
)
def test_a_site_gives_no_keys_to_a_list_of_sites_that_the_manifest_has_not(
    start: Start, stranger: bool
) -> None:
    fed = masking(start("east", "north", "west"))
    job = submitted(fed)
    fed.close_rounds()
    with writing(fed.hub.engine) as session:
        row = session.get_one(MaskingRow, (job, 1))
        others = {name: key for name, key in row.roster.items() if name != "west"}
        row.roster = row.roster | {"mallory": str(fed.hub.key.key_id)} if stranger else others
    fed.sites["east"].agent.step()
    with reading(fed.hub.engine) as session:
        said = session.get_one(MaskingMessageRow, (job, 1, 1, "keys", "east"))
        assert said.envelope is None
