"""What the hub refuses when a job is submitted, and with which code."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event

from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.federated_jobs.hub import views
from fairbank.federated_jobs.hub.store import JobRow
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Selector, VisaDataset
from fairbank.signing import SigningKey


def refused(fed, manifest, *, key: SigningKey | None = None) -> str:
    answer = fed.post("/v1/jobs", manifest.seal(key or fed.requester))
    assert answer.status_code >= 400
    assert answer.headers["content-type"].startswith("application/problem+json")
    with reading(fed.hub.engine) as session:
        assert session.get(JobRow, manifest.id) is None
    return str(answer.json()["code"])


@pytest.fixture
def fed(start):
    return start("east", "north")


def test_the_list_of_jobs_opens_no_sealed_object(fed):
    job = fed.submit(fed.manifest(fed.visa()))
    asked: list[str] = []

    def note(connection, cursor, statement, *rest):
        asked.append(statement)

    with reading(fed.hub.engine) as session:
        account = session.get_one(JobRow, job).account
        session.expunge_all()
        event.listen(fed.hub.engine, "before_cursor_execute", note)
        try:
            listed = views.job_list(session, account)
        finally:
            event.remove(fed.hub.engine, "before_cursor_execute", note)
    assert [each.id for each in listed.jobs] == [job]
    mine = [statement for statement in asked if "jobs_jobs.title" in statement]
    assert len(mine) == 1
    assert "jobs_jobs.manifest," not in mine[0]


def test_an_unknown_option_is_refused_by_name(fed):
    manifest = fed.manifest(fed.visa())
    odd = manifest.model_copy(update={"parameters": {"wieghts": 10}})
    answer = fed.post("/v1/jobs", odd.seal(fed.requester))
    assert answer.status_code == 422
    assert answer.json()["code"] == "FB-JOBS-015"
    assert "wieghts" in answer.json()["title"]
    assert "weights" in answer.json()["todo"]


def test_an_option_out_of_its_range_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    assert refused(fed, manifest.model_copy(update={"parameters": {"weights": 0}})) == "FB-JOBS-015"


def test_a_job_for_other_code_than_the_installed_one_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    other = manifest.code.model_copy(update={"digest": "sha256:" + "0" * 64})
    assert refused(fed, manifest.model_copy(update={"code": other})) == "FB-JOBS-014"


def test_a_job_sealed_with_another_key_than_the_accounts_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    assert refused(fed, manifest, key=SigningKey.generate()) == "FB-CORE-013"


def test_a_visa_of_another_hub_is_refused(fed):
    visa = fed.visa(key=SigningKey.generate())
    assert refused(fed, fed.manifest(visa)) == "FB-JOBS-011"


def test_a_visa_that_nobody_issued_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    unknown = manifest.model_copy(update={"visa": "sha256:" + "a" * 64})
    assert refused(fed, unknown) == "FB-JOBS-012"


def test_a_visa_that_was_withdrawn_is_refused(fed):
    visa = fed.visa()
    fed.grants[visa.digest] = replace(fed.grants[visa.digest], ended=True)
    assert refused(fed, fed.manifest(visa)) == "FB-JOBS-012"


def test_a_visa_that_is_over_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    fed.clock.advance(21 * 86_400)
    assert refused(fed, manifest) == "FB-JOBS-012"


def test_a_wider_selection_than_granted_is_refused(fed):
    request, _ = fed.request()
    narrow = tuple(VisaDataset(iri=iri, selector=Selector(modality=("CT",))) for iri in request.datasets)
    manifest = fed.manifest(fed.visa(selector=Selector(modality=("CT",))))
    wide = tuple(VisaDataset(iri=d.iri, selector=Selector()) for d in narrow)
    assert refused(fed, manifest.model_copy(update={"datasets": wide})) == "FB-JOBS-013"


def test_an_output_class_that_was_not_granted_is_refused(fed):
    visa = fed.visa(terms={"output_classes": (OutputClass.MEASUREMENTS,)})
    assert refused(fed, fed.manifest(visa)) == "FB-JOBS-013"


def test_a_tool_that_was_not_granted_is_refused(fed):
    assert refused(fed, fed.manifest(fed.visa(terms={"tool_families": ("training",)}))) == "FB-JOBS-013"


def test_an_output_larger_than_the_tool_allows_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    larger = manifest.outputs[0].model_copy(update={"maximum_bytes": 2**39})
    assert refused(fed, manifest.model_copy(update={"outputs": (larger,)})) == "FB-JOBS-011"


def test_a_plan_that_does_not_fit_the_tool_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    plan = manifest.plan.model_copy(update={"aggregator": "collect"})
    assert refused(fed, manifest.model_copy(update={"plan": plan})) == "FB-JOBS-300"


def test_an_approval_deadline_that_has_passed_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    plan = manifest.plan.model_copy(update={"approval_deadline": iso(fed.clock.now() - timedelta(seconds=1))})
    assert refused(fed, manifest.model_copy(update={"plan": plan})) == "FB-JOBS-011"


def test_more_runs_than_granted_are_refused(fed):
    visa = fed.visa(terms={"maximum_runs": 1})
    fed.submit(fed.manifest(visa))
    assert refused(fed, fed.manifest(visa)) == "FB-JOBS-016"


def test_the_same_manifest_twice_is_one_job(fed):
    manifest = fed.manifest(fed.visa(terms={"maximum_runs": 1}))
    assert fed.submit(manifest) == fed.submit(manifest)
    with reading(fed.hub.engine) as session:
        assert session.query(JobRow).count() == 1


def test_a_body_that_is_no_envelope_is_refused(fed):
    answer = fed.post("/v1/jobs", b'{"schema": "manifest/1"}')
    assert answer.json()["code"] == "FB-CORE-013"


def test_a_job_is_shown_to_its_requester_only(fed):
    from fairbank.catalogue import accounts
    from fairbank.database import writing

    job = fed.submit(fed.manifest(fed.visa()))
    with writing(fed.hub.engine) as session:
        accounts.create_account(
            session,
            fed.hub,
            name="eve",
            password="a long enough password",
            roles=[accounts.Role.RESEARCHER],
        )
        fed.token = accounts.issue_token(session, fed.hub, name="eve").token
    assert fed.get(f"/v1/jobs/{job}").status_code == 404
    assert fed.get(f"/v1/jobs/{job}/results").status_code == 404
    assert fed.post(f"/v1/jobs/{job}/cancel").status_code == 404
    assert fed.get("/v1/jobs").json()["jobs"] == []


def test_the_tools_are_listed_with_their_digests_and_options(fed):
    tools = {tool["name"]: tool for tool in fed.get("/v1/tools").json()["tools"]}
    analyses = {
        "image-quality",
        "intensity-geometry",
        "lung-densitometry",
        "radiomics",
        "segmentation-inference",
    }
    templates = {"classification", "regression", "segmentation"}
    trainings = templates | {"monai-bundle", "sklearn-sgd", "slice-autoencoder", "noop"}
    assert set(tools) == analyses | trainings | {"statistics"}
    assert tools["noop"]["digest"].startswith("sha256:")
    assert "weights" in tools["noop"]["parameters"]["properties"]


def test_a_job_on_a_dataset_that_was_withdrawn_is_refused_under_an_old_visa(fed):
    from fairbank.catalogue import withdrawal
    from fairbank.catalogue.store import DatasetRow
    from fairbank.ontology.withdrawal import WithdrawalReason

    visa = fed.visa()
    iri = visa.payload["datasets"][0]["iri"]
    said = {
        **dict.fromkeys(("digest", "title", "description", "publisher", "search_text"), "x"),
        **{key: [] for key in ("keywords", "data_use", "quality", "conditions", "variables")},
        "holdings": {},
        **dict.fromkeys(("created", "first_published", "published"), fed.clock.now()),
    }
    with writing(fed.hub.engine) as session:
        session.add(
            DatasetRow(
                iri=iri,
                graph=f"{iri}-graph",
                node="east",
                dataset="x",
                version=1,
                visibility="public",
                access_rights="NON_PUBLIC",
                collection_kind="test",
                minimum_count=10,
                totals={},
                **said,
            )
        )
        session.flush()
        withdrawal.withdraw(session, fed.hub, iri=iri, reason=WithdrawalReason.MOVED, actor="east")
    manifest = fed.manifest(visa)
    answer = fed.post("/v1/jobs", manifest.seal(fed.requester))
    assert answer.status_code == 422 and iri in answer.json()["title"]
    assert refused(fed, manifest) == answer.json()["code"] == "FB-JOBS-011"
    others = tuple(one for one in manifest.datasets if one.iri != iri)
    rest = fed.manifest(visa)
    plan = rest.plan.model_copy(update={"quorum": 1})
    assert fed.submit(rest.model_copy(update={"datasets": others, "plan": plan}))
