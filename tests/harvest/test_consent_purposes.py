"""A consent that names purposes lets its subject into jobs for those only; who names none is in all."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update
from tests.harvest.test_consent_gate import ADA, BEN, CLEO, DAN, archive, fetch, given_by, say

from fairbank.database import reading, writing
from fairbank.harvest.consent import ConsentStatus, LegalBasis, Statement, newest
from fairbank.harvest.consent_purposes import NOT_WORKED_OUT, covers, scope_of
from fairbank.harvest.consent_store import StandingRow
from fairbank.harvest.index import index_store, publishable_series
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.selection import select
from fairbank.ontology import duo
from fairbank.ontology.data_use_facts import Asked, Shown
from fairbank.ontology.duo import TERMS
from fairbank.ontology.signed_objects import EvidenceKind, OrganisationKind, Selector
from fairbank.release.node import Node

__all__ = ["archive"]
LUNG, SMALL_CELL, MELANOMA = "MONDO:0008903", "MONDO:0008433", "MONDO:0005105"


def asking(node: Node, *codes: str, **facts: object) -> Asked:
    return Asked(codes, node.clock.now(), **facts)  # type: ignore[arg-type]  # facts of any kind


def in_jobs(node: Node, asked: Asked | None) -> int:
    """Return how many subjects a job for a purpose may use."""
    with reading(node.engine) as session:
        rows = select(session, "lungs", Selector(), at=node.clock.now(), asked=asked)
    return len({row.subject for row in rows})


def indexed(node: Node) -> int:
    with reading(node.engine) as session:
        rows = publishable_series(session, "lungs", at=node.clock.now())
    return len({row.subject for row in rows})


@pytest.fixture
def mixed(archive: Node) -> Node:
    """Ada names no purpose, Ben biomedical research, Cleo lung cancer, Dan biomedical research not for profit."""
    rows = [
        f"{ADA};given;lung;;2025-12-01",
        f"{BEN};given;lung DUO:0000006;;2025-12-01",
        f"{CLEO};given;lung DUO:0000007 {LUNG};;2025-12-01",
        f"{DAN};given;lung DUO:0000006 DUO:0000046;;2025-12-01",
    ]
    assert say(archive, *rows).faults == ()
    fetch(archive)
    index_store(archive, "lungs")
    return archive


@pytest.mark.parametrize(
    ("codes", "diseases", "commercial", "subjects"),
    [
        ((duo.GRU,), (), False, 1), ((duo.HMB,), (), False, 3), ((duo.HMB,), (), True, 2),
        ((duo.DS,), (SMALL_CELL,), False, 4), ((duo.DS,), (MELANOMA,), False, 3), ((duo.DS,), (SMALL_CELL,), True, 3),
        ((), (), False, 1),
    ],
)  # fmt: skip
def test_a_job_uses_only_those_whose_consent_covers_its_purpose(
    mixed: Node, codes: tuple[str, ...], diseases: tuple[str, ...], commercial: bool, subjects: int
) -> None:
    asked = asking(
        mixed, *codes, diseases=diseases, commercial=commercial, organisation_kind=OrganisationKind.PUBLIC
    )
    assert in_jobs(mixed, asked) == subjects


def test_who_is_counted_does_not_depend_on_a_purpose(mixed: Node) -> None:
    assert indexed(mixed) == in_jobs(mixed, None) == 4


def test_a_later_statement_changes_the_purposes_at_once(mixed: Node) -> None:
    asked = asking(mixed, duo.GRU)
    say(mixed, f"{BEN};given;lung;;2025-12-02")
    assert in_jobs(mixed, asked) == 2
    say(mixed, f"{BEN};given;lung DUO:0000006;;2025-12-03")
    assert in_jobs(mixed, asked) == 1


def test_consent_that_ends_leaves_the_job_on_its_day(archive: Node) -> None:
    say(archive, f"{ADA};given;lung DUO:0000006;2026-01-10;2025-12-01", *given_by(BEN))
    fetch(archive)
    index_store(archive, "lungs")
    assert in_jobs(archive, asking(archive, duo.HMB)) == 2
    archive.clock.advance(30 * 86_400)  # type: ignore[attr-defined]  # the clock of tests
    assert in_jobs(archive, asking(archive, duo.HMB)) == 1


def test_limits_of_a_consent_hold_where_another_basis_stands_in_for_those_who_said_nothing(
    mixed: Node,
) -> None:
    record_basis(mixed, "lung", LegalBasis.CONSENT_WAIVED, note="law", by="curator")
    assert in_jobs(mixed, asking(mixed, duo.GRU)) == 1
    assert in_jobs(mixed, asking(mixed, duo.HMB, commercial=True)) == 2


def test_a_scope_that_was_not_worked_out_covers_nothing(mixed: Node) -> None:
    with writing(mixed.engine) as session:
        session.execute(update(StandingRow).values(scope=NOT_WORKED_OUT))
    assert in_jobs(mixed, asking(mixed, duo.HMB)) == 0
    index_store(mixed, "lungs")
    assert in_jobs(mixed, asking(mixed, duo.HMB, commercial=False)) == 3


def test_ethics_approval_asked_for_by_a_consent_is_that_of_the_request(mixed: Node) -> None:
    until = mixed.clock.now().replace(year=2030)
    shown = (Shown(EvidenceKind.ETHICS_APPROVAL, until),)
    scope = scope_of([duo.HMB, duo.IRB])
    assert covers(scope, asking(mixed, duo.HMB, evidence=shown, until=until))
    assert not covers(scope, asking(mixed, duo.HMB, until=until))


def test_of_consents_of_one_day_every_purpose_that_was_named_is_a_limit() -> None:
    day = date(2026, 1, 1)
    said = [
        Statement("lung", ConsentStatus.GIVEN, None, None, day, codes)
        for codes in ((duo.HMB,), (), (duo.NCU,))
    ]
    for order in (said, said[::-1]):
        found = newest(order, "lung")
        assert found is not None and set(found.data_use) == {duo.HMB, duo.NCU}


codes = st.lists(st.sampled_from(list(TERMS)), max_size=3, unique=True)


@given(codes, codes, codes)
def test_naming_a_further_limit_never_lets_a_job_use_more(
    asked: list[str], scope: list[str], more: list[str]
) -> None:
    wish = Asked(tuple(asked), datetime(2026, 1, 1, tzinfo=UTC))
    limits = [code for code in more if code not in (duo.CC, duo.NRES)]
    if covers(scope_of([*scope, *limits]), wish):
        assert covers(scope_of(scope), wish)


def test_limits_without_a_permission_limit_research_of_any_kind(mixed: Node) -> None:
    assert covers(duo.NCU, asking(mixed, duo.GRU, commercial=False))
    assert not covers(duo.NCU, asking(mixed, duo.GRU, commercial=True))
