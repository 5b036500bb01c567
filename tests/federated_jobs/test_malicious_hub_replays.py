"""A hub that replays and exchanges what was lawful once: the site refuses, and says which check did."""

from __future__ import annotations

import pytest
from tests.federated_jobs.conftest import BASE, DATASET
from tests.federated_jobs.lying_hub import OTHER, Hub, stopped

from fairbank.clock import iso
from fairbank.database import writing
from fairbank.federated_jobs.checks import Check
from fairbank.federated_jobs.errors import JobsError
from fairbank.federated_jobs.manifest import dataset_iri
from fairbank.federated_jobs.node.approval import Consent, approve, authorise
from fairbank.federated_jobs.node.reviewing import review
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Request, Visa
from fairbank.release.store import SeenGrantRow
from fairbank.signing import SigningKey


@pytest.fixture
def hub(start) -> Hub:
    return Hub(start("east"))


def test_a_visa_for_another_job_s_manifest(hub):
    first, second = hub.visa(), hub.visa()
    row = hub.brings(visa=second, manifest=hub.manifest(first))
    assert stopped(row) == ("manifest_invalid", "visa-digest")


def test_a_visa_of_another_request(hub):
    visa = hub.visa()
    row = hub.brings(visa=visa, manifest=hub.manifest(visa), request=hub.asked(title="Another question"))
    assert stopped(row) == ("request_invalid", "request-digest")


def test_a_request_that_was_widened_after_its_visa(hub):
    narrow = hub.asked(datasets=(dataset_iri(BASE, "east", DATASET),))
    visa = hub.visa(request=narrow)
    number = Request.open(narrow, trusted=None)[0].id
    row = hub.brings(visa=visa, manifest=hub.manifest(visa), request=hub.asked(id=number))
    assert stopped(row) == ("request_invalid", "request-digest")


@pytest.mark.parametrize(
    "asked",
    [
        {"datasets": (f"{BASE}/datasets/east/{DATASET}",)},
        {"output_classes": (OutputClass.MEASUREMENTS,)},
        {"until": "2026-01-01T00:00:00.000Z"},
    ],
    ids=["a dataset", "an output class", "an end"],
)
def test_a_visa_wider_than_its_request(hub, asked):
    wide = Visa.open(hub.visa(), trusted=None)[0]
    request = hub.asked(**asked)
    visa = wide.model_copy(update={"request": Request.open(request, trusted=None)[1].digest})
    sealed = visa.seal(hub.fed.hub.key)
    row = hub.brings(visa=sealed, manifest=hub.manifest(sealed), request=request)
    assert stopped(row) == ("visa_invalid", "visa-within-request")


def test_a_finished_job_brought_again(hub):
    visa = hub.visa()
    manifest = hub.manifest(visa)
    row = hub.brings(visa=visa, manifest=manifest)
    with writing(hub.site.node.engine) as session:
        session.get_one(ReviewRow, row.job).ended = True
    with pytest.raises(JobsError) as caught:
        hub.brings(visa=visa, manifest=manifest)
    assert (caught.value.reason.value, caught.value.check) == ("replayed", Check.REPLAY)


def test_more_runs_than_granted(hub):
    hub.approved(maximum_runs=1)
    visa = hub.visa(terms={DATASET: {"maximum_runs": 1}})
    assert stopped(hub.brings(visa=visa, manifest=hub.manifest(visa))) == ("runs_spent", "runs")


def test_runs_do_not_begin_anew_when_the_request_is_amended(hub):
    """The request's digest changes with each version and its id does not."""
    hub.approved(maximum_runs=1)
    first, sealed = Request.open(hub.request, trusted=None)
    amended = hub.asked(id=first.id, version=2, amends=sealed.digest, title="The same, amended")
    hub.clock.advance(60)
    visa = hub.visa(request=amended, terms={DATASET: {"maximum_runs": 1}})
    row = hub.brings(visa=visa, manifest=hub.manifest(visa), request=amended)
    assert stopped(row) == ("runs_spent", "runs")


def test_runs_are_counted_for_each_dataset_by_itself(hub):
    hub.approved(maximum_runs=1)
    visa = hub.visa(terms={DATASET: {"maximum_runs": 1}, OTHER: {"maximum_runs": 1}})
    row = hub.brings(visa=visa, manifest=hub.manifest(visa, names=(OTHER,)))
    assert row.state == "pending_review"
    both = hub.manifest(visa, names=(DATASET, OTHER))
    assert stopped(hub.brings(visa=visa, manifest=both)) == ("runs_spent", "runs")


def test_a_superseded_visa_presented_as_new(hub):
    old = hub.visa()
    hub.clock.advance(3600)
    new = hub.visa(terms={DATASET: {"maximum_runs": 2}}, supersedes=Visa.open(old, trusted=None)[1].digest)
    assert hub.brings(visa=new, manifest=hub.manifest(new)).state == "pending_review"
    row = hub.brings(visa=old, manifest=hub.manifest(old))
    assert stopped(row) == ("visa_superseded", "newest-visa")


def test_what_was_approved_under_a_visa_that_is_then_replaced_still_holds(hub):
    job = hub.approved()
    hub.clock.advance(3600)
    new = hub.visa()
    hub.brings(visa=new, manifest=hub.manifest(new))
    with writing(hub.site.node.engine) as session:
        assert authorise(hub.site.node, session, job, source=hub.site.index).chain.manifest.id == job


def test_a_later_visa_for_another_dataset_does_not_replace(hub):
    old = hub.visa()
    number = Request.open(hub.request, trusted=None)[0].id
    hub.clock.advance(3600)
    only_other = hub.asked(id=number, datasets=(dataset_iri(BASE, "east", OTHER),))
    new = hub.visa(request=only_other)
    hub.brings(visa=new, manifest=hub.manifest(new, names=(OTHER,)), request=only_other)
    assert hub.brings(visa=old, manifest=hub.manifest(old)).state == "pending_review"


# -- another requester's request of the same id ----------------------------------------------------------------------


def of_the_same_id(hub: Hub, mallory: SigningKey) -> bytes:
    """Return a request of another requester who took the id of the lawful one: whoever asks chooses the id."""
    return hub.asked(key=mallory, id=Request.open(hub.request, trusted=None)[0].id)


def test_a_later_visa_of_another_s_request_of_the_same_id_ends_nobody_s_grant(hub):
    mallory, lawful = SigningKey.generate(), hub.visa()
    hub.clock.advance(3600)
    request = of_the_same_id(hub, mallory)
    later = hub.visa(request=request)
    brought = hub.brings(visa=later, manifest=hub.manifest(later, key=mallory), request=request)
    assert brought.state == "pending_review"
    assert hub.brings(visa=lawful, manifest=hub.manifest(lawful)).state == "pending_review"


def test_runs_of_another_s_request_of_the_same_id_use_up_nobody_s(hub):
    mallory, one_run = SigningKey.generate(), {DATASET: {"maximum_runs": 1}}
    request = of_the_same_id(hub, mallory)
    hers = hub.visa(request=request, terms=one_run)
    row = hub.brings(visa=hers, manifest=hub.manifest(hers, key=mallory), request=request)
    approve(hub.site.node, row.job, Consent(by="curator"), source=hub.site.index)
    lawful = hub.visa(terms=one_run)
    row = hub.brings(visa=lawful, manifest=hub.manifest(lawful))
    assert row.state == "pending_review"
    assert [one.approved_runs for one in review(hub.site.node, row.job, source=hub.site.index).terms] == [0]


def test_each_requester_s_own_runs_are_counted_under_an_id_that_two_share(hub):
    mallory, one_run = SigningKey.generate(), {DATASET: {"maximum_runs": 1}}
    request = of_the_same_id(hub, mallory)
    hub.approved(maximum_runs=1)
    hers, lawful = hub.visa(request=request, terms=one_run), hub.visa(terms=one_run)
    row = hub.brings(visa=hers, manifest=hub.manifest(hers, key=mallory), request=request)
    approve(hub.site.node, row.job, Consent(by="curator"), source=hub.site.index)
    assert stopped(hub.brings(visa=lawful, manifest=hub.manifest(lawful))) == ("runs_spent", "runs")
    again = hub.manifest(hers, key=mallory)
    assert stopped(hub.brings(visa=hers, manifest=again, request=request)) == ("runs_spent", "runs")


def test_a_fetched_visa_for_another_requester_replaces_nothing_though_it_says_so(hub):
    mallory, lawful = SigningKey.generate(), hub.visa()
    request = of_the_same_id(hub, mallory)
    hub.clock.advance(1)
    over = {"expires": iso(hub.clock.now()), "tool_families": ("measurements",)}
    digest = Visa.open(lawful, trusted=None)[1].digest
    hers = hub.visa(request=request, supersedes=digest, terms={DATASET: over, OTHER: over})
    with writing(hub.site.node.engine) as session:
        session.add(
            SeenGrantRow(
                visa=Visa.open(hers, trusted=None)[1].digest,
                supersedes=digest,
                envelope=hers,
                request=request,
                state="holds",
                seen=hub.clock.now(),
            )
        )
    assert hub.brings(visa=lawful, manifest=hub.manifest(lawful)).state == "pending_review"
