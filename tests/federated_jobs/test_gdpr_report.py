"""The record of processing: it tells everything that left, of whom it was asked and why, and names no subject."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from sqlalchemy import select
from tests.federated_jobs.test_subject_withdrawal import ADA, node

from fairbank.database import reading
from fairbank.errors import Sensitive
from fairbank.federated_jobs.node.approval import Consent, approve
from fairbank.federated_jobs.node.gdpr.document import Document, Section, Table
from fairbank.federated_jobs.node.gdpr.report import gdpr_report
from fairbank.federated_jobs.node.reporting import report_decisions
from fairbank.federated_jobs.node.withdrawn_subjects import Named, withdraw
from fairbank.harvest.consents import identity_of
from fairbank.harvest.publishing import publish
from fairbank.harvest.store import SeriesRow
from fairbank.ontology.outputs import DoorClass
from fairbank.release.ledger import EntryState
from fairbank.release.people import add_person, unlock
from fairbank.release.store import LedgerRow

__all__ = ["node"]
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def fed(start):
    return start("east")


@pytest.fixture
def site(fed):
    return fed.sites["east"]


def forms(document: Document) -> dict[str, str]:
    return {
        "html": document.as_html(),
        "md": document.as_markdown(),
        "json": json.dumps(document.as_json(), ensure_ascii=False),
    }


def table(document: Document, caption: str) -> list[dict[str, object]]:
    (found,) = [one for each in document.sections for one in each.tables if one.caption == caption]
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def test_everything_that_left_is_told_with_who_asked_and_why(fed, site):
    job = fed.run()
    document = gdpr_report(site.node)
    told = table(document, "Contents")
    with reading(site.node.engine) as session:
        rows = session.scalars(select(LedgerRow).where(LedgerRow.door_class != DoorClass.CONTROL.value)).all()
    assert {(row["no."], row["digest"], row["bytes"]) for row in told} == {
        (row.seq, row.digest, row.size_bytes) for row in rows
    }
    assert rows
    assert {row["for"] for row in told} == {"ada, University"}
    assert {row["purpose"] for row in told} == {"DUO:0000042"}
    assert all(row["request"] and row["visa"] and row["left"] for row in told)
    assert [row["state"] for row in table(document, "Jobs")] == ["released"]
    assert job not in str(table(document, "Messages that left, by kind"))


def test_the_messages_add_up_to_what_the_ledger_holds(fed, site):
    fed.run()
    told = table(gdpr_report(site.node), "Messages that left, by kind")
    with reading(site.node.engine) as session:
        sizes = session.scalars(
            select(LedgerRow.size_bytes).where(
                LedgerRow.door_class == DoorClass.CONTROL.value, LedgerRow.state == EntryState.SENT.value
            )
        ).all()
    assert (sum(row["count"] for row in told), sum(row["bytes"] for row in told)) == (len(sizes), sum(sizes))


def test_no_series_and_no_subject_of_a_cohort_is_in_it(fed, site):
    fed.run()
    series = site.index.series["collection"]
    for text in forms(gdpr_report(site.node)).values():
        assert not [one for one in series if one.series_uid in text or one.subject in text]


def test_no_patient_is_in_it_and_a_withdrawal_is_a_count(node):
    with identity_of(node) as identity, reading(node.engine) as session:
        pseudonyms = set(session.scalars(select(SeriesRow.subject)))
        known = identity.projects()
    publish(node, "lungs")
    withdraw(node, Named.by_id(Sensitive(ADA, reference="the patient")))
    document = gdpr_report(node)
    rights = {row["what"]: row["count"] for row in table(document, "Counts since the node was made")}
    assert rights["Withdrawals carried out"] == 1
    assert {row["project"] for row in table(document, "Projects")} >= set(known)
    for text in forms(document).values():
        assert ADA not in text
        assert not [one for one in pseudonyms if one and one in text]


@pytest.mark.parametrize("named", [False, True])
def test_what_is_not_set_is_an_open_point(fed, site, named):
    settings = site.node.settings
    if named:
        settings = replace(
            settings,
            node_controller="Hospital East",
            node_data_protection_officer="dpo@east.test",
            node_country="NL",
            node_results_may_go="EEA",
            node_updates_may_go="EEA",
            node_peers_may_be="EEA",
        )
    document = gdpr_report(replace(site.node, settings=settings))
    by_title = {each.title: each.open_points for each in document.sections}
    assert bool(by_title["Controller and contacts"]) is not named
    assert bool(by_title["Transfers to third countries"]) is not named


def test_that_nobody_is_named_is_a_risk_that_stays_open(fed, site):
    def remains() -> object:
        risks = {row["risk"]: row["what remains"] for row in table(gdpr_report(site.node), "Risks")}
        return risks["A hub that lies or is taken over"]

    assert remains() == "open: no person is named at this node"
    add_person(site.node, "ada", "correct horse")
    assert remains() == "low"


def test_a_person_who_decides_is_counted_and_not_named(fed, site):
    site.person("xenia")
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    signer = unlock(site.node, "xenia", "correct horse")
    approve(site.node, job, Consent(by="-", signer=signer), source=site.index)
    report_decisions(site.node, site.outbox)
    fed.settle()
    for text in forms(gdpr_report(site.node)).values():
        assert "xenia" not in text


def test_the_page_needs_nothing_else_and_runs_nothing():
    document = Document(SCRIPT, SCRIPT, (_awkward(),))
    page = document.as_html()
    assert "<script" not in page
    assert not re.search(r"(src|href|url\()", page)
    assert page.count("&lt;script&gt;") >= 6


def test_markdown_keeps_a_table_s_cells_apart_whatever_is_in_them():
    lines = Document("t", "l", (_awkward(),)).as_markdown().splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {3}
    assert SCRIPT not in "\n".join(lines)


def test_json_gives_rows_as_objects():
    assert Document("t", "l", (_awkward(),)).as_json()["sections"][0]["tables"][0]["rows"] == [
        {SCRIPT: f"a|b\nc {SCRIPT}", "n": 12345}
    ]


def _awkward() -> Section:
    rows = ((f"a|b\nc {SCRIPT}", 12345),)
    return Section(SCRIPT, SCRIPT, (SCRIPT,), (Table(SCRIPT, (SCRIPT, "n"), rows),), (SCRIPT,))
