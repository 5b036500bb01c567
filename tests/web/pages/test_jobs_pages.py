"""Jobs on pages: the list, one job, and starting one; each reader sees what is for her."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import delete
from tests.web.filled_hub import LUNGS, Filled
from tests.web.filled_jobs import granted
from tests.web.pages.asking import JSON, client_of, form_of, told
from tests.web.pages.clicks import Clicks
from tests.web.pages.conftest import Bed

from fairbank.catalogue import accounts
from fairbank.catalogue.identity import page_keys
from fairbank.database import reading, writing
from fairbank.federated_jobs.hub.store import BootRow, JobRow, SiteRow, UpdateRow
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import SiteState
from fairbank.web.job_words import REASONS
from fairbank.web.selections import JobDraft

# -- the list ----------------------------------------------------------------------------------------------------------


def test_a_line_says_how_far_a_job_is_and_for_whom_it_waits(filled: Filled) -> None:
    rows = {row["job"]["id"]: row for row in told(filled, "rita", "/jobs")["rows"]}
    training, asked, analysed = (rows[filled.jobs[name]] for name in ("training", "asked", "analysed"))
    assert (training["job"]["done"], len(training["job"]["sites"])) == (1, 2)
    assert (training["job"]["round"], training["job"]["rounds"]) == (3, 5)
    assert [(one["node"], bool(one.get("silent"))) for one in training["awaited"]] == [("beta", True)]
    # Beta has said yes to this one and is not waited for.
    assert [(one["node"], one["state"]) for one in asked["awaited"]] == [("alpha", "pending_review")]
    assert analysed["awaited"] == []


def test_the_states_that_are_chosen_are_those_that_are_shown(filled: Filled) -> None:
    everything = told(filled, "rita", "/jobs")
    numbers = {choice["key"]: choice["number"] for choice in everything["choices"]}
    assert sum(numbers.values()) == everything["found"] == len(everything["rows"])
    for key, number in numbers.items():
        chosen = told(filled, "rita", f"/jobs?state={key}")
        assert chosen["found"] == len(chosen["rows"]) == number
    assert told(filled, "rita", "/jobs?q=DENSITIES")["found"] == 1
    assert told(filled, "rita", "/jobs?q=100%25")["found"] == 0


def test_jobs_of_others_are_shown_to_whoever_looks_after_all_and_to_nobody_else(filled: Filled) -> None:
    hers = told(filled, "rita", "/jobs")["found"]
    assert hers == 6
    for who in ("otto", "carla", "cora"):
        assert told(filled, who, "/jobs?show=all")["found"] == 0
    assert told(filled, "ursula", "/jobs")["found"] == hers


def test_the_parts_that_pages_ask_for_again_are_given_alone(filled: Filled) -> None:
    hers = client_of(filled, "rita")
    for address, part in (("/jobs?state=going", "found"), (f"/jobs/{filled.jobs['training']}", "now")):
        answer = hers.get(address, headers={"X-Part": part})
        assert answer.headers["X-Part"] == part and "<h1" not in answer.text and "Running" in answer.text


def test_every_reason_has_words() -> None:
    assert set(REASONS) == set(Reason)
    assert all(text.endswith(".") for reason, text in REASONS.items() if reason is not Reason.NONE)


# -- one job -----------------------------------------------------------------------------------------------------------


def test_each_biobank_and_each_round_say_what_they_came_to(filled: Filled) -> None:
    job = told(filled, "rita", f"/jobs/{filled.jobs['training']}")
    alpha, beta = job["sites"]
    assert alpha["steps"] == ["done"] * 5 and beta["steps"] == ["done", "done", "here", "", ""]
    assert [[cell["what"] for cell in one["cells"]] for one in job["history"]] == [
        ["sent", "sent"],
        ["sent", "late"],
        ["sent", "asked"],
    ]
    assert [site["node"] for site in job["lost"]] == ["beta"] and job["quorum"]["without"] == 1
    assert len(job["figures"]) == 4 and job["timing"]["round_by"]


def test_what_is_kept_back_says_why(filled: Filled) -> None:
    job = told(filled, "rita", f"/jobs/{filled.jobs['analysed']}")
    states = {(one["node"], one["state"][1]): one["reason"] for one in job["outputs"]}
    assert set(states) == {("alpha", "sent"), ("beta", "withheld")}
    assert states["beta", "withheld"] == REASONS[Reason.OUTPUT_WITHHELD]
    assert {file["name"] for file in job["files"]} >= {"table.csv"}
    happened = [line["what"] for line in job["log"]]
    assert happened[0] == "completed" and happened[-1] == "submitted"


def test_a_job_waits_for_its_first_round_until_all_have_decided(filled: Filled) -> None:
    job = told(filled, "rita", f"/jobs/{filled.jobs['asked']}")
    assert job["timing"]["decided_by"] and [step["name"] for step in job["track"] if step["here"]] == [
        "decided"
    ]


def test_what_came_of_a_job_is_for_its_requester(filled: Filled) -> None:
    address = f"/jobs/{filled.jobs['trained again']}"
    hers, overseen = told(filled, "rita", address), told(filled, "ursula", address)
    assert hers["files"] and hers["figures"] and hers["withdrawn"]
    assert not overseen["files"] and not overseen["figures"] and not overseen["can_stop"]
    for who in ("otto", "carla", "cora"):
        answer = filled.client.get(address, headers={**filled.people[who].headers, **JSON})
        assert answer.status_code == 404


def test_a_job_is_stopped_once_and_by_its_requester_only(kept: Filled) -> None:
    address = f"/jobs/{kept.jobs['asked']}"
    hers, others = client_of(kept, "rita"), client_of(kept, "anna")
    form = form_of(hers.get(address).text, "stop")
    page = others.get(address).text
    assert 'value="stop"' not in page
    proof = re.search(r'name="csrf" value="([^"]*)"', page)
    assert proof is not None
    assert others.post(address, data={**form, "csrf": proof[1]}).status_code == 403
    for _ in range(2):
        assert hers.post(address, data=form).status_code == 303
    assert told(kept, "rita", address)["state"] == "cancelled"


def test_a_page_of_a_job_that_has_ended_since_stops_nothing(kept: Filled) -> None:
    address = f"/jobs/{kept.jobs['asked']}"
    hers = client_of(kept, "rita")
    form = form_of(hers.get(address).text, "stop")
    kept.call("rita", "POST", f"/v1/jobs/{kept.jobs['asked']}/cancel")
    stale = hers.post(address, data=form)
    assert stale.status_code == 409 and "changed" in stale.text


def test_what_failed_by_a_crash_is_tried_again_from_its_page(kept: Filled) -> None:
    job, now = kept.jobs["training"], kept.hub.clock.now()
    address, hers = f"/jobs/{job}", client_of(kept, "rita")
    assert 'value="retry"' not in hers.get(address).text, "nothing has failed"
    with writing(kept.hub.engine) as session:
        site = session.get_one(SiteRow, (job, "beta"))
        site.state, site.reason = SiteState.FAILED.value, Reason.WORKER_CRASHED.value
        session.add(BootRow(node="beta", boot="b" * 32, since=now))
        # What earlier rounds left there would be gone.
        session.execute(delete(UpdateRow).where(UpdateRow.job == job, UpdateRow.node == "beta"))
    assert told(kept, "rita", address)["retry_at"] == ["beta"]
    assert hers.post(address, data=form_of(hers.get(address).text, "retry")).status_code == 303
    assert told(kept, "rita", address)["sites"][1]["state"] == "queued"


def test_a_silent_node_that_is_needed_makes_the_job_fail_and_the_page_says_so(kept: Filled) -> None:
    job = kept.jobs["training"]
    with writing(kept.hub.engine) as session:
        session.get_one(JobRow, job).quorum = 2
    text = client_of(kept, "rita").get(f"/jobs/{job}").text
    assert "and then fails" in text and "goes on without them" not in text


# -- starting one ------------------------------------------------------------------------------------------------------

PASSPHRASE = "nine quiet herons"


def test_only_permits_that_hold_are_offered_and_only_tools_that_they_allow(filled: Filled) -> None:
    offered = {each["id"] for each in told(filled, "rita", "/jobs/new")["permits"]}
    assert filled.permit in offered and len(offered) == 2
    assert told(filled, "otto", f"/jobs/new?grant={filled.permit}")["step"] == "permit", "it is not his"
    (other,) = offered - {filled.permit}
    tools = [each["name"] for each in told(filled, "rita", f"/jobs/new?grant={other}")["tools"]]
    assert tools == ["noop"], "the committee granted benchmarks only"


def test_every_parameter_that_is_wrong_is_named_and_unknown_ones_are_refused(filled: Filled) -> None:
    address = f"/jobs/new?grant={filled.permit}&tool=classification&step=check&title=&rounds=0&seed=x"
    page = told(filled, "rita", f"{address}&p-batch_size=0&p-stride=7&p-none=1&p-learning_rate=0.05")
    assert page["step"] == "edit"
    assert {each["field"] for each in page["faults"]} == {
        *("title", "c", "rounds", "seed"),
        *("p-batch_size", "p-stride", "p-none"),
    }
    values = {each["option"]["name"]: each["value"] for each in page["fields"]}
    assert (values["learning_rate"], values["optimizer"]) == ("0.05", "sgd")
    option = next(each["option"] for each in page["fields"] if each["option"]["name"] == "learning_rate")
    assert (option["low"], option["high"], option["open_low"]) == ("0", "10", True)


def test_a_job_that_is_right_is_shown_whole_before_it_is_sent(filled: Filled) -> None:
    address = f"/jobs/new?grant={filled.permit}&tool=intensity-geometry&step=check&title=First&c={LUNGS}"
    page = told(filled, "rita", f"{address}&p-significant_digits=3")
    assert page["step"] == "check" and not page["faults"]
    assert [one["iri"] for one in page["permit"]["collections"] if one["chosen"]] == [LUNGS]
    made = JobDraft.parse(page["draft"])
    assert made.parameters == {"significant_digits": 3} and made.datasets[0].iri == LUNGS
    assert page["columns"] and page["tool"]["can_try"]
    # Her key is on her own computer.
    assert 'value="send"' not in client_of(filled, "rita").get(address).text


@pytest.mark.browser
def test_a_job_is_started_from_an_approval_in_four_clicks(kept_bed: Bed) -> None:
    filled = kept_bed.filled
    permit = permit_of_a_kept_key(filled)
    before = told(filled, "rita", "/jobs")["found"]
    with kept_bed.opened("rita") as tab:
        clicks = Clicks(tab)
        tab.goto("/")
        clicks.click(f'main a[href="/jobs/new?grant={permit}"]')
        clicks.click('a[href*="tool=intensity-geometry"]')
        tab.fill("#title", "First look")
        clicks.click("text=Check and read everything")
        tab.fill("#passphrase", PASSPHRASE)
        clicks.click("button:has-text('Send the job')")
        tab.wait_for_url("**/jobs/0*")
        assert "First look" in tab.locator("h1").inner_text()
    assert clicks.number <= 4
    assert told(filled, "rita", "/jobs")["found"] == before + 1


def test_the_same_form_makes_one_job_and_a_wrong_passphrase_none(kept: Filled) -> None:
    permit, before = permit_of_a_kept_key(kept), told(kept, "rita", "/jobs")["found"]
    client = client_of(kept, "rita")
    address = f"/jobs/new?grant={permit}&tool=noop&step=check&title=Twice&c={LUNGS}"
    form = form_of(client.get(address).text, "send")
    wrong = client.post("/jobs/new", data={**form, "passphrase": "not this one"})
    assert wrong.status_code == 403 and "Twice" in wrong.text and "not this one" not in wrong.text
    assert client.post("/jobs/new", data={**form, "p-none": "1", "passphrase": PASSPHRASE}).status_code == 422
    assert told(kept, "rita", "/jobs")["found"] == before
    led = {
        client.post("/jobs/new", data={**form, "passphrase": PASSPHRASE}).headers["location"] for _ in "ab"
    }
    assert len(led) == 1 and told(kept, "rita", "/jobs")["found"] == before + 1


def permit_of_a_kept_key(filled: Filled) -> str:
    """Let the hub keep a key for rita, and grant her the lungs under it; return the permit."""
    hub = filled.hub
    with reading(hub.engine) as session:
        account = accounts.find(session, "rita")
    page_keys.make(hub, account, PASSPHRASE, replace=True)
    key = page_keys.unlock(hub, "rita", PASSPHRASE)
    return str(granted(filled, (LUNGS,), key=key).payload["id"])
