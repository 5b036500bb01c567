"""`kill -9` of a node or of the hub during training: nothing is lost, and the model is the same to the byte."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import psutil
import pytest

from fairbank.clock import iso
from fairbank.demo.federation import MEMBER, RESEARCHER, SECOND
from fairbank.errors import FairbankError
from fairbank.federated_jobs.errors import NotApproved
from fairbank.federated_jobs.node.approval import Consent, approve
from fairbank.federated_jobs.node.reporting import report_decisions
from fairbank.release.hub_client import HubClient
from fairbank.release.outbox import Outbox
from fairbank.web.acts import Wish, grant, request_access, send_job

pytestmark = pytest.mark.sandbox

ROUNDS = 3
SMALL = {
    "image_size": 16,
    "width": 4,
    "levels": 1,
    "batch_size": 8,
    # Long enough for a node to be met while it computes.
    "local_epochs": 50,
    # What a site keeps from round to round has to survive too.
    "optimizer_state": "keep",
}
VICTIM = "harbour"
# Two sites suffice, and start their workers at the same time on two cores.
SITES = ("harbour", "southvale")
PATIENCE_S = 180


class Training:
    """Trains one small network again and again at the sites of the demo."""

    def __init__(self, told: Any) -> None:
        self.told = told
        self.federation = told.federation
        self.sites = [site for site in told.federation.sites if site.biobank.name in SITES]
        self.researcher = self.federation.person(RESEARCHER)
        self._visa = self._granted()
        self._undisturbed: dict[str, str] = {}
        self.killed_workers = 0

    def start(self, seed: str) -> str:
        """Send the job, let all sites approve it, and return its id."""
        _, sent = send_job(
            self.researcher, self._visa, "slice-autoencoder", SMALL, title="Small", rounds=ROUNDS, seed=seed
        )
        for site in self.sites:
            until(lambda site=site: self._approved(site, sent["id"]))
            report_decisions(site.node, Outbox(site.node, HubClient.of(site.node)))
        return str(sent["id"])

    def end(self, job: str) -> str:
        """Wait until a job is over and return the digest of its final model; the hub may be away for a while."""
        view = until(lambda: self._ended(job))
        assert view["state"] == "completed", view
        assert [(one["state"], one["reason"]) for one in view["sites"]] == [("released", "none")] * len(SITES)
        models = self.researcher.get("/v1/models", signed_in=True)["models"]
        return str(next(model["digest"] for model in models if model["job"] == job and model["final"]))

    def undisturbed(self, seed: str) -> str:
        """Return the digest of the model that comes of a job that nothing happens to."""
        if seed not in self._undisturbed:
            self._undisturbed[seed] = self.end(self.start(seed))
        return self._undisturbed[seed]

    def kill_and_restart_node(self) -> None:
        """End the agent at once, see that nothing of it lives on, and start it again."""
        agent = f"node-{VICTIM}"
        doomed = self.told.descendants(agent)
        self.federation.processes.kill(agent)
        gone, alive = psutil.wait_procs(doomed, timeout=30)
        assert not alive, "a sandboxed worker outlived its node"
        self.killed_workers = len(gone) - 1
        self.federation.start_agent(VICTIM)

    def kill_and_restart_hub(self) -> None:
        """End the hub at once and start it again on what is on disk."""
        self.federation.processes.kill("hub")
        self.restart_hub()

    def restart_hub(self) -> None:
        federation = self.federation
        home = str(federation.home / "hub")
        federation.processes.start("hub", ["fairbank", "--home", home, "hub", "run"])

    def _granted(self) -> Any:
        now = self.federation.clock.now()
        wish = Wish(
            title="Kill and compare",
            datasets=[
                f"{self.federation.hub_url}/datasets/{site.biobank.name}/{site.biobank.dataset}"
                for site in self.sites
            ],
            data_use=["DUO:0000006"],
            statement="Does a kill change a model?",
            output_classes=["model-update"],
            until=now + timedelta(days=20),
        )
        asked = request_access(self.researcher, wish)["id"]
        terms = {"until": iso(now + timedelta(days=10)), "maximum_runs": 1000}
        approval = {"schema": "approval/1", "request": asked, "terms": terms, "comment": ""}
        for name in (MEMBER, SECOND):
            self.federation.person(name).post("/v1/reviews/approvals", approval, signed_in=True)
        return grant(self.researcher, asked)

    def _approved(self, site: Any, job: str) -> bool:
        try:
            approve(site.node, job, Consent(by="", signer=site.curator))
        except NotApproved:
            return False
        return True

    def _ended(self, job: str) -> Any:
        try:
            view = self.researcher.get(f"/v1/jobs/{job}", signed_in=True)
        except FairbankError:
            return None
        return view if view["state"] not in ("running", "degraded") else None


def until(look: Callable[[], Any], *, every_s: float = 0.05) -> Any:
    """Look until there is something."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(every_s)
    raise AssertionError(f"nothing came in {PATIENCE_S} s")


@pytest.fixture(scope="module")
def training(told: Any) -> Training:
    return Training(told)


def of_victim(training: Training, fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Fit a request of the node that is to be killed."""
    key = next(site.node.key.key_id for site in training.sites if site.biobank.name == VICTIM)
    return lambda sent: sent.key == key and fits(sent)


def claim_after_round_one() -> Callable[[Any], bool]:
    """Fit the first claim after what was released in round one: its answer brings the model of round two."""
    released: list[str] = []

    def fits(sent: Any) -> bool:
        if sent.method == "PUT" and sent.headers.get("fairbank-round") == "1":
            released.append(sent.path)
        return bool(released) and sent.method == "POST" and sent.path.endswith("/claim")

    return fits


def upload(job: str, number: int) -> Callable[[Any], bool]:
    """Fit the first piece of what is released in a round."""
    wanted = ("PUT", job, str(number))
    return lambda sent: (
        (sent.method, sent.headers.get("fairbank-job"), sent.headers.get("fairbank-round")) == wanted
    )


def worker_computes(told: Any) -> Callable[[], bool]:
    """Tell whether the victim's processes have worked for 30 ms since now."""

    def spent() -> float:
        with suppress(psutil.Error):
            return sum(sum(one.cpu_times()[:2]) for one in told.descendants(f"node-{VICTIM}"))
        return 0.0

    before = spent()
    return lambda: spent() - before > 0.03


def round_is(training: Training, job: str, number: int) -> bool:
    return bool(training.researcher.get(f"/v1/jobs/{job}", signed_in=True)["round"] == number)


@pytest.mark.long
def test_the_same_seed_gives_the_same_model_and_another_seed_another(training: Training) -> None:
    first = training.undisturbed("7")
    assert training.undisturbed("8") != first


@pytest.mark.long
def test_a_node_killed_while_it_computes_round_two_comes_to_the_same_model(training: Training) -> None:
    expected = training.undisturbed("7")
    with training.told.relay.trap(of_victim(training, claim_after_round_one())) as trap:
        job = training.start("7")
        trap.wait()
        until(lambda: round_is(training, job, 2))
        computes = worker_computes(training.told)
        trap.let_go()
        until(computes, every_s=0.002)
    training.kill_and_restart_node()
    assert training.killed_workers >= 1
    assert training.end(job) == expected


@pytest.mark.long
def test_a_node_killed_while_it_sends_round_two_comes_to_the_same_model(training: Training) -> None:
    expected = training.undisturbed("7")
    job = training.start("7")
    with training.told.relay.trap(of_victim(training, upload(job, 2))) as trap:
        trap.wait()
        training.kill_and_restart_node()
    assert training.end(job) == expected


@pytest.mark.long
def test_a_hub_killed_in_round_two_comes_to_the_same_model(training: Training) -> None:
    expected = training.undisturbed("7")
    job = training.start("7")
    with training.told.relay.trap(of_victim(training, upload(job, 2))) as trap:
        trap.wait()
        training.kill_and_restart_hub()
    assert training.end(job) == expected


@pytest.mark.long
@pytest.mark.parametrize("seed", ["7", "11"])
@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.15, 0.4, 1.0])
@pytest.mark.parametrize("who", ["node", "hub"])
def test_whenever_one_is_killed_the_model_is_the_same(
    training: Training, who: str, delay_s: float, seed: str
) -> None:
    expected = training.undisturbed(seed)
    with training.told.relay.trap(of_victim(training, claim_after_round_one())) as trap:
        job = training.start(seed)
        trap.wait()
        until(lambda: round_is(training, job, 2))
    time.sleep(delay_s)
    if who == "node":
        training.kill_and_restart_node()
    else:
        training.kill_and_restart_hub()
    assert training.end(job) == expected


@pytest.mark.long
def test_a_node_killed_in_every_round_comes_to_the_same_model(training: Training) -> None:
    expected = training.undisturbed("7")
    job = training.start("7")
    for number in range(1, ROUNDS + 1):
        with training.told.relay.trap(of_victim(training, upload(job, number))) as trap:
            trap.wait()
            training.kill_and_restart_node()
    assert training.end(job) == expected
