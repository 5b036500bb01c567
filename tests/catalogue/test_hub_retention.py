"""What people gave the hub is deleted when it has been kept as long as it may; the audit log stays whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.catalogue.granting import Someone, a_committee, a_request, submit

from fairbank import audit
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import attachments, notices, retention
from fairbank.catalogue.governance.retention import KEPT, listing, sweep, tables_of_requests
from fairbank.catalogue.governance.store import AttachmentRow, NoticeRow, RequestRow
from fairbank.catalogue.store import LoginFailureRow, TokenRow, UploadRow
from fairbank.clock import FixedClock
from fairbank.database import reading, writing
from fairbank.settings import Settings

Make = Callable[..., Any]
LUNGS = "http://hub.test/datasets/alpha/lungs"


@pytest.fixture
def asked(hub: Hub, published: Make) -> str:
    """The id of a request that has been submitted, with a document."""
    published("lungs")
    who = Someone(hub, "rosalind", Role.RESEARCHER)
    Someone(hub, "clara", Role.COMMITTEE)
    a_committee(hub, ["alpha"], ["clara"])
    request = submit(hub, who, a_request(hub, who, [LUNGS]))
    with writing(hub.engine) as session:
        session.add(
            AttachmentRow(
                request=request,
                digest="sha256:" + "0" * 64,
                name="ethics.pdf",
                media_type="application/pdf",
                size_bytes=3,
                account="rosalind",
                at=hub.clock.now(),
            )
        )
    place = attachments.path_of(hub, request, "sha256:" + "0" * 64)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"pdf")
    return request


def end(hub: Hub, request: str, state: str = "closed") -> None:
    with writing(hub.engine) as session:
        row = session.get_one(RequestRow, request)
        row.state, row.changed = state, hub.clock.now()


def later(hub: Hub, days: float) -> None:
    assert isinstance(hub.clock, FixedClock)
    hub.clock.advance(days * 86_400)


def left(hub: Hub, request: str) -> dict[str, int]:
    """Return how many rows of a request there are, by table."""
    with reading(hub.engine) as session:
        found = {
            table.name: session.execute(
                select(func.count()).select_from(table).where(table.c.request == request)
            ).scalar_one()
            for table in tables_of_requests()
            if "request" in table.c
        }
    return {name: count for name, count in found.items() if count}


def acts(hub: Hub) -> list[tuple[str, str]]:
    with reading(hub.engine) as session:
        audit.verify(session, audit.HubAudit)
        rows = session.scalars(select(audit.HubAudit).where(audit.HubAudit.act == retention.ACT))
        return [(row.target, str(row.detail["count"])) for row in rows]


def test_a_request_that_goes_on_keeps_all_it_has(hub: Hub, asked: str) -> None:
    later(hub, 20_000)
    before = left(hub, asked)
    sweep(hub)
    assert left(hub, asked) == before and before["catalogue_request_versions"] == 1


def test_documents_go_first_and_the_request_when_its_time_has_come(hub: Hub, asked: str) -> None:
    end(hub, asked)
    later(hub, 366)
    assert sweep(hub)["documents of requests"] == 1
    assert "catalogue_request_attachments" not in left(hub, asked)
    assert not attachments.path_of(hub, asked, "sha256:" + "0" * 64).exists()
    assert left(hub, asked)["catalogue_request_versions"] == 1
    later(hub, 3650 - 366)
    assert "requests" not in sweep(hub)
    later(hub, 0.1)
    assert sweep(hub)["requests"] == 1
    assert left(hub, asked) == {}
    with reading(hub.engine) as session:
        assert session.get(RequestRow, asked) is None
    # That it was submitted has been told to whom it waited for, and is forgotten as well.
    told = ("notices", "1")
    assert acts(hub) == [("documents of requests", "1"), told, ("requests", "1")]


def test_the_audit_log_still_tells_of_a_request_that_is_deleted(hub: Hub, asked: str) -> None:
    end(hub, asked, "withdrawn")
    later(hub, 3651)
    sweep(hub)
    with reading(hub.engine) as session:
        audit.verify(session, audit.HubAudit)
        told = session.scalars(select(audit.HubAudit.act).where(audit.HubAudit.target == asked)).all()
    assert told


def test_a_draft_that_nobody_changes_goes(hub: Hub, asked: str) -> None:
    end(hub, asked, "draft")
    later(hub, 364)
    assert "drafts" not in sweep(hub)
    later(hub, 2)
    assert sweep(hub)["drafts"] == 1
    assert left(hub, asked) == {}


def test_a_notice_goes_unless_its_request_goes_on(hub: Hub, asked: str) -> None:
    with writing(hub.engine) as session:
        for key, request in (("a", asked), ("b", None)):
            notices.write(session, hub, key=key, account="clara", subject="S", text="T", request=request)
    later(hub, 366)
    sweep(hub)
    with reading(hub.engine) as session:
        kept = set(session.scalars(select(NoticeRow.key)))
    assert "a" in kept and "b" not in kept


def test_tokens_failed_log_ins_and_broken_uploads_go(hub: Hub, asked: str) -> None:
    now = hub.clock.now()
    with writing(hub.engine) as session:
        session.add(TokenRow(token_hash="h", account="rosalind", created=now, expires=now))
        session.add(LoginFailureRow(account="rosalind", origin="", at=now))
        session.add(
            UploadRow(
                release_id="r",
                node="alpha",
                door_class="result",
                digest="sha256:" + "1" * 64,
                output="o",
                job=None,
                round=0,
                media_type="x/y",
                total_bytes=9,
                received_bytes=3,
                begun=now,
                completed=None,
            )
        )
    part = hub.blobs / "incoming" / "r.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(b"abc")
    later(hub, 31)
    gone = sweep(hub)
    assert (gone["tokens"] >= 1, gone["failed log-ins"], gone["uploads that broke off"]) == (True, 1, 1)
    assert not part.exists()


def test_more_than_fit_into_one_step_all_go(hub: Hub, published: Make) -> None:
    now = hub.clock.now()
    with writing(hub.engine) as session:
        session.add_all(LoginFailureRow(account="nobody", origin="", at=now) for _ in range(450))
    later(hub, 31)
    assert sweep(hub)["failed log-ins"] == 450
    assert sweep(hub) == {}


def test_what_is_due_can_be_seen_and_each_kind_has_a_setting(hub: Hub, asked: str) -> None:
    end(hub, asked)
    later(hub, 366)
    due = {one.what: (one.days, one.due) for one in listing(hub)}
    assert due["documents of requests"] == (365, 1) and due["requests"] == (3650, 0)
    assert {each.setting for each in KEPT} <= set(vars(Settings) | Settings.__dataclass_fields__)
    assert left(hub, asked)["catalogue_request_attachments"] == 1


def test_a_setting_shortens_it(hub: Hub, asked: str) -> None:
    end(hub, asked)
    later(hub, 2)
    sooner = replace(hub, settings=replace(hub.settings, retention_documents_days=1))
    assert sweep(sooner) == {"documents of requests": 1}


def test_every_table_of_requests_is_found_and_children_come_before_what_they_point_to() -> None:
    names = [table.name for table in tables_of_requests()]
    assert {"catalogue_votes", "catalogue_legs", "catalogue_request_versions", "catalogue_grants"} <= set(
        names
    )
    for child, parent in (("catalogue_votes", "catalogue_legs"), ("catalogue_proposals", "catalogue_legs")):
        assert names.index(child) < names.index(parent)
